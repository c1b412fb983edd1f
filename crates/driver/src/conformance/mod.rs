//! What every driver has to do: its tests hand one to [`all`].
//!
//! Owns the checks. They share one driver, each with pods of its own, and remove what they make;
//! none measures time. [`leave`] and [`find_again`] have the driver dropped, and opened again, in
//! between. A driver that runs nothing ([`crate::fake`]) has the commands of [`scripts`], and is
//! spared what only processes can see.

mod containers;
mod images;
mod inside;
mod left;
mod routes;
mod sandboxes;

use std::path::Path;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use weft_api::assignment::{Container, Pod, PodId};

pub use left::{Left, find_again, leave};

use crate::fake::{Outcome, Script};
use crate::{ContainerSeen, Driver, Failure, Mounted, PodSeen, RunState, Start};

/// How long anything may take that should be quick.
const SOON: Duration = Duration::from_secs(60);

/// Runs until it is asked to end, and ends well then.
const STAYS: &str = "trap 'exit 0' TERM; while :; do sleep 0.05; done";
/// Does not hear.
const DEAF: &str = "trap '' TERM; while :; do sleep 0.05; done";
/// Ends at once, with a code.
const ENDS: &str = "exit 3";
/// Says a hundred lines, and ends.
const TALKS: &str = "i=0; while [ $i -lt 100 ]; do echo line $i; i=$((i+1)); done";
/// Writes, says a little, and ends.
const WRITES: &str = "head -c 3000000 /dev/zero > /written; echo done";
/// What that is at least, on any disk.
const WRITTEN: u64 = 2_900_000;
/// Commands that are run in [`STAYS`].
const ANSWERS: &str = "echo fine; exit 4";
const HANGS: &str = "sleep 1000";
const FLOODS: &str = "yes | head -c 1000000";

/// What the commands of the checks do, by their last words.
pub fn scripts() -> Vec<(&'static str, Script)> {
    let line = |n: i32| format!("line {n}\n");
    let run = |command: &str| format!("sh -c {command}");
    let stays = Script::default()
        .with(&run(ANSWERS), Outcome::Ends(4, "fine\n".to_owned()))
        .with(&run(HANGS), Outcome::Hangs)
        .with(&run(FLOODS), Outcome::Ends(0, "y\n".repeat(500_000)))
        .with("/no/such", Outcome::Fails("it is not there".to_owned()));
    let talks = Script {
        says: (0..100).map(line).collect(),
        ..Script::ends(Duration::ZERO, 0)
    };
    let writes = Script {
        disk_bytes: 3_000_000,
        ..Script::ends(Duration::ZERO, 0)
    };
    vec![
        (STAYS, stays),
        (DEAF, Script::deaf()),
        (ENDS, Script::ends(Duration::ZERO, 3)),
        (TALKS, talks),
        (WRITES, writes),
    ]
}

/// What the checks work on.
#[derive(Debug)]
pub struct Bed<'a, D> {
    /// The driver. Nobody else uses it meanwhile.
    pub driver: &'a D,
    /// An image with a shell, that is here.
    pub image: &'a str,
    /// A directory for files of the checks.
    pub directory: &'a Path,
    /// It runs processes.
    pub runs: bool,
}

/// Runs all checks, one after the other.
///
/// # Panics
/// Where one fails.
pub async fn all<D: Driver>(bed: &Bed<'_, D>) {
    macro_rules! check {
        ($($name:literal: $check:path),+ $(,)?) => {$(
            println!("conformance: {}", $name);
            $check(bed).await;
            bed.is_empty($name);
        )+};
    }
    check! {
        "an image is here, or it is said why not": images::policies,
        "a sandbox is made once": sandboxes::made_once,
        "a sandbox that was cut short is made whole": sandboxes::cut_short,
        "each sandbox has an address of its own": sandboxes::addresses,
        "a sandbox that ended is made again": sandboxes::again,
        "a sandbox stays as long as something needs it": sandboxes::needed,
        "what was never there is gone": sandboxes::absent,
        "a container starts and tells who it is": containers::identity,
        "a container ends with its code": containers::ends,
        "who is asked ends, who is deaf is killed": containers::stops,
        "signals are sent to who runs": containers::signalled,
        "who runs is measured": containers::used,
        "what a container writes is measured, until it is gone": containers::written,
        "less time may be given meanwhile": containers::hurried,
        "what cannot be started leaves nothing": containers::unstartable,
        "a start that was cut short is made again, once": containers::cut_short,
        "runs of one name are told apart": containers::attempts,
        "only what has ended is removed": containers::removed,
        "the end of a log is bounded": containers::tails,
        "a command answers within its time": containers::commands,
        "volumes stay until they are discarded": containers::volumes,
        "what is not served of a service is told by its name": routes::unserved,
    }
    if !bed.runs {
        println!("conformance: nothing runs: what processes see is left out");
        return;
    }
    check! {
        "variables are seen": inside::variables,
        "a path is seen, and written to unless it is for reading": inside::paths,
        "memory is shared in a pod, and gone with it": inside::memory,
        "a volume outlives its pods": inside::volume,
        "containers of a pod share name and network": inside::shared,
    }
}

/// A container in the making.
struct Asked<'a> {
    pod: &'a Pod,
    container: Container,
    attempt: u32,
    env: Vec<(String, String)>,
    mounts: Vec<Mounted>,
}

impl<D: Driver> Bed<'_, D> {
    fn pod(&self, name: &str) -> Pod {
        Pod {
            id: PodId {
                namespace: "conformance".to_owned(),
                name: name.to_owned(),
                uid: format!("conformance-{name}"),
            },
            grace_s: 1,
            ..Pod::default()
        }
    }

    fn asked<'p>(&self, pod: &'p Pod, name: &str, script: &str) -> Asked<'p> {
        let command = ["sh", "-c", script].map(str::to_owned);
        Asked {
            pod,
            container: Container {
                name: name.to_owned(),
                image: self.image.to_owned(),
                command: Some(command.to_vec()),
                hash: format!("hash of {name}"),
                ..Container::default()
            },
            attempt: 0,
            env: Vec::new(),
            mounts: Vec::new(),
        }
    }

    async fn image_id(&self) -> String {
        let pull = weft_api::assignment::Pull::Never;
        let found = self.driver.image(self.image, pull, &[]).await;
        found.expect("the image of the checks is here").0
    }

    async fn try_start(&self, asked: &Asked<'_>) -> Result<String, Failure> {
        let image_id = self.image_id().await;
        let start = Start {
            pod: asked.pod,
            container: &asked.container,
            attempt: asked.attempt,
            image_id: &image_id,
            env: asked.env.clone(),
            mounts: asked.mounts.clone(),
        };
        self.driver.start(start).await
    }

    async fn start(&self, asked: &Asked<'_>) -> String {
        let started = self.try_start(asked).await;
        started.unwrap_or_else(|why| panic!("{} starts: {why}", asked.container.name))
    }

    /// A pod with a sandbox, and one container in it that runs `script`.
    async fn one(&self, name: &str, script: &str) -> (Pod, String) {
        let pod = self.pod(name);
        self.driver.sandbox(&pod).await.expect("a sandbox");
        let id = self.start(&self.asked(&pod, "one", script)).await;
        (pod, id)
    }

    /// Waits until what there is of a pod is so; being told of a change is part of it.
    async fn until(&self, pod: &Pod, what: &str, is_so: impl Fn(&PodSeen) -> bool) -> PodSeen {
        let waiting = async {
            let mut changes = self.driver.changes();
            loop {
                changes.mark_unchanged();
                let seen = self.driver.pod(&pod.id.uid);
                if is_so(&seen) {
                    return seen;
                }
                changes.changed().await.expect("the driver is there");
            }
        };
        match tokio::time::timeout(SOON, waiting).await {
            Ok(seen) => seen,
            Err(_) => panic!("not in time: {what}: {:?}", self.driver.pod(&pod.id.uid)),
        }
    }

    /// Waits until a container has ended; answers its code.
    async fn end_of(&self, pod: &Pod, id: &str) -> i32 {
        let what = format!("container {id} ends");
        let seen = self.until(pod, &what, |seen| code(seen, id).is_some());
        code(&seen.await, id).expect("it has ended")
    }

    /// All that a container says, once it has ended.
    async fn said(&self, pod: &Pod, id: &str) -> String {
        self.end_of(pod, id).await;
        self.driver.log_tail(id, 1 << 16, 1000).await
    }

    /// Removes all of a pod.
    async fn clear(&self, pod: &Pod) {
        let uid = &pod.id.uid;
        for one in self.driver.pod(uid).containers {
            self.driver.stop(&one.id, 0).await.expect("it ends");
            self.driver.remove(&one.id).await.expect("it is removed");
        }
        self.driver.stop_sandbox(uid).await.expect("it ends");
        self.driver.remove_sandbox(uid).await.expect("it goes");
    }

    fn is_empty(&self, after: &str) {
        let left = self.driver.pods();
        assert!(left.is_empty(), "left of {after:?}: {left:?}");
    }
}

fn found<'a>(seen: &'a PodSeen, id: &str) -> Option<&'a ContainerSeen> {
    seen.containers.iter().find(|one| one.id == id)
}

fn is_running(seen: &PodSeen, id: &str) -> bool {
    found(seen, id).is_some_and(|one| matches!(one.state, RunState::Running { .. }))
}

fn code(seen: &PodSeen, id: &str) -> Option<i32> {
    match found(seen, id)?.state {
        RunState::Ended { code, .. } => Some(code),
        _ => None,
    }
}

/// Begins something, and drops it where it waits for the `places`-th time; what it has answered, if
/// it was done before that.
async fn cut<T>(doing: impl Future<Output = T>, places: usize) -> Option<T> {
    let mut doing = pin!(doing);
    for _ in 0..places {
        let once = std::future::poll_fn(|context| Poll::Ready(doing.as_mut().poll(context)));
        if let Poll::Ready(done) = once.await {
            return Some(done);
        }
        tokio::task::yield_now().await;
    }
    None
}

//! Pods as containers of weft's own engine.
//!
//! What a container is to its pod stands in its labels, as the field has them; so a person finds it
//! by `weft ps`, and a driver that starts again finds it, too.

mod lower;
mod route;
mod seen;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{broadcast, watch};
use weft_api::ErrorCode;
use weft_api::assignment::{Pod, Pull, RegistryCredentials, Services};
use weft_driver::{
    Driver, Failure, ImageError, PodSeen, RunState, SandboxSeen, Source, Start, Unserved, UsageSeen,
};
use weft_engine::container::{
    AttachOptions, ExecOptions, ListFilter, LogOptions, RemoveOptions, StopOptions,
};
use weft_engine::spec::{Sharing, Spec};
use weft_engine::{Credentials, Engine, EngineError, NetworkSpec, Output};

pub use lower::sandbox_name;
use lower::{ATTEMPT, CONTAINER, HASH, Machine, UID};

/// Of what a probe's command says, this much is kept.
const OUTPUT_MAX: usize = 10 << 10;
/// What is killed ends with it.
const KILLED: i32 = 137;

/// Runs pods on an engine.
#[derive(Clone)]
pub struct Native {
    engine: Engine,
    network: String,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Native {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Native")
    }
}

#[derive(Debug)]
struct Shared {
    /// The ids of containers by their pod's uid. Bounded by the containers there are.
    pods: Mutex<BTreeMap<String, BTreeSet<String>>>,
    /// Bounded by the pods there are.
    changed: Mutex<BTreeSet<String>>,
    told: watch::Sender<()>,
    machine: Machine,
}

impl Native {
    /// On `engine`, with pods on `network`, which is made if it is not there.
    ///
    /// # Errors
    /// The network can't be made, or has other addresses.
    pub async fn new(engine: Engine, network: NetworkSpec) -> Result<Native, EngineError> {
        let name = network.name.clone();
        match engine.inspect_network(&name) {
            Err(_) => drop(engine.create_network(network).await?),
            Ok(there) => {
                let (is, wanted) = (there.network.subnet, network.subnet);
                if let Some(wanted) = wanted.filter(|wanted| *wanted != is) {
                    return Err(EngineError::invalid(format!(
                        "the network {name} has the addresses {is}, not {wanted}: remove its pods and \
                         then the network (weft network rm {name}), or ask for {is}"
                    )));
                }
            }
        }
        let machine = Machine::of(&engine);
        let native = Native {
            engine,
            network: name,
            shared: Arc::new(Shared {
                pods: Mutex::default(),
                changed: Mutex::default(),
                told: watch::channel(()).0,
                machine,
            }),
        };
        let events = native.engine.events(None).1;
        native.look();
        let listening = native.clone();
        tokio::spawn(async move { listening.listen(events).await });
        Ok(native)
    }

    /// Finds the containers that are pods'.
    fn look(&self) {
        let all = ListFilter {
            all: true,
            labels: vec![UID.to_owned()],
            ..ListFilter::default()
        };
        let mut pods = BTreeMap::<String, BTreeSet<String>>::new();
        for view in self.engine.list(&all).unwrap_or_default() {
            if let Some(uid) = view.record.resolved.labels.get(UID) {
                pods.entry(uid.clone()).or_default().insert(view.record.id);
            }
        }
        *lock(&self.shared.pods) = pods;
    }

    /// Hears of starts and ends, for as long as the engine lives.
    async fn listen(self, mut events: broadcast::Receiver<weft_engine::Event>) {
        loop {
            match events.recv().await {
                Ok(event) => {
                    let is_of_interest = event.kind == "container"
                        && matches!(&*event.action, "start" | "die" | "destroy");
                    let uid = event.attributes.get(UID).filter(|_| is_of_interest);
                    let Some(uid) = uid else { continue };
                    if event.action == "destroy" {
                        self.forget(uid, &event.id);
                    }
                    lock(&self.shared.changed).insert(uid.clone());
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    self.look();
                    let all = self.pods();
                    lock(&self.shared.changed).extend(all);
                }
                Err(broadcast::error::RecvError::Closed) => return,
            }
            self.shared.told.send_replace(());
        }
    }

    fn forget(&self, uid: &str, id: &str) {
        let mut pods = lock(&self.shared.pods);
        if let Some(ids) = pods.get_mut(uid) {
            ids.remove(id);
            if ids.is_empty() {
                pods.remove(uid);
            }
        }
    }

    fn note(&self, uid: &str, id: &str) {
        let mut pods = lock(&self.shared.pods);
        pods.entry(uid.to_owned())
            .or_default()
            .insert(id.to_owned());
    }

    fn lowered(&self, start: &Start<'_>) -> Result<Spec, EngineError> {
        let uid = &start.pod.id.uid;
        let sandbox = self.engine.sandbox(&lower::sandbox_name(uid))?;
        let image = self.engine.image(start.image_id)?;
        let named = self.engine.image(&start.container.image);
        let name = match named {
            Ok(named) if named.id == image.id => &start.container.image,
            _ => start.image_id,
        };
        let machine = &self.shared.machine;
        let mut spec = lower::container(start, &sandbox, name, &image.config.user, machine)?;
        if let Some(target) = &start.container.joins {
            spec.security.pid = Sharing::Container(self.running(uid, target)?);
        }
        Ok(spec)
    }

    /// What the engine is told of a container by the faces: for logs, exec and figures.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    async fn start_container(&self, start: &Start<'_>, spec: Spec) -> Result<String, EngineError> {
        let uid = &start.pod.id.uid;
        self.make_volumes(start)?;
        let name = lower::container_name(start);
        // One of this name is left of a start that was cut short.
        self.remove_container(&name).await?;
        let created = self.engine.create(Some(&name), spec).await?;
        self.note(uid, &created.id);
        if let Err(error) = self.engine.start(&created.id).await {
            self.remove_container(&created.id).await?;
            self.forget(uid, &created.id);
            return Err(error);
        }
        Ok(created.id)
    }

    /// The id of the pod's container of this name that runs.
    fn running(&self, uid: &str, name: &str) -> Result<String, EngineError> {
        let all = self.pod(uid).containers.into_iter();
        let mut runs = all.filter(|one| matches!(one.state, RunState::Running { .. }));
        let found = runs.find(|one| one.name == name);
        found.map(|one| one.id).ok_or_else(|| {
            EngineError::invalid(format!("the target container {name} does not run"))
        })
    }

    /// The volumes of claims that are not there yet. Everybody may write to a new one, or the pod's
    /// group.
    fn make_volumes(&self, start: &Start<'_>) -> Result<(), EngineError> {
        for mount in &start.mounts {
            let Source::Volume(name) = &mount.source else {
                continue;
            };
            if self.engine.inspect_volume(name).is_ok() {
                continue;
            }
            let labels = lower::volume_labels(start);
            let made = self.engine.create_volume(Some(name), &labels)?;
            let (mode, group) = match start.pod.fs_group {
                Some(group) => (0o2777, Some(group)),
                None => (0o777, None),
            };
            let path = &made.volume.path;
            let opened = std::os::unix::fs::chown(path, None, group).and_then(|()| {
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
            });
            if let Err(error) = opened {
                let what = format!("open volume {name} to its pod: {error}");
                return Err(EngineError::invalid(what));
            }
        }
        Ok(())
    }

    async fn remove_container(&self, reference: &str) -> Result<(), EngineError> {
        let options = RemoveOptions {
            force: true,
            volumes: true,
        };
        unless_gone(self.engine.remove(reference, options).await)
    }

    async fn run_command(
        &self,
        id: &str,
        command: &[String],
        timeout_s: u64,
    ) -> Result<(i32, String), EngineError> {
        let options = ExecOptions {
            args: command.to_vec(),
            attach_stdout: true,
            attach_stderr: true,
            timeout: Some(Duration::from_secs(timeout_s)),
            ..ExecOptions::default()
        };
        let exec = self.engine.exec_create(id, options).await?;
        let began = tokio::time::Instant::now();
        let attach = AttachOptions {
            stdin: false,
            stdout: true,
            stderr: true,
        };
        let session = self.engine.exec_start(&exec, attach, None).await?;
        let mut said = Vec::new();
        let mut code = -1;
        if let Some(session) = session {
            let (mut reader, _writer) = session.split();
            while let Some(output) = reader.next().await {
                match output {
                    Output::Stdout(bytes) | Output::Stderr(bytes) => {
                        let room = OUTPUT_MAX - said.len();
                        said.extend_from_slice(&bytes[..bytes.len().min(room)]);
                    }
                    Output::Exit(ended) => {
                        code = ended.code;
                        break;
                    }
                }
            }
        }
        self.engine.exec_forget(&exec);
        if code == KILLED && began.elapsed() >= Duration::from_secs(timeout_s) {
            return Err(EngineError::new(
                ErrorCode::Unavailable,
                format!(
                    "command {:?} timed out after {timeout_s}s",
                    command.join(" ")
                ),
            ));
        }
        Ok((code, String::from_utf8_lossy(&said).into_owned()))
    }
}

impl Driver for Native {
    fn name(&self) -> &'static str {
        "weft"
    }

    async fn image(
        &self,
        image: &str,
        pull: Pull,
        credentials: &[RegistryCredentials],
    ) -> Result<(String, bool), ImageError> {
        let here = self.engine.image(image);
        match (here, pull) {
            (Ok(here), Pull::IfNotPresent | Pull::Never) => {
                return Ok((here.id.to_string(), false));
            }
            (Err(_), Pull::Never) => return Err(ImageError::NeverPulled(image.to_owned())),
            _ => {}
        }
        let credentials = lower::credentials(image, credentials);
        let credentials = credentials.map(|found| Credentials {
            username: found.username.clone(),
            password: found.password.clone(),
            identity_token: None,
        });
        let pulled = self
            .engine
            .pull_image(image, None, credentials, |_| {})
            .await;
        match pulled {
            Ok(image) => Ok((image.id.to_string(), true)),
            Err(error) if error.code == ErrorCode::Invalid => {
                Err(ImageError::Name(image.to_owned(), chain(&error)))
            }
            Err(error) => Err(ImageError::Pull(chain(&error))),
        }
    }

    async fn sandbox(&self, pod: &Pod) -> Result<SandboxSeen, Failure> {
        let name = lower::sandbox_name(&pod.id.uid);
        let made = async {
            if self.engine.sandbox(&name).is_err() {
                let spec = lower::sandbox(pod, &self.network)?;
                self.engine.create_sandbox(spec).await?;
            }
            self.engine.start_sandbox(&name).await?;
            self.engine.sandbox(&name)
        };
        let made = made.await.map_err(|error| failure(&error))?;
        Ok(seen::sandbox(&made))
    }

    async fn start(&self, start: Start<'_>) -> Result<String, Failure> {
        let spec = self.lowered(&start).map_err(|error| Failure {
            is_config: error.code == ErrorCode::Invalid,
            ..failure(&error)
        })?;
        self.start_container(&start, spec)
            .await
            .map_err(|error| failure_in(&error))
    }

    async fn stop(&self, id: &str, grace_s: u64) -> Result<(), Failure> {
        if grace_s == 0 {
            // Somebody else may be waiting for it to end by itself.
            let _ = self.engine.kill(id, "KILL").await;
        }
        let options = StopOptions {
            signal: None,
            grace: Some(Some(Duration::from_secs(grace_s))),
        };
        let stopped = self.engine.stop(id, options).await.map(drop);
        unless_gone(stopped).map_err(|error| failure(&error))
    }

    async fn signal(&self, id: &str, signal: &str) -> Result<(), Failure> {
        let sent = self.engine.kill(id, signal).await;
        sent.map_err(|error| failure(&error))
    }

    async fn remove(&self, id: &str) -> Result<(), Failure> {
        let uid = self.engine.inspect(id).ok();
        let uid = uid.and_then(|view| view.record.resolved.labels.get(UID).cloned());
        let options = RemoveOptions {
            force: false,
            volumes: true,
        };
        let removed = unless_gone(self.engine.remove(id, options).await);
        removed.map_err(|error| failure(&error))?;
        if let Some(uid) = uid {
            self.forget(&uid, id);
        }
        Ok(())
    }

    async fn stop_sandbox(&self, uid: &str) -> Result<(), Failure> {
        let stopped = self.engine.stop_sandbox(&lower::sandbox_name(uid)).await;
        unless_gone(stopped).map_err(|error| failure(&error))
    }

    async fn remove_sandbox(&self, uid: &str) -> Result<(), Failure> {
        let removed = self.engine.remove_sandbox(&lower::sandbox_name(uid)).await;
        removed.map_err(|error| failure(&error))
    }

    async fn discard(&self, volume: &str) -> Result<(), Failure> {
        let removed = self.engine.remove_volume(volume, false);
        unless_gone(removed).map_err(|error| failure(&error))
    }

    async fn serve(&self, services: &Services) -> Result<Vec<Unserved>, Failure> {
        let (services, mut told) = route::services(services, &self.network);
        let unserved = self.engine.set_services(services).await;
        let unserved = unserved.map_err(|error| failure(&error))?.into_iter();
        told.extend(unserved.map(|one| Unserved {
            why: chain(&one.obstacle),
            service: one.service,
        }));
        Ok(told)
    }

    fn pod(&self, uid: &str) -> PodSeen {
        let ids = lock(&self.shared.pods).get(uid).cloned();
        let views = ids.into_iter().flatten();
        let views = views.filter_map(|id| self.engine.inspect(&id).ok());
        let mut containers: Vec<_> = views.map(|view| seen::container(&view)).collect();
        containers.sort_by_key(|one| one.created_at_ns);
        let sandbox = self.engine.sandbox(&lower::sandbox_name(uid)).ok();
        PodSeen {
            sandbox: sandbox.map(|view| seen::sandbox(&view)),
            containers,
        }
    }

    fn pods(&self) -> Vec<String> {
        let mut uids: BTreeSet<String> = lock(&self.shared.pods).keys().cloned().collect();
        for sandbox in self.engine.sandboxes() {
            uids.extend(sandbox.labels.get(UID).cloned());
        }
        uids.into_iter().collect()
    }

    async fn usage(&self) -> Vec<UsageSeen> {
        let all: BTreeMap<String, String> = lock(&self.shared.pods)
            .iter()
            .flat_map(|(uid, ids)| ids.iter().map(|id| (id.clone(), uid.clone())))
            .collect();
        let used = self.engine.usage(all.keys().cloned().collect()).await;
        let seen = |(id, used): (String, weft_engine::Usage)| {
            let view = self.engine.inspect(&id).ok()?;
            Some(UsageSeen {
                uid: all.get(&id)?.clone(),
                container: view.record.resolved.labels.get(CONTAINER)?.clone(),
                id,
                cpu_ns: used.cpu_ns,
                memory_bytes: used.memory_bytes,
            })
        };
        used.unwrap_or_default()
            .into_iter()
            .filter_map(seen)
            .collect()
    }

    async fn disk(&self, id: &str) -> Result<u64, Failure> {
        match self.engine.disk_bytes(id).await {
            Err(error) if error.code == ErrorCode::NotFound => Ok(0),
            measured => measured.map_err(|error| failure(&error)),
        }
    }

    fn changes(&self) -> watch::Receiver<()> {
        self.shared.told.subscribe()
    }

    fn changed(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.shared.changed))
            .into_iter()
            .collect()
    }

    async fn log_tail(&self, id: &str, bytes: usize, lines: usize) -> String {
        let options = LogOptions {
            stdout: true,
            stderr: true,
            tail: Some(lines),
            ..LogOptions::default()
        };
        let mut text = Vec::new();
        if let Ok(mut log) = self.engine.logs(id, options).await {
            while let Some(Ok(entry)) = log.next().await {
                text.extend_from_slice(&entry.bytes);
                // Lines may be long: no more is kept of them than is asked for.
                if text.len() > bytes.saturating_mul(2) {
                    text.drain(..text.len() - bytes);
                }
            }
        }
        let from = text.len().saturating_sub(bytes);
        String::from_utf8_lossy(&text[from..]).into_owned()
    }

    async fn run(
        &self,
        id: &str,
        command: &[String],
        timeout_s: u64,
    ) -> Result<(i32, String), Failure> {
        self.run_command(id, command, timeout_s)
            .await
            .map_err(|error| failure_in(&error))
    }
}

fn unless_gone(done: Result<(), EngineError>) -> Result<(), EngineError> {
    match done {
        Err(error) if error.code == ErrorCode::NotFound => Ok(()),
        other => other,
    }
}

fn failure(error: &EngineError) -> Failure {
    Failure {
        message: chain(error),
        is_config: false,
    }
}

/// Without what the engine calls the container: who is told knows which it is, and what is the same of
/// each attempt is told as the same.
fn failure_in(error: &EngineError) -> Failure {
    let names = ["start container ", "execute in container "];
    let names = names.iter().any(|what| error.message.starts_with(what));
    match error.source.as_deref().filter(|_| names) {
        Some(cause) => Failure {
            message: chain(cause),
            is_config: false,
        },
        None => failure(error),
    }
}

/// An error with its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(c) = cause {
        let more = c.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = c.source();
    }
    text
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

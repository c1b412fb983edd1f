//! Many histories: pods come and go, containers end, the agent is killed and the machine starts again
//! at any moment. Whatever happened, what is wanted runs in the end, once; nothing else does.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use weft_api::assignment::{Pod, Restart};
use weft_api::observed::{self, State};
use weft_driver::Driver;
use weft_driver::fake::Script;

use crate::stage::{Stage, container, ending, pod, sidecar};

/// Histories, and happenings in each.
const HISTORIES: u64 = 60;
const HAPPENINGS: usize = 25;

/// Marsaglia's xorshift: the same numbers for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// A pod of one of four sorts; its uid begins with the sort.
fn some(number: u64, chance: &mut Chance) -> Pod {
    match chance.below(4) {
        0 => pod(&format!("plain-{number}"), &[("a", "stays"), ("b", "slow")]),
        1 => Pod {
            restart: Restart::Never,
            ..pod(&format!("once-{number}"), &[("a", "ends")])
        },
        2 => Pod {
            restart: Restart::OnFailure,
            init: vec![container("i", "ends")],
            ..pod(&format!("job-{number}"), &[("a", "ends")])
        },
        _ => Pod {
            init: vec![sidecar("s", "stays"), container("i", "ends")],
            ..pod(&format!("full-{number}"), &[("a", "stays")])
        },
    }
}

/// One history.
struct History {
    stage: Stage,
    chance: Chance,
    pods: BTreeMap<String, Pod>,
    made: u64,
    reboots: usize,
}

impl History {
    fn new(seed: u64) -> History {
        let stage = Stage::new();
        stage
            .world
            .script("ends", Script::ends(Duration::from_secs(2), 0));
        stage.world.script("slow", Script::deaf());
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        stage
            .world
            .set_step(Duration::from_millis(1 + chance.below(30)));
        History {
            stage,
            chance,
            pods: BTreeMap::new(),
            made: 0,
            reboots: 0,
        }
    }

    fn assign(&mut self) {
        let pods: Vec<Pod> = self.pods.values().cloned().collect();
        self.stage.assign(&pods);
    }

    fn any(&mut self) -> Option<String> {
        let count = self.pods.len() as u64;
        let at = (count > 0).then(|| self.chance.below(count))?;
        self.pods.keys().nth(usize::try_from(at).unwrap()).cloned()
    }

    async fn happen(&mut self) {
        match self.chance.below(10) {
            0..=2 => {
                self.made += 1;
                let one = some(self.made, &mut self.chance);
                self.pods.insert(one.id.uid.clone(), one);
                self.assign();
            }
            3 => {
                if let Some(uid) = self.any() {
                    let one = ending(&self.pods[&uid], self.chance.below(4));
                    self.pods.insert(uid, one);
                    self.assign();
                }
            }
            4 => {
                if let Some(uid) = self.any() {
                    self.pods.remove(&uid);
                    self.assign();
                }
            }
            5 => {
                if let Some(uid) = self.any() {
                    let code = i32::try_from(self.chance.below(2)).unwrap();
                    self.stage.world.end(&uid, "a", code);
                }
            }
            6 | 7 => {
                self.stage.restart().await;
                // Most are told soon; some are not for a while.
                let silence = [0, 3, 40, 3000][usize::try_from(self.chance.below(4)).unwrap()];
                self.pass(silence).await;
                self.assign();
            }
            8 if self.chance.below(3) == 0 => {
                self.stage.kill().await;
                self.stage.world.reboot();
                self.reboots += 1;
                self.stage.begin();
                self.assign();
            }
            _ => {}
        }
        // A happening comes in the middle of what the last one began.
        let longest = [5, 50, 500, 20_000][usize::try_from(self.chance.below(4)).unwrap()];
        let time = self.chance.below(longest);
        self.pass(time).await;
    }

    async fn pass(&self, ms: u64) {
        self.stage.pass(Duration::from_millis(1 + ms)).await;
    }

    fn is_as_wanted(&self) -> bool {
        let there = self.stage.driver.pods();
        there.iter().all(|uid| {
            let wanted = self.pods.get(uid);
            wanted.is_some_and(|pod| pod.ending.is_none())
        }) && self.pods.values().all(|pod| self.is_well(pod))
    }

    fn is_well(&self, pod: &Pod) -> bool {
        let uid = &*pod.id.uid;
        if pod.ending.is_some() {
            return self.stage.is_nothing_left(uid);
        }
        let runs = |name| self.stage.running(uid, name);
        match uid.split('-').next().unwrap() {
            "plain" => runs("a") == 1 && runs("b") == 1,
            "full" => runs("a") == 1 && runs("s") == 1 && runs("i") == 0,
            // It is over.
            _ => {
                let said = self.stage.pod_said(uid);
                let is_over = |said: observed::Pod| {
                    let mut all = said.containers.iter();
                    let ended = |one: &observed::Container| matches!(one.state, State::Ended(_));
                    !said.has_sandbox && (said.failed.is_some() || all.all(ended))
                };
                runs("a") == 0 && said.is_some_and(is_over)
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_what_is_wanted_runs_once() {
    for seed in 1..=HISTORIES {
        let mut history = History::new(seed);
        for _ in 0..HAPPENINGS {
            history.happen().await;
        }
        let what = format!("all is as wanted, seed {seed}: {:?}", history.pods.keys());
        history.assign();
        history.stage.until(&what, |_| history.is_as_wanted()).await;
        assert_eq!(history.stage.world.wrongs(), [""; 0], "seed {seed}");
        let first: Vec<String> = history.pods.keys().cloned().collect();
        for uid in first.iter().filter(|uid| uid.starts_with("once")) {
            let is_kept = history.pods[uid].ending.is_none();
            let runs = history.stage.world.runs(uid, "a");
            assert!(
                runs <= 1 && (runs == 1 || !is_kept),
                "seed {seed}: {uid}: {runs}"
            );
        }
        for uid in first.iter().filter(|uid| uid.starts_with("job")) {
            let runs = history.stage.world.runs(uid, "i");
            assert!(runs <= 1 + history.reboots, "seed {seed}: {uid}: {runs}");
        }
        // And then, once old runs are cleared away, nothing happens any more.
        history.stage.pass_s(10).await;
        let before = history.stage.world.calls().len();
        history.stage.pass_s(900).await;
        let after = &history.stage.world.calls()[before..];
        assert!(after.is_empty(), "seed {seed}: {after:?}");
        history.stage.kill().await;
    }
}

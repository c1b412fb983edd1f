//! Writers that go on through everything, and what was acknowledged to them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Error};
use serde_json::json;
use tokio::task::{JoinHandle, block_in_place};
use weft_testkit::wait::pause;

use super::reflector::revision;

/// Few, so that they get into each other's way.
const NAMES: usize = 12;

/// What was acknowledged.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Revisions of what was made or changed.
    pub(super) changes: BTreeSet<u64>,
    /// Identities of what was deleted.
    pub(super) gone: BTreeSet<String>,
    /// How many times somebody else was faster.
    pub(super) conflicts: usize,
}

impl Done {
    pub(super) fn count(&self) -> usize {
        self.changes.len() + self.gone.len()
    }
}

pub(super) struct Writers {
    is_over: Arc<AtomicBool>,
    done: Arc<Mutex<Done>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Writers {
    pub(super) fn start(maps: &Api<ConfigMap>, count: usize) -> Writers {
        let is_over = Arc::new(AtomicBool::new(false));
        let done = Arc::new(Mutex::new(Done::default()));
        let tasks = (0..count).map(|seed| {
            let writer = Writer {
                maps: maps.clone(),
                dice: seed as u64,
                done: Arc::clone(&done),
            };
            tokio::spawn(writer.write_until(Arc::clone(&is_over)))
        });
        Writers {
            tasks: tasks.collect(),
            is_over,
            done,
        }
    }

    pub(super) fn done(&self) -> MutexGuard<'_, Done> {
        self.done.lock().unwrap()
    }

    /// Ends them, and gives what was acknowledged.
    pub(super) async fn end(self) -> Done {
        self.is_over.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        std::mem::take(&mut *self.done.lock().unwrap())
    }
}

struct Writer {
    maps: Api<ConfigMap>,
    dice: u64,
    done: Arc<Mutex<Done>>,
}

impl Writer {
    fn roll(&mut self, sides: usize) -> usize {
        let Writer { dice, .. } = self;
        *dice = dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (*dice >> 33) as usize % sides
    }

    async fn write_until(mut self, is_over: Arc<AtomicBool>) {
        for count in 0.. {
            if is_over.load(Ordering::Relaxed) {
                return;
            }
            let name = format!("map-{}", self.roll(NAMES));
            match self.write(&name, count).await {
                Ok(()) => {}
                Err(Error::Api(status)) if status.code == 409 => {
                    self.done.lock().unwrap().conflicts += 1;
                }
                Err(Error::Api(status)) if matches!(status.code, 404 | 503) => {}
                Err(Error::Api(status)) => panic!("{status:?}"),
                // The server is away.
                Err(_) => block_in_place(pause),
            }
        }
    }

    async fn write(&mut self, name: &str, count: usize) -> Result<(), Error> {
        let text = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": name }, "data": { "n": count.to_string() },
        });
        let typed = || serde_json::from_value::<ConfigMap>(text.clone()).unwrap();
        let maps = &self.maps.clone();
        let usual = PatchParams::default();
        let written = match self.roll(5) {
            0 => {
                let deleted = maps.delete(name, &DeleteParams::default()).await?;
                let status = deleted.right().unwrap();
                let uid = status.details.unwrap().uid;
                self.done.lock().unwrap().gone.insert(uid);
                return Ok(());
            }
            1 => {
                let params = PatchParams::apply("writer").force();
                maps.patch(name, &params, &Patch::Apply(&text)).await?
            }
            2 => {
                let mut map = maps.get(name).await?;
                map.data = typed().data;
                maps.replace(name, &PostParams::default(), &map).await?
            }
            3 => maps.create(&PostParams::default(), &typed()).await?,
            _ => maps.patch(name, &usual, &Patch::Merge(&text)).await?,
        };
        let at = revision(&written);
        self.done.lock().unwrap().changes.insert(at);
        Ok(())
    }
}

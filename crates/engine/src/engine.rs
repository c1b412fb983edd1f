//! The engine: what it is made of, and how it opens. The verbs are in the files beside.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime::{Handle as Runtime, RuntimeFlavor};
use weft_image::Store as Images;
use weft_network::{Dns, Host as Network, HostConfig};
use weft_runtime::capabilities::Set;
use weft_runtime::cgroup::Hierarchy;
use weft_runtime::spawner::{self, SpawnerConfig};
use weft_stdx::trash::Trash;
use weft_volume::Store as Volumes;

use crate::container::handle::Container;
use crate::container::table::Table;
use crate::error::{EngineError, ErrorCode, Result};
use crate::events::{Event, Events};
use crate::exec::Sessions;
use crate::idrange::IdRanges;
use crate::paths::{Paths, make_dir};
use crate::ready::Ready;
use crate::sandbox;
use crate::unreadable::Unreadable;

/// How to open an engine.
#[derive(Debug, Clone)]
pub struct Config {
    /// What must survive a reboot.
    pub data_dir: PathBuf,
    /// What must not.
    pub run_dir: PathBuf,
    /// Name in kernel objects, so that several engines can live on one machine.
    pub instance: String,
    /// How the spawner is started.
    pub spawner: SpawnerConfig,
    /// Whether there may be sandboxes: they need a mount of their own.
    pub sandboxes: bool,
    /// Registries with their own rules.
    pub registries: weft_image::RegistryConfig,
}

/// The container engine of this machine. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub config: Config,
    pub paths: Paths,
    pub containers: Table,
    pub sandboxes: sandbox::Table,
    pub unreadable: Unreadable,
    pub events: Events,
    pub ids: Arc<IdRanges>,
    /// Sandboxes made ahead.
    pub ready: Ready,
    pub execs: Sessions,
    /// Held by each probe that runs.
    pub probes: tokio::sync::Semaphore,
    pub spawner: spawner::Handle,
    pub images: Images,
    pub network: Network,
    pub volumes: Volumes,
    /// Directories of containers that are no more.
    pub trash: Trash,
    pub cgroups: Hierarchy,
    /// The controllers of that hierarchy.
    pub controllers: Vec<String>,
    /// Capabilities this process may pass on.
    pub bounding: Set,
    /// Major and minor of the running kernel.
    pub kernel: (u32, u32),
    /// Where tasks of the engine run.
    pub runtime: Runtime,
    /// Name servers of user networks; they stop with the engine.
    _dns: Dns,
    /// Held as long as the engine lives: a second one on the same data is refused.
    _lock: File,
}

impl Engine {
    /// Opens the engine on its directories, and takes up what an earlier one left: running
    /// containers are adopted, unfinished work is finished or undone.
    ///
    /// # Errors
    /// Another engine has the directories, a part can't be opened, the spawner can't start.
    pub async fn open(config: Config) -> Result<Self> {
        let runtime = Runtime::current();
        let engine = tokio::task::spawn_blocking(move || Self::open_parts(config, runtime))
            .await
            .map_err(|e| EngineError::internal("open the engine", e))??;
        engine.adopt_all().await;
        Ok(engine)
    }

    fn open_parts(config: Config, runtime: Runtime) -> Result<Self> {
        let paths = Paths::new(&config.data_dir, &config.run_dir);
        for dir in [
            config.data_dir.clone(),
            config.run_dir.clone(),
            paths.containers(),
            paths.trash(),
            paths.runs(),
        ] {
            make_dir(&dir).map_err(|e| {
                EngineError::internal(format!("make the directory {}", dir.display()), e)
            })?;
        }
        let lock = hold(&config.data_dir)?;
        let trash = Trash::new(&paths.trash());
        let part = |what: &'static str| {
            move |e: Box<dyn std::error::Error + Send + Sync>| {
                EngineError::caused(ErrorCode::Internal, format!("open the engine's {what}"), e)
            }
        };
        let images = Images::open(&paths.images(), config.registries.clone())
            .map_err(|e| part("image store")(e.into()))?;
        let network = Network::open(HostConfig::new(&config.instance, paths.networks()))
            .map_err(|e| part("networks")(e.into()))?;
        let volumes = Volumes::open(&paths.volumes()).map_err(|e| part("volumes")(e.into()))?;
        let cgroups = Hierarchy::find().map_err(|e| part("control groups")(e.into()))?;
        let controllers = cgroups
            .controllers()
            .map_err(|e| part("control groups")(e.into()))?;
        if config.sandboxes {
            for dir in [paths.sandboxes(), paths.sandbox_runs()] {
                make_dir(&dir).map_err(|e| part("sandboxes")(e.into()))?;
            }
            sandbox::prepare(&paths.sandbox_runs()).map_err(|e| part("sandboxes")(e.into()))?;
        }
        let spawner = spawner::Handle::start(config.spawner.clone())
            .map_err(|e| part("spawner")(e.into()))?;
        let dns = Dns::start(&network, &runtime);
        let inner = Inner {
            paths,
            containers: Table::default(),
            sandboxes: sandbox::Table::default(),
            unreadable: Unreadable::default(),
            events: Events::new(),
            ids: Arc::new(IdRanges::default()),
            ready: Ready::default(),
            execs: Sessions::default(),
            probes: tokio::sync::Semaphore::new(crate::health::PROBES_MAX),
            spawner,
            images,
            network,
            volumes,
            trash,
            cgroups,
            controllers,
            bounding: Set::bounding(),
            kernel: crate::info::kernel_version(),
            runtime,
            config,
            _dns: dns,
            _lock: lock,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Past events from `since_ns` on, and a receiver for those to come.
    pub fn events(
        &self,
        since_ns: Option<i64>,
    ) -> (Vec<Event>, tokio::sync::broadcast::Receiver<Event>) {
        self.inner.events.listen(since_ns)
    }

    /// The image store, for looking; what removes goes through the engine.
    pub fn images(&self) -> &Images {
        &self.inner.images
    }

    /// Before the daemon ends in good order: with no container running, what the engine made in the
    /// kernel goes too; the next one makes it again. With one running, everything stays.
    pub async fn close(&self) {
        self.blocking(|engine| {
            let all = engine.inner.containers.all();
            let up = all.iter().any(|c| c.state().status.is_up());
            if up || !engine.inner.unreadable.is_empty() || !engine.sandboxes_up().is_empty() {
                return;
            }
            sandbox::clear(&engine.inner.paths.sandbox_runs());
            engine.inner.ready.close();
            if let Err(error) = engine.inner.network.dismantle() {
                tracing::warn!(%error, "the networks could not be taken down");
            }
            if let Err(error) = engine
                .inner
                .cgroups
                .remove(&format!("/{}", engine.inner.config.instance))
            {
                tracing::warn!(%error, "the engine's control group could not be removed");
            }
        })
        .await;
    }

    /// The cgroup v2 controllers of this machine: limits of others are refused.
    pub fn controllers(&self) -> &[String] {
        &self.inner.controllers
    }

    pub(crate) fn find(&self, reference: &str) -> Result<Arc<Container>> {
        self.inner.containers.find(reference).map_err(|error| {
            let unreadable = self.inner.unreadable.find(reference);
            match unreadable.filter(|_| error.code == ErrorCode::NotFound) {
                Some(id) => EngineError::conflict(self.unreadable_text(&id)),
                None => error,
            }
        })
    }

    /// Runs what blocks (system calls, the spawner) where it holds up nobody else: on this thread,
    /// if it may be given up by the runtime meanwhile, which spares two changes of threads; else on
    /// one for such work.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        what: impl FnOnce(&Engine) -> T + Send + 'static,
    ) -> T {
        if self.inner.runtime.runtime_flavor() == RuntimeFlavor::MultiThread {
            return tokio::task::block_in_place(|| what(self));
        }
        let engine = self.clone();
        match self
            .inner
            .runtime
            .spawn_blocking(move || what(&engine))
            .await
        {
            Ok(value) => value,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(error) => panic!("the runtime ends only after the engine: {error}"),
            },
        }
    }
}

/// Its lock, in the data directory.
const LOCK: &str = "engine.lock";

/// Keeps every engine from a data directory, as long as the file is open.
///
/// # Errors
/// One runs on it.
pub fn hold(data_dir: &Path) -> Result<File> {
    let path = data_dir.join(LOCK);
    let shown = path.display().to_string();
    let file = File::create(&path)
        .map_err(|e| EngineError::internal(format!("open the lock {shown}"), e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(EngineError::new(
            ErrorCode::Conflict,
            format!(
                "another engine runs on this data directory (it holds {shown}); use it, or give --data-dir"
            ),
        )),
        Err(std::fs::TryLockError::Error(e)) => {
            Err(EngineError::internal(format!("lock {shown}"), e))
        }
    }
}

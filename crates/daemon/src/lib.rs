//! The engine's daemon: configuration in, a served socket out. The only place where the engine
//! and its face meet.
//!
//! Never forks and never decides about containers. Its end, however it comes, ends none.

mod here;
mod instance;
mod node;
pub mod server;
mod signals;
mod socket;

use std::fs::{File, TryLockError};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Resource, getrlimit, pidfd_open, setrlimit};
use weft_engine::{Config as EngineConfig, Engine};

pub use instance::name as instance_name;
pub use node::Config as NodeConfig;
pub use weft_engine::{RegistryConfig, RegistrySettings};

/// What a daemon needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// What must survive a reboot.
    pub data_dir: PathBuf,
    /// What must not; the socket is in it.
    pub run_dir: PathBuf,
    /// Registries with their own rules.
    pub registries: weft_engine::RegistryConfig,
    /// The control plane; nothing: this is an engine only.
    pub server: Option<server::Config>,
}

/// Runs the daemon until SIGTERM or SIGINT. With `ready_stdin`, standard input is a pipe that gets
/// one byte once requests are served.
///
/// # Errors
/// Not root, another daemon has the directories, the engine can't open, the socket can't be bound.
pub fn run(config: Config, ready_stdin: bool) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("the engine needs root: it makes namespaces, mounts and networks; run it with sudo");
    }
    // R15: whatever is made without a mode of its own is for root alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    log();
    let ready = ready_stdin.then(take_stdin).transpose()?;
    let _held = hold(&config)?;
    let open_files = raise_open_files()?;
    weft_sys::memory::share_heaps(workers());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers())
        .thread_name("weft")
        .enable_all()
        .build()
        .context("start the async runtime")?;
    // On a worker from the first: what it accepts stays on that thread.
    let served = runtime.spawn(serve(config, open_files, ready));
    let ended = runtime.block_on(served).context("serve")?;
    // Blocking work under way belongs to requests that were given time already.
    runtime.shutdown_background();
    ended
}

async fn serve(config: Config, open_files: Option<u64>, ready: Option<OwnedFd>) -> Result<()> {
    let engine = Engine::open(EngineConfig {
        instance: instance::name(&config.data_dir),
        data_dir: config.data_dir.clone(),
        run_dir: config.run_dir.clone(),
        spawner: weft_engine::SpawnerConfig {
            open_files,
            ..weft_engine::SpawnerConfig::own()
        },
        sandboxes: config.server.as_ref().is_some_and(|s| s.node.is_some()),
        registries: config.registries,
    })
    .await?;
    let node = match config
        .server
        .as_ref()
        .and_then(|server| server.node.as_ref())
    {
        Some(node) => Some(node::start(&engine, &config.data_dir, node).await?),
        None => None,
    };
    let cluster = match config.server {
        Some(server) => {
            let opened = server::Control::open(&config.data_dir, &server, &engine).await;
            let remembers = node.as_ref().is_some_and(|node| node.remembers);
            // Whoever runs nothing is of no use without a control plane, and is better told at once.
            if !remembers && let Err(error) = opened {
                return Err(error);
            }
            Some(Cluster {
                data_dir: config.data_dir,
                config: server,
                opened,
                node,
            })
        }
        None => None,
    };
    let path = config.run_dir.join("engine.sock");
    let listener = socket::bind(&path)?;
    if let Some(ready) = ready {
        // Whoever started us may be gone by now; that is no reason not to serve.
        let _ = rustix::io::write(&ready, b"1");
    }
    tracing::info!(socket = %path.display(), "serving");
    let ended = serve_faces(engine.clone(), listener, cluster).await;
    engine.close().await;
    // The next daemon makes its own; a client must not find one nobody listens on.
    let _ = std::fs::remove_file(&path);
    ended
}

/// What makes an engine a server.
struct Cluster {
    data_dir: PathBuf,
    config: server::Config,
    opened: Result<server::Control>,
    node: Option<node::Running>,
}

impl Cluster {
    async fn serve<F: Future<Output = ()>>(
        self,
        engine: &Engine,
        stopping: impl Fn() -> F,
    ) -> Result<()> {
        let control = match self.opened {
            Ok(control) => Some(control),
            Err(why) => {
                let (data_dir, config) = (&self.data_dir, &self.config);
                server::come_back(data_dir, config, engine, why, stopping()).await
            }
        };
        match control {
            Some(control) => control.serve(self.node, stopping()).await,
            None => Ok(()),
        }
    }
}

/// Serves what there is until a signal comes, or one of them breaks.
async fn serve_faces(
    engine: Engine,
    listener: tokio::net::UnixListener,
    cluster: Option<Cluster>,
) -> Result<()> {
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let stopping = || {
        let mut stopped = stopped.clone();
        async move { drop(stopped.wait_for(|stop| *stop).await) }
    };
    // One that ends takes the other along.
    let docker = async {
        let ended = weft_dockerapi::serve(engine.clone(), listener, stopping()).await;
        let _ = stop.send(true);
        ended.context("serve the Docker API")
    };
    let kubernetes = async {
        let ended = match cluster {
            Some(cluster) => cluster.serve(&engine, stopping).await,
            None => {
                stopping().await;
                Ok(())
            }
        };
        let _ = stop.send(true);
        ended
    };
    let both = async {
        let (docker, kubernetes) = tokio::join!(docker, kubernetes);
        docker.and(kubernetes)
    };
    let mut both = std::pin::pin!(both);
    tokio::select! {
        ended = &mut both => ended,
        () = signals::end() => {
            let _ = stop.send(true);
            both.await
        }
    }
}

/// Each container takes some descriptors, and a shell gives a program a thousand. Answers with the
/// limit that was: containers keep that, for there are programs that try every number.
fn raise_open_files() -> Result<Option<u64>> {
    let mut limit = getrlimit(Resource::Nofile);
    let was = limit.current;
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("raise the limit of open files")?;
    Ok(was)
}

/// Standard input as our own handle; nobody we start inherits it.
fn take_stdin() -> Result<OwnedFd> {
    let taken = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)
        .context("take the ready pipe")?;
    let null = File::open("/dev/null").context("open /dev/null")?;
    rustix::stdio::dup2_stdin(&null).context("replace standard input")?;
    Ok(taken)
}

/// The run directory has one daemon. The engine holds the data directory itself.
fn hold(config: &Config) -> Result<File> {
    socket::make_run_dir(&config.run_dir)?;
    let path = config.run_dir.join("engine.pid-lock");
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .with_context(|| format!("open {}", path.display()))?;
    let locked = match file.try_lock() {
        Err(TryLockError::WouldBlock) if has_ended(&file) => file.try_lock(),
        locked => locked,
    };
    match locked {
        Ok(()) => {
            // For people and for those who end what they started; the lock is what counts.
            writeln!(&file, "{}", std::process::id())
                .with_context(|| format!("write {}", path.display()))?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => bail!(
            "another engine serves {}; use it, or give --run-dir and --data-dir",
            config.run_dir.display()
        ),
        Err(TryLockError::Error(e)) => Err(e).with_context(|| format!("lock {}", path.display())),
    }
}

/// How long a daemon that was killed may take to die: the kernel takes its memory apart first.
const DYING: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// Whether the holder of the lock `file`, whose number is in it, ends right now: a daemon that is
/// started again at once must not be told that another one runs.
fn has_ended(file: &File) -> bool {
    let mut text = [0; 16];
    let read = file.read_at(&mut text, 0).unwrap_or(0);
    let line = String::from_utf8_lossy(&text[..read]);
    let number = line.lines().next().and_then(|line| line.parse().ok());
    let Some(holder) = number.and_then(Pid::from_raw) else {
        return false;
    };
    match pidfd_open(holder, PidfdFlags::empty()) {
        Ok(holder) => {
            let mut ended = [PollFd::new(&holder, PollFlags::IN)];
            poll(&mut ended, Some(&DYING)).is_ok_and(|ready| ready == 1)
        }
        Err(Errno::SRCH) => true,
        Err(_) => false,
    }
}

/// Two are enough to never wait for each other; more only cost memory on large machines.
fn workers() -> usize {
    std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(4)
}

fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("WEFT_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // A second daemon in one process (tests) keeps the first one's log.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .try_init();
}

//! Owns the daemon's side of the spawner: starting it from a sealed copy of weft, noticing that it
//! died, and asking it for containers, execs and namespaces.
//! Never: forking. The spawner is exec'd once and makes every other process.
//!
//! ```text
//! daemon threads --- SEQPACKET, one request per packet + reply socket + fds ---> spawner
//!        ^                                                                        | fork
//!        +-------- reply socket: Spawned, namespaces or a failure -------- monitor
//! ```

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, PidfdFlags, Resource, getrlimit, pidfd_open, prlimit};
use weft_sys::fd;
use weft_sys::namespace::Kind;

use crate::monitor::record::{self, Envelope, ExecSpec, Record, Reply, Request, Spawned};

mod answer;
mod error;
mod monitor;
mod program;
mod serve;
mod wire;

pub use error::SpawnError;
pub use monitor::Monitor;
pub use serve::main;

pub(crate) use answer::answer;

/// How long the spawner may take to fetch a request before it counts as dead.
const FETCH_MAX: Duration = Duration::from_secs(10);
/// How long a spawner may take to notice that its socket is closed before it is killed.
const END_MAX: Duration = Duration::from_secs(5);
/// Most connected clients handed over with one request.
pub const ATTACH_MAX: usize = 16;

/// Where the spawner comes from.
#[derive(Clone, Debug, Default)]
pub struct SpawnerConfig {
    /// The program.
    pub program: Program,
    /// Its arguments; they have to make it call [`main`].
    pub args: Vec<OsString>,
    /// The soft limit of open files that it and all it starts get; `None`: the daemon's.
    pub open_files: Option<u64>,
}

impl SpawnerConfig {
    /// `weft spawner` from the running weft itself.
    pub fn own() -> Self {
        Self {
            program: Program::Own,
            args: vec!["spawner".into()],
            open_files: None,
        }
    }
}

/// What is copied and sealed to become the spawner.
#[derive(Clone, Debug, Default)]
pub enum Program {
    /// The running program, even if its file has been replaced since.
    #[default]
    Own,
    /// The program at this path.
    Path(PathBuf),
}

/// Descriptors that go with a request to run or exec; they are consumed.
#[derive(Debug, Default)]
pub struct Fds {
    /// Connected stream sockets whose other end is an attach client from the first byte of output
    /// on. Write its `Hello` before the request; without one it gets everything. At most
    /// [`ATTACH_MAX`].
    pub attach: Vec<OwnedFd>,
    /// Namespaces to join, instead of what config.json says for their kinds.
    pub join: Vec<(Kind, OwnedFd)>,
}

/// A user namespace and the network namespace it owns, held by nothing but these descriptors.
#[derive(Debug)]
pub struct Sandbox {
    /// The user namespace.
    pub user: OwnedFd,
    /// The network namespace, its loopback up.
    pub net: OwnedFd,
}

/// The daemon's hold on its spawner. Cheap to clone; calls from many threads run concurrently and
/// block until answered.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: SpawnerConfig,
    image: OwnedFd,
    live: Mutex<Live>,
}

/// The spawner that runs now. Its socket is the only thing that keeps it alive.
#[derive(Debug)]
struct Live {
    socket: Arc<OwnedFd>,
    process: Child,
}

impl Drop for Live {
    fn drop(&mut self) {
        // Ends it if it still runs; the socket may be held for a moment by a call in progress.
        let _ = rustix::net::shutdown(&*self.socket, rustix::net::Shutdown::Both);
        if !self.ends_within(END_MAX) {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

impl Live {
    fn ends_within(&self, limit: Duration) -> bool {
        let pid = Pid::from_child(&self.process);
        let Ok(limit) = Timespec::try_from(limit) else {
            return false;
        };
        // Not reaped yet, so the number is still its own.
        pidfd_open(pid, PidfdFlags::empty()).is_ok_and(|pidfd| {
            let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
            matches!(poll(&mut fds, Some(&limit)), Ok(1..))
        })
    }
}

impl Handle {
    /// Copies and seals the program, and starts the spawner from the copy.
    ///
    /// # Errors
    /// [`SpawnError::Start`].
    pub fn start(config: SpawnerConfig) -> Result<Self, SpawnError> {
        let image =
            program::seal(&config.program).map_err(|source| start_error(&config, source))?;
        let live = launch_spawner(&config, &image)?;
        let shared = Shared {
            config,
            image,
            live: Mutex::new(live),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Runs another process in a container, with its own monitor; answers once its program runs.
    ///
    /// # Errors
    /// [`SpawnError`], of kind `NotRunning` when the container's init is gone.
    pub fn exec(&self, spec: &ExecSpec, fds: Fds) -> Result<Spawned, SpawnError> {
        let what = format!("exec {}", spec.id);
        self.spawn(None, what, Request::Exec(Box::new(spec.clone())), fds)
    }

    /// Makes a user namespace whose ids 0..`size` are the host's `base`..`base + size`, and a
    /// network namespace owned by it.
    ///
    /// # Errors
    /// [`SpawnError`].
    pub fn sandbox(&self, base: u32, size: u32) -> Result<Sandbox, SpawnError> {
        let what = format!("namespaces for ids from {base}");
        let mut fds = self.namespaces(&what, Request::Sandbox { base, size }, 2)?;
        let (Some(net), Some(user)) = (fds.pop(), fds.pop()) else {
            return Err(nonsense(what));
        };
        Ok(Sandbox { user, net })
    }

    /// Makes a network namespace that belongs to the host's user namespace, its loopback up.
    ///
    /// # Errors
    /// [`SpawnError`].
    pub fn netns(&self) -> Result<OwnedFd, SpawnError> {
        let what = "a network namespace".to_owned();
        self.namespaces(&what, Request::Netns, 1)?
            .pop()
            .ok_or_else(|| nonsense(what))
    }

    /// Makes an IPC and a UTS namespace owned by `user`, or by the host's user namespace.
    ///
    /// # Errors
    /// [`SpawnError`].
    pub fn ipc_and_uts(
        &self,
        user: Option<BorrowedFd<'_>>,
    ) -> Result<(OwnedFd, OwnedFd), SpawnError> {
        let what = "an IPC and a UTS namespace".to_owned();
        let failed = |source| SpawnError::Send {
            what: what.clone(),
            source,
        };
        let user = user.map(|fd| fd.try_clone_to_owned()).transpose();
        let join = user.map_err(failed)?.map(|fd| (Kind::User, fd));
        let fds = Fds {
            join: join.into_iter().collect(),
            ..Fds::default()
        };
        let mut made = match self.ask(None, &what, Request::IpcAndUts, fds)? {
            (Reply::Namespaces, fds) => fds,
            (Reply::Failed(failure), _) => return Err(SpawnError::Failed(failure)),
            (Reply::Spawned(_), _) => return Err(nonsense(what)),
        };
        match (made.pop(), made.pop(), made.pop()) {
            (Some(uts), Some(ipc), None) => Ok((ipc, uts)),
            _ => Err(nonsense(what)),
        }
    }

    /// The pid of the spawner that runs now, starting one if it died.
    ///
    /// # Errors
    /// [`SpawnError::Start`].
    pub fn pid(&self) -> Result<u32, SpawnError> {
        Ok(self.live()?.process.id())
    }

    fn spawn(
        &self,
        on: Option<&OwnedFd>,
        what: String,
        request: Request,
        fds: Fds,
    ) -> Result<Spawned, SpawnError> {
        match self.ask(on, &what, request, fds)? {
            (Reply::Spawned(spawned), _) => Ok(spawned),
            (Reply::Failed(failure), _) => Err(SpawnError::Failed(failure)),
            (Reply::Namespaces, _) => Err(nonsense(what)),
        }
    }

    fn namespaces(
        &self,
        what: &str,
        request: Request,
        count: usize,
    ) -> Result<Vec<OwnedFd>, SpawnError> {
        let mut answer = self.ask(None, what, request.clone(), Fds::default());
        if matches!(answer, Err(SpawnError::Died { .. })) {
            // Whatever the dead one made went with it: asking again is safe.
            answer = self.ask(None, what, request, Fds::default());
        }
        match answer? {
            (Reply::Namespaces, fds) if fds.len() == count => Ok(fds),
            (Reply::Failed(failure), _) => Err(SpawnError::Failed(failure)),
            _ => Err(nonsense(what.to_owned())),
        }
    }

    /// Asks the spawner, or the monitor at the other end of `on`.
    fn ask(
        &self,
        on: Option<&OwnedFd>,
        what: &str,
        request: Request,
        fds: Fds,
    ) -> Result<(Reply, Vec<OwnedFd>), SpawnError> {
        let send_error = |source| SpawnError::Send {
            what: what.to_owned(),
            source,
        };
        let envelope = Envelope {
            version: record::VERSION,
            attach: u32::try_from(fds.attach.len()).unwrap_or(u32::MAX),
            join: fds
                .join
                .iter()
                .map(|(kind, _)| kind.file_name().to_owned())
                .collect(),
            request,
        };
        if fds.attach.len() > ATTACH_MAX {
            let text = format!("more than {ATTACH_MAX} attached clients");
            return Err(send_error(io::Error::new(
                io::ErrorKind::InvalidInput,
                text,
            )));
        }
        let packet = wire::Packet::new(&envelope.to_json()).map_err(send_error)?;
        let (answer, reply) = pair().map_err(send_error)?;
        let mut passed = packet.fds(reply.as_fd());
        passed.extend(fds.attach.iter().map(AsFd::as_fd));
        passed.extend(fds.join.iter().map(|(_, fd)| fd.as_fd()));
        // A monitor that has died meanwhile took nothing: the spawner makes another.
        let taken = on.is_some_and(|on| fd::send(on, packet.bytes(), &passed).is_ok());
        if !taken {
            self.send(packet.bytes(), &passed, what)?;
        }
        // From here on only the spawner holds the other end: its death ends the wait.
        drop(passed);
        drop((reply, fds));
        answer::receive(&answer, what)
    }

    fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>], what: &str) -> Result<(), SpawnError> {
        let socket = Arc::clone(&self.live()?.socket);
        let mut sent = fd::send(&*socket, bytes, fds);
        if sent.as_ref().is_err_and(died) {
            // It died since it was looked at, or is about to: it closed its socket.
            let socket = self.replace(&socket)?;
            sent = fd::send(&*socket, bytes, fds);
        }
        sent.map_err(|source| SpawnError::Send {
            what: what.to_owned(),
            source,
        })
    }

    /// Another spawner than the one with this socket.
    fn replace(&self, dead: &Arc<OwnedFd>) -> Result<Arc<OwnedFd>, SpawnError> {
        let mut live = self.lock();
        if Arc::ptr_eq(&live.socket, dead) {
            *live = launch_spawner(&self.shared.config, &self.shared.image)?;
        }
        Ok(Arc::clone(&live.socket))
    }

    fn lock(&self) -> MutexGuard<'_, Live> {
        let live = self.shared.live.lock();
        live.unwrap_or_else(PoisonError::into_inner)
    }

    /// The living spawner: looked at, and replaced when dead.
    fn live(&self) -> Result<MutexGuard<'_, Live>, SpawnError> {
        let mut live = self.lock();
        if !matches!(live.process.try_wait(), Ok(None)) {
            *live = launch_spawner(&self.shared.config, &self.shared.image)?;
        }
        Ok(live)
    }
}

fn died(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected};
    matches!(error.kind(), BrokenPipe | ConnectionReset | NotConnected)
}

fn launch_spawner(config: &SpawnerConfig, image: &OwnedFd) -> Result<Live, SpawnError> {
    let start = || -> io::Result<Live> {
        let (ours, theirs) = pair()?;
        let limit = rustix::net::sockopt::Timeout::Send;
        rustix::net::sockopt::set_socket_timeout(&ours, limit, Some(FETCH_MAX))?;
        let process = Command::new(program::path(image))
            .args(&config.args)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()?;
        limit_open_files(&process, config.open_files)?;
        Ok(Live {
            socket: Arc::new(ours),
            process,
        })
    };
    start().map_err(|source| start_error(config, source))
}

/// It has no request yet, so nobody inherits the daemon's limit.
fn limit_open_files(process: &Child, soft: Option<u64>) -> io::Result<()> {
    let Some(soft) = soft else { return Ok(()) };
    let pid = Pid::from_child(process);
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(soft);
    prlimit(Some(pid), Resource::Nofile, limit)?;
    Ok(())
}

fn start_error(config: &SpawnerConfig, source: io::Error) -> SpawnError {
    let program = match &config.program {
        Program::Own => "the running program".to_owned(),
        Program::Path(path) => path.display().to_string(),
    };
    SpawnError::Start { program, source }
}

fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

fn nonsense(what: String) -> SpawnError {
    let source = io::Error::new(io::ErrorKind::InvalidData, "an answer to something else");
    SpawnError::Answer { what, source }
}

//! Starts the engine in the background when a command needs one and none runs.
//!
//! ```text
//!   weft ps                          weft engine
//!   lock <run-dir>/start.lock
//!   connect: still nobody?
//!   spawn ──────────────────────────▶ … serving
//!   poll pipe ◀── 1 byte on stdin ──
//!   connect, unlock
//! ```
//! Commands that start at the same time queue on the lock, and find the engine running when they
//! get it. Whoever dies lets go of the lock. Never waits without a deadline.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FlockOperation, flock, inotify};

use crate::error::CliError;
use crate::settings::Settings;

/// How long a starting engine may take: adopting hundreds of containers after a crash included.
const START_MS_MAX: i64 = 60_000;
/// How long an engine that someone else started may take to open its socket.
const OTHER_MS_MAX: u64 = 10_000;
/// The log of background engines is moved aside once it is longer than this, in bytes.
const LOG_BYTES_MAX: u64 = 4 << 20;
/// How much of the log is shown when the engine does not start, in lines.
const LOG_LINES_SHOWN: usize = 5;

/// Starts an engine, unless another command just did, and connects to it.
pub(super) fn start(settings: &Settings) -> Result<UnixStream, CliError> {
    let (data_dir, run_dir) = (&settings.data_dir.value, &settings.run_dir.value);
    let socket = &settings.host.value;
    directory(data_dir)?;
    directory(run_dir)?;
    let _lock = lock(&run_dir.join("start.lock"))?;
    if let Ok(stream) = UnixStream::connect(socket) {
        return Ok(stream);
    }
    let log_path = data_dir.join("engine.log");
    let log = open_log(&log_path)?;
    let (ready, child) = spawn(settings, log)?;
    if wait_ready(&ready)? {
        return UnixStream::connect(socket).map_err(|error| {
            CliError::because(
                format!("connect to the engine at {}", socket.display()),
                &error,
            )
        });
    }
    drop(child);
    // It ended without serving: because another one serves already, or because it cannot.
    wait_for_other(socket, run_dir)?.ok_or_else(|| not_started(&log_path))
}

fn directory(path: &Path) -> Result<(), CliError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| CliError::because(format!("create {}", path.display()), &error))
}

fn lock(path: &Path) -> Result<File, CliError> {
    let tried = || format!("lock {}", path.display());
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| CliError::because(tried(), &error))?;
    rustix::io::retry_on_intr(|| flock(&file, FlockOperation::LockExclusive))
        .map_err(|error| CliError::because(tried(), &error))?;
    Ok(file)
}

fn open_log(path: &Path) -> Result<File, CliError> {
    if std::fs::metadata(path).is_ok_and(|meta| meta.len() > LOG_BYTES_MAX) {
        let mut old = path.to_owned().into_os_string();
        old.push(".1");
        std::fs::rename(path, PathBuf::from(old))
            .map_err(|error| CliError::because(format!("rotate {}", path.display()), &error))?;
    }
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| CliError::because(format!("open {}", path.display()), &error))
}

fn spawn(settings: &Settings, log: File) -> Result<(OwnedFd, Child), CliError> {
    let tried = "start the engine";
    let (ready, signal) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(|error| CliError::because(tried, &error))?;
    let errors = log
        .try_clone()
        .map_err(|error| CliError::because(tried, &error))?;
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0("weft")
        .arg("engine")
        .arg("--data-dir")
        .arg(&settings.data_dir.value)
        .arg("--run-dir")
        .arg(&settings.run_dir.value)
        .arg("--ready-stdin");
    if let Some(config) = &settings.config.value {
        command.arg("--config").arg(config);
    }
    let child = command
        .current_dir("/")
        .stdin(signal)
        .stdout(log)
        .stderr(errors)
        .process_group(0)
        .spawn()
        .map_err(|error| CliError::because(tried, &error))?;
    Ok((ready, child))
}

/// Whether the engine says that it serves; false when it ended instead.
fn wait_ready(ready: &OwnedFd) -> Result<bool, CliError> {
    let deadline = rustix::time::Timespec {
        tv_sec: START_MS_MAX / 1000,
        tv_nsec: 0,
    };
    let mut fds = [PollFd::new(ready, PollFlags::IN)];
    let count = rustix::io::retry_on_intr(|| poll(&mut fds, Some(&deadline)))
        .map_err(|error| CliError::because("wait for the engine", &error))?;
    if count == 0 {
        return Err(CliError::new(format!(
            "start the engine: it did not serve within {} s",
            START_MS_MAX / 1000
        )));
    }
    let mut byte = [0u8; 1];
    let count = rustix::io::retry_on_intr(|| rustix::io::read(ready.as_fd(), &mut byte))
        .map_err(|error| CliError::because("wait for the engine", &error))?;
    Ok(count == 1)
}

/// Connects to an engine that someone else is starting; `None` when none comes.
fn wait_for_other(socket: &Path, run_dir: &Path) -> Result<Option<UnixStream>, CliError> {
    let tried = || format!("watch {}", run_dir.display());
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)
        .map_err(|error| CliError::because(tried(), &error))?;
    inotify::add_watch(
        &watch,
        run_dir,
        inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO | inotify::WatchFlags::ATTRIB,
    )
    .map_err(|error| CliError::because(tried(), &error))?;
    // A socket may be bound before anyone listens, which no event tells: look again now and then.
    const LOOK_MS: u64 = 50;
    for _ in 0..OTHER_MS_MAX / LOOK_MS {
        match UnixStream::connect(socket) {
            Ok(stream) => return Ok(Some(stream)),
            // Also where the socket of one that was killed refuses.
            Err(_) if !held(run_dir) => return Ok(None),
            Err(_) => {}
        }
        let pause = Duration::from_millis(LOOK_MS);
        let pause = rustix::time::Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(pause.subsec_nanos()),
        };
        let mut fds = [PollFd::new(&watch, PollFlags::IN)];
        let _ = poll(&mut fds, Some(&pause));
        let mut drained = [0u8; 1024];
        while rustix::io::read(&watch, &mut drained).is_ok_and(|count| count > 0) {}
    }
    Ok(None)
}

/// Whether an engine holds the run directory.
fn held(run_dir: &Path) -> bool {
    File::open(run_dir.join("engine.pid-lock"))
        .is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockShared).is_err())
}

fn not_started(log_path: &Path) -> CliError {
    let mut text = String::new();
    let tail = File::open(log_path).and_then(|mut file| {
        use std::io::{Seek as _, SeekFrom};
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(4096)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    });
    if let Ok(tail) = tail {
        let lines: Vec<&str> = tail.lines().collect();
        for line in &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..] {
            text.push_str("\n  ");
            text.push_str(line);
        }
    }
    CliError::new(format!("start the engine: it ended at once{text}")).hint(format!(
        "its log is {}; `weft engine` runs it in the foreground",
        log_path.display()
    ))
}

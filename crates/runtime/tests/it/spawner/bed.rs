//! What the spawner's tests stand on: a root filesystem with busybox, container directories, a
//! client of the attach protocol. Ends what it started when dropped.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::{Value, json};
use weft_runtime::monitor::record::{
    EXIT_FILE, ExecSpec, ExitRecord, LogConfig, Record, RootfsRecord, RunRequest, Spawned, Streams,
    VERSION,
};
use weft_runtime::monitor::wire::{self, Decoder, Frame, Wants};
use weft_runtime::monitor::{connect, is_running, log};
use weft_runtime::spawner::{Fds, Handle, Program, SpawnError, SpawnerConfig};

/// How long anything in these tests may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory for everything, and a spawner.
pub struct Bed {
    pub dir: tempfile::TempDir,
    pub handle: Handle,
    started: Mutex<Vec<Spawned>>,
    next: AtomicU32,
}

/// A container directory and its run directory.
pub struct Container {
    pub request: RunRequest,
}

pub fn start_spawner() -> Handle {
    let program = Program::Path(env!("CARGO_BIN_EXE_weft-test-spawner").into());
    Handle::start(SpawnerConfig {
        program,
        args: Vec::new(),
        open_files: None,
    })
    .unwrap()
}

impl Bed {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Containers with ids of their own have to reach the root.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        make_rootfs(&dir.path().join("rootfs"));
        Self {
            dir,
            handle: start_spawner(),
            started: Mutex::default(),
            next: AtomicU32::new(0),
        }
    }

    /// A container that runs `args`; `change` may change its config.json.
    pub fn container(&self, args: &[&str], change: impl FnOnce(&mut Value)) -> Container {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = format!("{number:064x}");
        let dir = self.dir.path().join(format!("c{number}"));
        let run_dir = self.dir.path().join(format!("r{number}"));
        std::fs::create_dir(&dir).unwrap();
        std::fs::create_dir(&run_dir).unwrap();
        let mut config = config(&self.dir.path().join("rootfs"), args);
        change(&mut config);
        std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
        Container {
            request: RunRequest {
                version: VERSION,
                id,
                log: Some(LogConfig {
                    path: dir.join("log"),
                    max_size: 1 << 20,
                    max_files: 3,
                }),
                exit_dir: dir.clone(),
                dir,
                run_dir,
                rootfs: RootfsRecord::Directory,
                id_base: 0,
                init: false,
                once: false,
                streams: Streams::default(),
            },
        }
    }

    pub fn run(&self, container: &Container, fds: Fds) -> Result<Spawned, SpawnError> {
        let spawned = self.handle.monitor().run(&container.request, fds)?;
        self.started.lock().unwrap().push(spawned);
        Ok(spawned)
    }

    /// Runs it with a client that has been there from the start.
    pub fn run_attached(&self, container: &Container) -> (Spawned, Peer) {
        let (peer, theirs) = Peer::handed_over(Wants::ALL);
        let fds = Fds {
            attach: vec![theirs],
            ..Fds::default()
        };
        (self.run(container, fds).unwrap(), peer)
    }

    /// Starts `args` in the container.
    pub fn exec(
        &self,
        container: &Container,
        init: Spawned,
        args: &[&str],
        fds: Fds,
    ) -> Result<(ExecSpec, Spawned), SpawnError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let run_dir = self.dir.path().join(format!("e{number}"));
        std::fs::create_dir(&run_dir).unwrap();
        let process = config(Path::new("/"), args)["process"].take();
        let spec = ExecSpec {
            version: VERSION,
            id: format!("e{number}"),
            dir: container.request.dir.clone(),
            run_dir,
            init_pid: init.pid,
            init_start_ticks: init.start_ticks,
            process: serde_json::from_value(process).unwrap(),
            id_base: container.request.id_base,
            streams: Streams {
                stdin: true,
                ..Streams::default()
            },
            log: None,
            timeout_ms: None,
        };
        let spawned = self.handle.exec(&spec, fds)?;
        self.started.lock().unwrap().push(spawned);
        Ok((spec, spawned))
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        for spawned in self.started.get_mut().unwrap() {
            if is_running(spawned.pid, spawned.start_ticks) {
                kill(spawned.pid);
            }
            wait_gone(spawned.monitor_pid);
        }
    }
}

pub fn kill(pid: i32) {
    let pid = Pid::from_raw(pid).unwrap();
    if let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) {
        let _ = pidfd_send_signal(&pidfd, Signal::KILL);
    }
}

/// Waits until a process is no more (a monitor is reaped by the spawner, or by pid 1).
pub fn wait_gone(pid: i32) {
    if let Ok(pidfd) = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()) {
        wait_readable(&pidfd, "the end of a process");
    }
}

/// Between two looks at what tells of no change.
pub fn pause() {
    let short = Timespec::try_from(Duration::from_millis(50)).unwrap();
    let _ = poll(&mut [], Some(&short));
}

pub fn wait_readable(fd: impl AsFd, what: &str) {
    let limit = Timespec::try_from(PATIENCE).unwrap();
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    assert_eq!(
        poll(&mut fds, Some(&limit)).unwrap(),
        1,
        "waited for {what}"
    );
}

impl Container {
    pub fn exit_record(&self) -> Option<ExitRecord> {
        let bytes = std::fs::read(self.request.dir.join(EXIT_FILE)).ok()?;
        Some(ExitRecord::from_json(&bytes).unwrap())
    }

    pub fn connect(&self, wants: Wants) -> Peer {
        Peer::hello(connect(&self.request.run_dir).unwrap(), wants)
    }

    pub fn log(&self) -> Vec<u8> {
        let path = &self.request.log.as_ref().unwrap().path;
        let mut reader = log::Reader::open(path, log::Select::default()).unwrap();
        let mut all = Vec::new();
        while let Some(line) = reader.next().unwrap() {
            all.extend_from_slice(line.bytes);
            if !line.partial {
                all.push(b'\n');
            }
        }
        all
    }
}

/// An attach client.
pub struct Peer {
    pub stream: UnixStream,
    decoder: Decoder,
}

/// What a client got.
#[derive(Default)]
pub struct Got {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub welcome: Option<Spawned>,
    pub exit: Option<ExitRecord>,
}

impl Peer {
    pub fn hello(stream: UnixStream, wants: Wants) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut peer = Self {
            stream,
            decoder: Decoder::default(),
        };
        let version = wire::VERSION;
        peer.send(&Frame::Hello { version, wants });
        peer
    }

    pub fn handed_over(wants: Wants) -> (Self, OwnedFd) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Self::hello(ours, wants), theirs.into())
    }

    pub fn send(&mut self, frame: &Frame<'_>) {
        self.stream.write_all(&frame.to_vec()).unwrap();
    }

    /// Reads until `enough`, or to the end.
    pub fn read(&mut self, got: &mut Got, enough: impl Fn(&Got) -> bool) {
        while !enough(got) {
            let count = self.stream.read(self.decoder.space()).unwrap();
            if count == 0 {
                return;
            }
            self.decoder.filled(count);
            while let Some(frame) = self.decoder.next().unwrap() {
                match frame {
                    Frame::Stdout(bytes) => got.stdout.extend_from_slice(bytes),
                    Frame::Stderr(bytes) => got.stderr.extend_from_slice(bytes),
                    Frame::Welcome { spawned, .. } => {
                        got.welcome = Some(Spawned::from_json(spawned).unwrap());
                    }
                    Frame::Exit(record) => got.exit = Some(ExitRecord::from_json(record).unwrap()),
                    other => panic!("a monitor does not send {other:?}"),
                }
            }
        }
    }

    pub fn all(mut self) -> Got {
        let mut got = Got::default();
        self.read(&mut got, |_| false);
        got
    }
}

fn make_rootfs(root: &Path) {
    for dir in ["bin", "dev", "proc", "sys", "tmp", "etc"] {
        std::fs::create_dir_all(root.join(dir)).unwrap();
    }
    std::fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    for name in [
        "sh", "cat", "echo", "sleep", "head", "true", "stty", "kill", "id",
    ] {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(name)).unwrap();
    }
    std::fs::write(root.join("bin/data"), "no program\n").unwrap();
}

fn config(root: &Path, args: &[&str]) -> Value {
    json!({
        "ociVersion": "1.2.0",
        "process": {
            "args": args,
            "cwd": "/",
            "env": ["PATH=/bin"],
            "user": { "uid": 0, "gid": 0 },
            "noNewPrivileges": true,
        },
        "root": { "path": root },
        "hostname": "bed",
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
              "options": ["nosuid", "mode=755", "size=65536k"] },
            { "destination": "/dev/pts", "type": "devpts", "source": "devpts",
              "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"] },
        ],
        "linux": {
            "namespaces": [
                { "type": "pid" }, { "type": "ipc" }, { "type": "uts" },
                { "type": "mount" }, { "type": "network" },
            ],
        },
    })
}

/// Memory of a process with its part of what it shares, in KiB.
pub fn proportional_kib(pid: i32) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Pss:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

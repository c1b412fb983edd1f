//! `weft oci`: what each command does in each state, as runc's callers rely on.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::WEFT;

/// A container directory and a state directory of its own.
struct Oci {
    dir: tempfile::TempDir,
    id: String,
}

impl Oci {
    fn new(name: &str, arguments: &[&str]) -> Oci {
        let dir = tempfile::tempdir().unwrap();
        let rootfs = dir.path().join("rootfs");
        for name in ["bin", "proc", "dev", "tmp"] {
            fs::create_dir_all(rootfs.join(name)).unwrap();
        }
        fs::copy("/bin/busybox", rootfs.join("bin/busybox")).unwrap();
        for name in ["sh", "true", "sleep", "id", "echo", "cat", "tty"] {
            std::os::unix::fs::symlink("busybox", rootfs.join("bin").join(name)).unwrap();
        }
        let oci = Oci {
            dir,
            id: format!("weft-oci-{name}-{}", std::process::id()),
        };
        oci.write(arguments, |_| {});
        oci
    }

    fn write(&self, arguments: &[&str], change: impl FnOnce(&mut Value)) {
        let mut spec = json!({
            "ociVersion": "1.2.0",
            "root": { "path": "rootfs" },
            "process": {
                "user": { "uid": 0, "gid": 0 }, "args": arguments, "env": ["PATH=/bin"],
                "cwd": "/", "capabilities": {}, "noNewPrivileges": true,
            },
            "mounts": [
                { "destination": "/proc", "type": "proc", "source": "proc" },
                { "destination": "/dev", "type": "tmpfs", "source": "tmpfs" },
                { "destination": "/dev/pts", "type": "devpts", "source": "devpts" },
            ],
            "annotations": { "a": "b" },
            "linux": { "namespaces": [
                { "type": "pid" }, { "type": "network" }, { "type": "mount" }, { "type": "ipc" },
            ] },
        });
        change(&mut spec);
        fs::write(self.dir.path().join("config.json"), spec.to_string()).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(WEFT);
        command.args([
            "oci",
            "--log",
            self.path("log").to_str().unwrap(),
            "--log-format",
            "json",
        ]);
        command
            .arg("--root")
            .arg(self.path("state"))
            .args(words)
            .arg(&self.id);
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Not `output`: init would hold the pipe open.
    fn create(&self, words: &[&str]) -> i32 {
        let mut command = self.command(&[&["create"], words].concat());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().unwrap().code().unwrap()
    }

    fn code(&self, words: &[&str]) -> i32 {
        self.run(words).status.code().unwrap()
    }

    fn exec(&self, flags: &[&str], arguments: &[&str]) -> Output {
        let mut command = self.command(&[&["exec"], flags].concat());
        command.args(arguments).output().unwrap()
    }

    fn state(&self) -> Value {
        serde_json::from_slice(&self.run(&["state"]).stdout).unwrap()
    }

    fn status(&self) -> String {
        self.state()["status"].as_str().unwrap().to_owned()
    }

    /// Waits for init to end, which is not our child.
    fn ended(&self, pid: i64) {
        use rustix::process::{Pid, PidfdFlags, pidfd_open};
        let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        if let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) {
            let mut fds = [rustix::event::PollFd::new(
                &pidfd,
                rustix::event::PollFlags::IN,
            )];
            rustix::event::poll(&mut fds, None).unwrap();
        }
    }
}

impl Drop for Oci {
    fn drop(&mut self) {
        self.code(&["delete", "--force"]);
        let left = fs::read_dir(self.path("state")).map_or(0, Iterator::count);
        assert!(left == 0 || std::thread::panicking(), "state is left");
    }
}

#[test]
fn run_gives_output_and_code_and_leaves_nothing() {
    let oci = Oci::new("run", &["sh", "-c", "echo out; echo err >&2; exit 9"]);
    let output = oci.run(&["run"]);
    assert_eq!(output.status.code(), Some(9));
    assert_eq!(
        (&*output.stdout, &*output.stderr),
        (&b"out\n"[..], &b"err\n"[..])
    );
    assert_ne!(oci.code(&["state"]), 0);
    oci.write(&["no-such-program"], |_| {});
    assert_eq!(oci.code(&["run"]), 127);
    oci.write(&["/tmp"], |_| {});
    assert_eq!(oci.code(&["run"]), 126);
}

#[test]
fn each_command_fits_its_states() {
    let oci = Oci::new("states", &["sleep", "1000"]);
    for verb in ["start", "state", "kill", "delete", "pause", "resume"] {
        assert_eq!(oci.code(&[verb]), 1, "{verb} of nothing");
    }
    let pid_file = oci.path("pid");
    assert_eq!(oci.create(&["--pid-file", pid_file.to_str().unwrap()]), 0);
    assert_eq!(oci.status(), "created");
    assert_eq!(oci.create(&[]), 1);
    assert_eq!(oci.exec(&[], &["true"]).status.code(), Some(1));
    let state = oci.state();
    assert_eq!(
        fs::read_to_string(&pid_file).unwrap(),
        state["pid"].to_string()
    );
    assert_eq!(
        state["bundle"],
        json!(oci.dir.path().canonicalize().unwrap())
    );
    assert_eq!(state["annotations"]["a"], "b");

    assert_eq!(oci.code(&["start"]), 0);
    assert_eq!(oci.status(), "running");
    assert_eq!(oci.code(&["start"]), 1);
    assert_eq!(oci.code(&["delete"]), 1);
    assert_eq!(oci.code(&["pause"]), 0);
    assert_eq!(oci.status(), "paused");
    assert_eq!(oci.exec(&[], &["true"]).status.code(), Some(1));
    assert_eq!(oci.code(&["resume"]), 0);
    let pid = state["pid"].as_i64().unwrap();
    let kill = oci.command(&["kill"]).arg("KILL").status().unwrap();
    assert!(kill.success());
    oci.ended(pid);
    assert_eq!(oci.status(), "stopped");
    assert_eq!(oci.state()["pid"], 0);
    assert_eq!(oci.code(&["kill"]), 1);
    assert_eq!(oci.code(&["delete"]), 0);
    assert_eq!(oci.code(&["delete", "--force"]), 0);
    let log = fs::read_to_string(oci.path("log")).unwrap();
    let last: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!(last["level"], "error");
    assert!(last["msg"].as_str().unwrap().contains("stopped"), "{last}");
}

#[test]
fn exec_takes_words_or_a_file_and_gives_codes() {
    let oci = Oci::new("exec", &["sleep", "1000"]);
    assert_eq!(oci.create(&[]), 0);
    assert_eq!(oci.code(&["start"]), 0);
    let text = |output: &Output| String::from_utf8(output.stdout.clone()).unwrap();
    let output = oci.exec(
        &["-u", "5:6", "--cwd", "/tmp", "-e", "X=y"],
        &["sh", "-c", "id -u; id -g; pwd; echo $X"],
    );
    assert_eq!(text(&output), "5\n6\n/tmp\ny\n");
    for user in ["root", "-1", "4294967296", ""] {
        assert_eq!(
            oci.exec(&[&format!("--user={user}")], &["id"])
                .status
                .code(),
            Some(1)
        );
    }
    for (arguments, code) in [
        (&["sh", "-c", "exit 4"][..], 4),
        (&["nosuch"][..], 127),
        (&["/tmp"][..], 126),
    ] {
        assert_eq!(
            oci.exec(&[], arguments).status.code(),
            Some(code),
            "{arguments:?}"
        );
    }
    let process = json!({ "args": ["echo", "file"], "cwd": "/", "env": ["PATH=/bin"],
                          "user": { "uid": 0, "gid": 0 } });
    fs::write(oci.path("process.json"), process.to_string()).unwrap();
    let file = oci.path("process.json");
    assert_eq!(
        text(&oci.exec(&["-p", file.to_str().unwrap()], &[])),
        "file\n"
    );
    let pids: Vec<i64> =
        serde_json::from_slice(&oci.run(&["ps", "--format", "json"]).stdout).unwrap();
    assert_eq!(pids, [oci.state()["pid"].as_i64().unwrap()]);
}

#[test]
fn a_terminal_is_handed_over_the_console_socket() {
    let oci = Oci::new("console", &["sh", "-c", "tty; exit 0"]);
    oci.write(&["sh", "-c", "tty"], |spec| {
        spec["process"]["terminal"] = json!(true)
    });
    assert_eq!(oci.create(&[]), 1);
    let socket = oci.path("console.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    assert_eq!(
        oci.create(&["--console-socket", socket.to_str().unwrap()]),
        0
    );
    let (stream, _) = listener.accept().unwrap();
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = rustix::net::RecvAncillaryBuffer::new(&mut space);
    let mut name = [0_u8; 64];
    rustix::net::recvmsg(
        &stream,
        &mut [std::io::IoSliceMut::new(&mut name)],
        &mut control,
        rustix::net::RecvFlags::CMSG_CLOEXEC,
    )
    .unwrap();
    let master = control
        .drain()
        .find_map(|message| match message {
            rustix::net::RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        })
        .unwrap();
    assert!(master.as_raw_fd() > 2);
    assert_eq!(oci.code(&["start"]), 0);
    let mut text = Vec::new();
    // It ends in EIO when the last user is gone.
    let _ = std::io::Read::read_to_end(&mut fs::File::from(master), &mut text);
    assert_eq!(text, b"/dev/pts/0\r\n");
}

#[test]
fn what_is_not_done_is_refused_by_name() {
    let oci = Oci::new("refused", &["true"]);
    for (words, name) in [
        (&["--systemd-cgroup", "run"][..], "--systemd-cgroup"),
        (&["run", "--no-pivot"][..], "--no-pivot"),
        (&["run", "--no-new-keyring"][..], "--no-new-keyring"),
        (&["checkpoint"][..], "checkpoint"),
    ] {
        let output = oci.run(words);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && text.contains(name), "{text}");
    }
    for id in ["..", ".", "a/b", "", "a\nb", &"x".repeat(256)] {
        let mut command = Command::new(WEFT);
        command
            .arg("oci")
            .arg("--root")
            .arg(oci.path("state"))
            .args(["run", "--", id]);
        let output = command.current_dir(oci.dir.path()).output().unwrap();
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("invalid container id"),
            "{id:?}"
        );
    }
}

#[test]
fn a_container_that_shares_processes_is_joined_by_a_read_only_weft() {
    // With the right to trace, init could look at whoever joins: it sees no file it could write.
    let script = "while :; do for p in /proc/[0-9]*; do case $p in /proc/1) continue;; esac; \
                  (: >> $p/exe) 2>/dev/null && echo $p; done; done";
    let oci = Oci::new("ptrace", &["sh", "-c", script]);
    let capabilities = json!(["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE"]);
    oci.write(&["sh", "-c", script], |spec| {
        spec["process"]["capabilities"] = json!({
            "bounding": capabilities, "permitted": capabilities, "effective": capabilities,
        });
    });
    let before = fs::metadata(WEFT).unwrap().modified().unwrap();
    assert_eq!(oci.create(&[]), 0);
    assert_eq!(oci.code(&["start"]), 0);
    for _ in 0..10 {
        assert_eq!(oci.exec(&[], &["true"]).status.code(), Some(0));
    }
    assert_eq!(fs::metadata(WEFT).unwrap().modified().unwrap(), before);
}

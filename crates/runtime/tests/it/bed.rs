//! A container directory to try things in, and the program that launches it.
//!
//! Never: leaves processes or cgroups behind; dropping it ends the container.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// First host id of the range the tests map, far from anybody's.
pub const BASE: u32 = 0x2000_0000;

pub struct Bed {
    pub dir: tempfile::TempDir,
    pub spec: Value,
    pub options: Value,
    pub cgroup: String,
    session: Option<Session>,
}

struct Session {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Bed {
    /// A container that runs `arguments`, with everything a container usually has.
    pub fn new(arguments: &[&str]) -> Bed {
        let dir = tempfile::Builder::new()
            .prefix("weft-runtime-")
            .tempdir()
            .unwrap();
        let rootfs = dir.path().join("rootfs");
        busybox(&rootfs);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let cgroup = format!("/weft-test-{}-{number}", std::process::id());
        let mut spec = default_spec(arguments);
        spec["linux"]["cgroupsPath"] = json!(cgroup);
        Bed {
            dir,
            spec,
            options: json!({}),
            cgroup,
            session: None,
        }
    }

    /// The same, in a user namespace of its own, on an overlay over the busybox.
    pub fn mapped(arguments: &[&str]) -> Bed {
        let mut bed = Bed::new(arguments);
        let path = bed.dir.path().to_owned();
        for name in ["upper", "work"] {
            fs::create_dir(path.join(name)).unwrap();
        }
        bed.options = json!({
            "base": BASE,
            "overlay": {
                "lower": [path.join("rootfs")],
                "upper": path.join("upper"),
                "work": path.join("work"),
            },
        });
        let map = json!([{ "containerID": 0, "hostID": BASE, "size": 65536 }]);
        bed.spec["linux"]["uidMappings"] = map.clone();
        bed.spec["linux"]["gidMappings"] = map;
        bed
    }

    pub fn rootfs(&self) -> PathBuf {
        self.dir.path().join("rootfs")
    }

    /// Writes the directory and gives `verb` to the launcher; its answer.
    pub fn say(&mut self, verb: &str) -> Value {
        if self.session.is_none() {
            self.write();
            self.session = Some(Session::open(self.dir.path()));
        }
        let session = self.session.as_mut().unwrap();
        writeln!(session.input, "{verb}").unwrap();
        let mut line = String::new();
        session.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("launcher said {line:?} to {verb}"))
    }

    /// The launcher's process.
    pub fn launcher(&mut self) -> u64 {
        self.say("");
        u64::from(self.session.as_ref().unwrap().child.id())
    }

    fn write(&self) {
        let write = |name: &str, value: &Value| {
            fs::write(self.dir.path().join(name), value.to_string()).unwrap();
        };
        write("config.json", &self.spec);
        write("launch.json", &self.options);
    }

    /// Creates, starts and waits; the exit code. Standard error is in the message of a failure.
    pub fn run(&mut self) -> i64 {
        for verb in ["create", "start"] {
            let answer = self.say(verb);
            assert!(answer["error"].is_null(), "{verb}: {answer}");
        }
        self.say("wait")["code"].as_i64().unwrap()
    }

    /// Runs and gives what it wrote, which must have ended well.
    pub fn output(&mut self) -> String {
        let code = self.run();
        let (out, err) = (self.text("stdout"), self.text("stderr"));
        assert_eq!(code, 0, "stdout: {out}\nstderr: {err}");
        out
    }

    /// Runs and gives the error that create or start ended with.
    pub fn refusal(&mut self) -> Value {
        let answer = self.say("create");
        if !answer["error"].is_null() {
            return answer;
        }
        let answer = self.say("start");
        assert!(
            !answer["error"].is_null(),
            "it started: {}",
            self.text("stdout")
        );
        answer
    }

    /// Runs a further process; (exit code, what it wrote).
    pub fn exec(&mut self, change: impl FnOnce(&mut Value)) -> (Value, String) {
        let mut process = self.spec["process"].clone();
        change(&mut process);
        let answer = self.say(&format!("exec {process}"));
        (answer, self.text("exec.stdout"))
    }

    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(name)).unwrap_or_default()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            drop(session.input);
            let mut child = session.child;
            let _ = child.wait();
        }
        let Ok(hierarchy) = weft_runtime::cgroup::Hierarchy::find() else {
            return;
        };
        if let Ok(cgroup) = hierarchy.open(&self.cgroup) {
            let _ = cgroup.kill();
            let _ = cgroup.remove();
        }
    }
}

impl Session {
    fn open(dir: &Path) -> Session {
        let tests = std::env::current_exe().unwrap();
        let program = tests.ancestors().nth(2).unwrap().join("examples/launch");
        assert!(
            program.exists(),
            "{} is not built: run all targets",
            program.display()
        );
        let mut child = Command::new(program)
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Session {
            child,
            input,
            output,
        }
    }
}

/// A root filesystem of one static program.
pub fn busybox(rootfs: &Path) {
    for name in ["bin", "etc", "proc", "sys", "dev", "tmp", "root"] {
        fs::create_dir_all(rootfs.join(name)).unwrap();
    }
    fs::copy("/bin/busybox", rootfs.join("bin/busybox")).unwrap();
    for name in [
        "sh", "true", "false", "cat", "ls", "id", "echo", "sleep", "stat", "mount", "touch",
        "readlink", "mkdir", "test", "hostname", "pwd", "env", "kill", "dd", "tty", "grep", "head",
        "mknod", "chown", "ps", "umount", "ln", "chmod", "find", "stty", "ip",
    ] {
        std::os::unix::fs::symlink("busybox", rootfs.join("bin").join(name)).unwrap();
    }
}

fn default_spec(arguments: &[&str]) -> Value {
    let capabilities = json!(["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID"]);
    json!({
        "ociVersion": "1.2.0",
        "root": { "path": "rootfs" },
        "hostname": "bed",
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "args": arguments,
            "env": ["PATH=/bin", "HOME=/root"],
            "cwd": "/",
            "capabilities": {
                "bounding": capabilities,
                "effective": capabilities,
                "permitted": capabilities,
            },
            "noNewPrivileges": true,
        },
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc",
              "options": ["nosuid", "noexec", "nodev"] },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
              "options": ["nosuid", "strictatime", "mode=755", "size=65536k"] },
            { "destination": "/dev/pts", "type": "devpts", "source": "devpts",
              "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620",
                          "gid=5"] },
            { "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
              "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"] },
            { "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
              "options": ["nosuid", "noexec", "nodev"] },
            { "destination": "/sys", "type": "sysfs", "source": "sysfs",
              "options": ["nosuid", "noexec", "nodev", "ro"] },
            { "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
              "options": ["nosuid", "noexec", "nodev", "relatime", "ro"] },
        ],
        "linux": {
            "namespaces": [
                { "type": "pid" }, { "type": "network" }, { "type": "ipc" }, { "type": "uts" },
                { "type": "mount" }, { "type": "cgroup" },
            ],
            "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list",
                            "/proc/sched_debug", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                              "/proc/sysrq-trigger"],
        },
    })
}

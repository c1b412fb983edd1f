//! A whole weft of a test's own: engine, spawner, monitors, in directories nobody else uses.
//!
//! Owns the daemon's process and everything that lies beneath its directory. When it is dropped it
//! removes all containers, stops the daemon and checks that nothing of the instance is left; a
//! test that fails on the way is cleaned up after by exact process ids, never by name.

use std::fs;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::command::{self, Background, Ran};
use crate::http::{self, Response};
use crate::terminal::Terminal;
use crate::wait::{self, SOON, until, within};
use crate::{image, leftovers, peer};

/// One weft instance.
pub struct Weft {
    binary: PathBuf,
    data: PathBuf,
    dir: TempDir,
    mode: &'static str,
    flags: Vec<String>,
    daemon: Option<Background>,
    instance: String,
    bridge: String,
}

impl Weft {
    /// Starts an engine with `busybox:latest` loaded; `None`, said aloud, without root.
    /// `binary` is `env!("CARGO_BIN_EXE_weft")`.
    #[track_caller]
    pub fn start(binary: &str) -> Option<Weft> {
        let weft = Weft::empty(binary)?;
        weft.weft_with_input(&["load"], image::busybox()).ok();
        Some(weft)
    }

    /// Starts an engine without any image.
    #[track_caller]
    pub fn empty(binary: &str) -> Option<Weft> {
        Weft::with_flags(binary, &[])
    }

    /// Starts an engine whose daemon gets more flags (`--config FILE`).
    #[track_caller]
    pub fn with_flags(binary: &str, flags: &[&str]) -> Option<Weft> {
        Weft::build(binary, "engine", flags, None)
    }

    /// Starts a server that runs no pods, with an engine without any image, at an address of its own.
    #[track_caller]
    pub fn server(binary: &str) -> Option<Weft> {
        let listen = crate::server::own_address();
        Weft::build(
            binary,
            "server",
            &["--listen", &listen, "--disable-agent"],
            None,
        )
    }

    /// Starts a server that runs pods, with `busybox:latest` loaded.
    #[track_caller]
    pub fn cluster(binary: &str) -> Option<Weft> {
        Weft::cluster_with(binary, &[])
    }

    /// The same with more flags.
    #[track_caller]
    pub fn cluster_with(binary: &str, more: &[&str]) -> Option<Weft> {
        let (listen, subnet) = (crate::server::own_address(), crate::server::own_subnet());
        let flags = [
            "--listen",
            &listen,
            "--pod-subnet",
            &subnet,
            "--node-name",
            "one",
        ];
        let flags = [&flags, more].concat();
        let weft = Weft::build(binary, "server", &flags, None)?;
        weft.weft_with_input(&["load"], image::busybox()).ok();
        Some(weft)
    }

    /// Starts an engine that keeps its data elsewhere, on a small disk perhaps.
    #[track_caller]
    pub fn with_data_dir(binary: &str, data: &Path) -> Option<Weft> {
        Weft::build(binary, "engine", &[], Some(data))
    }

    fn build(
        binary: &str,
        mode: &'static str,
        flags: &[&str],
        data: Option<&Path>,
    ) -> Option<Weft> {
        if !peer::root() {
            return None;
        }
        let dir = tempfile::Builder::new()
            .prefix("weft-t")
            .rand_bytes(5)
            .tempdir()
            .expect("make the test's directory");
        let mut weft = Weft {
            binary: PathBuf::from(binary),
            data: data.map_or_else(|| dir.path().join("data"), Path::to_path_buf),
            dir,
            mode,
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            daemon: None,
            instance: String::new(),
            bridge: String::new(),
        };
        weft.start_daemon();
        weft.learn_names();
        Some(weft)
    }

    /// The program under test.
    pub fn program(&self) -> &Path {
        &self.binary
    }

    /// The value of one of the daemon's flags.
    pub(crate) fn flag(&self, name: &str) -> Option<&str> {
        let at = self.flags.iter().position(|flag| flag == name)?;
        self.flags.get(at + 1).map(String::as_str)
    }

    /// `--data-dir`.
    pub fn data_dir(&self) -> PathBuf {
        self.data.clone()
    }

    /// `--run-dir`.
    pub fn run_dir(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    /// A directory for the test's own files, gone with the harness.
    pub fn scratch(&self) -> PathBuf {
        let path = self.dir.path().join("scratch");
        fs::create_dir_all(&path).expect("make the scratch directory");
        path
    }

    /// The socket with the Docker API.
    pub fn socket(&self) -> PathBuf {
        self.run_dir().join("engine.sock")
    }

    /// The name that kernel objects of this engine carry.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The default network's bridge.
    pub fn bridge(&self) -> &str {
        &self.bridge
    }

    /// `weft <args>`, ready to be changed before it runs.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .arg("--data-dir")
            .arg(self.data_dir())
            .arg("--run-dir")
            .arg(self.run_dir());
        command
            .args(args)
            .env("HOME", self.scratch())
            .env_remove("WEFT_CONFIG");
        command
    }

    /// Runs `weft <args>` to its end.
    #[track_caller]
    pub fn weft(&self, args: &[&str]) -> Ran {
        self.weft_with_input(args, b"")
    }

    /// Runs `weft <args>` to its end with `input` on its standard input.
    #[track_caller]
    pub fn weft_with_input(&self, args: &[&str], input: &[u8]) -> Ran {
        command::run(self.command(args), input, command::LIMIT)
    }

    /// Runs `weft <args>`, which must succeed, and returns what it printed.
    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> String {
        self.weft(args).ok().to_owned()
    }

    /// Starts `weft <args>` and returns at once; its standard input is a pipe.
    pub fn background(&self, args: &[&str]) -> Background {
        let mut command = self.command(args);
        command.stdin(Stdio::piped());
        Background::start(command)
    }

    /// Starts `weft <args>` on a terminal.
    pub fn terminal(&self, args: &[&str]) -> Terminal {
        Terminal::start(&self.command(args)).expect("start on a terminal")
    }

    /// `weft inspect <name>`: the first object.
    #[track_caller]
    pub fn inspect(&self, name: &str) -> Value {
        let text = self.ok(&["inspect", name]);
        let value: Value = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("inspect prints JSON ({error}): {text}"));
        value[0].clone()
    }

    /// The docker command on this engine's socket; `None`, said aloud, when there is no docker.
    #[track_caller]
    pub fn docker(&self, args: &[&str]) -> Option<Ran> {
        Some(command::run(
            self.docker_command(args)?,
            b"",
            command::LIMIT,
        ))
    }

    /// The docker command, ready to be changed before it runs.
    #[track_caller]
    pub fn docker_command(&self, args: &[&str]) -> Option<Command> {
        let mut docker = peer::docker(&self.socket())?;
        docker.args(args).env("HOME", self.scratch());
        Some(docker)
    }

    /// One API request with a JSON body.
    #[track_caller]
    pub fn api(&self, method: &str, path: &str, body: &str) -> Response {
        http::json(&self.socket(), method, path, body).expect("the engine answers")
    }

    /// The daemon's process id.
    pub fn daemon_pid(&self) -> Pid {
        self.daemon.as_ref().expect("the daemon runs").pid()
    }

    /// The spawner's process id: the daemon's child.
    #[track_caller]
    pub fn spawner_pid(&self) -> Pid {
        let daemon = self.daemon_pid();
        within(SOON, "the daemon has a spawner", || {
            children(daemon).first().copied()
        })
    }

    /// Kills the daemon with SIGKILL. Spawner and monitors are left to themselves.
    pub fn kill_daemon(&mut self) {
        let daemon = self.daemon.take().expect("the daemon runs");
        daemon.signal(Signal::KILL);
        let _ = daemon.finish(SOON);
    }

    /// Ends the daemon and all it has started, with all that was in memory, as a reboot does.
    pub fn reboot(&mut self) {
        self.kill_daemon();
        self.force();
        fs::remove_dir_all(self.run_dir()).expect("remove what a reboot takes");
    }

    /// Whether the daemon is still there.
    pub fn daemon_lives(&mut self) -> bool {
        self.daemon.as_mut().is_some_and(Background::running)
    }

    /// Takes note of a daemon that has died.
    #[track_caller]
    pub fn reap_daemon(&mut self) {
        let daemon = self.daemon.take().expect("there was a daemon");
        let _ = daemon.finish(SOON);
    }

    /// The daemon's command line: the mode comes first, its flags after it.
    pub fn daemon_command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .arg(self.mode)
            .arg("--data-dir")
            .arg(self.data_dir());
        command
            .arg("--run-dir")
            .arg(self.run_dir())
            .args(&self.flags);
        command
            .env("HOME", self.scratch())
            .env_remove("WEFT_CONFIG")
            .stdin(Stdio::null());
        command
    }

    /// Starts the daemon (again) and waits until it answers.
    #[track_caller]
    pub fn start_daemon(&mut self) {
        let daemon = Background::start(self.daemon_command());
        self.answering(daemon);
    }

    /// Kills the daemon while the next one waits for its end, and waits until that one answers.
    #[track_caller]
    pub fn replace_daemon(&mut self) {
        let next = Background::start(self.daemon_command());
        let open = format!("/proc/{}/fd", next.pid().as_raw_nonzero());
        until(SOON, "the next daemon waits", || {
            let open = std::fs::read_dir(&open).into_iter().flatten().flatten();
            let mut open = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
            open.any(|link| link.as_os_str() == "anon_inode:[pidfd]")
        });
        self.kill_daemon();
        self.answering(next);
    }

    #[track_caller]
    fn answering(&mut self, mut daemon: Background) {
        until(SOON, "the engine answers", || {
            assert!(
                daemon.running(),
                "the engine ended: {}{}",
                daemon.stdout(),
                daemon.stderr()
            );
            UnixStream::connect(self.socket()).is_ok()
        });
        self.daemon = Some(daemon);
    }

    /// What the daemon wrote to its log so far.
    pub fn daemon_log(&self) -> String {
        self.daemon
            .as_ref()
            .map(Background::stderr)
            .unwrap_or_default()
    }

    /// Everything of this instance that exists on the machine, except the daemon itself.
    pub fn leftovers(&self) -> Vec<String> {
        leftovers::of(&self.instance, &self.bridge, self.dir.path())
    }

    /// Stops the daemon with SIGTERM and returns how it ended.
    #[track_caller]
    pub fn stop_daemon(&mut self) -> Ran {
        let daemon = self.daemon.take().expect("the daemon runs");
        daemon.signal(Signal::TERM);
        daemon.finish(SOON)
    }

    fn learn_names(&mut self) {
        let network = self.api("GET", "/networks/bridge", "");
        let bridge = between(&network.body, "\"com.docker.network.bridge.name\":\"", "\"");
        self.bridge = bridge.unwrap_or_default().to_owned();
        let info = self.api("GET", "/info", "");
        let label = between(&info.body, "weft.instance=", "\"");
        self.instance = label
            .unwrap_or_else(|| panic!("/info names the instance: {}", info.body))
            .to_owned();
    }

    fn clean_up(&mut self) {
        let ids = self.weft(&["ps", "--all", "--quiet", "--no-trunc"]);
        let ids: Vec<&str> = ids.stdout.split_whitespace().collect();
        if !ids.is_empty() {
            let mut args = vec!["rm", "--force", "--volumes"];
            args.extend(ids);
            self.weft(&args).ok();
        }
        self.weft(&["network", "prune", "--force"]).ok();
        self.stop_daemon().code(0);
        self.leaves_nothing();
    }

    /// Waits until nothing of this instance is on the machine any more.
    #[track_caller]
    pub fn leaves_nothing(&self) {
        let began = Instant::now();
        loop {
            let left = self.leftovers();
            if left.is_empty() {
                return;
            }
            assert!(began.elapsed() < SOON, "left behind: {left:#?}");
            wait::pause();
        }
    }

    /// Kills until nobody is left: who is killed late may have started others meanwhile.
    fn kill_all(&mut self) {
        // It would start again what is killed before it.
        if let Some(daemon) = self.daemon.take() {
            daemon.signal(Signal::KILL);
        }
        let began = Instant::now();
        loop {
            let processes = leftovers::processes(self.dir.path());
            for (pid, _) in &processes {
                if let Some(pid) = Pid::from_raw(*pid) {
                    let _ = kill_process(pid, Signal::KILL);
                }
            }
            let all = leftovers::cgroups(&self.instance).into_iter().next();
            let is_full = all.is_some_and(|all| {
                let _ = fs::write(all.join("cgroup.kill"), "1");
                let events = fs::read_to_string(all.join("cgroup.events"));
                events.is_ok_and(|events| events.contains("populated 1"))
            });
            let is_done = processes.is_empty() && !is_full;
            if is_done || began.elapsed() > Duration::from_secs(5) {
                return;
            }
            wait::pause();
        }
    }

    /// For tests that failed on the way: ends the instance's own processes by id, and its cgroup.
    fn force(&mut self) {
        self.kill_all();
        // Killed processes leave their cgroup a moment later.
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(5) {
            let cgroups = leftovers::cgroups(&self.instance);
            if cgroups.is_empty() {
                break;
            }
            for cgroup in cgroups.into_iter().rev() {
                let _ = fs::remove_dir(cgroup);
            }
            wait::pause();
        }
        for place in leftovers::mount_points(self.dir.path()).iter().rev() {
            let _ = rustix::mount::unmount(place, rustix::mount::UnmountFlags::DETACH);
        }
        // A bridge does not take with it what is plugged into it.
        for link in leftovers::links(&self.instance, &self.bridge) {
            let _ = Command::new("ip").args(["link", "delete", &link]).output();
        }
        for family in ["inet", "bridge"] {
            let _ = Command::new("nft")
                .args(["delete", "table", family, &self.instance])
                .output();
        }
    }
}

impl Drop for Weft {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.daemon_log());
            self.force();
        } else if self.daemon.is_some() {
            let cleaned = catch_unwind(AssertUnwindSafe(|| self.clean_up()));
            if let Err(why) = cleaned {
                self.force();
                resume_unwind(why);
            }
        } else {
            self.force();
        }
    }
}

/// Children of a process, by the kernel's own list.
pub fn children(pid: Pid) -> Vec<Pid> {
    let pid = pid.as_raw_nonzero();
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let lists =
        tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
    let mut found = Vec::new();
    for list in lists {
        found.extend(
            list.split_whitespace()
                .filter_map(|pid| Pid::from_raw(pid.parse().ok()?)),
        );
    }
    found
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?
        .1
        .split_once(after)
        .map(|(found, _)| found)
}

/// Whether a process is alive: there, and no zombie.
pub fn alive(pid: i32) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"))
        .unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| state != 'Z')
}

/// How long a hundred containers may take for one step.
pub const CROWD: Duration = Duration::from_secs(180);

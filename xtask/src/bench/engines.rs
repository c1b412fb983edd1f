//! `run --rm` of a program that only exits: weft, docker, podman; without and with a network.
//! Owns starting and stopping the engines; other phases use them, too.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::event::{Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};

use super::image;
use super::stats::{Contender, race};

const ROUNDS: usize = 40;
/// How long a daemon may take to answer, or to end.
const DAEMON_MAX: Duration = Duration::from_secs(60);

/// Runs the phase.
pub fn run(weft: &Path, dir: &Path) -> Result<()> {
    let engines = Engines::start(weft, dir)?;
    engines.load(&image::small(dir)?)?;
    for (case, flags) in [
        ("run --rm, no network", &["--network", "none"][..]),
        ("run --rm, bridge", &[]),
    ] {
        let run = |engine: &Engine| {
            let engine = engine.clone();
            let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
            let name = engine.name.clone();
            Contender::new(&name, move || {
                let mut command = engine.command(&["run", "--rm"]);
                command.args(&flags).args(["bench:1", "/true"]);
                command
            })
        };
        race(case, ROUNDS, engines.all().map(run).collect())?;
    }
    exec(&engines)
}

fn exec(engines: &Engines) -> Result<()> {
    for engine in engines.all() {
        engine.start_idle("host")?;
    }
    let exec = |engine: &Engine| {
        let engine = engine.clone();
        let name = engine.name.clone();
        Contender::new(&name, move || engine.command(&["exec", "host", "/true"]))
    };
    race("exec", ROUNDS, engines.all().map(exec).collect())?;
    for engine in engines.all() {
        let _ = engine.command(&["rm", "--force", "host"]).output();
    }
    Ok(())
}

/// One engine's command line.
#[derive(Clone)]
pub struct Engine {
    /// What the table calls it.
    pub name: String,
    program: PathBuf,
    args: Vec<String>,
    environment: Option<(&'static str, PathBuf)>,
}

impl Engine {
    /// The engine's command with its global flags and `args`.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .args(args)
            .envs(self.environment.clone());
        command
    }

    /// Starts the container `name`, which does nothing for an hour; whether it runs is in the answer.
    pub fn start_idle(&self, name: &str) -> Result<Output> {
        let args = ["run", "--detach", "--network", "none", "--name", name];
        self.command(&args)
            .args(["bench:1", "/bin/busybox", "sleep", "3600"])
            .output()
            .with_context(|| format!("start container {name}"))
    }
}

/// Running daemons, stopped when dropped.
pub struct Engines {
    /// weft.
    pub weft: Engine,
    /// docker and podman, where they could be started.
    pub peers: Vec<Engine>,
    /// The address of the containerd dockerd started.
    pub containerd: PathBuf,
    daemons: Vec<Child>,
}

impl Engines {
    /// Starts weft and dockerd in directories below `dir`.
    pub fn start(weft: &Path, dir: &Path) -> Result<Engines> {
        let mut engines = Engines::weft_only(weft, dir)?;
        let (program, socket) = (PathBuf::from("docker"), dir.join("docker.sock"));
        let docker = Engine {
            name: "docker".into(),
            program,
            args: vec!["--host".into(), format!("unix://{}", socket.display())],
            environment: None,
        };
        let mut dockerd = Command::new("dockerd");
        dockerd
            .arg("--data-root")
            .arg(dir.join("docker"))
            .arg("--exec-root")
            .arg(dir.join("run/docker"));
        dockerd
            .arg("--pidfile")
            .arg(dir.join("docker.pid"))
            .arg("--host")
            .arg(format!("unix://{}", socket.display()));
        match engines.daemon(dockerd, &socket, &dir.join("dockerd.log")) {
            Ok(()) => engines.peers.push(docker),
            Err(error) => println!("dockerd is left out: {error:#}"),
        }
        engines.containerd = dir.join("run/docker/containerd/containerd.sock");
        let flag = |name: &str, at: &str| [name.to_owned(), dir.join(at).display().to_string()];
        let args = [flag("--root", "podman"), flag("--runroot", "run/podman")].concat();
        // Its defaults ask for more than a machine without CAP_SYS_RESOURCE gives.
        let conf = dir.join("containers.conf");
        let text = "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=4096:4096\"]\n[engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\n";
        fs::write(&conf, text).with_context(|| format!("write {}", conf.display()))?;
        engines.peers.push(Engine {
            name: "podman".into(),
            program: "podman".into(),
            args,
            environment: Some(("CONTAINERS_CONF", conf)),
        });
        Ok(engines)
    }

    /// Starts weft alone.
    pub fn weft_only(weft: &Path, dir: &Path) -> Result<Engines> {
        let flag = |name: &str, at: &str| [name.to_owned(), dir.join(at).display().to_string()];
        let args = [flag("--data-dir", "weft"), flag("--run-dir", "run/weft")].concat();
        let engine = Engine {
            name: "weft".into(),
            program: weft.to_path_buf(),
            args: args.clone(),
            environment: None,
        };
        let mut engines = Engines {
            weft: engine,
            peers: Vec::new(),
            containerd: PathBuf::new(),
            daemons: Vec::new(),
        };
        let mut daemon = Command::new(weft);
        daemon.arg("engine").args(&args);
        engines.daemon(
            daemon,
            &dir.join("run/weft/engine.sock"),
            &dir.join("weft.log"),
        )?;
        Ok(engines)
    }

    /// weft first, then its peers.
    pub fn all(&self) -> impl Iterator<Item = &Engine> {
        std::iter::once(&self.weft).chain(&self.peers)
    }

    /// weft's daemon.
    pub fn weft_pid(&self) -> u32 {
        self.daemons.first().map(Child::id).unwrap_or_default()
    }

    /// Loads an archive everywhere.
    pub fn load(&self, archive: &Path) -> Result<()> {
        for engine in self.all() {
            let output = engine
                .command(&["load", "--input"])
                .arg(archive)
                .output()
                .context("load the image")?;
            if !output.status.success() {
                println!(
                    "{} cannot load the image: {}",
                    engine.name,
                    String::from_utf8_lossy(&output.stderr)
                );
            }
        }
        Ok(())
    }

    fn daemon(&mut self, mut command: Command, socket: &Path, log: &Path) -> Result<()> {
        let log_file =
            fs::File::create(log).with_context(|| format!("create {}", log.display()))?;
        let copy = log_file.try_clone().context("copy the log")?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(copy)
            .stderr(log_file)
            .spawn()
            .with_context(|| format!("start {command:?}"))?;
        let began = Instant::now();
        while UnixStream::connect(socket).is_err() {
            if began.elapsed() > DAEMON_MAX || !matches!(child.try_wait(), Ok(None)) {
                let _ = child.kill();
                let _ = child.wait();
                let text = fs::read_to_string(log).unwrap_or_default();
                bail!(
                    "it does not answer: {}",
                    text.lines().last().unwrap_or_default()
                );
            }
            pause();
        }
        self.daemons.push(child);
        Ok(())
    }
}

impl Drop for Engines {
    fn drop(&mut self) {
        for engine in self.all() {
            let ids = engine.command(&["ps", "--all", "--quiet"]).output();
            let ids = ids
                .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
                .unwrap_or_default();
            if !ids.is_empty() {
                let _ = engine
                    .command(&["rm", "--force"])
                    .args(ids.split_whitespace())
                    .output();
            }
        }
        for daemon in &mut self.daemons {
            let _ = kill_process(Pid::from_child(daemon), Signal::TERM);
            let began = Instant::now();
            while matches!(daemon.try_wait(), Ok(None)) && began.elapsed() < DAEMON_MAX {
                pause();
            }
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

/// One short pause; nothing is being measured meanwhile.
pub fn pause() {
    let _ = poll(
        &mut [],
        Some(&Timespec {
            tv_sec: 0,
            tv_nsec: 20_000_000,
        }),
    );
}

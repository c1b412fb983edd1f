//! Where the demo plays: an engine in directories of its own, and a transcript of what is done.
//!
//! Whatever happens, dropping the stage ends what it started.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// How long an engine or a server may take to begin, or to end.
const PATIENCE: Duration = Duration::from_secs(20);
/// Addresses of the demo's pods.
const POD_SUBNET: &str = "10.254.253.0/24";
/// How long a page may take.
const FETCH_MAX: Duration = Duration::from_secs(10);

pub struct Stage {
    dir: Option<tempfile::TempDir>,
    path: PathBuf,
    started: Instant,
}

impl Stage {
    pub fn new() -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("weft-demo-")
            .tempdir()
            .context("make a directory")?;
        let path = dir.path().to_owned();
        println!("weft demo: an engine of its own in {}\n", path.display());
        Ok(Self {
            dir: Some(dir),
            path,
            started: Instant::now(),
        })
    }

    pub fn dir(&self) -> &Path {
        &self.path
    }

    /// A sentence of the transcript.
    pub fn say(&self, text: &str) {
        println!("# {text}\n");
    }

    /// Runs a weft command as a person would, and shows it with its output and time.
    pub fn weft(&self, args: &[&str]) -> Result<String> {
        println!("$ weft {}", shown(args));
        let begun = Instant::now();
        let output = self.command(args).output().context("run weft")?;
        let took = begun.elapsed();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        for line in text.lines().chain(errors.lines()) {
            println!("  {line}");
        }
        println!("  [{}]\n", duration(took));
        ensure!(
            output.status.success(),
            "`weft {}` failed: {}",
            shown(args),
            errors.trim()
        );
        Ok(text)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("/proc/self/exe");
        command
            .arg("--data-dir")
            .arg(self.path.join("data"))
            .arg("--run-dir")
            .arg(self.path.join("run"))
            .args(args)
            .stdin(Stdio::null());
        command
    }

    /// Fetches the page at `address` and shows what came.
    pub fn fetch(&self, address: &str) -> Result<()> {
        println!("$ curl http://{address}/");
        let begun = Instant::now();
        let page = get(address).with_context(|| format!("fetch http://{address}/"))?;
        let title = page
            .lines()
            .find(|l| l.contains("<h1>"))
            .unwrap_or_default();
        println!("  {} bytes: {title}", page.len());
        println!("  [{}]\n", duration(begun.elapsed()));
        Ok(())
    }

    /// Ends the engine as a crash would.
    pub fn kill_engine(&self) -> Result<()> {
        let pid = self.engine_pid().context("find the engine")?;
        println!("$ kill -9 {pid}   # the engine");
        self.end_engine(Signal::KILL, Duration::from_secs(10))?;
        println!();
        Ok(())
    }

    /// Ends the engine in good order, for another to take its place.
    pub fn end_engine_now(&self) -> Result<()> {
        self.end_engine(Signal::TERM, PATIENCE)
    }

    /// Starts a server in the engine's place, and waits until it answers.
    pub fn start_server(&self) -> Result<()> {
        println!("$ weft server &");
        let begun = Instant::now();
        let log = self.path.join("server.log");
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&log);
        let file = file.with_context(|| format!("open {}", log.display()))?;
        let mut server = self.command(&["server", "--listen", "127.0.0.1:0"]);
        server.args(["--node-name", "demo", "--pod-subnet", POD_SUBNET]);
        server.stdout(file.try_clone()?).stderr(file);
        let mut server = server.spawn().context("start the server")?;
        loop {
            let ready = self.command(&["get", "--raw", "/readyz"]).output()?;
            if ready.status.success() {
                break;
            }
            if let Some(status) = server.try_wait()? {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                bail!("the server ended ({status}): {said}");
            }
            ensure!(begun.elapsed() < PATIENCE, "the server does not answer");
            pause();
        }
        println!("  [{}]\n", duration(begun.elapsed()));
        Ok(())
    }

    /// Waits, without a line in the transcript, until a command says what is waited for.
    pub fn until(&self, what: &str, args: &[&str], is: impl Fn(&str) -> bool) -> Result<()> {
        let begun = Instant::now();
        loop {
            let output = self.command(args).output().context("run weft")?;
            if output.status.success() && is(&String::from_utf8_lossy(&output.stdout)) {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
            pause();
        }
    }

    /// Something of the transcript that is no command of weft's.
    pub fn show(&self, command: &str, text: &str) {
        println!("$ {command}");
        for line in text.lines() {
            println!("  {line}");
        }
        println!();
    }

    fn engine_pid(&self) -> Option<i32> {
        let text = std::fs::read_to_string(self.path.join("run/engine.pid-lock")).ok()?;
        text.lines().next()?.trim().parse().ok()
    }

    /// Signals the engine and waits until it is gone; one that does not run is fine.
    fn end_engine(&self, signal: Signal, patience: Duration) -> Result<()> {
        let Some(pid) = self.engine_pid().and_then(Pid::from_raw) else {
            return Ok(());
        };
        let Ok(engine) = pidfd_open(pid, PidfdFlags::empty()) else {
            return Ok(());
        };
        pidfd_send_signal(&engine, signal).context("signal the engine")?;
        let limit = rustix::time::Timespec {
            tv_sec: i64::try_from(patience.as_secs()).unwrap_or(60),
            tv_nsec: 0,
        };
        let gone = poll(&mut [PollFd::new(&engine, PollFlags::IN)], Some(&limit))
            .context("wait for the engine")?;
        ensure!(
            gone == 1,
            "the engine (pid {}) does not end",
            pid.as_raw_nonzero()
        );
        Ok(())
    }

    /// Leaves everything running and says how to get at it and rid of it.
    pub fn keep(mut self, address: &str) {
        if let Some(dir) = self.dir.take() {
            let _ = dir.keep();
        }
        let flags = format!("--data-dir {0}/data --run-dir {0}/run", self.path.display());
        println!("It is left running:  http://{address}/");
        println!("Look at it with      weft {flags} ps");
        println!("End it with          weft {flags} rm -f web");
        println!(
            "                     kill $(cat {0}/run/engine.pid-lock) && rm -r {0}",
            self.path.display()
        );
    }

    /// Ends the engine in good order; nothing stays behind.
    pub fn finish(self) -> Result<()> {
        self.end_engine(Signal::TERM, PATIENCE)?;
        let took = self.started.elapsed();
        drop(self);
        println!("Done in {}; nothing is left behind.", duration(took));
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.dir.is_none() || self.engine_pid().is_none() {
            return;
        }
        // An engine that is gone already leaves its containers to us; one that is up ends them.
        let _ = self.command(&["rm", "-f", super::NAME]).output();
        let _ = self.command(&["undeploy", super::NAME]).output();
        let _ = self.command(&["delete", "pods", "--all", "--now"]).output();
        let _ = self.end_engine(Signal::TERM, PATIENCE);
    }
}

fn get(address: &str) -> Result<String> {
    let socket = address
        .parse()
        .with_context(|| format!("{address} is no address"))?;
    let begun = Instant::now();
    // The port is published before the server in the container listens.
    let mut stream = loop {
        match exchange(&socket) {
            Ok(page) => break page,
            Err(error) if begun.elapsed() > FETCH_MAX => return Err(error),
            Err(_) => pause(),
        }
    };
    let body = stream.find("\r\n\r\n").map(|at| stream.split_off(at + 4));
    match body {
        Some(body) if stream.starts_with("HTTP/1.1 200") => Ok(body),
        _ => bail!(
            "the answer is not a page: {}",
            stream.lines().next().unwrap_or_default()
        ),
    }
}

fn exchange(socket: &std::net::SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(socket, FETCH_MAX)?;
    stream.set_read_timeout(Some(FETCH_MAX))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    ensure!(!text.is_empty(), "the connection was closed at once");
    Ok(text)
}

fn pause() {
    let moment = rustix::time::Timespec {
        tv_sec: 0,
        tv_nsec: 5_000_000,
    };
    let _ = poll(&mut [], Some(&moment));
}

fn shown(args: &[&str]) -> String {
    let quote = |a: &&str| {
        if a.contains([' ', '"', '[']) {
            format!("'{a}'")
        } else {
            (*a).to_owned()
        }
    };
    args.iter().map(quote).collect::<Vec<_>>().join(" ")
}

fn duration(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{:.1} ms", time.as_secs_f64() * 1e3)
    } else {
        format!("{:.2} s", time.as_secs_f64())
    }
}

//! Runs a container directory step by step, driven by lines on standard input.
//!
//! ```text
//! cargo run -p weft-runtime --example launch -- DIR
//! create | start | exec {process} | kill SIGNAL | wait | read
//! ```
//! `DIR` holds `config.json` and may hold `launch.json`: `{"overlay": {"lower": [..], "upper": ..,
//! "work": ..}, "base": first id of a user namespace made beforehand with a network namespace}`.
//! Answers each line with one line of JSON. It is a program because launching needs a process with
//! one thread, which a test is not; the tests of this crate drive it.

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{Process, Spec};
use serde_json::{Value, json};
use weft_runtime::cgroup::Hierarchy;
use weft_runtime::launch::{
    CreateRequest, Created, ExecRequest, Join, LaunchError, Rootfs, Stdio, create, exec,
};
use weft_sys::namespace::{IdMap, Kind, Kinds, create_user};
use weft_sys::process::wait;

type Any = Result<Value, Box<dyn Error>>;

struct Session {
    dir: PathBuf,
    created: Option<Created>,
    init: Option<OwnedFd>,
    terminal: Option<OwnedFd>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let dir = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: launch DIR")?);
    let mut session = Session {
        dir,
        created: None,
        init: None,
        terminal: None,
    };
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (verb, argument) = line.split_once(' ').unwrap_or((&line, ""));
        let answer = session
            .answer(verb, argument)
            .unwrap_or_else(|error| describe(&*error));
        writeln!(std::io::stdout(), "{answer}")?;
    }
    Ok(())
}

fn describe(error: &(dyn Error + 'static)) -> Value {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    let launch = error.downcast_ref::<LaunchError>();
    json!({
        "error": text,
        "not_found": launch.is_some_and(LaunchError::is_not_found),
        "not_executable": launch.is_some_and(LaunchError::is_not_executable),
    })
}

impl Session {
    fn answer(&mut self, verb: &str, argument: &str) -> Any {
        match verb {
            "create" => self.create(),
            "start" => {
                let running = self.created.take().ok_or("not created")?.start()?;
                self.terminal = running.terminal;
                self.init = Some(running.pidfd);
                Ok(json!({ "pid": running.pid }))
            }
            "exec" => self.exec(argument),
            "kill" => {
                let init = self.init.as_ref().ok_or("not started")?;
                weft_sys::process::signal(init, argument.parse()?)?;
                Ok(json!({}))
            }
            "wait" => {
                let code = wait(self.init.as_ref().ok_or("not started")?)?.status();
                Ok(json!({ "code": code }))
            }
            "write" => {
                let terminal = self.terminal.as_ref().ok_or("no terminal")?.try_clone()?;
                File::from(terminal).write_all(format!("{argument}\n").as_bytes())?;
                Ok(json!({}))
            }
            // Drops what it knows of the container, and removes its cgroup.
            "forget" => {
                self.init = None;
                let spec: Value =
                    serde_json::from_slice(&std::fs::read(self.dir.join("config.json"))?)?;
                if let Some(path) = spec["linux"]["cgroupsPath"].as_str() {
                    Hierarchy::find()?.remove(path)?;
                }
                Ok(json!({}))
            }
            // Reads the terminal to its end.
            "read" => {
                let terminal = self.terminal.take().ok_or("no terminal")?;
                Ok(json!({ "text": drain(terminal) }))
            }
            other => Err(format!("unknown: {other}").into()),
        }
    }

    fn create(&mut self) -> Any {
        let spec: Spec = serde_json::from_slice(&std::fs::read(self.dir.join("config.json"))?)?;
        let options = match std::fs::read(self.dir.join("launch.json")) {
            Ok(bytes) => serde_json::from_slice(&bytes)?,
            Err(_) => json!({}),
        };
        let process = spec.process().as_ref().ok_or("no process")?;
        let stdio = self.stdio(process, "")?;
        let request = CreateRequest {
            id: "example".to_owned(),
            dir: self.dir.clone(),
            rootfs: rootfs(&options),
            join: sandbox(&options)?,
            stdio,
            spec,
            preserve_fds: 0,
            reaper: false,
        };
        let created = create(request)?;
        let answer = json!({ "pid": created.pid });
        self.created = Some(created);
        Ok(answer)
    }

    fn exec(&mut self, process: &str) -> Any {
        let process: Process = serde_json::from_str(process)?;
        let spec: Spec = serde_json::from_slice(&std::fs::read(self.dir.join("config.json"))?)?;
        let stdio = self.stdio(&process, "exec.")?;
        let init_pidfd = self.init.as_ref().ok_or("not started")?.try_clone()?;
        let running = exec(ExecRequest {
            init_pidfd,
            spec,
            process,
            stdio,
        })?;
        let text = running.terminal.map(drain);
        Ok(json!({ "code": wait(&running.pidfd)?.status(), "text": text }))
    }

    fn stdio(&self, process: &Process, prefix: &str) -> Result<Stdio, Box<dyn Error>> {
        if process.terminal().unwrap_or(false) {
            return Ok(Stdio::Terminal);
        }
        let open = |name: &str| -> std::io::Result<OwnedFd> {
            let path = self.dir.join(format!("{prefix}{name}"));
            Ok(File::create(path)?.into())
        };
        Ok(Stdio::Fds {
            stdin: File::open("/dev/null")?.into(),
            stdout: open("stdout")?,
            stderr: open("stderr")?,
        })
    }
}

/// A terminal whose last user is gone gives EIO: that is its end.
fn drain(terminal: OwnedFd) -> String {
    let mut bytes = Vec::new();
    let _ = File::from(terminal).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn rootfs(options: &Value) -> Rootfs {
    let overlay = &options["overlay"];
    let path = |value: &Value| Path::new(value.as_str().unwrap_or_default()).to_owned();
    match overlay["lower"].as_array() {
        None => Rootfs::Directory,
        Some(lower) => Rootfs::Overlay {
            lower: lower.iter().map(path).collect(),
            upper: path(&overlay["upper"]),
            work: path(&overlay["work"]),
        },
    }
}

fn sandbox(options: &Value) -> Result<Vec<Join>, Box<dyn Error>> {
    let Some(base) = options["base"].as_u64() else {
        return Ok(Vec::new());
    };
    let map = IdMap {
        inside: 0,
        outside: u32::try_from(base)?,
        count: 65536,
    };
    let (user, others) = create_user(&[map], &[map], Kinds::from(Kind::Network))?;
    let mut join = vec![Join {
        kind: Kind::User,
        fd: user,
    }];
    join.extend(others.into_iter().map(|(kind, fd)| Join { kind, fd }));
    Ok(join)
}

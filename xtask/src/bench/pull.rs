//! Pulling a large image from a registry on loopback: weft, docker, podman, ctr; and skopeo, which
//! does not unpack, as the bound they share. Owns the registry.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::engines::{Engine, Engines, pause};
use super::image;
use super::stats::{Contender, race};

const ROUNDS: usize = 2;
const ADDRESS: &str = "127.0.0.1:5000";

/// Runs the phase.
pub fn run(weft: &Path, dir: &Path) -> Result<()> {
    let _registry = registry(dir)?;
    let archive = image::large(dir)?;
    let name = format!("{ADDRESS}/large:1");
    let mut push = Command::new("skopeo");
    push.args([
        "copy",
        "--insecure-policy",
        "--quiet",
        "--dest-tls-verify=false",
    ]);
    push.arg(format!("docker-archive:{}", archive.display()))
        .arg(format!("docker://{name}"));
    if !push.status().context("start skopeo")?.success() {
        bail!("skopeo cannot fill the registry");
    }
    fs::remove_file(&archive).context("remove the archive")?;
    println!(
        "the registry holds {} MB\n",
        size(&dir.join("registry")) / 1_000_000
    );

    let engines = Engines::start(weft, dir)?;
    let mut contenders: Vec<Contender> = engines
        .all()
        .map(|engine| contender(engine, &name))
        .collect();
    contenders.push(ctr(&engines.containerd, &name));
    contenders.push(skopeo(dir, &name));
    race("pull", ROUNDS, contenders)
}

fn contender(engine: &Engine, name: &str) -> Contender {
    let (pulls, removes) = (engine.clone(), engine.clone());
    let (pulled, removed) = (name.to_owned(), name.to_owned());
    let flags: &[&str] = if engine.name == "podman" {
        &["--tls-verify=false"]
    } else {
        &[]
    };
    Contender::new(&engine.name, move || {
        let mut command = pulls.command(&["pull", "--quiet"]);
        command.args(flags).arg(&pulled);
        command
    })
    .before(move || removes.command(&["rmi", "--force", &removed]))
}

fn ctr(socket: &Path, name: &str) -> Contender {
    let command = |socket: &Path, args: &[&str]| {
        let mut ctr = Command::new("ctr");
        ctr.arg("--address")
            .arg(socket)
            .args(["--namespace", "bench"])
            .args(args);
        ctr
    };
    let (pulls, removes) = (socket.to_path_buf(), socket.to_path_buf());
    let (pulled, removed) = (name.to_owned(), name.to_owned());
    Contender::new("ctr", move || {
        command(&pulls, &["images", "pull", "--plain-http", &pulled])
    })
    .before(move || command(&removes, &["images", "remove", "--sync", &removed]))
}

fn skopeo(dir: &Path, name: &str) -> Contender {
    let target = dir.join("skopeo");
    let (from, to, old) = (
        format!("docker://{name}"),
        format!("dir:{}", target.display()),
        target,
    );
    Contender::new("skopeo copy, not unpacked", move || {
        let mut command = Command::new("skopeo");
        command.args([
            "copy",
            "--insecure-policy",
            "--quiet",
            "--src-tls-verify=false",
            &from,
            &to,
        ]);
        command
    })
    .before(move || {
        let mut remove = Command::new("rm");
        remove.arg("-rf").arg(&old);
        remove
    })
}

struct Registry(Child);

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn registry(dir: &Path) -> Result<Registry> {
    let config = dir.join("registry.yml");
    let root = dir.join("registry");
    let text = format!(
        "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {ADDRESS}\n",
        root.display()
    );
    fs::write(&config, text).context("write the registry's config")?;
    let mut command = Command::new("docker-registry");
    command
        .arg("serve")
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let registry = Registry(command.spawn().context("start docker-registry")?);
    let began = Instant::now();
    while TcpStream::connect(ADDRESS).is_err() {
        if began.elapsed() > Duration::from_secs(30) {
            bail!("the registry does not answer");
        }
        pause();
    }
    Ok(registry)
}

fn size(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => size(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}

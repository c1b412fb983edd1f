//! A real `weft server`, as a child.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::client::{Access, Client};
use crate::etcd::free_address;
use crate::process::{self, LOOK, Process};

/// How long it may take until it answers.
const START_MAX: Duration = Duration::from_secs(120);

/// A running server.
#[derive(Debug)]
pub struct Server {
    process: Process,
    dir: PathBuf,
    /// How to talk to it.
    pub access: Access,
    /// From its start until `/readyz` answered.
    pub took: Duration,
}

impl Server {
    /// Starts it with what is, or will be, in `dir`.
    pub async fn start(weft: &Path, dir: &Path) -> Result<Server> {
        std::fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
        let address = free_address()?;
        let mut command = Command::new(weft);
        let data = dir.join("data");
        command.arg("server").arg("--data-dir").arg(&data);
        command.arg("--run-dir").arg(dir.join("run"));
        command.args(["--listen", &address]);
        let mut access = None;
        let kubeconfig = dir.join("kubeconfig");
        if kubeconfig.exists() {
            access = Some(Access::read(&kubeconfig, &address)?);
        }
        let began = Instant::now();
        let mut process = Process::start(&mut command, &dir.join("server.log"), false)?;
        while began.elapsed() < START_MAX {
            process.still_runs().context("weft server")?;
            if access.is_none() && write_kubeconfig(weft, &data, &kubeconfig) {
                access = Some(Access::read(&kubeconfig, &address)?);
            }
            if let Some(access) = &access
                && is_ready(access).await
            {
                let access = access.clone();
                let took = began.elapsed();
                return Ok(Server {
                    process,
                    dir: dir.to_owned(),
                    access,
                    took,
                });
            }
            tokio::time::sleep(LOOK).await;
        }
        bail!("weft server does not answer")
    }

    /// Takes in the images of an archive.
    pub fn load(&self, weft: &Path, archive: &Path) -> Result<()> {
        let mut command = Command::new(weft);
        command.arg("--data-dir").arg(self.dir.join("data"));
        command.arg("--run-dir").arg(self.dir.join("run"));
        let loaded = command.arg("load").arg("--input").arg(archive).output();
        let loaded = loaded.context("start weft load")?;
        if !loaded.status.success() {
            bail!("weft load: {}", String::from_utf8_lossy(&loaded.stderr));
        }
        Ok(())
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Resident memory of the daemon, and of its children, in MiB.
    pub fn rss_mib(&self) -> (f64, f64) {
        let children = process::children(self.id());
        let children = children.into_iter().map(process::rss_mib);
        (process::rss_mib(self.id()), children.sum())
    }

    /// What the daemon has had of the processors so far.
    pub fn cpu(&self) -> Duration {
        process::cpu(self.id())
    }

    /// One connection.
    pub async fn client(&self) -> Result<Client> {
        self.access.connect().await
    }
}

/// Whether there was an authority yet to write it with.
fn write_kubeconfig(weft: &Path, data: &Path, to: &PathBuf) -> bool {
    let mut command = Command::new(weft);
    command.arg("kubeconfig").arg("--data-dir").arg(data);
    let written = command.arg("--output").arg(to).output();
    written.is_ok_and(|output| output.status.success())
}

async fn is_ready(access: &Access) -> bool {
    let Ok(mut client) = access.connect().await else {
        return false;
    };
    client.get("/readyz").await.is_ok()
}

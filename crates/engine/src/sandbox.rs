//! Sandboxes: namespaces, network and files of /etc that several containers share, and that live as
//! long as nobody removes them, whether a container runs or not.
//!
//! ```text
//!   create ─► record        <data-dir>/sandboxes/<id>/sandbox.json
//!   start  ─► namespaces ─► pinned to files ─► network ─► hosts, hostname, resolv.conf
//!             <run-dir>/s/<id>/{user, net, ipc, uts, shm, hosts, …}
//!   remove ─► all of it, by the id alone
//! ```
//! A sandbox has no process: what holds its namespaces is a mount of each (`pins`). It survives the
//! engine; a reboot ends it, and starting makes it anew.
//! Never: the containers; they name their sandbox in their spec.

mod pins;
mod table;

use std::collections::{BTreeMap, HashSet};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use weft_stdx::{clock, id};
use weft_sys::namespace::{self, Kind};

use crate::container::record::{RECORD_VERSION, Record, State, Status};
use crate::engine::Engine;
use crate::error::{EngineError, ErrorCode, Result};
use crate::namespaces::{Namespaces, has_user_namespace};
use crate::paths::{make_dir, remove_tree};
use crate::spec::{
    Dns, Ipc, MountSource, MountSpec, NetworkMode, PortSpec, Resolved, Security, Sharing, Spec,
};

pub(crate) use pins::{clear, prepare};
use table::Sandbox;
pub(crate) use table::Table;

/// Size of /dev/shm unless told otherwise.
const SHM_BYTES: u64 = 64 << 20;
/// What is pinned, and how a container's document calls it.
const PINS: [(Kind, &str); 4] = [
    (Kind::User, "user"),
    (Kind::Network, "network"),
    (Kind::Ipc, "ipc"),
    (Kind::Uts, "uts"),
];
/// The directory of shared memory.
const SHM: &str = "shm";

/// What a sandbox is asked to be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SandboxSpec {
    /// Unique among sandboxes; letters, digits, `_`, `.` and `-`.
    pub name: String,
    /// The caller's; the engine gives them no meaning.
    pub labels: BTreeMap<String, String>,
    /// Host name; `None` is the machine's.
    pub hostname: Option<String>,
    /// NIS domain name.
    pub domainname: Option<String>,
    /// Where its network comes from: its own, none or the host's.
    pub network: NetworkMode,
    /// Published ports.
    pub ports: Vec<PortSpec>,
    /// Name servers, search domains and options for resolv.conf.
    pub dns: Dns,
    /// Extra lines for /etc/hosts: (name, address).
    pub extra_hosts: Vec<(String, String)>,
    /// No user namespace. A network or IPC of the host's implies it.
    pub userns_host: bool,
    /// The host's IPC, with its /dev/shm.
    pub ipc_host: bool,
    /// Size of /dev/shm in bytes; `None` means 64 MiB.
    pub shm_bytes: Option<u64>,
    /// Kernel settings of its network and IPC.
    pub sysctls: BTreeMap<String, String>,
    /// Directories in memory, by name, with their size in bytes: half of the machine's memory, if
    /// there is none. Containers find them in [`SandboxView::memory`].
    pub memory: BTreeMap<String, Option<u64>>,
}

/// A sandbox, looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct SandboxView {
    /// 64 hex characters.
    pub id: String,
    /// As asked for.
    pub name: String,
    /// As asked for.
    pub labels: BTreeMap<String, String>,
    /// Unix nanoseconds.
    pub created_at_ns: i64,
    /// Unix nanoseconds: when its namespaces were made; 0 when they were not.
    pub started_at_ns: i64,
    /// Its namespaces are there: containers may join.
    pub ready: bool,
    /// Its address, while it is ready and has a network of its own.
    pub address: Option<Ipv4Addr>,
    /// The host's id of its root; 0 without a user namespace.
    pub id_base: u32,
    /// Its network namespace, while it is ready.
    pub netns: PathBuf,
    /// Where its directories in memory are, each in a directory of its own.
    pub memory: BTreeMap<String, PathBuf>,
}

impl Engine {
    /// Writes down a sandbox; it has nothing yet. Answers its id.
    ///
    /// # Errors
    /// The name is taken or none, a network is not there, the engine was opened without sandboxes.
    pub async fn create_sandbox(&self, spec: SandboxSpec) -> Result<String> {
        self.blocking(move |engine| engine.create_sandbox_blocking(spec))
            .await
    }

    fn create_sandbox_blocking(&self, spec: SandboxSpec) -> Result<String> {
        if !self.inner.config.sandboxes {
            return Err(EngineError::conflict(
                "this engine was started without sandboxes",
            ));
        }
        crate::names::check(&spec.name)?;
        if let Some(name) = spec
            .memory
            .keys()
            .find(|name| !weft_stdx::name::is_plain(name))
        {
            let name = weft_stdx::name::shown(name);
            return Err(EngineError::invalid(format!(
                "{name} is no name for a directory in memory"
            )));
        }
        let id = id::random_hex(32);
        let record = lower(id.clone(), spec);
        if let NetworkMode::Container(_) | NetworkMode::Sandbox(_) = &record.spec.network {
            return Err(EngineError::invalid(
                "a sandbox has a network of its own, none, or the host's",
            ));
        }
        if let NetworkMode::Networks(list) = &record.spec.network {
            for attach in list {
                self.network(&attach.network)?;
            }
            self.check_ports(&record.spec, &record.resolved, list)?;
        }
        crate::oci::check_sysctls(&record.spec)?;
        let sandbox = Arc::new(Sandbox::new(record));
        self.inner.sandboxes.insert(&sandbox)?;
        let dir = self.inner.paths.sandbox(&id);
        let written = make_dir(&dir).and_then(|()| sandbox.update(&self.inner.paths, |_| {}));
        if let Err(error) = written {
            let _ = self.inner.trash.put(&dir);
            self.inner.sandboxes.remove(&id);
            return Err(failed("write the record of", &sandbox, error));
        }
        Ok(id)
    }

    /// Makes what a sandbox is of, unless it is there.
    ///
    /// # Errors
    /// There is none, or something of it can't be made; nothing is left of it then.
    pub async fn start_sandbox(&self, reference: &str) -> Result<()> {
        let sandbox = self.find_sandbox(reference)?;
        let _operation = sandbox.operation.lock().await;
        if sandbox.with(is_ready) {
            return Ok(());
        }
        if !self.inner.sandboxes.has(&sandbox.id) {
            return Err(missing(reference));
        }
        let target = Arc::clone(&sandbox);
        self.blocking(move |engine| {
            let started = engine.start_sandbox_blocking(&target);
            if started.is_err() {
                engine.release_sandbox(&target);
            }
            started
        })
        .await
    }

    fn start_sandbox_blocking(&self, sandbox: &Sandbox) -> Result<()> {
        self.release_sandbox(sandbox);
        let mut record = sandbox.record();
        let dir = self.inner.paths.sandbox_run(&record.id);
        make_dir(&dir).map_err(|e| failed("make the directory of", sandbox, e))?;
        let mut namespaces = self.make_namespaces(&record)?;
        record.state.id_base = namespaces.id_base;
        // Before anything else: by this the range is given back.
        sandbox.note(|r| r.state.id_base = record.state.id_base);
        let attachments = self.attach_networks(&record, &mut namespaces)?;
        self.pin(sandbox, &record, &namespaces)?;
        self.set_upstreams(&record, &attachments)?;
        self.write_network_files(&dir, &record, &attachments, record.state.id_base)?;
        let id_base = record.state.id_base;
        let saved = sandbox.update(&self.inner.paths, |r| {
            r.attachments = attachments;
            r.state.status = Status::Running;
            r.state.started_at_ns = clock::unix_ns();
            r.state.id_base = id_base;
            boot_id_of(&mut r.state);
        });
        saved.map_err(|e| failed("write the record of", sandbox, e))
    }

    /// Gives each namespace a file that holds it, and makes the shared memory.
    fn pin(&self, sandbox: &Sandbox, record: &Record, namespaces: &Namespaces) -> Result<()> {
        let failed = |e| failed("keep the namespaces of", sandbox, e);
        let dir = self.inner.paths.sandbox_run(&record.id);
        let user = namespaces.user.as_ref();
        if let Some(user) = user {
            pins::pin(user, &dir.join(Kind::User.file_name())).map_err(failed)?;
        }
        let host = |kind| namespace::of_self(kind).map_err(failed);
        match &namespaces.net {
            Some(net) => pins::pin(net, &dir.join(Kind::Network.file_name())),
            None => pins::pin(host(Kind::Network)?, &dir.join(Kind::Network.file_name())),
        }
        .map_err(failed)?;
        let made = self
            .inner
            .spawner
            .ipc_and_uts(user.map(std::os::fd::AsFd::as_fd));
        let (ipc, uts) = made.map_err(|e| {
            EngineError::internal(format!("make the namespaces of sandbox {}", record.name), e)
        })?;
        let ipc = match record.spec.security.ipc {
            Ipc::Host => host(Kind::Ipc)?,
            _ => ipc,
        };
        let uts = match record.spec.security.uts {
            Sharing::Host => host(Kind::Uts)?,
            _ => uts,
        };
        pins::pin(ipc, &dir.join(Kind::Ipc.file_name())).map_err(failed)?;
        pins::pin(uts, &dir.join(Kind::Uts.file_name())).map_err(failed)?;
        for (name, size) in memory_of(&record.spec) {
            let path = dir.join(memory_file(&name));
            pins::memory(&path, size, record.state.id_base).map_err(failed)?;
        }
        let shm = dir.join(SHM);
        match record.spec.security.ipc {
            Ipc::Host => pins::bind("/dev/shm".as_ref(), &shm),
            _ => {
                let bytes = record.spec.shm_bytes.unwrap_or(SHM_BYTES);
                pins::memory(&shm, Some(bytes), record.state.id_base)
            }
        }
        .map_err(failed)
    }

    /// Takes away what a sandbox holds, though it stays: containers in it have ended.
    ///
    /// # Errors
    /// There is none, or one of its containers is up.
    pub async fn stop_sandbox(&self, reference: &str) -> Result<()> {
        let sandbox = self.find_sandbox(reference)?;
        let _operation = sandbox.operation.lock().await;
        if let Some(name) = self.container_of(&sandbox.id, |r| r.state.status.is_up()) {
            return Err(EngineError::conflict(format!(
                "cannot stop sandbox {reference}: container {name} runs in it; stop that first"
            )));
        }
        let target = Arc::clone(&sandbox);
        self.blocking(move |engine| engine.release_sandbox(&target))
            .await;
        Ok(())
    }

    /// The name of a container of a sandbox of which this holds.
    fn container_of(&self, id: &str, holds: impl Fn(&Record) -> bool) -> Option<String> {
        let of_it = |r: &Record| sandbox_of(&r.spec).is_some_and(|of| of == id) && holds(r);
        let all = self.inner.containers.all();
        let mut names = all
            .iter()
            .filter_map(|one| one.with(|r| of_it(r).then(|| r.name.clone())));
        names.next()
    }

    /// Removes a sandbox with all it holds; one that is not there is no error.
    ///
    /// # Errors
    /// A container is in it, or its record can't be removed.
    pub async fn remove_sandbox(&self, reference: &str) -> Result<()> {
        let Ok(sandbox) = self.find_sandbox(reference) else {
            return Ok(());
        };
        let _operation = sandbox.operation.lock().await;
        if let Some(name) = self.container_of(&sandbox.id, |_| true) {
            return Err(EngineError::conflict(format!(
                "cannot remove sandbox {reference}: container {name} is in it; remove that first"
            )));
        }
        let target = Arc::clone(&sandbox);
        self.blocking(move |engine| {
            engine.release_sandbox(&target);
            engine
                .inner
                .trash
                .put(&engine.inner.paths.sandbox(&target.id))
        })
        .await
        .map_err(|e| failed("remove the record of", &sandbox, std::io::Error::other(e)))?;
        self.inner.sandboxes.remove(&sandbox.id);
        Ok(())
    }

    /// One sandbox, by its id or name.
    ///
    /// # Errors
    /// There is none.
    pub fn sandbox(&self, reference: &str) -> Result<SandboxView> {
        Ok(self.view_sandbox(&*self.find_sandbox(reference)?))
    }

    /// All sandboxes.
    pub fn sandboxes(&self) -> Vec<SandboxView> {
        let all = self.inner.sandboxes.all();
        all.iter().map(|one| self.view_sandbox(one)).collect()
    }

    fn view_sandbox(&self, sandbox: &Sandbox) -> SandboxView {
        let dir = self.inner.paths.sandbox_run(&sandbox.id);
        sandbox.with(|r| SandboxView {
            id: r.id.clone(),
            name: r.name.clone(),
            labels: r.spec.labels.clone(),
            created_at_ns: r.created_at_ns,
            started_at_ns: r.state.started_at_ns,
            ready: is_ready(r),
            address: r.attachments.first().and_then(|a| a.address),
            id_base: r.state.id_base,
            netns: dir.join(Kind::Network.file_name()),
            memory: memory_of(&r.spec)
                .map(|(name, _)| (name.clone(), dir.join(memory_file(&name))))
                .collect(),
        })
    }

    pub(crate) fn find_sandbox(&self, reference: &str) -> Result<Arc<Sandbox>> {
        let found = self.inner.sandboxes.find(reference);
        found.ok_or_else(|| missing(reference))
    }

    /// What a container of `reference` begins with.
    pub(crate) fn join_sandbox(&self, reference: &str) -> Result<Namespaces> {
        let sandbox = self.find_sandbox(reference)?;
        let (ready, id_base) = sandbox.with(|r| (is_ready(r), r.state.id_base));
        if !ready {
            return Err(EngineError::conflict(format!(
                "cannot join sandbox {reference}: it is not started; start it first"
            )));
        }
        let dir = self.inner.paths.sandbox_run(&sandbox.id);
        let mut joined = Namespaces {
            id_base,
            ..Namespaces::default()
        };
        let mut join = |kind: &'static str, file: &str| {
            let path = dir.join(file).to_string_lossy().into_owned();
            joined.paths.push((kind, path));
        };
        for (kind, name) in PINS {
            if kind != Kind::User || id_base != 0 {
                join(name, kind.file_name());
            }
        }
        join(SHM, SHM);
        Ok(joined)
    }

    /// What a new container has of its sandbox.
    pub(crate) fn fit_sandbox(&self, spec: &mut Spec, resolved: &mut Resolved) -> Result<()> {
        let Some(reference) = sandbox_of(spec) else {
            return Ok(());
        };
        let sandbox = self.find_sandbox(reference)?;
        let own = sandbox.record();
        let security = &mut spec.security;
        let refuse = |why: &str| Err(EngineError::invalid(format!("conflicting options: {why}")));
        if security.ipc != Ipc::Private {
            return refuse("a container of a sandbox has its IPC from there");
        }
        if let Sharing::Container(owner) = &security.pid {
            let owner = self.find(owner)?;
            let within = owner.with(|r| r.spec.network.clone());
            if within != NetworkMode::Sandbox(own.id.clone()) {
                return refuse(
                    "a container of a sandbox sees its own processes, or those of another one of it",
                );
            }
        }
        if !spec.ports.is_empty() || spec.publish_all || spec.hostname.is_some() {
            return refuse("ports and host name of a container of a sandbox are the sandbox's");
        }
        let wants_host = !has_user_namespace(spec);
        let security = &mut spec.security;
        match has_user_namespace(&own.spec) {
            true if wants_host => {
                return refuse("the sandbox has a user namespace; make it without");
            }
            true => {}
            false => security.userns_host = true,
        }
        spec.network = NetworkMode::Sandbox(own.id.clone());
        let defaults = crate::oci::default_sysctls(&own.spec.network);
        security.sysctls.extend(defaults);
        security.sysctls.extend(own.spec.security.sysctls);
        security.uts = own.spec.security.uts;
        spec.domainname = own.spec.domainname;
        resolved.hostname = own.resolved.hostname;
        Ok(())
    }

    /// Takes up the sandboxes an earlier engine left. What of one is not whole is released: it is
    /// made when it is started.
    pub(crate) fn adopt_sandboxes(&self) {
        for id in crate::adopt::names_in(&self.inner.paths.sandboxes()) {
            let sandbox = match table::read(&self.inner.paths, &id) {
                Ok(record) if record.id == id && crate::adopt::is_id(&id) => {
                    Arc::new(Sandbox::new(record))
                }
                other => {
                    // It holds nothing that is not made again.
                    tracing::warn!(%id, ?other, "a sandbox without a record is removed");
                    let _ = self.inner.trash.put(&self.inner.paths.sandbox(&id));
                    continue;
                }
            };
            if let Err(error) = self.inner.sandboxes.insert(&sandbox) {
                tracing::error!(%id, %error, "a sandbox could not be taken up");
                continue;
            }
            let run = self.inner.paths.sandbox_run(&id);
            if sandbox.with(is_ready) && pins::is_pinned(&run.join(Kind::Network.file_name())) {
                self.inner.ids.adopt(sandbox.with(|r| r.state.id_base));
            } else {
                self.release_sandbox(&sandbox);
            }
        }
        let known = self.inner.sandboxes.all();
        let known: HashSet<&str> = known.iter().map(|one| &one.id[..12]).collect();
        for name in crate::adopt::names_in(&self.inner.paths.sandbox_runs()) {
            if !known.contains(name.as_str()) {
                unpin(&self.inner.paths.sandbox_runs().join(name));
            }
        }
    }

    /// The sandboxes that hold a network.
    pub(crate) fn sandboxes_up(&self) -> Vec<String> {
        let all = self.inner.sandboxes.all();
        let up = all.iter().filter(|one| one.with(is_ready));
        up.map(|one| one.id.clone()).collect()
    }

    /// Whether the ids from `id_base` on are a sandbox's.
    pub(crate) fn sandbox_has_range(&self, id_base: u32) -> bool {
        let all = self.inner.sandboxes.all();
        all.iter()
            .any(|one| one.with(|r| r.state.id_base == id_base))
    }

    /// Gives back everything a sandbox holds. Errors are logged and the rest goes on.
    fn release_sandbox(&self, sandbox: &Sandbox) {
        if let Err(error) = self.inner.network.detach(&sandbox.id, None) {
            tracing::warn!(id = sandbox.id, %error, "a sandbox could not be detached from its networks");
        }
        unpin(&self.inner.paths.sandbox_run(&sandbox.id));
        let base = sandbox.with(|r| r.state.id_base);
        let cleared = sandbox.update(&self.inner.paths, |r| {
            r.state = State::default();
            r.attachments.clear();
        });
        if let Err(error) = cleared {
            tracing::warn!(id = sandbox.id, %error, "the end of a sandbox could not be written");
        }
        if base != 0 && !self.shares_range(&sandbox.id, base) {
            self.inner.ids.give_back(base);
        }
    }
}

/// Whose sandbox a container is in.
pub(crate) fn sandbox_of(spec: &Spec) -> Option<&String> {
    match &spec.network {
        NetworkMode::Sandbox(id) => Some(id),
        _ => None,
    }
}

fn is_ready(record: &Record) -> bool {
    record.state.status == Status::Running && record.state.boot_id == clock::boot_id()
}

fn boot_id_of(state: &mut State) {
    clock::boot_id().clone_into(&mut state.boot_id);
}

fn unpin(dir: &std::path::Path) {
    pins::clear_below(dir);
    if let Err(error) = remove_tree(dir) {
        tracing::warn!(dir = %dir.display(), %error, "the directory of a sandbox could not be removed");
    }
}

/// The directories in memory it was asked for. They stand among its mounts, as a container's do.
fn memory_of(spec: &Spec) -> impl Iterator<Item = (String, Option<u64>)> {
    spec.mounts.iter().filter_map(|mount| match &mount.source {
        MountSource::Tmpfs { size_bytes, .. } => Some((mount.target.clone(), *size_bytes)),
        _ => None,
    })
}

fn memory_file(name: &str) -> String {
    format!("memory-{name}")
}

fn missing(reference: &str) -> EngineError {
    EngineError::new(ErrorCode::NotFound, format!("No such sandbox: {reference}"))
}

fn failed(what: &str, sandbox: &Sandbox, error: std::io::Error) -> EngineError {
    let name = sandbox.with(|r| r.name.clone());
    EngineError::internal(format!("{what} sandbox {name}"), error)
}

/// A sandbox is kept as the record of a container without image and command: what makes namespaces
/// and networks is then the same for both.
fn lower(id: String, asked: SandboxSpec) -> Record {
    let host_network = asked.network == NetworkMode::Host;
    let machine = rustix::system::uname();
    let machine = machine.nodename().to_string_lossy().into_owned();
    let hostname = asked.hostname.filter(|_| !host_network).unwrap_or(machine);
    let memory = asked
        .memory
        .into_iter()
        .map(|(name, size_bytes)| MountSpec {
            source: MountSource::Tmpfs {
                size_bytes,
                mode: None,
                options: Vec::new(),
            },
            target: name,
            read_only: false,
        });
    let spec = Spec {
        mounts: memory.collect(),
        labels: asked.labels,
        domainname: asked.domainname,
        network: asked.network,
        ports: asked.ports,
        dns: asked.dns,
        extra_hosts: asked.extra_hosts,
        shm_bytes: asked.shm_bytes,
        security: Security {
            userns_host: asked.userns_host,
            ipc: if asked.ipc_host {
                Ipc::Host
            } else {
                Ipc::Private
            },
            uts: if host_network {
                Sharing::Host
            } else {
                Sharing::Private
            },
            sysctls: asked.sysctls,
            ..Security::default()
        },
        ..Spec::default()
    };
    Record {
        version: RECORD_VERSION,
        id,
        name: asked.name,
        created_at_ns: clock::unix_ns(),
        image_id: String::new(),
        resolved: Resolved {
            hostname,
            labels: spec.labels.clone(),
            ..Resolved::default()
        },
        spec,
        volumes: Vec::new(),
        state: State::default(),
        attachments: Vec::new(),
    }
}

//! `create`, and the first half of `run`.
//!
//! Never: leaves a state directory behind when it fails.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use oci_spec::runtime::Spec;
use weft_stdx::file::{Durability, read_bounded, replace};

use super::record::{Record, VERSION};
use super::{Container, GATE, LARGEST_STATE, OciError, Root, STATE, file_error};
use crate::launch::{
    self, Begun, CreateRequest, Created, LaunchError, Rootfs, Running, Stdio, gate,
};
use crate::monitor::start_ticks;

/// A container directory with its specification.
#[derive(Debug)]
pub struct Bundle {
    /// The directory, absolute.
    pub dir: PathBuf,
    /// `config.json` in it.
    pub spec: Spec,
}

/// How a container is to be made.
#[derive(Debug)]
pub struct CreateOptions {
    /// Whether whoever starts it is another process, later.
    pub gate: bool,
    /// Where init's number is written to.
    pub pid_file: Option<PathBuf>,
    /// How many descriptors from 3 on the process inherits.
    pub preserve_fds: u32,
}

/// A container whose init prepares itself. Dropped, it leaves nothing.
#[derive(Debug)]
pub struct Fresh {
    begun: Begun,
    record: Record,
    dir: StateDir,
}

impl Bundle {
    /// Reads the directory `dir`.
    pub fn open(dir: &Path) -> Result<Bundle, OciError> {
        let dir = dir.canonicalize().map_err(file_error("open", dir))?;
        let path = dir.join("config.json");
        let bytes = read_bounded(&path, LARGEST_STATE).map_err(file_error("read", &path))?;
        let spec =
            serde_json::from_slice(&bytes).map_err(|source| OciError::Json { path, source })?;
        Ok(Bundle { dir, spec })
    }

    /// Whether the process wants a terminal.
    pub fn terminal(&self) -> bool {
        self.spec
            .process()
            .as_ref()
            .and_then(|process| process.terminal())
            .unwrap_or(false)
    }
}

impl Root {
    /// Makes the container `id`, and does not wait for its init, which prepares itself.
    pub fn create(
        &self,
        id: &str,
        bundle: Bundle,
        options: &CreateOptions,
    ) -> Result<Fresh, OciError> {
        let dir = self.directory(id)?;
        let mut builder = DirBuilder::new();
        builder.mode(0o700).recursive(true);
        builder
            .create(&self.0)
            .map_err(file_error("make", &self.0))?;
        match builder.recursive(false).create(&dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(OciError::Exists(id.to_owned()));
            }
            other => other.map_err(file_error("make", &dir))?,
        }
        let dir = StateDir(Some(dir));
        let (begun, record) = begin(dir.path(), id, bundle, options)?;
        let fresh = Fresh { begun, record, dir };
        fresh.save(options)?;
        Ok(fresh)
    }
}

/// A container's state directory, removed again unless the container comes to be.
#[derive(Debug)]
struct StateDir(Option<PathBuf>);

impl StateDir {
    fn path(&self) -> &Path {
        self.0.as_deref().unwrap_or(Path::new(""))
    }

    fn keep(mut self) -> PathBuf {
        self.0.take().unwrap_or_default()
    }
}

impl Drop for StateDir {
    fn drop(&mut self) {
        if let Some(dir) = &self.0 {
            // The error that brought us here is the one to tell.
            let _ = fs::remove_dir_all(dir);
        }
    }
}

impl Fresh {
    /// Whoever looks for the container finds it from now on.
    fn save(&self, options: &CreateOptions) -> Result<(), OciError> {
        let path = self.dir.path().join(STATE);
        let bytes = serde_json::to_vec(&self.record).map_err(|source| OciError::Json {
            path: path.clone(),
            source,
        })?;
        replace(&path, &bytes, Durability::Process).map_err(file_error("write", &path))?;
        match &options.pid_file {
            Some(path) => write_pid(path, self.begun.pid()),
            None => Ok(()),
        }
    }

    /// Waits until all is in place but the program.
    pub fn ready(self) -> Result<(Container, Created), OciError> {
        self.when(Begun::ready)
    }

    /// Waits until its program runs.
    pub fn run(self) -> Result<(Container, Running), OciError> {
        self.when(Begun::run)
    }

    fn when<T>(
        self,
        wait: impl FnOnce(Begun) -> Result<T, LaunchError>,
    ) -> Result<(Container, T), OciError> {
        let container = Container {
            dir: self.dir.keep(),
            record: self.record,
        };
        match wait(self.begun) {
            Ok(made) => Ok((container, made)),
            Err(error) => {
                // The error that brought us here is the one to tell.
                let _ = container.remove();
                Err(error.into())
            }
        }
    }
}

fn begin(
    dir: &Path,
    id: &str,
    bundle: Bundle,
    options: &CreateOptions,
) -> Result<(Begun, Record), OciError> {
    let stdio = if bundle.terminal() {
        Stdio::Terminal
    } else {
        Stdio::Inherit
    };
    let Bundle {
        dir: bundle,
        mut spec,
    } = bundle;
    let cgroup = own_cgroup(&mut spec, id);
    let hooks = spec.hooks().clone().unwrap_or_default();
    let mut record = Record {
        version: VERSION,
        id: id.to_owned(),
        oci_version: spec.version().clone(),
        rootfs: spec
            .root()
            .as_ref()
            .map(|root| bundle.join(root.path()))
            .unwrap_or_default(),
        dir: bundle.clone(),
        pid: 0,
        start_ticks: 0,
        created_at_ns: weft_stdx::clock::unix_ns(),
        cgroup,
        annotations: spec.annotations().clone().unwrap_or_default(),
        poststart: hooks.poststart().clone().unwrap_or_default(),
        poststop: hooks.poststop().clone().unwrap_or_default(),
    };
    let request = CreateRequest {
        id: id.to_owned(),
        dir: bundle,
        spec,
        rootfs: Rootfs::Directory,
        stdio,
        join: Vec::new(),
        preserve_fds: options.preserve_fds,
        reaper: false,
    };
    let gate = options.gate.then(|| listener(dir)).transpose()?;
    let begun = launch::begin(request, gate)?;
    record.pid = begun.pid();
    record.start_ticks = start_ticks(begun.pid()).unwrap_or(0);
    Ok((begun, record))
}

/// The cgroup of the specification, or one named like the container.
fn own_cgroup(spec: &mut Spec, id: &str) -> Option<String> {
    let linux = spec.linux_mut().as_mut()?;
    let path = linux
        .cgroups_path()
        .clone()
        .filter(|path| !path.as_os_str().is_empty());
    let path = Path::new("/").join(path.unwrap_or_else(|| PathBuf::from(id)));
    linux.set_cgroups_path(Some(path.clone()));
    Some(path.to_string_lossy().into_owned())
}

fn listener(dir: &Path) -> Result<OwnedFd, OciError> {
    let directory = File::open(dir).map_err(file_error("open", dir))?;
    gate::listen(directory.as_fd(), GATE).map_err(file_error("make a socket in", dir))
}

/// Whole or not at all: callers wait for the file and read it at once.
pub(super) fn write_pid(path: &Path, pid: i32) -> Result<(), OciError> {
    replace(path, pid.to_string().as_bytes(), Durability::Process)
        .map_err(file_error("write", path))
}

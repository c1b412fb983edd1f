//! Where the engine keeps what: every path derives from the two directories here.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::container::record::Record;

/// The data and run directories of one engine.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    data: PathBuf,
    run: PathBuf,
}

impl Paths {
    pub fn new(data: &Path, run: &Path) -> Self {
        Self {
            data: data.to_owned(),
            run: run.to_owned(),
        }
    }

    pub fn images(&self) -> PathBuf {
        self.data.join("images")
    }

    pub fn networks(&self) -> PathBuf {
        self.data.join("networks")
    }

    pub fn volumes(&self) -> PathBuf {
        self.data.join("volumes")
    }

    pub fn trash(&self) -> PathBuf {
        self.data.join("trash")
    }

    pub fn containers(&self) -> PathBuf {
        self.data.join("containers")
    }

    /// What is kept of a container: record, log, exit record.
    pub fn container(&self, id: &str) -> PathBuf {
        self.containers().join(id)
    }

    pub fn record(&self, id: &str) -> PathBuf {
        self.container(id).join("container.json")
    }

    /// Says of a container of `--rm` in which boot it was made: after another its record may have been
    /// lost by a power cut, or a part of it. Names reach the disk before content, so it may be empty.
    pub fn fleeting(&self, id: &str) -> PathBuf {
        self.container(id).join("auto-remove")
    }

    pub fn log(&self, id: &str) -> PathBuf {
        self.container(id).join("log")
    }

    pub fn runs(&self) -> PathBuf {
        self.run.join("c")
    }

    /// Where the exit record goes. That of `--rm` need not survive a power cut.
    pub fn exit_dir(&self, record: &Record) -> PathBuf {
        if record.spec.auto_remove {
            self.run(&record.id)
        } else {
            self.container(&record.id)
        }
    }

    /// What exists only while the container runs: config.json, the files weft writes for it, its
    /// monitor's socket. Short: socket paths have 107 bytes.
    pub fn run(&self, id: &str) -> PathBuf {
        self.runs().join(&id[..12])
    }

    pub fn sandboxes(&self) -> PathBuf {
        self.data.join("sandboxes")
    }

    pub fn sandbox(&self, id: &str) -> PathBuf {
        self.sandboxes().join(id)
    }

    pub fn sandbox_record(&self, id: &str) -> PathBuf {
        self.sandbox(id).join("sandbox.json")
    }

    pub fn sandbox_runs(&self) -> PathBuf {
        self.run.join("s")
    }

    /// What holds a sandbox, until a reboot.
    pub fn sandbox_run(&self, id: &str) -> PathBuf {
        self.sandbox_runs().join(&id[..12])
    }

    pub fn monitor_socket(&self, id: &str) -> PathBuf {
        self.run(id).join("monitor.sock")
    }
}

/// Makes `path` and its parents, 0700.
pub(crate) fn make_dir(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

/// Makes a directory of the host's that a container is to share, with those above it: for users
/// other than root too, whatever the umask.
pub(crate) fn make_shared_dir(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|p| !p.exists()).collect();
    for directory in missing.into_iter().rev() {
        std::fs::create_dir(directory)?;
        std::fs::set_permissions(directory, Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Removes a directory tree; one that is not there is no error.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

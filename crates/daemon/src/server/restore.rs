//! A server from its backup; and whether what there is of one is sound. No server runs meanwhile.
//!
//! Owns: that the old one or the new one is there, whole, whenever this is cut off; that nothing
//! is there of a backup that is not whole.
//! Never: takes away what was there just now.
//!
//! ```text
//!   backup ─► server.restoring-X, all of it, on disk ─► named server
//!                with --force and a server there: exchanged with it ─► that is named server.before-X
//! ```

use std::fs::{self, DirBuilder};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use weft_control::{Kinds, Store};
use weft_engine::ErrorCode;
use weft_identity::authority::{self, Authority};
use weft_keyspace::{Revision, Snapshot};
use weft_stdx::file::{Durability, replace, sync_directory};

use super::backup::{self, About, Taker};
use super::secrets::{self, Sealer};

/// Where a server has what it has, below the data directory.
const SERVER: &str = "server";
const KEYSPACE: &str = "keyspace.redb";
/// A restored server is at least so many revisions after its backup.
const AHEAD: u64 = 1 << 30;

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// What the backup said.
    pub about: About,
    /// The revision it goes on from.
    pub revision: u64,
    /// Where what was there before is now.
    pub before: Option<PathBuf>,
    /// How many there are that were moved aside, this one included.
    pub aside: usize,
    /// What earlier restorations had kept, and was removed.
    pub removed: Vec<PathBuf>,
    /// What could not be removed, and why.
    pub unremoved: Vec<(PathBuf, io::Error)>,
}

/// Makes a server in `data_dir` of a backup. With `force` what is there is moved aside, and what was
/// moved aside before stays, or goes but for the newest: `keep` with this one.
///
/// # Errors
/// The backup is not whole, a server runs, or is there; nothing was changed then.
pub fn restore(
    from: impl Read,
    data_dir: &Path,
    force: bool,
    keep: Option<usize>,
) -> Result<Restored> {
    make_directory(data_dir)?;
    let _held = weft_engine::hold(data_dir).context("stop the server first")?;
    let server = data_dir.join(SERVER);
    let is_there = server.try_exists().context("look for a server")?;
    if is_there && !force {
        bail!(
            "{} is there already: --force moves it aside, and keeps it",
            server.display()
        );
    }
    sweep(data_dir)?;
    let mark = weft_stdx::id::random_hex(4);
    let unfinished = data_dir.join(format!("{SERVER}{RESTORING}{mark}"));
    let restored = fill(from, &unfinished, &mark).and_then(|(about, revision)| {
        let before = put(&unfinished, &server, is_there, &mark)?;
        let (mut removed, mut unremoved) = (Vec::new(), Vec::new());
        let older = before.as_deref().map(|before| older(data_dir, before));
        let older = older.unwrap_or_default();
        let many = keep.map_or(0, |keep| older.len().saturating_sub(keep.saturating_sub(1)));
        let aside = older.len() - many + usize::from(before.is_some());
        for path in older.into_iter().take(many) {
            match fs::remove_dir_all(&path) {
                Ok(()) => removed.push(path),
                Err(error) => unremoved.push((path, error)),
            }
        }
        Ok(Restored {
            about,
            revision,
            before,
            aside,
            removed,
            unremoved,
        })
    });
    if restored.is_err() {
        // It never had the name; what is left would only waste space.
        let _ = fs::remove_dir_all(&unfinished);
    }
    restored
}

const RESTORING: &str = ".restoring-";
const BEFORE: &str = ".before-";

/// What was moved aside before `newest`, the oldest first. A directory that is renamed has a new
/// time of change.
fn older(data_dir: &Path, newest: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(data_dir).into_iter().flatten().flatten();
    let mut found: Vec<(i64, i64, PathBuf)> = entries
        .filter_map(|entry| {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            let is_kept = name.starts_with(&format!("{SERVER}{BEFORE}")) && path != newest;
            let metadata = entry.metadata().ok().filter(|_| is_kept)?;
            Some((metadata.ctime(), metadata.ctime_nsec(), path))
        })
        .collect();
    found.sort();
    found.into_iter().map(|(.., path)| path).collect()
}

/// Takes away what a restoration that was cut off has left. After the exchange it is what was
/// there before: that has no mark of being unfinished, and gets the name it should have had.
fn sweep(data_dir: &Path) -> Result<()> {
    for entry in fs::read_dir(data_dir).context("read the data directory")? {
        let path = entry.context("read the data directory")?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some(mark) = name.strip_prefix(&format!("{SERVER}{RESTORING}")) else {
            continue;
        };
        let said = fs::read(path.join(UNFINISHED));
        if said.is_ok_and(|said| said == mark.as_bytes()) {
            fs::remove_dir_all(&path).with_context(|| format!("remove {}", path.display()))?;
        } else {
            let kept = data_dir.join(format!("{SERVER}{BEFORE}{mark}"));
            fs::rename(&path, &kept).with_context(|| format!("keep {}", kept.display()))?;
        }
    }
    Ok(())
}

/// In a directory that is being made, until it is in its place: the mark in its name. One that
/// was in its place before says another, or nothing.
const UNFINISHED: &str = "unfinished";

fn fill(from: impl Read, directory: &Path, mark: &str) -> Result<(About, u64)> {
    make_directory(directory)?;
    let path = directory.join(UNFINISHED);
    replace(&path, mark.as_bytes(), Durability::PowerCut).context("begin to restore")?;
    let mut taker = Into {
        directory,
        revision: 0,
    };
    let about = backup::read(from, &mut taker)?;
    let revision = taker.revision;
    // Nothing that a server would refuse to start from is put in its place.
    Authority::open(&directory.join("authority")).context("the authority in the backup")?;
    sync_directory(&directory.join("authority")).context("sync the restored authority")?;
    sync_directory(directory).context("sync the restored server")?;
    Ok((about, revision))
}

struct Into<'a> {
    directory: &'a Path,
    revision: u64,
}

impl Taker for Into<'_> {
    fn file(&mut self, place: &Path, content: &[u8]) -> Result<()> {
        let path = self.directory.join(place);
        make_directory(path.parent().unwrap_or(self.directory))?;
        replace(&path, content, Durability::PowerCut)
            .with_context(|| format!("write {}", path.display()))
    }

    fn keyspace(&mut self, from: &mut dyn Read) -> Result<Snapshot> {
        let path = self.directory.join(KEYSPACE);
        let restored = weft_keyspace::restore(from, &path, first_revision)?;
        self.revision = restored.revision.0;
        Ok(restored)
    }
}

/// Beyond every revision that was handed out, by the server of the backup after it was taken, or
/// by one that was restored from it before: no server makes a million in a second, so none is
/// later than the microseconds of the clock.
fn first_revision(taken: Revision) -> Revision {
    let now_us = weft_stdx::clock::unix_ns() / 1000;
    let now_us = u64::try_from(now_us).unwrap_or(0);
    Revision(now_us.max(taken.0.saturating_add(AHEAD)))
}

/// Gives the new one its name, in one step. Answers with where the old one is.
fn put(new: &Path, server: &Path, is_there: bool, mark: &str) -> Result<Option<PathBuf>> {
    let shown = || format!("put the restored server at {}", server.display());
    let parent = server.parent().unwrap_or(Path::new("."));
    let rename = |flags| renameat_with(CWD, new, CWD, server, flags).map_err(io::Error::from);
    let before = if is_there {
        rename(RenameFlags::EXCHANGE).with_context(shown)?;
        let before = server.with_file_name(format!("{SERVER}{BEFORE}{mark}"));
        fs::rename(new, &before).context("name what was there before")?;
        Some(before)
    } else {
        rename(RenameFlags::NOREPLACE).with_context(shown)?;
        None
    };
    fs::remove_file(server.join(UNFINISHED)).context("end restoring")?;
    sync_directory(server).context("sync the restored server")?;
    sync_directory(parent).context("sync the data directory")?;
    Ok(before)
}

fn make_directory(path: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    let made = builder.create(path);
    made.with_context(|| format!("make the directory {}", path.display()))
}

/// Whether a backup is whole.
///
/// # Errors
/// What is wrong with it.
pub fn check_backup(from: impl Read) -> Result<About> {
    struct Nowhere;
    impl Taker for Nowhere {
        fn file(&mut self, _: &Path, _: &[u8]) -> Result<()> {
            Ok(())
        }

        fn keyspace(&mut self, from: &mut dyn Read) -> Result<Snapshot> {
            Ok(weft_keyspace::verify(from)?)
        }
    }
    backup::read(from, &mut Nowhere)
}

/// What was checked of a server that does not run.
#[derive(Debug)]
pub struct Checked {
    /// Its newest revision.
    pub revision: u64,
    /// How many objects are sealed, and open.
    pub secrets: usize,
}

/// Reads and checks everything a server starts from, as its start does. Nothing: one runs.
///
/// # Errors
/// There is none, or what is wrong with it.
pub fn check(data_dir: &Path, key: &Path) -> Result<Option<Checked>> {
    let server = data_dir.join(SERVER);
    if !server.is_dir() {
        bail!("there is no server in {}", data_dir.display());
    }
    let _held = match weft_engine::hold(data_dir) {
        Err(error) if error.code == ErrorCode::Conflict => return Ok(None),
        held => held?,
    };
    Authority::open(&data_dir.join(authority::DIRECTORY))?;
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime
        .enable_all()
        .build()
        .context("start the async runtime")?;
    runtime.block_on(async {
        let path = server.join(KEYSPACE);
        if !path.exists() {
            bail!("{} is missing: restore a backup", path.display());
        }
        let keyspace = weft_keyspace::embedded(&path, weft_keyspace::Options::default())?;
        let store = Store::new(Arc::new(keyspace), Kinds::built_in());
        let secrets = store.sealed().await?;
        if secrets > 0 {
            let sealer = Arc::new(Sealer::open(key, secrets)?);
            secrets::check(&store.clone().with_seal(sealer), key).await?;
        }
        let revision = store.revision().await?.0;
        Ok(Some(Checked { revision, secrets }))
    })
}

//! The volumes of a pod on the node's disk.
//!
//! ```text
//!   <directory>/<uid>/volumes/<name>/            empty: the volume itself
//!                                   ..1/ file…   files: a directory for each state they had,
//!                                   ..data ─► ..1    a link that is replaced in one go,
//!                                   file ─► ..data/file  and links of which each is a file
//!   <directory>/<uid>/messages/<container>-<attempt>   what it says of its end
//!   <directory>/<uid>/changes/<container>              what is to be done because a file changed
//! ```
//! Never: follows what a container has put there.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown, symlink};
use std::path::{Component, Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use weft_api::assignment::{Change, Container, File, FileValue, HostPath, Pod, Services, Volume};
use weft_driver::{Mounted, Source};
use weft_stdx::file::{Durability, read_bounded, replace};
use weft_sys::path::Root;

use crate::env::{self, Facts};
use crate::templates;

/// The link to the files as they are now.
const NOW: &str = "..data";
/// What a container says of its end, at most.
const MESSAGE_MAX: u64 = 4096;

/// A volume that cannot be had: what was tried, and why not.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {source}")]
pub(crate) struct VolumeError {
    what: String,
    source: io::Error,
}

fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> VolumeError {
    let what = what.into();
    |source| VolumeError { what, source }
}

/// The files of one pod.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    directory: PathBuf,
}

impl Files {
    /// `uid` has been looked at: it is a name.
    pub fn new(all: &Path, uid: &str) -> Files {
        Files {
            directory: all.join(uid),
        }
    }

    /// Where a volume of its is on disk.
    pub fn volume(&self, name: &str) -> PathBuf {
        self.directory.join("volumes").join(name)
    }

    /// Where a container may say why it ended.
    pub fn message(&self, container: &str, attempt: u32) -> PathBuf {
        let name = format!("{container}-{attempt}");
        self.directory.join("messages").join(name)
    }

    /// Makes the file in which a container may say why it ended.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn make_message(&self, container: &str, attempt: u32) -> Result<PathBuf, VolumeError> {
        let path = self.message(container, attempt);
        let make = || {
            fs::create_dir_all(path.parent().unwrap_or(&path))?;
            fs::write(&path, b"")?;
            fs::set_permissions(&path, Permissions::from_mode(0o666))
        };
        make().map_err(failed(format!("make {}", path.display())))?;
        Ok(path)
    }

    /// Forgets what a container said of its ends before `attempt`.
    pub fn clear_messages(&self, container: &str, attempt: u32) {
        for name in names_in(&self.directory.join("messages")) {
            let of = name.rsplit_once('-').filter(|(of, _)| *of == container);
            let of = of.and_then(|(_, number)| number.parse::<u32>().ok());
            if of.is_some_and(|of| of < attempt) {
                let _ = fs::remove_file(self.directory.join("messages").join(name));
            }
        }
    }

    /// What a container said of its end.
    pub fn read_message(&self, container: &str, attempt: u32) -> String {
        let path = self.message(container, attempt);
        let is_file = fs::symlink_metadata(&path).is_ok_and(|facts| facts.is_file());
        if !is_file {
            return String::new();
        }
        let bytes = fs::File::open(&path).and_then(|file| {
            weft_stdx::file::read_all_bounded(io::Read::take(file, MESSAGE_MAX), MESSAGE_MAX)
        });
        bytes.map_or_else(
            |_| String::new(),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    /// Brings the volumes to what they are to be; those that are so stay untouched. Those with templates
    /// are made once there are services to ask for, and only [`Files::write`] writes them.
    ///
    /// # Errors
    /// A volume cannot be had, or the disk refuses.
    pub fn prepare(
        &self,
        pod: &Pod,
        facts: &Facts<'_>,
        services: Option<&Services>,
    ) -> Result<Prepared, VolumeError> {
        let mut prepared = Prepared::default();
        for (name, volume) in &pod.volumes {
            let path = self.volume(name);
            match volume {
                Volume::Empty { memory: true, .. } | Volume::Claim { .. } => {}
                Volume::Empty { memory: false, .. } => {
                    make_empty(&path, pod.fs_group)
                        .map_err(failed(format!("make volume {name}")))?;
                }
                Volume::Files { files } if templates::of(files).next().is_some() => {
                    let Some(services) = services else { continue };
                    match templates::render(pod, name, files, facts, services) {
                        Ok(texts) => {
                            let wanted = contents(files, facts, &texts)
                                .map_err(failed(format!("write volume {name}")))?;
                            prepared.note(name, &path, files, &wanted);
                            prepared.writes.push((name.clone(), wanted));
                        }
                        Err(why) => drop(prepared.broken.insert(name.clone(), why)),
                    }
                }
                Volume::Files { files } => {
                    let write = || {
                        let wanted = contents(files, facts, &BTreeMap::new())?;
                        write_files(&path, &wanted, pod.fs_group)
                    };
                    write().map_err(failed(format!("write volume {name}")))?;
                }
                Volume::Host { path, kind } => check_host(path, *kind).map_err(failed(format!(
                    "MountVolume.SetUp failed for volume {name:?}"
                )))?,
                Volume::Refused(why) => {
                    let why = io::Error::other(why.message.clone());
                    let what = format!("MountVolume.SetUp failed for volume {name:?}");
                    return Err(failed(what)(why));
                }
            }
        }
        Ok(prepared)
    }

    /// Writes what was made of templates.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn write(&self, pod: &Pod, writes: &[(String, Contents)]) -> Result<(), VolumeError> {
        for (name, wanted) in writes {
            write_files(&self.volume(name), wanted, pod.fs_group)
                .map_err(failed(format!("write volume {name}")))?;
        }
        Ok(())
    }

    /// Whether the files of a volume were ever written.
    pub fn has(&self, volume: &str) -> bool {
        self.volume(volume).join(NOW).exists()
    }

    /// Keeps in mind what is to be done to a container, or that nothing is.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn keep_change(&self, container: &str, change: Option<&str>) -> io::Result<()> {
        let path = self.directory.join("changes").join(container);
        match change {
            None => remove_any(&path),
            Some(change) => {
                fs::create_dir_all(path.parent().unwrap_or(&path))?;
                replace(&path, change.as_bytes(), Durability::Process)
            }
        }
    }

    /// What an earlier agent kept in mind.
    pub fn changes(&self) -> BTreeMap<String, String> {
        let directory = self.directory.join("changes");
        let names = names_in(&directory).into_iter();
        let kept = names.filter_map(|name| {
            let bytes = read_bounded(&directory.join(&name), MESSAGE_MAX).ok()?;
            Some((name, String::from_utf8(bytes).ok()?))
        });
        kept.collect()
    }

    /// The mounts of a container.
    ///
    /// # Errors
    /// A part of a volume cannot be made.
    pub fn mounts(
        &self,
        pod: &Pod,
        container: &Container,
        env: &[(String, String)],
    ) -> Result<Vec<Mounted>, VolumeError> {
        let mut mounts = Vec::new();
        for mount in &container.mounts {
            let what = || format!("mount volume {} at {}", mount.volume, mount.target);
            let Some(volume) = pod.volumes.get(&mount.volume) else {
                return Err(failed(what())(io::Error::other("there is no such volume")));
            };
            let subpath = match mount.expand {
                true => env::expand(&mount.subpath, |name| {
                    let found = env.iter().find(|(known, _)| known == name);
                    found.map(|(_, value)| value.clone())
                }),
                false => mount.subpath.clone(),
            };
            if !subpath.is_empty() {
                relative(&subpath).map_err(failed(what()))?;
            }
            let (source, is_read_only) = match volume {
                Volume::Empty { memory: true, .. } => (Source::Memory(mount.volume.clone()), false),
                Volume::Empty { .. } => (Source::Path(self.volume(&mount.volume)), false),
                Volume::Files { .. } => (Source::Path(self.volume(&mount.volume)), true),
                Volume::Host { path, .. } => (Source::Path(PathBuf::from(path)), false),
                Volume::Claim { name, read_only } => (Source::Volume(name.clone()), *read_only),
                Volume::Refused(_) => continue,
            };
            // A directory in place of a file that was meant would hide the mistake.
            if let (Source::Path(root), Volume::Files { .. }) = (&source, volume)
                && !root.join(&subpath).exists()
            {
                let why = format!("it has no {subpath:?} (subPath)");
                return Err(failed(what())(io::Error::other(why)));
            }
            let makes = matches!(
                volume,
                Volume::Empty { memory: false, .. } | Volume::Host { .. }
            );
            if let (Source::Path(root), true) = (&source, makes && !subpath.is_empty()) {
                make_part(root, &subpath).map_err(failed(what()))?;
            }
            mounts.push(Mounted {
                source,
                subpath,
                target: mount.target.clone(),
                read_only: mount.read_only || is_read_only,
                propagation: mount.propagation,
            });
        }
        Ok(mounts)
    }

    /// Removes all of it; what is not there is no error.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

/// The uids of pods that have files.
pub(crate) fn uids(all: &Path) -> Vec<String> {
    names_in(all)
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.collect()
}

/// What is missing of a part of a volume is a directory; a link in it leads nowhere else.
fn make_part(root: &Path, subpath: &str) -> io::Result<()> {
    let root = Root::open_at(root)?;
    let path = Path::new(subpath);
    match root.handle_beneath(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            root.make_directory(path, 0o777).map(drop)
        }
        other => other.map(drop),
    }
}

fn make_empty(path: &Path, group: Option<u32>) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    fs::create_dir_all(path)?;
    chown(path, None, group)?;
    let mode = if group.is_some() { 0o2777 } else { 0o777 };
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// A path that stays below where it begins.
fn relative(path: &str) -> io::Result<()> {
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(name) if name != "..");
    let is_one =
        !path.is_empty() && !path.contains('\0') && Path::new(path).components().all(is_plain);
    match is_one {
        true => Ok(()),
        false => Err(io::Error::other(format!(
            "{path:?} is no path below the volume"
        ))),
    }
}

/// What files are to be, by path.
pub(crate) type Contents = BTreeMap<String, Content>;

/// What one file is to be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Content {
    bytes: Vec<u8>,
    mode: u32,
    owner: Option<u32>,
}

/// What templates have made of volumes.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// To be written.
    pub writes: Vec<(String, Contents)>,
    /// Files that will be others than they were.
    pub changed: Vec<Changed>,
    /// By volume: what is wrong with a template of it. Nothing of it is written.
    pub broken: BTreeMap<String, String>,
}

/// A file that will be another.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Changed {
    pub volume: String,
    pub path: String,
    /// The template, as people are told of it.
    pub template: String,
    pub change: Change,
    pub splay_ms: u64,
}

impl Prepared {
    /// Takes note of files that change. What is written for the first time is no change.
    fn note(&mut self, name: &str, volume: &Path, files: &BTreeMap<String, File>, all: &Contents) {
        let now = volume.join(NOW);
        if !now.exists() {
            return;
        }
        for (path, template) in templates::of(files) {
            let Some(wanted) = all.get(path) else {
                continue;
            };
            let is = read_bounded(&now.join(path), wanted.bytes.len() as u64);
            if is.is_ok_and(|is| is == wanted.bytes) {
                continue;
            }
            self.changed.push(Changed {
                volume: name.to_owned(),
                path: path.to_owned(),
                template: templates::name(template),
                change: template.change.clone(),
                splay_ms: template.splay_ms,
            });
        }
    }
}

fn contents(
    files: &BTreeMap<String, File>,
    facts: &Facts<'_>,
    texts: &BTreeMap<String, String>,
) -> io::Result<Contents> {
    let mut all = Contents::new();
    for (path, file) in files {
        relative(path)?;
        if path.starts_with("..") {
            return Err(io::Error::other(format!(
                "{path:?} begins as weft's own files do"
            )));
        }
        let bytes = match &file.value {
            FileValue::Text(text) => text.clone().into_bytes(),
            FileValue::Binary(text) => STANDARD.decode(text).map_err(io::Error::other)?,
            FileValue::Node(fact) => facts.of(*fact).into_bytes(),
            FileValue::Template(_) => texts.get(path).cloned().unwrap_or_default().into_bytes(),
        };
        let (mode, owner) = (file.mode, file.owner);
        all.insert(path.clone(), Content { bytes, mode, owner });
    }
    Ok(all)
}

fn is_as_wanted(now: &Path, wanted: &Contents, group: Option<u32>) -> bool {
    use std::os::unix::fs::MetadataExt;
    let mut there = Vec::new();
    if list(now, Path::new(""), &mut there).is_err() || there.len() != wanted.len() {
        return false;
    }
    wanted.iter().all(|(path, content)| {
        let path = now.join(path);
        let length = content.bytes.len() as u64;
        fs::symlink_metadata(&path).is_ok_and(|facts| {
            facts.is_file()
                && facts.mode() & 0o7777 == content.mode & 0o7777
                && facts.len() == length
                && group.is_none_or(|group| facts.gid() == group)
                && content.owner.is_none_or(|owner| facts.uid() == owner)
        }) && read_bounded(&path, length).is_ok_and(|is| is == content.bytes)
    })
}

fn list(root: &Path, below: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => list(root, &path, found)?,
            false => found.push(path),
        }
    }
    Ok(())
}

/// Readers see the files as they were or as they are to be, never a part of either.
fn write_files(volume: &Path, wanted: &Contents, group: Option<u32>) -> io::Result<()> {
    fs::create_dir_all(volume)?;
    fs::set_permissions(volume, Permissions::from_mode(0o755))?;
    let link = volume.join(NOW);
    let old = fs::read_link(&link).ok();
    if old.is_some()
        && is_as_wanted(
            &volume.join(old.as_deref().unwrap_or(Path::new(NOW))),
            wanted,
            group,
        )
    {
        return Ok(());
    }
    let number = old
        .as_deref()
        .and_then(|old| old.to_str()?.strip_prefix("..")?.parse::<u64>().ok());
    let name = format!("..{}", number.map_or(1, |n| n + 1));
    let new = volume.join(&name);
    remove_any(&new)?;
    fs::create_dir(&new)?;
    fs::set_permissions(&new, Permissions::from_mode(0o755))?;
    for (path, content) in wanted {
        let path = new.join(path);
        make_above(&new, &path)?;
        fs::write(&path, &content.bytes)?;
        chown(&path, content.owner, group)?;
        fs::set_permissions(&path, Permissions::from_mode(content.mode))?;
    }
    let next = volume.join("..data_next");
    remove_any(&next)?;
    symlink(&name, &next)?;
    fs::rename(&next, &link)?;
    let tops: Vec<&str> = wanted
        .keys()
        .filter_map(|path| path.split('/').next())
        .collect();
    for top in &tops {
        let (place, target) = (volume.join(top), Path::new(NOW).join(top));
        if fs::read_link(&place).ok().as_deref() != Some(&target) {
            remove_any(&place)?;
            symlink(&target, &place)?;
        }
    }
    for entry in fs::read_dir(volume)?.flatten() {
        let entry_name = entry.file_name();
        let is_of_now = entry_name == NOW
            || entry_name
                .to_str()
                .is_some_and(|is| is == name || tops.contains(&is));
        if !is_of_now {
            remove_any(&entry.path())?;
        }
    }
    Ok(())
}

fn make_above(root: &Path, path: &Path) -> io::Result<()> {
    let mut missing: Vec<&Path> = path
        .ancestors()
        .skip(1)
        .take_while(|above| *above != root)
        .collect();
    missing.reverse();
    for directory in missing {
        if !directory.exists() {
            fs::create_dir(directory)?;
            fs::set_permissions(directory, Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}

fn remove_any(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(facts) if facts.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    }
}

fn check_host(path: &str, kind: HostPath) -> io::Result<()> {
    let path = Path::new(path);
    if kind == HostPath::DirectoryOrCreate && !path.exists() {
        fs::create_dir_all(path)?;
        return fs::set_permissions(path, Permissions::from_mode(0o755));
    }
    if kind == HostPath::FileOrCreate && !path.exists() {
        fs::write(path, b"")?;
        return fs::set_permissions(path, Permissions::from_mode(0o644));
    }
    if kind == HostPath::Any {
        // As upstream does: what is not there is made, a directory.
        return match path.exists() {
            true => Ok(()),
            false => fs::create_dir_all(path),
        };
    }
    let facts = fs::metadata(path);
    let is = |fits: fn(&fs::FileType) -> bool| {
        facts.as_ref().is_ok_and(|facts| fits(&facts.file_type()))
    };
    let (fits, what) = match kind {
        HostPath::Any => return Ok(()),
        HostPath::Directory | HostPath::DirectoryOrCreate => (is(|t| t.is_dir()), "a directory"),
        HostPath::File | HostPath::FileOrCreate => (is(|t| t.is_file()), "a file"),
        HostPath::Socket => (is(FileTypeExt::is_socket), "a socket file"),
        HostPath::CharDevice => (is(FileTypeExt::is_char_device), "a character device"),
        HostPath::BlockDevice => (is(FileTypeExt::is_block_device), "a block device"),
    };
    match fits {
        true => Ok(()),
        false => Err(io::Error::other(format!(
            "hostPath type check failed: {} is not {what}",
            path.display()
        ))),
    }
}

#[cfg(test)]
mod tests;

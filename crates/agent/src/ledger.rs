//! What this node was told to run, on its own disk: so that it runs that after a restart, and after
//! a reboot, whether the control plane is there or not.
//!
//! ```text
//!   <data-dir>/agent/ledger/pod-<uid>, services      "weft-ledger <version>\n" sealed JSON
//!
//!   told ─► written (survives kill -9) ─► acted upon
//!              └─ within a second: synced (survives a power cut)
//! ```
//! A file for each pod: a change costs what has changed, and damage costs the pod it is in. Variables
//! and files of pods hold secrets, so each is sealed, and bound to its node and its name.
//! Never: what is not in it is no reason to end anything. Only who says what is wanted does that.

mod keep;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use weft_api::assignment::{Assignment, Pod, Services};
use weft_stdx::file::{Durability, read_all_bounded, replace};

#[cfg(test)]
use keep::Take;
pub(crate) use keep::{Order, keep};

/// How a file begins; the version follows.
const MAGIC: &str = "weft-ledger ";
/// The version of what is in it.
const VERSION: u32 = 1;
/// A file has so many bytes at most: a pod with all it refers to, or all services.
const LARGEST: u64 = 64 << 20;
const SERVICES: &str = "services";
const POD: &str = "pod-";

/// Makes texts unreadable for others, each bound to a name.
pub trait Seal: Send + Sync {
    /// Seals what is called `name`.
    fn seal(&self, name: &str, text: &[u8]) -> Vec<u8>;

    /// What was sealed under that very name.
    ///
    /// # Errors
    /// It was changed, is of another name, or its key is not here; in a sentence.
    fn open(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, String>;
}

/// Why something could not be written down.
#[derive(Debug, thiserror::Error)]
#[error("write {name} into the ledger {}", .directory.display())]
pub(crate) struct LedgerError {
    name: String,
    directory: PathBuf,
    #[source]
    source: io::Error,
}

/// The ledger of one node.
pub struct Ledger {
    directory: PathBuf,
    node: String,
    seal: Box<dyn Seal>,
    /// What is on disk, by its file's name; `None`: it cannot be read. Bounded by the pods there are.
    pods: BTreeMap<String, Option<Arc<Pod>>>,
    services: Option<Services>,
    /// Files that a power cut may take, and whether it may bring others back.
    unsynced: BTreeSet<String>,
    is_unsynced: bool,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Ledger").field(&self.directory).finish()
    }
}

/// What a ledger says.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    pub pods: Vec<Arc<Pod>>,
    pub services: Option<Services>,
    /// What of it cannot be read: how much, and a sentence about the first.
    pub unread: Option<(usize, String)>,
}

impl Ledger {
    /// The ledger of `node` in `directory`, which is made with the first entry.
    pub fn new(directory: PathBuf, node: &str, seal: Box<dyn Seal>) -> Ledger {
        Ledger {
            directory,
            node: node.to_owned(),
            seal,
            pods: BTreeMap::new(),
            services: None,
            unsynced: BTreeSet::new(),
            is_unsynced: false,
        }
    }

    /// Whether anything is written down of pods.
    pub fn has_pods(&self) -> bool {
        let names = names(&self.directory).unwrap_or_default();
        names.iter().any(|name| name.starts_with(POD))
    }

    /// All that can be read of it.
    pub(crate) fn read(&mut self) -> Remembered {
        let mut remembered = Remembered::default();
        let names = match names(&self.directory) {
            Ok(names) => names,
            Err(error) => {
                let why = format!("read {}: {error}", self.directory.display());
                remembered.unread = Some((1, why));
                return remembered;
            }
        };
        for name in names {
            let read = match name.as_str() {
                SERVICES => self.entry(&name).map(|found: Services| {
                    self.services = Some(found.clone());
                    remembered.services = Some(found);
                }),
                pod if pod.starts_with(POD) => {
                    let found = self
                        .entry(&name)
                        .and_then(|found: Arc<Pod>| match file(&found) {
                            Some(is) if is == name => Ok(found),
                            _ => Err("it is about another pod".to_owned()),
                        });
                    self.pods.insert(name.clone(), found.clone().ok());
                    found.map(|pod| remembered.pods.push(pod))
                }
                // A file that was being written.
                _ => {
                    let _ = fs::remove_file(self.directory.join(&name));
                    continue;
                }
            };
            if let Err(why) = read {
                let path = self.directory.join(&name);
                let told = remembered.unread.get_or_insert_with(|| {
                    let why = format!("{}: {why}", path.display());
                    (0, why)
                });
                told.0 += 1;
            }
        }
        remembered
    }

    /// Writes down what is wanted: what has changed of it. All of it is tried.
    pub(crate) fn note(&mut self, assigned: &Assignment) -> Result<(), LedgerError> {
        let mut done = Ok(());
        let mut wanted = BTreeSet::new();
        for pod in &assigned.pods {
            let Some(name) = file(pod) else { continue };
            wanted.insert(name.clone());
            if self.pods.get(&name).and_then(Option::as_ref) == Some(pod) {
                continue;
            }
            let written = serde_json::to_vec(pod).map_err(io::Error::other);
            match written.and_then(|text| self.write(&name, &text)) {
                Ok(()) => drop(self.pods.insert(name, Some(Arc::clone(pod)))),
                Err(error) => done = done.and(Err(self.failed(&name, error))),
            }
        }
        let gone: Vec<String> = self.pods.keys().cloned().collect();
        for name in gone.into_iter().filter(|name| !wanted.contains(name)) {
            self.is_unsynced = true;
            self.unsynced.remove(&name);
            match fs::remove_file(self.directory.join(&name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    done = done.and(Err(self.failed(&name, error)));
                }
                _ => drop(self.pods.remove(&name)),
            }
        }
        done
    }

    /// Writes down where services lead.
    pub(crate) fn note_services(&mut self, services: &Services) -> Result<(), LedgerError> {
        if self.services.as_ref() == Some(services) {
            return Ok(());
        }
        let written = serde_json::to_vec(services).map_err(io::Error::other);
        let written = written.and_then(|text| self.write(SERVICES, &text));
        written.map_err(|error| self.failed(SERVICES, error))?;
        self.services = Some(services.clone());
        Ok(())
    }

    /// Whether a power cut would take something back.
    pub(crate) fn is_unsynced(&self) -> bool {
        self.is_unsynced
    }

    /// Sees to it that a power cut takes nothing back.
    pub(crate) fn sync(&mut self) -> Result<(), LedgerError> {
        self.is_unsynced = false;
        for name in std::mem::take(&mut self.unsynced) {
            let synced = File::open(self.directory.join(&name)).and_then(|file| file.sync_all());
            synced.map_err(|error| self.failed(&name, error))?;
        }
        let synced = File::open(&self.directory).and_then(|file| file.sync_all());
        synced.map_err(|error| self.failed("names", error))
    }

    fn write(&mut self, name: &str, text: &[u8]) -> io::Result<()> {
        let mut bytes = format!("{MAGIC}{VERSION}\n").into_bytes();
        bytes.extend(self.seal.seal(&self.bound(name), text));
        let path = self.directory.join(name);
        let written = match replace(&path, &bytes, Durability::Process) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&self.directory)?;
                replace(&path, &bytes, Durability::Process)
            }
            written => written,
        };
        written?;
        self.unsynced.insert(name.to_owned());
        self.is_unsynced = true;
        Ok(())
    }

    fn entry<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T, String> {
        let bytes = File::open(self.directory.join(name));
        let bytes = bytes.and_then(|file| read_all_bounded(file, LARGEST));
        let bytes = bytes.map_err(|error| error.to_string())?;
        parse(&bytes, &self.bound(name), &*self.seal)
    }

    /// What a file is bound to: it is of no use to another node, and under no other name.
    fn bound(&self, name: &str) -> String {
        format!("{}/{name}", self.node)
    }

    fn failed(&self, name: &str, source: io::Error) -> LedgerError {
        LedgerError {
            name: name.to_owned(),
            directory: self.directory.clone(),
            source,
        }
    }
}

/// Reads one file.
fn parse<T: serde::de::DeserializeOwned>(
    bytes: &[u8],
    bound: &str,
    seal: &dyn Seal,
) -> Result<T, String> {
    let line = bytes.iter().position(|byte| *byte == b'\n');
    let line = line.filter(|at| *at < 32).map(|at| bytes.split_at(at));
    let (first, sealed) = line.ok_or("it does not begin as a ledger does")?;
    let version = std::str::from_utf8(first).ok();
    let version = version.and_then(|first| first.strip_prefix(MAGIC));
    let version = version.ok_or("it does not begin as a ledger does")?;
    if version != VERSION.to_string() {
        return Err(format!(
            "it is of form {version:?}, and this weft reads {VERSION}"
        ));
    }
    let text = seal.open(bound, &sealed[1..])?;
    serde_json::from_slice(&text).map_err(|error| format!("it cannot be understood: {error}"))
}

/// What the file of a pod is called; `None`: its uid is no name.
fn file(pod: &Pod) -> Option<String> {
    let uid = &pod.id.uid;
    weft_stdx::name::is_plain(uid).then(|| format!("{POD}{uid}"))
}

/// What is in a directory; nothing, if there is none.
fn names(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

/// Reads a file of a ledger: for damaged input.
pub fn fuzz(bytes: &[u8]) {
    struct Open;
    impl Seal for Open {
        fn seal(&self, _: &str, text: &[u8]) -> Vec<u8> {
            text.to_vec()
        }
        fn open(&self, _: &str, sealed: &[u8]) -> Result<Vec<u8>, String> {
            Ok(sealed.to_vec())
        }
    }
    let pod: Result<Pod, _> = parse(bytes, "", &Open);
    let services: Result<Services, _> = parse(bytes, "", &Open);
    for again in [
        pod.map(|pod| serde_json::to_vec(&pod)),
        services.map(|services| serde_json::to_vec(&services)),
    ] {
        assert!(again.is_err() || again.is_ok_and(|text| text.is_ok()));
    }
}

/// Files to damage.
pub fn fuzz_seeds() -> Vec<Vec<u8>> {
    let pod = serde_json::to_vec(&Pod::default()).unwrap_or_default();
    let services = serde_json::to_vec(&Services::default()).unwrap_or_default();
    let head = format!("{MAGIC}{VERSION}\n").into_bytes();
    vec![[head.clone(), pod].concat(), [head, services].concat()]
}

#[cfg(test)]
mod tests;

//! The key file: what opens all secrets.
//!
//! Owns: the file. One key a line, 32 bytes in base64, the newest first; `#` begins a remark.
//! Root may write it (`head -c 32 /dev/urandom | base64`) or let weft make it. A key's id comes
//! from the key, so that nobody has to give it one.
//! Never: makes a new key where the file is damaged.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use sha2::Sha256;
use weft_stdx::file::{Durability, read_all_bounded, replace};
use weft_stdx::id::fill_random;
use zeroize::Zeroizing;

use super::{ID, KEY};

/// Most keys in a file: a rotation ends with the old key being retired.
pub const MOST_KEYS: usize = 16;
const LARGEST_FILE: u64 = 16 * 1024;
const REMARK: &str =
    "# Keys that seal secrets at rest, the newest first. Whoever loses this file loses them all.\n";

/// What tells a key from others. It is no secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub(super) [u8; ID]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

struct Key {
    id: KeyId,
    secret: Zeroizing<[u8; KEY]>,
}

/// The keys of one file: several that open, one that seals.
pub struct Keys {
    keys: Vec<Key>,
    source: String,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.keys.iter().map(|key| key.id);
        f.debug_list().entries(ids).finish()
    }
}

/// Why there are no keys to work with.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// First start, or the file is not where it was.
    #[error("there is no key file {}", .0.display())]
    Absent(PathBuf),
    /// The file could not be read or written.
    #[error("{doing} the key file {}", .path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Others may read it.
    #[error("the key file {}: mode {mode:04o} lets others in: make sure nobody has read it, then chmod 0600", .path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The content is not what it must be.
    #[error("the key file {}, line {line}: {problem}", .path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where; 0: as a whole.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// A key that cannot be taken away.
    #[error("retire key {id} of {}: {problem}", .path.display())]
    Retire {
        /// Which file.
        path: PathBuf,
        /// Which key.
        id: KeyId,
        /// Why not.
        problem: &'static str,
    },
}

impl Keys {
    /// Reads the keys in `path`.
    ///
    /// # Errors
    /// [`KeyFileError::Absent`] when there is no file; all others mean that it cannot be used.
    pub fn open(path: &Path) -> Result<Keys, KeyFileError> {
        let file = match fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(KeyFileError::Absent(path.to_owned()));
            }
            Err(source) => return Err(failed("open", path, source)),
        };
        let metadata = file.metadata();
        let metadata = metadata.map_err(|source| failed("read", path, source))?;
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            let path = path.to_owned();
            return Err(KeyFileError::Exposed { path, mode });
        }
        let text = read_all_bounded(file, LARGEST_FILE);
        let text = Zeroizing::new(text.map_err(|source| failed("read", path, source))?);
        parse(&text)
            .map(|keys| Keys {
                keys,
                source: path.display().to_string(),
            })
            .map_err(|(line, problem)| KeyFileError::Damaged {
                path: path.to_owned(),
                line,
                problem,
            })
    }

    /// Makes a file with one new key, if there is none.
    ///
    /// # Errors
    /// When there is one already, or it cannot be written.
    pub fn create(path: &Path) -> Result<Keys, KeyFileError> {
        match Self::open(path) {
            Err(KeyFileError::Absent(_)) => {}
            Err(other) => return Err(other),
            Ok(_) => {
                let exists = io::Error::from(io::ErrorKind::AlreadyExists);
                return Err(failed("create", path, exists));
            }
        }
        write(path, &[new_key()])?;
        Self::open(path)
    }

    /// Reads the keys in `path`, or makes one at first start. Where there are sealed values
    /// already, use [`Keys::open`]: a new key opens none of them.
    ///
    /// # Errors
    /// As [`Keys::open`]: a file that cannot be used is never replaced.
    pub fn open_or_create(path: &Path) -> Result<Keys, KeyFileError> {
        match Self::open(path) {
            Err(KeyFileError::Absent(_)) => Self::create(path),
            other => other,
        }
    }

    /// Puts a new key first. The others still open what they sealed.
    ///
    /// # Errors
    /// When the file cannot be used, or has as many keys as it can have.
    pub fn rotate(path: &Path) -> Result<Keys, KeyFileError> {
        let mut keys = Self::open(path)?.keys;
        keys.insert(0, new_key());
        if keys.len() > MOST_KEYS {
            return Err(KeyFileError::Damaged {
                path: path.to_owned(),
                line: 0,
                problem: MANY,
            });
        }
        write(path, &keys)?;
        Self::open(path)
    }

    /// Takes the key `id` away, once nothing is sealed with it any more.
    ///
    /// # Errors
    /// When it is the newest, or not there.
    pub fn retire(path: &Path, id: KeyId) -> Result<Keys, KeyFileError> {
        let mut keys = Self::open(path)?.keys;
        let refused = |problem| KeyFileError::Retire {
            path: path.to_owned(),
            id,
            problem,
        };
        match keys.iter().position(|key| key.id == id) {
            None => return Err(refused("it is not there")),
            Some(0) => return Err(refused("it is the one that seals; rotate first")),
            Some(at) => drop(keys.remove(at)),
        }
        write(path, &keys)?;
        Self::open(path)
    }

    /// The key that seals.
    pub fn newest(&self) -> KeyId {
        self.keys.first().expect("a key file has a key").id
    }

    /// All keys, the newest first.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.keys.iter().map(|key| key.id)
    }

    /// The file they are from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What wraps data keys, derived so that the key's other use, its id, tells nothing of it.
    pub(super) fn wrapping(&self, id: KeyId) -> Option<Zeroizing<[u8; KEY]>> {
        let key = self.keys.iter().find(|key| key.id == id)?;
        let mut out = Zeroizing::new([0u8; KEY]);
        derive(&key.secret, b"weft sealed: wrap", &mut out[..]);
        Some(out)
    }
}

const MANY: &str = "more than 16 keys: reseal, then retire old ones";

fn derive(secret: &[u8; KEY], purpose: &[u8], out: &mut [u8]) {
    Hkdf::<Sha256>::new(None, secret)
        .expand(purpose, out)
        .expect("32 bytes are less than HKDF gives");
}

fn key(secret: Zeroizing<[u8; KEY]>) -> Key {
    let mut id = [0u8; ID];
    derive(&secret, b"weft sealed: id", &mut id);
    let id = KeyId(id);
    Key { id, secret }
}

fn new_key() -> Key {
    let mut secret = Zeroizing::new([0u8; KEY]);
    fill_random(&mut secret[..]);
    key(secret)
}

fn parse(text: &[u8]) -> Result<Vec<Key>, (usize, &'static str)> {
    let text = std::str::from_utf8(text).map_err(|_| (0, "not text"))?;
    let mut keys: Vec<Key> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let refused = |problem| (at + 1, problem);
        let bytes = STANDARD.decode(line).map(Zeroizing::new);
        let bytes = bytes.map_err(|_| refused("not base64"))?;
        let secret = <[u8; KEY]>::try_from(&bytes[..]).map(Zeroizing::new);
        let secret = secret.map_err(|_| refused("not 32 bytes"))?;
        if *secret == [0; KEY] {
            return Err(refused("a key of zeros"));
        }
        let new = key(secret);
        if keys.iter().any(|key| key.id == new.id) {
            return Err(refused("the same key again"));
        }
        keys.push(new);
    }
    match keys.len() {
        0 => Err((0, "it has no key")),
        1..=MOST_KEYS => Ok(keys),
        _ => Err((0, MANY)),
    }
}

fn write(path: &Path, keys: &[Key]) -> Result<(), KeyFileError> {
    let mut text = Zeroizing::new(String::with_capacity(4096));
    text.push_str(REMARK);
    for key in keys {
        text.push_str(&Zeroizing::new(STANDARD.encode(&key.secret[..])));
        text.push('\n');
    }
    replace(path, text.as_bytes(), Durability::PowerCut)
        .map_err(|source| failed("write", path, source))
}

fn failed(doing: &'static str, path: &Path, source: io::Error) -> KeyFileError {
    let path = path.to_owned();
    KeyFileError::File {
        doing,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(text: &[u8]) -> Result<Keys, KeyFileError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k");
        replace(&path, text, Durability::Process).unwrap();
        let keys = Keys::open_or_create(&path);
        assert_eq!(fs::read(&path).unwrap(), text, "nothing is made anew");
        keys
    }

    #[test]
    fn a_file_is_made_once_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k");
        assert!(matches!(Keys::open(&path), Err(KeyFileError::Absent(_))));
        let first = Keys::open_or_create(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        let again = Keys::open_or_create(&path).unwrap();
        assert_eq!(first.newest(), again.newest());
        assert!(matches!(
            Keys::create(&path),
            Err(KeyFileError::File { .. })
        ));
        assert!(!format!("{first:?}").contains(&fs::read_to_string(&path).unwrap()[92..120]));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(
            Keys::open_or_create(&path),
            Err(KeyFileError::Exposed { mode: 0o644, .. })
        ));
    }

    #[test]
    fn root_may_write_it() {
        let one = STANDARD.encode([1; KEY]);
        let two = STANDARD.encode([2; KEY]);
        let text = format!("# mine\n\n  {one} \r\n{two}");
        let keys = opened(text.as_bytes()).unwrap();
        assert_eq!(keys.ids().count(), 2);
        assert_eq!(keys.newest(), opened(one.as_bytes()).unwrap().newest());
    }

    #[test]
    fn a_damaged_file_is_refused_with_its_line() {
        let good = STANDARD.encode([1; KEY]);
        let short = STANDARD.encode([1; KEY - 1]);
        let zeros = STANDARD.encode([0; KEY]);
        let many: String = (1..=17).map(|n| STANDARD.encode([n; KEY]) + "\n").collect();
        for (text, at) in [
            (String::new(), 0),
            ("# nothing\n".to_owned(), 0),
            ("secret".to_owned(), 1),
            (format!("{good}\n{short}"), 2),
            (format!("{good}\n\n{good}"), 3),
            (zeros, 1),
            (many, 0),
        ] {
            match opened(text.as_bytes()) {
                Err(KeyFileError::Damaged { line, .. }) => assert_eq!(line, at, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        assert!(opened(&[0xff, 0xfe]).is_err());
        assert!(opened(&[b'#'; 20_000]).is_err());
    }

    #[test]
    fn rotation_has_a_bound() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k");
        let mut keys = Keys::create(&path).unwrap();
        for count in 2..=MOST_KEYS {
            let next = Keys::rotate(&path).unwrap();
            assert_eq!(next.ids().count(), count);
            assert!(next.ids().skip(1).eq(keys.ids()));
            keys = next;
        }
        assert!(Keys::rotate(&path).is_err());
        assert_eq!(Keys::open(&path).unwrap().newest(), keys.newest());
    }
}

//! Values that are readable with a key only, and in one place only.
//!
//! Owns: the sealed form. Each value has a data key of its own, wrapped by the newest key of a key
//! file; both are bound to the object's namespace and name, so that a sealed value that is moved
//! to another object is refused.
//! Never: keeps anything that was unsealed.
//!
//! ```text
//!   "weft" version │ key id │ nonce │ wrapped data key │ nonce │ ciphertext
//!      4      1        8       24        32 + 16           24      n + 16
//! ```

mod keys;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use weft_stdx::id::fill_random;
use zeroize::Zeroizing;

pub use keys::{KeyFileError, KeyId, Keys, MOST_KEYS};

const MAGIC: &[u8; 4] = b"weft";
const VERSION: u8 = 1;
const ID: usize = 8;
const NONCE: usize = 24;
const TAG: usize = 16;
const KEY: usize = 32;
const WRAPPED: usize = KEY + TAG;
const HEADER: usize = MAGIC.len() + 1;
/// Where the data's nonce begins.
const DATA_AT: usize = HEADER + ID + NONCE + WRAPPED;
/// How much longer a sealed value is.
pub const OVERHEAD: usize = DATA_AT + NONCE + TAG;

/// Which object a value belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// Its namespace; empty: of the cluster.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
}

/// Why a value cannot be sealed or unsealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealedError {
    /// Not of this form, or cut off.
    #[error("this is no sealed value")]
    Malformed,
    /// A newer weft sealed it.
    #[error("the value is sealed in form {0}, which this weft does not read")]
    Version(u8),
    /// Its key is not there.
    #[error(
        "the value is sealed with key {id}, which is not in {keys}: put that key back into the file"
    )]
    NoKey {
        /// The key's id.
        id: KeyId,
        /// The key file.
        keys: String,
    },
    /// It was changed, or sealed for another object.
    #[error("the sealed value of {namespace}/{name} was changed, or belongs to another object")]
    Refused {
        /// Where it was found.
        namespace: String,
        /// Where it was found.
        name: String,
    },
}

/// Whether a value is sealed, going by how it begins.
pub fn is_sealed(value: &[u8]) -> bool {
    value.starts_with(MAGIC) && value.len() >= OVERHEAD
}

impl Keys {
    /// Seals `value` for `place` with the newest key.
    pub fn seal(&self, place: Place<'_>, value: &[u8]) -> Vec<u8> {
        let mut data_key = Zeroizing::new([0u8; KEY]);
        fill_random(&mut data_key[..]);
        let mut sealed = self.wrap(place, &data_key);
        let associated = place.associated(&[]);
        sealed.extend(encrypt(&data_key, &associated, value));
        sealed
    }

    /// The value that was sealed for `place`. It is wiped when it is dropped.
    ///
    /// # Errors
    /// See [`SealedError`].
    pub fn unseal(
        &self,
        place: Place<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealedError> {
        let data_key = self.unwrap(place, sealed)?;
        decrypt(&data_key, &place.associated(&[]), &sealed[DATA_AT..])
            .ok_or_else(|| place.refused())
    }

    /// `sealed` with its data key wrapped by the newest key; none if it is already. The value
    /// itself is not touched.
    ///
    /// # Errors
    /// See [`SealedError`].
    pub fn reseal(&self, place: Place<'_>, sealed: &[u8]) -> Result<Option<Vec<u8>>, SealedError> {
        if key_id(sealed)? == self.newest() {
            return Ok(None);
        }
        let data_key = self.unwrap(place, sealed)?;
        let mut again = self.wrap(place, &data_key);
        again.extend_from_slice(&sealed[DATA_AT..]);
        Ok(Some(again))
    }

    fn wrap(&self, place: Place<'_>, data_key: &[u8; KEY]) -> Vec<u8> {
        let id = self.newest();
        let wrapping = self.wrapping(id).expect("the newest key is one of them");
        let mut out = Vec::with_capacity(OVERHEAD);
        out.extend_from_slice(MAGIC);
        out.push(VERSION);
        out.extend_from_slice(&id.0);
        let associated = place.associated(&id.0);
        out.extend(encrypt(&wrapping, &associated, data_key));
        out
    }

    fn unwrap(&self, place: Place<'_>, sealed: &[u8]) -> Result<Zeroizing<[u8; KEY]>, SealedError> {
        let id = key_id(sealed)?;
        let wrapping = self.wrapping(id).ok_or_else(|| SealedError::NoKey {
            id,
            keys: self.source().to_owned(),
        })?;
        let wrapped = &sealed[HEADER + ID..DATA_AT];
        let plain = decrypt(&wrapping, &place.associated(&id.0), wrapped);
        let plain = plain.ok_or_else(|| place.refused())?;
        let mut data_key = Zeroizing::new([0u8; KEY]);
        data_key.copy_from_slice(&plain);
        Ok(data_key)
    }
}

/// The key a value is sealed with, of one that is long enough to be read.
///
/// # Errors
/// When it is no sealed value, or one of another version.
pub fn key_id(sealed: &[u8]) -> Result<KeyId, SealedError> {
    if !is_sealed(sealed) {
        return Err(SealedError::Malformed);
    }
    let version = sealed[MAGIC.len()];
    if version != VERSION {
        return Err(SealedError::Version(version));
    }
    let mut id = [0; ID];
    id.copy_from_slice(&sealed[HEADER..HEADER + ID]);
    Ok(KeyId(id))
}

impl Place<'_> {
    /// What the ciphertext is bound to, besides its key; lengths first, so that nothing moves
    /// from the namespace to the name.
    fn associated(&self, id: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(MAGIC);
        out.push(VERSION);
        for part in [id, self.namespace.as_bytes(), self.name.as_bytes()] {
            out.extend_from_slice(&(part.len() as u64).to_le_bytes());
            out.extend_from_slice(part);
        }
        out
    }

    fn refused(&self) -> SealedError {
        SealedError::Refused {
            namespace: self.namespace.to_owned(),
            name: self.name.to_owned(),
        }
    }
}

/// Nonce and ciphertext. 24 random bytes never come twice.
fn encrypt(key: &[u8; KEY], associated: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut nonce = [0u8; NONCE];
    fill_random(&mut nonce);
    let payload = Payload {
        msg: plain,
        aad: associated,
    };
    let cipher = XChaCha20Poly1305::new(key.into());
    let text = cipher
        .encrypt(&XNonce::from(nonce), payload)
        .expect("values are shorter than 256 GiB");
    [&nonce[..], &text].concat()
}

fn decrypt(key: &[u8; KEY], associated: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, text) = sealed.split_first_chunk::<NONCE>()?;
    let payload = Payload {
        msg: text,
        aad: associated,
    };
    let cipher = XChaCha20Poly1305::new(key.into());
    let plain = cipher.decrypt(&XNonce::from(*nonce), payload).ok()?;
    Some(Zeroizing::new(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Place<'_> = Place {
        namespace: "shop",
        name: "db",
    };

    fn keys() -> (tempfile::TempDir, Keys) {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::create(&dir.path().join("secrets.key")).unwrap();
        (dir, keys)
    }

    #[test]
    fn what_is_sealed_is_unsealed_and_nothing_shows() {
        let (_dir, keys) = keys();
        for value in [&b""[..], b"hunter2 hunter2 hunter2", &[7; 100_000]] {
            let sealed = keys.seal(HERE, value);
            assert_eq!(sealed.len(), value.len() + OVERHEAD);
            assert!(is_sealed(&sealed) && !is_sealed(value));
            assert_eq!(&keys.unseal(HERE, &sealed).unwrap()[..], value);
            let shows = sealed.windows(7).any(|part| part == b"hunter2");
            assert!(!shows);
            assert_ne!(sealed, keys.seal(HERE, value), "every sealing differs");
        }
    }

    #[test]
    fn a_sealed_value_cannot_be_moved() {
        let (_dir, keys) = keys();
        let sealed = keys.seal(HERE, b"x");
        for (namespace, name) in [("shop", "web"), ("other", "db"), ("sho", "pdb"), ("", "db")] {
            let place = Place { namespace, name };
            let refused = Err(place.refused());
            assert_eq!(keys.unseal(place, &sealed), refused);
        }
        // Nor can the data of one value be put behind the key of another.
        let other = Place {
            name: "web",
            ..HERE
        };
        let other = keys.seal(other, b"y");
        let mixed = [&sealed[..DATA_AT], &other[DATA_AT..]].concat();
        assert_eq!(keys.unseal(HERE, &mixed), Err(HERE.refused()));
    }

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let (_dir, keys) = keys();
        let sealed = keys.seal(HERE, b"value");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(keys.unseal(HERE, &changed).is_err(), "byte {at}");
            assert!(keys.unseal(HERE, &sealed[..at]).is_err(), "{at} bytes");
        }
        let longer = [&sealed[..], b"x"].concat();
        assert_eq!(keys.unseal(HERE, &longer), Err(HERE.refused()));
        let mut newer = sealed.clone();
        newer[MAGIC.len()] = 2;
        assert_eq!(keys.unseal(HERE, &newer), Err(SealedError::Version(2)));
        assert_eq!(keys.unseal(HERE, b"{}"), Err(SealedError::Malformed));
        assert_eq!(keys.reseal(HERE, b"{}"), Err(SealedError::Malformed));
    }

    #[test]
    fn a_missing_key_is_named() {
        let ((_a, ours), (_b, theirs)) = (keys(), keys());
        let sealed = theirs.seal(HERE, b"x");
        let refused = ours.unseal(HERE, &sealed).unwrap_err().to_string();
        assert!(refused.contains(&theirs.newest().to_string()), "{refused}");
        assert!(refused.contains("secrets.key"), "{refused}");
    }

    #[test]
    fn keys_are_rotated_under_sealed_values() {
        let (dir, old) = keys();
        let path = dir.path().join("secrets.key");
        let sealed = old.seal(HERE, b"value");
        let both = Keys::rotate(&path).unwrap();
        assert_ne!(both.newest(), old.newest());
        assert_eq!(&both.unseal(HERE, &sealed).unwrap()[..], b"value");
        assert_eq!(key_id(&both.seal(HERE, b"x")), Ok(both.newest()));
        let again = both.reseal(HERE, &sealed).unwrap().unwrap();
        assert_eq!(key_id(&again), Ok(both.newest()));
        assert_eq!(both.reseal(HERE, &again), Ok(None));
        let elsewhere = Place { name: "x", ..HERE };
        assert_eq!(both.reseal(elsewhere, &sealed), Err(elsewhere.refused()));
        // The old key can go.
        let new = Keys::retire(&path, old.newest()).unwrap();
        assert_eq!(&new.unseal(HERE, &again).unwrap()[..], b"value");
        let gone = new.unseal(HERE, &sealed);
        assert!(matches!(gone, Err(SealedError::NoKey { .. })), "{gone:?}");
        assert!(Keys::retire(&path, new.newest()).is_err());
        assert!(old.unseal(HERE, &again).is_err());
    }
}

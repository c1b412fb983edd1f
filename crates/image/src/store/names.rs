//! Owns looking images up, naming, unnaming and removing them, as docker's commands do.
//! Never removes content something uses.

use super::{Image, Inner, Reclaimed, State, Store, StoreError};
use crate::digest::Digest;
use crate::error::ErrorKind;
use crate::reference::{Reference, ReferenceError};

/// Looking up, naming or removing an image failed.
#[derive(Debug, thiserror::Error)]
pub enum NameError {
    /// Nothing has that name or id.
    #[error("no such image: {0}")]
    NotFound(String),
    /// An id prefix fits several images.
    #[error("image id prefix {0:?} is ambiguous: it fits {1} images")]
    Ambiguous(String, usize),
    /// The text can be neither name nor id.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// A name with a digest cannot be given to an image.
    #[error("cannot tag with {0}: a name with a digest belongs to what it was pulled as")]
    DigestTag(String),
    /// A container or snapshot needs it.
    #[error("cannot remove image {name}: {user} uses it")]
    InUse {
        /// What was to be removed.
        name: String,
        /// What uses it.
        user: String,
    },
    /// Removing by id an image that has several names.
    #[error("cannot remove image {0} by id: it has several names; remove those or force it")]
    SeveralNames(String),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl NameError {
    /// Its class.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Ambiguous(..) | Self::InUse { .. } | Self::SeveralNames(_) => ErrorKind::Conflict,
            Self::Reference(_) | Self::DigestTag(_) => ErrorKind::Invalid,
            Self::Store(error) => error.kind(),
        }
    }
}

/// How to remove an image.
pub struct RemoveOptions<'a> {
    /// Remove all its names even when asked by id; only unname it when something uses it.
    pub force: bool,
    /// Who uses an image, such as `container 0123456789ab`; `None` if nobody does.
    pub in_use: &'a dyn Fn(&Image) -> Option<String>,
}

/// One thing a removal did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// A name is gone (familiar form).
    Untagged(String),
    /// An image or layer is gone.
    Deleted(Digest),
}

impl Store {
    /// The image called `text`: a reference, a full id, or a prefix of one.
    pub fn find(&self, text: &str) -> Result<Option<Image>, NameError> {
        let state = self.0.state();
        Ok(state.resolve(text)?.and_then(|(id, _)| state.image(&id)))
    }

    /// Gives an image a further name. Whatever had the name loses it.
    pub fn tag(&self, image: &Image, name: &Reference) -> Result<(), NameError> {
        if name.digest().is_some() {
            return Err(NameError::DigestTag(name.to_string()));
        }
        if self.get(&image.id).is_none() {
            return Err(NameError::NotFound(image.id.to_string()));
        }
        self.0
            .change(|state| state.names.insert(name.canonical(), image.id.clone()))?;
        Ok(())
    }

    /// Removes a name, and the image with its last one.
    pub fn remove(
        &self,
        text: &str,
        options: RemoveOptions<'_>,
    ) -> Result<Vec<Removed>, NameError> {
        let (image, name) = {
            let state = self.0.state();
            let found = state.resolve(text)?;
            let found = found.and_then(|(id, name)| Some((state.image(&id)?, name)));
            found.ok_or_else(|| NameError::NotFound(text.to_owned()))?
        };
        let names: Vec<String> = match name {
            Some(name) => vec![name],
            None if image.names.len() > 1 && !options.force => {
                return Err(NameError::SeveralNames(text.to_owned()));
            }
            None => image.names.iter().map(Reference::canonical).collect(),
        };
        let last = image
            .names
            .iter()
            .all(|name| names.contains(&name.canonical()));
        let user = if last {
            self.user(&image, &options)
        } else {
            None
        };
        match user {
            Some(user) if !options.force => Err(NameError::InUse {
                name: text.to_owned(),
                user,
            }),
            Some(_) => self.0.unname(&image.id, &names, Whole::Stays),
            None if !last => self.0.unname(&image.id, &names, Whole::Stays),
            None if options.force => self.0.unname(&image.id, &names, Whole::GoesIfFree),
            None => self.0.unname(&image.id, &names, Whole::Goes(text)),
        }
    }

    /// Removes `images` with all their names, but those that are used by now, and then what no
    /// image needs.
    pub fn discard(&self, images: &[Digest]) -> Result<(Vec<Removed>, Reclaimed), StoreError> {
        let removed = self.0.change(|state| {
            let users = self.snapshots().users();
            let mut removed = Vec::new();
            for id in images {
                if users.contains_key(&id.to_string()) || state.images.remove(id).is_none() {
                    continue;
                }
                let names = state.names.extract_if(.., |_, target| target == id);
                removed.extend(names.map(|(name, _)| untagged(&name)));
                removed.push(Removed::Deleted(id.clone()));
            }
            removed
        })?;
        Ok((removed, self.0.sweep()?))
    }

    fn user(&self, image: &Image, options: &RemoveOptions<'_>) -> Option<String> {
        (options.in_use)(image).or_else(|| self.snapshots().users().remove(&image.id.to_string()))
    }
}

/// What becomes of an image that loses names.
#[derive(Clone, Copy)]
enum Whole<'a> {
    Stays,
    GoesIfFree,
    /// It goes, or, should something use it by now, all stays as it is. With what was asked for.
    Goes(&'a str),
}

fn untagged(name: &str) -> Removed {
    let familiar = Reference::parse(name).map_or(name.to_owned(), |r| r.to_string());
    Removed::Untagged(familiar)
}

impl Inner {
    fn unname(
        &self,
        id: &Digest,
        names: &[String],
        whole: Whole<'_>,
    ) -> Result<Vec<Removed>, NameError> {
        let mut removed = self.change(|state| {
            // Asked under the lock that snapshots are made under.
            let user = match whole {
                Whole::Stays => None,
                Whole::GoesIfFree | Whole::Goes(_) => {
                    self.snapshots.users().remove(&id.to_string())
                }
            };
            if let (Whole::Goes(asked), Some(user)) = (whole, &user) {
                return Err(NameError::InUse {
                    name: asked.to_owned(),
                    user: user.clone(),
                });
            }
            let gone = names
                .iter()
                .filter(|name| state.names.remove(*name).is_some());
            let mut removed: Vec<Removed> = gone.map(|name| untagged(name)).collect();
            // A name given meanwhile keeps the image.
            let named = state.names.values().any(|target| target == id);
            if !matches!(whole, Whole::Stays) && user.is_none() && !named {
                state.images.remove(id);
                removed.push(Removed::Deleted(id.clone()));
            }
            Ok(removed)
        })??;
        let swept = self.sweep()?;
        removed.extend(swept.layers.into_iter().map(Removed::Deleted));
        Ok(removed)
    }
}

impl State {
    /// The image id for `text`, and the canonical name if it was found by one.
    fn resolve(&self, text: &str) -> Result<Option<(Digest, Option<String>)>, NameError> {
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        let is_hex = !hex.is_empty() && hex.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        if is_hex && hex.len() == 64 {
            let id = Digest::parse(&format!("sha256:{hex}")).ok();
            if let Some(id) = id.filter(|id| self.images.contains_key(id)) {
                return Ok(Some((id, None)));
            }
            return Ok(None);
        }
        match Reference::parse(text) {
            Ok(reference) => {
                if let Some(found) = self.by_reference(&reference) {
                    return Ok(Some(found));
                }
            }
            Err(error) if !is_hex => return Err(error.into()),
            Err(_) => {}
        }
        if !is_hex {
            return Ok(None);
        }
        let fits: Vec<&Digest> = self
            .images
            .keys()
            .filter(|id| id.hex().starts_with(hex))
            .collect();
        match fits.as_slice() {
            [] => Ok(None),
            [id] => Ok(Some(((*id).clone(), None))),
            several => Err(NameError::Ambiguous(text.to_owned(), several.len())),
        }
    }

    fn by_reference(&self, reference: &Reference) -> Option<(Digest, Option<String>)> {
        let Some(digest) = reference.digest() else {
            let name = reference.canonical();
            return self.names.get(&name).map(|id| (id.clone(), Some(name)));
        };
        let wanted = reference.with_digest(digest).canonical();
        if let Some(id) = self.names.get(&wanted) {
            return Some((id.clone(), Some(wanted)));
        }
        let held = self
            .images
            .values()
            .find(|held| held.image.digests.contains(&wanted))?;
        Some((held.image.id.clone(), None))
    }
}

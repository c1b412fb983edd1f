//! Lists: all of it at one revision, in pieces if asked for.

use std::sync::Arc;

use weft_keyspace::{Found, Item, Range, Revision, Span};

use super::{Store, place, record, unreadable};
use crate::failure::Failure;
use crate::kind::Kind;
use crate::selector::{Fields, Labels};

/// So many objects are looked at before it is seen whether they are enough.
const PIECE: usize = 500;

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// Labels they must have.
    pub labels: Labels,
    /// Fields they must have.
    pub fields: Fields,
    /// At most so many; 0: all.
    pub limit: usize,
    /// Where an earlier list stopped.
    pub token: Option<String>,
    /// As it was then, exactly.
    pub at: Option<Revision>,
}

impl ListOptions {
    /// Whether it is to be seen what an object holds.
    fn selects(&self) -> bool {
        !self.labels.is_empty() || self.fields != Fields::default()
    }
}

/// A list, or a piece of one.
#[derive(Clone, Debug)]
pub struct Listed {
    /// What it is true for.
    pub revision: Revision,
    /// In the order of namespace and name.
    pub items: Vec<Arc<Item>>,
    /// How to go on, if there is more.
    pub token: Option<String>,
    /// How many there are beyond this piece, where that is known.
    pub left: Option<usize>,
}

impl Store {
    /// The objects of a kind in a namespace; in all, without one.
    ///
    /// # Errors
    /// The revision is forgotten, or the token is none.
    pub async fn list(
        &self,
        kind: &Kind,
        namespace: &str,
        options: &ListOptions,
    ) -> Result<Listed, Failure> {
        let within = place::within(kind, namespace);
        let (mut at, mut start) = (options.at, None);
        if let Some(token) = &options.token {
            let (revision, key) = read_token(token)
                .filter(|(_, key)| key.starts_with(&within))
                .ok_or_else(|| {
                    Failure::bad_request("continue key is not valid: it is none of this list")
                })?;
            (at, start) = (Some(revision), Some(key));
        }
        let mut span = match options.fields.name() {
            Some(name) if !kind.is_namespaced || !namespace.is_empty() => {
                Span::key(format!("{within}{name}"))
            }
            _ => Span::prefix(within),
        };
        if let Some(start) = start {
            span.start = start.into();
        }
        let selects = options.selects();
        let found = match selects {
            true => self.select(kind, span, at, options).await?,
            false => {
                let limit = Some(options.limit).filter(|limit| *limit > 0);
                let range = Range { span, at, limit };
                let mut found = self.keyspace.range(range).await.map_err(unreadable)?;
                found.items = self.vault.open_all(kind, found.items)?;
                found
            }
        };
        let token = found
            .items
            .last()
            .filter(|_| found.left > 0)
            .map(|item| token(found.revision, &item.key));
        Ok(Listed {
            revision: found.revision,
            items: found.items,
            token,
            // With a selector upstream does not count, either.
            left: (found.left > 0 && !selects).then_some(found.left),
        })
    }
}

impl Store {
    /// What the selectors mean, up to the limit: no more is read than it takes, and one beyond it
    /// is enough to know that there is more.
    async fn select(
        &self,
        kind: &Kind,
        mut span: Span,
        at: Option<Revision>,
        options: &ListOptions,
    ) -> Result<Found, Failure> {
        let most = Some(options.limit).filter(|limit| *limit > 0);
        let mut limit = most.map(|most| most.max(PIECE));
        let mut kept = Found {
            revision: at.unwrap_or_default(),
            items: Vec::new(),
            left: 0,
        };
        let mut at = at;
        loop {
            let part = span.clone();
            let range = Range {
                span: part,
                at,
                limit,
            };
            let found = self.keyspace.range(range).await.map_err(unreadable)?;
            kept.revision = found.revision;
            at = Some(found.revision);
            if let Some(last) = found.items.last() {
                span.start = [&last.key, &b"\0"[..]].concat().into();
            }
            for item in self.vault.open_all(kind, found.items)? {
                if !is_listed(kind, &item, options)? {
                    continue;
                }
                if most == Some(kept.items.len()) {
                    kept.left = 1;
                    return Ok(kept);
                }
                kept.items.push(item);
            }
            if found.left == 0 {
                return Ok(kept);
            }
            // Each look counts what is left.
            limit = limit.map(|limit| limit * 2);
        }
    }
}

/// The same as [`is_meant`], of one of many: nothing but the labels is read where that is enough.
fn is_listed(kind: &Kind, item: &Item, options: &ListOptions) -> Result<bool, Failure> {
    if options.labels.is_empty() {
        return is_meant(kind, item, options);
    }
    let own = record::labels(item)?;
    let is_labelled = options
        .labels
        .matches(|name| own.get(name).map(|value| &**value));
    Ok(is_labelled && (options.fields == Fields::default() || is_meant(kind, item, options)?))
}

/// Whether the selectors mean this object; without any, it is not even read.
pub(super) fn is_meant(kind: &Kind, item: &Item, options: &ListOptions) -> Result<bool, Failure> {
    if !options.selects() {
        return Ok(true);
    }
    let object = record::read(item)?;
    let meta = object.meta();
    Ok(options.labels.matches(|name| meta.label(name))
        && options.fields.matches(|name| kind.field(&object, name)))
}

/// `REVISION:KEY` of the first that was not listed yet, in hex so that it needs no escaping.
fn token(revision: Revision, last: &[u8]) -> String {
    let text = format!("{revision}:{}\0", String::from_utf8_lossy(last));
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn read_token(token: &str) -> Option<(Revision, String)> {
    if !token.is_ascii() || !token.len().is_multiple_of(2) {
        return None;
    }
    let bytes: Option<Vec<u8>> = (0..token.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&token[at..at + 2], 16).ok())
        .collect();
    let text = String::from_utf8(bytes?).ok()?;
    let (revision, key) = text.split_once(':')?;
    Some((Revision(revision.parse().ok()?), key.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_made() {
        let made = token(Revision(7), b"objects/core/pods/a/b");
        let (revision, key) = read_token(&made).unwrap();
        assert_eq!(
            (revision, key.as_str()),
            (Revision(7), "objects/core/pods/a/b\0")
        );
        for wrong in ["", "zz", "0", "ä", "3a"] {
            assert!(read_token(wrong).is_none(), "{wrong}");
        }
    }
}

//! Pages about kinds: made once for the kinds there are, and not sent again to who has them.
//!
//! Owns: which pages are kept and for how long, their tags, and conditional requests. Never: what
//! stands in a page.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, ETAG, HeaderValue, IF_NONE_MATCH, VARY};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use weft_control::{Kind, Kinds};

use crate::answer::{self, Answer};

/// For what is asked by its hash: it never is another.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, immutable, max-age=31536000");

/// A page.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    media: &'static str,
    body: Bytes,
    hash: Arc<str>,
}

impl Page {
    pub(crate) fn new(media: &'static str, body: impl Into<Bytes>) -> Page {
        let body = body.into();
        let mut hash = String::with_capacity(64);
        for byte in Sha256::digest(&body) {
            let _ = write!(hash, "{byte:02X}");
        }
        Page {
            media,
            body,
            hash: hash.into(),
        }
    }

    pub(crate) fn json(value: &Value) -> Page {
        Page::new("application/json", value.to_string())
    }

    /// The page, or that it is the one the client has.
    pub(crate) fn answer(&self, head: &HeaderMap) -> Answer {
        let tag = format!("\"{}\"", self.hash);
        let known = head.get_all(IF_NONE_MATCH).iter();
        let mut known = known.filter_map(|value| value.to_str().ok());
        let mut answer = if known.any(|known| names(known, &tag)) {
            answer::whole(StatusCode::NOT_MODIFIED, self.media, "")
        } else {
            answer::whole(StatusCode::OK, self.media, self.body.clone())
        };
        let headers = answer.headers_mut();
        headers.insert(VARY, HeaderValue::from_static("Accept"));
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            headers.insert(ETAG, tag);
        }
        answer
    }

    /// The same to who asks by a hash, which may be an older page's.
    pub(crate) fn answer_by(&self, hash: &str, head: &HeaderMap) -> Answer {
        let mut answer = self.answer(head);
        if *hash == *self.hash {
            answer.headers_mut().insert(CACHE_CONTROL, FOR_EVER);
        }
        answer
    }
}

/// Whether a list of tags (RFC 9110, 13.1.2) names this one.
fn names(known: &str, tag: &str) -> bool {
    let mut each = known.split(',').map(str::trim);
    each.any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}

/// Pages that were asked for.
#[derive(Debug, Default)]
pub struct Pages(Mutex<Made>);

#[derive(Debug, Default)]
struct Made {
    /// What they are of.
    kinds: Arc<Kinds>,
    /// Bounded by what there is to be told of these kinds: only pages that are found are kept.
    pages: BTreeMap<String, Page>,
    /// Hashes of pages of some kinds each, which outlive a change of the others. As many as
    /// there are groups.
    hashes: BTreeMap<String, (Vec<Arc<Kind>>, Arc<str>)>,
}

impl Pages {
    fn made(&self) -> MutexGuard<'_, Made> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The page of this name about `kinds`, made if it has not been.
    pub(crate) fn get(
        &self,
        kinds: &Arc<Kinds>,
        name: String,
        make: impl FnOnce() -> Option<Page>,
    ) -> Option<Page> {
        let mut made = self.made();
        if !Arc::ptr_eq(&made.kinds, kinds) {
            made.kinds = Arc::clone(kinds);
            made.pages.clear();
        }
        if let Some(page) = made.pages.get(&name) {
            return Some(page.clone());
        }
        drop(made);
        let page = make()?;
        let mut made = self.made();
        // There may be others by now.
        if Arc::ptr_eq(&made.kinds, kinds) {
            made.pages.insert(name, page.clone());
        }
        Some(page)
    }

    /// The hash of each page that is about some kinds, by its name. The pages are not kept: most
    /// are never asked for.
    pub(crate) fn hashes(
        &self,
        groups: &BTreeMap<String, Vec<Arc<Kind>>>,
        make: impl Fn(&[Arc<Kind>]) -> Page,
    ) -> BTreeMap<String, Arc<str>> {
        let mut before = std::mem::take(&mut self.made().hashes);
        let mut now = BTreeMap::new();
        for (name, kinds) in groups {
            let same = before.remove(name).filter(|(known, _)| are(known, kinds));
            let made = same.unwrap_or_else(|| (kinds.clone(), make(kinds).hash));
            now.insert(name.clone(), made);
        }
        let hashes = now.iter().map(|(name, (_, hash))| (name, hash));
        let hashes = hashes.map(|(name, hash)| (name.clone(), Arc::clone(hash)));
        let hashes = hashes.collect();
        self.made().hashes = now;
        hashes
    }
}

fn are(some: &[Arc<Kind>], others: &[Arc<Kind>]) -> bool {
    let others = others.iter().map(Arc::as_ptr);
    some.iter().map(Arc::as_ptr).eq(others)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(tag: &str) -> HeaderMap {
        let mut head = HeaderMap::new();
        head.insert(IF_NONE_MATCH, tag.parse().unwrap());
        head
    }

    #[test]
    fn a_page_that_is_known_is_not_sent() {
        let page = Page::new("text/plain", "a");
        let answer = page.answer(&HeaderMap::new());
        assert_eq!(answer.status(), StatusCode::OK);
        let tag = answer.headers()[ETAG].to_str().unwrap().to_owned();
        for known in [&tag, "*", &format!("\"x\", {tag}"), &format!("W/{tag}")] {
            let answer = page.answer(&asked(known));
            assert_eq!(answer.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(answer.headers()[ETAG], tag);
        }
        for other in ["\"x\"", "", &tag[1..], &tag.to_lowercase()] {
            assert_eq!(page.answer(&asked(other)).status(), StatusCode::OK);
        }
        assert_ne!(Page::new("text/plain", "b").hash, page.hash);
    }

    #[test]
    fn only_the_page_of_the_hash_that_is_asked_is_kept_for_ever() {
        let page = Page::new("text/plain", "a");
        let of = |hash: &str| {
            let answer = page.answer_by(hash, &HeaderMap::new());
            answer.headers()[CACHE_CONTROL].to_str().unwrap().to_owned()
        };
        assert_eq!(of(&page.hash), FOR_EVER);
        assert_eq!(of("other"), "no-cache, private");
    }

    #[test]
    fn a_page_is_made_once_for_the_same_kinds() {
        let pages = Pages::default();
        let page = |kinds: &Arc<Kinds>, body: &'static str| {
            let make = || Some(Page::new("text/plain", body));
            pages.get(kinds, "a".to_owned(), make).unwrap().body
        };
        let (one, other) = (Arc::new(Kinds::built_in()), Arc::new(Kinds::built_in()));
        assert_eq!(page(&one, "first"), "first");
        assert_eq!(page(&one, "second"), "first");
        assert_eq!(page(&other, "third"), "third");
        assert!(pages.get(&one, "b".to_owned(), || None).is_none());
        assert!(pages.made().pages.is_empty());
    }
}

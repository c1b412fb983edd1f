//! Tokens of pods' accounts, in their files (`serviceAccountToken` of projected volumes).
//!
//! Owns: that a token is made once, and anew when four fifths of its life are over, upstream's rule,
//! or a little before: many pods begin at once, and their tokens are not all made anew at once.
//! Never: signs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use k8s_openapi::api::core::v1::PodSpec;
use weft_stdx::clock::unix_s;

use crate::failure::Failure;
use crate::object::Object;

/// Life of a token nobody said more about.
const LIFE_S: i64 = 3600;
/// In a tenth of its life, so many times at which it may be made anew.
const TURNS: i64 = 12;
/// Those of pods that begin at about the same time are made in one go.
const GO_S: i64 = 30;

/// Makes tokens.
pub trait Tokens: Send + Sync + fmt::Debug {
    /// A token for a pod's account, good for so long and as long as the pod is there.
    ///
    /// # Errors
    /// It cannot be made.
    fn make(&self, of: &Bearer<'_>, wanted: &Wanted) -> Result<String, Failure>;
}

/// Who shows a token.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct Bearer<'a> {
    pub namespace: &'a str,
    pub account: &'a str,
    pub account_uid: &'a str,
    pub pod: &'a str,
    pub pod_uid: &'a str,
}

/// What a token is to be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// Whom it is for; nothing: this API.
    pub audience: Option<String>,
    #[allow(missing_docs)]
    pub life_s: i64,
}

/// The tokens that a pod's files hold.
pub(super) fn wanted(spec: &PodSpec) -> BTreeSet<Wanted> {
    let volumes = spec.volumes.iter().flatten();
    let sources = volumes.flat_map(|volume| volume.projected.iter().flat_map(|of| &of.sources));
    let tokens = sources
        .flatten()
        .filter_map(|one| one.service_account_token.as_ref());
    tokens
        .map(|one| of(one.audience.as_ref(), one.expiration_seconds))
        .collect()
}

/// What one source asks for.
pub(super) fn of(audience: Option<&String>, life_s: Option<i64>) -> Wanted {
    Wanted {
        audience: audience.filter(|audience| !audience.is_empty()).cloned(),
        life_s: life_s.unwrap_or(LIFE_S),
    }
}

/// The tokens there are now. Bounded by the pods of the node.
#[derive(Debug, Default)]
pub(super) struct Purse {
    maker: Option<Arc<dyn Tokens>>,
    /// By the pod's uid.
    held: BTreeMap<(String, Wanted), Held>,
}

#[derive(Debug)]
struct Held {
    token: String,
    /// The uid of whose it is.
    account: String,
    /// When it is to be another.
    until_s: i64,
}

/// What became of those a pod wants, each or why there is none.
pub(super) type Given = BTreeMap<Wanted, Result<String, String>>;

impl Purse {
    pub fn new(maker: Option<Arc<dyn Tokens>>) -> Purse {
        Purse {
            maker,
            held: BTreeMap::new(),
        }
    }

    /// Those a pod wants, whose account is `account`.
    pub fn give(
        &mut self,
        pod: &Object,
        account: Option<&Object>,
        wanted: &BTreeSet<Wanted>,
    ) -> Given {
        let each = wanted.iter();
        each.map(|one| (one.clone(), self.one(pod, account, one)))
            .collect()
    }

    fn one(
        &mut self,
        pod: &Object,
        account: Option<&Object>,
        wanted: &Wanted,
    ) -> Result<String, String> {
        let named = pod
            .text(&["spec", "serviceAccountName"])
            .unwrap_or("default");
        let Some(account) = account else {
            return Err(format!("serviceaccount {named:?} not found"));
        };
        let now = unix_s();
        let key = (pod.meta().text("uid").to_owned(), wanted.clone());
        let uid = account.meta().text("uid");
        let held = self.held.get(&key);
        if let Some(held) = held.filter(|held| now < held.until_s && held.account == uid) {
            return Ok(held.token.clone());
        }
        let Some(maker) = &self.maker else {
            return Err("nobody here makes tokens".to_owned());
        };
        let bearer = Bearer {
            namespace: pod.meta().namespace(),
            account: named,
            account_uid: uid,
            pod: pod.meta().name(),
            pod_uid: pod.meta().text("uid"),
        };
        let token = maker
            .make(&bearer, wanted)
            .map_err(|failure| failure.message)?;
        let held = Held {
            token: token.clone(),
            account: uid.to_owned(),
            until_s: until_s(pod.meta().text("uid"), wanted.life_s, now),
        };
        self.held.insert(key, held);
        Ok(token)
    }

    /// When the next one is to be another.
    pub fn next_s(&self) -> Option<i64> {
        self.held.values().map(|held| held.until_s).min()
    }

    /// The pods with one that is to be another now.
    pub fn due(&self) -> BTreeSet<String> {
        let now = unix_s();
        let due = self.held.iter().filter(|(_, held)| held.until_s <= now);
        due.map(|((uid, _), _)| uid.clone()).collect()
    }

    /// The pod is gone, or has another account.
    pub fn forget(&mut self, uid: &str) {
        self.held.retain(|(of, _), _| of != uid);
    }
}

/// When a token of this life is to be another: at one of a few times, which the pod decides.
fn until_s(uid: &str, life_s: i64, now: i64) -> i64 {
    let mut hasher = DefaultHasher::new();
    uid.hash(&mut hasher);
    let turn = (hasher.finish() % TURNS.unsigned_abs()).cast_signed();
    let until_s = now + life_s / 5 * 4 - life_s / 10 / TURNS * turn;
    until_s - until_s.rem_euclid(GO_S)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::*;

    #[derive(Debug, Default)]
    struct Mint(AtomicUsize);

    impl Tokens for Mint {
        fn make(&self, of: &Bearer<'_>, wanted: &Wanted) -> Result<String, Failure> {
            let number = self.0.fetch_add(1, Ordering::Relaxed);
            Ok(format!(
                "{}/{} {:?} {number}",
                of.account, of.account_uid, wanted.audience
            ))
        }
    }

    #[test]
    fn a_token_is_kept_until_it_is_old() {
        let object = |value| serde_json::from_value(value).map(Object).unwrap();
        let pod: Object = object(json!({ "metadata": { "name": "x", "uid": "u" } }));
        let account: Object = object(json!({ "metadata": { "name": "default", "uid": "a" } }));
        let mut purse = Purse::new(Some(Arc::new(Mint::default())));
        let long = of(None, None);
        let other = of(Some(&"vault".to_owned()), Some(600));
        let wanted = BTreeSet::from([long.clone(), other.clone()]);
        let first = purse.give(&pod, Some(&account), &wanted);
        assert_eq!(first[&long].as_deref(), Ok("default/a None 0"));
        assert_eq!(first[&other].as_deref(), Ok("default/a Some(\"vault\") 1"));
        assert_eq!(
            purse.give(&pod, Some(&account), &wanted),
            first,
            "they are kept"
        );
        assert!(purse.due().is_empty());
        let left = purse.next_s().unwrap() - unix_s();
        assert!((380..=480).contains(&left), "{left}");
        // One whose time is nearly over is another the next time.
        let short = BTreeSet::from([of(None, Some(0))]);
        let one = purse.give(&pod, Some(&account), &short);
        assert_eq!(purse.due(), BTreeSet::from(["u".to_owned()]));
        assert_ne!(purse.give(&pod, Some(&account), &short), one);
        // An account that was made anew is another.
        let anew: Object = object(json!({ "metadata": { "name": "default", "uid": "b" } }));
        let others = purse.give(&pod, Some(&anew), &wanted);
        assert_eq!(others[&long].as_deref(), Ok("default/b None 4"));
        purse.forget("u");
        assert_eq!(purse.next_s(), None);
        let none = purse.give(&pod, None, &wanted);
        assert_eq!(
            none[&long],
            Err("serviceaccount \"default\" not found".to_owned())
        );
    }
}

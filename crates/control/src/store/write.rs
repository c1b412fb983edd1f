//! What all writes have in common: how they are to be made, the last check, the commit.

use std::sync::Arc;

use serde_json::Value;
use weft_keyspace::{
    Change, Commit, CommitError, Committed, Guard, Item, Memo, Range, ReadError, Revision, Span,
};

use super::{Admit, Store, invalid, mistakes, place, record};
use crate::failure::{Failure, Reason};
use crate::kind::Kind;
use crate::object::Object;

/// How often a change that does not name a version is made again.
pub(super) const TRIES: usize = 20;
/// Most bytes of an object.
const LARGEST: usize = 1536 * 1024;
/// How a change is to be made.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// Only say what would be.
    pub is_dry_run: bool,
    /// `status`: only that is written; empty: all but that.
    pub subresource: &'static str,
    /// Who writes, as owners of fields are told apart.
    pub manager: String,
    /// Whether an application takes fields from others.
    pub is_forced: bool,
    /// Whether a patch that brings unknown fields is refused; else they are left out.
    pub is_strict: bool,
    /// Asked once it is known what would be stored.
    pub admit: Option<Admit>,
}

impl WriteOptions {
    pub(super) fn admitted(&self, old: Option<&Object>, new: &Object) -> Result<(), Failure> {
        match &self.admit {
            Some(admit) => admit.ask(old, new),
            None => Ok(()),
        }
    }

    pub(super) fn is_status(&self) -> bool {
        self.subresource == "status"
    }
}

/// How a change came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Somebody wrote what the object is to be.
    Update,
    /// A configuration was applied, and who owns what is settled.
    Apply,
}

impl Store {
    pub(super) async fn put(
        &self,
        kind: &Kind,
        namespace: &str,
        object: &Object,
        mut guards: Vec<Guard>,
        options: &WriteOptions,
    ) -> Result<Arc<Item>, CommitError> {
        guards.extend(self.definition_stays(kind).await?);
        let told = |error: Failure| CommitError::Invalid(error.message);
        let value = record::stored(kind, object).map_err(told)?;
        if value.len() > LARGEST {
            let length = value.len();
            return Err(CommitError::Invalid(format!(
                "the object has {length} bytes: at most {LARGEST} can be stored"
            )));
        }
        let key = place::key(kind, namespace, object.meta().name());
        let claims = self.claims(kind, key.as_bytes(), Some(object)).await?;
        guards.extend(claims.guards);
        let lease = match options.is_dry_run {
            true => None,
            false => self.fleeting.lease(&*self.keyspace, kind).await?,
        };
        let change = Change::Put {
            key: key.into(),
            value,
            lease,
        };
        let made = self.make(kind, change, claims.changes, guards, options);
        let made = made.await;
        if let Err(CommitError::NoLease(over)) = &made {
            self.fleeting.forget(*over).await;
        }
        made
    }

    /// The object goes; what is answered is its last version.
    pub(super) async fn take(
        &self,
        kind: &Kind,
        key: bytes::Bytes,
        guards: Vec<Guard>,
        options: &WriteOptions,
    ) -> Result<Arc<Item>, CommitError> {
        let claims = self.claims(kind, &key, None).await?;
        self.make(
            kind,
            Change::Delete { key },
            claims.changes,
            guards,
            options,
        )
        .await
    }

    async fn make(
        &self,
        kind: &Kind,
        change: Change,
        others: Vec<Change>,
        guards: Vec<Guard>,
        options: &WriteOptions,
    ) -> Result<Arc<Item>, CommitError> {
        if options.is_dry_run {
            return self.rehearse(kind, change, guards).await;
        }
        let (change, _held) = self.vault.close(kind, change).await?;
        let commit = Commit {
            guards,
            changes: [change].into_iter().chain(others).collect(),
        };
        let Committed { items, .. } = self.keyspace.commit(commit).await?;
        let item = items.into_iter().next().flatten();
        let gone = || CommitError::Invalid("nothing was there to be deleted".to_owned());
        self.opened(kind, &item.ok_or_else(gone)?)
    }

    fn opened(&self, kind: &Kind, item: &Arc<Item>) -> Result<Arc<Item>, CommitError> {
        let opened = self.vault.open(kind, item);
        opened.map_err(|why| CommitError::Closed(why.message.into()))
    }

    /// What a commit would answer; only its guards are committed. What there is keeps its version,
    /// and what is not there has none.
    async fn rehearse(
        &self,
        kind: &Kind,
        change: Change,
        guards: Vec<Guard>,
    ) -> Result<Arc<Item>, CommitError> {
        let commit = Commit {
            guards,
            changes: Vec::new(),
        };
        self.keyspace.commit(commit).await?;
        let (Change::Put { key, .. } | Change::Delete { key }) = &change;
        let range = Range {
            span: Span::key(key.clone()),
            at: None,
            limit: Some(1),
        };
        let closed = |error: ReadError| CommitError::Closed(error.to_string().into());
        let found = self.keyspace.range(range).await.map_err(closed)?;
        let present = found.items.first();
        match change {
            Change::Put { key, value, lease } => {
                let item = Arc::new(Item {
                    key,
                    value,
                    created: present.map_or(Revision(0), |item| item.created),
                    modified: present.map_or(Revision(0), |item| item.modified),
                    version: present.map_or(0, |item| item.version),
                    lease,
                    memo: Memo::default(),
                });
                let shown = record::shown(kind, &item);
                shown.map_err(|why| CommitError::Invalid(why.message))
            }
            Change::Delete { .. } => {
                let gone = || CommitError::Invalid("nothing is there to be deleted".to_owned());
                self.opened(kind, present.ok_or_else(gone)?)
            }
        }
    }
}

/// Whether something has to be done before an object that is being deleted is gone. A namespace
/// says so in its spec, too.
pub(super) fn is_held(object: &Object) -> bool {
    let of_spec = held_by_spec(object).and_then(Value::as_array);
    object.meta().finalizers().next().is_some() || of_spec.is_some_and(|list| !list.is_empty())
}

/// What a namespace says in its spec. A field of that name means nothing in other kinds.
pub(super) fn held_by_spec(object: &Object) -> Option<&Value> {
    let is = |field: &str, value: &str| object.text(&[field]) == Some(value);
    let is_namespace = is("kind", "Namespace") && is("apiVersion", "v1");
    object.at(&["spec", "finalizers"]).filter(|_| is_namespace)
}

pub(super) fn unwritten(error: CommitError) -> Failure {
    match error {
        CommitError::Invalid(why) => Failure::new(Reason::RequestEntityTooLarge, why),
        CommitError::Full(why) => Failure::new(
            Reason::ServiceUnavailable,
            format!("it could not be written, and was not: {why}"),
        ),
        CommitError::Closed(why) => Failure::new(Reason::ServiceUnavailable, why.to_string()),
        other => Failure::internal(other),
    }
}

/// The namespace of the URL holds, and the object must not name another.
pub(super) fn place_in(kind: &Kind, namespace: &str, object: &mut Object) -> Result<(), Failure> {
    let named = object.meta().namespace().to_owned();
    if !kind.is_namespaced {
        object.set_meta("namespace", None);
        return Ok(());
    }
    if !named.is_empty() && named != namespace {
        return Err(Failure::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    object.set_meta("namespace", Some(namespace.into()));
    Ok(())
}

/// Now, as objects have it.
pub(crate) fn now() -> String {
    later(0)
}

/// Now, to the microsecond, as leases have it.
pub(crate) fn now_micro() -> String {
    let now = weft_stdx::clock::unix_ns() / 1000;
    jiff::Timestamp::from_microsecond(now)
        .map_or_else(|_| String::new(), |time| format!("{time:.6}"))
}

/// In so many seconds, as objects have it.
pub(super) fn later(seconds: i64) -> String {
    let now = weft_stdx::clock::unix_ns() / 1_000_000_000;
    jiff::Timestamp::from_second(now.saturating_add(seconds))
        .map_or_else(|_| String::new(), |time| time.to_string())
}

/// # Errors
/// Everything that is wrong with an object.
pub(super) fn check(kind: &Kind, object: &mut Object, old: Option<&Object>) -> Result<(), Failure> {
    let name = object.meta().name().to_owned();
    match mistakes::of(kind, object, old) {
        none if none.is_empty() => Ok(()),
        causes => Err(invalid(kind, &name, causes)),
    }
}

//! From what is asked to events: are the request and its guards right, and what would it change?
//!
//! Owns the validation of commits. Never publishes.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::error::CommitError;
use crate::item::{Event, EventKind, Item, LeaseId, Revision};
use crate::lease::Lease;
use crate::memo::Memo;
use crate::request::{Change, Commit, Committed, Expect};
use crate::state::State;
use crate::{LARGEST_COMMIT, LARGEST_VALUE, LONGEST_KEY};

/// What can be said of a commit without looking at anything else.
pub(crate) fn validate(commit: &Commit) -> Result<(), CommitError> {
    let invalid = |why: String| Err(CommitError::Invalid(why));
    let size = commit.guards.len() + commit.changes.len();
    if size > LARGEST_COMMIT {
        return invalid(format!(
            "a commit of {size} guards and changes: at most {LARGEST_COMMIT} are possible"
        ));
    }
    let mut seen = HashSet::with_capacity(commit.changes.len());
    let mut bytes = 0;
    for key in commit.guards.iter().map(|guard| &guard.key) {
        valid_key(key)?;
    }
    for change in &commit.changes {
        valid_key(change.key())?;
        if let Change::Put { value, .. } = change {
            bytes += value.len();
        }
        if !seen.insert(change.key()) {
            return invalid(format!(
                "{} is changed twice in one commit",
                String::from_utf8_lossy(change.key())
            ));
        }
    }
    if bytes > LARGEST_VALUE {
        return invalid(format!(
            "a commit of {bytes} bytes: at most {LARGEST_VALUE} are possible"
        ));
    }
    Ok(())
}

fn valid_key(key: &Bytes) -> Result<(), CommitError> {
    match key.len() {
        1..=LONGEST_KEY => Ok(()),
        0 => Err(CommitError::Invalid("a key is empty".into())),
        length => Err(CommitError::Invalid(format!(
            "a key of {length} bytes: at most {LONGEST_KEY} are possible"
        ))),
    }
}

impl State {
    /// Checks the guards and stages the changes; a commit that changes nothing has no revision of
    /// its own.
    pub(crate) fn stage_commit(
        &mut self,
        commit: &Commit,
        now: Instant,
    ) -> Result<Committed, CommitError> {
        let newest = self.newest();
        for guard in &commit.guards {
            let found = self.index.newest(&guard.key);
            if !guard.expect.holds(found.map(|item| item.modified)) {
                return Err(CommitError::Conflict {
                    key: guard.key.clone(),
                    found: found.cloned(),
                    revision: newest,
                });
            }
        }
        for change in &commit.changes {
            match change {
                Change::Put {
                    lease: Some(lease), ..
                } if !self.leases.alive(*lease, now) => return Err(CommitError::NoLease(*lease)),
                _ => {}
            }
        }
        let next = Revision(newest.0 + 1);
        let events: Vec<Option<Arc<Event>>> = commit
            .changes
            .iter()
            .map(|change| self.event(change, next))
            .collect();
        let items = events
            .iter()
            .map(|event| event.as_ref().map(|event| Arc::clone(&event.item)))
            .collect();
        let events: Vec<Arc<Event>> = events.into_iter().flatten().collect();
        let revision = if events.is_empty() { newest } else { next };
        if !events.is_empty() {
            self.stage(events, now);
        }
        Ok(Committed { revision, items })
    }

    /// What the change would come to; nothing where there is nothing to delete.
    fn event(&self, change: &Change, revision: Revision) -> Option<Arc<Event>> {
        let previous = self.index.newest(change.key()).cloned();
        let (kind, item) = match change {
            Change::Put { key, value, lease } => {
                let kind = match previous {
                    Some(_) => EventKind::Changed,
                    None => EventKind::Created,
                };
                let item = Item {
                    key: key.clone(),
                    value: value.clone(),
                    created: previous.as_ref().map_or(revision, |item| item.created),
                    modified: revision,
                    version: previous.as_ref().map_or(1, |item| item.version + 1),
                    lease: *lease,
                    memo: Memo::default(),
                };
                (kind, Arc::new(item))
            }
            Change::Delete { .. } => (EventKind::Deleted, Arc::clone(previous.as_ref()?)),
        };
        Some(Arc::new(Event {
            revision,
            kind,
            item,
            previous,
            memo: Memo::default(),
        }))
    }

    pub(crate) fn stage_grant(
        &mut self,
        ttl: Duration,
        now: Instant,
    ) -> Result<LeaseId, CommitError> {
        if ttl.is_zero() {
            return Err(CommitError::Invalid("a lease of no time".into()));
        }
        let id = self.leases.unused();
        self.leases.insert(id, Lease::new(ttl, now));
        self.staged.granted.push(id);
        Ok(id)
    }

    /// Deletes the lease's keys as one revision, and the lease.
    pub(crate) fn stage_revoke(&mut self, id: LeaseId, now: Instant) {
        let Some(lease) = self.leases.get(id) else {
            return;
        };
        let next = Revision(self.newest().0 + 1);
        let events: Vec<Arc<Event>> = lease
            .keys
            .iter()
            .filter_map(|key| self.event(&Change::Delete { key: key.clone() }, next))
            .collect();
        if !events.is_empty() {
            self.stage(events, now);
        }
        if let Some(lease) = self.leases.remove(id) {
            self.staged.ended.push((id, lease));
        }
    }
}

impl Expect {
    fn holds(self, modified: Option<Revision>) -> bool {
        match self {
            Expect::Absent => modified.is_none(),
            Expect::Present => modified.is_some(),
            Expect::Modified(revision) => modified == Some(revision),
        }
    }
}

impl Change {
    pub(crate) fn key(&self) -> &Bytes {
        match self {
            Change::Put { key, .. } | Change::Delete { key } => key,
        }
    }
}

//! Whose objects are: what nobody controls and a selector means is taken, what is controlled and
//! not meant any more is let go.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::mirror::{Id, Mirror};
use super::acts::{Hand, reference};
use super::job::finalizers;
use crate::failure::{Failure, Reason};
use crate::kind::Kind;
use crate::object::Object;
use crate::selector::Labels;
use crate::store;

/// What may be an owner's.
#[derive(Debug)]
pub(super) struct Claim {
    /// Of the owner.
    pub(super) kind: Arc<Kind>,
    pub(super) owner: Arc<Object>,
    /// Of what it controls.
    pub(super) controlled: Arc<Kind>,
    /// What holds what is controlled, and nothing that is let go.
    pub(super) finalizer: Option<&'static str>,
    selector: Option<Arc<Labels>>,
    own: Vec<Arc<Object>>,
    /// Those without a controller that the selector means.
    free: Vec<Arc<Object>>,
}

impl Claim {
    pub(super) fn look(
        mirror: &Mirror,
        id: &Id,
        controlled: &'static str,
        selector: Option<&Arc<Labels>>,
    ) -> Option<Claim> {
        let owner = mirror.get(id)?;
        let own = mirror.controlled(controlled, owner.meta().text("uid"));
        let own = own.filter(|one| one.meta().namespace() == id.namespace);
        let is_meant = |one: &&Arc<Object>| {
            let labels =
                selector.is_some_and(|labels| labels.matches(|name| one.meta().label(name)));
            labels && !one.meta().is_deleting()
        };
        Some(Claim {
            kind: Arc::clone(mirror.kind(id.plural)?),
            owner: Arc::clone(owner),
            controlled: Arc::clone(mirror.kind(controlled)?),
            finalizer: None,
            selector: selector.cloned(),
            own: own.cloned().collect(),
            free: mirror
                .free(controlled, &id.namespace)
                .filter(is_meant)
                .cloned()
                .collect(),
        })
    }

    /// What is the owner's, or may become so.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.own.iter().chain(&self.free)
    }

    /// What is the owner's, of what `is_wanted`.
    pub(super) async fn settle(
        &mut self,
        hand: &Hand,
        is_wanted: impl Fn(&Object) -> bool,
    ) -> Result<Vec<Arc<Object>>, Failure> {
        let mut all = Vec::with_capacity(self.own.len());
        let is_going = self.owner.meta().is_deleting();
        let wanted = |one: &Arc<Object>| is_wanted(one);
        for one in std::mem::take(&mut self.own).into_iter().filter(wanted) {
            let is_meant = self
                .selector
                .as_ref()
                .is_some_and(|labels| labels.matches(|name| one.meta().label(name)));
            if is_meant {
                all.push(one);
            } else if !is_going && !one.meta().is_deleting() {
                self.release(hand, &one).await?;
            }
        }
        let free = std::mem::take(&mut self.free);
        let mut free = free.into_iter().filter(wanted).peekable();
        if is_going || free.peek().is_none() || !self.is_there(hand).await? {
            return Ok(all);
        }
        for one in free {
            all.extend(self.adopt(hand, &one).await?);
        }
        Ok(all)
    }

    /// Whether the owner is still there and stays, as the store says now: what is taken for one that
    /// is gone would be deleted with it.
    async fn is_there(&self, hand: &Hand) -> Result<bool, Failure> {
        let meta = self.owner.meta();
        match hand
            .store
            .get(&self.kind, meta.namespace(), meta.name())
            .await
        {
            Ok(item) => {
                let found = store::object_once(&item)?;
                let is_same = found.meta().text("uid") == meta.text("uid");
                Ok(is_same && !found.meta().is_deleting())
            }
            Err(failure) if failure.reason == Reason::NotFound => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    async fn adopt(&self, hand: &Hand, one: &Object) -> Result<Option<Arc<Object>>, Failure> {
        let mut owners = owners(one);
        owners.push(reference(&self.kind, &self.owner));
        let patch = self.patch(one, owners.into(), true);
        match hand.patch(&self.controlled, one, patch).await {
            Ok(adopted) => Ok(Some(Arc::new(adopted))),
            // One that is gone is nobody's, and one that cannot be written keeps nobody from theirs.
            // One that has changed is looked at again first: it would be replaced while it is here.
            Err(failure) if failure.reason == Reason::NotFound => Ok(None),
            Err(failure) if failure.reason == Reason::Invalid => {
                tracing::warn!(%failure, "could not take what a selector means");
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    fn patch(&self, one: &Object, owners: Value, is_held: bool) -> Value {
        let mut patch = json!({ "metadata": { "ownerReferences": owners } });
        if let Some(name) = self.finalizer {
            patch["metadata"]["finalizers"] = finalizers(one, name, is_held);
        }
        patch
    }

    async fn release(&self, hand: &Hand, one: &Object) -> Result<(), Failure> {
        let uid = self.owner.meta().text("uid");
        let mut owners = owners(one);
        owners.retain(|owner| owner["uid"] != uid);
        let owners = if owners.is_empty() {
            Value::Null
        } else {
            owners.into()
        };
        let patch = self.patch(one, owners, false);
        match hand.patch(&self.controlled, one, patch).await {
            // It is heard of again.
            Err(failure) if matches!(failure.reason, Reason::NotFound | Reason::Conflict) => Ok(()),
            Err(failure) if failure.reason == Reason::Invalid => {
                tracing::warn!(%failure, "could not let go what no selector means");
                Ok(())
            }
            done => done.map(drop),
        }
    }
}

fn owners(object: &Object) -> Vec<Value> {
    let list = object.at(&["metadata", "ownerReferences"]);
    list.and_then(Value::as_array).cloned().unwrap_or_default()
}

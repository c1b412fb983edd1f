//! What an object takes from objects of another kind when it is made: they are read here, and
//! what they mean is the kind's own.

use std::sync::Arc;
use std::time::Duration;

use weft_keyspace::Item;

use super::{ChangeKind, ListOptions, Store, record};
use crate::failure::{Failure, Reason};
use crate::kind::{Kind, Resolve, Wanted};
use crate::object::Object;

/// How long it is waited for what is made with its namespace: whoever makes that may come a moment
/// later.
const WAIT: Duration = Duration::from_secs(2);

impl Store {
    /// Lets `new` take what it takes from others; `old` is what was there.
    ///
    /// # Errors
    /// They do not allow it.
    pub(super) async fn resolve(
        &self,
        kind: &Kind,
        old: Option<&Object>,
        new: &mut Object,
    ) -> Result<(), Failure> {
        let all = kind.resolve.iter();
        for resolve in all.filter(|resolve| old.is_none() || resolve.is_for_changes) {
            let others = self.others(kind, resolve, new).await?;
            (resolve.with)(new, &others).map_err(|why| {
                let name = new.meta().name();
                let message = format!("{} {name:?} is forbidden: {why}", kind.resource());
                Failure::new(Reason::Forbidden, message).about(&kind.group, &kind.plural, name)
            })?;
        }
        Ok(())
    }

    async fn others(
        &self,
        kind: &Kind,
        resolve: &Resolve,
        new: &Object,
    ) -> Result<Vec<Arc<Object>>, Failure> {
        let kinds = self.kinds();
        let Some(from) = kinds.at(resolve.group, resolve.plural) else {
            return Ok(Vec::new());
        };
        let found = match (resolve.of)(new) {
            Wanted::All => self.list(from, "", &ListOptions::default()).await?.items,
            Wanted::Named(name) => self.find(from, "", &name).await?.into_iter().collect(),
            Wanted::Beside { name, is_coming } => {
                let meta = new.meta();
                let mut found = self.find(from, meta.namespace(), &name).await?;
                if found.is_none() {
                    // That comes first, and says more.
                    self.namespace_guard(kind, meta.namespace(), meta.name())
                        .await?;
                }
                if found.is_none() && is_coming {
                    found = self.awaited(from, meta.namespace(), &name).await?;
                }
                found.into_iter().collect()
            }
        };
        found.iter().map(|item| record::read(item)).collect()
    }

    /// An object that is made about now.
    async fn awaited(
        &self,
        kind: &Arc<Kind>,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Item>>, Failure> {
        let seen = self.revision().await?;
        let all = ListOptions::default();
        let mut changes = self.watch(kind, namespace, seen, all).await?;
        if let Some(found) = self.find(kind, namespace, name).await? {
            return Ok(Some(found));
        }
        let made = async {
            loop {
                for change in changes.next().await? {
                    let is_it = record::read(&change.item)?.meta().name() == name;
                    if is_it && change.kind != ChangeKind::Deleted {
                        return Ok(Some(change.item));
                    }
                }
            }
        };
        tokio::time::timeout(WAIT, made).await.unwrap_or(Ok(None))
    }
}

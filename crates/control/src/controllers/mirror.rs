//! What controllers know: the objects of some kinds, as one ordered stream tells of them.
//!
//! ```text
//!   list once ─┐
//!              ├─► objects ─┬─ by kind, namespace, name
//!   stream ────┘            ├─ by the uid of their controller
//!                           └─ those without a controller
//! ```
//!
//! Owns: that each object is read once, and that it can be known up to which revision all is seen.
//! Never: writes, or decides anything. It holds what the store holds of these kinds, without the
//! owners of fields.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use weft_keyspace::{EventKind, Revision};

use crate::Store;
use crate::failure::Failure;
use crate::kind::Kind;
use crate::object::Object;
use crate::store::{self, Happenings, ListOptions};

/// Which object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id {
    /// Its kind.
    pub(crate) plural: &'static str,
    /// Empty for what is in none.
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Id {
    pub(crate) fn new(plural: &'static str, namespace: &str, name: &str) -> Id {
        Id {
            plural,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.plural, self.namespace, self.name)
    }
}

/// An object became another, came or went.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) id: Id,
    pub(crate) old: Option<Arc<Object>>,
    pub(crate) new: Option<Arc<Object>>,
}

/// A reference to the controller that an object has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Controller<'a> {
    pub(crate) api_version: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) name: &'a str,
    pub(crate) uid: &'a str,
}

/// Who controls an object.
pub(crate) fn controller(object: &Object) -> Option<Controller<'_>> {
    let list = object.at(&["metadata", "ownerReferences"])?.as_array()?;
    let found = list.iter().find(|one| one["controller"] == true)?;
    let text = |name: &str| found.get(name).and_then(Value::as_str).unwrap_or_default();
    Some(Controller {
        api_version: text("apiVersion"),
        kind: text("kind"),
        name: text("name"),
        uid: text("uid"),
    })
}

/// The objects of some kinds. Bound by what the store holds.
#[derive(Debug)]
pub(crate) struct Mirror {
    happenings: Happenings,
    kinds: Vec<(&'static str, Arc<Kind>)>,
    known: Known,
}

#[derive(Debug, Default)]
struct Known {
    objects: BTreeMap<Id, Arc<Object>>,
    /// By the uid of their controller.
    controlled: HashMap<String, BTreeSet<Id>>,
    /// Those without a controller.
    free: BTreeSet<Id>,
}

impl Mirror {
    /// Everything of these kinds, each a group and a plural, as it is now.
    pub(crate) async fn begin(
        store: &Store,
        wanted: &[(&str, &'static str)],
    ) -> Result<Mirror, Failure> {
        let served = store.kinds();
        let found = wanted.iter().filter_map(|(group, plural)| {
            let kind = served.at(group, plural)?;
            Some((*plural, Arc::clone(kind)))
        });
        let kinds: Vec<_> = found.collect();
        let seen = store.revision().await?;
        let mut known = Known::default();
        for (plural, kind) in &kinds {
            let listed = store.list(kind, "", &ListOptions::default()).await?;
            for item in &listed.items {
                known.set(plural, store::held(item)?);
            }
        }
        // What was listed may be newer than `seen`: it is then told of once more, in order.
        let happenings = store.watch_all(seen).await?;
        Ok(Mirror {
            happenings,
            kinds,
            known,
        })
    }

    /// What has changed. Cancelled, it has lost nothing.
    pub(crate) async fn next(&mut self) -> Result<Vec<Changed>, Failure> {
        let happened = self.happenings.next().await?;
        let mut changed = Vec::with_capacity(happened.len());
        for one in happened {
            let is = |(_, kind): &&(&str, Arc<Kind>)| {
                (&kind.group, &kind.plural) == (&one.kind.group, &one.kind.plural)
            };
            let Some((plural, _)) = self.kinds.iter().find(is) else {
                continue;
            };
            let object = store::held(&one.item)?;
            changed.push(match one.what {
                EventKind::Deleted => self.known.remove(plural, &object),
                _ => self.known.set(plural, object),
            });
        }
        Ok(changed)
    }

    /// All that happened up to here has been given by [`Mirror::next`].
    pub(crate) fn seen(&mut self) -> Revision {
        self.happenings.progress()
    }

    /// The kind that is called so.
    pub(crate) fn kind(&self, plural: &str) -> Option<&Arc<Kind>> {
        let found = self.kinds.iter().find(|(name, _)| *name == plural);
        found.map(|(_, kind)| kind)
    }

    pub(crate) fn get(&self, id: &Id) -> Option<&Arc<Object>> {
        self.known.objects.get(id)
    }

    /// All objects of a kind.
    pub(crate) fn all(&self, plural: &'static str) -> impl Iterator<Item = (&Id, &Arc<Object>)> {
        let from = Id::new(plural, "", "");
        let found = self.known.objects.range(from..);
        found.take_while(move |(id, _)| id.plural == plural)
    }

    /// Those of a kind in a namespace.
    pub(crate) fn within<'a>(
        &'a self,
        plural: &'static str,
        namespace: &'a str,
    ) -> impl Iterator<Item = (&'a Id, &'a Arc<Object>)> {
        let found = self.known.objects.range(Id::new(plural, namespace, "")..);
        found.take_while(move |(id, _)| id.plural == plural && id.namespace == namespace)
    }

    /// Those of a kind whose controller has this uid.
    pub(crate) fn controlled<'a>(
        &'a self,
        plural: &'static str,
        uid: &str,
    ) -> impl Iterator<Item = &'a Arc<Object>> {
        let found = self.known.controlled.get(uid).into_iter().flatten();
        let found = found.filter(move |id| id.plural == plural);
        found.filter_map(|id| self.get(id))
    }

    /// Those of a kind in a namespace that have no controller.
    pub(crate) fn free<'a>(
        &'a self,
        plural: &'static str,
        namespace: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Object>> {
        let found = self.known.free.range(Id::new(plural, namespace, "")..);
        let found = found.take_while(move |id| id.plural == plural && id.namespace == namespace);
        found.filter_map(|id| self.get(id))
    }
}

fn id(plural: &'static str, object: &Object) -> Id {
    let meta = object.meta();
    Id::new(plural, meta.namespace(), meta.name())
}

impl Known {
    fn set(&mut self, plural: &'static str, object: Arc<Object>) -> Changed {
        let id = id(plural, &object);
        let old = self.objects.insert(id.clone(), Arc::clone(&object));
        if let Some(old) = &old {
            self.unlink(&id, old);
        }
        match controller(&object) {
            Some(owner) => {
                let all = self.controlled.entry(owner.uid.to_owned()).or_default();
                all.insert(id.clone());
            }
            None => drop(self.free.insert(id.clone())),
        }
        Changed {
            id,
            old,
            new: Some(object),
        }
    }

    fn remove(&mut self, plural: &'static str, object: &Object) -> Changed {
        let id = id(plural, object);
        let old = self.objects.remove(&id);
        if let Some(old) = &old {
            self.unlink(&id, old);
        }
        Changed { id, old, new: None }
    }

    fn unlink(&mut self, id: &Id, old: &Object) {
        let Some(owner) = controller(old) else {
            self.free.remove(id);
            return;
        };
        if let Some(all) = self.controlled.get_mut(owner.uid) {
            all.remove(id);
            if all.is_empty() {
                self.controlled.remove(owner.uid);
            }
        }
    }
}

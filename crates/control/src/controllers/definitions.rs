//! Definitions of kinds: those whose names are free are served, and say so.
//!
//! ```text
//!   definition ─► names free? ─► its kind is served ─► status: NamesAccepted, Established
//!   deleted    ─► status: Terminating ─► its objects go ─► its finalizer goes, and it with it
//! ```

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use weft_keyspace::{Item, Revision};

use super::{Done, Reconcile, keep};
use crate::failure::{Failure, Reason};
use crate::kind::{Kind, Kinds, Text};
use crate::kinds::definition;
use crate::object::Object;
use crate::store::{self, DeleteOptions, ListOptions, WriteOptions};
use crate::{Store, custom};

#[cfg(test)]
mod tests;

/// Who it is, as owner of fields.
const NAME: &str = "definition-controller";
/// What holds a definition until its objects are gone.
const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// What is known of one definition.
#[derive(Debug)]
struct Known {
    /// The version that was read.
    modified: Revision,
    /// What its kind was made from: a kind that is the same keeps its compiled schema.
    made_of: String,
    /// In all versions, that which is stored first.
    kinds: Vec<Arc<Kind>>,
    is_deleting: bool,
    /// What its status says: why its kind is not served.
    told: Option<Option<String>>,
}

/// A definition of which something is left to be done.
struct Defined {
    item: Arc<Item>,
    kind: Option<Arc<Kind>>,
    /// Why that is not served.
    trouble: Option<String>,
}

/// What is known of the definitions.
#[derive(Debug)]
pub(super) struct Definitions {
    store: Store,
    /// The kinds that nobody defined.
    built_in: Kinds,
    /// By key. Only what has changed is read again: there may be a thousand.
    known: BTreeMap<Bytes, Known>,
}

impl Definitions {
    pub(super) fn new(store: &Store) -> Definitions {
        Definitions {
            store: store.clone(),
            built_in: Kinds::clone(&store.kinds()),
            known: BTreeMap::new(),
        }
    }

    fn own_kind(&self) -> Option<Arc<Kind>> {
        let built_in = &self.built_in;
        built_in
            .find(definition::GROUP, "v1", definition::PLURAL)
            .cloned()
    }

    /// Serves what is defined now.
    pub(super) async fn serve(&mut self) -> Result<(), Failure> {
        let Some(kind) = self.own_kind() else {
            return Ok(());
        };
        let listed = self.store.list(&kind, "", &ListOptions::default()).await?;
        self.choose(&listed.items).map(drop)
    }

    pub(super) async fn run(&mut self) -> Infallible {
        let Some(kind) = self.own_kind() else {
            return std::future::pending().await;
        };
        let store = &self.store.clone();
        keep(store, &kind, self).await
    }

    /// Serves the kinds whose names are free, and gives the definitions of which something is
    /// left to be done.
    fn choose(&mut self, items: &[Arc<Item>]) -> Result<Vec<Defined>, Failure> {
        let mut items: Vec<&Arc<Item>> = items.iter().collect();
        // Who came first keeps the name.
        items.sort_by_key(|item| item.created);
        let mut kinds = self.built_in.clone();
        let mut names = Names::of(&self.built_in);
        let mut before = std::mem::take(&mut self.known);
        let mut found = Vec::new();
        for item in items {
            let known = match before.remove(&item.key) {
                Some(known) if known.modified == item.modified => known,
                old => read(item, old)?,
            };
            let stored = known.kinds.first();
            let trouble = match stored {
                None => Some("it does not say what the kind is".to_owned()),
                Some(kind) => names.taken(kind),
            };
            if let (Some(kind), None) = (stored, &trouble) {
                names.take(kind);
                kinds.share(known.kinds.clone());
            }
            if known.is_deleting || known.told.as_ref() != Some(&trouble) {
                found.push(Defined {
                    item: Arc::clone(item),
                    kind: stored.cloned(),
                    trouble,
                });
            }
            self.known.insert(item.key.clone(), known);
        }
        self.store.set_kinds(kinds);
        Ok(found)
    }

    /// Deletes what there is of a kind, then lets its definition go.
    async fn end(
        &self,
        kind: &Kind,
        definition: &Object,
        served: Option<Arc<Kind>>,
    ) -> Result<Done, Failure> {
        // Others may hold it longer.
        if is_emptied(definition) {
            return Ok(Done::All);
        }
        if let Some(served) = served {
            let why = (
                "InstanceDeletionInProgress",
                "CustomResource deletion is in progress",
            );
            self.terminate(kind, definition.clone(), true, why).await?;
            let all = ListOptions::default();
            let options = DeleteOptions::default();
            self.store.delete_all(&served, "", &all, &options).await?;
            if !self.store.list(&served, "", &all).await?.items.is_empty() {
                return Ok(Done::NotYet);
            }
        }
        let why = ("InstanceDeletionCompleted", "removed all instances");
        self.terminate(kind, definition.clone(), false, why).await?;
        Ok(Done::All)
    }

    /// Writes into the status that its objects go, or are gone; then it is not held any more.
    async fn terminate(
        &self,
        kind: &Kind,
        before: Object,
        is_going: bool,
        (reason, message): (&str, &str),
    ) -> Result<(), Failure> {
        let mut definition = before.clone();
        let terminating = json!({
            "type": "Terminating",
            "status": if is_going { "True" } else { "False" },
            "reason": reason,
            "message": message,
        });
        set_conditions(&mut definition, [terminating]);
        if !is_going {
            let left = before.meta().finalizers().filter(|name| *name != FINALIZER);
            let left: Vec<&str> = left.collect();
            definition.set_meta("finalizers", Some(json!(left)));
        }
        self.write(kind, &before, definition).await
    }

    /// Writes into the status what became of it.
    async fn tell(
        &self,
        kind: &Kind,
        mut definition: Object,
        served: Option<Arc<Kind>>,
        trouble: Option<&str>,
    ) -> Result<(), Failure> {
        let before = definition.clone();
        let is_fine = trouble.is_none();
        let word = |is: bool| if is { "True" } else { "False" };
        let names = json!({
            "type": "NamesAccepted",
            "status": word(is_fine),
            "reason": if is_fine { "NoConflicts" } else { "NameConflict" },
            "message": trouble.unwrap_or("no conflicts found"),
        });
        let established = json!({
            "type": "Established",
            "status": word(is_fine),
            "reason": if is_fine { "InitialNamesAccepted" } else { "NotAccepted" },
            "message": if is_fine { "the names are accepted, and the kind is served" } else {
                "not all names are accepted"
            },
        });
        set_conditions(&mut definition, [names, established]);
        let status = definition.0.get("status").cloned();
        let mut status = status.unwrap_or_default();
        if is_fine {
            status["acceptedNames"] = definition.0["spec"]["names"].clone();
            if let Some(kind) = &served {
                definition::keep_version(&mut status, &kind.version);
            }
        }
        definition.0.insert("status".to_owned(), status);
        let mut finalizers: Vec<&str> = before.meta().finalizers().collect();
        if !finalizers.contains(&FINALIZER) {
            finalizers.push(FINALIZER);
        }
        definition.set_meta("finalizers", Some(json!(finalizers)));
        self.write(kind, &before, definition).await
    }

    /// Writes a definition's status and what holds it, if that is not what is there.
    async fn write(&self, kind: &Kind, before: &Object, definition: Object) -> Result<(), Failure> {
        if definition == *before {
            return Ok(());
        }
        let options = WriteOptions {
            subresource: "status",
            manager: NAME.to_owned(),
            ..WriteOptions::default()
        };
        let name = before.meta().name();
        match self
            .store
            .replace(kind, "", name, definition, &options)
            .await
        {
            // Somebody was faster: it is looked at again.
            Err(failure) if matches!(failure.reason, Reason::Conflict | Reason::NotFound) => Ok(()),
            other => other.map(drop),
        }
    }
}

impl Reconcile for Definitions {
    async fn reconcile(&mut self, items: &[Arc<Item>]) -> Result<Done, Failure> {
        let Some(kind) = self.own_kind() else {
            return Ok(Done::All);
        };
        let found = self.choose(items)?;
        let mut done = Done::All;
        for Defined {
            item,
            kind: defined,
            trouble,
        } in found
        {
            let definition = store::object(&item)?;
            if definition.meta().is_deleting() {
                let served = defined.filter(|_| trouble.is_none());
                if self.end(&kind, &definition, served).await? == Done::NotYet {
                    done = Done::NotYet;
                }
            } else {
                self.tell(&kind, definition, defined, trouble.as_deref())
                    .await?;
                if let Some(known) = self.known.get_mut(&item.key) {
                    known.told = Some(trouble);
                }
            }
        }
        Ok(done)
    }
}

/// Whether its objects are gone.
fn is_emptied(definition: &Object) -> bool {
    let conditions = definition.at(&["status", "conditions"]);
    let mut all = conditions.and_then(Value::as_array).into_iter().flatten();
    let is_gone = all.any(|one| one["type"] == "Terminating" && one["status"] == "False");
    is_gone && definition.meta().finalizers().all(|name| name != FINALIZER)
}

/// Puts conditions in the place of those of their types, with the time of their last change.
fn set_conditions<const N: usize>(definition: &mut Object, new: [Value; N]) {
    let status = definition.0.entry("status").or_insert_with(|| json!({}));
    if !status.is_object() {
        *status = json!({});
    }
    let mut all = status["conditions"].as_array().cloned().unwrap_or_default();
    for mut condition in new {
        let before = all.iter_mut().find(|one| one["type"] == condition["type"]);
        let same = before
            .as_ref()
            .filter(|one| one["status"] == condition["status"]);
        condition["lastTransitionTime"] = match same {
            Some(before) => before["lastTransitionTime"].clone(),
            None => store::now().into(),
        };
        match before {
            Some(before) => *before = condition,
            None => all.push(condition),
        }
    }
    status["conditions"] = all.into();
}

/// Reads a definition that is new or has changed.
fn read(item: &Item, old: Option<Known>) -> Result<Known, Failure> {
    let definition = store::object(item)?;
    let meta = definition.meta();
    let is_deleting = meta.is_deleting();
    let made_of = custom::made_of(&definition);
    let kinds = match old {
        Some(old) if old.made_of == made_of => old.kinds,
        old => {
            let before = old
                .as_ref()
                .and_then(|old| old.kinds.first()?.defined.as_ref());
            // What it says is what counts: what was written by the same is good.
            let same = before.filter(|before| before.spec == custom::spec_of(&definition));
            custom::kinds(&definition, same.map_or(item.modified, |same| same.since))
        }
    };
    Ok(Known {
        modified: item.modified,
        made_of,
        kinds,
        is_deleting,
        told: None,
    })
}

/// Names that kinds of a group have, and which resource has them.
#[derive(Debug, Default)]
struct Names {
    /// Plural, singular and short: one resource's must not be another's.
    resources: BTreeMap<(Text, Text), String>,
    kinds: BTreeMap<(Text, Text), String>,
}

impl Names {
    fn of(kinds: &Kinds) -> Names {
        let mut names = Names::default();
        kinds.iter().for_each(|kind| names.take(kind));
        names
    }

    fn take(&mut self, kind: &Kind) {
        for name in resource_names(kind) {
            let place = (kind.group.clone(), name.clone());
            self.resources.insert(place, kind.resource());
        }
        let place = (kind.group.clone(), kind.kind.clone());
        self.kinds.insert(place, kind.resource());
    }

    /// Which name of a kind another one of its group has.
    fn taken(&self, kind: &Kind) -> Option<String> {
        let place = |name: &Text| (kind.group.clone(), name.clone());
        let resource = resource_names(kind).find_map(|name| {
            let other = self.resources.get(&place(name))?;
            Some((name, other))
        });
        let same_kind = || Some((&kind.kind, self.kinds.get(&place(&kind.kind))?));
        let (name, other) = resource.or_else(same_kind)?;
        Some(format!("{name:?} is already in use by {other}"))
    }
}

fn resource_names(kind: &Kind) -> impl Iterator<Item = &Text> {
    [&kind.plural, &kind.singular]
        .into_iter()
        .chain(&kind.short)
}

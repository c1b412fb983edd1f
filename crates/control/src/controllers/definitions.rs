//! Definitions of kinds: those whose names are free are served, and say so.
//!
//! ```text
//!   definition ─► names free? ─► its kind is served ─► status: NamesAccepted, Established
//!   deleted    ─► its objects go ─► its finalizer goes, and it with it
//! ```

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use serde_json::{Value, json};
use weft_keyspace::Item;

use super::{Done, Reconcile, keep};
use crate::failure::{Failure, Reason};
use crate::kind::{Kind, Kinds};
use crate::kinds::definition;
use crate::object::Object;
use crate::store::{self, DeleteOptions, ListOptions, WriteOptions};
use crate::{Store, custom};

/// Who it is, as owner of fields.
const NAME: &str = "definition-controller";
/// What holds a definition until its objects are gone.
const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// A definition, the kind it is of, and why that is not served.
type Defined = (Object, Option<Arc<Kind>>, Option<String>);

/// What is known of the definitions.
#[derive(Debug)]
pub(super) struct Definitions {
    store: Store,
    /// The kinds that nobody defined.
    built_in: Kinds,
    /// Kinds made before, by their definition's identity and what it said: their schemas are
    /// compiled already.
    made: BTreeMap<String, Arc<Kind>>,
}

impl Definitions {
    pub(super) fn new(store: &Store) -> Definitions {
        Definitions {
            store: store.clone(),
            built_in: Kinds::clone(&store.kinds()),
            made: BTreeMap::new(),
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

    /// Serves the kinds whose names are free, and gives what became of each definition.
    fn choose(&mut self, items: &[Arc<Item>]) -> Result<Vec<Defined>, Failure> {
        let mut items: Vec<&Arc<Item>> = items.iter().collect();
        // Who came first keeps the name.
        items.sort_by_key(|item| item.created);
        let mut kinds = self.built_in.clone();
        let mut made = BTreeMap::new();
        let mut found = Vec::new();
        for item in items {
            let definition = store::object(item)?;
            let kind = self.kind_of(&definition, &mut made);
            let trouble = kind.as_ref().map_or_else(
                || Some("it does not say what the kind is".to_owned()),
                |kind| taken(&kinds, kind),
            );
            if let (Some(kind), None) = (&kind, &trouble) {
                kinds.share(Arc::clone(kind));
            }
            found.push((definition, kind, trouble));
        }
        self.made = made;
        self.store.set_kinds(kinds);
        Ok(found)
    }

    fn kind_of(
        &self,
        definition: &Object,
        made: &mut BTreeMap<String, Arc<Kind>>,
    ) -> Option<Arc<Kind>> {
        let meta = definition.meta();
        let generation = definition.at(&["metadata", "generation"]);
        let key = format!("{}/{generation:?}/{}", meta.text("uid"), meta.is_deleting());
        let kind = match self.made.get(&key) {
            Some(kind) => Arc::clone(kind),
            None => Arc::new(custom::kind(definition)?),
        };
        made.insert(key, Arc::clone(&kind));
        Some(kind)
    }

    /// Deletes what there is of a kind, then lets its definition go.
    async fn end(
        &self,
        kind: &Kind,
        definition: &Object,
        served: Option<Arc<Kind>>,
    ) -> Result<Done, Failure> {
        if let Some(served) = served {
            let all = ListOptions::default();
            let options = DeleteOptions::default();
            self.store.delete_all(&served, "", &all, &options).await?;
            if !self.store.list(&served, "", &all).await?.items.is_empty() {
                return Ok(Done::NotYet);
            }
        }
        let finalizers = definition.meta().finalizers();
        let left: Vec<&str> = finalizers.filter(|name| *name != FINALIZER).collect();
        let name = definition.meta().name();
        match self.store.finalize(kind, name, &left, NAME).await {
            Err(failure) if failure.reason == Reason::NotFound => Ok(Done::All),
            other => other.map(|()| Done::All),
        }
    }

    /// Writes into the status what became of it.
    async fn tell(
        &self,
        kind: &Kind,
        mut definition: Object,
        trouble: Option<String>,
    ) -> Result<(), Failure> {
        let before = definition.clone();
        let is_fine = trouble.is_none();
        let word = |is: bool| if is { "True" } else { "False" };
        let names = json!({
            "type": "NamesAccepted",
            "status": word(is_fine),
            "reason": if is_fine { "NoConflicts" } else { "NameConflict" },
            "message": trouble.as_deref().unwrap_or("no conflicts found"),
        });
        let established = json!({
            "type": "Established",
            "status": word(is_fine),
            "reason": if is_fine { "InitialNamesAccepted" } else { "NotAccepted" },
            "message": if is_fine { "the names are accepted, and the kind is served" } else {
                "not all names are accepted"
            },
        });
        let mut status = definition
            .0
            .get("status")
            .cloned()
            .unwrap_or_else(|| json!({}));
        status["conditions"] = merged(&status["conditions"], [names, established]);
        if is_fine {
            status["acceptedNames"] = definition.0["spec"]["names"].clone();
            let stored = custom::kind(&definition).map(|kind| kind.version.to_string());
            status["storedVersions"] = json!(stored.as_slice());
        }
        definition.0.insert("status".to_owned(), status);
        let mut finalizers: Vec<&str> = before.meta().finalizers().collect();
        if !finalizers.contains(&FINALIZER) {
            finalizers.push(FINALIZER);
        }
        definition.set_meta("finalizers", Some(json!(finalizers)));
        if definition == before {
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
        for (definition, defined, trouble) in found {
            if definition.meta().is_deleting() {
                let served = defined.filter(|_| trouble.is_none());
                if self.end(&kind, &definition, served).await? == Done::NotYet {
                    done = Done::NotYet;
                }
            } else {
                self.tell(&kind, definition, trouble).await?;
            }
        }
        Ok(done)
    }
}

/// Conditions with the time of their last change.
fn merged(old: &Value, new: [Value; 2]) -> Value {
    let old = old.as_array().map(Vec::as_slice).unwrap_or_default();
    let conditions = new.map(|mut condition| {
        let before = old.iter().find(|one| one["type"] == condition["type"]);
        let same = before.filter(|one| one["status"] == condition["status"]);
        condition["lastTransitionTime"] = match same {
            Some(before) => before["lastTransitionTime"].clone(),
            None => store::now().into(),
        };
        condition
    });
    json!(conditions)
}

/// Which name of a kind another one of its group has.
fn taken(kinds: &Kinds, kind: &Kind) -> Option<String> {
    kinds
        .iter()
        .filter(|other| other.group == kind.group)
        .find_map(|other| {
            let theirs = |name: &str| {
                name == other.plural
                    || name == other.singular
                    || other.short.iter().any(|s| s == name)
            };
            let own = [&*kind.plural, &*kind.singular];
            let own = own.into_iter().chain(kind.short.iter().map(AsRef::as_ref));
            let mut clash = own.filter(|name| theirs(name)).map(str::to_owned);
            let same_kind = (kind.kind == other.kind).then(|| kind.kind.to_string());
            let name = clash.next().or(same_kind)?;
            Some(format!(
                "{name:?} is already in use by {}",
                other.resource()
            ))
        })
}

//! Who owns which fields of an object (`metadata.managedFields`; Kubernetes, "Server-Side Apply").
//!
//! ```text
//!   update: what it changed is the writer's, and nobody else's
//!   apply:  what the configuration names is the applier's, shared with whoever wants the same;
//!           what it named before and nobody else owns, goes; what others own and it changes,
//!           is a conflict
//! ```

mod forms;
mod last_applied;

use std::fmt;

use serde_json::{Value, json};

use self::forms::{Changed, translated};
use super::WriteOptions;
use super::scale::SCALE_VERSION;
use super::write::now;
use crate::failure::{Cause, Failure, Reason};
use crate::fields::{self, Set};
use crate::kind::Kind;
use crate::object::Object;

/// Most entries of updates; older ones become one.
const UPDATES_MAX: usize = 10;
/// The manager of updates that are no longer told apart.
const ANCIENT: &str = "ancient-changes";
/// The writer that did not say who it is.
const UNNAMED: &str = "unknown";

/// Metadata nobody owns: it is the server's.
const UNOWNED: [&str; 10] = [
    "name",
    "namespace",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "uid",
    "generation",
    "managedFields",
    "resourceVersion",
];

/// One owner of fields.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    manager: String,
    is_apply: bool,
    api_version: String,
    time: String,
    subresource: String,
    set: Set,
}

impl Entry {
    /// Of the writer, without any field.
    fn of(kind: &Kind, options: &WriteOptions, is_apply: bool) -> Entry {
        let manager = match &*options.manager {
            "" => UNNAMED,
            manager => manager,
        };
        Entry {
            manager: manager.to_owned(),
            is_apply,
            api_version: kind.api_version(),
            time: now(),
            subresource: options.subresource.to_owned(),
            set: Set::default(),
        }
    }

    fn is_of(&self, other: &Entry) -> bool {
        // Whoever applies is the same in all forms of a kind.
        self.is_apply == other.is_apply
            && (self.is_apply || self.api_version == other.api_version)
            && (&self.manager, &self.subresource) == (&other.manager, &other.subresource)
    }

    /// Nothing: it is no entry.
    fn read(value: &Value) -> Option<Entry> {
        let text = |name: &str| {
            let text = value.get(name).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        Some(Entry {
            manager: text("manager"),
            is_apply: match &*text("operation") {
                "Apply" => true,
                "Update" => false,
                _ => return None,
            },
            api_version: text("apiVersion"),
            time: text("time"),
            subresource: text("subresource"),
            set: match value.get("fieldsV1") {
                Some(fields) => Set::read(fields)?,
                None => Set::default(),
            },
        })
    }

    fn write(&self) -> Value {
        let mut value = json!({
            "manager": self.manager,
            "operation": if self.is_apply { "Apply" } else { "Update" },
            "apiVersion": self.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": self.set.write(),
        });
        if !self.subresource.is_empty() {
            value["subresource"] = self.subresource.as_str().into();
        }
        value
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.manager)?;
        if !self.subresource.is_empty() {
            write!(f, " with subresource {:?}", self.subresource)?;
        }
        match self.is_apply {
            true => Ok(()),
            false => write!(f, " using {} at {}", self.api_version, self.time),
        }
    }
}

/// The owners of an object's fields.
#[derive(Clone, Debug, Default, PartialEq)]
struct Owners(Vec<Entry>);

impl Owners {
    /// Nothing: there are none, or what is there is none.
    fn read(object: &Object) -> Option<Owners> {
        let list = object.at(&["metadata", "managedFields"])?.as_array()?;
        // A list of one empty entry is how a client says that nobody owns anything.
        let is_reset = matches!(&list[..], [one] if *one == json!({}));
        if is_reset {
            return Some(Owners::default());
        }
        let entries: Option<Vec<Entry>> = list.iter().map(Entry::read).collect();
        entries.map(Owners)
    }

    fn write(mut self, object: &mut Object) {
        self.0.retain(|entry| !entry.set.is_empty());
        self.join_old();
        let list: Vec<Value> = self.0.iter().map(Entry::write).collect();
        object.set_meta("managedFields", (!list.is_empty()).then(|| list.into()));
    }

    /// Keeps the number of updates in bounds.
    fn join_old(&mut self) {
        let updates = self.0.iter().filter(|entry| !entry.is_apply).count();
        if updates <= UPDATES_MAX {
            return;
        }
        let (mut updates, mut kept): (Vec<Entry>, Vec<Entry>) =
            self.0.drain(..).partition(|entry| !entry.is_apply);
        updates.sort_by(|one, other| one.time.cmp(&other.time));
        let recent = updates.split_off(updates.len() + 1 - UPDATES_MAX);
        let mut updates = updates.into_iter();
        if let Some(mut ancient) = updates.next() {
            ancient.manager = ANCIENT.to_owned();
            for entry in updates {
                ancient.set.unite(&entry.set);
                ancient.time = entry.time;
            }
            kept.push(ancient);
        }
        kept.extend(recent);
        self.0 = kept;
    }

    /// What others own of `object`.
    fn all_but(&self, own: &Entry, kind: &Kind, object: &Object) -> Set {
        let mut all = Set::default();
        for entry in self.0.iter().filter(|entry| !entry.is_of(own)) {
            all.unite(&translated(kind, &own.api_version, entry, object));
        }
        all
    }

    fn take_from_others(&mut self, own: &Entry, changed: &Changed<'_>) {
        for entry in self.0.iter_mut().filter(|entry| !entry.is_of(own)) {
            let sets = changed.told(&entry.api_version);
            entry.set.subtract(&sets.changed);
            entry.set.subtract(&sets.removed);
        }
    }

    /// The writer's own entry.
    fn own(&mut self, own: Entry) -> &mut Entry {
        let at = self.0.iter().position(|entry| entry.is_of(&own));
        let at = at.unwrap_or_else(|| {
            self.0.push(own);
            self.0.len() - 1
        });
        &mut self.0[at]
    }
}

/// Without what is the server's.
fn owned(mut set: Set) -> Set {
    set.take_out(&["apiVersion"]);
    set.take_out(&["kind"]);
    for field in UNOWNED {
        set.take_out(&["metadata", field]);
    }
    set
}

/// Writes down who owns what after an update made `new` of `old`; of nothing, when it is created.
pub(super) fn update(kind: &Kind, old: Option<&Object>, new: &mut Object, options: &WriteOptions) {
    let empty = Object::default();
    // Clients may say who owns what; from a creation it is not taken.
    let said = old.and_then(|old| Owners::read(new).or_else(|| Owners::read(old)));
    let mut owners = said.unwrap_or_default();
    let version = kind.api_version();
    let mut changed = Changed::between(kind, &version, old.unwrap_or(&empty), new);
    if old.is_none() && kind.has_status {
        // It is the server's beginning, whoever made the object.
        changed.sets.changed.take_out(&["status"]);
    }
    if !changed.sets.is_empty() {
        let own = Entry::of(kind, options, false);
        owners.take_from_others(&own, &changed);
        let time = own.time.clone();
        let own = owners.own(own);
        own.set.unite(&changed.sets.changed);
        own.set.subtract(&changed.sets.removed);
        own.time = time;
    }
    owners.write(new);
}

/// What of a configuration is meant: not the status, or nothing else.
fn meant(kind: &Kind, config: &Object, options: &WriteOptions) -> Object {
    let mut config = config.clone();
    config.set_meta("managedFields", None);
    if options.is_status() {
        config
            .0
            .retain(|name, _| matches!(name.as_str(), "metadata" | "status"));
    } else if kind.has_status {
        config.0.remove("status");
    }
    config
}

/// Writes down who owns what in an object that was made by an application of `config`.
pub(super) fn create_applied(
    kind: &Kind,
    config: &Object,
    new: &mut Object,
    options: &WriteOptions,
) {
    let mut own = Entry::of(kind, options, true);
    own.set = owned(fields::of(kind.schema(), &meant(kind, config, options).0));
    last_applied::renew(config, new, &own);
    Owners(vec![own]).write(new);
}

/// What `live` becomes when `config` is applied to it.
///
/// # Errors
/// Others own what it changes.
pub(super) fn apply(
    kind: &Kind,
    live: &Object,
    config: &Object,
    options: &WriteOptions,
) -> Result<Object, Failure> {
    let schema = kind.schema();
    let mut meant = meant(kind, config, options);
    let mut owners = Owners::read(live).unwrap_or_default();
    let mut own = Entry::of(kind, options, true);
    own.set = owned(fields::of(schema, &meant.0));
    let before = owners.0.iter().find(|entry| entry.is_of(&own)).cloned();

    for field in ["apiVersion", "kind"] {
        meant.0.remove(field);
    }
    for field in UNOWNED {
        meant.set_meta(field, None);
    }
    let mut merged = Value::Object(live.0.clone());
    fields::overlay(schema, &mut merged, &Value::Object(meant.0));
    if let Some(before) = &before {
        let mut gone = translated(kind, &own.api_version, before, live).into_owned();
        // An update owns maps as a whole, too: they stay while anything in them is still named.
        gone.subtract_with_holders(&own.set);
        fields::remove(
            schema,
            &mut merged,
            &gone,
            &owners.all_but(&own, kind, live),
        );
    }
    let Value::Object(merged) = merged else {
        return Err(Failure::internal("an object applied to is no object"));
    };
    let mut merged = Object(merged);

    let version = own.api_version.clone();
    let changed = Changed::between(kind, &version, live, &merged);
    let own_before = last_applied::own_by_client(kind, live, &own);
    let others = owners.0.iter().filter(|entry| !entry.is_of(&own));
    let conflicts: Vec<(&Entry, Set)> = others
        .map(|entry| {
            let mut common = entry.set.common(&changed.told(&entry.api_version).changed);
            common.subtract(&own_before);
            (entry, common)
        })
        .filter(|(_, common)| !common.is_empty())
        .collect();
    if !conflicts.is_empty() && !options.is_forced {
        return Err(conflict(&conflicts, options));
    }
    owners.take_from_others(&own, &changed);
    let is_new = before.is_none_or(|before| before.set != own.set) || !changed.sets.is_empty();
    // Nobody gets it by that.
    last_applied::renew(config, &mut merged, &own);
    let (set, time) = (own.set.clone(), own.time.clone());
    let entry = owners.own(own);
    entry.set = set;
    entry.api_version.clone_from(&version);
    if is_new {
        entry.time = time;
    }
    owners.write(&mut merged);
    Ok(merged)
}

fn conflict(conflicts: &[(&Entry, Set)], options: &WriteOptions) -> Failure {
    let mut told = Vec::new();
    let mut causes = Vec::new();
    for (entry, set) in conflicts {
        let mut entry = Entry::clone(entry);
        let mut paths = set.paths();
        if options.subresource == "scale" {
            // In the words of whoever applied: there is one field.
            entry.api_version = SCALE_VERSION.to_owned();
            paths = vec![".spec.replicas".to_owned()];
        }
        told.push(match &paths[..] {
            [one] => format!("conflict with {entry}: {one}"),
            _ => format!("conflicts with {entry}:\n- {}", paths.join("\n- ")),
        });
        let message = format!("conflict with {entry}");
        causes.extend(paths.into_iter().map(|path| Cause {
            reason: "FieldManagerConflict",
            field: path,
            message: message.clone(),
        }));
    }
    let count = causes.len();
    let many = if count == 1 { "" } else { "s" };
    let message = format!(
        "Apply failed with {count} conflict{many}: {}",
        told.join("\n")
    );
    let mut failure = Failure::new(Reason::Conflict, message);
    failure.about.causes = causes;
    failure
}

#[cfg(test)]
mod tests;

//! What there is to know about a kind of object.
//!
//! Adding a kind is one file in `kinds` and its line there.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::failure::Cause;
use crate::names;
use crate::object::Object;
use crate::schema::Schema;

type Text = Cow<'static, str>;

/// A kind of object.
pub struct Kind {
    /// Its API group; empty for the core's.
    pub group: Text,
    /// `v1`
    pub version: Text,
    /// `ConfigMap`
    pub kind: Text,
    /// `configmaps`
    pub plural: Text,
    /// `configmap`
    pub singular: Text,
    /// `cm`
    pub short: &'static [&'static str],
    /// `all`
    pub categories: &'static [&'static str],
    /// Whether its objects are in namespaces.
    pub is_namespaced: bool,
    /// What its objects may hold, as JSON schema with `$defs`.
    pub document: fn() -> Value,
    /// What a name must look like.
    pub check_name: fn(&str) -> Result<(), &'static str>,
    /// Fills in what was left out.
    pub default: fn(&mut Object),
    /// What is wrong with an object, by itself or as the successor of another.
    pub validate: fn(&Object, Option<&Object>) -> Vec<Cause>,
    /// Fields besides name and namespace that can be selected by, with where they are.
    pub selectable: &'static [(&'static str, &'static [&'static str])],
    /// Columns of `kubectl get`, after the name.
    pub columns: &'static [Column],
    /// Whether status is written apart from the rest.
    pub has_status: bool,
    /// Whether something in this server acts on it.
    pub is_carried_out: bool,
    /// Compiled when it is first needed.
    pub schema: OnceLock<Schema>,
}

/// A column of a table.
#[derive(Clone, Copy)]
pub struct Column {
    /// Its heading, as in `kubectl get`: in capitals there.
    pub name: &'static str,
    /// `string`, `integer` or `date`.
    pub kind: &'static str,
    /// What it says.
    pub about: &'static str,
    /// 0: always shown; 1: with `-o wide`.
    pub priority: i32,
    /// Its cell.
    pub cell: fn(&Object) -> Value,
}

impl Kind {
    /// Its schema.
    pub fn schema(&self) -> &Schema {
        self.schema
            .get_or_init(|| Schema::compile(&(self.document)()))
    }

    /// `v1`, `apps/v1`
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_string()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `configmaps`, `deployments.apps`: as messages name it.
    pub fn resource(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_string()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// Where in an object a selectable field is.
    pub fn field<'a>(&self, object: &'a Object, name: &str) -> &'a str {
        match name {
            "metadata.name" => object.meta().name(),
            "metadata.namespace" => object.meta().namespace(),
            _ => self
                .selectable
                .iter()
                .find(|(field, _)| *field == name)
                .and_then(|(_, path)| object.text(path))
                .unwrap_or_default(),
        }
    }

    /// Whether a field can be selected by.
    pub fn is_selectable(&self, name: &str) -> bool {
        name == "metadata.name"
            || (self.is_namespaced && name == "metadata.namespace")
            || self.selectable.iter().any(|(field, _)| *field == name)
    }

    /// A kind of the core's group in namespaces, to be changed where it differs.
    pub fn core(kind: &'static str, plural: &'static str, singular: &'static str) -> Kind {
        Kind {
            group: Text::Borrowed(""),
            version: Text::Borrowed("v1"),
            kind: Text::Borrowed(kind),
            plural: Text::Borrowed(plural),
            singular: Text::Borrowed(singular),
            short: &[],
            categories: &[],
            is_namespaced: true,
            document: || Value::Bool(true),
            check_name: names::dns_subdomain,
            default: |_| {},
            validate: |_, _| Vec::new(),
            selectable: &[],
            columns: &[],
            has_status: false,
            is_carried_out: false,
            schema: OnceLock::new(),
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.api_version(), self.kind)
    }
}

/// All kinds there are.
#[derive(Clone, Debug, Default)]
pub struct Kinds {
    /// By group and plural.
    all: BTreeMap<(String, String), Arc<Kind>>,
}

impl Kinds {
    /// The built-in ones.
    pub fn built_in() -> Kinds {
        let mut kinds = Kinds::default();
        for kind in crate::kinds::all() {
            kinds.add(kind);
        }
        kinds
    }

    fn add(&mut self, kind: Kind) {
        let key = (kind.group.to_string(), kind.plural.to_string());
        self.all.insert(key, Arc::new(kind));
    }

    /// The kind served at this place.
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Kind>> {
        let found = self.all.get(&(group.to_owned(), plural.to_owned()));
        found.filter(|kind| kind.version == version)
    }

    /// All, by group and plural.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.all.values()
    }
}

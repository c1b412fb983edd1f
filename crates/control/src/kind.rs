//! What there is to know about a kind of object.
//!
//! Adding a kind is one file in `kinds` and its line there.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};
use weft_stdx::jsonpath::Template;

use crate::custom;
use crate::failure::Cause;
use crate::form::Form;
use crate::names;
use crate::object::Object;
use crate::schema::Schema;
use crate::store::Defined;

/// A text that is ours, or somebody's.
pub(crate) type Text = Cow<'static, str>;

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
    pub short: Vec<Text>,
    /// `all`
    pub categories: Vec<Text>,
    /// Whether its objects are in namespaces.
    pub is_namespaced: bool,
    /// What its objects may hold, as JSON schema with `$defs`.
    pub document: Document,
    /// What a name must look like.
    pub check_name: fn(&str) -> Result<(), &'static str>,
    /// Fills in what was left out.
    pub default: fn(&mut Object),
    /// Puts into a new version what it has of the one before, where nothing else is said; before
    /// what was left out is filled in.
    pub inherit: fn(&Object, &mut Object),
    /// What its objects take from those of another kind.
    pub resolve: &'static [Resolve],
    /// What is wrong with an object, by itself or as the successor of another.
    pub validate: fn(&Object, Option<&Object>) -> Vec<Cause>,
    /// What whoever wrote an object is told that is right, and does not do what it seems to.
    pub warn: Option<fn(&Object) -> Vec<String>>,
    /// Fields besides name and namespace that can be selected by, with where they are.
    pub selectable: &'static [(&'static str, &'static [&'static str])],
    /// The same of what is defined.
    pub own_fields: Vec<(String, Vec<Text>)>,
    /// What a selectable field counts as where it is absent, if not as empty.
    pub absent: &'static [(&'static str, &'static str)],
    /// Columns of `kubectl get`, all of them: cells of an object as it is stored.
    pub columns: Vec<Column>,
    /// Whether status is written apart from the rest.
    pub has_status: bool,
    /// What every status of it counts, from zero on; nothing: there may be no status.
    pub counted: Option<&'static [&'static str]>,
    /// What its generation counts.
    pub generation: Generation,
    /// Whether whoever makes one says its status, too.
    pub begins_with_status: bool,
    /// Where it keeps how many there are to be, if it has `scale`.
    pub scale: Option<Scale>,
    /// Whether what it holds is sealed where it is stored.
    pub is_sealed: bool,
    /// How many seconds it is given when it is deleted, unless the request says it; 0: it goes
    /// at once.
    pub grace_s: fn(&Object) -> i64,
    /// How many seconds one is there after it was written; 0: until somebody deletes it.
    pub lives_s: u64,
    /// Whether something in this server acts on it.
    pub is_carried_out: bool,
    /// Whether putting one makes it where there is none, as upstream (`AllowCreateOnUpdate`).
    pub is_made_by_put: bool,
    /// Whether nobody replaces a version they have not seen (`AllowUnconditionalUpdate`).
    pub is_seen_first: bool,
    /// Names of those that stay.
    pub kept: &'static [&'static str],
    /// Whether its definition is being deleted: no more are made.
    pub is_ending: bool,
    /// Whether its objects are questions: made, answered, and kept nowhere.
    pub is_question: bool,
    /// Whether its objects are measured when somebody asks: read, and kept nowhere.
    pub is_measured: bool,
    /// Whether nobody outside changes its objects: they are made, read and deleted.
    pub is_fixed: bool,
    /// Further forms it is served in.
    pub forms: fn() -> &'static [Arc<Kind>],
    /// Set where it is itself a form of another kind.
    pub form: Option<Form>,
    /// Of which definition it was made, if it was.
    pub defined: Option<Defined>,
    /// Whether requests can be about it: a definition may keep a version that is not served.
    pub is_served: bool,
    /// What everybody is warned of who uses it.
    pub deprecation: Option<Text>,
    /// Compiled when it is first needed.
    pub schema: OnceLock<Schema>,
}

/// What the generation of a kind's objects counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// They have none.
    None,
    /// Changes of what is neither metadata nor status.
    Content,
    /// The same, and changes of annotations.
    ContentAndAnnotations,
}

/// Which objects of another kind an object takes something from.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// All there are.
    All,
    /// The one of this name, which is in no namespace.
    Named(String),
    /// The one of this name in the object's namespace.
    Beside {
        /// Its name.
        name: String,
        /// Whether it is waited for if it is not there yet.
        is_coming: bool,
    },
}

/// What objects take from those of another kind.
#[derive(Clone, Copy, Debug)]
pub struct Resolve {
    /// The other kind's group.
    pub group: &'static str,
    /// Its plural.
    pub plural: &'static str,
    /// Which of them the object is shown.
    pub of: fn(&Object) -> Wanted,
    /// Whether it is done for changes, too, or only for what is new.
    pub is_for_changes: bool,
    /// Takes it, or says why the object is forbidden.
    pub with: fn(&mut Object, &[Arc<Object>]) -> Result<(), String>,
}

/// JSON schema of a kind.
#[derive(Clone, Debug)]
pub enum Document {
    /// That of a type, made when it is first needed.
    Of(fn() -> Value),
    /// As it is written here.
    Given(Arc<Value>),
    /// As a definition has it, with rules and defaults: what all objects have is added when it is
    /// needed, for there may be a thousand definitions and few that are used.
    Defined(Arc<Value>),
}

/// Fields that `scale` is made of: names from the outermost on.
#[derive(Clone, Debug)]
pub struct Scale {
    /// How many there are to be.
    pub wanted: Vec<Text>,
    /// How many there are.
    pub found: Vec<Text>,
    /// Which they are: a label selector, or its text.
    pub selector: Vec<Text>,
}

impl Scale {
    /// Where the built-in kinds have it.
    pub fn usual() -> Scale {
        Scale {
            wanted: texts(&["spec", "replicas"]),
            found: texts(&["status", "replicas"]),
            selector: texts(&["spec", "selector"]),
        }
    }
}

/// As owned names.
pub fn texts(names: &[&'static str]) -> Vec<Text> {
    names.iter().map(|name| Text::Borrowed(name)).collect()
}

/// A column of a table.
#[derive(Clone)]
pub struct Column {
    /// Its heading, as in `kubectl get`: in capitals there.
    pub name: Text,
    /// `string`, `integer` or `date`: a time, shown as how long ago it was.
    pub kind: Text,
    /// `name` for the column that holds the object's name.
    pub format: &'static str,
    /// What it says.
    pub about: Text,
    /// 0: always shown; 1: with `-o wide`.
    pub priority: i32,
    /// Its cell.
    pub cell: Cell,
}

/// How a cell is made.
#[derive(Clone)]
pub enum Cell {
    /// By code.
    Made(fn(&Object) -> Value),
    /// What is first at a path.
    At(Arc<Template>),
}

impl Column {
    /// A text that is always shown.
    pub fn text(name: &'static str, about: &'static str, cell: fn(&Object) -> Value) -> Column {
        Column {
            name: Text::Borrowed(name),
            kind: Text::Borrowed("string"),
            format: "",
            about: Text::Borrowed(about),
            priority: 0,
            cell: Cell::Made(cell),
        }
    }

    /// The object's name.
    pub fn name() -> Column {
        let name = Column::text("Name", "Its name.", |object| object.meta().name().into());
        Column {
            format: "name",
            ..name
        }
    }

    /// How long it has been there.
    pub fn age() -> Column {
        let created = |object: &Object| object.meta().text("creationTimestamp").into();
        Column::text("Age", "How long it has been there.", created).date()
    }

    /// It holds a time.
    #[must_use]
    pub fn date(mut self) -> Column {
        self.kind = Text::Borrowed("date");
        self
    }

    /// It holds a whole number.
    #[must_use]
    pub fn integer(mut self) -> Column {
        self.kind = Text::Borrowed("integer");
        self
    }

    /// It is shown with `-o wide` only.
    #[must_use]
    pub fn wide(mut self) -> Column {
        self.priority = 1;
        self
    }

    /// The cell of `object`, which is put into `whole` where it is looked for as a value.
    fn of(&self, object: &Object, whole: &mut Option<Value>) -> Value {
        match &self.cell {
            Cell::Made(make) => make(object),
            Cell::At(path) => {
                let whole = whole.get_or_insert_with(|| Value::Object(object.0.clone()));
                let found = path.find(whole).unwrap_or_default();
                let found = found.into_iter().next().unwrap_or(&Value::Null);
                as_cell(&self.kind, found)
            }
        }
    }
}

/// A value as a column of this type shows it; nothing, where it is none of that type.
fn as_cell(kind: &str, found: &Value) -> Value {
    match (kind, found) {
        (_, Value::Null) => Value::Null,
        ("string" | "date", Value::String(_)) | ("boolean", Value::Bool(_)) => found.clone(),
        ("string", _) => found.to_string().into(),
        ("number", Value::Number(_)) => found.clone(),
        ("integer", Value::Number(number)) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number
                .as_f64()
                .map_or(Value::Null, |number| (number as i64).into()),
        },
        _ => Value::Null,
    }
}

impl Kind {
    /// Its schema.
    pub fn schema(&self) -> &Schema {
        if let Some(schema) = self.own_version() {
            return schema;
        }
        self.schema.get_or_init(|| match &self.document {
            Document::Of(make) => Schema::compile(&make()),
            Document::Given(document) => Schema::compile(document),
            Document::Defined(own) => Schema::defined(&custom::document(own)),
        })
    }

    /// That which its definition keeps for all its versions.
    fn own_version(&self) -> Option<&Schema> {
        self.defined.as_ref()?.schema(&self.version)
    }

    /// An object as its columns look at it.
    pub fn for_cells<'a>(&self, object: &'a Object) -> Cow<'a, Object> {
        match self.is_custom() {
            // Each version has columns of its own.
            true => Cow::Borrowed(object),
            false => self.as_stored(object),
        }
    }

    /// The cells of an object as [`Kind::for_cells`] gives it, with their columns.
    pub fn cells(&self, object: &Object) -> impl Iterator<Item = (&Column, Value)> {
        let mut whole = None;
        let columns = self.columns.iter();
        columns.map(move |column| (column, column.of(object, &mut whole)))
    }

    /// Whether it is made by a CustomResourceDefinition.
    pub fn is_custom(&self) -> bool {
        matches!(self.document, Document::Defined(_))
    }

    /// Fills in what was left out.
    pub fn complete(&self, object: &mut Object) {
        self.schema().fill(&mut object.0);
        (self.default)(object);
        let Some(counted) = self.counted else { return };
        let status = object.0.entry("status").or_insert_with(|| json!({}));
        for name in counted {
            if let Some(status) = status.as_object_mut() {
                status.entry(*name).or_insert_with(|| 0.into());
            }
        }
    }

    /// What its objects may hold, as JSON schema with `$defs`.
    pub fn document(&self) -> Value {
        match &self.document {
            Document::Of(make) => make(),
            Document::Given(value) => Value::clone(value),
            Document::Defined(own) => custom::document(own),
        }
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

    /// What a selectable field of an object is, as text.
    pub fn field<'a>(&self, object: &'a Object, name: &str) -> Cow<'a, str> {
        match name {
            "metadata.name" => return object.meta().name().into(),
            "metadata.namespace" => return object.meta().namespace().into(),
            _ => {}
        }
        let mut known = self.selectable.iter();
        let built_in = known.find(|(field, _)| *field == name);
        let own = || {
            let mut own = self.own_fields.iter();
            let (_, path) = own.find(|(field, _)| field == name)?;
            let path: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
            object.at(&path)
        };
        let found = built_in.map_or_else(own, |(_, path)| object.at(path));
        match found {
            Some(Value::String(text)) => text.into(),
            Some(value @ (Value::Bool(_) | Value::Number(_))) => value.to_string().into(),
            _ => {
                let absent = self.absent.iter().find(|(field, _)| *field == name);
                absent.map_or("", |(_, text)| text).into()
            }
        }
    }

    /// Whether a field can be selected by.
    pub fn is_selectable(&self, name: &str) -> bool {
        name == "metadata.name"
            || (self.is_namespaced && name == "metadata.namespace")
            || self.selectable.iter().any(|(field, _)| *field == name)
            || self.own_fields.iter().any(|(field, _)| field == name)
    }

    /// A kind of the core's group in namespaces, to be changed where it differs.
    pub fn core(kind: &'static str, plural: &'static str, singular: &'static str) -> Kind {
        Kind::of("", "v1", kind, plural, singular)
    }

    /// A kind in namespaces, to be changed where it differs.
    pub fn of(
        group: &'static str,
        version: &'static str,
        kind: &'static str,
        plural: &'static str,
        singular: &'static str,
    ) -> Kind {
        Kind {
            group: Text::Borrowed(group),
            version: Text::Borrowed(version),
            kind: Text::Borrowed(kind),
            plural: Text::Borrowed(plural),
            singular: Text::Borrowed(singular),
            short: Vec::new(),
            categories: Vec::new(),
            is_namespaced: true,
            document: Document::Of(|| Value::Bool(true)),
            check_name: names::dns_subdomain,
            default: |_| {},
            inherit: |_, _| {},
            resolve: &[],
            validate: |_, _| Vec::new(),
            selectable: &[],
            own_fields: Vec::new(),
            absent: &[],
            columns: vec![Column::name(), Column::age()],
            has_status: false,
            counted: None,
            generation: Generation::None,
            begins_with_status: false,
            scale: None,
            is_sealed: false,
            grace_s: |_| 0,
            lives_s: 0,
            is_carried_out: false,
            is_made_by_put: false,
            is_seen_first: false,
            kept: &[],
            is_ending: false,
            is_question: false,
            is_measured: false,
            is_fixed: false,
            forms: || &[],
            form: None,
            defined: None,
            is_served: true,
            warn: None,
            deprecation: None,
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
    /// By group and plural: what is stored, and behind it other versions of it.
    all: BTreeMap<(String, String), Vec<Arc<Kind>>>,
}

impl Kinds {
    /// The built-in ones.
    pub fn built_in() -> Kinds {
        let mut kinds = Kinds::default();
        for kind in crate::kinds::all() {
            let forms = (kind.forms)();
            kinds.share(vec![Arc::new(kind)]);
            for form in forms {
                let version = kinds.all.entry(place(form)).or_default();
                version.push(Arc::clone(form));
            }
        }
        kinds
    }

    /// Adds a kind in all its versions, that which is stored first, or puts it in the place of one.
    pub(crate) fn share(&mut self, versions: Vec<Arc<Kind>>) {
        if let Some(first) = versions.first() {
            self.all.insert(place(first), versions);
        }
    }

    /// The kind served at this place.
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Kind>> {
        let found = self.version(group, version, plural);
        found.filter(|kind| kind.is_served)
    }

    /// The same, whether it is served or not.
    pub(crate) fn version(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Kind>> {
        let found = self.all.get(&(group.to_owned(), plural.to_owned()));
        let mut versions = found.into_iter().flatten();
        versions.find(|kind| kind.version == version)
    }

    /// The kind of this name, in the version that is stored.
    pub(crate) fn at(&self, group: &str, plural: &str) -> Option<&Arc<Kind>> {
        let found = self.all.get(&(group.to_owned(), plural.to_owned()));
        found.and_then(|versions| versions.first())
    }

    /// The kind that objects call so; what is there no more in that version is still that kind.
    pub(crate) fn called(&self, api_version: &str, kind: &str) -> Option<&Arc<Kind>> {
        let is = |one: &&Arc<Kind>| one.kind == kind && one.api_version() == api_version;
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let is_other = |one: &&Arc<Kind>| one.is_custom() && one.kind == kind && one.group == group;
        self.iter().find(is).or_else(|| self.iter().find(is_other))
    }

    /// Whether these are the very same ones.
    pub(crate) fn are(&self, others: &Kinds) -> bool {
        let others = others.iter().map(Arc::as_ptr);
        self.iter().map(Arc::as_ptr).eq(others)
    }

    /// Those that are served, in all versions.
    pub fn served(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.iter().filter(|kind| kind.is_served)
    }

    /// All, by group and plural, in all versions, served or not.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.all.values().flatten()
    }
}

fn place(kind: &Kind) -> (String, String) {
    (kind.group.to_string(), kind.plural.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_of_its_columns_type_or_empty() {
        for (kind, found, shown) in [
            ("string", json!(["a", "b"]), json!(r#"["a","b"]"#)),
            ("string", json!("a"), json!("a")),
            ("string", json!(1), json!("1")),
            ("string", Value::Null, Value::Null),
            ("integer", json!(2.0), json!(2)),
            ("integer", json!("2"), Value::Null),
            ("number", json!(2.5), json!(2.5)),
            ("boolean", json!("true"), Value::Null),
            (
                "date",
                json!("2026-11-22T19:00:00Z"),
                json!("2026-11-22T19:00:00Z"),
            ),
            ("date", json!(7), Value::Null),
        ] {
            assert_eq!(as_cell(kind, &found), shown, "{kind} {found}");
        }
    }
}

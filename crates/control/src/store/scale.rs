//! `scale`: how many there are to be, apart from all the rest (`autoscaling/v1`, `Scale`).

use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value, json};
use weft_keyspace::Item;

use super::change::is_named;
use super::write::{Way, place_in};
use super::{Patch, Store, WriteOptions, managed};
use crate::failure::{Cause, Failure, Reason};
use crate::kind::{Column, Kind, Scale};
use crate::object::Object;
use crate::schema::{self, Schema};

/// The version of scales, whatever they are of.
pub(super) const SCALE_VERSION: &str = "autoscaling/v1";

/// What a scale may say.
pub fn scale_schema() -> &'static Schema {
    use k8s_openapi::api::autoscaling::v1;
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| Schema::compile(&schemars::schema_for!(v1::Scale).to_value()))
}

/// Scales as a kind: what their tables show.
pub fn scale_kind() -> Arc<Kind> {
    static KIND: OnceLock<Arc<Kind>> = OnceLock::new();
    let make = || {
        let number = |name, about, cell| Column::text(name, about, cell).integer();
        Arc::new(Kind {
            columns: vec![
                Column::name(),
                number("Desired", "How many there are to be.", |scale| {
                    scale.at(&["spec", "replicas"]).cloned().unwrap_or_default()
                }),
                number("Available", "How many there are.", |scale| {
                    let found = scale.at(&["status", "replicas"]);
                    found.cloned().unwrap_or_default()
                }),
                Column::age(),
            ],
            ..Kind::of("autoscaling", "v1", "Scale", "scales", "scale")
        })
    };
    Arc::clone(KIND.get_or_init(make))
}

/// How a scale is to be changed.
#[derive(Clone, Debug)]
pub enum ScaleChange {
    /// This is the new one.
    Replace(Object),
    /// The one that is there, changed.
    Patch(Patch),
    /// This is applied to it (server-side apply).
    Apply(Object),
}

impl Store {
    /// The scale of an object.
    ///
    /// # Errors
    /// The kind has none, or the object is not there.
    pub async fn scale(&self, kind: &Kind, namespace: &str, name: &str) -> Result<Object, Failure> {
        let item = self.get(kind, namespace, name).await?;
        scale(kind, &item)
    }

    /// Changes the scale of an object.
    ///
    /// # Errors
    /// It is invalid, or the object is not there.
    pub async fn change_scale(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        change: &ScaleChange,
        options: &WriteOptions,
    ) -> Result<Object, Failure> {
        let current = self.current(kind).await?;
        let kind = &*current;
        let place = place(kind)?;
        let way = match change {
            ScaleChange::Apply(_) => Way::Apply,
            ScaleChange::Replace(_) | ScaleChange::Patch(_) => Way::Update,
        };
        let make = |old: &Object| {
            let mut scale = match change {
                ScaleChange::Replace(scale) | ScaleChange::Apply(scale) => scale.clone(),
                ScaleChange::Patch(patch) => patch.apply(scale_schema(), &of(place, old))?,
            };
            if !scale.meta().name().is_empty() {
                place_in(kind, namespace, &mut scale)?;
                is_named(&scale, name)?;
            }
            let wanted = wanted(kind, name, &mut scale)?;
            let mut now = match change {
                ScaleChange::Apply(_) => applied(kind, place, old, &scale, options)?,
                ScaleChange::Replace(_) | ScaleChange::Patch(_) => {
                    let mut now = old.clone();
                    put(&mut now.0, &place.wanted, wanted);
                    now
                }
            };
            let said = |field| scale.at(&["metadata", field]).cloned();
            now.set_meta("resourceVersion", said("resourceVersion"));
            if let Some(uid) = said("uid") {
                now.set_meta("uid", Some(uid));
            }
            Ok(now)
        };
        let changed = self.change(kind, namespace, name, options, way, make);
        scale(kind, &changed.await?)
    }
}

/// What `old` becomes when a scale is applied to it: as if a configuration were that says how many
/// there are to be, and nothing else.
fn applied(
    kind: &Kind,
    place: &Scale,
    old: &Object,
    scale: &Object,
    options: &WriteOptions,
) -> Result<Object, Failure> {
    if scale.at(&["metadata", "managedFields"]).is_some() {
        let message = "metadata.managedFields must be nil";
        return Err(Failure::bad_request(message));
    }
    let path: Vec<&str> = place.wanted.iter().map(AsRef::as_ref).collect();
    let mut config = Object::default();
    if let Some(wanted) = scale.at(&["spec", "replicas"]).and_then(Value::as_i64) {
        put(&mut config.0, &place.wanted, wanted);
    }
    let mut new = managed::apply(kind, old, &config, options)?;
    // As upstream: what was applied before and no longer is, is none.
    if old.at(&path).is_some() && new.at(&path).is_none() {
        put(&mut new.0, &place.wanted, 0);
    }
    Ok(new)
}

fn place(kind: &Kind) -> Result<&Scale, Failure> {
    let missing = || {
        let message = "the server could not find the requested resource";
        Failure::new(Reason::NotFound, message)
    };
    kind.scale.as_ref().ok_or_else(missing)
}

fn scale(kind: &Kind, item: &Arc<Item>) -> Result<Object, Failure> {
    Ok(of(place(kind)?, &super::object(item)?))
}

/// The number a scale asks for.
fn wanted(kind: &Kind, name: &str, scale: &mut Object) -> Result<i64, Failure> {
    let mut causes = schema::check(scale_schema(), &mut scale.0).mistakes;
    let wanted = scale.at(&["spec", "replicas"]).and_then(Value::as_i64);
    // As in Go: what is left out is none.
    let wanted = wanted.unwrap_or(0);
    if wanted < 0 {
        let why = "must be greater than or equal to 0";
        causes.push(Cause::invalid("spec.replicas", wanted, why));
    }
    if causes.is_empty() {
        Ok(wanted)
    } else {
        Err(super::invalid(kind, name, causes))
    }
}

fn of(place: &Scale, object: &Object) -> Object {
    let at = |path: &[std::borrow::Cow<'static, str>]| {
        let path: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
        object.at(&path).cloned()
    };
    let number = |value: Option<Value>| value.and_then(|value| value.as_i64()).unwrap_or(0);
    let mut meta = Map::new();
    for field in [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
    ] {
        if let Some(value) = object.at(&["metadata", field]) {
            meta.insert(field.to_owned(), value.clone());
        }
    }
    let mut status = json!({ "replicas": number(at(&place.found)) });
    if let Some(selector) = at(&place.selector).and_then(|selector| selector_text(&selector)) {
        status["selector"] = selector.into();
    }
    let scale = json!({
        "kind": "Scale",
        "apiVersion": SCALE_VERSION,
        "metadata": meta,
        "spec": { "replicas": number(at(&place.wanted)) },
        "status": status,
    });
    match scale {
        Value::Object(map) => Object(map),
        _ => Object::default(),
    }
}

/// A label selector as text: `app=web,tier in (a,b)`.
fn selector_text(selector: &Value) -> Option<String> {
    if let Some(text) = selector.as_str() {
        return Some(text.to_owned());
    }
    // The labels themselves, as the oldest kinds have them, or one of two fields.
    let is_plain = |map: &&Map<String, Value>| map.values().all(Value::is_string);
    let plain = selector.as_object().filter(is_plain);
    let labels = selector.get("matchLabels").and_then(Value::as_object);
    let labels = labels.or(plain);
    let labels = labels.into_iter().flatten();
    let mut parts: Vec<String> = labels
        .filter_map(|(name, value)| Some(format!("{name}={}", value.as_str()?)))
        .collect();
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    for expression in expressions.into_iter().flatten() {
        let text = |name: &str| expression.get(name).and_then(Value::as_str);
        let values = expression.get("values").and_then(Value::as_array);
        let values: Vec<&str> = values
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let (key, values) = (text("key")?, values.join(","));
        parts.push(match text("operator")? {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            _ => return None,
        });
    }
    Some(parts.join(","))
}

/// Sets the number at a path, and makes what leads there.
fn put(map: &mut Map<String, Value>, path: &[std::borrow::Cow<'static, str>], number: i64) {
    let Some((last, path)) = path.split_last() else {
        return;
    };
    let mut at = map;
    for name in path {
        let slot = at.entry(name.to_string()).or_insert(Value::Null);
        if !slot.is_object() {
            *slot = Map::new().into();
        }
        let Some(below) = slot.as_object_mut() else {
            return;
        };
        at = below;
    }
    at.insert(last.to_string(), number.into());
}

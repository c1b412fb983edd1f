//! Columns that `kubectl get -o wide` shows of what has a pod template.

use serde_json::Value;

use super::super::rules::selectors::selector_text;
use crate::kind::Column;
use crate::object::Object;

/// Where most kinds have their template's specification.
pub(in super::super) const TEMPLATE: [&str; 3] = ["spec", "template", "spec"];

/// Names of containers.
pub(in super::super) fn containers() -> Column {
    Column::text("Containers", "Names of its containers.", |object| {
        each(object, &TEMPLATE, "name").into()
    })
    .wide()
}

/// Images of containers.
pub(in super::super) fn images() -> Column {
    Column::text("Images", "Images of its containers.", |object| {
        each(object, &TEMPLATE, "image").into()
    })
    .wide()
}

/// Which pods are meant.
pub(in super::super) fn shown_selector() -> Column {
    Column::text("Selector", "Labels of its pods.", |object| {
        selector_text(object.at(&["spec", "selector"])).into()
    })
    .wide()
}

/// A field of all containers below `spec`.
pub(in super::super) fn each(object: &Object, spec: &[&str], field: &str) -> String {
    let (first, rest) = spec.split_first().expect("there is a path");
    let found = object.0.get(*first);
    let found = rest
        .iter()
        .try_fold(found, |value, name| Some(value?.get(name)));
    let list = found
        .flatten()
        .and_then(|spec| spec.get("containers")?.as_array());
    let texts = list
        .into_iter()
        .flatten()
        .filter_map(|one| one.get(field)?.as_str());
    texts.collect::<Vec<_>>().join(",")
}

/// The number at `path`, 0 where there is none.
pub(in super::super) fn number(object: &Object, path: &[&str]) -> i64 {
    object.at(path).and_then(Value::as_i64).unwrap_or_default()
}

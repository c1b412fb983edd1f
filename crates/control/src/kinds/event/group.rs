//! `events.k8s.io/v1`: the same events in a group of their own, with stricter rules.

use std::sync::{Arc, LazyLock};

use k8s_openapi::api::events::v1::Event;
use serde_json::Value;

use super::rules;
use crate::failure::Cause;
use crate::form::{Form, rename};
use crate::kind::Kind;
use crate::kinds::document;
use crate::kinds::rules::{Mistakes, Spot};
use crate::object::Object;

/// Names here and in the core's group.
const NAMES: [(&str, &str); 7] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    (REPORTER, "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];
const REPORTER: &str = "reportingController";
/// What stays as it was written, by the names of the core's group.
const FIXED: [&str; 13] = [
    "involvedObject",
    "reason",
    "message",
    "source",
    "firstTimestamp",
    "lastTimestamp",
    "count",
    "reportingComponent",
    "reportingInstance",
    "action",
    "related",
    "type",
    "eventTime",
];

pub(super) fn forms() -> &'static [Arc<Kind>] {
    static FORMS: LazyLock<[Arc<Kind>; 1]> = LazyLock::new(|| [Arc::new(kind())]);
    &*FORMS
}

fn kind() -> Kind {
    let stored = super::kind();
    Kind {
        group: "events.k8s.io".into(),
        document: document::<Event>(),
        validate,
        selectable: &[
            ("regarding.kind", &["regarding", "kind"]),
            ("regarding.namespace", &["regarding", "namespace"]),
            ("regarding.name", &["regarding", "name"]),
            ("regarding.uid", &["regarding", "uid"]),
            ("regarding.apiVersion", &["regarding", "apiVersion"]),
            (
                "regarding.resourceVersion",
                &["regarding", "resourceVersion"],
            ),
            ("regarding.fieldPath", &["regarding", "fieldPath"]),
            ("reason", &["reason"]),
            ("reportingController", &["reportingController"]),
            ("type", &["type"]),
        ],
        forms: || &[],
        form: Some(Form {
            stored: Arc::new(super::kind()),
            write,
            read,
        }),
        ..stored
    }
}

fn write(event: &mut Object) {
    for (here, core) in NAMES {
        rename(event, here, core);
    }
    // The core's group cannot do without it.
    let empty = || Value::Object(serde_json::Map::new());
    event
        .0
        .entry("involvedObject".to_owned())
        .or_insert_with(empty);
}

fn read(event: &mut Object) {
    for (here, core) in NAMES {
        rename(event, core, here);
    }
}

fn validate(event: &Object, old: Option<&Object>) -> Vec<Cause> {
    let stored = |event: &Object| {
        let mut event = event.clone();
        write(&mut event);
        event
    };
    let event = stored(event);
    let mut mistakes = Mistakes::default();
    rules::of_any(&mut mistakes, &event, REPORTER);
    match old {
        None => created(&mut mistakes, &event),
        Some(old) => changed(&mut mistakes, &event, &stored(old)),
    }
    mistakes.into_causes()
}

fn created(mistakes: &mut Mistakes, event: &Object) {
    series(mistakes, event);
    mistakes.must_be(&Spot::of(event, "eventTime"), "");
    let kind = Spot::of(event, "type");
    if !matches!(kind.text(), "Normal" | "Warning") {
        let why = format!("has invalid value: {}", kind.text());
        mistakes.invalid_unseen(&kind, &why);
    }
    let why = "needs to be unset";
    for name in ["firstTimestamp", "lastTimestamp"] {
        let time = Spot::of(event, name);
        if !time.is_empty() {
            mistakes.invalid_unseen(&time, why);
        }
    }
    let count = Spot::of(event, "count");
    if count.number().unwrap_or(0) != 0 {
        mistakes.invalid_unseen(&count, why);
    }
    let source = Spot::of(event, "source");
    if ["component", "host"]
        .iter()
        .any(|name| !source.at(name).is_empty())
    {
        mistakes.invalid_unseen(&source, why);
    }
}

/// Only a series goes on.
fn changed(mistakes: &mut Mistakes, event: &Object, old: &Object) {
    if event.0.get("series") != old.0.get("series") {
        series(mistakes, event);
    }
    for name in FIXED {
        let (new, old) = (Spot::of(event, name), Spot::of(old, name));
        // As in Go: what is left out is empty.
        let is_nothing = |spot: &Spot<'_, '_>| spot.is_empty() || spot.number() == Some(0);
        let is_same = (is_nothing(&new) && is_nothing(&old)) || rules::is_same_time(&new, &old);
        if !is_same {
            let new = match name {
                "reportingComponent" => Spot::of(event, REPORTER).holding(new.value()),
                _ => new,
            };
            mistakes.same(&new, &old);
        }
    }
}

fn series(mistakes: &mut Mistakes, event: &Object) {
    let series = Spot::of(event, "series");
    if !series.is_some() {
        return;
    }
    let count = series.at("count");
    if count.number().unwrap_or(0) < 2 {
        mistakes.invalid_unseen(&count, "should be at least 2");
    }
    mistakes.must_be(&series.at("lastObservedTime"), "");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::{object, refuses, refuses_change};

    fn event() -> Value {
        json!({
            "metadata": { "name": "a.1", "namespace": "default" },
            "eventTime": "2026-01-02T03:04:05.000006Z",
            "reportingController": "example.com/watcher",
            "reportingInstance": "watcher-1",
            "action": "Watching",
            "reason": "Seen",
            "regarding": { "kind": "Pod", "namespace": "default", "name": "a" },
            "note": "it was seen",
            "type": "Normal",
        })
    }

    #[test]
    fn nothing_is_lost_between_the_groups() {
        let form = &forms()[0];
        let mut given = event();
        given["series"] = json!({ "count": 2, "lastObservedTime": "2026-01-02T03:04:06.000000Z" });
        given["deprecatedSource"] = json!({ "component": "c" });
        given["related"] = json!({ "kind": "Node", "name": "n" });
        given["apiVersion"] = "events.k8s.io/v1".into();
        given["kind"] = "Event".into();
        let given = object(given);
        let stored = form.as_stored(&given).into_owned();
        assert_eq!(stored.text(&["apiVersion"]), Some("v1"));
        assert_eq!(stored.text(&["message"]), Some("it was seen"));
        assert_eq!(stored.text(&["involvedObject", "name"]), Some("a"));
        assert_eq!(stored.text(&["source", "component"]), Some("c"));
        assert_eq!(form.of_stored(&stored).into_owned(), given);
    }

    #[test]
    fn a_new_one_says_all_of_it_and_nothing_old() {
        let series = |series: Value| json!({ "series": series });
        let at = "2026-01-02T03:04:06.000000Z";
        refuses(
            &kind(),
            &event(),
            &[
                (json!({ "eventTime": null }), &["eventTime: Required"]),
                (
                    json!({ "reportingController": null, "reportingInstance": "x".repeat(129), "action": null, "reason": null, "note": "x".repeat(1025) }),
                    &[
                        "reportingController: Required",
                        "reportingController: Invalid",
                        "reportingInstance: Invalid value: \"\": can have at most 128",
                        "action: Required",
                        "reason: Required",
                        "message: Invalid value: \"\": can have at most 1024",
                    ],
                ),
                (
                    json!({ "type": "Odd" }),
                    &["type: Invalid value: \"\": has invalid value: Odd"],
                ),
                (
                    json!({ "deprecatedCount": 1, "deprecatedFirstTimestamp": at, "deprecatedLastTimestamp": at, "deprecatedSource": { "host": "h" } }),
                    &[
                        "firstTimestamp: Inv",
                        "lastTimestamp: Inv",
                        "count: Inv",
                        "source: Inv",
                    ],
                ),
                (
                    json!({ "metadata": { "namespace": "other" }, "regarding": null }),
                    &["involvedObject.namespace: Invalid"],
                ),
                (series(json!({ "count": 2, "lastObservedTime": at })), &[]),
                (
                    series(json!({ "count": 1, "lastObservedTime": at })),
                    &["series.count: Invalid value: \"\": should be at least 2"],
                ),
            ],
        );
    }

    #[test]
    fn only_its_series_goes_on() {
        let at = "2026-01-02T03:04:06.000000Z";
        refuses_change(
            &kind(),
            &event(),
            &[
                (
                    json!({ "series": { "count": 3, "lastObservedTime": at } }),
                    &[],
                ),
                (
                    json!({ "series": { "count": 1, "lastObservedTime": at } }),
                    &["series.count"],
                ),
                (json!({ "metadata": { "labels": { "a": "b" } } }), &[]),
                (json!({ "deprecatedSource": {}, "deprecatedCount": 0 }), &[]),
                // The same time, as another client writes it.
                (
                    json!({ "eventTime": "2026-01-02T03:04:05.000006789Z" }),
                    &[],
                ),
                (json!({ "eventTime": at }), &["eventTime: Invalid"]),
                (
                    json!({ "note": "other", "reportingController": "x", "regarding": { "name": "b" } }),
                    &[
                        "involvedObject: Invalid",
                        "message: Invalid value: \"other\": field is immutable",
                        "reportingController: Invalid",
                    ],
                ),
            ],
        );
    }

    #[test]
    fn the_cores_group_is_laxer() {
        let old = json!({
            "metadata": { "name": "a", "namespace": "here" },
            "involvedObject": { "namespace": "here" },
        });
        let why = "involvedObject.namespace: Invalid value";
        refuses(
            &super::super::kind(),
            &old,
            &[
                (json!({ "count": 7, "series": { "count": 1 } }), &[]),
                (
                    json!({ "involvedObject": { "namespace": "there" } }),
                    &[why],
                ),
                (json!({ "involvedObject": { "namespace": null } }), &[why]),
                (
                    json!({ "metadata": { "namespace": "default" }, "involvedObject": { "namespace": null } }),
                    &[],
                ),
                (
                    json!({ "eventTime": "2026-01-02T03:04:05.000006Z", "reportingInstance": "i", "reason": "R", "action": "A" }),
                    &[
                        "reportingComponent: Required",
                        "reportingComponent: Invalid",
                    ],
                ),
            ],
        );
        let told = json!({ "message": "other", "count": 2 });
        refuses_change(&super::super::kind(), &old, &[(told, &[])]);
    }
}

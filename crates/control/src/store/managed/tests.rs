//! Owners of fields after updates and applications.

use serde_json::json;

use super::*;
use crate::Kinds;

fn object(value: Value) -> Object {
    match value {
        Value::Object(map) => Object(map),
        _ => panic!("an object"),
    }
}

fn by(manager: &str) -> WriteOptions {
    WriteOptions {
        manager: manager.to_owned(),
        ..WriteOptions::default()
    }
}

/// Managers with what they own.
fn owners(object: &Object) -> Vec<(String, bool, Vec<String>)> {
    let owners = Owners::read(object).unwrap();
    let entries = owners.0.into_iter();
    entries
        .map(|entry| (entry.manager, entry.is_apply, entry.set.paths()))
        .collect()
}

fn entry(manager: &str, is_apply: bool, paths: &[&str]) -> (String, bool, Vec<String>) {
    let paths = paths.iter().map(|&path| path.to_owned()).collect();
    (manager.to_owned(), is_apply, paths)
}

fn maps() -> std::sync::Arc<Kind> {
    let kinds = Kinds::built_in();
    std::sync::Arc::clone(kinds.find("", "v1", "configmaps").unwrap())
}

fn map(data: Value) -> Object {
    object(json!({ "metadata": { "name": "a" }, "data": data }))
}

#[test]
fn updates_take_what_they_change() {
    let kind = maps();
    let mut first = map(json!({ "a": "1", "b": "1" }));
    update(&kind, None, &mut first, &by("one"));
    assert_eq!(
        owners(&first),
        [entry("one", false, &[".data.a", ".data.b"])]
    );
    let mut second = first.clone();
    second.0["data"] = json!({ "a": "1", "b": "2", "c": "2" });
    update(&kind, Some(&first), &mut second, &by("two"));
    assert_eq!(
        owners(&second),
        [
            entry("one", false, &[".data.a"]),
            entry("two", false, &[".data.b", ".data.c"]),
        ]
    );
    let mut same = second.clone();
    update(&kind, Some(&second), &mut same, &by("three"));
    assert_eq!(same, second);
    let mut third = second.clone();
    third.0["data"] = json!({ "a": "1" });
    update(&kind, Some(&second), &mut third, &by("two"));
    assert_eq!(owners(&third), [entry("one", false, &[".data.a"])]);
    // Who owns nothing any more is forgotten, and a client may forget all.
    let mut fourth = third.clone();
    fourth.set_meta("managedFields", Some(json!([{}])));
    update(&kind, Some(&third), &mut fourth, &by("two"));
    assert_eq!(fourth.at(&["metadata", "managedFields"]), None);
}

#[test]
fn applications_share_what_they_agree_on_and_fight_over_the_rest() {
    let kind = maps();
    let config = map(json!({ "a": "1", "b": "1" }));
    let mut live = config.clone();
    create_applied(&kind, &config, &mut live, &by("one"));
    let same = apply(&kind, &live, &config, &by("one")).unwrap();
    assert_eq!(same, live);

    let shared = apply(
        &kind,
        &live,
        &map(json!({ "b": "1", "c": "2" })),
        &by("two"),
    )
    .unwrap();
    assert_eq!(shared.0["data"], json!({ "a": "1", "b": "1", "c": "2" }));
    assert_eq!(
        owners(&shared),
        [
            entry("one", true, &[".data.a", ".data.b"]),
            entry("two", true, &[".data.b", ".data.c"]),
        ]
    );

    let other = map(json!({ "a": "9", "b": "9" }));
    let refused = apply(&kind, &shared, &other, &by("three")).unwrap_err();
    assert_eq!(refused.reason, Reason::Conflict);
    assert_eq!(
        refused.message,
        "Apply failed with 3 conflicts: conflicts with \"one\":\n- .data.a\n- .data.b\n\
         conflict with \"two\": .data.b"
    );
    assert_eq!(refused.about.causes.len(), 3);
    let forced = WriteOptions {
        is_forced: true,
        ..by("three")
    };
    let taken = apply(&kind, &shared, &other, &forced).unwrap();
    assert_eq!(taken.0["data"], json!({ "a": "9", "b": "9", "c": "2" }));
    assert_eq!(
        owners(&taken),
        [
            entry("two", true, &[".data.c"]),
            entry("three", true, &[".data.a", ".data.b"]),
        ]
    );
    // What is no longer in the configuration goes, unless somebody else has it.
    let less = apply(&kind, &shared, &map(json!({ "a": "1" })), &by("one")).unwrap();
    assert_eq!(less.0["data"], json!({ "a": "1", "b": "1", "c": "2" }));
    let less = apply(&kind, &less, &map(json!({ "c": "2" })), &by("two")).unwrap();
    assert_eq!(less.0["data"], json!({ "a": "1", "c": "2" }));
    let none = apply(&kind, &less, &object(json!({ "metadata": {} })), &by("one")).unwrap();
    assert_eq!(none.0["data"], json!({ "c": "2" }));
}

#[test]
fn an_update_is_a_rival_of_an_application() {
    let kind = maps();
    let mut live = map(json!({ "a": "1" }));
    update(&kind, None, &mut live, &by("editor"));
    let config = map(json!({ "a": "2" }));
    let refused = apply(&kind, &live, &config, &by("applier")).unwrap_err();
    assert!(
        refused
            .message
            .starts_with("Apply failed with 1 conflict: conflict with \"editor\" using v1 at 20"),
        "{refused}"
    );
}

#[test]
fn old_updates_become_one() {
    let kind = maps();
    let mut live = map(json!({}));
    for number in 0..15 {
        let mut next = live.clone();
        next.0["data"][format!("k{number:02}")] = "1".into();
        update(&kind, Some(&live), &mut next, &by(&format!("m{number:02}")));
        live = next;
    }
    let found = owners(&live);
    assert_eq!(found.len(), UPDATES_MAX);
    assert_eq!(found[0].0, ANCIENT);
    let all: usize = found.iter().map(|(_, _, paths)| paths.len()).sum();
    assert_eq!(all, 15);
}

fn events(version: &str, group: &str) -> std::sync::Arc<Kind> {
    let kinds = Kinds::built_in();
    std::sync::Arc::clone(kinds.find(group, version, "events").unwrap())
}

#[test]
fn owners_of_two_forms_know_of_each_other() {
    let (core, own) = (events("v1", ""), events("v1", "events.k8s.io"));
    let mut first = object(json!({
        "metadata": { "name": "a" }, "involvedObject": { "name": "p" }, "message": "m", "reason": "R",
    }));
    update(&core, None, &mut first, &by("one"));
    let fields = [".involvedObject", ".message", ".reason"];
    assert_eq!(owners(&first), [entry("one", false, &fields)]);
    // An update in the other form takes what the first one has, by its name there.
    let before = own.of_stored(&first).into_owned();
    let mut second = before.clone();
    second.0["note"] = "n".into();
    update(&own, Some(&before), &mut second, &by("two"));
    assert_eq!(
        owners(&second),
        [
            entry("one", false, &[".involvedObject", ".reason"]),
            entry("two", false, &[".note"]),
        ]
    );
    // An application conflicts with it, by the owner's name for it.
    let live = own.as_stored(&second).into_owned();
    let config = object(json!({ "metadata": { "name": "a" }, "message": "x" }));
    let refused = apply(&core, &live, &config, &by("three")).unwrap_err();
    assert!(refused.message.ends_with(": .note"), "{}", refused.message);
    // What was applied in one form and is not named in the other goes, if nobody else has it.
    let config = object(json!({ "metadata": { "name": "a" }, "message": "n", "action": "A" }));
    let applied = apply(&core, &live, &config, &by("three")).unwrap();
    let there = own.of_stored(&applied).into_owned();
    let config = object(json!({ "metadata": { "name": "a" }, "reason": "R" }));
    let applied = apply(&own, &there, &config, &by("three")).unwrap();
    assert_eq!(applied.text(&["action"]), None);
    assert_eq!(applied.text(&["note"]), Some("n"));
    let last = owners(&applied).pop().unwrap();
    assert_eq!(last, entry("three", true, &[".reason"]));
}

/// kubectl, on its way from its own apply to the server's, makes its update an application.
#[test]
fn what_an_update_owned_as_a_whole_stays_while_a_part_is_still_wanted() {
    let kinds = Kinds::built_in();
    let kind = kinds.find("apps", "v1", "deployments").unwrap();
    let container = |image: &str| json!({ "name": "web", "image": image });
    let config = |container: Value| {
        object(json!({
            "metadata": { "name": "a", "labels": { "app": "web" } },
            "spec": {
                "selector": { "matchLabels": { "app": "web" } },
                "template": {
                    "metadata": { "labels": { "app": "web" } },
                    "spec": { "containers": [container] },
                },
            },
        }))
    };
    let mut live = config(container("x"));
    update(kind, None, &mut live, &by("kubectl"));
    let mut owned = Owners::read(&live).unwrap();
    assert!(
        owned.0[0]
            .set
            .paths()
            .contains(&".spec.template".to_owned())
    );
    owned.0[0].is_apply = true;
    owned.write(&mut live);
    let next = apply(kind, &live, &config(container("y")), &by("kubectl")).unwrap();
    let template = next.at(&["spec", "template"]).unwrap();
    assert_eq!(template["spec"]["containers"], json!([container("y")]));
    assert_eq!(template["metadata"], json!({ "labels": { "app": "web" } }));
    let mut less = config(container("y"));
    less.meta_mut().remove("labels");
    let next = apply(kind, &next, &less, &by("kubectl")).unwrap();
    assert_eq!(next.at(&["metadata", "labels"]), None);
}

#[test]
fn claims_of_a_container_are_told_apart_by_their_name() {
    let kinds = Kinds::built_in();
    let pods = kinds.find("", "v1", "pods").unwrap();
    let with = |claims: Value| {
        object(
            json!({ "metadata": { "name": "a" }, "spec": { "containers": [
            { "name": "c", "resources": { "claims": claims } },
        ] } }),
        )
    };
    let first = with(json!([{ "name": "one" }]));
    let mut live = first.clone();
    create_applied(pods, &first, &mut live, &by("one"));
    let applied = apply(pods, &live, &with(json!([{ "name": "two" }])), &by("two")).unwrap();
    let claims = &applied.0["spec"]["containers"][0]["resources"]["claims"];
    assert_eq!(*claims, json!([{ "name": "one" }, { "name": "two" }]));
    // A patch knows no key, and replaces the list.
    let patch = with(json!([{ "name": "three" }]));
    let patch = crate::store::Patch::Strategic(patch.0.into());
    let patched = patch.apply(pods.schema(), &applied).unwrap();
    let claims = &patched.0["spec"]["containers"][0]["resources"]["claims"];
    assert_eq!(*claims, json!([{ "name": "three" }]));
}

#[test]
fn what_kubectl_applies_is_written_down_where_it_did_so_before() {
    const LAST: &str = "kubectl.kubernetes.io/last-applied-configuration";
    let kind = maps();
    let annotated = |last: &str| {
        let annotations = json!({ LAST: last, "a": "b" });
        let mut live = map(json!({ "a": "1" }));
        live.set_meta("annotations", Some(annotations));
        live
    };
    let short = json!({ "metadata": { "name": "a" }, "data": { "b": "2" } });
    let long = json!({ "metadata": { "name": "a" }, "data": { "b": "x".repeat(256 << 10) } });
    for (manager, last, config, expected) in [
        ("kubectl", "{}", &short, Some(format!("{short}\n"))),
        ("rival", "{}", &short, Some("{}".to_owned())),
        ("kubectl", "", &short, Some(String::new())),
        ("kubectl", "{}", &long, None),
    ] {
        let config = object(config.clone());
        let applied = apply(&kind, &annotated(last), &config, &by(manager)).unwrap();
        let written = applied.text(&["metadata", "annotations", LAST]);
        assert_eq!(written, expected.as_deref(), "{manager}");
        let mine = owners(&applied).pop().unwrap();
        assert_eq!(mine, entry(manager, true, &[".data.b"]));
        // The same again changes nothing.
        let again = apply(&kind, &applied, &config, &by(manager)).unwrap();
        assert_eq!(again, applied);
    }
}

//! Autoscalers that scale the same. Pure.

use std::collections::BTreeSet;

use crate::object::Object;

/// Why a scaler may not scale, if others of its namespace scale the same: together they would scale
/// it up and down for ever. Who is being deleted is nobody's rival.
pub(super) fn contested<'a>(
    scaler: &Object,
    all: impl Iterator<Item = &'a Object>,
) -> Option<String> {
    let own = place(scaler);
    let same = all.filter(|other| !other.meta().is_deleting() && place(other) == own);
    let mut names: BTreeSet<&str> = same.map(|other| other.meta().name()).collect();
    names.insert(scaler.meta().name());
    let [_, kind, name] = own;
    (names.len() > 1).then(|| {
        let names = names.into_iter().collect::<Vec<_>>().join(", ");
        format!(
            "{kind} {name} is scaled by several autoscalers ({names}), and so by none: delete all but one"
        )
    })
}

/// What it scales: group, kind and name. All versions of a group have the same objects.
fn place(scaler: &Object) -> [&str; 3] {
    let [version, kind, name] = ["apiVersion", "kind", "name"].map(|field| {
        let found = scaler.text(&["spec", "scaleTargetRef", field]);
        found.unwrap_or_default()
    });
    let group = version.split_once('/').map_or("", |(group, _)| group);
    [group, kind, name]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn scaler(name: &str, version: &str, kind: &str, is_deleting: bool) -> Object {
        let mut meta = json!({ "name": name, "namespace": "default" });
        if is_deleting {
            meta["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        }
        let target = json!({ "apiVersion": version, "kind": kind, "name": "web" });
        let scaler = json!({ "metadata": meta, "spec": { "scaleTargetRef": target } });
        match scaler {
            Value::Object(fields) => Object(fields),
            _ => panic!("it is an object"),
        }
    }

    #[test]
    fn rivals_scale_the_same_and_stay() {
        let one = || scaler("one", "apps/v1", "Deployment", false);
        let cases = [
            (scaler("two", "apps/v1", "Deployment", false), true),
            // Of another version it is the same, of another group it is not.
            (scaler("two", "apps/v1beta1", "Deployment", false), true),
            (scaler("two", "example.org/v1", "Deployment", false), false),
            (scaler("two", "v1", "Deployment", false), false),
            (scaler("two", "apps/v1", "StatefulSet", false), false),
            (scaler("two", "apps/v1", "Deployment", true), false),
        ];
        for (two, is_rival) in cases {
            let all = [two.clone(), one()];
            let told = contested(&one(), all.iter());
            assert_eq!(told.is_some(), is_rival, "{two:?}");
            if let Some(told) = told {
                let several = "Deployment web is scaled by several autoscalers (one, two)";
                assert!(told.starts_with(several), "{told}");
            }
        }
        // Who goes leaves it to who stays.
        let all = [scaler("two", "apps/v1", "Deployment", true), one()];
        assert!(contested(&all[0], all.iter()).is_some());
        assert!(contested(&all[0], all[..1].iter()).is_none());
    }
}

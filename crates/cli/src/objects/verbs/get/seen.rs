//! What a watch has shown of each object, and what a later list says beyond it.
//!
//! Holds as much as the list that was shown: what is deleted is shown as it was last seen.

use std::collections::BTreeMap;

use serde_json::Value;

/// Rows of tables, or objects, by namespace and name.
#[derive(Debug, Default)]
pub(super) struct Seen(BTreeMap<(String, String), Value>);

/// The metadata of an object, or of what a row is about.
fn meta(shown: &Value) -> &Value {
    match shown.get("cells") {
        Some(_) => &shown["object"]["metadata"],
        None => &shown["metadata"],
    }
}

fn text<'a>(shown: &'a Value, key: &str) -> &'a str {
    meta(shown)[key].as_str().unwrap_or_default()
}

fn key(shown: &Value) -> (String, String) {
    let text = |key| text(shown, key).to_owned();
    (text("namespace"), text("name"))
}

impl Seen {
    /// Takes note of what an event tells.
    pub(super) fn event(&mut self, kind: &str, shown: &Value) {
        match kind {
            "DELETED" => drop(self.0.remove(&key(shown))),
            _ => drop(self.0.insert(key(shown), shown.clone())),
        }
    }

    /// What became of all since: deletions, then the others in the order of `now`.
    pub(super) fn changes(&mut self, now: &[Value]) -> Vec<(&'static str, Value)> {
        let mut before = std::mem::take(&mut self.0);
        let (mut gone, mut others) = (Vec::new(), Vec::new());
        for shown in now {
            self.event("ADDED", shown);
            let is_same = |old: &Value, key| text(old, key) == text(shown, key);
            match before.remove(&key(shown)) {
                Some(old) if is_same(&old, "resourceVersion") => {}
                Some(old) if is_same(&old, "uid") => others.push(("MODIFIED", shown.clone())),
                Some(old) => {
                    gone.push(("DELETED", old));
                    others.push(("ADDED", shown.clone()));
                }
                None => others.push(("ADDED", shown.clone())),
            }
        }
        gone.extend(before.into_values().map(|old| ("DELETED", old)));
        gone.extend(others);
        gone
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_told() {
        for is_row in [false, true] {
            let shown = |name: &str, uid: &str, version: &str| {
                let meta = json!({ "name": name, "uid": uid, "resourceVersion": version });
                match is_row {
                    true => json!({ "cells": [name], "object": { "metadata": meta } }),
                    false => json!({ "metadata": meta }),
                }
            };
            let mut seen = Seen::default();
            for name in ["same", "changed", "gone", "again", "ended"] {
                seen.event("ADDED", &shown(name, "1", "1"));
            }
            seen.event("MODIFIED", &shown("same", "1", "2"));
            seen.event("DELETED", &shown("ended", "1", "3"));
            let now = [
                shown("new", "1", "5"),
                shown("again", "2", "6"),
                shown("changed", "1", "7"),
                shown("same", "1", "2"),
            ];
            let changes = seen.changes(&now);
            let told: Vec<_> = changes
                .iter()
                .map(|(kind, shown)| (*kind, text(shown, "name"), text(shown, "uid")))
                .collect();
            assert_eq!(
                told,
                [
                    ("DELETED", "again", "1"),
                    ("DELETED", "gone", "1"),
                    ("ADDED", "new", "1"),
                    ("ADDED", "again", "2"),
                    ("MODIFIED", "changed", "1"),
                ]
            );
            assert_eq!(seen.changes(&now), []);
        }
    }
}

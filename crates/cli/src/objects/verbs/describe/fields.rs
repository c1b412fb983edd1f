//! An object's fields as lines.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::objects::rows::Layout;

/// Column of the values of labels and annotations.
const COLUMN: usize = 14;
/// Longest annotation on one line.
const LONG: usize = 140;

/// All of an object, and its events if they were looked for.
pub(super) fn text(object: &Value, events: Option<&[Value]>) -> String {
    let mut out = String::new();
    let meta = &object["metadata"];
    let line = |out: &mut String, title: &str, value: &str| {
        out.push_str(format!("{:<COLUMN$}{value}", format!("{title}:")).trim_end());
        out.push('\n');
    };
    line(&mut out, "Name", meta["name"].as_str().unwrap_or_default());
    if let Some(namespace) = meta["namespace"].as_str() {
        line(&mut out, "Namespace", namespace);
    }
    line(&mut out, "Labels", &pairs(&meta["labels"], "=", false));
    line(
        &mut out,
        "Annotations",
        &pairs(&meta["annotations"], ": ", true),
    );
    match object["kind"].as_str() {
        Some("ConfigMap") => config_map(object, &mut out),
        // kubectl tells no events of these two.
        Some("Secret") => {
            secret(object, &mut out);
            return out;
        }
        Some("Namespace") => {
            line(
                &mut out,
                "Status",
                object["status"]["phase"].as_str().unwrap_or_default(),
            );
            return out;
        }
        _ => generic(object, &mut out),
    }
    if let Some(events) = events {
        self::events(events, &mut out);
    }
    out
}

/// Pairs below one another.
fn pairs(map: &Value, between: &str, hides: bool) -> String {
    const HIDDEN: &str = "kubectl.kubernetes.io/last-applied-configuration";
    let mut entries: Vec<String> = map
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, _)| !(hides && *key == HIDDEN))
        .map(|(key, value)| {
            let value = value.as_str().unwrap_or_default();
            let is_long = key.len() + value.len() + 2 > LONG || value.contains('\n');
            match hides && is_long {
                false => format!("{key}{between}{value}"),
                true => long(key, value),
            }
        })
        .collect();
    entries.sort();
    match entries.is_empty() {
        true => "<none>".to_owned(),
        false => entries.join(&format!("\n{:COLUMN$}", "")),
    }
}

/// An annotation of several lines, or of a long one, which is cut.
fn long(key: &str, value: &str) -> String {
    let mut text = format!("{key}:");
    for line in value.split('\n') {
        let cut = match line.chars().count() > LONG - 2 {
            true => line.chars().take(LONG - 2).collect::<String>() + "...",
            false => line.to_owned(),
        };
        text.push_str(&format!("\n{:COLUMN$}  {cut}", ""));
    }
    text
}

fn config_map(object: &Value, out: &mut String) {
    out.push_str("\nData\n====\n");
    for (key, value) in object["data"].as_object().into_iter().flatten() {
        out.push_str(&format!(
            "{key}:\n----\n{}\n\n",
            value.as_str().unwrap_or_default()
        ));
    }
    out.push_str("\nBinaryData\n====\n");
    for (key, value) in object["binaryData"].as_object().into_iter().flatten() {
        out.push_str(&format!("{key}: {} bytes\n", size(value)));
    }
}

fn secret(object: &Value, out: &mut String) {
    out.push_str(&format!(
        "\nType:  {}\n\nData\n====\n",
        object["type"].as_str().unwrap_or_default()
    ));
    for (key, value) in object["data"].as_object().into_iter().flatten() {
        out.push_str(&format!("{key}:  {} bytes\n", size(value)));
    }
}

fn size(encoded: &Value) -> usize {
    let text = encoded.as_str().unwrap_or_default();
    STANDARD.decode(text).map_or(0, |bytes| bytes.len())
}

/// Every field that was not told yet, as it is.
fn generic(object: &Value, out: &mut String) {
    let told = ["name", "namespace", "labels", "annotations"];
    let mut rest: Map<String, Value> = object.as_object().cloned().unwrap_or_default();
    if let Some(meta) = rest.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.retain(|key, _| !told.contains(&key.as_str()));
    }
    for first in ["apiVersion", "kind"] {
        if let Some(value) = rest.remove(first) {
            let title = if first == "kind" {
                "Kind"
            } else {
                "API Version"
            };
            out.push_str(&format!(
                "{:<COLUMN$}{}\n",
                format!("{title}:"),
                value.as_str().unwrap_or_default()
            ));
        }
    }
    map(&rest, 0, out);
}

fn map(fields: &Map<String, Value>, indent: usize, out: &mut String) {
    let mut keys: Vec<&String> = fields.keys().collect();
    keys.sort();
    // Scalars that stand together have their values in one column.
    let widest = keys
        .iter()
        .filter(|key| !is_deep(&fields[**key]))
        .map(|key| title(key).chars().count())
        .max();
    let column = widest.unwrap_or(0) + 3;
    for key in keys {
        let title = title(key) + ":";
        match &fields[key] {
            Value::Object(inner) if !inner.is_empty() => {
                out.push_str(&format!("{:indent$}{title}\n", ""));
                map(inner, indent + 2, out);
            }
            Value::Array(inner) if !inner.is_empty() => {
                out.push_str(&format!("{:indent$}{title}\n", ""));
                list(inner, indent + 2, out);
            }
            Value::Null => {}
            value => out.push_str(&format!("{:indent$}{title:<column$}{}\n", "", plain(value))),
        }
    }
}

fn list(items: &[Value], indent: usize, out: &mut String) {
    for item in items {
        match item {
            Value::Object(inner) => map(inner, indent, out),
            Value::Array(inner) => list(inner, indent + 2, out),
            value => out.push_str(&format!("{:indent$}{}\n", "", plain(value))),
        }
    }
}

fn is_deep(value: &Value) -> bool {
    match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(list) => !list.is_empty(),
        _ => false,
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(_) | Value::Array(_) => "<none>".to_owned(),
        other => other.to_string(),
    }
}

/// `creationTimestamp` as `Creation Timestamp`; names that are no words of ours stay.
fn title(key: &str) -> String {
    if key.contains(['.', '/', '-', '_']) {
        return key.to_owned();
    }
    let mut title = String::new();
    let mut was_lower = false;
    for (at, c) in key.chars().enumerate() {
        if at == 0 {
            title.extend(c.to_uppercase());
        } else {
            if c.is_uppercase() && was_lower {
                title.push(' ');
            }
            title.push(c);
        }
        was_lower = c.is_lowercase() || c.is_ascii_digit();
    }
    title
}

fn events(events: &[Value], out: &mut String) {
    if events.is_empty() {
        out.push_str("\nEvents:  <none>\n");
        return;
    }
    out.push_str("\nEvents:\n");
    let row = |words: [&str; 5]| {
        let mut row: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        row[0].insert_str(0, "  ");
        row
    };
    let mut lines = vec![row(["Type", "Reason", "Last Seen", "From", "Message"])];
    for event in events {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let count = event["count"].as_u64().filter(|count| *count > 1);
        let seen = [
            &event["lastTimestamp"],
            &event["eventTime"],
            &event["metadata"]["creationTimestamp"],
        ];
        let seen = seen
            .iter()
            .find_map(|value| value.as_str())
            .unwrap_or_default();
        let seen = count.map_or(seen.to_owned(), |count| format!("{seen} (x{count})"));
        let from = [&event["source"]["component"], &event["reportingComponent"]];
        let from = from
            .iter()
            .find_map(|value| value.as_str().filter(|text| !text.is_empty()));
        let message = text(&event["message"]);
        let message = message.trim().lines().collect::<Vec<_>>().join(" ");
        lines.push(row([
            &text(&event["type"]),
            &text(&event["reason"]),
            &seen,
            from.unwrap_or_default(),
            &message,
        ]));
    }
    out.push_str(&Layout::default().render(&lines));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_become_lines_and_secrets_stay_so() {
        let object = json!({
            "kind": "Thing", "apiVersion": "x/v1",
            "metadata": { "name": "a", "labels": { "b": "2", "a": "1" }, "creationTimestamp": "T" },
            "spec": { "maxCount": 3, "list": [{ "port": 80 }, "x"], "none": [] },
        });
        let expected = "\
Name:         a
Labels:       a=1
              b=2
Annotations:  <none>
API Version:  x/v1
Kind:         Thing
Metadata:
  Creation Timestamp:  T
Spec:
  List:
    Port:  80
    x
  Max Count:  3
  None:       <none>

Events:  <none>
";
        assert_eq!(text(&object, Some(&[])), expected);
        let secret = json!({ "kind": "Secret", "metadata": { "name": "s" }, "type": "Opaque",
            "data": { "k": "aGlkZGVu" } });
        let told = text(&secret, None);
        assert!(
            told.contains("k:  6 bytes") && !told.contains("hidden") && !told.contains("aGlk"),
            "{told}"
        );
    }
}

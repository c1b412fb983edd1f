//! Objects of any kind, by their fields.

use serde_json::{Map, Value};

use super::page::Page;
use super::value::{entries, shown, text};

/// Words that are written in capitals.
const ACRONYMS: [&str; 5] = ["API", "URL", "UID", "OSB", "GUID"];

pub(super) fn tell(object: &Value, page: &mut Page) {
    let meta = &object["metadata"];
    page.field(0, "Name", text(&meta["name"]));
    page.field(0, "Namespace", text(&meta["namespace"]));
    page.labels("Labels", &meta["labels"]);
    page.annotations("Annotations", &meta["annotations"]);
    let told = ["name", "namespace", "labels", "annotations"];
    let mut rest: Map<String, Value> = object.as_object().cloned().unwrap_or_default();
    if let Some(meta) = rest.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.retain(|key, _| !told.contains(&key.as_str()));
    }
    fields(&Value::Object(rest), 0, page);
}

fn fields(object: &Value, level: usize, page: &mut Page) {
    for (key, value) in entries(object) {
        let title = title(key);
        match value {
            Value::Object(_) => {
                page.line(level, format_args!("{title}:"));
                fields(value, level + 1, page);
            }
            Value::Array(items) => {
                page.line(level, format_args!("{title}:"));
                for item in items {
                    match item {
                        Value::Object(_) => fields(item, level + 1, page),
                        item => page.line(level + 1, shown(item)),
                    }
                }
            }
            value => page.field(level, &title, shown(value)),
        }
    }
}

/// `creationTimestamp` as `Creation Timestamp`; names that are no words stay.
fn title(key: &str) -> String {
    if !key.chars().all(|c| c.is_alphabetic() || c == '-') {
        return key.to_owned();
    }
    let words = words(key).into_iter().map(|word| {
        let capitals = word.to_uppercase();
        if ACRONYMS.contains(&capitals.as_str()) {
            return capitals;
        }
        let mut letters = word.chars();
        let first = letters.next().into_iter().flat_map(char::to_uppercase);
        first.chain(letters).collect()
    });
    words.collect::<Vec<String>>().join(" ")
}

/// `podCIDRs` as `pod`, `CID`, `Rs`: kubectl has the last capital begin a word.
fn words(key: &str) -> Vec<String> {
    let class = |c: char| (c.is_lowercase(), c.is_uppercase());
    let mut words: Vec<String> = Vec::new();
    for c in key.chars() {
        let last = words.last_mut();
        match last {
            Some(word)
                if word
                    .chars()
                    .next_back()
                    .is_some_and(|it| class(it) == class(c)) =>
            {
                word.push(c);
            }
            _ => words.push(c.to_string()),
        }
    }
    for at in 1..words.len() {
        let is_lower = words[at].starts_with(char::is_lowercase);
        if is_lower && words[at - 1].starts_with(char::is_uppercase) {
            let capital = words[at - 1].pop();
            words[at].insert_str(0, &capital.map(String::from).unwrap_or_default());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_become_titles() {
        for (key, wanted) in [
            ("creationTimestamp", "Creation Timestamp"),
            ("apiVersion", "API Version"),
            ("uid", "UID"),
            ("podCIDRs", "Pod CID Rs"),
            ("HTTPGet", "HTTP Get"),
            ("x-y", "X - Y"),
            ("a.b/c", "a.b/c"),
            ("k8s", "k8s"),
        ] {
            assert_eq!(title(key), wanted, "{key}");
        }
    }

    #[test]
    fn fields_become_lines() {
        let object = json!({
            "kind": "Thing", "apiVersion": "x/v1",
            "metadata": { "name": "a", "labels": { "b": "2", "a": "1" }, "creationTimestamp": "T" },
            "spec": { "maxCount": 3, "list": [{ "port": 80 }, "x"], "none": [] },
        });
        let mut page = Page::default();
        tell(&object, &mut page);
        let expected = "\
Name:         a
Namespace:    
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
  None:
";
        assert_eq!(page.finish(), expected);
    }
}

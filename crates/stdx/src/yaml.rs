//! JSON as YAML, the way kubectl writes it: sorted keys, lists at their key's column, lines folded
//! at 80.
//!
//! Owns: which texts need quotes so that they are read as texts again. Pure.

mod scalar;

use std::cmp::Ordering;

use serde_json::Value;

/// Longest key that stands before its value, in bytes, as go-yaml's.
const KEY_MAX: usize = 128;

/// A document with its last newline.
pub fn document(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => block(value, 0, &mut out),
        Value::Array(list) if !list.is_empty() => block(value, 0, &mut out),
        _ => {
            scalar::write(value, 0, 0, &mut out);
            out.push('\n');
        }
    }
    out
}

fn indent(by: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', by));
}

/// A map or a list that is not empty, each entry on a line; the first one's indent is written.
fn block(value: &Value, by: usize, out: &mut String) {
    let mut first = true;
    let mut start = |out: &mut String| {
        if !std::mem::take(&mut first) || by == 0 {
            indent(by, out);
        }
    };
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_by(|left, right| natural(left, right));
            for key in keys {
                start(out);
                if key.len() > KEY_MAX {
                    long_key(key, &map[key], by, out);
                    continue;
                }
                scalar::key(key, out);
                out.push(':');
                after_key(&map[key], by, out);
            }
        }
        Value::Array(list) => {
            for item in list {
                start(out);
                out.push('-');
                match item {
                    Value::Object(map) if !map.is_empty() => {
                        out.push(' ');
                        block(item, by + 2, out);
                    }
                    Value::Array(list) if !list.is_empty() => {
                        out.push(' ');
                        block(item, by + 2, out);
                    }
                    item => leaf(item, by, by + 2, out),
                }
            }
        }
        _ => {}
    }
}

/// A key on a line of its own: readers do not look further for the colon of another.
fn long_key(key: &str, value: &Value, by: usize, out: &mut String) {
    out.push_str("? ");
    scalar::key(key, out);
    out.push('\n');
    indent(by, out);
    out.push(':');
    let is_empty = match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => true,
    };
    if is_empty {
        leaf(value, by, by + 2, out);
    } else {
        out.push(' ');
        block(value, by + 2, out);
    }
}

fn after_key(value: &Value, by: usize, out: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            indent(by + 2, out);
            block(value, by + 2, out);
        }
        Value::Array(list) if !list.is_empty() => {
            out.push('\n');
            indent(by, out);
            block(value, by, out);
        }
        value => leaf(value, by, by + 2, out),
    }
}

/// A scalar after a key or a hyphen.
fn leaf(value: &Value, by: usize, deeper: usize, out: &mut String) {
    out.push(' ');
    let line = out.rfind('\n').map_or(0, |at| at + 1);
    let column = out[line..].chars().count();
    let _ = by;
    scalar::write(value, column, deeper, out);
    out.push('\n');
}

/// Keys in the order of go-yaml: letters after other characters, numbers by their value.
fn natural(left: &str, right: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut digits = false;
    for at in 0..a.len().min(b.len()) {
        if a[at] == b[at] {
            digits = a[at].is_numeric();
            continue;
        }
        let (x, y) = (a[at].is_alphabetic(), b[at].is_alphabetic());
        if x && y {
            return a[at].cmp(&b[at]);
        }
        if x || y {
            // Within a number, a letter ends it and comes first.
            let letter_first = digits;
            return match (x, letter_first) {
                (true, true) | (false, false) => Ordering::Less,
                _ => Ordering::Greater,
            };
        }
        let zero_before = |text: &[char]| {
            (a[at] == '0' || b[at] == '0')
                && text[..at]
                    .iter()
                    .rev()
                    .take_while(|c| c.is_numeric())
                    .any(|c| *c != '0')
        };
        let is_within = zero_before(&a);
        let number = |text: &[char], from: usize| {
            let mut end = from;
            let mut number: u64 = u64::from(is_within);
            while end < text.len() && text[end].is_ascii_digit() {
                number = number
                    .wrapping_mul(10)
                    .wrapping_add(u64::from(text[end] as u32 - 48));
                end += 1;
            }
            (number, end)
        };
        let ((an, ai), (bn, bi)) = (number(&a, at), number(&b, at));
        if an != bn {
            return an.cmp(&bn);
        }
        if ai != bi {
            return ai.cmp(&bi);
        }
        return a[at].cmp(&b[at]);
    }
    a.len().cmp(&b.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_look_as_kubectls() {
        let value = json!({
            "b": [{ "x": 1, "y": [] }, [1, [2]], "s", {}],
            "a": { "k": "v", "empty": {}, "none": null, "list": ["q"] },
            "text": "one\ntwo\n", "chomp": "one\ntwo", "keep": "one\n\n", "lead": "  a\nb",
            "a10": 1, "a9": 2,
        });
        let expected = "\
a:
  empty: {}
  k: v
  list:
  - q
  none: null
a9: 2
a10: 1
b:
- x: 1
  \"y\": []
- - 1
  - - 2
- s
- {}
chomp: |-
  one
  two
keep: |+
  one

lead: |2-
    a
  b
text: |
  one
  two
";
        assert_eq!(document(&value), expected);
        assert_eq!(document(&json!({})), "{}\n");
    }

    const ODD: &[&str] = &[
        "",
        " ",
        "a",
        "yes",
        "No",
        "yeS",
        "oFF",
        ".iNF",
        "1",
        "1.5",
        "0x1f",
        "1e3",
        ".5",
        "~",
        "null",
        "2024-01-01",
        "2024-01-01T00:00:00Z",
        "1:30",
        "a: b",
        "a #b",
        "#a",
        "- a",
        "-",
        "--- a",
        "[a",
        "{a",
        "a]",
        "'a",
        "\"a\"",
        "a'b",
        "%a",
        "@a",
        "`a",
        "&a",
        "*a",
        "!a",
        "|",
        ">",
        "?",
        "? a",
        ":",
        "a:",
        ":a",
        "a\tb",
        "a\u{7}b",
        "a\u{85}b",
        "é ü",
        "\u{1F600}",
        " lead",
        "trail ",
        "a\nb",
        "\na",
        "a\n",
        "a\n\nb",
        "  a\nb",
        "a \nb",
        "a\nb ",
        "true",
        "=",
        "<<",
        "0o7",
        "a\r\nb",
        "1_000",
        "0b1",
        "+1",
        "-1",
        ".inf",
        "a, b",
        ",a",
        "\\",
        "\"",
        "\u{feff}a",
        "a: |\n",
        "\t",
        "a\n\t",
        "-a",
        "a-",
        "??",
        "a?b",
        "...",
        "---",
    ];

    #[test]
    fn what_is_written_is_read_again() {
        for text in ODD.iter().copied() {
            for value in [
                json!({ "k": text }),
                json!([text]),
                json!({ text: "v" }),
                json!(text),
            ] {
                let written = document(&value);
                let read: Value = serde_saphyr::from_str(&written)
                    .unwrap_or_else(|error| panic!("{text:?}: {written}: {error}"));
                assert_eq!(read, value, "{written}");
            }
        }
        // A key a reader would not find the colon of.
        let key = "k: ".repeat(400);
        for value in [
            json!("v"),
            json!({ "a": [1, { "b": {} }] }),
            json!([["c"], {}]),
        ] {
            let whole = json!({ "a": 1, key.as_str(): value, "z": [{ key.as_str(): value }] });
            let written = document(&whole);
            assert!(written.contains("\n? "), "{written}");
            let read: Value = serde_saphyr::from_str(&written)
                .unwrap_or_else(|error| panic!("{written}: {error}"));
            assert_eq!(read, whole, "{written}");
        }
        let long = "word ".repeat(60);
        for text in [
            long.trim(),
            &format!("'{long}"),
            &format!("{long}\u{7}x"),
            &format!("a: {long}x"),
        ] {
            let written = document(&json!({ "key": text }));
            assert!(written.lines().count() > 2, "{written}");
            let read: Value = serde_saphyr::from_str(&written).unwrap_or_default();
            assert_eq!(read["key"], text, "{written}");
        }
    }
}

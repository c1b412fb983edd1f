//! Readers of foreign text, for the fuzz targets.

use weft_stdx::jsonpath::Template;
use weft_stdx::yaml;

/// Reads a JSONPath template and uses it on an object.
pub fn jsonpath(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let object = serde_json::json!({
        "a": { "b": [1, 2, { "c": "d" }], "e.f": null },
        "items": [{ "n": 1 }, { "n": 2.5 }],
    });
    for read in [Template::parse(&text), Template::relaxed(&text)]
        .into_iter()
        .flatten()
    {
        let _ = read.render(&object);
        let _ = read.find(&object);
    }
}

/// Well-formed templates.
pub fn jsonpath_seeds() -> Vec<Vec<u8>> {
    [
        "{range .items[*]}{.n}{\"\\n\"}{end}",
        "{.a.b[-1].c}{.a['e\\.f','b']}",
        "{..n} {.items[?(@.n>=2)].n} {.a.b[0:2:1]} {$.a}",
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .to_vec()
}

/// Writes a text as YAML: what is read again is the same.
pub fn yaml_text(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let value = serde_json::json!({ "k": [text], "l": { text.as_ref(): text } });
    let written = yaml::document(&value);
    let read: Result<serde_json::Value, _> = serde_saphyr::from_str(&written);
    assert_eq!(read.ok(), Some(value), "{written}");
}

/// Texts that need care.
pub fn yaml_seeds() -> Vec<Vec<u8>> {
    [
        "a: b",
        "- c\n  d\n",
        "'e\" #f",
        "2024-01-01 1:30 yes",
        "\t\u{85}",
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .to_vec()
}

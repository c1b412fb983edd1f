//! Values of objects as words.
//!
//! Owns how kubectl writes times, amounts, selectors and what is not there.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;
use weft_stdx::age::age;
use weft_stdx::quantity::Quantity;

/// Form of points in time (RFC 1123).
const WHEN: &str = "%a, %d %b %Y %H:%M:%S %z";

/// A value as Go prints it, nothing if it is not there.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        other => shown(other),
    }
}

/// A value as Go prints it: `map[a:1 b:[x y]]`.
pub(super) fn shown(value: &Value) -> String {
    crate::objects::columns::shown(value)
}

/// The value, or what is said where there is none.
pub(super) fn or(value: &Value, otherwise: &str) -> String {
    match value {
        Value::Null => otherwise.to_owned(),
        other => shown(other),
    }
}

/// The text, or what is said where it is empty.
pub(super) fn unless_empty(text: String, otherwise: &str) -> String {
    match text.is_empty() {
        true => otherwise.to_owned(),
        false => text,
    }
}

/// A number; 0, if there is none.
pub(super) fn int(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

/// Whether it is true.
pub(super) fn is(value: &Value) -> bool {
    value.as_bool().unwrap_or(false)
}

/// `True`
pub(super) fn capital(truth: bool) -> &'static str {
    if truth { "True" } else { "False" }
}

/// Entries of a list; none, if it is none.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Texts of a list.
pub(super) fn texts(value: &Value) -> Vec<String> {
    list(value).iter().map(text).collect()
}

/// Fields by their names, in order.
pub(super) fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let mut all: Vec<_> = value.as_object().into_iter().flatten().collect();
    all.sort_by_key(|(key, _)| *key);
    all.into_iter()
}

/// A point in time, where the reader lives.
pub(super) fn when(value: &Value) -> String {
    let time = value
        .as_str()
        .and_then(|text| text.parse::<Timestamp>().ok());
    match time {
        Some(time) => time.to_zoned(TimeZone::system()).strftime(WHEN).to_string(),
        None => "Mon, 01 Jan 0001 00:00:00 +0000".to_owned(),
    }
}

/// How long ago it was.
pub(super) fn ago(value: &Value) -> String {
    weft_stdx::age::since(value.as_str().unwrap_or_default()).unwrap_or("<unknown>".to_owned())
}

/// How long it took.
pub(super) fn took(from: &Value, to: &Value) -> String {
    let time = |value: &Value| value.as_str()?.parse::<Timestamp>().ok();
    let span = time(from).zip(time(to));
    span.map_or("<unknown>".to_owned(), |(from, to)| {
        age(to.duration_since(from).as_secs())
    })
}

/// An amount of a resource.
pub(super) fn quantity(value: &Value) -> Quantity {
    Quantity::of(value).unwrap_or(Quantity::ZERO)
}

/// `a=b,c=d`
pub(super) fn pairs(labels: &Value) -> String {
    let all: Vec<String> = entries(labels)
        .map(|(key, value)| format!("{key}={}", text(value)))
        .collect();
    unless_empty(all.join(","), "<none>")
}

/// `a=b,c in (d,e)`; nothing, if it selects all or none.
pub(super) fn selector(selector: &Value) -> String {
    let labels = entries(&selector["matchLabels"]);
    let mut all: Vec<(String, String)> = labels
        .map(|(key, value)| (key.clone(), format!("{key}={}", text(value))))
        .collect();
    for one in list(&selector["matchExpressions"]) {
        let key = text(&one["key"]);
        let mut values = texts(&one["values"]);
        values.sort();
        let values = values.join(",");
        let said = match one["operator"].as_str() {
            Some("In") => format!("{key} in ({values})"),
            Some("NotIn") => format!("{key} notin ({values})"),
            Some("DoesNotExist") => format!("!{key}"),
            _ => key.clone(),
        };
        all.push((key, said));
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    let all: Vec<String> = all.into_iter().map(|(_, said)| said).collect();
    all.join(",")
}

/// The object that manages this one: `ReplicaSet/web`
pub(super) fn controller(object: &Value) -> Option<String> {
    let owner = owner(object)?;
    Some(format!("{}/{}", text(&owner["kind"]), text(&owner["name"])))
}

/// The reference to the object that manages this one.
pub(super) fn owner(object: &Value) -> Option<&Value> {
    let owners = list(&object["metadata"]["ownerReferences"]);
    owners.iter().find(|owner| is(&owner["controller"]))
}

/// An address with its port: `[::1]:80`
pub(super) fn host_port(host: &str, port: &str) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

/// What a field names in its own words: `In` as `in`.
pub(super) fn lower(value: &Value) -> String {
    text(value).to_lowercase()
}

/// References to owners of a kind.
pub(super) fn owner_of_kind<'a>(
    object: &'a Value,
    kind: &'a str,
) -> impl Iterator<Item = &'a Value> {
    let owners = list(&object["metadata"]["ownerReferences"]).iter();
    owners.filter(move |owner| owner["kind"] == kind)
}

/// A point in time as Go's own form has it, with the zone's name.
pub(super) fn stamp(value: &Value) -> String {
    let time = value
        .as_str()
        .and_then(|text| text.parse::<Timestamp>().ok());
    let Some(time) = time else {
        return "0001-01-01 00:00:00 +0000 UTC".to_owned();
    };
    let time = time.to_zoned(TimeZone::system());
    time.strftime("%Y-%m-%d %H:%M:%S %z %Z").to_string()
}

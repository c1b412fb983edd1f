//! Device: a machine that has a certificate of its own, by the hash of its key.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use super::GROUP;
use crate::failure::Cause;
use crate::kind::{Column, Document, Generation, Kind};
use crate::kinds::rules::fill::{below, set_text, text as text_of};
use crate::kinds::rules::{Mistakes, Spot};
use crate::kinds::{schema_of, text};
use crate::names;
use crate::object::Object;

const PREFIX: &str = "device-";
const SUBJECT: &str = "device:";
const HASH_MAX: usize = 57;
const DESCRIPTION_MAX: usize = 1024;

pub(in crate::kinds) fn kind() -> Kind {
    Kind {
        document: Document::Of(schema),
        default,
        validate,
        columns: columns(),
        has_status: true,
        generation: Generation::Content,
        ..Kind::of(GROUP, "v1", "Device", "devices", "device")
    }
}

fn schema() -> Value {
    let time =
        |about: &str| json!({ "type": "string", "format": "date-time", "description": about });
    let words = |about: &str| json!({ "type": "string", "description": about });
    schema_of::<ObjectMeta>(
        "Device",
        "A machine that has a certificate of its own.",
        json!({
            "spec": {
                "type": "object",
                "description": "Which machine it is.",
                "required": ["hash"],
                "properties": {
                    "hash": words("Hash of its key; it cannot be changed."),
                    "certificateSubject": words("Common name of its certificate: device:HASH."),
                    "description": words("What it is, for people."),
                },
            },
            "status": {
                "type": "object",
                "description": "What is known of it.",
                "properties": {
                    "certificateIssuedAt": time("When its certificate was issued."),
                    "certificateExpiresAt": time("When its certificate ends."),
                    "lastSeen": time("When it was here last."),
                },
            },
        }),
        &["spec"],
    )
}

/// A device is named by its hash.
fn default(object: &mut Object) {
    let Some(spec) = below(&mut object.0, "spec") else {
        return;
    };
    let hash = text_of(spec, "hash").to_owned();
    if hash.is_empty() {
        return;
    }
    set_text(spec, "certificateSubject", &format!("{SUBJECT}{hash}"));
    if object.meta().name().is_empty() {
        object.set_meta("name", Some(format!("{PREFIX}{hash}").into()));
    }
}

fn validate(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let spec = Spot::of(object, "spec");
    let mut mistakes = Mistakes::default();
    let (hash, subject) = (spec.at("hash"), spec.at("certificateSubject"));
    mistakes.must_be_name(&hash, shaped);
    if hash.is_empty() {
        return mistakes.into_causes();
    }
    let meta = Spot::of(object, "metadata");
    let name = meta.at("name");
    if name.text().strip_prefix(PREFIX) != Some(hash.text()) {
        let why = format!("must be {PREFIX}{}: its hash", hash.text());
        mistakes.invalid(&name, &why);
    }
    if subject.text().strip_prefix(SUBJECT) != Some(hash.text()) {
        mistakes.invalid(&subject, &format!("must be {SUBJECT}{}", hash.text()));
    }
    mistakes.no_longer(&spec.at("description"), DESCRIPTION_MAX);
    if let Some(old) = old {
        mistakes.same(&hash, &Spot::of(old, "spec").at("hash"));
    }
    mistakes.into_causes()
}

/// With `device:` before it, it is a common name: 64 characters, says X.520, and openssl makes no
/// longer ones.
fn shaped(hash: &str) -> Result<(), &'static str> {
    match hash.len() > HASH_MAX {
        true => Err("must be no more than 57 bytes: it is part of a certificate's common name"),
        false => names::dns_label(hash),
    }
}

fn columns() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Description", "What it is.", |device| {
            text(device, &["spec", "description"])
        }),
        Column::text("Last Seen", "When it was here last.", |device| {
            text(device, &["status", "lastSeen"])
        })
        .date(),
        Column::age(),
        Column::text("Expires", "When its certificate ends.", |device| {
            text(device, &["status", "certificateExpiresAt"])
        })
        .wide(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::testing::{defaulted, refuses, refuses_change, shows};

    #[test]
    fn it_is_its_hash() {
        let base = json!({ "spec": { "hash": "ab12", "description": "door" } });
        let found = defaulted(&kind(), base.clone());
        assert_eq!(
            found,
            json!({
                "metadata": { "name": "device-ab12" },
                "spec": { "hash": "ab12", "certificateSubject": "device:ab12", "description": "door" },
            })
        );
        refuses(
            &kind(),
            &base,
            &[
                (json!({ "spec": null }), &["spec: Required value"]),
                (
                    json!({ "spec": { "hash": "" } }),
                    &["spec.hash: Required value"],
                ),
                (
                    json!({ "spec": { "hash": "A/B" } }),
                    &["spec.hash: Invalid value: \"A/B\""],
                ),
                (
                    json!({ "metadata": { "name": "x" } }),
                    &["metadata.name: Invalid value: \"x\": must be device-ab12"],
                ),
                (
                    json!({ "spec": { "certificateSubject": "root" } }),
                    &["spec.certificateSubject: Invalid value: \"root\": must be device:ab12"],
                ),
                (
                    json!({ "spec": { "description": "x".repeat(1025) } }),
                    &["spec.description: Invalid"],
                ),
                (
                    json!({ "status": { "lastSeen": "now" } }),
                    &["status.lastSeen: Invalid value"],
                ),
            ],
        );
        let long = json!({ "spec": { "hash": "a".repeat(57) } });
        let longer = json!({ "spec": { "hash": "a".repeat(58) } });
        refuses(&kind(), &long, &[(longer, &["spec.hash: Invalid value"])]);
        refuses_change(
            &kind(),
            &base,
            &[
                (json!({ "spec": { "description": "gate" } }), &[]),
                (
                    json!({ "spec": { "hash": "cd", "certificateSubject": null }, "metadata": { "name": null } }),
                    &["spec.hash: Invalid value: \"cd\": field is immutable"],
                ),
            ],
        );
        shows(
            &kind(),
            found,
            &[
                ("NAME", "device-ab12"),
                ("DESCRIPTION", "door"),
                ("LAST SEEN", ""),
                ("EXPIRES", ""),
            ],
        );
    }
}

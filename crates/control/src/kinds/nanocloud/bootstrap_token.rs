//! BootstrapToken: what buys a certificate, a few times and for a while.
//!
//! Owns: what is told of one: whom it is for, until when, how often it was used.
//! Never: holds its secret half, nor the hash of that: [`record`] does, which is not served.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use super::GROUP;
use crate::failure::Cause;
use crate::kind::{Column, Document, Kind};
use crate::kinds::pod_spec::number;
use crate::kinds::rules::{Mistakes, Spot};
use crate::kinds::{is_new, schema_of, text};
use crate::object::Object;

const DESCRIPTION_MAX: usize = 1024;

pub(in crate::kinds) fn kind() -> Kind {
    Kind {
        is_namespaced: false,
        is_carried_out: true,
        is_fixed: true,
        document: Document::Of(schema),
        validate,
        columns: columns(),
        ..Kind::of(
            GROUP,
            "v1",
            "BootstrapToken",
            "bootstraptokens",
            "bootstraptoken",
        )
    }
}

/// Where the hash of a token's secret is kept, under the token's name. It is no kind of the API.
pub fn record() -> Kind {
    Kind {
        is_namespaced: false,
        is_carried_out: true,
        is_fixed: true,
        columns: Vec::new(),
        ..Kind::of(
            GROUP,
            "v1",
            "BootstrapTokenRecord",
            "bootstraptokenrecords",
            "bootstraptokenrecord",
        )
    }
}

fn schema() -> Value {
    let words = |about: &str| json!({ "type": "string", "description": about });
    let number =
        |about: &str| json!({ "type": "integer", "format": "int64", "description": about });
    schema_of::<ObjectMeta>(
        "BootstrapToken",
        "What buys a certificate, a few times and for a while. Its name is the first half of the token.",
        json!({
            "spec": {
                "type": "object",
                "description": "What it is for; it cannot be changed.",
                "properties": {
                    "description": words("What it is for, for people."),
                    "user": words("Whose certificate it buys; bootstrap:NAME unless it is said."),
                    "groups": {
                        "type": "array",
                        "description": "The user's groups; none unless they are said.",
                        "items": { "type": "string" },
                    },
                    "ttlSeconds": number("How long it is good for; an hour unless it is said."),
                    "uses": number("How often it can be used; once unless it is said."),
                },
            },
            "status": {
                "type": "object",
                "description": "What is known of it.",
                "properties": {
                    "expiresAt": {
                        "type": "string",
                        "format": "date-time",
                        "description": "When it ends.",
                    },
                    "used": number("How often it was used."),
                    "token": words("The token; only in the answer to whoever made it."),
                },
            },
        }),
        &["spec"],
    )
}

fn validate(object: &Object, _: Option<&Object>) -> Vec<Cause> {
    let mut mistakes = Mistakes::default();
    let spec = Spot::of(object, "spec");
    mistakes.no_longer(&spec.at("description"), DESCRIPTION_MAX);
    // It cannot be changed: what holds it would hold it for ever.
    if is_new(object) && object.meta().finalizers().next().is_some() {
        let why = "a token ends when it is revoked";
        let meta = Spot::of(object, "metadata");
        mistakes.forbidden(&meta.at("finalizers"), why);
    }
    mistakes.into_causes()
}

fn columns() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("User", "Whose certificate it buys.", |token| {
            text(token, &["spec", "user"])
        }),
        Column::text("Groups", "The user's groups.", |token| {
            let groups = token.at(&["spec", "groups"]).and_then(Value::as_array);
            let groups = groups.into_iter().flatten().filter_map(Value::as_str);
            crate::kinds::or_none(groups.collect::<Vec<_>>().join(",")).into()
        }),
        Column::text(
            "Used",
            "How often it was used, of how often it can be.",
            |token| {
                let used = number(token, &["status", "used"]);
                format!("{used}/{}", number(token, &["spec", "uses"])).into()
            },
        ),
        Column::text("Expires", "When it ends.", |token| {
            text(token, &["status", "expiresAt"])
        }),
        Column::age(),
        Column::text("Description", "What it is for.", |token| {
            text(token, &["spec", "description"])
        })
        .wide(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::testing::{refuses, shows};

    #[test]
    fn it_says_whom_it_is_for_and_how_often() {
        let base = json!({
            "metadata": { "name": "abcdef" },
            "spec": { "user": "ann", "groups": ["dev", "ops"], "uses": 2, "description": "door" },
            "status": { "used": 1, "expiresAt": "2030-01-01T00:00:00Z" },
        });
        refuses(
            &kind(),
            &base,
            &[
                (json!({ "spec": null }), &["spec: Required value"]),
                (
                    json!({ "spec": { "description": "x".repeat(1025) } }),
                    &["spec.description: Invalid"],
                ),
                (
                    json!({ "spec": { "uses": "1" } }),
                    &["spec.uses: Invalid value: string"],
                ),
                (
                    json!({ "metadata": { "finalizers": ["a/b"] } }),
                    &["metadata.finalizers: Forbidden"],
                ),
            ],
        );
        shows(
            &kind(),
            base,
            &[
                ("NAME", "abcdef"),
                ("USER", "ann"),
                ("GROUPS", "dev,ops"),
                ("USED", "1/2"),
                ("EXPIRES", "2030-01-01T00:00:00Z"),
                ("DESCRIPTION", "door"),
            ],
        );
    }
}

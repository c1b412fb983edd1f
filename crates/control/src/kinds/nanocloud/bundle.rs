//! Bundle: a service of the catalogue, with its options.

mod rules;
mod schema;

use serde_json::{Value, json};

use super::GROUP;
use crate::kind::{Column, Document, Generation, Kind};
use crate::kinds::rules::Spot;
use crate::kinds::rules::fill::{below, set, set_text, text as text_of};
use crate::kinds::text;
use crate::names;
use crate::object::Object;

pub(in crate::kinds) fn kind() -> Kind {
    Kind {
        document: Document::Of(schema::bundle),
        check_name: names::dns_label,
        default,
        validate: rules::validate,
        columns: columns(),
        has_status: true,
        generation: Generation::Content,
        ..Kind::of(GROUP, "v1", "Bundle", "bundles", "bundle")
    }
}

/// A bundle is named by its service, unless it says otherwise.
fn default(object: &mut Object) {
    let namespace = object.meta().namespace().to_owned();
    let Some(spec) = below(&mut object.0, "spec") else {
        return;
    };
    let service = text_of(spec, "service").to_owned();
    if !namespace.is_empty() {
        set_text(spec, "namespace", &namespace);
    }
    set(spec, "start", true);
    set(spec, "update", false);
    set(spec, "options", json!({}));
    set(spec, "security", json!({}));
    if let Some(security) = below(spec, "security") {
        set(security, "allowPrivileged", false);
        set(security, "extraCapabilities", json!([]));
        set(security, "seccompProfile", json!({ "type": "Baseline" }));
    }
    if let Some(snapshot) = below(spec, "snapshot") {
        set_text(snapshot, "mediaType", rules::TAR);
    }
    if object.meta().name().is_empty() && !service.is_empty() {
        object.set_meta("name", Some(service.into()));
    }
}

fn columns() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Service", "What it is of.", |bundle| {
            text(bundle, &["spec", "service"])
        }),
        Column::text("Phase", "How far it is.", |bundle| {
            text(bundle, &["status", "phase"])
        }),
        Column::text("Ready", "Whether it serves.", |bundle| {
            condition(bundle, "status")
        }),
        Column::age(),
        Column::text("Reason", "Why it is as it is.", |bundle| {
            condition(bundle, "reason")
        })
        .wide(),
    ]
}

/// A field of the condition that tells whether it is ready.
fn condition(bundle: &Object, field: &str) -> Value {
    let status = Spot::of(bundle, "status");
    let conditions = status.at("conditions");
    let ready = conditions
        .items()
        .find(|one| one.at("type").text() == "Ready");
    ready.map_or("", |ready| ready.at(field).text()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::testing::{defaulted, shows};

    #[test]
    fn what_is_left_out_is_filled_in() {
        let given = json!({
            "metadata": { "namespace": "home" },
            "spec": { "service": "mariadb", "snapshot": { "source": "file:///a.tar" } },
        });
        let wanted = json!({
            "metadata": { "namespace": "home", "name": "mariadb" },
            "spec": {
                "service": "mariadb",
                "namespace": "home",
                "options": {},
                "start": true,
                "update": false,
                "snapshot": { "source": "file:///a.tar", "mediaType": "application/x-tar" },
                "security": {
                    "allowPrivileged": false,
                    "extraCapabilities": [],
                    "seccompProfile": { "type": "Baseline" },
                },
            },
        });
        assert_eq!(defaulted(&kind(), given), wanted);
    }

    #[test]
    fn its_state_is_shown() {
        let bundle = json!({
            "metadata": { "name": "db" },
            "spec": { "service": "mariadb" },
            "status": {
                "phase": "FAILED",
                "conditions": [{ "type": "Ready", "status": "FALSE", "reason": "StartFailed" }],
            },
        });
        shows(
            &kind(),
            bundle,
            &[
                ("NAME", "db"),
                ("SERVICE", "mariadb"),
                ("PHASE", "FAILED"),
                ("READY", "FALSE"),
                ("REASON", "StartFailed"),
            ],
        );
    }
}

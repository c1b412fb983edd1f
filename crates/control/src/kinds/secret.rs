//! Secret: values that are sealed where they are stored.
//!
//! Owns: what each type of secret has to hold; that `stringData` becomes `data`, and is kept
//! nowhere.
//! Never: a value in a message.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Map, Value};

use super::data::{self, MOST_BYTES, check_key};
use super::rules::fill::set_text;
use super::rules::{Mistakes, Spot};
use super::{count, document, text};
use crate::failure::Cause;
use crate::kind::{Column, Kind};
use crate::object::Object;

const OPAQUE: &str = "Opaque";
const ACCOUNT: &str = "kubernetes.io/service-account-token";
/// Which account a token is of.
const ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";
/// Either is enough.
const BASIC_AUTH: &str = "kubernetes.io/basic-auth";
/// Types, and the keys they need.
const NEEDED: [(&str, &[&str]); 5] = [
    (DOCKER_CONFIG, &[".dockercfg"]),
    (DOCKER_CONFIG_JSON, &[".dockerconfigjson"]),
    ("kubernetes.io/tls", &["tls.crt", "tls.key"]),
    ("kubernetes.io/ssh-auth", &["ssh-privatekey"]),
    (
        "bootstrap.kubernetes.io/token",
        &["token-id", "token-secret"],
    ),
];
const DOCKER_CONFIG: &str = "kubernetes.io/dockercfg";
const DOCKER_CONFIG_JSON: &str = "kubernetes.io/dockerconfigjson";

/// As Go's: the last bits may be anything, padding has to be there.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

pub(super) fn kind() -> Kind {
    Kind {
        document: document::<Secret>(),
        default,
        validate,
        selectable: &[("type", &["type"])],
        columns: vec![
            Column::name(),
            Column::text("Type", "What it is for.", |secret| text(secret, &["type"])),
            Column::text("Data", "How many keys it has.", |secret| {
                count(secret, &["data"]).into()
            }),
            Column::age(),
        ],
        is_sealed: true,
        is_carried_out: true,
        ..Kind::core("Secret", "secrets", "secret")
    }
}

fn default(object: &mut Object) {
    set_text(&mut object.0, "type", OPAQUE);
    fold(object);
    let Some(Value::Object(data)) = object.0.get_mut("data") else {
        return;
    };
    for value in data.values_mut() {
        // Lines may be broken in it, as `base64` breaks them.
        if let Some(bytes) = value.as_str().and_then(decoded) {
            *value = BASE64.encode(bytes).into();
        }
    }
}

/// What was given as text becomes data; what is of no right type stays, to be refused.
fn fold(object: &mut Object) {
    let texts = match object.0.get("stringData") {
        Some(Value::Object(texts)) if texts.values().all(Value::is_string) => texts.clone(),
        Some(Value::Null) => Map::new(),
        _ => return,
    };
    let nothing = matches!(object.0.get("data"), None | Some(Value::Null));
    if nothing && !texts.is_empty() {
        object.0.insert("data".to_owned(), Map::new().into());
    }
    if let Some(Value::Object(data)) = object.0.get_mut("data") {
        for (key, value) in &texts {
            let value = value.as_str().unwrap_or_default();
            data.insert(key.clone(), BASE64.encode(value).into());
        }
    } else if !texts.is_empty() {
        return;
    }
    object.0.remove("stringData");
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    if text.contains(['\r', '\n']) {
        BASE64.decode(text.replace(['\r', '\n'], "")).ok()
    } else {
        BASE64.decode(text).ok()
    }
}

fn validate(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let mut mistakes = Mistakes::default();
    let data = Spot::of(object, "data");
    let mut size = 0;
    for (key, value) in data.entries() {
        if let Err(why) = check_key(key) {
            mistakes.invalid_as(&value, key, why);
        }
        match decoded(value.text()) {
            Some(bytes) => size += bytes.len(),
            None => mistakes.invalid_unseen(&value, "must be base64"),
        }
    }
    if size > MOST_BYTES {
        mistakes.too_long(&data, MOST_BYTES);
    }
    if mistakes.is_empty() {
        of_type(&mut mistakes, object, &data);
    }
    if let Some(old) = old {
        let kind = Spot::of(object, "type");
        mistakes.same(&kind, &Spot::of(old, "type"));
    }
    data::changed(&mut mistakes, object, old, &["data"]);
    mistakes.into_causes()
}

/// What a secret of its type has to hold.
fn of_type(mistakes: &mut Mistakes, object: &Object, data: &Spot<'_, '_>) {
    let kind = object.text(&["type"]).unwrap_or_default();
    match kind {
        ACCOUNT => {
            let meta = Spot::of(object, "metadata");
            mistakes.must_be(&meta.at("annotations").key(ACCOUNT_NAME), "");
        }
        BASIC_AUTH => {
            let either = ["username", "password"];
            if !either.iter().any(|key| data.key(key).is_some()) {
                for key in either {
                    mistakes.required(&data.key(key), "");
                }
            }
        }
        _ => {
            let needed = NEEDED.iter().find(|(name, _)| *name == kind);
            for key in needed.map_or(&[][..], |(_, keys)| keys) {
                // A certificate that is to come may be empty as yet; a key of ssh may not.
                let value = data.key(key);
                if value.is_empty() && !(value.is_some() && kind.ends_with("/tls")) {
                    mistakes.required(&value, "");
                } else if matches!(kind, DOCKER_CONFIG | DOCKER_CONFIG_JSON)
                    && !is_json_object(value.text())
                {
                    let shown = "<secret contents redacted>";
                    mistakes.invalid_as(&value, shown, "must be a JSON object");
                }
            }
        }
    }
}

fn is_json_object(value: &str) -> bool {
    let bytes = decoded(value).unwrap_or_default();
    serde_json::from_slice::<Map<String, Value>>(&bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::{defaulted, mistakes, object, refuses, refuses_change, shows};

    #[test]
    fn text_becomes_data_and_is_kept_nowhere_else() {
        let none = defaulted(&kind(), json!({}));
        assert_eq!(none, json!({ "type": "Opaque" }));
        let given = json!({
            "data": { "a": "b2xk", "b": "YmI=", "c": "Y2\r\nM=\n", "d": "YR==" },
            "stringData": { "a": "new", "z": "" },
        });
        let wanted = json!({
            "data": { "a": "bmV3", "b": "YmI=", "c": "Y2M=", "d": "YQ==", "z": "" },
            "type": "Opaque",
        });
        assert_eq!(defaulted(&kind(), given), wanted);
        let null = json!({ "data": null, "stringData": { "a": "b" } });
        assert_eq!(defaulted(&kind(), null)["data"], json!({ "a": "Yg==" }));
        // What cannot be folded is refused, not dropped.
        for wrong in [
            json!({ "stringData": { "a": 1 } }),
            json!({ "stringData": "a" }),
            json!({ "stringData": { "a": "b" }, "data": "c" }),
        ] {
            assert_ne!(mistakes(&kind(), wrong.clone(), None), [""; 0], "{wrong}");
        }
    }

    #[test]
    fn each_type_needs_its_keys() {
        let base = json!({ "metadata": { "name": "s" }, "data": { "a": "YQ==" } });
        let of = |kind: &str, data: Value| json!({ "type": kind, "data": data });
        let dockercfg = "data[.dockercfg]: Invalid value: \"<secret contents redacted>\": must";
        refuses(
            &kind(),
            &base,
            &[
                (json!({ "data": { "a b": "" } }), &["data[a b]: Invalid"]),
                (json!({ "data": { "..": "" } }), &["data[..]: Invalid"]),
                (
                    json!({ "data": { "a": "hunter2!" } }),
                    &["data[a]: Invalid value: \"\": must be base64"],
                ),
                (of("any/thing", json!({})), &[]),
                (of(ACCOUNT, json!({})), &["metadata.annotations[kubernetes"]),
                (
                    json!({ "type": ACCOUNT, "metadata": { "annotations": { ACCOUNT_NAME: "x" } } }),
                    &[],
                ),
                (
                    of(BASIC_AUTH, json!({})),
                    &["data[username]: Req", "data[password]: Req"],
                ),
                (of(BASIC_AUTH, json!({ "password": "" })), &[]),
                (
                    of("kubernetes.io/tls", json!({ "tls.crt": "" })),
                    &["data[tls.key]: Req"],
                ),
                (
                    of("kubernetes.io/ssh-auth", json!({ "ssh-privatekey": "" })),
                    &["data[ssh-privatekey]: Req"],
                ),
                (
                    of(
                        "bootstrap.kubernetes.io/token",
                        json!({ "token-id": "YQ==" }),
                    ),
                    &["data[token-secret]: Req"],
                ),
                (of(DOCKER_CONFIG, json!({})), &["data[.dockercfg]: Req"]),
                (
                    of(DOCKER_CONFIG, json!({ ".dockercfg": "YQ==" })),
                    &[dockercfg],
                ),
                (
                    of(DOCKER_CONFIG_JSON, json!({ ".dockerconfigjson": "e30=" })),
                    &[],
                ),
            ],
        );
    }

    #[test]
    fn it_has_a_largest_size() {
        let of = |bytes: usize| json!({ "metadata": { "name": "s" }, "data": { "a": BASE64.encode(vec![0; bytes]) } });
        assert_eq!(mistakes(&kind(), of(MOST_BYTES), None), [""; 0]);
        assert_eq!(
            mistakes(&kind(), of(MOST_BYTES + 1), None),
            ["data: Too long: may not be more than 1048576 bytes"]
        );
    }

    #[test]
    fn type_and_what_is_immutable_stay() {
        let meta = json!({ "name": "s" });
        let base = json!({ "metadata": meta, "data": { "a": "YQ==" } });
        refuses_change(
            &kind(),
            &base,
            &[
                (json!({ "data": { "a": "Yg==" } }), &[]),
                (
                    json!({ "type": "other" }),
                    &["type: Invalid value: \"other\": field is immutable"],
                ),
            ],
        );
        let fixed = json!({ "metadata": meta, "data": { "a": "YQ==" }, "immutable": true });
        let why = "Forbidden: field is immutable when `immutable` is set";
        refuses_change(
            &kind(),
            &fixed,
            &[
                (json!({ "metadata": { "labels": { "a": "b" } } }), &[]),
                (
                    json!({ "stringData": { "a": "b" } }),
                    &[&format!("data: {why}")],
                ),
                (
                    json!({ "immutable": null }),
                    &[&format!("immutable: {why}")],
                ),
            ],
        );
    }

    #[test]
    fn a_row_shows_no_value() {
        let secret = json!({ "metadata": { "name": "s" }, "type": "t", "data": { "a": "YQ==" } });
        assert_eq!(kind().field(&object(secret.clone()), "type"), "t");
        shows(
            &kind(),
            secret,
            &[("NAME", "s"), ("TYPE", "t"), ("DATA", "1")],
        );
    }
}

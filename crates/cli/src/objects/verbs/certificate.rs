//! `weft certificate`: certificates of a server and of those who ask it: looked at, asked for, renewed.
//!
//! Never: makes one out of nothing: root on the server's machine does that with `weft kubeconfig`.

mod check;
mod gather;
mod look;
mod renew;
mod request;

use serde_json::{Value, json};
use weft_client::Request;
use weft_client::cluster::kubeconfig::{Material, Trust};
use weft_client::cluster::{Access, ApiError};

use crate::error::CliError;
use crate::objects::connect::Api;
use crate::session::Session;
use crate::tree::{Entry, noun, verb};

/// The noun.
pub const NOUN: Entry = noun!(
    "certificate",
    &[LIST, SHOW, CHECK, REQUEST, RENEW],
    "Manage certificates of a server (root makes them: weft kubeconfig)"
);

const LIST: Entry = verb!(
    "list" | "ls",
    look::List,
    "List certificates: the server's, its authority's, the kubeconfig's"
);
const SHOW: Entry = verb!(
    "show",
    look::Show,
    "Show all that stands in certificates, hashes of authorities included"
);
const CHECK: Entry = verb!(
    "check",
    check::Check,
    "Find out what is wrong with them, if anything; the exit code is 1 then"
);
const REQUEST: Entry = verb!(
    "request",
    request::Ask,
    "Get a certificate for a token of `weft token create`; its key is made here"
);
const RENEW: Entry = verb!(
    "renew",
    renew::Renew,
    "Replace the own certificate by one that ends later, for the same name and groups"
);

/// Asks the server to sign a request: what is told of the certificate.
async fn signed(api: &Api, what: &str, csr: &str) -> Result<Value, CliError> {
    let object = json!({
        "apiVersion": "nanocloud.io/v1", "kind": "Certificate", "spec": { "csr": csr },
    });
    let request = Request::post(what, &["apis", "nanocloud.io", "v1", "certificates"])
        .query("fieldValidation", "Strict")
        .body("application/json", object.to_string());
    let answer = api
        .send(&request)
        .await
        .map_err(|error| refused(what, error))?;
    Ok(answer.json()?["status"].take())
}

/// The server's own words: they say what is wrong with a token.
fn refused(what: &str, error: ApiError) -> CliError {
    match error.refusal() {
        Some(refusal) if refusal.code == 401 => CliError::new(format!("{what}: {refusal}")),
        _ => error.into(),
    }
}

/// What certificates of the server's are checked with, in PEM; what it says itself where nothing
/// else is known.
fn roots(access: &Access, told: &Value) -> Result<String, CliError> {
    match &access.trust {
        Trust::Roots(material) => text(material),
        Trust::Anybody => Ok(told["caBundle"].as_str().unwrap_or_default().to_owned()),
    }
}

fn text(material: &Material) -> Result<String, CliError> {
    let bytes = material.bytes()?;
    let text = std::str::from_utf8(&bytes);
    let text = text.map_err(|_| CliError::new(format!("read {material:?}: it is no text")))?;
    Ok(text.to_owned())
}

/// What `--curl` cannot do for a verb whose key would be lost.
fn not_explained(session: &Session, verb: &str) -> Result<(), CliError> {
    if !session.is_explaining() {
        return Ok(());
    }
    let told =
        format!("weft certificate {verb} has no --curl: the key of what is printed would be lost");
    let hint = "docs/reference/nanocloud.md has the lines for openssl and curl";
    Err(CliError::usage(told).hint(hint))
}

//! `weft auth`: who somebody is, what they may do, and roles and bindings as they should be.

mod can_i;
mod reconcile;
mod whoami;

use serde_json::{Value, json};
use weft_client::Request;

use crate::error::CliError;
use crate::objects::connect::Api;
use crate::tree::{Entry, noun, verb};
use can_i::CanI;
use reconcile::Reconcile;
use whoami::WhoAmI;

/// The noun.
pub const NOUN: Entry = noun!(
    "auth",
    &[CAN_I, RECONCILE, WHO_AM_I],
    "Ask a server who you are and what you may do, and bring roles up to date"
);

const CAN_I: Entry = verb!(
    "can-i",
    CanI,
    "Ask whether something may be done: weft auth can-i VERB TYPE"
);
const RECONCILE: Entry = verb!(
    "reconcile",
    Reconcile,
    "Bring roles and bindings up to date with manifests: weft auth reconcile -f FILE"
);
const WHO_AM_I: Entry = verb!("whoami", WhoAmI, "Ask who the server takes you for");

/// Texts of a list, as kubectl shows them.
fn list(value: &Value) -> String {
    let texts = value.as_array().into_iter().flatten();
    let texts: Vec<&str> = texts.filter_map(Value::as_str).collect();
    format!("[{}]", texts.join(" "))
}

async fn review(api: &Api, group: &str, kind: &str, spec: Value) -> Result<Value, CliError> {
    let mut body = json!({ "apiVersion": format!("{group}/v1"), "kind": kind });
    if !spec.is_null() {
        body["spec"] = spec;
    }
    let plural = kind.to_lowercase() + "s";
    let request = Request::post("ask", &["apis", group, "v1", &plural]).json(&body);
    Ok(api.send(&request).await?.json()?)
}

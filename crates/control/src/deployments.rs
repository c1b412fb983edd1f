//! Deployments by one POST, as Knit has them: a small JSON object, lowered to ordinary objects.
//!
//! Owns: what the JSON may say, which objects it means, that those of somebody else are left alone, and
//! the record that is answered. Never: HTTP, or who may.
//!
//! ```text
//!   JSON ─► Wanted: every mistake by its path ─► objects ─► Plan: what is made, what goes ─► store
//!                                                            └ the caller asks whether it may
//! ```

mod answer;
mod lower;
mod plan;
mod read;

pub use answer::{all, record};
pub use plan::{Done, Plan, Step, Verb, removal};
pub use read::Wanted;

/// Whose objects they are: the deployment's name.
pub const LABEL: &str = "nanocloud.io/deployment";
/// What made them: `api`, or `file` for `weft deploy`.
pub const ORIGIN: &str = "nanocloud.io/deployed-by";
/// What that is here.
const API: &str = "api";
/// The network that pods are said to be on.
const NETWORK: &str = "nanocloud.io/network";
/// Marks a config map whose values are rendered for each pod that mounts it.
const TEMPLATE: &str = "nanocloud.io/template";
/// Where each file of a template goes, so that the record can tell.
const DESTINATION: &str = "nanocloud.io/destination-";
/// Who owns the fields.
const MANAGER: &str = "weft-deployments";

/// The kinds of what is made, in the order it is made in; the main one is the last.
pub const KINDS: [(&str, &str); 4] = [("", "secrets"), ("", "configmaps"), ("", "services"), MAIN];
/// The kind of the object that owns the others.
pub const MAIN: (&str, &str) = ("apps", "deployments");

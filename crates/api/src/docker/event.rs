//! Events: what happened to what, and when.
//!
//! Filters on them are the server's business.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One line of `GET /events`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Same as `action`, for clients before 1.22; containers and images only.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// Same as `actor.id`, for clients before 1.22.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Image name, for clients before 1.22.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub from: String,
    /// `container`, `image`, `network`, `volume`, `daemon`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// `create`, `start`, `die`, …
    #[serde(rename = "Action")]
    pub action: String,
    /// What it happened to.
    #[serde(rename = "Actor")]
    pub actor: EventActor,
    /// Always `local`.
    #[serde(default)]
    pub scope: String,
    /// Unix seconds.
    pub time: i64,
    /// Unix nanoseconds.
    #[serde(rename = "timeNano")]
    pub time_nano: i64,
}

/// What an event happened to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventActor {
    /// Id, or name where the thing has no id.
    #[serde(rename = "ID")]
    pub id: String,
    /// Labels and what the action adds (`exitCode`, `name`, `image`, `signal`).
    #[serde(rename = "Attributes", default)]
    pub attributes: BTreeMap<String, String>,
}

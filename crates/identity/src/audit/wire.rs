//! A line of the audit log.

use std::net::IpAddr;

use serde::Serialize;

/// Version of the lines.
pub(super) const VERSION: u32 = 1;

/// One request, or what became of the log itself.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line<'a> {
    pub(super) version: u32,
    /// RFC 3339, UTC.
    pub(super) time: &'a str,
    #[serde(flatten)]
    pub(super) what: What<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum What<'a> {
    Request(Request<'a>),
    #[serde(rename_all = "camelCase")]
    Dropped {
        /// How many requests are missing before this line.
        dropped: u64,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request<'a> {
    pub(super) user: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) groups: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<IpAddr>,
    pub(super) verb: &'a str,
    pub(super) object: &'a str,
    pub(super) outcome: &'static str,
    pub(super) code: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) reason: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) agent: &'a str,
}

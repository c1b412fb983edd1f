//! Asking as somebody else: flags, a kubeconfig's `as`, and the headers that say so.
//!
//! Never: decides whether one may; that is the server's.

use serde_json::Value;

use super::error::ApiError;
use super::kubeconfig::{Entry, unusable};

/// As whom requests are to be decided; as oneself, if nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Acting {
    /// `--as`
    pub user: Option<String>,
    /// `--as-group`
    pub groups: Vec<String>,
    /// `--as-uid`
    pub uid: Option<String>,
    /// `--as-user-extra`: what else is known of them, by key.
    pub extra: Vec<(String, String)>,
}

fn texts(value: &Value) -> impl Iterator<Item = String> {
    let all = value.as_array().into_iter().flatten();
    all.map(|one| match one {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}

impl Acting {
    /// What flags say, else a user of a kubeconfig.
    pub(super) fn of(entry: Option<&Entry<'_>>, flags: &Acting) -> Result<Acting, ApiError> {
        let mut acting = flags.clone();
        if let Some(entry) = entry {
            acting.user = acting.user.or_else(|| entry.text("as"));
            acting.uid = acting.uid.or_else(|| entry.text("as-uid"));
            if acting.groups.is_empty() {
                acting.groups = texts(&entry.value["as-groups"]).collect();
            }
            // Flags win as a whole, as with groups.
            let extra = match acting.extra.is_empty() {
                true => entry.value["as-user-extra"].as_object(),
                false => None,
            };
            for (key, values) in extra.into_iter().flatten() {
                let values = texts(values).map(|value| (key.clone(), value));
                acting.extra.extend(values);
            }
        }
        match acting.user.is_none() && acting != Acting::default() {
            true => Err(unusable(
                "act as somebody else",
                &"groups, a uid or more are named, and no user: --as",
            )),
            false => Ok(acting),
        }
    }

    /// Names and values, as they are sent.
    pub fn headers(&self) -> Vec<(String, String)> {
        let user = self.user.iter().map(|user| ("user".to_owned(), user));
        let groups = self.groups.iter().map(|group| ("group".to_owned(), group));
        let uid = self.uid.iter().map(|uid| ("uid".to_owned(), uid));
        let extra = self.extra.iter();
        let extra = extra.map(|(key, value)| (format!("extra-{}", escaped(key)), value));
        let all = user.chain(groups).chain(uid).chain(extra);
        all.map(|(name, value)| (format!("impersonate-{name}"), value.clone()))
            .collect()
    }
}

/// A key without what a header's name may not have (RFC 9110, 5.6.2), and without the escape itself.
fn escaped(key: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&'*+-.^_`|~".contains(&byte);
    key.bytes()
        .map(|byte| match is_plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

//! What stands in a token: RFC 7519's claims, and Kubernetes' for accounts.

use serde::{Deserialize, Serialize};

/// The payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    pub(super) sub: String,
    pub(super) aud: Vec<String>,
    pub(super) exp: i64,
    pub(super) nbf: i64,
    pub(super) iat: i64,
    pub(super) jti: String,
    /// Of an account.
    #[serde(rename = "kubernetes.io", skip_serializing_if = "Option::is_none")]
    pub(super) kubernetes: Option<Kubernetes>,
    /// Of a user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) groups: Option<Vec<String>>,
}

/// The claim `kubernetes.io`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kubernetes {
    pub(super) namespace: String,
    pub(super) serviceaccount: Object,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pod: Option<Object>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<Object>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) node: Option<Object>,
}

/// An object that is this one only as long as it has this uid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Object {
    pub(super) name: String,
    pub(super) uid: String,
}

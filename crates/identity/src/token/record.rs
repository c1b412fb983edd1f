//! A bootstrap token as it is stored: everything but its secret.

use serde::{Deserialize, Serialize};

/// The version written here.
pub const VERSION: u32 = 1;

/// What is stored under the token's id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Of this format.
    pub version: u32,
    /// The token's id.
    pub id: String,
    /// SHA-256 of id and secret, in hex.
    pub secret_sha256: String,
    /// What it is good for.
    pub buys: Buys,
    /// When it was made, in seconds since 1970.
    pub created_s: i64,
    /// From when on it buys nothing.
    pub expires_s: i64,
    /// How often it can still be used.
    pub uses_left: u32,
}

/// What a token is exchanged for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Buys {
    /// A certificate for this user.
    User {
        /// The user's name.
        user: String,
        /// The user's groups.
        groups: Vec<String>,
    },
    /// A certificate for a node that joins.
    Node {
        /// The only name it can have; none: any that no node has yet.
        name: Option<String>,
    },
}

impl Buys {
    /// As it stands in messages.
    pub fn name(&self) -> &'static str {
        match self {
            Buys::User { .. } => "a user",
            Buys::Node { name: None } => "a node",
            Buys::Node { name: Some(_) } => "one node",
        }
    }
}

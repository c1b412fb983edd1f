//! `volume.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(crate) const RECORD_VERSION: u32 = 1;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub version: u32,
    pub name: String,
    pub created_at_ns: i64,
    pub anonymous: bool,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

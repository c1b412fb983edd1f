//! Who somebody is, and what they may do.
//!
//! Owns: the certificate authority and its files, certificates that are due, bootstrap and
//! account tokens, decisions by role, sealed values, the audit log.
//! Never: HTTP, or where objects are kept. What must be stored is handed to the caller as a record.
//!
//! ```text
//!   client certificate ─► authority::Trust ─┐
//!   bearer token ───────► jwt::Verifier ────┼─► Subject ─► rbac::decide ─► Allow | Deny
//!   nothing ────────────► Subject::nobody ──┘
//! ```

pub mod audit;
pub mod authority;
pub mod certificate;
pub mod device;
pub mod jwt;
pub mod kubeconfig;
pub mod rbac;
pub mod rotation;
pub mod sealed;
pub mod subject;
pub mod token;

pub use subject::{Kind, Subject};

//! The cluster's objects: kinds, and what can be done with them.
//!
//! Owns: which kinds there are, one file each; that an object is well formed, complete and
//! allowed to become what it becomes; where it is in the keyspace and how it is written there.
//! Never: HTTP, who asks and whether they may, or carrying anything out.
//!
//! ```text
//!   bytes ─► decode ─► schema: every mistake by its path ─► the kind's defaults and rules ─► commit
//! ```

pub use weft_stdx::age;
pub mod controllers;
pub mod cron;
mod custom;
pub mod decode;
pub mod deployments;
pub mod failure;
mod fields;
mod form;
pub mod kind;
pub mod kinds;
pub mod node;
pub mod object;
pub mod protobuf;
pub use weft_stdx::{names, quantity, selector};
pub mod schema;
pub mod store;
mod templates;
pub mod usage;

pub use failure::{About, Cause, Failure, Reason};
pub use form::Form;
pub use kind::{Cell, Column, Document, Generation, Kind, Kinds, Scale};
pub use object::Object;
pub use store::Store;

k8s_openapi::k8s_if_1_33! {
    /// The minor version of Kubernetes 1 whose types these are; with those of another this does not
    /// compile.
    pub const KUBERNETES_MINOR: u32 = 33;
}

/// What this server, and every node of it, says it is, as Kubernetes writes versions.
pub const VERSION: &str = concat!("v1.33.0+weft.", env!("CARGO_PKG_VERSION"));

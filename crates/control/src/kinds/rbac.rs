//! Roles and who has them.
//!
//! Never: decides who may do what; nor whether somebody may give a role away.

mod binding;
mod role;

pub(super) use binding::{cluster_role_binding, role_binding};
pub(super) use role::{cluster_role, role};

pub(super) const GROUP: &str = "rbac.authorization.k8s.io";

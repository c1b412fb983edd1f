//! HTTP without Docker's endpoints: bodies, queries, routes, streams, upgrades.
//!
//! It knows neither the engine nor a single endpoint.

pub mod body;
pub mod call;
pub mod filters;
pub mod frame;
pub mod hijack;
pub mod moment;
pub mod query;
pub mod route;
pub mod shape;
pub mod version;

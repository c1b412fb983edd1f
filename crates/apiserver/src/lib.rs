//! The Kubernetes API over HTTPS: HTTP in, what the store answers out.
//!
//! Owns: paths, media types, lists and watches on the wire, discovery, OpenAPI, tables.
//! Never: decides what an object may be (`control`), or who may do what (the caller's `Gate`).
//!
//! ```text
//!   TLS ─► head ─► target: what is asked ─► gate: who asks, and may they ─► objects ─► store
//!                     └ not an object: discovery, openapi, health, version
//! ```

mod accept;
mod answer;
mod auditing;
mod body;
mod bootstrap;
mod certificates;
mod closed;
mod containers;
mod deployments;
mod devices;
mod discovery;
mod dispatch;
mod forward;
pub mod fuzz;
mod gate;
mod gather;
mod grants;
mod health;
mod impersonation;
mod index;
mod issuer;
mod limit;
mod listing;
mod logs;
mod metrics;
mod nodes;
mod objects;
mod openapi;
mod pages;
mod params;
mod placing;
mod pods;
mod query;
mod reviews;
mod serve;
mod sessions;
mod shape;
mod socket;
mod table;
mod target;
mod tokens;
mod unrun;
mod upkeep;
mod usage;
mod watching;
mod writes;

pub use closed::closed;
pub use gate::{Answering, Ending, Gate, Question};
pub use limit::Limiter;
pub use metrics::Metrics;
pub use nodes::{Command, Line, Log, Nodes, Pipe, Said, Session, Sessions, Streams, Typed, Wanted};
pub use pages::Pages;
pub use serve::{Server, serve, serve_deployments, serve_some};
pub use upkeep::Upkeep;

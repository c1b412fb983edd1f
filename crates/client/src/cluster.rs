//! A client of the Kubernetes API: where it is, who one is, requests, answers, watches.
//!
//! Owns: kubeconfig, TLS towards the server, its refusals, and which kinds it has.
//! Never: reads the environment, prints, or knows a kind by itself.

mod acting;
mod curl;
pub mod discovery;
mod error;
pub mod kubeconfig;
pub mod plugin;
mod socket;
mod tls;
mod transport;

pub use acting::Acting;
pub use error::{ApiError, Refusal};
pub use kubeconfig::Access;
pub use socket::{Socket, SocketReader, SocketWriter};
pub use transport::{Answer, Cluster, Events};

//! Clients of weft's own faces: the engine's Docker API over its unix socket, typed, and the
//! server's Kubernetes API over TLS (`cluster`); and of the web, for manifests (`fetch`).
//!
//! Owns: requests as values, connections, streams, the multiplexed format, kubeconfig.
//! Never: talks to the terminal, reads the environment (the system's roots may be named there), or decides what an error means to a person.

pub mod cluster;
mod containers;
mod error;
mod exec;
pub mod fetch;
mod hijack;
mod images;
mod networks;
mod request;
pub mod stdcopy;
mod stream;
mod streams;
mod system;
mod transport;

pub use containers::{ListContainers, RemoveContainer, WaitCondition, create_request};
pub use error::ClientError;
pub use hijack::{Duplex, DuplexReader, DuplexWriter};
pub use images::{Import, Pull};
pub use request::{Filters, Request};
pub use stream::{Bytestream, JsonLines};
pub use streams::{Attach, Logs};
pub use transport::{Client, Explain, Upload};

pub use bytes::Bytes;
pub use http::Method;

//! Typed client of the engine's Docker API over its unix socket.
//!
//! Owns: requests as values, the connection, streams, the multiplexed format.
//! Never: talks to the terminal, reads the environment, or decides what an error means to a person.

mod containers;
mod error;
mod exec;
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

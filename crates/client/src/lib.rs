//! Typed client of the engine's Docker API over its unix socket.
//!
//! Owns: requests as values, the connection, streams, the multiplexed format.
//! Never: talks to the terminal, reads the environment, or decides what an error means to a person.

mod error;
mod hijack;
mod request;
pub mod stdcopy;
mod stream;
mod transport;

pub use error::ClientError;
pub use hijack::{Duplex, DuplexReader, DuplexWriter};
pub use request::{Filters, Request};
pub use stream::{Bytestream, JsonLines};
pub use transport::{Client, Explain};

pub use bytes::Bytes;

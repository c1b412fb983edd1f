//! Netlink: encoding requests, sending them, reading acknowledgements, dumps and events.
//!
//! Never: what a link or a rule is; see `rtnetlink` and `nft`.

pub(crate) mod connection;
pub(crate) mod listener;
pub(crate) mod message;

pub use connection::KernelError;
pub(crate) use connection::{Connection, errno};
pub(crate) use listener::Listener;
pub(crate) use message::{Attributes, Batch, attributes, find, get_u32};

//! The root filesystem and everything mounted in it.
//!
//! Two halves. [`prepare`] runs with the host's privileges and makes, detached from any mount
//! namespace, what needs them: the overlay, binds, the `/dev` with its nodes, the masks.
//! [`assemble`] runs as init in its own namespaces: it puts the prepared mounts in place, makes
//! the rest, and enters the root. Nothing is ever mounted in the host's namespace. [`view`] is for
//! looking into the root of a container that does not run.
//! Never: trusts a path below the container's root.

mod assemble;
mod device;
mod mask;
mod overlay;
mod prepare;
mod source;
mod view;

pub use assemble::{Assembled, assemble};
pub use prepare::{Prepared, prepare};
pub use view::{Bind, bare, view};

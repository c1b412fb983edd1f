//! A container: its record, its state machine, and what may be asked of it.
//!
//! ```text
//!            create            start            exit
//!   (none) ---------> created -------> running -------> exited --+
//!                                      |    ^             ^      | start, restart policy
//!                                pause |    | unpause     |      v
//!                                      v    |             |  restarting --> running
//!                                      paused             +--- stop ---+
//!   any but running --- rm ---> removing ---> (none); failed half-way: dead, rm again
//! ```

pub(crate) mod handle;
mod options;
pub(crate) mod record;
pub(crate) mod table;

pub use options::*;
pub use record::{
    AttachmentRecord, Health, HealthStatus, Probe, PublishedPort, Record, State, Status, VolumeUse,
};

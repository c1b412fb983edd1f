//! Kinds of `nanocloud.io`: bundles and devices.
//!
//! Never: certificates; they are issued, not stored.

mod bundle;
mod device;

pub(super) use bundle::kind as bundle;
pub(super) use device::kind as device;

const GROUP: &str = "nanocloud.io";

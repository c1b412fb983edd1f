//! Kinds of `nanocloud.io`: bundles, devices, and what leads to certificates.

mod bootstrap_token;
mod bundle;
mod certificate;
mod device;

pub(super) use bootstrap_token::kind as bootstrap_token;
pub use bootstrap_token::record as bootstrap_token_record;
pub(super) use bundle::kind as bundle;
pub(super) use certificate::kind as certificate;
pub(super) use device::kind as device;

const GROUP: &str = "nanocloud.io";

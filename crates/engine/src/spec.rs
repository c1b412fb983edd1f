//! What a container is asked to be ([`Spec`]) and what that came to once the image was known.

mod record;
mod resolve;

pub use record::*;
pub use resolve::parse_signal;
pub(crate) use resolve::{ImageDefaults, resolve};

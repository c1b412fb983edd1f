//! What kinds check and fill in alike.
//!
//! Owns: places in an object, the list of what is wrong there, and rules for values that many
//! kinds have (names, numbers, addresses, ports, amounts, label selectors); filling in what was left out.
//! Never: a rule of one kind.

pub(super) mod amounts;
pub(super) mod fill;
pub(super) mod mistakes;
pub(super) mod net;
pub(super) mod selectors;
mod spec;
pub(super) mod spot;
pub(super) mod volumes;

pub(super) use mistakes::Mistakes;
pub(super) use spot::Spot;

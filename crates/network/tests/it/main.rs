//! Networking on the real kernel: every test has a machine of its own, a network namespace with
//! an outside beyond it. Needs root; `ip` and `nft` serve as oracles.

#![allow(clippy::unwrap_used)]

mod attach;
mod crash;
mod dns;
mod engines;
mod isolation;
mod machine;
mod pool;
mod ports;
mod restart;
mod services;
mod zone;

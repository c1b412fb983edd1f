//! What becomes of pods that are alike: how many there are to be, which of them go, and how one
//! template takes another's place.
//!
//! Never: a clock; what the time is, is said by who asks.

pub mod autoscale;
mod budgets;
pub mod cron;
mod daemons;
pub mod jobs;
mod ordinals;
mod replicas;
mod rollout;

pub use budgets::{Keep, Standing, standing};
pub use daemons::{Daemon, Do, End, Fit, Spot, daemons, fit};
pub use ordinals::{Act, Line, Member, act};
pub use replicas::{Counts, Phase, Replica, counts, victims};
pub use rollout::{Asked, Bounds, Set, Sets, Share, Step, Way, forgotten, step};

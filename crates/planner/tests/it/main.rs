//! The planner from outside.

#![allow(clippy::unwrap_used)]

mod examples;
mod model;
mod naive;
mod naive_preempt;
mod naive_score;
mod preempting;
mod random;
mod rollouts;
mod sets;
mod spreading;

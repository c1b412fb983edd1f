//! The agent on a machine that does not exist, in time that stands still while anybody is busy.

mod histories;
mod life;
mod remembering;
mod stage;

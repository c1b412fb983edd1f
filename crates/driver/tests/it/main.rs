//! The suite, and the driver that needs nothing to pass it.

mod conform;

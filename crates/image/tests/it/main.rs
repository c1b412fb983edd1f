//! Tests of images against the real filesystem, real registries and hostile input. They run as
//! root and leave nothing behind.

mod archives;
mod hostile;
mod liar;
mod lying;
mod pulling;
mod sample;
mod store;
mod unpacking;

//! `weft`: chooses the mode, before any thread exists.
fn main() {}

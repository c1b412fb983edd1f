//! The repository's automation: `cargo xtask test|tidy|bench|vm`.
fn main() {}

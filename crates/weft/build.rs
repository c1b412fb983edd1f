//! How the binary is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // A static-pie relocates itself at every start: packed, the table is a hundredth of the size,
    // and `weft run` is mostly starts.
    println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
}

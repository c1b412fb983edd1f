//! A program that is nothing but the spawner, for tests.

fn main() -> std::process::ExitCode {
    weft_runtime::spawner::main(std::env::args_os().skip(1))
}

//! Damaged input for everything that reads bytes it did not write.
//!
//! Owns the loop: seeds, mutation, time, and what counts as failure (a panic, a hang, memory that
//! grows without bound). Needs no nightly compiler and no instrumentation. A failing input is
//! kept in a file, and `--replay TARGET FILE` runs it again.

mod identity;
mod kubernetes;
mod mutate;
mod targets;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mutate::Mutator;
use targets::Target;

/// One input may take this long; parsers are to be linear.
const INPUT_MAX: Duration = Duration::from_secs(20);
/// Resident memory of this process, at most.
const MEMORY_MAX_BYTES: u64 = 1 << 30;
/// Inputs grow to this size at most.
const LENGTH_MAX: usize = 64 * 1024;

/// Milliseconds since the start when the current input began.
static BEGAN_MS: AtomicU64 = AtomicU64::new(0);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["--replay", target, file] => replay(target, Path::new(file)),
        ["--seconds", seconds, chosen @ ..] => match seconds.parse() {
            Ok(seconds) => run(Duration::from_secs(seconds), chosen),
            Err(_) => usage(),
        },
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: weft-fuzz --seconds N [TARGET…] | --replay TARGET FILE");
    for target in targets::all() {
        eprintln!("  {}", target.name);
    }
    ExitCode::from(2)
}

fn replay(name: &str, file: &Path) -> ExitCode {
    let Some(target) = targets::all().find(|target| target.name == name) else {
        return usage();
    };
    match fs::read(file) {
        Ok(input) => {
            (target.run)(&input);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("read {}: {error}", file.display());
            ExitCode::FAILURE
        }
    }
}

/// Runs each target for its share of the time; prints one line each and libtest's summary.
fn run(time: Duration, chosen: &[&str]) -> ExitCode {
    watch();
    let wanted = |target: &&Target| chosen.is_empty() || chosen.contains(&target.name);
    let targets: Vec<&Target> = targets::all().filter(wanted).collect();
    let share = time / u32::try_from(targets.len().max(1)).unwrap_or(1);
    let seed = seed();
    println!("seed {seed}");
    let mut failed = 0;
    for target in &targets {
        match try_one(target, share, seed) {
            Ok(inputs) => println!("fuzz {} ... ok, {inputs} inputs", target.name),
            Err(failure) => {
                failed += 1;
                println!("fuzz {} ... FAILED: {failure}", target.name);
            }
        }
    }
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "test result: {word}. {} passed; {failed} failed; 0 ignored",
        targets.len() - failed
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// `WEFT_FUZZ_SEED`, or the time: a failure prints it, so that it can be had again.
fn seed() -> u64 {
    let given = std::env::var("WEFT_FUZZ_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(1, |since| since.as_secs())
    })
}

fn try_one(target: &Target, time: Duration, seed: u64) -> Result<u64, String> {
    let seeds = (target.seeds)();
    let mut mutator = Mutator::new(seed, LENGTH_MAX);
    let began = Instant::now();
    let mut inputs = 0;
    while began.elapsed() < time || inputs < 50 {
        let input = match seeds.get(usize::try_from(inputs).unwrap_or(usize::MAX)) {
            Some(seed) => seed.clone(),
            None => mutator.mutate(&seeds),
        };
        attempt(target, &input)?;
        inputs += 1;
    }
    Ok(inputs)
}

fn attempt(target: &Target, input: &[u8]) -> Result<(), String> {
    BEGAN_MS.store(now_ms(), Ordering::Relaxed);
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    BEGAN_MS.store(0, Ordering::Relaxed);
    let problem = match outcome {
        Err(_) => "it panics".to_owned(),
        Ok(()) => match resident_bytes() {
            bytes if bytes > MEMORY_MAX_BYTES => format!("{bytes} bytes are resident"),
            _ => return Ok(()),
        },
    };
    let file = std::env::temp_dir().join(format!("fuzz-{}-{:x}", target.name, now_ms()));
    let kept = match fs::write(&file, input) {
        Ok(()) => format!(
            "replay: cargo xtask fuzz --replay {} {}",
            target.name,
            file.display()
        ),
        Err(error) => format!("the input could not be kept: {error}"),
    };
    Err(format!("{problem}; {kept}"))
}

/// A hang cannot be caught from inside: a second thread ends the process, and says so.
fn watch() {
    now_ms();
    thread::spawn(|| {
        loop {
            thread::park_timeout(Duration::from_secs(1));
            let began = BEGAN_MS.load(Ordering::Relaxed);
            let limit = u64::try_from(INPUT_MAX.as_millis()).unwrap_or(u64::MAX);
            if began != 0 && now_ms().saturating_sub(began) > limit {
                println!(
                    "fuzz ... FAILED: one input takes more than {} s",
                    INPUT_MAX.as_secs()
                );
                std::process::abort();
            }
        }
    });
}

/// Milliseconds since the first call, and one more, so that it is never 0.
fn now_ms() -> u64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let since = START.get_or_init(Instant::now).elapsed().as_millis();
    u64::try_from(since).unwrap_or(u64::MAX - 1) + 1
}

fn resident_bytes() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .unwrap_or_default();
    pages * 4096
}

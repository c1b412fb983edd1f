//! Attempts against somebody who changes things at the same time.
//!
//! A few in every run; each for a minute when `WEFT_TEST_LONG` is set (`cargo xtask test --long`).

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::fs::{RenameFlags, renameat_with};

/// How long one race is tried on demand.
const LONG: Duration = Duration::from_secs(60);

/// Tries `few` times, or for long.
pub fn attempts(few: u32, mut attempt: impl FnMut()) {
    let long = std::env::var_os("WEFT_TEST_LONG").is_some();
    let began = Instant::now();
    let mut done = 0;
    while if long {
        began.elapsed() < LONG
    } else {
        done < few
    } {
        attempt();
        done += 1;
    }
    println!("{done} attempts");
}

/// Exchanges two names all the time, until it is dropped.
pub struct Flipper {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Flipper {
    /// Both names are there, in `dir`. Comes back when it is at work.
    pub fn start(dir: &Path, one: &str, other: &str) -> Flipper {
        let (stop, turns) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (told, count) = (Arc::clone(&stop), Arc::clone(&turns));
        let names = [one, other].map(PathBuf::from);
        let dir = File::open(dir).unwrap();
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                let [one, other] = &names;
                renameat_with(&dir, one, &dir, other, RenameFlags::EXCHANGE).unwrap();
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        while turns.load(Ordering::Relaxed) == 0 && !thread.is_finished() {
            std::thread::yield_now();
        }
        Flipper {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Flipper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            assert!(matches!(ended, Some(Ok(()))), "nobody raced");
        }
    }
}

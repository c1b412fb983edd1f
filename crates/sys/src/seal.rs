//! Files in memory that nobody changes any more.

use std::os::fd::AsFd;

use rustix::fs::{SealFlags, fcntl_add_seals};
use rustix::io::{Errno, Result};

/// How often it is tried while the kernel is busy: it waits 150 ms each time.
const TRIES: u32 = 20;

/// Seals a file in memory: nobody writes, grows or shrinks it any more.
///
/// The kernel refuses that as long as it holds a page of it itself, as reclaim and compaction do for a
/// moment (`EBUSY`, after a wait of its own: `memfd_wait_for_pins` in mm/memfd.c): it is asked again.
///
/// # Errors
/// It is no file in memory, may not be sealed, or somebody has it mapped to write.
pub fn seal(file: impl AsFd) -> Result<()> {
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    while_busy(|| fcntl_add_seals(&file, seals))
}

fn while_busy(mut act: impl FnMut() -> Result<()>) -> Result<()> {
    let mut tries = 1;
    loop {
        match act() {
            Err(Errno::BUSY) if tries < TRIES => tries += 1,
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_busy_is_tried_again_and_nothing_else() {
        let after = |busy: u32, then: Result<()>| {
            let mut tries = 0;
            let done = while_busy(|| {
                tries += 1;
                match tries > busy {
                    true => then,
                    false => Err(Errno::BUSY),
                }
            });
            (done, tries)
        };
        assert_eq!(after(0, Ok(())), (Ok(()), 1));
        assert_eq!(after(3, Ok(())), (Ok(()), 4));
        assert_eq!(after(0, Err(Errno::PERM)), (Err(Errno::PERM), 1));
        assert_eq!(after(u32::MAX, Ok(())), (Err(Errno::BUSY), TRIES));
    }
}

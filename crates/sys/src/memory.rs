//! Memory given back to the kernel by a process that has much less to do from now on.
//!
//! Never: deciding when.

use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::{fs, io};

/// Bytes below this function's frame that are left alone.
const MARGIN: usize = 8 * 1024;
/// How far below that a stack may have been in use, in bytes.
const REACH: usize = 512 * 1024;

/// Has all threads of this process share so many heaps, made from now on. On its own glibc makes
/// eight for each core, and what few threads need of each keeps the pages of all (mallopt(3)).
pub fn share_heaps(most: usize) {
    let most = libc::c_int::try_from(most).unwrap_or(libc::c_int::MAX);
    // SAFETY: no pointers.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, most) };
}

/// Gives back what the allocator holds and nobody uses.
pub fn trim_heap() {
    // SAFETY: touches free memory only.
    unsafe { libc::malloc_trim(0) };
}

/// Gives back the part of this thread's stack that deeper calls have used before. Only for the
/// main thread, whose stack ends in unmapped memory; answers an error in any other.
pub fn trim_stack() -> io::Result<()> {
    // SAFETY: no arguments.
    let (thread, process) = unsafe { (libc::gettid(), libc::getpid()) };
    if thread != process {
        return Err(io::Error::other("not the main thread"));
    }
    // SAFETY: no pointers.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let page = usize::try_from(page).map_err(|_| io::ErrorKind::Unsupported)?;
    let here = 0_u8;
    let top = (std::ptr::from_ref(&here) as usize - MARGIN) / page * page;
    // SAFETY: everything below the stack pointer of the only frames that exist is dead; the margin
    // keeps clear of that of the call itself. Below the main thread's stack lies a gap of 1 MiB
    // (stack_guard_gap), so nothing else is in reach; what is not mapped is skipped.
    unsafe {
        libc::madvise(
            (top - REACH) as *mut libc::c_void,
            REACH,
            libc::MADV_DONTNEED,
        )
    };
    Ok(())
}

/// Lets go of the program's own pages, as far as they are as in its file: what is still used comes back
/// from the page cache, 64 KiB at a touch. Of a large program most is used at its start and in a
/// busy time only.
///
/// # Errors
/// The kernel does not tell what is mapped.
pub fn trim_program() -> io::Result<()> {
    let own = fs::metadata("/proc/self/exe")?;
    let told = fs::read_to_string("/proc/self/smaps")?;
    for range in unchanged(&told, own.ino()) {
        // SAFETY: a mapping of this program that cannot be written, none of whose pages differs from
        // the file: what is dropped is read from there again.
        unsafe {
            libc::madvise(
                range.start as *mut libc::c_void,
                range.len(),
                libc::MADV_DONTNEED,
            )
        };
    }
    Ok(())
}

/// Mappings of the file with this inode that cannot be written and never were (proc(5), smaps).
fn unchanged(smaps: &str, inode: u64) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut last: Option<Range<usize>> = None;
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        if let Some(name) = first.strip_suffix(':') {
            let is_none = words.next() == Some("0");
            if name == "Anonymous" && is_none {
                found.extend(last.take());
            }
            continue;
        }
        let (rights, of) = (words.next().unwrap_or_default(), words.nth(2));
        let is_own = of.and_then(|of| of.parse().ok()) == Some(inode);
        let ends = first.split_once('-').and_then(|(start, end)| {
            let number = |text| usize::from_str_radix(text, 16).ok();
            Some(number(start)?..number(end)?)
        });
        last = ends.filter(|_| is_own && rights.starts_with('r') && !rights.contains('w'));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_as_in_the_file_is_let_go() {
        let smaps = "\
00400000-00500000 r--p 00000000 fe:00 77 /bin/weft
Rss: 12 kB
Anonymous: 0 kB
00500000-00900000 r-xp 00100000 fe:00 77 /bin/we ft
Anonymous:             0 kB
00900000-00a00000 r--p 00500000 fe:00 77 /bin/weft
Anonymous: 4 kB
00a00000-00b00000 rw-p 00600000 fe:00 77 /bin/weft
Anonymous: 0 kB
00b00000-00c00000 r--p 00600000 fe:00 78 /bin/other
Anonymous: 0 kB
00c00000-00d00000 r--p 00000000 00:00 0
Anonymous: 0 kB
";
        assert_eq!(
            unchanged(smaps, 77),
            [0x40_0000..0x50_0000, 0x50_0000..0x90_0000]
        );
        trim_program().expect("this program is mapped");
    }

    /// How many heaps the allocator of this process has (malloc_info(3)).
    fn heaps() -> usize {
        let mut text = std::ptr::null_mut();
        let mut len = 0;
        // SAFETY: the stream writes into its own memory, which is read after it is closed and freed
        // after it is read.
        unsafe {
            let stream = libc::open_memstream(&raw mut text, &raw mut len);
            assert!(!stream.is_null());
            assert_eq!(libc::malloc_info(0, stream), 0);
            libc::fclose(stream);
            let told = std::slice::from_raw_parts(text.cast::<u8>(), len);
            let told = String::from_utf8_lossy(told).into_owned();
            libc::free(text.cast());
            told.matches("<heap nr").count()
        }
    }

    #[test]
    fn threads_share_heaps() {
        let own = "memory::tests::threads_share_heaps";
        if std::env::var_os("ALONE").is_none() {
            // Other tests of this process have made heaps already.
            let mut alone = std::process::Command::new("/proc/self/exe");
            let ran = alone.args(["--exact", own]).env("ALONE", "1").output();
            let ran = ran.expect("run this test alone");
            let said = String::from_utf8_lossy(&ran.stdout);
            assert!(ran.status.success() && said.contains("1 passed"), "{said}");
            return;
        }
        share_heaps(3);
        let count = 8;
        let together = std::sync::Barrier::new(count);
        std::thread::scope(|scope| {
            for at in 0..count {
                let together = &together;
                scope.spawn(move || {
                    let held = vec![at; 100];
                    together.wait();
                    drop(held);
                });
            }
        });
        assert!((2..=3).contains(&heaps()), "{} heaps", heaps());
    }

    #[test]
    fn only_the_main_threads_stack_is_trimmed() {
        super::trim_heap();
        assert!(super::trim_stack().is_err());
    }
}

//! Memory given back to the kernel by a process that has much less to do from now on.
//!
//! Never: deciding when.

use std::io;

/// Bytes below this function's frame that are left alone.
const MARGIN: usize = 8 * 1024;
/// How far below that a stack may have been in use, in bytes.
const REACH: usize = 512 * 1024;

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

#[cfg(test)]
mod tests {
    #[test]
    fn only_the_main_threads_stack_is_trimmed() {
        super::trim_heap();
        assert!(super::trim_stack().is_err());
    }
}

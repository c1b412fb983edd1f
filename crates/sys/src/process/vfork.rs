//! A child that shares the caller's memory while the caller stands still, as with vfork(2): for a
//! short errand under other namespaces or rights, for which copying the memory's tables, and
//! every page that is written to afterwards, would cost more than the errand.
//!
//! Never: what the errand is.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

use super::{Child, CloneArgs, CloneRequest, clone_args, refuse_threads};

const CLONE_VM: u64 = 0x100;
const CLONE_VFORK: u64 = 0x4000;

/// The errand's stack: as much as a thread has, for a clone made in it lives on in its copy.
const STACK: usize = 2 << 20;
/// Larger than any page, so that the lowest part is a guard whatever their size.
const GUARD: usize = 64 << 10;

/// Runs `work` in a child; comes back when the child has ended, or has executed a program.
///
/// What `work` changes in memory is changed for the caller, too; descriptors, namespaces,
/// identities and limits are the child's own. So `work` may not drop a descriptor the caller has,
/// nor anything the caller still uses. A [`super::clone`] made in it has its own copy of all.
/// The child is not waited for yet. Fails with `EINVAL` in a process with threads.
pub fn vfork(request: &CloneRequest<'_>, mut work: impl FnMut()) -> io::Result<Child> {
    refuse_threads()?;
    let stack = Stack::make()?;
    let mut pidfd: RawFd = -1;
    let mut args = clone_args(request, &mut pidfd);
    args.flags |= CLONE_VM | CLONE_VFORK;
    args.stack = stack.0 as u64;
    args.stack_size = STACK as u64;
    let mut work: &mut dyn FnMut() = &mut work;
    // SAFETY: `args` is a valid clone_args and the stack is mapped, and used by nobody else. The
    // caller stands still until the child has ended or has memory of its own, so all that `work`
    // borrows stays valid, and there is one thread at a time in this memory.
    let result = unsafe { enter(&args, std::ptr::from_mut(&mut work)) };
    match result {
        ..0 => Err(io::Error::from_raw_os_error(
            i32::try_from(-result).unwrap_or(libc::EINVAL),
        )),
        pid => Ok(Child {
            pid: i32::try_from(pid).expect("a pid fits in an i32"),
            // SAFETY: the kernel wrote a new descriptor, which nobody else knows of.
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        }),
    }
}

/// What the child does. A panic would have to unwind into the assembly below, so it aborts.
unsafe extern "C" fn errand(work: *mut &mut dyn FnMut()) -> ! {
    // SAFETY: the pointer is that of `vfork`, whose frame waits.
    unsafe { (*work)() };
    super::exit_now(0)
}

/// clone3, with `errand` on the child's side. The child never returns to this frame: it has
/// another stack, and registers of its own.
///
/// # Safety
/// See [`vfork`].
unsafe fn enter(args: &CloneArgs, work: *mut &mut dyn FnMut()) -> i64 {
    let result: i64;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller's; the kernel overwrites rcx and r11, and nothing of this stack.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r8",
            "call r9",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 => result,
            in("rdi") std::ptr::from_ref(args),
            in("rsi") size_of::<CloneArgs>(),
            in("r8") work,
            in("r9") errand as *const (),
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the caller's; the kernel overwrites x0, and nothing of this stack.
    unsafe {
        std::arch::asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x3",
            "blr x4",
            "brk #1",
            "2:",
            inlateout("x0") std::ptr::from_ref(args) => result,
            in("x1") size_of::<CloneArgs>(),
            in("x3") work,
            in("x4") errand as *const (),
            in("x8") libc::SYS_clone3,
        );
    }
    result
}

struct Stack(*mut std::ffi::c_void);

impl Stack {
    fn make() -> io::Result<Stack> {
        // SAFETY: a new mapping, at a place the kernel chooses.
        let memory = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                STACK,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::STACK,
            )?
        };
        let stack = Stack(memory);
        // SAFETY: the lowest part of that mapping, which nobody uses yet.
        unsafe { mprotect(memory, GUARD, MprotectFlags::empty())? };
        Ok(stack)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own. Whoever ran on it has ended or has left.
        let _ = unsafe { munmap(self.0, STACK) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_refused_beside_other_threads() {
        let (stop, waits) = std::sync::mpsc::sync_channel::<()>(1);
        let other = std::thread::spawn(move || waits.recv());
        let mut ran = false;
        let refused = vfork(&CloneRequest::default(), || ran = true).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EINVAL));
        assert!(!ran);
        drop(stop);
        let _ = other.join();
    }
}

//! bpf(2), as much of it as device control on a cgroup needs.
//!
//! Owns: loading a `BPF_PROG_TYPE_CGROUP_DEVICE` program, attaching it to a cgroup, replacing and
//! listing what is attached. Never: which devices are allowed.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Most programs of one kind on one cgroup (`BPF_CGROUP_MAX_PROGS`, kernel/bpf/cgroup.c).
const MAX_ATTACHED: usize = 64;

const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const PROG_DETACH: libc::c_int = 9;
const PROG_GET_FD_BY_ID: libc::c_int = 13;
const PROG_QUERY: libc::c_int = 16;

const TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 1 << 1;
const REPLACE: u32 = 1 << 2;

/// One eBPF instruction, as `struct bpf_insn` (linux/bpf.h).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Instruction {
    /// Class, source and operation.
    pub code: u8,
    /// Destination register in the low half, source register in the high one.
    pub registers: u8,
    /// Where a jump goes or a load starts.
    pub offset: i16,
    /// The immediate operand.
    pub immediate: i32,
}

/// A program the kernel verified. It is freed when neither this nor a cgroup holds it.
#[derive(Debug)]
pub struct Program(OwnedFd);

/// The part of `union bpf_attr` that `BPF_PROG_LOAD` reads here; what follows in the union is
/// zero to the kernel because the size given ends before it.
#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
}

#[repr(C)]
#[derive(Default)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
    replaced: u32,
}

#[repr(C)]
#[derive(Default)]
struct Query {
    target: u32,
    kind: u32,
    query_flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
    padding: u32,
}

#[repr(C)]
#[derive(Default)]
struct ById {
    id: u32,
    next: u32,
    flags: u32,
}

/// Loads a program for `BPF_CGROUP_DEVICE`: it gets a `struct bpf_cgroup_dev_ctx` and answers 1
/// to allow and 0 to deny.
///
/// Gives `EPERM` without `CAP_BPF` and `CAP_NET_ADMIN` or `CAP_SYS_ADMIN` in the initial user
/// namespace.
pub fn load_device_program(instructions: &[Instruction]) -> io::Result<Program> {
    let license = c"Apache-2.0";
    let mut name = [0; 16];
    name[..12].copy_from_slice(b"weft_devices");
    let mut attributes = Load {
        kind: TYPE_CGROUP_DEVICE,
        instruction_count: u32::try_from(instructions.len())
            .map_err(|_| io::ErrorKind::InvalidInput)?,
        instructions: instructions.as_ptr() as u64,
        license: license.as_ptr() as u64,
        name,
        ..Load::default()
    };
    let fd = call(PROG_LOAD, &mut attributes)?;
    // SAFETY: the kernel made this descriptor for us just now.
    Ok(Program(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// Makes `program` the only device program attached to `cgroup` itself (those of its ancestors
/// stay in force: a device must be allowed by all).
///
/// At no moment is the cgroup without a program that it had: one is replaced in place (Linux
/// 5.6), several are detached after the new one is in force.
pub fn attach_device_program(cgroup: impl AsFd, program: &Program) -> io::Result<()> {
    let cgroup = cgroup.as_fd();
    let old = attached(cgroup)?;
    let mut attributes = Attach {
        target: number(cgroup),
        program: number(program.0.as_fd()),
        kind: ATTACH_CGROUP_DEVICE,
        flags: ALLOW_MULTI,
        replaced: 0,
    };
    if let [only] = old.as_slice() {
        attributes.flags |= REPLACE;
        attributes.replaced = number(only.as_fd());
        return call(PROG_ATTACH, &mut attributes).map(drop);
    }
    call(PROG_ATTACH, &mut attributes)?;
    old.iter()
        .try_for_each(|program| detach(cgroup, program.as_fd()))
}

/// Detaches every device program attached to `cgroup` itself; says how many there were.
pub fn detach_device_programs(cgroup: impl AsFd) -> io::Result<usize> {
    let cgroup = cgroup.as_fd();
    let old = attached(cgroup)?;
    old.iter()
        .try_for_each(|program| detach(cgroup, program.as_fd()))?;
    Ok(old.len())
}

/// How many device programs are attached to `cgroup` itself.
pub fn device_program_count(cgroup: impl AsFd) -> io::Result<usize> {
    attached_ids(cgroup.as_fd()).map(|ids| ids.len())
}

fn detach(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attributes = Attach {
        target: number(cgroup),
        program: number(program),
        kind: ATTACH_CGROUP_DEVICE,
        ..Attach::default()
    };
    call(PROG_DETACH, &mut attributes).map(drop)
}

fn attached(cgroup: BorrowedFd<'_>) -> io::Result<Vec<OwnedFd>> {
    let ids = attached_ids(cgroup)?;
    ids.into_iter()
        .map(|id| {
            let fd = call(
                PROG_GET_FD_BY_ID,
                &mut ById {
                    id,
                    ..ById::default()
                },
            )?;
            // SAFETY: the kernel made this descriptor for us just now.
            Ok(unsafe { OwnedFd::from_raw_fd(fd) })
        })
        .collect()
}

fn attached_ids(cgroup: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut ids = [0u32; MAX_ATTACHED];
    let mut attributes = Query {
        target: number(cgroup),
        kind: ATTACH_CGROUP_DEVICE,
        ids: ids.as_mut_ptr() as u64,
        count: MAX_ATTACHED as u32,
        ..Query::default()
    };
    call(PROG_QUERY, &mut attributes)?;
    Ok(ids[..attributes.count as usize].to_vec())
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    u32::try_from(fd.as_raw_fd()).expect("an open descriptor is not negative")
}

/// Every attribute type here starts as `union bpf_attr` does for its command, and is passed with
/// its own size.
fn call<T>(command: libc::c_int, attributes: &mut T) -> io::Result<libc::c_int> {
    // SAFETY: `attributes` is a live, exclusively borrowed value of the size given. The addresses
    // in it are those of buffers its maker keeps alive across the call, with the lengths beside
    // them; descriptors made by the call are close-on-exec.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attributes),
            size_of::<T>(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(libc::c_int::try_from(result).expect("bpf(2) answers with an int"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_laid_out_as_the_kernel_wants_them() {
        assert_eq!(size_of::<Instruction>(), 8);
    }

    #[test]
    fn a_program_that_never_ends_properly_is_refused_by_the_verifier() {
        let nothing = Instruction {
            code: 0xb7,
            registers: 0,
            offset: 0,
            immediate: 1,
        };
        assert!(load_device_program(&[nothing]).is_err());
    }

    #[test]
    fn a_file_that_is_no_cgroup_has_no_programs() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(device_program_count(&file).is_err());
    }
}

//! Loading a seccomp filter: classic BPF over `struct seccomp_data`.
//!
//! Owns: the call and the instruction's layout. Never: what a filter allows.

use std::io;

/// Longest program the kernel takes (`BPF_MAXINSNS`, linux/bpf_common.h).
pub const MAX_INSTRUCTIONS: usize = 4096;

/// One classic BPF instruction, as `struct sock_filter` (linux/filter.h).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Instruction {
    /// Class, size and mode.
    pub code: u16,
    /// Instructions skipped when a condition holds.
    pub jt: u8,
    /// Instructions skipped when it does not.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

/// How a filter is attached (seccomp(2), `SECCOMP_SET_MODE_FILTER`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    /// Attach it to every thread of the process.
    pub all_threads: bool,
    /// Log every action but allow.
    pub log: bool,
    /// Leave the speculative store bypass mitigation off (Linux 4.17).
    pub allow_speculation: bool,
}

impl Flags {
    pub(crate) fn bits(self) -> libc::c_ulong {
        let mut bits = 0;
        if self.all_threads {
            bits |= libc::SECCOMP_FILTER_FLAG_TSYNC;
        }
        if self.log {
            bits |= libc::SECCOMP_FILTER_FLAG_LOG;
        }
        if self.allow_speculation {
            bits |= libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
        }
        bits
    }
}

/// Attaches `program` to the calling thread (with [`Flags::all_threads`], to all of the process),
/// for good.
///
/// The thread needs `no_new_privs` or `CAP_SYS_ADMIN` in its user namespace, else `EACCES`. With
/// [`Flags::all_threads`], a thread that cannot follow makes it fail with `ESRCH`.
pub fn load(program: &[Instruction], flags: Flags) -> io::Result<()> {
    /// `struct sock_fprog` (linux/filter.h).
    #[repr(C)]
    struct Filter {
        length: libc::c_ushort,
        instructions: *const Instruction,
    }

    if program.len() > MAX_INSTRUCTIONS {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let filter = Filter {
        length: libc::c_ushort::try_from(program.len()).expect("at most MAX_INSTRUCTIONS"),
        instructions: program.as_ptr(),
    };
    // SAFETY: `filter` points to `length` instructions laid out as `struct sock_filter`; both live
    // until the call returns, and the kernel copies them and checks the program itself.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags.bits(),
            &raw const filter,
        )
    };
    match result {
        0 => Ok(()),
        thread if thread > 0 => Err(io::Error::from_raw_os_error(libc::ESRCH)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The constants of `AUDIT_ARCH_*` (linux/audit.h): which calling convention a call came by.
pub mod audit {
    /// x86_64, and x32 with bit 30 of the number set.
    pub const X86_64: u32 = 0xc000_003e;
    /// 32-bit x86.
    pub const X86: u32 = 0x4000_0003;
    /// 64-bit ARM.
    pub const AARCH64: u32 = 0xc000_00b7;
    /// 32-bit ARM.
    pub const ARM: u32 = 0x4000_0028;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_is_laid_out_as_the_kernel_wants_it() {
        assert_eq!(size_of::<Instruction>(), 8);
        assert_eq!(size_of::<Instruction>(), size_of::<libc::sock_filter>());
    }

    #[test]
    fn too_long_a_program_is_refused_before_the_kernel_sees_it() {
        let nothing = Instruction {
            code: 0x06,
            jt: 0,
            jf: 0,
            k: 0x7fff_0000,
        };
        let error = load(&vec![nothing; MAX_INSTRUCTIONS + 1], Flags::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn an_empty_program_is_refused_by_the_kernel() {
        assert!(load(&[], Flags::default()).is_err());
    }
}

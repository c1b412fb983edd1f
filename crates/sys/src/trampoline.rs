//! The last step before a container's program: a tiny program of its own.
//!
//! Owns: a few dozen machine instructions that load a seccomp filter and call `execve`, put into
//! a sealed memory file for each start. Never: decides what is executed.
//!
//! # Why
//!
//! While a process still runs weft's own executable, `/proc/self/exe` leads to that file. A
//! container whose command, script interpreter or ELF interpreter is `/proc/self/exe` would run
//! it inside, and could then open it for writing (CVE-2019-5736). So the process first becomes
//! this program, from a memory file that belongs to nobody else, and only this program executes
//! a path the container chose. It costs one `execve` of one page. It also makes the filter's
//! loading the last step but one, so that a filter has to allow nothing but `execve`.
//!
//! ```text
//! arguments:  [0] one byte: number of the report descriptor
//!             [1] path    [2..] the program's own arguments
//! report:     closed by execve, or errno (4 bytes) and step (4 bytes: 0 execve, 1 filter)
//! ```

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use crate::process::{Argv, execveat};
use crate::seccomp::{Flags, Instruction, MAX_INSTRUCTIONS};

/// Which of the program's two steps failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Executing the path.
    Execute,
    /// Loading the filter.
    Filter,
}

/// Bytes of a failure's report.
pub const REPORT: usize = 8;

/// Reads a report.
pub fn read_report(report: [u8; REPORT]) -> (Step, io::Error) {
    let [a, b, c, d, step, ..] = report;
    let errno = i32::from_le_bytes([a, b, c, d]);
    let step = if step == 0 {
        Step::Execute
    } else {
        Step::Filter
    };
    (step, io::Error::from_raw_os_error(errno))
}

/// The program, with the filter it loads, in a sealed memory file.
#[derive(Debug)]
pub struct Trampoline(OwnedFd);

/// Where the image is loaded. Above `vm.mmap_min_addr`, below everything else.
const BASE: u64 = 0x40_0000;
/// File header and two program headers.
const HEADERS: usize = 64 + 2 * 56;
/// What the code finds right in front of itself.
const PARAMETERS: usize = 32;

impl Trampoline {
    /// Makes the memory file.
    pub fn new(filter: Option<(&[Instruction], Flags)>) -> io::Result<Trampoline> {
        use rustix::fs::{MemfdFlags, memfd_create};
        let image = image(filter)?;
        // Since Linux 6.3 a memory file has to say that it will be executed; before, it may not.
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = match memfd_create(c"weft-start", flags | MemfdFlags::EXEC) {
            Err(rustix::io::Errno::INVAL) => memfd_create(c"weft-start", flags)?,
            other => other?,
        };
        if rustix::io::write(&file, &image)? != image.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        // A program its user cannot read is not dumpable from the first instruction on: nobody in
        // the container sees the report descriptor (CVE-2016-9962).
        rustix::fs::fchmod(&file, rustix::fs::Mode::from_raw_mode(0o111))?;
        crate::seal::seal(&file)?;
        Ok(Trampoline(file))
    }

    /// Becomes the program, which then executes `path`. Comes back only with an error.
    ///
    /// `report` has to have a number below 256 other than 0; it is left open for the program.
    pub fn execute(
        &self,
        report: BorrowedFd<'_>,
        path: &CStr,
        arguments: &[CString],
        environment: &Argv,
    ) -> io::Result<Infallible> {
        let number = u8::try_from(report.as_raw_fd())
            .ok()
            .and_then(|number| CString::new(vec![number]).ok())
            .ok_or(io::ErrorKind::InvalidInput)?;
        rustix::io::fcntl_setfd(report, rustix::io::FdFlags::empty())?;
        let mut all = vec![number, path.to_owned()];
        all.extend_from_slice(arguments);
        execveat(self.0.as_fd(), &Argv::new(all), environment)
    }
}

impl AsFd for Trampoline {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Lays out an ELF64 file of one loadable segment: headers, parameters, code, filter.
fn image(filter: Option<(&[Instruction], Flags)>) -> io::Result<Vec<u8>> {
    let code = code();
    let entry = HEADERS + PARAMETERS;
    let data = (entry + code.len()).next_multiple_of(8);
    let (program, flags) = filter.unwrap_or((&[], Flags::default()));
    if program.len() > MAX_INSTRUCTIONS {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let size = data + size_of_val(program);
    let mut image = Vec::with_capacity(size);
    let mut put = |bytes: &[u8]| image.extend_from_slice(bytes);
    // e_ident: 64 bits, little-endian, version 1; e_type EXEC.
    put(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    put(&2_u16.to_le_bytes());
    put(&MACHINE.to_le_bytes());
    put(&1_u32.to_le_bytes());
    put(&(BASE + entry as u64).to_le_bytes());
    put(&64_u64.to_le_bytes());
    put(&0_u64.to_le_bytes());
    put(&0_u32.to_le_bytes());
    for half in [64_u16, 56, 2, 64, 0, 0] {
        put(&half.to_le_bytes());
    }
    // PT_LOAD, read and execute; PT_GNU_STACK, read and write.
    for (kind, rights, at, length, align) in [
        (1_u32, 5_u32, BASE, size as u64, 0x1_0000_u64),
        (0x6474_e551, 6, 0, 0, 16),
    ] {
        put(&kind.to_le_bytes());
        put(&rights.to_le_bytes());
        for word in [0, at, at, length, length, align] {
            put(&word.to_le_bytes());
        }
    }
    // Parameters: flags, whether there is a filter, then struct sock_fprog.
    put(&flags.bits().to_le_bytes());
    put(&u64::from(filter.is_some()).to_le_bytes());
    put(&(program.len() as u64).to_le_bytes());
    put(&(BASE + data as u64).to_le_bytes());
    put(code);
    image.resize(data, 0);
    for instruction in program {
        image.extend_from_slice(&instruction.code.to_le_bytes());
        image.extend_from_slice(&[instruction.jt, instruction.jf]);
        image.extend_from_slice(&instruction.k.to_le_bytes());
    }
    Ok(image)
}

fn code() -> &'static [u8] {
    unsafe extern "C" {
        static weft_trampoline_start: u8;
        static weft_trampoline_end: u8;
    }
    // SAFETY: both symbols are defined below, in this order, around bytes of one section that are
    // never written.
    unsafe {
        let start = &raw const weft_trampoline_start;
        let end = &raw const weft_trampoline_end;
        std::slice::from_raw_parts(start, end.offset_from_unsigned(start))
    }
}

#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = 62;
#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = 183;

// Uses nothing but its registers, the initial stack and the parameters before it.
#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".pushsection .rodata.weft_trampoline, \"a\"",
    ".globl weft_trampoline_start",
    ".globl weft_trampoline_end",
    "weft_trampoline_start:",
    "lea r12, [rip + weft_trampoline_start]",
    "sub r12, 32",
    "mov rax, [rsp + 8]",
    "movzx ebx, byte ptr [rax]",
    // Started by somebody else (as /proc/self/exe): nothing to do here.
    "cmp byte ptr [rax + 1], 0",
    "jne 4f",
    // prctl(PR_SET_DUMPABLE, 0)
    "mov edi, 4",
    "xor esi, esi",
    "mov eax, 157",
    "syscall",
    // fcntl(report, F_SETFD, FD_CLOEXEC)
    "mov edi, ebx",
    "mov esi, 2",
    "mov edx, 1",
    "mov eax, 72",
    "syscall",
    "mov r13d, 1",
    "cmp qword ptr [r12 + 8], 0",
    "je 2f",
    // seccomp(SECCOMP_SET_MODE_FILTER, flags, &fprog)
    "mov edi, 1",
    "mov rsi, [r12]",
    "lea rdx, [r12 + 16]",
    "mov eax, 317",
    "syscall",
    "test rax, rax",
    "jne 3f",
    // execve(argv[1], &argv[2], envp)
    "2: xor r13d, r13d",
    "mov rcx, [rsp]",
    "lea rdx, [rsp + rcx * 8 + 16]",
    "mov rdi, [rsp + 16]",
    "lea rsi, [rsp + 24]",
    "mov eax, 59",
    "syscall",
    // write(report, {-result, step}, 8); exit_group(127)
    "3: neg eax",
    "shl r13, 32",
    "mov eax, eax",
    "or rax, r13",
    "push rax",
    "mov edi, ebx",
    "mov rsi, rsp",
    "mov edx, 8",
    "mov eax, 1",
    "syscall",
    "4: mov edi, 127",
    "mov eax, 231",
    "syscall",
    "ud2",
    "weft_trampoline_end:",
    ".popsection",
);

#[cfg(target_arch = "aarch64")]
std::arch::global_asm!(
    ".pushsection .rodata.weft_trampoline, \"a\"",
    ".p2align 2",
    ".globl weft_trampoline_start",
    ".globl weft_trampoline_end",
    "weft_trampoline_start:",
    "adr x19, weft_trampoline_start",
    "sub x19, x19, #32",
    "ldr x20, [sp, #8]",
    "ldrb w3, [x20, #1]",
    "ldrb w20, [x20]",
    // Started by somebody else (as /proc/self/exe): nothing to do here.
    "cbnz w3, 4f",
    // prctl(PR_SET_DUMPABLE, 0)
    "mov x0, #4",
    "mov x1, #0",
    "mov x8, #167",
    "svc #0",
    // fcntl(report, F_SETFD, FD_CLOEXEC)
    "mov w0, w20",
    "mov x1, #2",
    "mov x2, #1",
    "mov x8, #25",
    "svc #0",
    "mov x21, #1",
    "ldr x3, [x19, #8]",
    "cbz x3, 2f",
    // seccomp(SECCOMP_SET_MODE_FILTER, flags, &fprog)
    "mov x0, #1",
    "ldr x1, [x19]",
    "add x2, x19, #16",
    "mov x8, #277",
    "svc #0",
    "cbnz x0, 3f",
    // execve(argv[1], &argv[2], envp)
    "2: mov x21, #0",
    "ldr x3, [sp]",
    "ldr x0, [sp, #16]",
    "add x1, sp, #24",
    "add x2, sp, x3, lsl #3",
    "add x2, x2, #16",
    "mov x8, #221",
    "svc #0",
    // write(report, {-result, step}, 8); exit_group(127)
    "3: neg w0, w0",
    "orr x0, x0, x21, lsl #32",
    "str x0, [sp, #-16]!",
    "mov w0, w20",
    "mov x1, sp",
    "mov x2, #8",
    "mov x8, #64",
    "svc #0",
    "4: mov x0, #127",
    "mov x8, #94",
    "svc #0",
    "brk #1",
    "weft_trampoline_end:",
    ".popsection",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_an_errno_and_a_step() {
        let (step, error) = read_report([2, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(step, Step::Execute);
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let (step, _) = read_report([13, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(step, Step::Filter);
    }

    #[test]
    fn the_image_says_its_own_size() {
        let one = Instruction {
            code: 6,
            jt: 0,
            jf: 0,
            k: 0x7fff_0000,
        };
        let bare = image(None).unwrap();
        let filtered = image(Some((&[one], Flags::default()))).unwrap();
        assert!(bare.len() < 512, "{}", bare.len());
        assert_eq!(filtered.len() - bare.len(), 8);
        let size = u64::from_le_bytes(filtered[96..104].try_into().unwrap());
        assert_eq!(size, filtered.len() as u64);
        assert_eq!(
            filtered[filtered.len() - 4..],
            0x7fff_0000_u32.to_le_bytes()
        );
    }
}

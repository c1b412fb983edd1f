//! Calling conventions of this machine, and the numbers they give to system calls.
//!
//! Owns: finding a number by name. Never: what is allowed.

use oci_spec::runtime::Arch;
use weft_sys::seccomp::audit;

#[cfg(any(target_arch = "aarch64", test))]
mod aarch64;
#[cfg(any(target_arch = "x86_64", test))]
mod x86;
#[cfg(any(target_arch = "x86_64", test))]
mod x86_64;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("seccomp: no system call table for this architecture");

/// One calling convention.
#[derive(Debug)]
pub(super) struct Abi {
    /// `AUDIT_ARCH_*`, which the kernel puts into `seccomp_data.arch`.
    pub audit: u32,
    /// From here up numbers belong to another convention that shares `audit` (x32).
    pub end: Option<u32>,
    numbers: &'static [(&'static str, u32)],
    /// Where in `numbers` the names with each first byte start.
    starts: [u16; LETTERS + 1],
}

/// First bytes a name can have: ASCII.
const LETTERS: usize = 128;

impl Abi {
    const fn new(audit: u32, end: Option<u32>, numbers: &'static [(&'static str, u32)]) -> Abi {
        let mut starts = [0; LETTERS + 1];
        let mut name = 0;
        let mut letter = 0;
        while letter <= LETTERS {
            while name < numbers.len() && (numbers[name].0.as_bytes()[0] as usize) < letter {
                name += 1;
            }
            starts[letter] = name as u16;
            letter += 1;
        }
        Abi {
            audit,
            end,
            numbers,
            starts,
        }
    }

    /// The number of the call with this name, if this convention has it.
    pub fn number(&self, name: &str) -> Option<u32> {
        let letter = usize::from(*name.as_bytes().first().filter(|byte| byte.is_ascii())?);
        let range = usize::from(self.starts[letter])..usize::from(self.starts[letter + 1]);
        let names = &self.numbers[range];
        let index = names
            .binary_search_by(|(known, _)| (*known).cmp(name))
            .ok()?;
        Some(names[index].1)
    }
}

/// Bit 30 of the number marks an x32 call (arch/x86/include/uapi/asm/unistd.h).
#[cfg(any(target_arch = "x86_64", test))]
const X32_BIT: u32 = 0x4000_0000;

#[cfg(any(target_arch = "x86_64", test))]
static X86_64: Abi = Abi::new(audit::X86_64, Some(X32_BIT), &x86_64::X86_64);
#[cfg(any(target_arch = "x86_64", test))]
static X86: Abi = Abi::new(audit::X86, None, &x86::X86);
#[cfg(any(target_arch = "aarch64", test))]
static AARCH64: Abi = Abi::new(audit::AARCH64, None, &aarch64::AARCH64);

/// What programs built for this machine use.
#[cfg(target_arch = "x86_64")]
pub(super) static NATIVE: &Abi = &X86_64;
/// What programs built for this machine use.
#[cfg(target_arch = "aarch64")]
pub(super) static NATIVE: &Abi = &AARCH64;

/// The conventions a profile with these `architectures` speaks of: the native one always, 32-bit
/// x86 when it is named on x86_64.
///
/// Others have no table here. Naming them is not an error, because containerd and docker name
/// x32 and 32-bit ARM in every profile; their calls are refused as if they were not named.
pub(super) fn conventions(architectures: &[Arch]) -> Vec<&'static Abi> {
    let named = BY_NAME
        .iter()
        .filter(|(name, _)| architectures.contains(name));
    std::iter::once(NATIVE)
        .chain(named.map(|&(_, abi)| abi))
        .collect()
}

/// Those a profile may add to the native one.
#[cfg(target_arch = "x86_64")]
static BY_NAME: [(Arch, &Abi); 1] = [(Arch::ScmpArchX86, &X86)];
/// Those a profile may add to the native one.
#[cfg(target_arch = "aarch64")]
static BY_NAME: [(Arch, &Abi); 0] = [];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_numbers_unique() {
        for abi in [&X86_64, &X86, &AARCH64] {
            assert!(
                abi.numbers.windows(2).all(|pair| pair[0].0 < pair[1].0),
                "{:x}",
                abi.audit
            );
            let mut numbers: Vec<u32> = abi.numbers.iter().map(|&(_, number)| number).collect();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), abi.numbers.len(), "{:x}", abi.audit);
        }
    }

    #[test]
    fn well_known_numbers() {
        for (name, numbers) in [
            ("read", [Some(0), Some(3), Some(63)]),
            ("execve", [Some(59), Some(11), Some(221)]),
            ("clone3", [Some(435), Some(435), Some(435)]),
            ("io_pgetevents", [Some(333), Some(385), Some(292)]),
            ("socketcall", [None, Some(102), None]),
            ("arch_prctl", [Some(158), Some(384), None]),
            ("mseal", [Some(462), Some(462), Some(462)]),
            ("no_such_call", [None, None, None]),
            ("", [None, None, None]),
            ("\u{e9}", [None, None, None]),
            ("\u{7f}", [None, None, None]),
        ] {
            let found = [&X86_64, &X86, &AARCH64].map(|abi| abi.number(name));
            assert_eq!(found, numbers, "{name}");
        }
    }
}

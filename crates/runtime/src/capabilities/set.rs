//! Sets of capabilities: names, numbers and arithmetic.
//!
//! Never: changing those of a process.

use std::fmt;

use oci_spec::runtime::{Capabilities as OciCapabilities, Capability};
use rustix::thread::{CapabilitySet, capability_is_in_bounding_set};

use super::CapabilityError;

/// In the order of their numbers (linux/capability.h), without `CAP_`.
pub(super) const NAMES: [(&str, Capability); 41] = [
    ("CHOWN", Capability::Chown),
    ("DAC_OVERRIDE", Capability::DacOverride),
    ("DAC_READ_SEARCH", Capability::DacReadSearch),
    ("FOWNER", Capability::Fowner),
    ("FSETID", Capability::Fsetid),
    ("KILL", Capability::Kill),
    ("SETGID", Capability::Setgid),
    ("SETUID", Capability::Setuid),
    ("SETPCAP", Capability::Setpcap),
    ("LINUX_IMMUTABLE", Capability::LinuxImmutable),
    ("NET_BIND_SERVICE", Capability::NetBindService),
    ("NET_BROADCAST", Capability::NetBroadcast),
    ("NET_ADMIN", Capability::NetAdmin),
    ("NET_RAW", Capability::NetRaw),
    ("IPC_LOCK", Capability::IpcLock),
    ("IPC_OWNER", Capability::IpcOwner),
    ("SYS_MODULE", Capability::SysModule),
    ("SYS_RAWIO", Capability::SysRawio),
    ("SYS_CHROOT", Capability::SysChroot),
    ("SYS_PTRACE", Capability::SysPtrace),
    ("SYS_PACCT", Capability::SysPacct),
    ("SYS_ADMIN", Capability::SysAdmin),
    ("SYS_BOOT", Capability::SysBoot),
    ("SYS_NICE", Capability::SysNice),
    ("SYS_RESOURCE", Capability::SysResource),
    ("SYS_TIME", Capability::SysTime),
    ("SYS_TTY_CONFIG", Capability::SysTtyConfig),
    ("MKNOD", Capability::Mknod),
    ("LEASE", Capability::Lease),
    ("AUDIT_WRITE", Capability::AuditWrite),
    ("AUDIT_CONTROL", Capability::AuditControl),
    ("SETFCAP", Capability::Setfcap),
    ("MAC_OVERRIDE", Capability::MacOverride),
    ("MAC_ADMIN", Capability::MacAdmin),
    ("SYSLOG", Capability::Syslog),
    ("WAKE_ALARM", Capability::WakeAlarm),
    ("BLOCK_SUSPEND", Capability::BlockSuspend),
    ("AUDIT_READ", Capability::AuditRead),
    ("PERFMON", Capability::Perfmon),
    ("BPF", Capability::Bpf),
    ("CHECKPOINT_RESTORE", Capability::CheckpointRestore),
];

/// A set of capabilities: bit n is capability number n.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Set(u64);

impl Set {
    /// Nothing.
    pub const EMPTY: Set = Set(0);

    /// What a container has unless told otherwise: Docker's fourteen without NET_RAW, MKNOD,
    /// AUDIT_WRITE and SETFCAP (ping works through `net.ipv4.ping_group_range`).
    pub const DEFAULT: Set = Set::of(&[
        Capability::Chown,
        Capability::DacOverride,
        Capability::Fowner,
        Capability::Fsetid,
        Capability::Kill,
        Capability::NetBindService,
        Capability::Setgid,
        Capability::Setpcap,
        Capability::Setuid,
        Capability::SysChroot,
    ]);

    /// Every capability this version knows by name.
    pub const ALL: Set = Set((1 << NAMES.len()) - 1);

    const fn of(list: &[Capability]) -> Set {
        let mut bits = 0;
        let mut index = 0;
        while index < list.len() {
            bits |= 1 << number(list[index]);
            index += 1;
        }
        Set(bits)
    }

    /// From the specification's set.
    pub fn from_oci(capabilities: &OciCapabilities) -> Set {
        capabilities
            .iter()
            .map(|&capability| Set::single(capability))
            .fold(Set::EMPTY, Set::union)
    }

    /// As the specification's set.
    pub fn to_oci(self) -> OciCapabilities {
        NAMES
            .iter()
            .map(|&(_, capability)| capability)
            .filter(|&it| self.contains(it))
            .collect()
    }

    /// Just this one.
    pub const fn single(capability: Capability) -> Set {
        Set(1 << number(capability))
    }

    /// The one with this name, as docker reads it: any case, with or without `CAP_`.
    pub fn named(name: &str) -> Result<Set, CapabilityError> {
        let upper = name.to_ascii_uppercase();
        let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
        NAMES
            .iter()
            .find(|(known, _)| *known == bare)
            .map(|&(_, capability)| Set::single(capability))
            .ok_or_else(|| CapabilityError::Unknown(name.to_owned()))
    }

    /// What a process of this kernel could have at most: those known by name that the kernel
    /// knows too. In a new user namespace a process has them all.
    pub fn of_kernel() -> Set {
        static KNOWN: std::sync::OnceLock<Set> = std::sync::OnceLock::new();
        *KNOWN.get_or_init(|| Set::filter_known(|set| capability_is_in_bounding_set(set).is_ok()))
    }

    /// The bounding set of the calling thread: the most it can give.
    pub fn bounding() -> Set {
        Set::filter_known(|set| capability_is_in_bounding_set(set).unwrap_or(false))
    }

    fn filter_known(mut keep: impl FnMut(CapabilitySet) -> bool) -> Set {
        Set::ALL
            .numbers()
            .filter(|&bit| keep(bit_of(bit)))
            .fold(Set::EMPTY, |set, bit| Set(set.0 | 1 << bit))
    }

    /// docker's `--cap-add` and `--cap-drop` applied to `self`: drops come first, then adds;
    /// `ALL` added means `all` minus the drops, `ALL` dropped leaves only the adds.
    pub fn adjust(self, add: &[String], drop: &[String], all: Set) -> Result<Set, CapabilityError> {
        let (adds, adds_all) = parse_list(add)?;
        let (drops, drops_all) = parse_list(drop)?;
        Ok(if adds_all {
            all.without(drops)
        } else if drops_all {
            adds
        } else {
            self.without(drops).union(adds)
        })
    }

    /// Whether `capability` is in it.
    pub const fn contains(self, capability: Capability) -> bool {
        self.0 & (1 << number(capability)) != 0
    }

    /// Whether all of `other` is in it.
    pub const fn covers(self, other: Set) -> bool {
        other.0 & !self.0 == 0
    }

    /// Whether it is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in either.
    pub const fn union(self, other: Set) -> Set {
        Set(self.0 | other.0)
    }

    /// What is in both.
    pub const fn intersection(self, other: Set) -> Set {
        Set(self.0 & other.0)
    }

    /// What is in it and not in `other`.
    pub const fn without(self, other: Set) -> Set {
        Set(self.0 & !other.0)
    }

    /// Bit n is capability number n, as in `/proc/PID/status`.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The names with `CAP_`, in the order of their numbers.
    pub fn names(self) -> Vec<String> {
        self.numbers()
            .map(|bit| format!("CAP_{}", NAMES[bit as usize].0))
            .collect()
    }

    pub(super) fn numbers(self) -> impl Iterator<Item = u32> {
        (0..NAMES.len() as u32).filter(move |bit| self.0 & (1 << bit) != 0)
    }

    pub(super) fn kernel(self) -> CapabilitySet {
        CapabilitySet::from_bits_retain(self.0)
    }
}

impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().join(", "))
    }
}

/// The kernel's number (linux/capability.h).
const fn number(capability: Capability) -> u32 {
    let mut bit = 0;
    while bit < NAMES.len() {
        if NAMES[bit].1 as u8 == capability as u8 {
            return bit as u32;
        }
        bit += 1;
    }
    panic!("every capability of the specification has a line in NAMES")
}

pub(super) const fn bit_of(bit: u32) -> CapabilitySet {
    CapabilitySet::from_bits_retain(1 << bit)
}

fn parse_list(names: &[String]) -> Result<(Set, bool), CapabilityError> {
    let mut set = Set::EMPTY;
    let mut all = false;
    for name in names {
        if name.eq_ignore_ascii_case("ALL") || name.eq_ignore_ascii_case("CAP_ALL") {
            all = true;
        } else {
            set = set.union(Set::named(name)?);
        }
    }
    Ok((set, all))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    fn adjusted(add: &[&str], drop: &[&str]) -> Vec<String> {
        Set::DEFAULT
            .adjust(&names(add), &names(drop), Set::ALL)
            .unwrap()
            .names()
    }

    #[test]
    fn the_numbers_are_the_kernels() {
        assert_eq!(Set::single(Capability::Chown).bits(), 1);
        assert_eq!(Set::single(Capability::SysAdmin).bits(), 1 << 21);
        assert_eq!(Set::single(Capability::CheckpointRestore).bits(), 1 << 40);
        for (name, capability) in NAMES {
            assert_eq!(capability.to_string(), name);
        }
    }

    #[test]
    fn a_name_is_read_in_any_case_with_or_without_prefix() {
        for name in [
            "NET_RAW",
            "net_raw",
            "CAP_NET_RAW",
            "cap_net_raw",
            "Cap_Net_Raw",
        ] {
            assert_eq!(
                Set::named(name).unwrap(),
                Set::single(Capability::NetRaw),
                "{name}"
            );
        }
        for name in ["", "CAP_", "NET RAW", "CAP_CAP_NET_RAW", "42"] {
            assert!(matches!(Set::named(name), Err(CapabilityError::Unknown(n)) if n == name));
        }
    }

    #[test]
    fn the_default_set_lacks_what_docker_gives_and_few_need() {
        let default = Set::DEFAULT.names();
        assert_eq!(default.len(), 10);
        for absent in ["CAP_NET_RAW", "CAP_MKNOD", "CAP_AUDIT_WRITE", "CAP_SETFCAP"] {
            assert!(!default.contains(&absent.to_owned()), "{absent}");
        }
    }

    #[test]
    fn adds_and_drops_are_dockers() {
        assert_eq!(adjusted(&[], &[]), Set::DEFAULT.names());
        assert_eq!(adjusted(&["NET_ADMIN"], &["ALL"]), ["CAP_NET_ADMIN"]);
        assert_eq!(adjusted(&[], &["all"]), [""; 0]);
        assert!(!adjusted(&[], &["CHOWN"]).contains(&"CAP_CHOWN".to_owned()));
        assert!(adjusted(&["CHOWN"], &["CHOWN"]).contains(&"CAP_CHOWN".to_owned()));
        let all_but = adjusted(&["ALL"], &["SYS_ADMIN"]);
        assert_eq!(all_but.len(), 40);
        assert_eq!(adjusted(&["ALL"], &["ALL"]).len(), 41);
    }

    #[test]
    fn adding_an_unknown_capability_names_it() {
        let error = Set::DEFAULT
            .adjust(&names(&["FLY"]), &[], Set::ALL)
            .unwrap_err();
        assert_eq!(error.to_string(), "unknown capability \"FLY\"");
    }

    #[test]
    fn the_specifications_set_goes_both_ways() {
        assert_eq!(Set::from_oci(&Set::ALL.to_oci()), Set::ALL);
        assert_eq!(Set::from_oci(&Set::DEFAULT.to_oci()), Set::DEFAULT);
    }
}

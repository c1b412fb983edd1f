//! Capabilities: which ones a process gets, and giving up the others.
//!
//! Owns: names and bits (capabilities(7)), the default set, docker's `--cap-add`/`--cap-drop`
//! arithmetic, and the order in which a process drops its capabilities while it changes its user.
//! Never: user and group changes themselves (the caller's), or deciding who is privileged.

use std::fmt;
use std::io;

use oci_spec::runtime::{Capabilities as OciCapabilities, Capability, LinuxCapabilities};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capability_is_in_bounding_set, clear_ambient_capability_set,
    configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities,
    set_keep_capabilities,
};

/// In the order of their numbers (linux/capability.h), without `CAP_`.
const NAMES: [(&str, Capability); 41] = [
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

/// What went wrong with capabilities.
#[derive(Debug, thiserror::Error)]
pub enum CapabilityError {
    /// A name that no capability has.
    #[error("unknown capability {0:?}")]
    Unknown(String),
    /// The set asked for is not ours to give.
    #[error(
        "give the process {missing}: not in this process's own bounding set; leave them out, or \
         run weft with them"
    )]
    Unavailable {
        /// What is asked for and not there.
        missing: Set,
    },
    /// The kernel refused a step.
    #[error("{step}")]
    Kernel {
        /// What was tried.
        step: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The caller's change of user and groups failed.
    #[error("change to the user and groups of the process")]
    Identity(#[source] io::Error),
}

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
        Set::filter_known(|set| capability_is_in_bounding_set(set).is_ok())
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

    fn numbers(self) -> impl Iterator<Item = u32> {
        (0..NAMES.len() as u32).filter(move |bit| self.0 & (1 << bit) != 0)
    }

    fn kernel(self) -> CapabilitySet {
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

const fn bit_of(bit: u32) -> CapabilitySet {
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

/// The five sets of a process (capabilities(7)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sets {
    /// Nothing it executes can ever have more.
    pub bounding: Set,
    /// What counts in permission checks.
    pub effective: Set,
    /// What it may make effective.
    pub permitted: Set,
    /// Kept over execve by files that ask for it. Empty by default (CVE-2022-29162 class).
    pub inheritable: Set,
    /// Kept over execve without asking. Empty by default.
    pub ambient: Set,
}

impl Sets {
    /// `set` as bounding, effective and permitted; nothing inheritable or ambient.
    pub const fn plain(set: Set) -> Sets {
        Sets {
            bounding: set,
            effective: set,
            permitted: set,
            inheritable: Set::EMPTY,
            ambient: Set::EMPTY,
        }
    }

    /// As the specification has it; an absent set is empty.
    pub fn from_oci(capabilities: &LinuxCapabilities) -> Sets {
        let set = |set: &Option<OciCapabilities>| set.as_ref().map_or(Set::EMPTY, Set::from_oci);
        Sets {
            bounding: set(capabilities.bounding()),
            effective: set(capabilities.effective()),
            permitted: set(capabilities.permitted()),
            inheritable: set(capabilities.inheritable()),
            ambient: set(capabilities.ambient()),
        }
    }
}

/// Gives the calling thread exactly `sets`, with `become_user` (groups, gid, uid) in the middle.
///
/// ```text
/// bounding set (needs SETPCAP) → keep capabilities over setuid → become_user
///     → effective, permitted, inheritable → ambient → stop keeping
/// ```
/// What `sets` asks for beyond our own bounding set is an error that names it; nothing has been
/// changed then. On any other error the thread has an undefined mix and must not go on.
pub fn apply(
    sets: &Sets,
    become_user: impl FnOnce() -> io::Result<()>,
) -> Result<(), CapabilityError> {
    let own = Set::bounding();
    let wanted = sets
        .bounding
        .union(sets.permitted)
        .union(sets.effective)
        .union(sets.inheritable);
    if !own.covers(wanted) {
        return Err(CapabilityError::Unavailable {
            missing: wanted.without(own),
        });
    }
    drop_bounding(own.without(sets.bounding))?;
    set_keep_capabilities(true).map_err(|e| failed("keep capabilities over setuid", e))?;
    become_user().map_err(CapabilityError::Identity)?;
    let kernel = CapabilitySets {
        effective: sets.effective.kernel(),
        permitted: sets.permitted.kernel(),
        inheritable: sets.inheritable.kernel(),
    };
    set_capabilities(None, kernel)
        .map_err(|e| failed("set effective, permitted and inheritable capabilities", e))?;
    clear_ambient_capability_set().map_err(|e| failed("clear ambient capabilities", e))?;
    for bit in sets.ambient.numbers() {
        configure_capability_in_ambient_set(bit_of(bit), true)
            .map_err(|e| failed(&format!("raise ambient CAP_{}", NAMES[bit as usize].0), e))?;
    }
    set_keep_capabilities(false).map_err(|e| failed("stop keeping capabilities over setuid", e))
}

/// Capabilities newer than [`Set::ALL`] are dropped too: the kernel knows them, we do not.
fn drop_bounding(unwanted: Set) -> Result<(), CapabilityError> {
    let newer = (NAMES.len() as u32..u64::BITS)
        .take_while(|&bit| capability_is_in_bounding_set(bit_of(bit)).is_ok());
    for bit in unwanted.numbers().chain(newer) {
        remove_capability_from_bounding_set(bit_of(bit))
            .map_err(|e| failed(&format!("drop capability {bit} from the bounding set"), e))?;
    }
    Ok(())
}

fn failed(step: &str, error: rustix::io::Errno) -> CapabilityError {
    CapabilityError::Kernel {
        step: step.to_owned(),
        source: error.into(),
    }
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

    #[test]
    fn our_own_bounding_set_is_what_proc_says() {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("CapBnd:"))
            .unwrap();
        let bits = u64::from_str_radix(line.trim(), 16).unwrap();
        assert_eq!(Set::bounding().bits(), bits & Set::ALL.bits());
        assert!(Set::of_kernel().covers(Set::bounding()));
    }

    /// Capabilities are per thread, so a thread of its own can try this for real.
    fn status_after(sets: Sets, become_user: fn() -> io::Result<()>) -> Result<[u64; 5], String> {
        std::thread::spawn(move || {
            apply(&sets, become_user).map_err(|error| error.to_string())?;
            let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            Ok(
                ["CapBnd:", "CapEff:", "CapPrm:", "CapInh:", "CapAmb:"].map(|key| {
                    let line = status
                        .lines()
                        .find_map(|line| line.strip_prefix(key))
                        .unwrap();
                    u64::from_str_radix(line.trim(), 16).unwrap()
                }),
            )
        })
        .join()
        .unwrap()
    }

    #[test]
    fn root_gets_exactly_the_sets_asked_for() {
        let bits = Set::DEFAULT.bits();
        let got = status_after(Sets::plain(Set::DEFAULT), || Ok(())).unwrap();
        assert_eq!(got, [bits, bits, bits, 0, 0]);
    }

    #[test]
    fn another_user_keeps_its_capabilities_over_the_change() {
        let wanted = Set::single(Capability::NetBindService);
        let sets = Sets {
            inheritable: wanted,
            ambient: wanted,
            ..Sets::plain(wanted)
        };
        let got = status_after(sets, || weft_sys::process::set_user(12_345)).unwrap();
        assert_eq!(got, [wanted.bits(); 5]);
    }

    #[test]
    fn what_we_do_not_have_is_named() {
        let error = std::thread::spawn(|| {
            apply(&Sets::plain(Set::EMPTY), || Ok(())).unwrap();
            apply(&Sets::plain(Set::single(Capability::SysAdmin)), || Ok(())).unwrap_err()
        })
        .join()
        .unwrap();
        assert!(
            error
                .to_string()
                .starts_with("give the process CAP_SYS_ADMIN: not in"),
            "{error}"
        );
    }
}

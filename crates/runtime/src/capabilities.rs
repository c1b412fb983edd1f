//! Capabilities: which ones a process gets, and giving up the others.
//!
//! Owns: names and bits (capabilities(7)), the default set, docker's `--cap-add`/`--cap-drop`
//! arithmetic, and the order in which a process drops its capabilities while it changes its user.
//! Never: user and group changes themselves (the caller's), or deciding who is privileged.

mod set;

use std::io;

use oci_spec::runtime::{Capabilities as OciCapabilities, LinuxCapabilities};
use rustix::thread::{
    CapabilitySets, capability_is_in_bounding_set, clear_ambient_capability_set,
    configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities,
    set_keep_capabilities,
};
use set::{NAMES, bit_of};

pub use set::Set;

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
    use oci_spec::runtime::Capability;

    use super::*;

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

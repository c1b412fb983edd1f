//! Device control: which device nodes the processes of a cgroup may make and open.
//!
//! Owns: the meaning of the specification's device rules, the default allow-list, and the eBPF
//! program that decides. Never: making device nodes, or the cgroup itself.
//!
//! The last rule that speaks of a device and an access decides, for each access by itself: `deny
//! w` after `allow rwm` leaves `rm`. What no rule speaks of is denied.

mod program;

use std::io;
use std::os::fd::AsFd;
use std::sync::OnceLock;

use oci_spec::runtime::{
    LinuxDeviceCgroup, LinuxDeviceCgroupBuilder, LinuxDeviceType, LinuxResources,
};
use weft_sys::bpf::{self, Instruction, Program};

/// Most rules of one container; beyond it the program would grow past what is worth checking on
/// every open.
const MAX_RULES: usize = 1024;

/// Kinds of access, as the kernel numbers them (`BPF_DEVCG_ACC_*`, linux/bpf.h).
const MAKE: u32 = 1;
const READ: u32 = 2;
const WRITE: u32 = 4;
const EVERYTHING: u32 = MAKE | READ | WRITE;

/// Why device control cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// A rule that cannot be meant.
    #[error("device rule {rule}: {reason}")]
    Rule {
        /// The rule as given.
        rule: String,
        /// What is wrong with it.
        reason: String,
    },
    /// More rules than [`MAX_RULES`].
    #[error("{0} device rules: at most {MAX_RULES} are taken")]
    TooMany(usize),
    /// The kernel refused the program; nothing is allowed to run without it.
    #[error(
        "{step} the device filter of a cgroup: it needs CONFIG_CGROUP_BPF and CAP_SYS_ADMIN in \
         the initial user namespace"
    )]
    Kernel {
        /// `load`, `attach` or `detach`.
        step: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// A checked list of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The last first; later ones are not reached for what an earlier one decided.
    rules: Vec<Rule>,
}

/// One rule; `None` is "any".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rule {
    allow: bool,
    kind: Option<Kind>,
    major: Option<u32>,
    minor: Option<u32>,
    access: u32,
}

/// As the kernel numbers them (`BPF_DEVCG_DEV_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Block = 1,
    Char = 2,
}

/// The rules for a container that was not given any: null, zero, full, random, urandom, tty,
/// console, ptmx and pseudo-terminals; mknod of anything, which alone opens nothing.
pub fn default_rules() -> Vec<LinuxDeviceCgroup> {
    let char = LinuxDeviceType::C;
    let mut rules = vec![
        rule(false, LinuxDeviceType::A, None, None, "rwm"),
        rule(true, char, None, None, "m"),
        rule(true, LinuxDeviceType::B, None, None, "m"),
    ];
    let memory = [3, 5, 7, 8, 9].map(|minor| rule(true, char, Some(1), Some(minor), "rwm"));
    let terminals = [0, 1, 2].map(|minor| rule(true, char, Some(5), Some(minor), "rwm"));
    rules.extend(memory);
    rules.extend(terminals);
    rules.push(rule(true, char, Some(136), None, "rwm"));
    rules
}

fn rule(
    allow: bool,
    kind: LinuxDeviceType,
    major: Option<i64>,
    minor: Option<i64>,
    access: &str,
) -> LinuxDeviceCgroup {
    let mut builder = LinuxDeviceCgroupBuilder::default()
        .allow(allow)
        .typ(kind)
        .access(access);
    if let Some(major) = major {
        builder = builder.major(major);
    }
    if let Some(minor) = minor {
        builder = builder.minor(minor);
    }
    builder.build().expect("every field has a default")
}

impl Filter {
    /// Checks `rules`, given in the order in which they are to take effect.
    pub fn of(rules: &[LinuxDeviceCgroup]) -> Result<Filter, DeviceError> {
        if rules.len() > MAX_RULES {
            return Err(DeviceError::TooMany(rules.len()));
        }
        let mut kept: Vec<Rule> = Vec::new();
        for rule in rules.iter().rev() {
            let rule = Rule::of(rule)?;
            // Nothing before a rule for everything is ever asked.
            let unreachable = kept.iter().any(|later| later.covers(&rule));
            if !unreachable {
                kept.push(rule);
            }
        }
        Ok(Filter { rules: kept })
    }

    /// The filter of `resources`, if they have device rules.
    pub fn of_resources(resources: &LinuxResources) -> Result<Option<Filter>, DeviceError> {
        match resources.devices().as_deref() {
            None | Some([]) => Ok(None),
            Some(rules) => Filter::of(rules).map(Some),
        }
    }

    /// Whether it lets everything through.
    pub fn allows_everything(&self) -> bool {
        matches!(self.rules.as_slice(), [first, ..] if first.allow && first.is_total())
    }

    /// The program for `BPF_CGROUP_DEVICE`.
    pub fn program(&self) -> Vec<Instruction> {
        program::generate(&self.rules)
    }

    /// Makes this filter the one in force on `cgroup`, replacing what was attached to it, without
    /// a moment in between in which less is denied than before and after.
    pub fn attach(&self, cgroup: impl AsFd) -> Result<(), DeviceError> {
        let failed = |step| move |source| DeviceError::Kernel { step, source };
        if self.allows_everything() {
            return bpf::detach_device_programs(cgroup)
                .map(drop)
                .map_err(failed("detach"));
        }
        let loaded;
        let shared = (self == default_filter()).then(default_program);
        let program = match shared.flatten() {
            Some(program) => program,
            None => {
                loaded = bpf::load_device_program(&self.program()).map_err(failed("load"))?;
                &loaded
            }
        };
        bpf::attach_device_program(cgroup, program).map_err(failed("attach"))
    }
}

/// The program of [`default_rules`], loaded once in a process and shared with what is forked from
/// it: the kernel takes half a millisecond to check one. `None` if it can't be loaded.
pub(crate) fn default_program() -> Option<&'static Program> {
    static LOADED: OnceLock<Option<Program>> = OnceLock::new();
    let load = || bpf::load_device_program(&default_filter().program()).ok();
    LOADED.get_or_init(load).as_ref()
}

fn default_filter() -> &'static Filter {
    static FILTER: OnceLock<Filter> = OnceLock::new();
    FILTER.get_or_init(|| Filter::of(&default_rules()).expect("our own rules are well formed"))
}

impl Rule {
    fn of(rule: &LinuxDeviceCgroup) -> Result<Rule, DeviceError> {
        let refuse = |reason: String| DeviceError::Rule {
            rule: rule.to_string(),
            reason,
        };
        let number = |name: &str, value: Option<i64>| match value {
            // -1 is how runc's callers write "any".
            None | Some(-1) => Ok(None),
            Some(value) => u32::try_from(value)
                .map(Some)
                .map_err(|_| refuse(format!("{value} is no {name} number"))),
        };
        let kind = match rule.typ().unwrap_or(LinuxDeviceType::A) {
            LinuxDeviceType::A => None,
            LinuxDeviceType::B => Some(Kind::Block),
            LinuxDeviceType::C | LinuxDeviceType::U => Some(Kind::Char),
            LinuxDeviceType::P => return Err(refuse("a FIFO is no device".to_owned())),
        };
        Ok(Rule {
            allow: rule.allow(),
            kind,
            major: number("major", rule.major())?,
            minor: number("minor", rule.minor())?,
            access: access(rule.access().as_deref().unwrap_or("rwm")).map_err(refuse)?,
        })
    }

    fn is_total(&self) -> bool {
        *self
            == Rule {
                kind: None,
                major: None,
                minor: None,
                access: EVERYTHING,
                ..*self
            }
    }

    /// Whether `earlier` never gets a say because this rule comes after it.
    fn covers(&self, earlier: &Rule) -> bool {
        (self.kind.is_none() || self.kind == earlier.kind)
            && (self.major.is_none() || self.major == earlier.major)
            && (self.minor.is_none() || self.minor == earlier.minor)
            && earlier.access & !self.access == 0
    }
}

fn access(text: &str) -> Result<u32, String> {
    let mut access = 0;
    for letter in text.chars() {
        access |= match letter {
            'r' => READ,
            'w' => WRITE,
            'm' => MAKE,
            other => return Err(format!("{other:?} is no access: r, w and m are")),
        };
    }
    if access == 0 {
        Err("it names no access".to_owned())
    } else {
        Ok(access)
    }
}

#[cfg(test)]
mod tests;

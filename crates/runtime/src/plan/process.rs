//! Lowering of the process of a specification, for create and exec alike.
//!
//! Never: looks at users, groups or programs of an image; ids are numbers here.

use oci_spec::runtime::{LinuxCapabilities, PosixRlimitType, Process};

use super::{Limit, ProcessPlan, Refused, kernel_string, refuse_some};
use crate::capabilities::Sets;

/// Lowers `process`, or says everything that stands against it.
pub fn lower_process(process: &Process) -> Result<ProcessPlan, Refused> {
    let mut reasons = Vec::new();
    let plan = lower(process, &mut reasons);
    if reasons.is_empty() {
        Ok(plan)
    } else {
        Err(Refused { reasons })
    }
}

pub(super) fn lower(process: &Process, reasons: &mut Vec<String>) -> ProcessPlan {
    refuse_unsupported(process, reasons);
    let arguments = process.args().as_deref().unwrap_or_default();
    if arguments.first().is_none_or(String::is_empty) {
        reasons.push("process.args names no program".to_owned());
    }
    let cwd = process.cwd();
    if !cwd.is_absolute() {
        reasons.push(format!("process.cwd {:?} is not an absolute path", cwd));
    }
    let user = process.user();
    for (field, id) in [("uid", user.uid()), ("gid", user.gid())] {
        // The kernel reads it as "leave unchanged".
        if id == u32::MAX {
            reasons.push(format!("process.user.{field} 4294967295 is not an id"));
        }
    }
    let oom_score_adj = process.oom_score_adj();
    if oom_score_adj.is_some_and(|score| !(-1000..=1000).contains(&score)) {
        reasons.push("process.oomScoreAdj is not within -1000 and 1000".to_owned());
    }
    let environment = process.env().as_deref().unwrap_or_default();
    ProcessPlan {
        terminal: process.terminal().unwrap_or(false),
        size: process.console_size().map(|size| {
            let cells = |value: u64| u16::try_from(value).unwrap_or(u16::MAX);
            (cells(size.height()), cells(size.width()))
        }),
        uid: user.uid(),
        gid: user.gid(),
        groups: user.additional_gids().clone().unwrap_or_default(),
        umask: user.umask(),
        arguments: arguments
            .iter()
            .map(|argument| kernel_string(reasons, "process.args", argument))
            .collect(),
        environment: environment
            .iter()
            .map(|variable| kernel_string(reasons, "process.env", variable))
            .collect(),
        cwd: cwd.clone(),
        capabilities: process.capabilities().as_ref().map(sets),
        limits: limits(process, reasons),
        no_new_privileges: process.no_new_privileges().unwrap_or(false),
        oom_score_adj,
    }
}

/// A capability can only be ambient if it is permitted and inheritable (capabilities(7)); runc's
/// own template names ambient ones that are not, and means none.
fn sets(capabilities: &LinuxCapabilities) -> Sets {
    let mut sets = Sets::from_oci(capabilities);
    for other in [sets.permitted, sets.inheritable] {
        sets.ambient = sets.ambient.intersection(other);
    }
    sets
}

fn refuse_unsupported(process: &Process, reasons: &mut Vec<String>) {
    let named = |value: &Option<String>| value.as_ref().filter(|value| !value.is_empty()).cloned();
    let apparmor = named(process.apparmor_profile()).filter(|name| name != "unconfined");
    refuse_some(reasons, "process.apparmorProfile", apparmor.as_ref());
    let selinux = named(process.selinux_label());
    refuse_some(reasons, "process.selinuxLabel", selinux.as_ref());
    refuse_some(
        reasons,
        "process.ioPriority",
        process.io_priority().as_ref(),
    );
    refuse_some(reasons, "process.scheduler", process.scheduler().as_ref());
    refuse_some(
        reasons,
        "process.execCPUAffinity",
        process.exec_cpu_affinity().as_ref(),
    );
    refuse_some(
        reasons,
        "process.commandLine",
        process.command_line().as_ref(),
    );
}

fn limits(process: &Process, reasons: &mut Vec<String>) -> Vec<Limit> {
    let mut limits: Vec<Limit> = Vec::new();
    for limit in process.rlimits().iter().flatten() {
        let (name, resource) = resource(limit.typ());
        if limits.iter().any(|other| other.resource == resource) {
            reasons.push(format!("process.rlimits has {name} twice"));
        }
        if limit.soft() > limit.hard() {
            reasons.push(format!(
                "process.rlimits: {name} is softly above its hard limit"
            ));
        }
        limits.push(Limit {
            name,
            resource,
            soft: limit.soft(),
            hard: limit.hard(),
        });
    }
    limits
}

/// Names and numbers of asm-generic/resource.h.
fn resource(kind: PosixRlimitType) -> (&'static str, u32) {
    match kind {
        PosixRlimitType::RlimitCpu => ("RLIMIT_CPU", 0),
        PosixRlimitType::RlimitFsize => ("RLIMIT_FSIZE", 1),
        PosixRlimitType::RlimitData => ("RLIMIT_DATA", 2),
        PosixRlimitType::RlimitStack => ("RLIMIT_STACK", 3),
        PosixRlimitType::RlimitCore => ("RLIMIT_CORE", 4),
        PosixRlimitType::RlimitRss => ("RLIMIT_RSS", 5),
        PosixRlimitType::RlimitNproc => ("RLIMIT_NPROC", 6),
        PosixRlimitType::RlimitNofile => ("RLIMIT_NOFILE", 7),
        PosixRlimitType::RlimitMemlock => ("RLIMIT_MEMLOCK", 8),
        PosixRlimitType::RlimitAs => ("RLIMIT_AS", 9),
        PosixRlimitType::RlimitLocks => ("RLIMIT_LOCKS", 10),
        PosixRlimitType::RlimitSigpending => ("RLIMIT_SIGPENDING", 11),
        PosixRlimitType::RlimitMsgqueue => ("RLIMIT_MSGQUEUE", 12),
        PosixRlimitType::RlimitNice => ("RLIMIT_NICE", 13),
        PosixRlimitType::RlimitRtprio => ("RLIMIT_RTPRIO", 14),
        PosixRlimitType::RlimitRttime => ("RLIMIT_RTTIME", 15),
    }
}

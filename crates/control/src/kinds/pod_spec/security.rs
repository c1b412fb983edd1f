//! Rules for who a container is and what it may do.

use std::collections::BTreeSet;

use super::super::rules::{Mistakes, Spot};

/// Ids of users and groups.
const ID: &str = "must be between 0 and 2147483647, inclusive";
const SYSCTL: &str = "must have at most 253 characters and match regex \
                      ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
const SYSCTL_MAX: usize = 253;

fn id(mistakes: &mut Mistakes, at: &Spot<'_, '_>) {
    mistakes.within(at, 0..=i64::from(i32::MAX), ID);
}

/// A pod's.
pub(super) fn pod(mistakes: &mut Mistakes, spec: &Spot<'_, '_>) {
    let context = spec.at("securityContext");
    for name in ["runAsUser", "runAsGroup", "fsGroup"] {
        id(mistakes, &context.at(name));
    }
    for group in context.at("supplementalGroups").items() {
        id(mistakes, &group);
    }
    let change = context.at("fsGroupChangePolicy");
    mistakes.one_of(&change, &["Always", "OnRootMismatch"]);
    mistakes.one_of(
        &context.at("supplementalGroupsPolicy"),
        &["Merge", "Strict"],
    );
    mistakes.one_of(
        &context.at("seLinuxChangePolicy"),
        &["MountOption", "Recursive"],
    );
    profiles(mistakes, &context);
    sysctls(mistakes, spec, &context.at("sysctls"));
    if spec.at("shareProcessNamespace").is_true() && spec.at("hostPID").is_true() {
        let why = "ShareProcessNamespace and HostPID cannot both be enabled";
        mistakes.invalid(&spec.at("shareProcessNamespace"), why);
    }
    for name in ["hostNetwork", "hostPID", "hostIPC"] {
        if spec.at("hostUsers").is_false() && spec.at(name).is_true() {
            mistakes.forbidden(&spec.at(name), "when `hostUsers` is false");
        }
    }
}

fn sysctls(mistakes: &mut Mistakes, spec: &Spot<'_, '_>, list: &Spot<'_, '_>) {
    let mut seen = BTreeSet::new();
    for sysctl in list.items() {
        let name = sysctl.at("name");
        mistakes.must_be_name(&name, sysctl_name);
        let plain = name.text().replace('/', ".");
        let of_net = plain.starts_with("net.");
        let of_ipc = ["kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue."];
        if of_net && spec.at("hostNetwork").is_true() {
            mistakes.invalid(&name, "may not be specified when 'hostNetwork' is true");
        }
        let of_ipc = of_ipc.iter().any(|prefix| plain.starts_with(prefix));
        if of_ipc && spec.at("hostIPC").is_true() {
            mistakes.invalid(&name, "may not be specified when 'hostIPC' is true");
        }
        if !seen.insert(plain) {
            mistakes.duplicate(&name);
        }
    }
}

fn sysctl_name(name: &str) -> Result<(), &'static str> {
    let edge = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let inner = |c: u8| edge(c) || matches!(c, b'-' | b'_');
    let is_part = |part: &str| match part.as_bytes() {
        [] => false,
        [first, .., last] => edge(*first) && edge(*last) && part.bytes().all(inner),
        [only] => edge(*only),
    };
    if name.len() <= SYSCTL_MAX && name.split(['.', '/']).all(is_part) {
        Ok(())
    } else {
        Err(SYSCTL)
    }
}

/// A container's.
pub(super) fn container(mistakes: &mut Mistakes, context: &Spot<'_, '_>) {
    id(mistakes, &context.at("runAsUser"));
    id(mistakes, &context.at("runAsGroup"));
    mistakes.one_of(&context.at("procMount"), &["Default", "Unmasked"]);
    profiles(mistakes, context);
    let escalation = context.at("allowPrivilegeEscalation");
    if escalation.is_false() {
        if context.at("privileged").is_true() {
            let why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            mistakes.invalid(context, why);
        }
        let capabilities = context.at("capabilities");
        let added = capabilities.at("add");
        if added.items().any(|one| one.text() == "CAP_SYS_ADMIN") {
            let why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` \
                       CAP_SYS_ADMIN";
            mistakes.invalid(context, why);
        }
    }
}

fn profiles(mistakes: &mut Mistakes, context: &Spot<'_, '_>) {
    for name in ["seccompProfile", "appArmorProfile"] {
        let profile = context.at(name);
        if !profile.is_some() {
            continue;
        }
        let (kind, local) = (profile.at("type"), profile.at("localhostProfile"));
        mistakes.must_be_one_of(&kind, &["Localhost", "RuntimeDefault", "Unconfined"]);
        if kind.text() == "Localhost" {
            mistakes.must_be(&local, "must be set when seccomp type is Localhost");
            descending(mistakes, &local);
        } else if local.is_some() {
            mistakes.invalid(&local, "can only be set when type is Localhost");
        }
    }
}

/// A path that stays below where it begins.
pub(super) fn descending(mistakes: &mut Mistakes, at: &Spot<'_, '_>) {
    if at.text().starts_with('/') {
        mistakes.invalid(at, "must be a relative path");
    }
    no_way_up(mistakes, at);
}

/// A path without `..`.
pub(super) fn no_way_up(mistakes: &mut Mistakes, at: &Spot<'_, '_>) {
    if at.text().split('/').any(|part| part == "..") {
        mistakes.invalid(at, "must not contain '..'");
    }
}

//! Kernel parameters: which of them belong to a namespace, and to which.
//!
//! Never: parameters of the whole machine.

use oci_spec::runtime::Linux;
use weft_sys::namespace::Kind;

use super::{Namespaces, Sysctl};

/// A parameter no container can have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SysctlError {
    /// Not a name, or a value of several lines.
    #[error("{0:?} is malformed")]
    Malformed(String),
    /// Not of any namespace.
    #[error("{0} belongs to the whole machine: it can be set on the host only")]
    OfMachine(String),
}

/// What `key` (`net.ipv4.ip_forward`, or with slashes) names, and the kind of namespace it is of.
///
/// # Errors
/// It is malformed or of no namespace.
pub fn read(key: &str, value: &str) -> Result<(Sysctl, Kind), SysctlError> {
    // With slashes, dots are parts of names, as in sysctl(8).
    let path = if key.contains('/') {
        key.to_owned()
    } else {
        key.replace('.', "/")
    };
    let plain = path.split('/').all(|name| {
        !matches!(name, "" | "." | "..")
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    });
    if !plain || value.contains(['\0', '\n']) {
        return Err(SysctlError::Malformed(key.to_owned()));
    }
    let kind = match path.as_str() {
        "kernel/msgmax"
        | "kernel/msgmnb"
        | "kernel/msgmni"
        | "kernel/sem"
        | "kernel/shmall"
        | "kernel/shmmax"
        | "kernel/shmmni"
        | "kernel/shm_rmid_forced" => Kind::Ipc,
        "kernel/domainname" => Kind::Uts,
        path if path.starts_with("fs/mqueue/") => Kind::Ipc,
        path if path.starts_with("net/") => Kind::Network,
        _ => return Err(SysctlError::OfMachine(key.to_owned())),
    };
    let sysctl = Sysctl {
        path: path.into(),
        value: value.to_owned(),
    };
    Ok((sysctl, kind))
}

/// Only parameters that belong to a namespace the container does not share with the host.
pub(super) fn lower(
    linux: &Linux,
    namespaces: &Namespaces,
    joined: &[Kind],
    reasons: &mut Vec<String>,
) -> Vec<Sysctl> {
    let own = |kind: Kind| {
        namespaces.new.contains(kind)
            || joined.contains(&kind)
            || namespaces.join.iter().any(|(other, _)| *other == kind)
    };
    let mut sysctls = Vec::new();
    for (key, value) in linux.sysctl().iter().flatten() {
        match read(key, value) {
            Ok((sysctl, kind)) if own(kind) => sysctls.push(sysctl),
            Ok((_, kind)) => reasons.push(format!(
                "linux.sysctl: {key} needs a {} namespace of the container's own",
                kind.file_name()
            )),
            Err(error) => reasons.push(format!("linux.sysctl: {error}")),
        }
    }
    sysctls.sort_by(|a, b| a.path.cmp(&b.path));
    sysctls
}

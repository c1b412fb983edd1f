//! Privileges and namespaces: capabilities, `SecurityOpt`, the `*Mode` members.
//!
//! What is not said stays at the engine's secure default.

use weft_api::docker::HostConfig;
use weft_engine::spec::{Ipc, Seccomp, Security, Sharing};

use super::Refusals;

/// Everything in `HostConfig` that widens or narrows what the workload may do.
pub fn security(no: &mut Refusals, host: &HostConfig) -> Security {
    let mut security = Security {
        privileged: host.privileged,
        cap_add: capabilities(no, "CapAdd", &host.cap_add),
        cap_drop: capabilities(no, "CapDrop", &host.cap_drop),
        read_only_rootfs: host.readonly_rootfs,
        userns_host: match host.userns_mode.as_str() {
            "" | "private" => false,
            "host" => true,
            other => {
                no.unsupported(format!("HostConfig.UsernsMode '{other}'"));
                false
            }
        },
        pid: sharing(no, "PidMode", &host.pid_mode, &["private"], true),
        ipc: ipc(no, &host.ipc_mode),
        uts: sharing(no, "UTSMode", &host.uts_mode, &["private"], false),
        cgroup: sharing(no, "CgroupnsMode", &host.cgroupns_mode, &["private"], false),
        sysctls: host.sysctls.clone(),
        masked_paths: host.masked_paths.clone(),
        readonly_paths: host.readonly_paths.clone(),
        ..Security::default()
    };
    for paths in [&host.masked_paths, &host.readonly_paths]
        .into_iter()
        .flatten()
    {
        for path in paths.iter().filter(|path| !path.starts_with('/')) {
            no.invalid(format!(
                "MaskedPaths, ReadonlyPaths: '{path}' is not absolute"
            ));
        }
    }
    for option in &host.security_opt {
        security_option(no, option, &mut security);
    }
    security
}

fn capabilities(no: &mut Refusals, member: &str, list: &[String]) -> Vec<String> {
    let mut names = Vec::new();
    for text in list {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_') {
            no.invalid(format!(
                "{member}: unknown capability '{}'",
                text.escape_debug()
            ));
        }
        names.push(name.to_owned());
    }
    names
}

fn sharing(
    no: &mut Refusals,
    member: &str,
    mode: &str,
    private: &[&str],
    by_container: bool,
) -> Sharing {
    match mode {
        "" => Sharing::Private,
        "host" => Sharing::Host,
        mode if private.contains(&mode) => Sharing::Private,
        mode => match mode.strip_prefix("container:") {
            Some(id) if by_container && !id.is_empty() => Sharing::Container(id.to_owned()),
            _ => {
                no.unsupported(format!("HostConfig.{member} '{mode}'"));
                Sharing::Private
            }
        },
    }
}

fn ipc(no: &mut Refusals, mode: &str) -> Ipc {
    match mode {
        "none" => Ipc::None,
        "shareable" => Ipc::Shareable,
        mode => match sharing(no, "IpcMode", mode, &["private"], true) {
            Sharing::Private => Ipc::Private,
            Sharing::Host => Ipc::Host,
            Sharing::Container(id) => Ipc::Container(id),
        },
    }
}

/// `name`, `name=value`, and the old `name:value`.
fn security_option(no: &mut Refusals, option: &str, security: &mut Security) {
    let (name, value) = option
        .split_once('=')
        .or_else(|| option.split_once(':'))
        .unwrap_or((option, ""));
    match (name, value) {
        ("no-new-privileges", "" | "true") => security.no_new_privileges = Some(true),
        ("no-new-privileges", "false") => security.no_new_privileges = Some(false),
        ("seccomp", "unconfined") => security.seccomp = Seccomp::Unconfined,
        ("seccomp", "builtin") => security.seccomp = Seccomp::Default,
        ("seccomp", profile) => match serde_json::from_str::<serde_json::Value>(profile) {
            Ok(value) if value.is_object() => security.seccomp = Seccomp::Profile(profile.into()),
            Ok(_) => no.invalid("SecurityOpt: the seccomp profile is not a JSON object"),
            Err(error) => no.invalid(format!("SecurityOpt: decoding seccomp profile: {error}")),
        },
        // Neither module confines what weft runs: to ask for none is to ask for what is.
        ("apparmor", "unconfined") | ("label", "disable") => {}
        ("systempaths", "unconfined") => {
            security.masked_paths = Some(Vec::new());
            security.readonly_paths = Some(Vec::new());
        }
        _ => no.unsupported(format!("SecurityOpt '{}'", option.escape_debug())),
    }
}

//! Flags about namespaces, capabilities and security profiles.

use weft_api::docker::HostConfig;

use super::topic::Topic;
use super::{invalid, values};
use crate::error::CliError;

/// Largest seccomp profile read, in bytes.
const PROFILE_BYTES_MAX: u64 = 1 << 20;

/// How the container is kept apart.
#[derive(Debug, Default, clap::Args)]
pub struct IsolationFlags {
    /// Add a capability
    #[arg(long, value_name = "CAPABILITY")]
    pub cap_add: Vec<String>,
    /// Drop a capability
    #[arg(long, value_name = "CAPABILITY")]
    pub cap_drop: Vec<String>,
    /// Give the container all capabilities and devices of the host
    #[arg(long)]
    pub privileged: bool,
    /// Security options: no-new-privileges, seccomp=FILE|unconfined, systempaths=unconfined
    #[arg(long, value_name = "OPTION")]
    pub security_opt: Vec<String>,
    /// Set a kernel parameter of the container's namespaces
    #[arg(long, value_name = "NAME=VALUE", value_parser = sysctl)]
    pub sysctl: Vec<String>,
    /// User namespace: host, or one of its own
    #[arg(long, value_name = "MODE")]
    pub userns: Option<String>,
    /// Process namespace: host, container:ID
    #[arg(long, value_name = "MODE")]
    pub pid: Option<String>,
    /// IPC namespace: host, none, private, shareable, container:ID
    #[arg(long, value_name = "MODE")]
    pub ipc: Option<String>,
    /// Host name namespace: host
    #[arg(long, value_name = "MODE")]
    pub uts: Option<String>,
    /// Cgroup namespace: host, private
    #[arg(long, value_name = "MODE")]
    pub cgroupns: Option<String>,
}

impl Topic for IsolationFlags {
    const NAMES: &'static [&'static str] = &[
        "cap-add",
        "cap-drop",
        "privileged",
        "security-opt",
        "sysctl",
        "userns",
        "pid",
        "ipc",
        "uts",
        "cgroupns",
    ];
}

impl IsolationFlags {
    pub(super) fn lower(&self, host: &mut HostConfig) -> Result<(), CliError> {
        host.cap_add = self.cap_add.iter().map(|cap| capability(cap)).collect();
        host.cap_drop = self.cap_drop.iter().map(|cap| capability(cap)).collect();
        host.privileged = self.privileged;
        host.sysctls = values::pairs(&self.sysctl);
        host.userns_mode = mode(
            &self.userns,
            "--userns: invalid USER mode",
            false,
            &["host", ""],
        )?;
        host.pid_mode = mode(&self.pid, "--pid: invalid PID mode", true, &["host", ""])?;
        host.uts_mode = mode(&self.uts, "--uts: invalid UTS mode", false, &["host", ""])?;
        host.ipc_mode = mode(
            &self.ipc,
            "--ipc: invalid IPC mode",
            true,
            &["host", "private", "shareable", "none", ""],
        )?;
        host.cgroupns_mode = mode(
            &self.cgroupns,
            "--cgroupns: invalid CGROUP mode",
            false,
            &["host", "private", ""],
        )?;
        for option in &self.security_opt {
            lower_security_option(option, host)?;
        }
        Ok(())
    }
}

fn mode(
    given: &Option<String>,
    complaint: &str,
    containers: bool,
    valid: &[&str],
) -> Result<String, CliError> {
    let given = given.clone().unwrap_or_default();
    let of_container = containers
        && given
            .strip_prefix("container:")
            .is_some_and(|name| !name.is_empty());
    if of_container || valid.contains(&given.as_str()) {
        Ok(given)
    } else {
        Err(invalid(complaint))
    }
}

/// `net_admin` and `CAP_NET_ADMIN` are the same.
fn capability(name: &str) -> String {
    let upper = name.trim().to_uppercase();
    if upper == "ALL" || upper.starts_with("CAP_") {
        upper
    } else {
        format!("CAP_{upper}")
    }
}

fn lower_security_option(option: &str, host: &mut HostConfig) -> Result<(), CliError> {
    if option == "systempaths=unconfined" {
        host.masked_paths = Some(Vec::new());
        host.readonly_paths = Some(Vec::new());
        return Ok(());
    }
    let (key, value) = option
        .split_once('=')
        .or_else(|| option.split_once(':'))
        .unwrap_or((option, ""));
    if value.is_empty() && key != "no-new-privileges" {
        return Err(invalid(format!("Invalid --security-opt: {option:?}")));
    }
    let inline = key != "seccomp" || ["unconfined", "builtin"].contains(&value);
    host.security_opt.push(if inline {
        option.to_owned()
    } else {
        format!("seccomp={}", profile(value)?)
    });
    Ok(())
}

/// A seccomp profile's text, on one line: the engine cannot see our files.
fn profile(path: &str) -> Result<String, CliError> {
    use std::io::Read as _;
    let tried = || format!("opening seccomp profile ({path}) failed");
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(PROFILE_BYTES_MAX).read_to_string(&mut text))
        .map_err(|error| CliError::because(tried(), &error).exit(crate::error::EXIT_ENGINE))?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| {
        CliError::because(
            format!("compacting json for seccomp profile ({path}) failed"),
            &error,
        )
        .exit(crate::error::EXIT_ENGINE)
    })?;
    Ok(value.to_string())
}

/// Only parameters that belong to a namespace.
fn sysctl(text: &str) -> Result<String, String> {
    const NAMES: &[&str] = &[
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    let name = text.split('=').next().unwrap_or_default();
    let allowed = text.contains('=')
        && (NAMES.contains(&name) || name.starts_with("net.") || name.starts_with("fs.mqueue."));
    if allowed {
        Ok(text.to_owned())
    } else {
        Err(format!("sysctl '{text}' is not allowed"))
    }
}

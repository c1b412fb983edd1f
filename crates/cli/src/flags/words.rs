//! The engine's refusals in the words of flags: it knows the members of a request only.
//!
//! Never: what is refused, or why.

use weft_client::ClientError;

/// Members of a request, and the flags that fill them.
const FLAGS: [(&str, &str); 30] = [
    ("Aliases", "--network-alias"),
    ("Binds", "--volume"),
    ("BlkioWeight", "--blkio-weight"),
    ("CpuPeriod", "--cpu-period"),
    ("CpuQuota", "--cpu-quota"),
    ("CpuShares", "--cpu-shares"),
    ("CpusetCpus", "--cpuset-cpus"),
    ("CpusetMems", "--cpuset-mems"),
    ("DeviceCgroupRules", "--device-cgroup-rule"),
    ("Devices", "--device"),
    ("Dns", "--dns"),
    ("Domainname", "--domainname"),
    ("Env", "--env"),
    ("ExposedPorts", "--expose"),
    ("ExtraHosts", "--add-host"),
    ("Hostname", "--hostname"),
    ("Labels", "--label"),
    ("MacAddress", "--mac-address"),
    ("Memory", "--memory"),
    ("MemoryReservation", "--memory-reservation"),
    ("MemorySwap", "--memory-swap"),
    ("Mounts", "--mount"),
    ("NanoCpus", "--cpus"),
    ("OomScoreAdj", "--oom-score-adj"),
    ("PortBindings", "--publish"),
    ("RestartPolicy", "--restart"),
    ("SecurityOpt", "--security-opt"),
    ("Tmpfs", "--tmpfs"),
    ("Ulimits", "--ulimit"),
    ("WorkingDir", "--workdir"),
];
/// What a refusal is that weft does not do.
const UNSUPPORTED: &str = "not supported: ";

/// Says of a refused request which flags it was.
pub fn in_flags(error: ClientError) -> ClientError {
    match error {
        ClientError::Refused {
            what,
            status: 400,
            message,
        } => ClientError::Refused {
            what,
            status: 400,
            message: said(&message),
        },
        other => other,
    }
}

/// Complaints are separated by semicolons, and each begins with what it is about.
fn said(message: &str) -> String {
    let parts: Vec<String> = message.split("; ").map(complaint).collect();
    parts.join("; ")
}

fn complaint(text: &str) -> String {
    let (before, rest) = match text.strip_prefix(UNSUPPORTED) {
        Some(rest) => (UNSUPPORTED, rest),
        None => ("", text),
    };
    let about = rest.strip_prefix("HostConfig.").unwrap_or(rest);
    let flag = FLAGS.iter().find_map(|(member, flag)| {
        let value = about.strip_prefix(member)?;
        let ends = value.starts_with(": ") || value.starts_with(" '");
        ends.then(|| format!("{before}{flag}{value}"))
    });
    flag.unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_become_flags_where_a_complaint_begins() {
        for (engines, ours) in [
            (
                "Binds: 'a:b': invalid mount path: 'b' must be absolute",
                "--volume: 'a:b': invalid mount path: 'b' must be absolute",
            ),
            (
                "HostConfig.CpusetCpus: 'x' is not a list like 0-2,4; Memory: too small",
                "--cpuset-cpus: 'x' is not a list like 0-2,4; --memory: too small",
            ),
            (
                "not supported: SecurityOpt 'x=y'",
                "not supported: --security-opt 'x=y'",
            ),
            ("NanoCpus and CpuPeriod", "NanoCpus and CpuPeriod"),
            ("invalid signal: Binds", "invalid signal: Binds"),
            ("Memoryless: x", "Memoryless: x"),
            ("", ""),
        ] {
            assert_eq!(said(engines), ours);
        }
    }
}

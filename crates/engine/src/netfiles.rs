//! The files of /etc that depend on the network: hosts, hostname, resolv.conf.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;

use crate::container::NetworkFiles;
use crate::container::record::{AttachmentRecord, Record};
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::network::host_gateway;
use crate::spec::{Dns, NetworkMode};

/// The word in `--add-host` that means the machine itself.
const HOST_GATEWAY: &str = "host-gateway";

impl Engine {
    /// Writes the files into the run directory, from where they are mounted; `id_base` is the
    /// container's root.
    pub(crate) fn write_network_files(
        &self,
        record: &Record,
        attachments: &[AttachmentRecord],
        id_base: u32,
    ) -> Result<()> {
        if matches!(record.spec.network, NetworkMode::Container(_)) {
            return Ok(());
        }
        let host = record.spec.network == NetworkMode::Host;
        let dir = self.inner.paths.run(&record.id);
        let resolver = attachments.iter().find_map(|a| a.resolver);
        let upstream = machine_resolv_conf();
        let base = if host {
            fs::read_to_string("/etc/hosts").unwrap_or_default()
        } else {
            hosts_base()
        };
        let files = [
            ("hosts", hosts(base, record, attachments)),
            ("hostname", format!("{}\n", record.resolved.hostname)),
            (
                "resolv.conf",
                resolv_conf(&record.spec.dns, resolver, &upstream, host),
            ),
        ];
        for (name, content) in files {
            let path = dir.join(name);
            let write = || -> std::io::Result<()> {
                // Written in place: a container that runs has this inode mounted.
                fs::write(&path, content)?;
                fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
                std::os::unix::fs::chown(&path, Some(id_base), Some(id_base))
            };
            write().map_err(|e| EngineError::internal(format!("write {}", path.display()), e))?;
        }
        Ok(())
    }

    /// Where those of a container that runs are.
    pub(crate) fn network_files(&self, record: &Record) -> Option<NetworkFiles> {
        let shared = matches!(record.spec.network, NetworkMode::Container(_));
        let dir = self.inner.paths.run(&record.id);
        (record.state.status.is_up() && !shared).then(|| NetworkFiles {
            hosts: dir.join("hosts"),
            hostname: dir.join("hostname"),
            resolv_conf: dir.join("resolv.conf"),
        })
    }
}

/// The machine's; where that only names its own stub, what stands behind the stub.
fn machine_resolv_conf() -> String {
    let usual = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let stub_only = usual
        .lines()
        .filter_map(|l| l.strip_prefix("nameserver"))
        .all(|s| s.trim().starts_with("127."));
    if stub_only && let Ok(behind) = fs::read_to_string("/run/systemd/resolve/resolv.conf") {
        return behind;
    }
    usual
}

fn hosts_base() -> String {
    "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nff00::0\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n".to_owned()
}

fn hosts(base: String, record: &Record, attachments: &[AttachmentRecord]) -> String {
    let mut text = base;
    for (name, address) in &record.spec.extra_hosts {
        let address = if address == HOST_GATEWAY {
            host_gateway(attachments).to_string()
        } else {
            address.clone()
        };
        let _ = writeln!(text, "{address}\t{name}");
    }
    let name = &record.resolved.hostname;
    let full = record
        .spec
        .domainname
        .as_ref()
        .map(|d| format!("{name}.{d} "))
        .unwrap_or_default();
    for address in attachments.iter().filter_map(|a| a.address) {
        let _ = writeln!(text, "{address}\t{full}{name}");
    }
    text
}

/// The user's servers; else the network's own; else the machine's, without those on its loopback,
/// which a container can't reach.
fn resolv_conf(dns: &Dns, resolver: Option<Ipv4Addr>, upstream: &str, host: bool) -> String {
    let mut text = String::new();
    let lines = |word: &str| -> Vec<&str> {
        upstream
            .lines()
            .filter(|l| l.split_ascii_whitespace().next() == Some(word))
            .map(|l| l.trim_start()[word.len()..].trim())
            .collect()
    };
    let servers: Vec<String> = if !dns.servers.is_empty() && resolver.is_none() {
        dns.servers.iter().map(ToString::to_string).collect()
    } else if let Some(own) = resolver {
        vec![own.to_string()]
    } else {
        let loopback = |s: &str| s.starts_with("127.") || s == "::1";
        lines("nameserver")
            .into_iter()
            .filter(|s| host || !loopback(s))
            .map(str::to_owned)
            .collect()
    };
    for server in servers {
        let _ = writeln!(text, "nameserver {server}");
    }
    let search = if dns.search.is_empty() {
        lines("search").join(" ")
    } else {
        dns.search.join(" ")
    };
    if !search.is_empty() && search != "." {
        let _ = writeln!(text, "search {search}");
    }
    let options = if dns.options.is_empty() {
        lines("options").join(" ")
    } else {
        dns.options.join(" ")
    };
    if !options.is_empty() {
        let _ = writeln!(text, "options {options}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_are_chosen_in_order() {
        let upstream =
            "# c\nsearch lan\nnameserver 127.0.0.53\nnameserver 10.0.0.1\noptions edns0\n";
        let plain = resolv_conf(&Dns::default(), None, upstream, false);
        assert_eq!(plain, "nameserver 10.0.0.1\nsearch lan\noptions edns0\n");
        assert!(resolv_conf(&Dns::default(), None, upstream, true).contains("127.0.0.53"));
        let own = Dns {
            servers: vec![Ipv4Addr::new(9, 9, 9, 9)],
            search: vec![".".into()],
            options: vec![],
        };
        assert_eq!(
            resolv_conf(&own, None, upstream, false),
            "nameserver 9.9.9.9\noptions edns0\n"
        );
        let user = resolv_conf(
            &Dns::default(),
            Some(Ipv4Addr::new(10, 44, 16, 1)),
            upstream,
            false,
        );
        assert!(user.starts_with("nameserver 10.44.16.1\n"));
    }
}

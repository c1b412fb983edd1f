//! The files of /etc that depend on the network: hosts, hostname, resolv.conf.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use weft_stdx::file::read_bounded;

use crate::container::NetworkFiles;
use crate::container::record::{AttachmentRecord, Record};
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::network::host_gateway;
use crate::spec::{Dns, NetworkMode};

/// What a container wrote itself into a file beyond this is left alone.
const LARGEST: u64 = 1 << 20;
/// The word in `--add-host` that means the machine itself.
const HOST_GATEWAY: &str = "host-gateway";

impl Engine {
    /// Writes the files into `dir`, from where they are mounted; `id_base` is the container's root.
    pub(crate) fn write_network_files(
        &self,
        dir: &Path,
        record: &Record,
        attachments: &[AttachmentRecord],
        id_base: u32,
    ) -> Result<()> {
        if let NetworkMode::Container(_) | NetworkMode::Sandbox(_) = &record.spec.network {
            return Ok(());
        }
        let host = record.spec.network == NetworkMode::Host;
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

    /// Brings the files of a container that runs to the networks its record says it is on. What
    /// somebody else wrote into them stays. A failure is logged: the networks are what they are.
    pub(crate) async fn follow_networks(&self, record: &Record, left: Vec<Place>) {
        let record = record.clone();
        let followed = self.blocking(move |engine| {
            let dir = engine.inner.paths.run(&record.id);
            let now: Vec<Place> = record.attachments.iter().filter_map(Place::of).collect();
            edit(&dir.join("hosts"), |text| {
                Some(follow_hosts(text, &record, &left, &now))
            })?;
            edit(&dir.join("resolv.conf"), |text| {
                follow_resolvers(text, &record.spec.dns, &left, &now)
            })
        });
        if let Err(error) = followed.await {
            tracing::warn!(%error, "a container's files could not follow its networks");
        }
    }

    /// Where those of a container that runs are: with whom it shares the network, that one's.
    pub(crate) fn network_files(&self, record: &Record) -> Option<NetworkFiles> {
        if !record.state.status.is_up() {
            return None;
        }
        if let NetworkMode::Container(owner) = &record.spec.network {
            return self.network_files(&self.find(owner).ok()?.record());
        }
        let dir = self.network_files_dir(record).ok()?;
        Some(NetworkFiles {
            hosts: dir.join("hosts"),
            hostname: dir.join("hostname"),
            resolv_conf: dir.join("resolv.conf"),
        })
    }

    /// The directory they are in, for a container that is about to run.
    pub(crate) fn network_files_dir(&self, record: &Record) -> Result<PathBuf> {
        match &record.spec.network {
            NetworkMode::Container(owner) => self.network_files_dir(&self.find(owner)?.record()),
            NetworkMode::Sandbox(id) => Ok(self.inner.paths.sandbox_run(id)),
            _ => Ok(self.inner.paths.run(&record.id)),
        }
    }
}

/// What of a place on a network is in the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub address: Ipv4Addr,
    pub resolver: Option<Ipv4Addr>,
}

impl Place {
    pub fn of(made: &AttachmentRecord) -> Option<Place> {
        Some(Place {
            address: made.address?,
            resolver: made.resolver,
        })
    }
}

/// Changes a file in place: it is mounted. The container writes to it too, so it may be anything.
fn edit(path: &Path, change: impl FnOnce(&str) -> Option<String>) -> Result<()> {
    let edit = || -> std::io::Result<()> {
        let text = String::from_utf8(read_bounded(path, LARGEST)?)
            .map_err(|e| std::io::Error::new(std::io::ErrorKind::InvalidData, e))?;
        let Some(new) = change(&text).filter(|new| *new != text) else {
            return Ok(());
        };
        // At no moment is it empty.
        let mut file = fs::OpenOptions::new().write(true).open(path)?;
        file.write_all(new.as_bytes())?;
        file.set_len(new.len() as u64)
    };
    edit().map_err(|e| EngineError::internal(format!("change {}", path.display()), e))
}

fn follow_hosts(text: &str, record: &Record, left: &[Place], now: &[Place]) -> String {
    let line = |place: &Place| own_line(record, place.address);
    let gone: Vec<String> = left.iter().map(line).collect();
    let mut kept: Vec<&str> = text
        .lines()
        .filter(|is| !gone.iter().any(|gone| gone == is))
        .collect();
    let here: Vec<String> = now.iter().map(line).collect();
    for line in &here {
        if !kept.contains(&line.as_str()) {
            kept.push(line);
        }
    }
    kept.join("\n") + "\n"
}

/// `None` when the servers are not those weft wrote: they are somebody's choice.
fn follow_resolvers(text: &str, dns: &Dns, left: &[Place], now: &[Place]) -> Option<String> {
    let upstream = machine_resolv_conf();
    let write = |resolver| resolv_conf(dns, resolver, &upstream, false);
    let wanted = write(now.iter().find_map(|place| place.resolver));
    let written = left.iter().chain(now).map(|place| write(place.resolver));
    let is_ours = written
        .chain([write(None)])
        .any(|written| values(&written, "nameserver") == values(text, "nameserver"));
    is_ours.then_some(wanted)
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
    for address in attachments.iter().filter_map(|a| a.address) {
        let _ = writeln!(text, "{}", own_line(record, address));
    }
    text
}

/// The line of /etc/hosts by which a container finds itself.
fn own_line(record: &Record, address: Ipv4Addr) -> String {
    let name = &record.resolved.hostname;
    let full = record
        .spec
        .domainname
        .as_ref()
        .map(|d| format!("{name}.{d} "))
        .unwrap_or_default();
    format!("{address}\t{full}{name}")
}

/// What the lines of a resolv.conf that begin with `word` say.
fn values<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    text.lines()
        .filter(|l| l.split_ascii_whitespace().next() == Some(word))
        .map(|l| l.trim_start()[word.len()..].trim())
        .collect()
}

/// The user's servers; else the network's own; else the machine's, without those on its loopback,
/// which a container can't reach.
fn resolv_conf(dns: &Dns, resolver: Option<Ipv4Addr>, upstream: &str, host: bool) -> String {
    let mut text = String::new();
    let resolver = resolver.filter(|_| !dns.direct);
    let lines = |word: &str| values(upstream, word);
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
    use crate::spec::Spec;

    #[test]
    fn resolvers_are_chosen_in_order() {
        let upstream =
            "# c\nsearch lan\nnameserver 127.0.0.53\nnameserver 10.0.0.1\noptions edns0\n";
        let plain = resolv_conf(&Dns::default(), None, upstream, false);
        assert_eq!(plain, "nameserver 10.0.0.1\nsearch lan\noptions edns0\n");
        assert!(resolv_conf(&Dns::default(), None, upstream, true).contains("127.0.0.53"));
        let own = Dns {
            direct: false,
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

    #[test]
    fn resolvers_follow_unless_somebody_chose_others() {
        let place = |last| Place {
            address: Ipv4Addr::new(10, 44, 16, 9),
            resolver: Some(Ipv4Addr::new(10, 44, 16, last)),
        };
        let (red, blue) = (place(1), place(2));
        let dns = Dns {
            direct: false,
            servers: vec![Ipv4Addr::new(9, 9, 9, 9)],
            search: vec![".".into()],
            options: vec!["edns0".into()],
        };
        let follow = |text: &str, left: &[Place], now: &[Place]| {
            follow_resolvers(text, &dns, left, now).map(|text| text.lines().next().unwrap().into())
        };
        let of_red = "nameserver 10.44.16.1\noptions edns0\n";
        let none: Option<String> = None;
        assert_eq!(
            follow(of_red, &[red], &[]),
            Some("nameserver 9.9.9.9".to_owned())
        );
        let of_blue = Some("nameserver 10.44.16.2".to_owned());
        assert_eq!(follow(of_red, &[red], &[blue]), of_blue);
        assert_eq!(follow("nameserver 9.9.9.9\n", &[], &[blue]), of_blue);
        assert_eq!(follow("nameserver 1.1.1.1\n", &[red], &[blue]), none);
        assert_eq!(follow("", &[red], &[blue]), none);
    }

    #[test]
    fn hosts_follow_and_keep_what_others_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hosts");
        fs::write(
            &path,
            "127.0.0.1\tlocalhost\n10.0.0.2\tweb\n10.0.0.2\tmine\n",
        )
        .unwrap();
        let place = |last| Place {
            address: Ipv4Addr::new(10, 0, 0, last),
            resolver: None,
        };
        let record = crate::oci::tests::record(Spec::default());
        let follow = |left: &[Place], now: &[Place]| {
            edit(&path, |text| Some(follow_hosts(text, &record, left, now))).unwrap();
            fs::read_to_string(&path).unwrap()
        };
        let both = "127.0.0.1\tlocalhost\n10.0.0.2\tweb\n10.0.0.2\tmine\n10.0.0.3\tweb\n";
        assert_eq!(follow(&[], &[place(2), place(3)]), both);
        assert_eq!(follow(&[], &[place(2), place(3)]), both);
        let one = "127.0.0.1\tlocalhost\n10.0.0.2\tmine\n10.0.0.3\tweb\n";
        assert_eq!(follow(&[place(2)], &[place(3)]), one);
        // What is no text, or endless, is the container's.
        fs::write(&path, [0xff, b'\n']).unwrap();
        assert!(edit(&path, |_| Some(String::new())).is_err());
        fs::write(&path, vec![b'\n'; usize::try_from(LARGEST).unwrap() + 1]).unwrap();
        assert!(edit(&path, |_| Some(String::new())).is_err());
    }
}

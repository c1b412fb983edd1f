//! Who has a port: read from `/proc`, for the text of an error only.

use std::collections::HashMap;
use std::fs;
use std::net::Ipv4Addr;

use super::Protocol;

/// A socket of this machine on a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner {
    /// The address it is bound to.
    pub(crate) address: Ipv4Addr,
    /// `process nginx (pid 812)`, or "another program" when no process shows it.
    pub(crate) name: String,
}

/// The sockets that keep `address:port` from being bound.
pub(crate) fn of(address: Ipv4Addr, port: u16, protocol: Protocol) -> Vec<Owner> {
    let mut found = HashMap::new();
    for table in [format!("{protocol}"), format!("{protocol}6")] {
        // A thread may be in another network namespace than its process.
        let path = format!("/proc/thread-self/net/{table}");
        let text = fs::read_to_string(path).unwrap_or_default();
        for line in text.lines().skip(1) {
            if let Some((local, inode)) = bound_at(line, port, protocol)
                && (local.is_unspecified() || address.is_unspecified() || local == address)
            {
                found.insert(inode, local);
            }
        }
    }
    let names = processes(&found);
    let mut owners: Vec<Owner> = found
        .into_iter()
        .map(|(inode, address)| Owner {
            address,
            name: names
                .get(&inode)
                .cloned()
                .unwrap_or_else(|| "another program".to_owned()),
        })
        .collect();
    // Who asks again hears the same.
    owners.sort();
    owners
}

/// The local address and inode of a line of `/proc/net/tcp` and its like, when it has the port
/// and keeps others from it.
fn bound_at(line: &str, port: u16, protocol: Protocol) -> Option<(Ipv4Addr, u64)> {
    const LISTENING: &str = "0A";
    let mut fields = line.split_ascii_whitespace();
    let (address, local_port) = fields.nth(1)?.split_once(':')?;
    if u16::from_str_radix(local_port, 16).ok()? != port {
        return None;
    }
    let state = fields.nth(1)?;
    if protocol == Protocol::Tcp && state != LISTENING {
        return None;
    }
    let inode = fields.nth(5)?.parse().ok()?;
    // The last four bytes are the IPv4 address, or of an IPv6 one all zero when it is any.
    let last = address.get(address.len().checked_sub(8)?..)?;
    let value = u32::from_str_radix(last, 16).ok()?;
    Some((Ipv4Addr::from(value.to_ne_bytes()), inode))
}

fn processes(inodes: &HashMap<u64, Ipv4Addr>) -> HashMap<u64, String> {
    let mut names = HashMap::new();
    let Ok(entries) = fs::read_dir("/proc") else {
        return names;
    };
    let mut pids: Vec<u32> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    for pid in pids {
        let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
            continue;
        };
        for descriptor in descriptors.flatten() {
            let Some(inode) = fs::read_link(descriptor.path()).ok().and_then(|link| {
                let text = link.to_str()?;
                text.strip_prefix("socket:[")?
                    .strip_suffix(']')?
                    .parse()
                    .ok()
            }) else {
                continue;
            };
            if inodes.contains_key(&inode) {
                // Of several the first: the others are mostly its children.
                names.entry(inode).or_insert_with(|| {
                    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
                    format!("process {} (pid {pid})", name.trim())
                });
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_found_with_its_process() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let owners = of(Ipv4Addr::UNSPECIFIED, port, Protocol::Tcp);
        assert_eq!(owners.len(), 1);
        assert_eq!(owners[0].address, Ipv4Addr::LOCALHOST);
        let pid = std::process::id();
        assert!(
            owners[0].name.contains(&format!("(pid {pid})")),
            "{owners:?}"
        );
        assert!(of(Ipv4Addr::new(127, 0, 0, 9), port, Protocol::Tcp).is_empty());
    }
}

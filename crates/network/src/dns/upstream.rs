//! The machine's resolvers, read again whenever their file changes.

use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use weft_stdx::file::read_bounded;

/// Resolvers that are asked one after the other; more are ignored (as in resolv.conf(5)).
const MOST: usize = 3;
/// Larger files are no resolver configuration.
const LARGEST: u64 = 64 * 1024;

#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
struct Version {
    inode: u64,
    seconds: i64,
    nanoseconds: i64,
    size: u64,
}

/// The resolvers of a file.
#[derive(Debug)]
pub(crate) struct Upstream {
    path: PathBuf,
    read: Mutex<(Version, Vec<IpAddr>)>,
}

impl Upstream {
    pub(crate) fn new(path: PathBuf) -> Upstream {
        Upstream {
            path,
            read: Mutex::default(),
        }
    }

    /// Whom to ask, in order. A loopback address is fine: it is this machine's.
    pub(crate) fn servers(&self) -> Vec<SocketAddr> {
        let version = std::fs::metadata(&self.path)
            .map(|data| Version {
                inode: data.ino(),
                seconds: data.mtime(),
                nanoseconds: data.mtime_nsec(),
                size: data.size(),
            })
            .unwrap_or_default();
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.0 != version {
            let text = read_bounded(&self.path, LARGEST).unwrap_or_default();
            *read = (version, nameservers(&String::from_utf8_lossy(&text)));
        }
        servers(&read.1)
    }
}

/// Where to ask these resolvers.
pub(crate) fn servers(addresses: &[IpAddr]) -> Vec<SocketAddr> {
    let first = addresses.iter().take(MOST);
    first.map(|address| SocketAddr::new(*address, 53)).collect()
}

/// The name servers of resolv.conf(5); what is not understood is skipped, as the libraries do.
fn nameservers(text: &str) -> Vec<IpAddr> {
    let server = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let key = words.next()?;
        words.next().filter(|_| key == "nameserver")?.parse().ok()
    };
    text.lines().filter_map(server).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read_and_read_again_when_they_change() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("resolv.conf");
        let upstream = Upstream::new(path.clone());
        assert!(upstream.servers().is_empty());
        let text =
            "# x\nnameserver 127.0.0.53\nsearch a\nnameserver fe80::1%eth0\nnameserver ::1 x\n";
        std::fs::write(&path, text).unwrap();
        let expected: [SocketAddr; 2] = [
            "127.0.0.53:53".parse().unwrap(),
            "[::1]:53".parse().unwrap(),
        ];
        assert_eq!(upstream.servers(), expected);
        weft_stdx::file::replace(
            &path,
            b"nameserver 192.0.2.1\n",
            weft_stdx::file::Durability::Process,
        )
        .unwrap();
        assert_eq!(upstream.servers(), ["192.0.2.1:53".parse().unwrap()]);
    }
}

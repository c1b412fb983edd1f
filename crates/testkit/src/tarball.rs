//! A tar writer without manners: it writes what a test asks for, hostile names included.
//! Owns ustar headers; never checks a name.

/// An archive in the making.
#[derive(Default)]
pub struct Tarball {
    bytes: Vec<u8>,
}

/// What one header says beside its name.
#[derive(Clone, Copy)]
struct Header<'a> {
    kind: u8,
    mode: u32,
    owner: (u32, u32),
    link: &'a str,
    device: (u32, u32),
}

impl Tarball {
    /// An empty archive.
    pub fn new() -> Tarball {
        Tarball::default()
    }

    /// A regular file owned by root.
    #[must_use]
    pub fn file(self, name: &str, mode: u32, content: &[u8]) -> Tarball {
        self.owned_file(name, mode, (0, 0), content)
    }

    /// A regular file with an owner.
    #[must_use]
    pub fn owned_file(self, name: &str, mode: u32, owner: (u32, u32), content: &[u8]) -> Tarball {
        self.entry(
            name,
            Header {
                mode,
                owner,
                ..Header::of(b'0')
            },
            content,
        )
    }

    /// A directory.
    #[must_use]
    pub fn dir(self, name: &str, mode: u32) -> Tarball {
        self.owned_dir(name, mode, (0, 0))
    }

    /// A directory with an owner.
    #[must_use]
    pub fn owned_dir(self, name: &str, mode: u32, owner: (u32, u32)) -> Tarball {
        self.entry(
            name,
            Header {
                mode,
                owner,
                ..Header::of(b'5')
            },
            &[],
        )
    }

    /// A symbolic link.
    #[must_use]
    pub fn symlink(self, name: &str, target: &str) -> Tarball {
        self.entry(
            name,
            Header {
                mode: 0o777,
                link: target,
                ..Header::of(b'2')
            },
            &[],
        )
    }

    /// A hard link.
    #[must_use]
    pub fn hardlink(self, name: &str, target: &str) -> Tarball {
        self.entry(
            name,
            Header {
                link: target,
                ..Header::of(b'1')
            },
            &[],
        )
    }

    /// A character device.
    #[must_use]
    pub fn device(self, name: &str, major: u32, minor: u32) -> Tarball {
        self.entry(
            name,
            Header {
                mode: 0o666,
                device: (major, minor),
                ..Header::of(b'3')
            },
            &[],
        )
    }

    /// The finished archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(&[0; 1024]);
        self.bytes
    }

    fn entry(mut self, name: &str, header: Header<'_>, content: &[u8]) -> Tarball {
        if name.len() > 100 {
            // GNU's long name: the name is the content of an entry of its own.
            let mut long = name.as_bytes().to_vec();
            long.push(0);
            self = self.entry("././@LongLink", Header::of(b'L'), &long);
        }
        self.bytes
            .extend_from_slice(&header.block(name, content.len()));
        self.bytes.extend_from_slice(content);
        let filled = self.bytes.len().next_multiple_of(512);
        self.bytes.resize(filled, 0);
        self
    }
}

impl<'a> Header<'a> {
    fn of(kind: u8) -> Header<'a> {
        Header {
            kind,
            mode: 0o644,
            owner: (0, 0),
            link: "",
            device: (0, 0),
        }
    }

    fn block(&self, name: &str, size: usize) -> [u8; 512] {
        let mut block = [0; 512];
        let mut put = |at: usize, length: usize, value: &[u8]| {
            let length = length.min(value.len());
            block[at..at + length].copy_from_slice(&value[..length]);
        };
        put(0, 100, name.as_bytes());
        put(100, 8, format!("{:07o}", self.mode).as_bytes());
        put(108, 8, format!("{:07o}", self.owner.0).as_bytes());
        put(116, 8, format!("{:07o}", self.owner.1).as_bytes());
        put(124, 12, format!("{size:011o}").as_bytes());
        // A fixed time makes equal content equal bytes.
        put(136, 12, format!("{:011o}", 1_600_000_000).as_bytes());
        put(148, 8, b"        ");
        put(156, 1, &[self.kind]);
        put(157, 100, self.link.as_bytes());
        put(257, 8, b"ustar\x0000");
        put(329, 8, format!("{:07o}", self.device.0).as_bytes());
        put(337, 8, format!("{:07o}", self.device.1).as_bytes());
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::command;

    #[test]
    fn tar_reads_it() {
        let long = "d/".to_owned() + &"n".repeat(150);
        let archive = Tarball::new()
            .dir("d/", 0o755)
            .file("d/f", 0o640, b"content")
            .symlink("d/s", "f")
            .hardlink("d/h", "d/f")
            .file(&long, 0o600, b"x")
            .finish();
        let mut tar = Command::new("tar");
        tar.args(["-tvf", "-"]);
        let listing = command::run(tar, &archive, command::LIMIT);
        for part in [
            "drwxr-xr-x",
            "-rw-r-----",
            "d/s -> f",
            "d/h link to d/f",
            &long,
        ] {
            assert!(listing.ok().contains(part), "{listing}");
        }
    }
}

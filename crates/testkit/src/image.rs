//! Images made on the spot: busybox, and whatever a test wants to be wrong.
//! Owns the docker-archive form (`docker save`); never talks to a registry.

use std::io::Write;
use std::sync::OnceLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::tarball::Tarball;

/// Applets linked to busybox in the busybox image.
const APPLETS: &[&str] = &[
    "ash",
    "awk",
    "basename",
    "cat",
    "chmod",
    "chown",
    "chroot",
    "cp",
    "cut",
    "date",
    "dd",
    "df",
    "dirname",
    "du",
    "echo",
    "env",
    "expr",
    "false",
    "find",
    "free",
    "grep",
    "head",
    "hostname",
    "httpd",
    "id",
    "ifconfig",
    "ip",
    "kill",
    "ln",
    "ls",
    "md5sum",
    "mkdir",
    "mkfifo",
    "mknod",
    "mount",
    "mv",
    "nc",
    "nohup",
    "nproc",
    "nslookup",
    "od",
    "pidof",
    "ping",
    "printenv",
    "printf",
    "ps",
    "pwd",
    "readlink",
    "rm",
    "rmdir",
    "sed",
    "seq",
    "sh",
    "sha256sum",
    "sleep",
    "sort",
    "stat",
    "stty",
    "sync",
    "tail",
    "tar",
    "tee",
    "test",
    "timeout",
    "top",
    "touch",
    "tr",
    "traceroute",
    "true",
    "tty",
    "umount",
    "uname",
    "uniq",
    "unshare",
    "uptime",
    "usleep",
    "vi",
    "wc",
    "wget",
    "which",
    "whoami",
    "xargs",
    "yes",
];

/// An image in the making.
pub struct Image {
    name: String,
    layers: Vec<Vec<u8>>,
    config: Value,
}

impl Image {
    /// An image without layers whose config is `config` (the `config` object of the OCI image).
    pub fn new(name: &str, config: Value) -> Image {
        Image {
            name: name.to_owned(),
            layers: Vec::new(),
            config,
        }
    }

    /// Adds an uncompressed layer on top.
    #[must_use]
    pub fn layer(mut self, tar: Vec<u8>) -> Image {
        self.layers.push(tar);
        self
    }

    /// Sets a member of the config.
    #[must_use]
    pub fn with(mut self, member: &str, value: Value) -> Image {
        self.config[member] = value;
        self
    }

    /// The image's config document, as stored.
    pub fn config(&self) -> String {
        let diff_ids: Vec<String> = self.layers.iter().map(|layer| digest(layer)).collect();
        let architecture = if cfg!(target_arch = "aarch64") {
            "arm64"
        } else {
            "amd64"
        };
        json!({
            "architecture": architecture,
            "os": "linux",
            "created": "2020-09-13T12:26:40Z",
            "config": self.config,
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
            "history": self.layers.iter().map(|_| json!({ "created_by": "test" })).collect::<Vec<_>>(),
        })
        .to_string()
    }

    /// The image as `docker save` writes it.
    pub fn archive(&self) -> Vec<u8> {
        let config = self.config();
        let config_name = format!("{}.json", hex(config.as_bytes()));
        let names: Vec<String> = self
            .layers
            .iter()
            .map(|layer| format!("{}/layer.tar", hex(layer)))
            .collect();
        let manifest = json!([{ "Config": config_name, "RepoTags": [self.name], "Layers": names }]);
        let mut archive =
            Tarball::new().file("manifest.json", 0o644, manifest.to_string().as_bytes());
        archive = archive.file(&config_name, 0o644, config.as_bytes());
        for (name, layer) in names.iter().zip(&self.layers) {
            archive = archive.file(name, 0o644, layer);
        }
        archive.finish()
    }
}

/// `busybox:latest` from this machine's static busybox, as an archive for `weft load`.
pub fn busybox() -> &'static [u8] {
    static ARCHIVE: OnceLock<Vec<u8>> = OnceLock::new();
    ARCHIVE.get_or_init(|| busybox_named("busybox:latest").archive())
}

/// The busybox image under another name.
pub fn busybox_named(name: &str) -> Image {
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    Image::new(name, json!({ "Env": [path], "Cmd": ["sh"] })).layer(busybox_layer())
}

fn busybox_layer() -> Vec<u8> {
    let binary = std::fs::read("/bin/busybox").expect("busybox-static is installed");
    let mut tar = Tarball::new();
    for (dir, mode) in [
        ("bin", 0o755),
        ("dev", 0o755),
        ("etc", 0o755),
        ("home", 0o755),
        ("proc", 0o555),
        ("root", 0o700),
    ] {
        tar = tar.dir(&format!("{dir}/"), mode);
    }
    tar = tar
        .dir("sys/", 0o555)
        .dir("tmp/", 0o1777)
        .dir("usr/", 0o755)
        .dir("usr/bin/", 0o755)
        .dir("var/", 0o755);
    tar = tar
        .file("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/:/bin/false\nweaver:x:1000:1000:weaver:/home:/bin/sh\n")
        .file("etc/group", 0o644, b"root:x:0:\ndaemon:x:1:\nweaver:x:1000:\nloom:x:2000:weaver\n")
        .file("etc/notexecutable", 0o644, b"#!/bin/sh\necho never\n")
        .file("bin/busybox", 0o755, &binary);
    for applet in APPLETS {
        tar = tar.symlink(&format!("bin/{applet}"), "busybox");
    }
    tar.finish()
}

/// `bytes` compressed with gzip.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(bytes)
        .expect("writing to memory succeeds");
    encoder.finish().expect("writing to memory succeeds")
}

/// The `sha256:…` digest of `bytes`.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(bytes))
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_image_has_the_same_bytes() {
        let make = || {
            Image::new("a:b", json!({}))
                .layer(Tarball::new().file("f", 0o644, b"x").finish())
                .archive()
        };
        assert_eq!(make(), make());
        assert_eq!(
            digest(b""),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}

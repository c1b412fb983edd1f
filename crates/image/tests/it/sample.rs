//! Owns making test input: tar archives with every header under control, images of busybox.

use std::io::Write;

use weft_image::{ImageConfig, Reference, RegistryConfig, Store};

/// A tar archive being written.
#[derive(Default)]
pub struct Tar(pub Vec<u8>);

/// One header, before it is written.
#[derive(Clone)]
pub struct Item {
    pub path: Vec<u8>,
    pub kind: u8,
    pub link: Vec<u8>,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    pub mtime: u64,
    pub device: (u32, u32),
    pub pax: Vec<(String, Vec<u8>)>,
}

pub fn item(kind: u8, path: impl AsRef<[u8]>) -> Item {
    Item {
        path: path.as_ref().to_vec(),
        kind,
        link: Vec::new(),
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: 1_600_000_000,
        device: (0, 0),
        pax: Vec::new(),
    }
}

impl Item {
    pub fn link(mut self, to: &str) -> Self {
        self.link = to.into();
        self
    }
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }
    pub fn owner(mut self, uid: u64, gid: u64) -> Self {
        (self.uid, self.gid) = (uid, gid);
        self
    }
    pub fn device(mut self, major: u32, minor: u32) -> Self {
        self.device = (major, minor);
        self
    }
    pub fn pax(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.pax.push((key.to_owned(), value.as_ref().to_vec()));
        self
    }
}

impl Tar {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn dir(self, path: &str) -> Self {
        self.put(item(b'5', path).mode(0o755), b"")
    }

    pub fn file(self, path: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        self.put(item(b'0', path), content.as_ref())
    }

    pub fn symlink(self, path: &str, to: &str) -> Self {
        self.put(item(b'2', path).link(to), b"")
    }

    pub fn hardlink(self, path: &str, to: &str) -> Self {
        self.put(item(b'1', path).link(to), b"")
    }

    pub fn put(mut self, item: Item, content: &[u8]) -> Self {
        if !item.pax.is_empty() {
            let mut records = Vec::new();
            for (key, value) in &item.pax {
                records.extend(pax_record(key, value));
            }
            self.raw(
                &header(&self::item(b'x', "pax"), records.len() as u64),
                &records,
            );
        }
        self.raw(&header(&item, content.len() as u64), content);
        self
    }

    /// A header (or anything) and its data, padded.
    pub fn raw(&mut self, header: &[u8], data: &[u8]) {
        self.0.extend_from_slice(header);
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
    }

    pub fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}

pub fn pax_record(key: &str, value: &[u8]) -> Vec<u8> {
    let body = key.len() + value.len() + 3;
    let mut length = body + body.to_string().len();
    if length.to_string().len() + body != length {
        length += 1;
    }
    let mut record = format!("{length} {key}=").into_bytes();
    record.extend_from_slice(value);
    record.push(b'\n');
    record
}

pub fn header(item: &Item, size: u64) -> [u8; 512] {
    let mut block = [0; 512];
    let name = &item.path[..item.path.len().min(100)];
    block[..name.len()].copy_from_slice(name);
    let mut octal = |at: usize, width: usize, value: u64| {
        let text = format!("{value:0width$o}", width = width - 1);
        block[at..at + width - 1].copy_from_slice(text.as_bytes());
    };
    octal(100, 8, u64::from(item.mode));
    octal(108, 8, item.uid.min(0o7_777_777));
    octal(116, 8, item.gid.min(0o7_777_777));
    octal(124, 12, size);
    octal(136, 12, item.mtime);
    octal(329, 8, u64::from(item.device.0));
    octal(337, 8, u64::from(item.device.1));
    block[156] = item.kind;
    let link = &item.link[..item.link.len().min(100)];
    block[157..157 + link.len()].copy_from_slice(link);
    block[257..265].copy_from_slice(b"ustar\x0000");
    seal(&mut block);
    block
}

/// Sets the checksum.
pub fn seal(block: &mut [u8; 512]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).expect("memory")
}

/// A store in a directory of its own.
pub fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = Store::open(&dir.path().join("images"), RegistryConfig::default()).expect("opens");
    (dir, store)
}

pub fn reference(text: &str) -> Reference {
    Reference::parse(text).expect("valid reference")
}

/// Two layers of busybox: the program and links, then a file and a deletion.
pub fn busybox_layers() -> [Vec<u8>; 2] {
    let program = std::fs::read("/bin/busybox").expect("package busybox-static");
    let base = Tar::new()
        .dir("bin/")
        .put(item(b'0', "bin/busybox").mode(0o755), &program)
        .symlink("bin/sh", "busybox")
        .dir("etc/")
        .file("etc/passwd", "root:x:0:0::/:/bin/sh\n")
        .file("etc/gone", "x")
        .put(item(b'5', "tmp/").mode(0o1777), b"");
    let top = Tar::new()
        .dir("etc/")
        .file("etc/hello", "world\n")
        .file("etc/.wh.gone", "");
    [base.end(), top.end()]
}

/// A busybox image made in `store`.
pub fn busybox(store: &Store, name: &str) -> weft_image::Image {
    busybox_with(store, name, zstd)
}

/// As [`busybox`], with the upper layer compressed by `compress`.
pub fn busybox_with(
    store: &Store,
    name: &str,
    compress: fn(&[u8]) -> Vec<u8>,
) -> weft_image::Image {
    let config = ImageConfig {
        env: vec!["PATH=/bin".to_owned()],
        cmd: vec!["sh".to_owned()],
        created: Some("2026-01-02T03:04:05Z".to_owned()),
        ..ImageConfig::default()
    };
    let [base, top] = busybox_layers();
    let (base, top) = (gzip(&base), compress(&top));
    let layers: Vec<Box<dyn std::io::Read + Send>> = vec![
        Box::new(std::io::Cursor::new(base)),
        Box::new(std::io::Cursor::new(top)),
    ];
    store
        .create(config, layers, Some(&reference(name)))
        .expect("image")
}

/// Every path below `dir` (relative), sorted.
pub fn tree(dir: &std::path::Path) -> Vec<String> {
    fn walk(dir: &std::path::Path, base: &std::path::Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).expect("directory") {
            let path = entry.expect("entry").path();
            found.push(
                path.strip_prefix(base)
                    .expect("below")
                    .to_string_lossy()
                    .into_owned(),
            );
            if path.symlink_metadata().expect("exists").is_dir() {
                walk(&path, base, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(dir, dir, &mut found);
    found.sort();
    found
}

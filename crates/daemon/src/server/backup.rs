//! A server in one file, to keep elsewhere and begin again from.
//!
//! Owns: what is in it, and how it is read. It has the keyspace, the authority and the key of
//! secrets, unless root keeps that outside the data directory. Whoever has the file is the
//! server's master.
//! Never: containers, images and volumes; the audit log.
//!
//! ```text
//!   about          JSON: format, when, of what, where the key of secrets is
//!   authority/X    its files
//!   secrets.key    if it is kept in the data directory
//!   keyspace       a snapshot (`keyspace`)
//! ```

use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use weft_keyspace::{Local, Snapshot};
use weft_stdx::parts::{Magic, Reader, Writer};

/// What a backup begins with.
pub const MAGIC: &Magic = weft_stdx::parts::BACKUP;
const FORMAT: u64 = 1;
const ABOUT: &str = "about";
const AUTHORITY: &str = "authority/";
const KEY: &str = "secrets.key";
/// The key file, unless root keeps it elsewhere.
pub(super) const KEY_FILE: &str = "server/secrets.key";
const KEYSPACE: &str = "keyspace";
/// Most bytes of a part that is no keyspace.
const LARGEST_FILE: u64 = 64 << 10;
/// Most files.
const MOST_FILES: usize = 64;

/// What goes into a backup.
pub(super) struct Source<'a> {
    pub(super) keyspace: &'a Local,
    /// The authority's directory.
    pub(super) authority: &'a Path,
    /// The key file, and whether it is not part of the data directory.
    pub(super) key: &'a Path,
    pub(super) is_key_outside: bool,
    /// What tells the key from others.
    pub(super) key_id: &'a str,
}

/// Writes a backup. The key file must not change meanwhile.
pub(super) fn write(source: &Source<'_>, to: impl Write) -> io::Result<()> {
    let mut writer = Writer::new(to, MAGIC)?;
    let about = json!({
        "format": FORMAT,
        "weft": env!("CARGO_PKG_VERSION"),
        "takenAtUnix": weft_stdx::clock::unix_s(),
        "secretsKey": {
            "id": source.key_id,
            "outside": source.is_key_outside.then(|| source.key.display().to_string()),
        },
    });
    writer.part(ABOUT, |part| part.write_all(about.to_string().as_bytes()))?;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(source.authority)? {
        let entry = entry?;
        let name = entry.file_name().into_string();
        if let (Ok(name), true) = (name, entry.file_type()?.is_file()) {
            names.push(name);
        }
    }
    names.sort();
    for name in names {
        let bytes = small(&source.authority.join(&name))?;
        writer.part(&format!("{AUTHORITY}{name}"), |part| part.write_all(&bytes))?;
    }
    if !source.is_key_outside {
        let bytes = small(source.key)?;
        writer.part(KEY, |part| part.write_all(&bytes))?;
    }
    writer.part(KEYSPACE, |part| source.keyspace.snapshot(part))?;
    writer.finish().map(drop)
}

fn small(path: &Path) -> io::Result<Vec<u8>> {
    weft_stdx::file::read_bounded(path, LARGEST_FILE)
}

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// When it was taken, in seconds since 1970.
    pub taken_s: i64,
    /// What tells the key of its secrets from others.
    pub key_id: String,
    /// Where that was, if it is not in the backup.
    pub key_outside: Option<PathBuf>,
    /// What its keyspace holds.
    pub keyspace: Snapshot,
}

/// Where the parts of a backup go.
pub(super) trait Taker {
    /// A small file: its place below the server's directory.
    fn file(&mut self, place: &Path, content: &[u8]) -> Result<()>;

    /// The keyspace.
    fn keyspace(&mut self, from: &mut dyn Read) -> Result<Snapshot>;
}

/// Hands each part of a backup to `taker`, and answers once all of it was seen and is whole.
pub(super) fn read(from: impl Read, taker: &mut impl Taker) -> Result<About> {
    let mut reader = Reader::new(io::BufReader::new(from), MAGIC).context("it is no backup")?;
    let (mut about, mut keyspace) = (None, None);
    let (mut files, mut has_key, mut has_authority) = (0, false, false);
    while let Some(name) = reader.next_part().context("the backup is damaged")? {
        if (name == ABOUT) != about.is_none() {
            bail!("the backup is damaged: it does not begin by saying what it is");
        }
        if name == KEYSPACE && keyspace.is_none() {
            keyspace = Some(taker.keyspace(&mut reader)?);
            continue;
        }
        let content = weft_stdx::file::read_all_bounded(&mut reader, LARGEST_FILE);
        let content = content.with_context(|| format!("the backup is damaged: part {name:?}"))?;
        files += 1;
        if files > MOST_FILES {
            bail!("the backup is damaged: it has more than {MOST_FILES} files");
        }
        if name == ABOUT {
            about = Some(parse_about(&content)?);
        } else if name == KEY && !has_key {
            has_key = true;
            taker.file(Path::new(KEY), &content)?;
        } else if let Some(file) = name
            .strip_prefix(AUTHORITY)
            .filter(|file| is_file_name(file))
        {
            has_authority = true;
            taker.file(&Path::new("authority").join(file), &content)?;
        } else {
            bail!("the backup has a part {name:?}, which this weft does not know");
        }
    }
    let about = about.context("the backup is damaged: it is empty")?;
    let (taken_s, key_id, key_outside) = about;
    let keyspace = keyspace.context("the backup is damaged: it has no keyspace")?;
    if !has_authority || has_key == key_outside.is_some() {
        bail!("the backup is damaged: the authority or the key of secrets is not as it says");
    }
    Ok(About {
        taken_s,
        key_id,
        key_outside,
        keyspace,
    })
}

fn is_file_name(name: &str) -> bool {
    let mut steps = Path::new(name).components();
    matches!((steps.next(), steps.next()), (Some(Component::Normal(step)), None) if step == name)
}

fn parse_about(content: &[u8]) -> Result<(i64, String, Option<PathBuf>)> {
    let about: Value = serde_json::from_slice(content).context("the backup is damaged")?;
    match about["format"].as_u64() {
        Some(FORMAT) => {}
        found => bail!(
            "the backup has format {}, this weft knows {FORMAT}: use the weft that took it",
            found.unwrap_or_default()
        ),
    }
    let key = &about["secretsKey"];
    Ok((
        about["takenAtUnix"].as_i64().unwrap_or_default(),
        key["id"].as_str().unwrap_or_default().to_owned(),
        key["outside"].as_str().map(PathBuf::from),
    ))
}

//! Owns reading tar archives (POSIX ustar and pax, GNU, old V7) as a stream of entries.
//! Never touches the filesystem and never trusts a length.
//!
//! The `tar` crate writes our archives but does not read them: its pax iterator splits records at
//! newlines, which binary attributes such as `security.capability` may contain, and its raw mode
//! leaves the pax `size` out of where the next header is (the desync of CVE-2025-62518).

use std::io::{self, BufRead};

use super::header::{BLOCK, device, header_path, kind, natural, number, stored_size, text};
use super::pax::{self, Pax};
use super::sparse;
use super::{Limits, UnpackError, shown};

/// Longest name in a GNU `L` or `K` record that is read.
const LONG_NAME_MAX: u64 = 64 << 10;
/// Largest pax header that is read: attributes are at most 64 KiB each.
const PAX_MAX: u64 = 1 << 20;
/// What an entry makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    HardLink,
    Symlink,
    CharDevice,
    BlockDevice,
    Directory,
    Fifo,
}

/// One entry, its names as they stand in the archive.
#[derive(Debug)]
pub(crate) struct Entry {
    pub path: Vec<u8>,
    pub link: Vec<u8>,
    pub kind: Kind,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    pub mtime: (i64, u32),
    /// Bytes the file has once unpacked.
    pub size: u64,
    /// Where the stored data belongs, if there are holes: offset and length.
    pub sparse: Option<Vec<(u64, u64)>>,
    pub device: (u32, u32),
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A tar stream. After [`Archive::next`], the entry's data is read with [`Archive::data`]; what
/// is left of it is skipped by the following `next`.
pub(crate) struct Archive<R> {
    source: R,
    /// Data of the present entry still to come, without padding.
    remaining: u64,
    padding: u64,
    entries: u64,
    limits: Limits,
}

impl<R: BufRead> Archive<R> {
    pub(crate) fn new(source: R, limits: Limits) -> Self {
        Self {
            source,
            remaining: 0,
            padding: 0,
            entries: 0,
            limits,
        }
    }

    /// How many entries have been read.
    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }

    /// The next entry; `None` at the end of the archive.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, UnpackError> {
        let mut long_path = None;
        let mut long_link = None;
        let mut extended: Option<Pax> = None;
        loop {
            self.skip_rest()?;
            let Some(header) = self.header()? else {
                if long_path.is_some() || long_link.is_some() || extended.is_some() {
                    return Err(UnpackError::Format(
                        "ends after an extended header".to_owned(),
                    ));
                }
                return Ok(None);
            };
            self.entries += 1;
            if self.entries > self.limits.entries {
                return Err(UnpackError::Limit("entries", self.limits.entries));
            }
            match header[156] {
                b'L' => long_path = Some(self.long_name(&header)?),
                b'K' => long_link = Some(self.long_name(&header)?),
                b'x' if extended.is_some() => {
                    return Err(UnpackError::Format(
                        "two pax headers for one entry".to_owned(),
                    ));
                }
                b'x' => extended = Some(pax::parse(&self.record(&header, PAX_MAX)?)?),
                b'g' => pax::check_global(&self.record(&header, PAX_MAX)?)?,
                _ => {
                    let extended = extended.unwrap_or_default();
                    return self
                        .entry(&header, long_path, long_link, extended)
                        .map(Some);
                }
            }
        }
    }

    /// The next piece of the present entry's data; empty at its end.
    pub(crate) fn data(&mut self) -> Result<&[u8], UnpackError> {
        if self.remaining == 0 {
            return Ok(&[]);
        }
        let buffer = self.source.fill_buf().map_err(UnpackError::Read)?;
        if buffer.is_empty() {
            return Err(truncated());
        }
        let wanted = usize::try_from(self.remaining).unwrap_or(usize::MAX);
        Ok(&buffer[..buffer.len().min(wanted)])
    }

    /// Marks `amount` bytes of what [`Archive::data`] showed as used.
    pub(crate) fn used(&mut self, amount: usize) {
        self.source.consume(amount);
        self.remaining -= amount as u64;
    }

    /// Reads to the end of the stream, past the archive's end mark.
    pub(crate) fn drain(&mut self) -> Result<(), UnpackError> {
        loop {
            let available = self.source.fill_buf().map_err(UnpackError::Read)?.len();
            if available == 0 {
                return Ok(());
            }
            self.source.consume(available);
        }
    }

    fn skip_rest(&mut self) -> Result<(), UnpackError> {
        let mut left = self.remaining + self.padding;
        (self.remaining, self.padding) = (0, 0);
        while left > 0 {
            let available = self.source.fill_buf().map_err(UnpackError::Read)?.len() as u64;
            if available == 0 {
                return Err(truncated());
            }
            let step = available.min(left);
            self.source
                .consume(usize::try_from(step).expect("no more than a buffer"));
            left -= step;
        }
        Ok(())
    }

    /// Reads one block; `None` at a clean end or at the end mark.
    fn header(&mut self) -> Result<Option<[u8; BLOCK]>, UnpackError> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            let buffer = self.source.fill_buf().map_err(UnpackError::Read)?;
            if buffer.is_empty() {
                return if filled == 0 {
                    Ok(None)
                } else {
                    Err(truncated())
                };
            }
            let step = buffer.len().min(BLOCK - filled);
            block[filled..filled + step].copy_from_slice(&buffer[..step]);
            self.source.consume(step);
            filled += step;
        }
        if block == [0; BLOCK] {
            return Ok(None);
        }
        // The field itself counts as eight spaces.
        let sum = |bytes: &[u8]| bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        let field = &block[148..156];
        let expected = sum(&block) - sum(field) + 8 * u64::from(b' ');
        if number(field)? != i128::from(expected) {
            return Err(UnpackError::Format(
                "header checksum does not match".to_owned(),
            ));
        }
        Ok(Some(block))
    }

    /// Reads all data of a metadata record.
    fn record(&mut self, header: &[u8; BLOCK], max: u64) -> Result<Vec<u8>, UnpackError> {
        let size = natural(&header[124..136], "size")?;
        if size > max {
            return Err(UnpackError::Limit("bytes of one extended header", max));
        }
        self.expect_data(size);
        self.take(size)
    }

    /// Reads `size` bytes of the present entry's data.
    fn take(&mut self, size: u64) -> Result<Vec<u8>, UnpackError> {
        let size = usize::try_from(size).expect("bounded by the callers");
        let mut bytes = Vec::new();
        while bytes.len() < size {
            let left = size - bytes.len();
            let data = self.data()?;
            if data.is_empty() {
                return Err(truncated());
            }
            let step = data.len().min(left);
            bytes.extend_from_slice(&data[..step]);
            self.used(step);
        }
        Ok(bytes)
    }

    fn expect_data(&mut self, size: u64) {
        self.remaining = size;
        self.padding = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
    }

    fn long_name(&mut self, header: &[u8; BLOCK]) -> Result<Vec<u8>, UnpackError> {
        let mut name = self.record(header, LONG_NAME_MAX)?;
        name.truncate(
            name.iter()
                .position(|byte| *byte == 0)
                .unwrap_or(name.len()),
        );
        Ok(name)
    }

    fn entry(
        &mut self,
        header: &[u8; BLOCK],
        long_path: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
        pax: Pax,
    ) -> Result<Entry, UnpackError> {
        let path = pax
            .path
            .clone()
            .or(long_path)
            .unwrap_or_else(|| header_path(header));
        let link = pax
            .link
            .clone()
            .or(long_link)
            .unwrap_or_else(|| text(&header[157..257]));
        let kind = kind(header[156], &path)?;
        let stored = stored_size(header, &pax, &path)?;
        // Types without data have none, whatever their size field says, as Go's reader has it.
        self.expect_data(if kind == Kind::File { stored } else { 0 });
        let mtime = match pax.mtime {
            Some(time) => time,
            None => (i64::try_from(number(&header[136..148])?).unwrap_or(0), 0),
        };
        let mut entry = Entry {
            link,
            kind,
            mode: u32::try_from(number(&header[100..108])? & 0o7777).unwrap_or(0),
            uid: pax
                .uid
                .map_or_else(|| natural(&header[108..116], "uid"), Ok)?,
            gid: pax
                .gid
                .map_or_else(|| natural(&header[116..124], "gid"), Ok)?,
            mtime,
            size: self.remaining,
            sparse: None,
            device: device(header, kind)?,
            xattrs: Vec::new(),
            path,
        };
        if kind == Kind::File {
            self.sparse(header, &pax, &mut entry)?;
        }
        entry.xattrs = pax.xattrs;
        Ok(entry)
    }

    /// Fills in the map of a sparse file: GNU's old type `S`, or pax formats 0.0, 0.1 and 1.0.
    fn sparse(
        &mut self,
        header: &[u8; BLOCK],
        pax: &Pax,
        entry: &mut Entry,
    ) -> Result<(), UnpackError> {
        let stored = self.remaining;
        let (map, size) = if header[156] == b'S' {
            // The extension blocks are no part of the data that the size field counts.
            let mut map = sparse::header_map(header)?;
            let mut more = header[482] != 0;
            while more {
                let block = self.extension()?;
                more = block[504] != 0;
                sparse::extension_map(&block, &mut map)?;
            }
            (map, natural(&header[483..495], "real size")?)
        } else if let Some(sparse) = &pax.sparse {
            if let Some(name) = &sparse.name {
                entry.path.clone_from(name);
            }
            let map = if sparse.in_data {
                self.data_map()?
            } else {
                sparse.map.clone()
            };
            (map, sparse.size)
        } else {
            return Ok(());
        };
        let in_map = sparse::check(&map, size)?;
        if in_map > self.remaining {
            let name = shown(&entry.path);
            return Err(UnpackError::Format(format!(
                "{name} has a map of {in_map} bytes but stores {stored}"
            )));
        }
        entry.size = size;
        entry.sparse = Some(map);
        Ok(())
    }

    fn extension(&mut self) -> Result<[u8; BLOCK], UnpackError> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            let buffer = self.source.fill_buf().map_err(UnpackError::Read)?;
            if buffer.is_empty() {
                return Err(truncated());
            }
            let step = buffer.len().min(BLOCK - filled);
            block[filled..filled + step].copy_from_slice(&buffer[..step]);
            self.source.consume(step);
            filled += step;
        }
        Ok(block)
    }

    /// Pax sparse 1.0: decimal numbers, one a line, at the start of the data, padded to a block.
    fn data_map(&mut self) -> Result<Vec<(u64, u64)>, UnpackError> {
        let mut parser = sparse::DataMap::default();
        while !parser.complete() {
            if self.remaining < BLOCK as u64 {
                return Err(UnpackError::Format(
                    "sparse map runs past its data".to_owned(),
                ));
            }
            let block = self.take(BLOCK as u64)?;
            parser.push(&block)?;
        }
        Ok(parser.map)
    }
}

fn truncated() -> UnpackError {
    UnpackError::Format("ends in the middle of an entry".to_owned())
}

/// So that a reader's own errors can travel through [`BufRead`].
impl From<UnpackError> for io::Error {
    fn from(error: UnpackError) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

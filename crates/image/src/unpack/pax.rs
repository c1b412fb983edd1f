//! Owns pax extended headers (POSIX.1-2017 pax, "pax Extended Header"): length-prefixed records.
//! A malformed record is an error, never skipped.

use super::sparse;
use super::{UnpackError, shown};

/// What a pax header says about the next entry; keys without meaning here (atime, uname, …) are
/// left out.
#[derive(Debug, Default)]
pub(super) struct Pax {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub uid: Option<u64>,
    pub gid: Option<u64>,
    pub mtime: Option<(i64, u32)>,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub sparse: Option<Sparse>,
}

/// GNU's sparse files in pax headers, formats 0.0, 0.1 and 1.0.
#[derive(Debug, Default)]
pub(super) struct Sparse {
    pub map: Vec<(u64, u64)>,
    /// Format 1.0: the map stands before the data.
    pub in_data: bool,
    pub size: u64,
    pub name: Option<Vec<u8>>,
    /// Format 0.0: an offset whose length has not come yet.
    offset: Option<u64>,
}

pub(super) fn parse(bytes: &[u8]) -> Result<Pax, UnpackError> {
    let mut pax = Pax::default();
    records(bytes, |key, value| pax.take(key, value))?;
    if pax
        .sparse
        .as_ref()
        .is_some_and(|sparse| sparse.offset.is_some())
    {
        return Err(malformed("GNU.sparse.offset without numbytes"));
    }
    Ok(pax)
}

/// Global headers carry comments; one that would change names or sizes of what follows is read
/// differently by different tools, so it is refused.
pub(super) fn check_global(bytes: &[u8]) -> Result<(), UnpackError> {
    records(bytes, |key, _| {
        let changes = matches!(key, b"path" | b"linkpath" | b"size" | b"uid" | b"gid");
        if changes || key.starts_with(b"GNU.sparse.") || key.starts_with(b"SCHILY.xattr.") {
            return Err(malformed(&format!("a global header sets {}", shown(key))));
        }
        Ok(())
    })
}

fn malformed(what: &str) -> UnpackError {
    UnpackError::Format(format!("malformed pax header: {what}"))
}

/// Splits `length key=value\n` records; the length counts the whole record.
fn records(
    mut bytes: &[u8],
    mut each: impl FnMut(&[u8], &[u8]) -> Result<(), UnpackError>,
) -> Result<(), UnpackError> {
    while !bytes.is_empty() {
        let space = bytes.iter().take(12).position(|byte| *byte == b' ');
        let space = space.ok_or_else(|| malformed("a record has no length"))?;
        let length = decimal(&bytes[..space])?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length <= space + 1 || length > bytes.len() || bytes[length - 1] != b'\n' {
            return Err(malformed("a record's length is wrong"));
        }
        let record = &bytes[space + 1..length - 1];
        let equals = record.iter().position(|byte| *byte == b'=');
        let equals = equals
            .filter(|at| *at > 0)
            .ok_or_else(|| malformed("a record has no key"))?;
        each(&record[..equals], &record[equals + 1..])?;
        bytes = &bytes[length..];
    }
    Ok(())
}

pub(super) fn decimal(text: &[u8]) -> Result<u64, UnpackError> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let value = std::str::from_utf8(text)
        .ok()
        .filter(|_| digits)
        .and_then(|t| t.parse().ok());
    value.ok_or_else(|| malformed("a number is not one"))
}

impl Pax {
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), UnpackError> {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            if name.is_empty() || name.len() > 255 || name.contains(&0) {
                return Err(malformed("an attribute has an impossible name"));
            }
            self.xattrs.push((name.to_vec(), value.to_vec()));
            return Ok(());
        }
        if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
            return self.sparse.get_or_insert_default().take(key, value);
        }
        // An empty value takes back what a header before said; there the plain header counts.
        if value.is_empty() {
            return Ok(());
        }
        match key {
            b"path" => self.path = Some(name(value)?),
            b"linkpath" => self.link = Some(name(value)?),
            b"size" => self.size = Some(decimal(value)?),
            b"uid" => self.uid = Some(decimal(value)?),
            b"gid" => self.gid = Some(decimal(value)?),
            b"mtime" => self.mtime = Some(time(value)?),
            _ => {}
        }
        Ok(())
    }
}

impl Sparse {
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), UnpackError> {
        match key {
            b"major" if value == b"1" => self.in_data = true,
            b"major" | b"minor" if value == b"0" => {}
            b"major" | b"minor" => return Err(malformed("an unknown sparse format")),
            b"size" | b"realsize" => self.size = decimal(value)?,
            b"name" => self.name = Some(name(value)?),
            b"numblocks" => drop(decimal(value)?),
            b"offset" if self.offset.is_none() => self.offset = Some(decimal(value)?),
            b"numbytes" => {
                let offset = self
                    .offset
                    .take()
                    .ok_or_else(|| malformed("numbytes first"))?;
                sparse::push(&mut self.map, offset, decimal(value)?)?;
            }
            b"map" => {
                let numbers: Result<Vec<u64>, _> =
                    value.split(|b| *b == b',').map(decimal).collect();
                for pair in numbers?.chunks(2) {
                    let [offset, length] = pair else {
                        return Err(malformed("an odd sparse map"));
                    };
                    sparse::push(&mut self.map, *offset, *length)?;
                }
            }
            _ => return Err(malformed("an unknown GNU.sparse key")),
        }
        Ok(())
    }
}

fn name(value: &[u8]) -> Result<Vec<u8>, UnpackError> {
    if value.contains(&0) {
        return Err(malformed("a name contains NUL"));
    }
    Ok(value.to_vec())
}

/// Seconds with an optional fraction, possibly negative.
fn time(value: &[u8]) -> Result<(i64, u32), UnpackError> {
    let (negative, value) = match value.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, value),
    };
    let mut parts = value.splitn(2, |byte| *byte == b'.');
    let whole = decimal(parts.next().unwrap_or_default())?;
    let whole = i64::try_from(whole).map_err(|_| malformed("a time is out of range"))?;
    let mut nanos = 0_u32;
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Err(malformed("a number is not one"));
    }
    for at in 0..9 {
        nanos = nanos * 10 + u32::from(fraction.get(at).map_or(0, |digit| digit - b'0'));
    }
    Ok(match (negative, nanos) {
        (false, nanos) => (whole, nanos),
        (true, 0) => (-whole, 0),
        (true, nanos) => (-whole - 1, 1_000_000_000 - nanos),
    })
}

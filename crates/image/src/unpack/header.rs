//! Owns the fields of a tar header (POSIX ustar, GNU's forms of it): what its bytes say. Reads no
//! further than the block.

use super::pax::Pax;
use super::reader::Kind;
use super::{UnpackError, shown};

/// Bytes of a header, and what data is padded to.
pub(super) const BLOCK: usize = 512;
/// The ustar size field holds 11 octal digits: from here on only pax or base-256 can say it.
const OCTAL_SIZE_MAX: u64 = 1 << 33;

pub(super) fn kind(flag: u8, path: &[u8]) -> Result<Kind, UnpackError> {
    Ok(match flag {
        // Before POSIX, a directory was a file whose name ends in a slash.
        b'0' | 0 | b'7' if path.ends_with(b"/") => Kind::Directory,
        b'0' | 0 | b'7' | b'S' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' => Kind::CharDevice,
        b'4' => Kind::BlockDevice,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        other => {
            let (flag, name) = (char::from(other).escape_default(), shown(path));
            return Err(UnpackError::Format(format!(
                "{name} has the unknown type '{flag}'"
            )));
        }
    })
}

/// Two sizes that disagree are how one archive is made to look like two (CVE-2025-62518).
pub(super) fn stored_size(
    header: &[u8; BLOCK],
    pax: &Pax,
    path: &[u8],
) -> Result<u64, UnpackError> {
    let plain = natural(&header[124..136], "size")?;
    let Some(size) = pax.size else {
        return Ok(plain);
    };
    if size != plain && size < OCTAL_SIZE_MAX {
        let name = shown(path);
        return Err(UnpackError::Format(format!(
            "{name} has two sizes: {plain} in its header, {size} in its pax record"
        )));
    }
    Ok(size)
}

pub(super) fn device(header: &[u8; BLOCK], kind: Kind) -> Result<(u32, u32), UnpackError> {
    if !matches!(kind, Kind::CharDevice | Kind::BlockDevice) {
        return Ok((0, 0));
    }
    let part = |field: &[u8]| {
        let value = natural(field, "device number")?;
        u32::try_from(value)
            .map_err(|_| UnpackError::Format(format!("device number {value} is out of range")))
    };
    Ok((part(&header[329..337])?, part(&header[337..345])?))
}

pub(super) fn header_path(header: &[u8; BLOCK]) -> Vec<u8> {
    let name = text(&header[..100]);
    // GNU keeps other things where POSIX has the prefix; its magic ends in two spaces.
    if header[257..263] != *b"ustar\0" || header[345] == 0 {
        return name;
    }
    let mut path = text(&header[345..500]);
    path.push(b'/');
    path.extend_from_slice(&name);
    path
}

pub(super) fn text(field: &[u8]) -> Vec<u8> {
    field[..field
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(field.len())]
        .to_vec()
}

pub(super) fn natural(field: &[u8], what: &str) -> Result<u64, UnpackError> {
    let value = number(field)?;
    u64::try_from(value).map_err(|_| UnpackError::Format(format!("{what} {value} is out of range")))
}

/// A numeric field: octal digits among spaces and NULs, or base-256 with the top bit set.
pub(super) fn number(field: &[u8]) -> Result<i128, UnpackError> {
    if field[0] & 0x80 != 0 {
        let negative = field[0] & 0x40 != 0;
        let mut value: i128 = if negative { -1 } else { 0 };
        for (at, byte) in field.iter().enumerate() {
            let byte = if at == 0 && !negative {
                byte & 0x7f
            } else {
                *byte
            };
            value = (value << 8) | i128::from(byte);
        }
        return Ok(value);
    }
    let blank = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field
        .iter()
        .position(|byte| !blank(byte))
        .unwrap_or(field.len());
    let digits = &field[start..];
    let end = digits.iter().position(blank).unwrap_or(digits.len());
    let mut value = 0;
    for digit in &digits[..end] {
        if !(b'0'..=b'7').contains(digit) {
            return Err(UnpackError::Format(
                "a numeric field is not octal".to_owned(),
            ));
        }
        value = value * 8 + i128::from(digit - b'0');
    }
    Ok(value)
}

//! Owns maps of sparse files in tar archives: where stored data belongs in the file.
//! Never reads the data.

use super::UnpackError;
use super::header::natural;
use super::pax::decimal;

/// Most pieces of one sparse file.
const PIECES_MAX: usize = 1 << 20;
/// Largest file: ext4's limit, 16 TiB.
const FILE_MAX: u64 = 1 << 44;

fn malformed(what: &str) -> UnpackError {
    UnpackError::Format(format!("malformed sparse file: {what}"))
}

pub(super) fn push(map: &mut Vec<(u64, u64)>, offset: u64, length: u64) -> Result<(), UnpackError> {
    if map.len() >= PIECES_MAX {
        return Err(UnpackError::Limit(
            "pieces of one sparse file",
            PIECES_MAX as u64,
        ));
    }
    map.push((offset, length));
    Ok(())
}

/// The up to four pieces in a GNU header of type `S`.
pub(super) fn header_map(header: &[u8; 512]) -> Result<Vec<(u64, u64)>, UnpackError> {
    let mut map = Vec::new();
    pieces(&header[386..482], &mut map)?;
    Ok(map)
}

/// The up to 21 further pieces in an extension block.
pub(super) fn extension_map(
    block: &[u8; 512],
    map: &mut Vec<(u64, u64)>,
) -> Result<(), UnpackError> {
    pieces(&block[..504], map)
}

fn pieces(fields: &[u8], map: &mut Vec<(u64, u64)>) -> Result<(), UnpackError> {
    for piece in fields.chunks_exact(24) {
        if piece[0] == 0 {
            break;
        }
        push(
            map,
            natural(&piece[..12], "sparse offset")?,
            natural(&piece[12..], "sparse length")?,
        )?;
    }
    Ok(())
}

/// Checks order and bounds; answers how many bytes the pieces hold.
pub(super) fn check(map: &[(u64, u64)], size: u64) -> Result<u64, UnpackError> {
    if size > FILE_MAX {
        return Err(UnpackError::Limit("bytes of one file", FILE_MAX));
    }
    let (mut end, mut total) = (0_u64, 0_u64);
    for (offset, length) in map {
        let piece_end = offset.checked_add(*length).filter(|end| *end <= size);
        if *offset < end {
            return Err(malformed("its pieces overlap or are out of order"));
        }
        end = piece_end.ok_or_else(|| malformed("a piece lies behind its end"))?;
        total += length;
    }
    Ok(total)
}

/// Parses the map that pax format 1.0 puts before the data.
#[derive(Default)]
pub(super) struct DataMap {
    pub map: Vec<(u64, u64)>,
    line: Vec<u8>,
    count: Option<u64>,
    offset: Option<u64>,
}

impl DataMap {
    pub fn complete(&self) -> bool {
        self.count
            .is_some_and(|count| self.map.len() as u64 == count)
    }

    pub fn push(&mut self, block: &[u8]) -> Result<(), UnpackError> {
        for byte in block {
            if self.complete() {
                return Ok(());
            }
            if *byte != b'\n' {
                if self.line.len() >= 20 {
                    return Err(malformed("a number in its map is too long"));
                }
                self.line.push(*byte);
                continue;
            }
            let value = decimal(&self.line)?;
            self.line.clear();
            match (self.count, self.offset.take()) {
                (None, _) if value > PIECES_MAX as u64 => {
                    return Err(UnpackError::Limit(
                        "pieces of one sparse file",
                        PIECES_MAX as u64,
                    ));
                }
                (None, _) => self.count = Some(value),
                (Some(_), None) => self.offset = Some(value),
                (Some(_), Some(offset)) => push(&mut self.map, offset, value)?,
            }
        }
        Ok(())
    }
}

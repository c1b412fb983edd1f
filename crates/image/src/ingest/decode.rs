//! Owns recognising and undoing compression: by its first bytes, whatever a media type says.
//! Everything is done in this process; no helper program is ever run on a layer.

use std::io::{self, Read};

use super::{IngestError, Source};

/// Largest window zstd may ask for: 2^27 bytes, its own default bound.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// How an archive is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952, one or more members.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Compression {
    /// Tells by the first bytes.
    pub(crate) fn of(start: &[u8]) -> Result<Self, IngestError> {
        let unsupported = [
            (b"BZh".as_slice(), "bzip2"),
            (b"\xfd7zXZ\0", "xz"),
            (b"\x04\x22\x4d\x18", "lz4"),
            (b"]\0\0", "lzma"),
        ];
        if start.starts_with(b"\x1f\x8b") {
            return Ok(Self::Gzip);
        }
        if start.starts_with(b"\x28\xb5\x2f\xfd") || is_skippable_frame(start) {
            return Ok(Self::Zstd);
        }
        match unsupported
            .iter()
            .find(|(magic, _)| start.starts_with(magic))
        {
            Some((_, name)) => Err(IngestError::Compression(name)),
            None => Ok(Self::None),
        }
    }

    /// The suffix of OCI layer media types.
    pub(crate) fn media_suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => "+gzip",
            Self::Zstd => "+zstd",
        }
    }
}

/// A zstd stream may begin with frames to skip, as zstd:chunked's do.
fn is_skippable_frame(start: &[u8]) -> bool {
    matches!(start, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// The inflated stream of a source.
pub(super) enum Decoder<'s, 'f> {
    None(&'s mut Source<'f>),
    Gzip(Box<flate2::bufread::MultiGzDecoder<&'s mut Source<'f>>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, &'s mut Source<'f>>>),
}

impl<'s, 'f> Decoder<'s, 'f> {
    pub fn new(source: &'s mut Source<'f>, compression: Compression) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::None(source),
            Compression::Gzip => Self::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(source))),
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(source)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Self::Zstd(Box::new(decoder))
            }
        })
    }

    pub fn source(&mut self) -> &mut Source<'f> {
        match self {
            Self::None(source) => source,
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Zstd(decoder) => decoder.get_mut(),
        }
    }
}

impl Read for Decoder<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::None(source) => source.read(out),
            Self::Gzip(decoder) => decoder.read(out),
            Self::Zstd(decoder) => decoder.read(out),
        }
    }
}

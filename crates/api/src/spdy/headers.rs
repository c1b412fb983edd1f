//! Names and values of streams: zlib with the dictionary of SPDY/3, one stream per direction.
//!
//! Never: gives more memory to a block than [`BLOCK_MAX`], whatever it unpacks to.

use bytes::Buf as _;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// Most bytes that a block unpacks to: its client's have some hundred.
const BLOCK_MAX: usize = 16 << 10;
/// Most names in a block.
const NAMES_MAX: usize = 64;

/// 2.6.10.1 of the draft, to the letter: both sides must have the same.
const DICTIONARY: &[u8] = b"\
\0\0\0\x07options\0\0\0\x04head\0\0\0\x04post\0\0\0\x03put\0\0\0\x06delete\
\0\0\0\x05trace\0\0\0\x06accept\0\0\0\x0eaccept-charset\0\0\0\x0faccept-encoding\
\0\0\0\x0faccept-language\0\0\0\x0daccept-ranges\0\0\0\x03age\0\0\0\x05allow\
\0\0\0\x0dauthorization\0\0\0\x0dcache-control\0\0\0\x0aconnection\0\0\0\x0ccontent-base\
\0\0\0\x10content-encoding\0\0\0\x10content-language\0\0\0\x0econtent-length\
\0\0\0\x10content-location\0\0\0\x0bcontent-md5\0\0\0\x0dcontent-range\
\0\0\0\x0ccontent-type\0\0\0\x04date\0\0\0\x04etag\0\0\0\x06expect\0\0\0\x07expires\
\0\0\0\x04from\0\0\0\x04host\0\0\0\x08if-match\0\0\0\x11if-modified-since\
\0\0\0\x0dif-none-match\0\0\0\x08if-range\0\0\0\x13if-unmodified-since\
\0\0\0\x0dlast-modified\0\0\0\x08location\0\0\0\x0cmax-forwards\0\0\0\x06pragma\
\0\0\0\x12proxy-authenticate\0\0\0\x13proxy-authorization\0\0\0\x05range\
\0\0\0\x07referer\0\0\0\x0bretry-after\0\0\0\x06server\0\0\0\x02te\0\0\0\x07trailer\
\0\0\0\x11transfer-encoding\0\0\0\x07upgrade\0\0\0\x0auser-agent\0\0\0\x04vary\
\0\0\0\x03via\0\0\0\x07warning\0\0\0\x10www-authenticate\0\0\0\x06method\0\0\0\x03get\
\0\0\0\x06status\0\0\0\x06200 OK\0\0\0\x07version\0\0\0\x08HTTP/1.1\0\0\0\x03url\
\0\0\0\x06public\0\0\0\x0aset-cookie\0\0\0\x0akeep-alive\0\0\0\x06origin\
1001012012022052063003023033043053063074024054064074084094104114124134144154164175025045\
05203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request40\
1 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 \
Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, W\
ed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/x\
ml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sd\
chcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

/// Names in small letters, and what they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Empty where there is none.
    pub fn text(&self, name: &str) -> &str {
        let found = self
            .0
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    fn parse(mut block: &[u8]) -> Result<Headers, &'static str> {
        const SHORT: &str = "a block of headers is too short";
        let text = |block: &mut &[u8]| -> Result<String, &'static str> {
            let length = block.try_get_u32().map_err(|_| SHORT)? as usize;
            let (text, rest) = block.split_at_checked(length).ok_or(SHORT)?;
            *block = rest;
            let text = std::str::from_utf8(text).map_err(|_| "a header is no UTF-8")?;
            Ok(text.to_owned())
        };
        let count = block.try_get_u32().map_err(|_| SHORT)? as usize;
        if count > NAMES_MAX {
            return Err("a block has too many headers");
        }
        let mut headers = Vec::with_capacity(count);
        for _ in 0..count {
            headers.push((text(&mut block)?, text(&mut block)?));
        }
        Ok(Headers(headers))
    }
}

/// Unpacks what comes.
#[derive(Debug)]
pub(super) struct Inflater(Decompress);

impl Default for Inflater {
    fn default() -> Inflater {
        Inflater(Decompress::new(true))
    }
}

impl Inflater {
    /// The headers in the next block.
    pub(super) fn headers(&mut self, mut packed: &[u8]) -> Result<Headers, &'static str> {
        let mut block = vec![0; BLOCK_MAX];
        let mut length = 0;
        loop {
            let (took, gave) = (self.0.total_in(), self.0.total_out());
            let done = self
                .0
                .decompress(packed, &mut block[length..], FlushDecompress::Sync);
            packed = &packed[(self.0.total_in() - took) as usize..];
            length += (self.0.total_out() - gave) as usize;
            match done {
                Err(error) if error.needs_dictionary().is_some() => {
                    self.0
                        .set_dictionary(DICTIONARY)
                        .map_err(|_| "headers are packed with another dictionary")?;
                }
                Err(_) => return Err("headers are not packed with zlib"),
                Ok(Status::StreamEnd) => return Err("headers are packed in another stream"),
                Ok(_) if length == BLOCK_MAX => return Err("a block of headers is too large"),
                Ok(_) if packed.is_empty() => break,
                Ok(_) if self.0.total_in() == took => {
                    return Err("headers are not packed with zlib");
                }
                Ok(_) => {}
            }
        }
        Headers::parse(&block[..length])
    }
}

/// Packs what goes.
#[derive(Debug)]
pub(super) struct Deflater {
    zlib: Compress,
    packed: Vec<u8>,
}

impl Default for Deflater {
    fn default() -> Deflater {
        let mut zlib = Compress::new(Compression::fast(), true);
        // A fresh stream takes any.
        let _ = zlib.set_dictionary(DICTIONARY);
        Deflater {
            zlib,
            packed: Vec::with_capacity(64),
        }
    }
}

impl Deflater {
    /// A block of headers.
    pub(super) fn block(&mut self, pairs: &[(&str, &str)]) -> &[u8] {
        let mut block = (pairs.len() as u32).to_be_bytes().to_vec();
        for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
            block.extend_from_slice(&(text.len() as u32).to_be_bytes());
            block.extend_from_slice(text.as_bytes());
        }
        self.packed.clear();
        let mut rest = &block[..];
        loop {
            let took = self.zlib.total_in();
            let _ = self
                .zlib
                .compress_vec(rest, &mut self.packed, FlushCompress::Sync);
            rest = &rest[(self.zlib.total_in() - took) as usize..];
            // Room is left: all of it is out.
            if rest.is_empty() && self.packed.len() < self.packed.capacity() {
                return &self.packed;
            }
            self.packed.reserve(64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dictionary_is_everybody_s() {
        let mut zlib = Compress::new(Compression::default(), true);
        // Its checksum is in the first bytes of every stream of headers.
        assert_eq!(zlib.set_dictionary(DICTIONARY).unwrap(), 0xe3c6_a7c2);
    }

    #[test]
    fn blocks_follow_one_another_in_one_stream() {
        let (mut packer, mut inflater) = (Deflater::default(), Inflater::default());
        for port in ["80", "81", "82"] {
            let pairs = [
                ("streamtype", "data"),
                ("port", port),
                ("version", "HTTP/1.1"),
            ];
            let headers = inflater.headers(packer.block(&pairs)).unwrap();
            assert_eq!(
                (headers.text("port"), headers.text("streamType")),
                (port, "data")
            );
            assert_eq!(headers.text("none"), "");
        }
        assert_eq!(
            inflater.headers(packer.block(&[])).unwrap(),
            Headers::default()
        );
    }

    #[test]
    fn what_unpacks_to_much_is_refused() {
        let long = "x".repeat(1 << 20);
        let mut packer = Deflater::default();
        let packed = packer.block(&[("a", &long)]);
        assert!(packed.len() < 64 << 10);
        assert!(
            Inflater::default()
                .headers(packed)
                .unwrap_err()
                .contains("too large")
        );
    }

    #[test]
    fn blocks_that_lie_about_their_size_are_refused() {
        for block in [
            &b""[..],
            b"\0\0\0\x01",
            b"\0\0\0\x01\xff\xff\xff\xff",
            b"\xff\xff\xff\xff",
        ] {
            assert!(Headers::parse(block).is_err(), "{block:?}");
        }
    }
}

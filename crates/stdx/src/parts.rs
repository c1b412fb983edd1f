//! Named parts in one stream, with a sum at its end: what is read of it is whole, or refused.
//!
//! Never: knows what is in a part, or seeks.
//!
//! ```text
//!   magic 16
//!   part:  'p', length of name u8, name, chunks (length u32, bytes; 0 ends them)
//!   end:   'e', sha256 of everything before
//! ```

use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};

/// What a stream begins with, so that none is taken for another's.
pub type Magic = [u8; 16];

/// A server's backup.
pub const BACKUP: &Magic = b"weft-backup\0\0\0\0\n";

const SUM: usize = 32;
/// Largest chunk.
const CHUNK: usize = 64 << 10;

/// Writes a stream.
#[derive(Debug)]
pub struct Writer<W: Write> {
    to: W,
    sum: Sha256,
}

impl<W: Write> Writer<W> {
    /// Begins a stream.
    ///
    /// # Errors
    /// What writing to `to` answers.
    pub fn new(to: W, magic: &Magic) -> io::Result<Writer<W>> {
        let sum = Sha256::new();
        let mut writer = Writer { to, sum };
        writer.put(magic)?;
        Ok(writer)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.to.write_all(bytes)
    }

    /// Adds a part of what `fill` writes.
    ///
    /// # Errors
    /// What `fill` or writing answers: the stream is then not to be ended.
    pub fn part<T>(
        &mut self,
        name: &str,
        fill: impl FnOnce(&mut Part<'_, W>) -> io::Result<T>,
    ) -> io::Result<T> {
        let length =
            u8::try_from(name.len()).map_err(|_| wrong("a name of more than 255 bytes"))?;
        self.put(&[b'p', length])?;
        self.put(name.as_bytes())?;
        let mut part = Part(io::BufWriter::with_capacity(CHUNK, Chunks(self)));
        let filled = fill(&mut part)?;
        part.0.flush()?;
        drop(part);
        self.put(&0u32.to_le_bytes())?;
        Ok(filled)
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// What writing answers.
    pub fn finish(mut self) -> io::Result<W> {
        self.put(b"e")?;
        let sum = self.sum.finalize();
        self.to.write_all(&sum)?;
        self.to.flush()?;
        Ok(self.to)
    }
}

/// A part that is being written.
#[derive(Debug)]
pub struct Part<'a, W: Write>(io::BufWriter<Chunks<'a, W>>);

impl<W: Write> Write for Part<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct Chunks<'a, W: Write>(&'a mut Writer<W>);

impl<W: Write> Write for Chunks<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = &bytes[..bytes.len().min(CHUNK)];
        if !bytes.is_empty() {
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            self.0.put(&length.to_le_bytes())?;
            self.0.put(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a stream. It is whole once [`Reader::next_part`] answers that there is no more.
#[derive(Debug)]
pub struct Reader<R: Read> {
    from: R,
    sum: Sha256,
    /// Bytes left of the chunk; nothing: of no part.
    chunk: Option<usize>,
}

impl<R: Read> Reader<R> {
    /// Reads how it begins.
    ///
    /// # Errors
    /// It is none of `magic`, or cannot be read.
    pub fn new(from: R, magic: &Magic) -> io::Result<Reader<R>> {
        let mut reader = Reader {
            from,
            sum: Sha256::new(),
            chunk: None,
        };
        if reader.array::<16>()? != *magic {
            return Err(wrong("it does not begin as one"));
        }
        Ok(reader)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut array = [0; N];
        self.from.read_exact(&mut array).map_err(early)?;
        self.sum.update(array);
        Ok(array)
    }

    /// The next part's name, with what is left of the one before skipped; nothing: that was all,
    /// and it is whole.
    ///
    /// # Errors
    /// It is torn, altered, or cannot be read.
    pub fn next_part(&mut self) -> io::Result<Option<String>> {
        if self.chunk.is_some() {
            io::copy(self, &mut io::sink())?;
        }
        let before = self.sum.clone();
        match self.array()? {
            [b'p'] => {
                let [length] = self.array()?;
                let mut name = vec![0; usize::from(length)];
                self.from.read_exact(&mut name).map_err(early)?;
                self.sum.update(&name);
                let name = String::from_utf8(name).map_err(|_| wrong("a name is no text"))?;
                self.chunk = Some(self.length()?);
                Ok(Some(name))
            }
            [b'e'] => {
                let expected = before.chain_update(b"e").finalize();
                if self.array::<SUM>()? != *expected {
                    return Err(wrong("its sum is wrong"));
                }
                match self.from.read(&mut [0])? {
                    0 => Ok(None),
                    _ => Err(wrong("there is something behind its end")),
                }
            }
            _ => Err(wrong("something is neither part nor end")),
        }
    }

    fn length(&mut self) -> io::Result<usize> {
        let length = u32::from_le_bytes(self.array()?);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > CHUNK {
            return Err(wrong("a chunk is longer than chunks are"));
        }
        Ok(length)
    }
}

/// The part that was begun, to its end.
impl<R: Read> Read for Reader<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let Some(left) = self.chunk.filter(|_| !to.is_empty()) else {
            return Ok(0);
        };
        if left == 0 {
            self.chunk = None;
            return Ok(0);
        }
        let most = to.len().min(left);
        let count = self.from.read(&mut to[..most])?;
        if count == 0 {
            return Err(wrong("it ends too early"));
        }
        self.sum.update(&to[..count]);
        self.chunk = Some(match left - count {
            0 => self.length()?,
            left => left,
        });
        Ok(count)
    }
}

/// Whether a stream that is handed on is whole, without reading its parts.
#[derive(Debug)]
pub struct Passing {
    sum: Sha256,
    magic: Magic,
    begin: Vec<u8>,
    /// The last bytes: they may be the sum.
    tail: Vec<u8>,
}

impl Passing {
    /// One that is to begin so.
    pub fn new(magic: &Magic) -> Passing {
        Passing {
            sum: Sha256::new(),
            magic: *magic,
            begin: Vec::new(),
            tail: Vec::new(),
        }
    }

    /// These bytes have passed.
    pub fn pass(&mut self, bytes: &[u8]) {
        let missing = self.magic.len() - self.begin.len();
        self.begin
            .extend_from_slice(&bytes[..bytes.len().min(missing)]);
        self.tail.extend_from_slice(bytes);
        let sure = self.tail.len().saturating_sub(SUM);
        self.sum.update(&self.tail[..sure]);
        self.tail.drain(..sure);
    }

    /// That was all: is it whole?
    pub fn is_whole(self) -> bool {
        self.begin == self.magic && self.tail == *self.sum.finalize()
    }
}

fn wrong(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn early(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => wrong("it ends too early"),
        _ => error,
    }
}

/// For the fuzzer: whatever is read whole is the same when it is written again, and passes.
///
/// # Panics
/// Where it is not.
#[doc(hidden)]
pub fn fuzz(input: &[u8]) {
    // Nearly all inputs have a wrong sum: the right one is given to them, too.
    let mut right = input.to_vec();
    right.push(b'e');
    let sum = Sha256::digest(&right);
    right.extend_from_slice(&sum);
    for bytes in [input, &right] {
        let Ok(parts) = read_all(bytes, BACKUP) else {
            continue;
        };
        let mut passing = Passing::new(BACKUP);
        bytes.chunks(7).for_each(|chunk| passing.pass(chunk));
        assert!(passing.is_whole());
        let again = read_all(&write_all(&parts, BACKUP), BACKUP);
        assert_eq!(again.ok(), Some(parts));
    }
}

/// For the fuzzer: streams, and one without its end.
#[doc(hidden)]
pub fn fuzz_seeds() -> Vec<Vec<u8>> {
    let part = |name: &str, content: &[u8]| (name.to_owned(), content.to_vec());
    let two = write_all(
        &vec![part("about", b"{}"), part("keyspace", &[7; 300])],
        BACKUP,
    );
    let open = two[..two.len() - SUM - 1].to_vec();
    vec![write_all(&Vec::new(), BACKUP), two, open]
}

type All = Vec<(String, Vec<u8>)>;

fn read_all(bytes: &[u8], magic: &Magic) -> io::Result<All> {
    let mut reader = Reader::new(bytes, magic)?;
    let mut all = Vec::new();
    while let Some(name) = reader.next_part()? {
        let mut content = Vec::new();
        reader.read_to_end(&mut content)?;
        all.push((name, content));
    }
    Ok(all)
}

fn write_all(parts: &All, magic: &Magic) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), magic).expect("memory takes everything");
    for (name, content) in parts {
        let written = writer.part(name, |part| part.write_all(content));
        written.expect("memory takes everything");
    }
    writer.finish().expect("memory takes everything")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAGIC: &Magic = b"weft-test\0\0\0\0\0\0\n";

    fn passes(bytes: &[u8], step: usize) -> bool {
        let mut passing = Passing::new(MAGIC);
        bytes.chunks(step).for_each(|chunk| passing.pass(chunk));
        passing.is_whole()
    }

    #[test]
    fn what_is_written_is_read() {
        let parts: All = vec![
            ("empty".into(), Vec::new()),
            (String::new(), b"x".to_vec()),
            ("long".into(), vec![7; 3 * CHUNK + 1]),
            ("n".repeat(255), vec![1; CHUNK]),
        ];
        for parts in [parts, Vec::new()] {
            let bytes = write_all(&parts, MAGIC);
            assert_eq!(read_all(&bytes, MAGIC).unwrap(), parts);
            for step in [1, 31, 32, 33, bytes.len()] {
                assert!(passes(&bytes, step));
            }
            // Parts that nobody reads are skipped, and their bytes are counted.
            let mut reader = Reader::new(&bytes[..], MAGIC).unwrap();
            let mut names = Vec::new();
            while let Some(name) = reader.next_part().unwrap() {
                names.push(name);
            }
            assert_eq!(names.len(), parts.len());
        }
        let mut writer = Writer::new(Vec::new(), MAGIC).unwrap();
        assert!(writer.part(&"n".repeat(256), |_| Ok(())).is_err());
    }

    #[test]
    fn what_is_spoilt_is_refused() {
        let parts = vec![
            ("a".to_owned(), b"hello".to_vec()),
            ("b".into(), vec![0; 9]),
        ];
        let bytes = write_all(&parts, MAGIC);
        for place in 0..bytes.len() {
            let mut spoilt = bytes.clone();
            spoilt[place] ^= 1;
            read_all(&spoilt, MAGIC).expect_err("a bit is another");
            read_all(&bytes[..place], MAGIC).expect_err("the rest is missing");
            assert!(!passes(&spoilt, 5) && !passes(&bytes[..place], 5));
        }
        let longer = [&bytes[..], b"x"].concat();
        read_all(&longer, MAGIC).expect_err("there is more");
        assert!(!passes(&longer, 5));
        read_all(&bytes, b"another's stream").expect_err("it is foreign");
    }
}

//! Detach keys: which bytes leave a terminal without ending what runs in it.
//!
//! Pure. A key that begins the sequence is held back until the next one tells what was meant.

/// Looks for the sequence in what is typed.
#[derive(Debug)]
pub struct DetachKeys {
    sequence: Vec<u8>,
    matched: usize,
}

impl DetachKeys {
    /// Reads docker's notation: keys separated by commas, each a character or `ctrl-` and one of
    /// `a`-`z`, `@`, `[`, `\`, `]`, `^`, `_`. Empty: nothing detaches.
    pub fn parse(text: &str) -> Result<DetachKeys, String> {
        let mut sequence = Vec::new();
        for key in text.split(',').filter(|_| !text.is_empty()) {
            let byte = match key.strip_prefix("ctrl-").map(str::as_bytes) {
                Some([letter @ b'a'..=b'z']) => letter - b'a' + 1,
                Some([b'@']) => 0,
                Some([b'[']) => 27,
                Some([b'\\']) => 28,
                Some([b']']) => 29,
                Some([b'^']) => 30,
                Some([b'_']) => 31,
                None if key.len() == 1 => key.as_bytes()[0],
                _ => return Err(format!("unknown character: {key:?}")),
            };
            sequence.push(byte);
        }
        Ok(DetachKeys {
            sequence,
            matched: 0,
        })
    }

    /// Takes typed bytes and appends to `out` what is to be passed on; true when the sequence is
    /// complete.
    pub fn filter(&mut self, typed: &[u8], out: &mut Vec<u8>) -> bool {
        for &byte in typed {
            if self.sequence.is_empty() {
                out.push(byte);
                continue;
            }
            if byte != self.sequence[self.matched] {
                out.extend_from_slice(&self.sequence[..self.matched]);
                self.matched = 0;
            }
            if byte == self.sequence[self.matched] {
                self.matched += 1;
                if self.matched == self.sequence.len() {
                    self.matched = 0;
                    return true;
                }
            } else {
                out.push(byte);
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(keys: &str, typed: &[&[u8]], passed: &[u8], detached: bool) {
        let mut keys = DetachKeys::parse(keys).unwrap();
        let mut out = Vec::new();
        let ended = typed.iter().any(|piece| keys.filter(piece, &mut out));
        assert_eq!((out.as_slice(), ended), (passed, detached));
    }

    #[test]
    fn sequences_are_found_across_reads() {
        check("ctrl-p,ctrl-q", &[b"ab\x10\x11cd"], b"ab", true);
        check("ctrl-p,ctrl-q", &[b"a\x10", b"\x11"], b"a", true);
        check("ctrl-p,ctrl-q", &[b"\x10x"], b"\x10x", false);
        check("ctrl-p,ctrl-q", &[b"\x10\x10\x11"], b"\x10", true);
        check("ctrl-p,ctrl-q", &[b"\x11\x11"], b"\x11\x11", false);
        check("a", &[b"bab"], b"b", true);
        check("", &[b"\x10\x11"], b"\x10\x11", false);
        check("ctrl-@,ctrl-_", &[b"\0\x1f"], b"", true);
    }

    #[test]
    fn unknown_keys_are_named() {
        assert_eq!(
            DetachKeys::parse("ctrl-1").unwrap_err(),
            "unknown character: \"ctrl-1\""
        );
        assert!(DetachKeys::parse("alt-x").is_err());
        assert!(DetachKeys::parse("a,").is_err());
    }
}

//! Random identifiers and bytes.

use std::fmt::Write as _;

use rustix::rand::{GetRandomFlags, getrandom};

/// `bytes` random bytes as lower-case hex.
///
/// # Panics
/// As [`fill_random`].
pub fn random_hex(bytes: usize) -> String {
    let mut buffer = vec![0u8; bytes];
    fill_random(&mut buffer);
    hex(&buffer)
}

/// A random UUID (RFC 9562, version 4).
///
/// # Panics
/// As [`random_hex`].
pub fn uuid() -> String {
    let mut bytes = [0u8; 16];
    fill_random(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let parts = [0..4, 4..6, 6..8, 8..10, 10..16];
    parts.map(|part| hex(&bytes[part])).join("-")
}

/// `length` random letters and digits that cannot be mistaken for words or for one another.
///
/// # Panics
/// As [`random_hex`].
pub fn letters(length: usize) -> String {
    // 27, without vowels and 0, 1, 3.
    letters_of(b"bcdfghjklmnpqrstvwxz2456789", length)
}

/// `length` random letters of `alphabet`, which is ASCII, each as likely as any other.
///
/// # Panics
/// As [`random_hex`].
pub fn letters_of(alphabet: &[u8], length: usize) -> String {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut byte = [0u8; 1];
        fill_random(&mut byte);
        // Only as many as make all letters equally likely.
        if usize::from(byte[0]) < 256 / alphabet.len() * alphabet.len() {
            text.push(char::from(alphabet[usize::from(byte[0]) % alphabet.len()]));
        }
    }
    text
}

/// `bytes` as lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a String succeeds");
    }
    text
}

/// Fills `buffer` from the kernel's random pool: fit for keys.
///
/// # Panics
/// When the kernel gives no randomness, which it never refuses once booted.
pub fn fill_random(buffer: &mut [u8]) {
    let mut filled = 0;
    while filled < buffer.len() {
        let got = getrandom(&mut buffer[filled..], GetRandomFlags::empty())
            .expect("the kernel's random pool is ready after boot");
        filled += got;
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_are_hex_and_differ() {
        let (a, b) = (super::random_hex(32), super::random_hex(32));
        assert_eq!(a.len(), 64);
        assert!(a.bytes().all(|c| c.is_ascii_hexdigit()));
        assert_ne!(a, b);
    }

    #[test]
    fn uuids_and_letters_have_their_shape() {
        let uuid = super::uuid();
        assert_eq!(uuid.len(), 36);
        assert_eq!(&uuid[14..15], "4");
        assert!(matches!(&uuid[19..20], "8" | "9" | "a" | "b"));
        assert_ne!(uuid, super::uuid());
        assert_eq!(super::letters(5).len(), 5);
    }
}

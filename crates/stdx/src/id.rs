//! Random identifiers.

use std::fmt::Write as _;

use rustix::rand::{GetRandomFlags, getrandom};

/// `bytes` random bytes as lower-case hex.
///
/// # Panics
/// When the kernel gives no randomness, which it never refuses once booted.
pub fn random_hex(bytes: usize) -> String {
    let mut buffer = vec![0u8; bytes];
    let mut filled = 0;
    while filled < bytes {
        let got = getrandom(&mut buffer[filled..], GetRandomFlags::empty())
            .expect("the kernel's random pool is ready after boot");
        filled += got;
    }
    let mut text = String::with_capacity(bytes * 2);
    for byte in buffer {
        write!(text, "{byte:02x}").expect("writing to a String succeeds");
    }
    text
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
}

//! The wire format: fields of a message, one after another (protobuf.dev, "Encoding").
//!
//! Never: knows what a field means.

/// A field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire<'a> {
    /// Varint.
    Number(u64),
    /// 32 or 64 bits.
    Fixed(u64),
    /// Text, bytes or a message.
    Bytes(&'a [u8]),
}

impl Wire<'_> {
    /// For messages.
    pub(super) fn told(self) -> &'static str {
        match self {
            Wire::Number(_) => "a number",
            Wire::Fixed(_) => "a fixed number",
            Wire::Bytes(_) => "a text or message",
        }
    }
}

/// Goes through a message; ends after the first mistake.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let length = usize::try_from(length).ok()?;
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn field(&mut self) -> Option<(u32, Wire<'a>)> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| *number > 0)?;
        let wire = match tag & 7 {
            0 => Wire::Number(self.varint()?),
            1 => Wire::Fixed(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            2 => {
                let length = self.varint()?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Fixed(u64::from(u32::from_le_bytes(
                self.take(4)?.try_into().ok()?,
            ))),
            // Groups are no longer made by anybody.
            _ => return None,
        };
        Some((number, wire))
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<(u32, Wire<'a>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let left = self.rest.len();
        let field = self.field();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field.ok_or_else(|| format!("it is broken {left} bytes before the end of a message")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_until_the_first_mistake() {
        let all: Vec<_> = Reader::new(b"\x08\x96\x01\x12\x02hi\x19\x01\0\0\0\0\0\0\0")
            .map(Result::unwrap)
            .collect();
        assert_eq!(
            all,
            [
                (1, Wire::Number(150)),
                (2, Wire::Bytes(b"hi")),
                (3, Wire::Fixed(1))
            ]
        );
        for broken in [
            &b"\x08"[..],
            b"\x12\x05hi",
            b"\x0b",
            b"\x00\x01",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            let found: Vec<_> = Reader::new(broken).collect();
            assert!(matches!(found[..], [Err(_)]), "{broken:?}: {found:?}");
        }
    }
}

//! The netlink wire format: messages with nested type-length-value attributes (RFC 3549 §2.3).
//!
//! Never: sending.

/// The message has to be acknowledged.
pub(crate) const ACK: u16 = 0x4;
/// The answer is a list.
pub(crate) const DUMP: u16 = 0x300;
/// Fail when the object is there.
pub(crate) const EXCL: u16 = 0x200;
/// Make the object.
pub(crate) const CREATE: u16 = 0x400;
/// Add at the end of a list.
pub(crate) const APPEND: u16 = 0x800;

const REQUEST: u16 = 0x1;
const HEADER: usize = 16;
const NESTED: u16 = 0x8000;
const KIND_MASK: u16 = 0x3fff;

/// Messages that go to the kernel in one send, with what each of them tries.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    what: Vec<String>,
}

impl Batch {
    pub(crate) fn new() -> Batch {
        Batch::default()
    }

    /// Adds a message of `kind`: `header` is the family's fixed part, `fill` adds attributes.
    pub(crate) fn message(
        &mut self,
        what: impl Into<String>,
        kind: u16,
        flags: u16,
        header: &[u8],
        fill: impl FnOnce(&mut Attributes<'_>),
    ) {
        let start = self.bytes.len();
        let index = self.what.len() as u32;
        self.bytes.extend_from_slice(&0u32.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes
            .extend_from_slice(&(flags | REQUEST).to_ne_bytes());
        self.bytes.extend_from_slice(&index.to_ne_bytes());
        self.bytes.extend_from_slice(&0u32.to_ne_bytes());
        self.bytes.extend_from_slice(header);
        pad(&mut self.bytes);
        fill(&mut Attributes {
            bytes: &mut self.bytes,
        });
        let length = (self.bytes.len() - start) as u32;
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
        self.what.push(what.into());
    }

    /// The bytes to send.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What the message with this index tries.
    pub(crate) fn what(&self, index: usize) -> Option<&str> {
        self.what.get(index).map(String::as_str)
    }

    /// How many messages it holds.
    pub(crate) fn len(&self) -> usize {
        self.what.len()
    }

    /// Numbers the messages from `first` on, and asks for an acknowledgement of the last that
    /// wants one only: errors are told without asking.
    pub(crate) fn number_from(&mut self, first: u32) {
        let mut at = 0;
        let mut sequence = first;
        let mut asking: Option<usize> = None;
        while at < self.bytes.len() {
            self.bytes[at + 8..at + 12].copy_from_slice(&sequence.to_ne_bytes());
            let flags = u16_at(&self.bytes[at + 6..]).unwrap_or(0);
            if flags & (ACK | DUMP) == ACK
                && let Some(earlier) = asking.replace(at + 6)
            {
                let quiet = u16_at(&self.bytes[earlier..]).unwrap_or(0) & !ACK;
                self.bytes[earlier..earlier + 2].copy_from_slice(&quiet.to_ne_bytes());
            }
            sequence = sequence.wrapping_add(1);
            at += align(u32_at(&self.bytes[at..]).unwrap_or(0) as usize).max(HEADER);
        }
    }
}

/// Appends attributes to a message.
#[derive(Debug)]
pub(crate) struct Attributes<'a> {
    bytes: &'a mut Vec<u8>,
}

impl Attributes<'_> {
    pub(crate) fn bytes(&mut self, kind: u16, value: &[u8]) {
        let length = (value.len() + 4) as u16;
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        pad(self.bytes);
    }

    pub(crate) fn u8(&mut self, kind: u16, value: u8) {
        self.bytes(kind, &[value]);
    }

    /// In the machine's byte order, as rtnetlink has it.
    pub(crate) fn u32(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_ne_bytes());
    }

    /// In network byte order, as nfnetlink has it.
    pub(crate) fn be32(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// With the closing NUL.
    pub(crate) fn string(&mut self, kind: u16, value: &str) {
        let mut bytes = Vec::with_capacity(value.len() + 1);
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(0);
        self.bytes(kind, &bytes);
    }

    /// Attributes within an attribute.
    pub(crate) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Attributes<'_>)) {
        self.nest_after(kind | NESTED, &[], fill);
    }

    /// As [`Self::nest`], with a fixed part before the attributes and no flag for nesting
    /// (`VETH_INFO_PEER`).
    pub(crate) fn nest_after(
        &mut self,
        kind: u16,
        fixed: &[u8],
        fill: impl FnOnce(&mut Attributes<'_>),
    ) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0, 0]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(fixed);
        pad(self.bytes);
        fill(&mut Attributes { bytes: self.bytes });
        let length = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    }
}

/// Encodes attributes alone.
pub(crate) fn encode(fill: impl FnOnce(&mut Attributes<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    fill(&mut Attributes { bytes: &mut bytes });
    bytes
}

fn align(length: usize) -> usize {
    (length + 3) & !3
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(align(bytes.len()), 0);
}

/// A message from the kernel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    /// Of whom it answers, or of whose request it tells.
    pub(crate) port: u32,
    pub(crate) payload: &'a [u8],
}

/// The messages of one datagram; stops at the first that is cut short.
pub(crate) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Received<'_>> {
    std::iter::from_fn(move || {
        let length = u32_at(bytes)? as usize;
        if length < HEADER || length > bytes.len() {
            return None;
        }
        let (message, rest) = bytes.split_at(length);
        bytes = rest.get(align(length) - length..).unwrap_or(&[]);
        Some(Received {
            kind: u16_at(&message[4..])?,
            flags: u16_at(&message[6..])?,
            sequence: u32_at(&message[8..])?,
            port: u32_at(&message[12..])?,
            payload: &message[HEADER..],
        })
    })
}

/// The attributes in `bytes`, kinds without their flag bits; stops at the first cut short.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes)?);
        let kind = u16_at(bytes.get(2..)?)? & KIND_MASK;
        if length < 4 || length > bytes.len() {
            return None;
        }
        let value = &bytes[4..length];
        bytes = bytes.get(align(length)..).unwrap_or(&[]);
        Some((kind, value))
    })
}

/// The first attribute of `kind`.
pub(crate) fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes)
        .find(|(found, _)| *found == kind)
        .map(|(_, value)| value)
}

/// The first attribute of `kind`, as a number in the machine's byte order.
pub(crate) fn get_u32(bytes: &[u8], kind: u16) -> Option<u32> {
    find(bytes, kind).and_then(u32_at)
}

/// A string attribute's text, up to its NUL.
pub(crate) fn text(value: &[u8]) -> String {
    let end = value.iter().position(|b| *b == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

fn u16_at(bytes: &[u8]) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?))
}

/// The number at the start of `bytes`.
pub(crate) fn u32_at(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let mut batch = Batch::new();
        batch.message("one", 16, ACK, &[1, 2, 3, 4], |a| {
            a.string(3, "eth0");
            a.nest(18, |a| a.u32(7, 42));
        });
        batch.message("two", 17, 0, &[], |a| a.be32(1, 5));
        batch.number_from(100);
        let found: Vec<_> = messages(batch.bytes()).collect();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].kind, found[0].sequence), (16, 100));
        assert_eq!((found[1].kind, found[1].sequence), (17, 101));
        let body = &found[0].payload[4..];
        assert_eq!(find(body, 3).map(text).as_deref(), Some("eth0"));
        assert_eq!(find(body, 18).and_then(|n| get_u32(n, 7)), Some(42));
        assert_eq!(find(found[1].payload, 1), Some(&[0, 0, 0, 5][..]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for message in messages(&bytes) {
                for (_, value) in attributes(message.payload) {
                    let _ = (text(value), attributes(value).count());
                }
            }
        }
    }
}

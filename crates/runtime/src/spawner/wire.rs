//! Owns how a request is packed into one packet, or beside it when it is too large for one.
//! Never: what requests mean.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::MemfdFlags;

use crate::monitor::record::RECORD_MAX;

/// Largest request carried in the packet itself, in bytes.
pub(super) const INLINE_MAX: usize = 64 * 1024;

const INLINE: u8 = 0;
const BESIDE: u8 = 1;

/// A request ready to be sent.
#[derive(Debug)]
pub(super) struct Packet {
    bytes: Vec<u8>,
    beside: Option<File>,
}

impl Packet {
    pub(super) fn new(request: &[u8]) -> io::Result<Self> {
        if request.len() > RECORD_MAX {
            let text = format!(
                "a request of {} bytes, more than {RECORD_MAX}",
                request.len()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        if request.len() < INLINE_MAX {
            let mut bytes = Vec::with_capacity(1 + request.len());
            bytes.push(INLINE);
            bytes.extend_from_slice(request);
            return Ok(Self {
                bytes,
                beside: None,
            });
        }
        let mut file = File::from(rustix::fs::memfd_create("request", MemfdFlags::CLOEXEC)?);
        file.write_all(request)?;
        Ok(Self {
            bytes: vec![BESIDE],
            beside: Some(file),
        })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The descriptors that come first: the reply socket, then the request if it is beside.
    pub(super) fn fds<'a>(&'a self, reply: BorrowedFd<'a>) -> Vec<BorrowedFd<'a>> {
        let mut fds = vec![reply];
        fds.extend(self.beside.as_ref().map(AsFd::as_fd));
        fds
    }
}

/// A packet as it arrived.
#[derive(Debug)]
pub(super) struct Unpacked {
    pub(super) reply: OwnedFd,
    pub(super) request: Vec<u8>,
    /// The request's own descriptors.
    pub(super) fds: Vec<OwnedFd>,
}

/// `None`: not even a socket to complain to.
pub(super) fn unpack(bytes: &[u8], fds: Vec<OwnedFd>) -> Option<Unpacked> {
    let mut fds = fds.into_iter();
    let reply = fds.next()?;
    let request = match bytes {
        [INLINE, request @ ..] => request.to_vec(),
        [BESIDE] => read(fds.next()?).ok()?,
        _ => return None,
    };
    Some(Unpacked {
        reply,
        request,
        fds: fds.collect(),
    })
}

fn read(fd: OwnedFd) -> io::Result<Vec<u8>> {
    let mut file = File::from(fd);
    file.rewind()?;
    let mut request = Vec::new();
    file.take(RECORD_MAX as u64 + 1).read_to_end(&mut request)?;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(request: &[u8]) -> Vec<u8> {
        let packet = Packet::new(request).unwrap();
        let null = File::open("/dev/null").unwrap();
        let passed = packet.fds(null.as_fd());
        let fds = passed
            .iter()
            .map(|fd| fd.try_clone_to_owned().unwrap())
            .collect();
        let unpacked = unpack(packet.bytes(), fds).unwrap();
        assert!(unpacked.fds.is_empty());
        unpacked.request
    }

    #[test]
    fn requests_of_any_size_arrive() {
        for size in [0, 1, INLINE_MAX - 1, INLINE_MAX, INLINE_MAX + 1, RECORD_MAX] {
            let request = vec![b'x'; size];
            assert!(through(&request) == request, "{size}");
        }
        assert!(Packet::new(&vec![0; RECORD_MAX + 1]).is_err());
    }

    #[test]
    fn nonsense_is_dropped() {
        let fd = || OwnedFd::from(File::open("/dev/null").unwrap());
        assert!(unpack(b"", vec![fd()]).is_none());
        assert!(unpack(&[9], vec![fd()]).is_none());
        assert!(unpack(&[INLINE, 1], vec![]).is_none());
        assert!(unpack(&[BESIDE], vec![fd()]).is_none());
    }
}

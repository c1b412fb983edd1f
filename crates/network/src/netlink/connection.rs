//! One netlink socket: sends batches, reads their acknowledgements, walks dumps.
//!
//! The kernel works on a request within `send`, so its answers are there when `send` returns:
//! nothing here waits. Never: retries, policy.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use weft_sys::netlink::{Family, RECEIVE_BYTES, open, port};

use super::message::{self, Batch, Received};

const ERROR: u16 = 2;
const DONE: u16 = 3;
/// The acknowledgement does not repeat the request.
const CAPPED: u16 = 0x100;
/// Attributes follow the acknowledgement.
const HAS_ATTRIBUTES: u16 = 0x200;
/// A dump was taken while things changed and has to be taken again.
const INTERRUPTED: u16 = 0x10;
/// How often an interrupted dump is taken again.
const DUMP_ATTEMPTS: usize = 8;

/// The kernel refused a request, or could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what}{}", detail(.explanation))]
pub struct KernelError {
    /// What was tried.
    what: String,
    /// The kernel's own words, where it has some.
    explanation: Option<String>,
    source: io::Error,
}

fn detail(explanation: &Option<String>) -> String {
    explanation
        .as_ref()
        .map(|text| format!(" ({text})"))
        .unwrap_or_default()
}

impl KernelError {
    pub(crate) fn new(what: impl Into<String>, source: impl Into<io::Error>) -> KernelError {
        KernelError {
            what: what.into(),
            explanation: None,
            source: source.into(),
        }
    }

    /// Whether the kernel answered with this error number.
    pub(crate) fn is(&self, errno: Errno) -> bool {
        self.source.raw_os_error() == Some(errno.raw_os_error())
    }
}

/// For `map_err` on a system call.
pub(crate) fn errno<E: Into<io::Error>>(what: &str) -> impl FnOnce(E) -> KernelError + '_ {
    move |source| KernelError::new(what, source)
}

/// A socket in the network namespace it was opened in.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
    port: u32,
    /// Nothing comes behind the answer to the last message; a failed commit of nftables does.
    last_is_last: bool,
}

impl Connection {
    /// Opens one in the caller's network namespace.
    pub(crate) fn open(family: Family) -> Result<Connection, KernelError> {
        let socket = open(family).map_err(errno("open a netlink socket"))?;
        Ok(Connection {
            port: port(&socket).map_err(errno("name a netlink socket"))?,
            socket,
            sequence: 1,
            buffer: vec![0; RECEIVE_BYTES],
            last_is_last: family == Family::Route,
        })
    }

    /// The number events of its requests carry.
    pub(crate) fn port(&self) -> u32 {
        self.port
    }

    /// Sends `batch` and answers with the first error the kernel raised.
    ///
    /// Its last message has to ask for an acknowledgement, or have one after it that does.
    pub(crate) fn run(&mut self, batch: Batch) -> Result<(), KernelError> {
        match self.run_all(batch)?.into_iter().next() {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }

    /// As [`Self::run`], with every error and the index of the message it is about.
    pub(crate) fn run_all(
        &mut self,
        batch: Batch,
    ) -> Result<Vec<(usize, KernelError)>, KernelError> {
        let mut errors = Vec::new();
        let mut acknowledged = false;
        let last_is_last = self.last_is_last;
        self.exchange(batch, |batch, first, received| {
            if received.kind != ERROR {
                return true;
            }
            acknowledged = true;
            let index = received.sequence.wrapping_sub(first) as usize;
            let what = batch.what(index).unwrap_or("run a batch");
            if let Some(error) = refusal(&received, what) {
                errors.push((index, error));
            }
            !(last_is_last && index + 1 == batch.len())
        })?;
        if !acknowledged {
            let source = io::Error::other("the kernel did not answer");
            return Err(KernelError::new("run a netlink request", source));
        }
        Ok(errors)
    }

    /// Sends one request that is answered with objects; calls `each` with the kind and content.
    pub(crate) fn ask(
        &mut self,
        request: impl Fn() -> Batch,
        mut each: impl FnMut(u16, &[u8]),
    ) -> Result<(), KernelError> {
        for _ in 0..DUMP_ATTEMPTS {
            let mut found: Vec<(u16, Vec<u8>)> = Vec::new();
            let mut failure = None;
            let mut interrupted = false;
            self.exchange(request(), |batch, _, received| {
                interrupted |= received.flags & INTERRUPTED != 0;
                match received.kind {
                    DONE => return false,
                    ERROR => {
                        failure = refusal(&received, batch.what(0).unwrap_or("ask the kernel"));
                        return false;
                    }
                    kind => found.push((kind, received.payload.to_vec())),
                }
                true
            })?;
            if let Some(error) = failure {
                return Err(error);
            }
            if !interrupted {
                for (kind, payload) in &found {
                    each(*kind, payload);
                }
                return Ok(());
            }
        }
        let source = io::Error::from(io::ErrorKind::Interrupted);
        Err(KernelError::new(
            "list kernel objects that keep changing",
            source,
        ))
    }

    /// Sends `batch` and reads answers until there are none left or `each` says enough.
    fn exchange(
        &mut self,
        mut batch: Batch,
        mut each: impl FnMut(&Batch, u32, Received<'_>) -> bool,
    ) -> Result<(), KernelError> {
        let first = self.sequence;
        self.sequence = self.sequence.wrapping_add(batch.len() as u32);
        batch.number_from(first);
        send(&self.socket, batch.bytes(), SendFlags::empty())
            .map_err(errno(batch.what(0).unwrap_or("send a netlink request")))?;
        loop {
            let length = match recv(&self.socket, &mut self.buffer[..], RecvFlags::DONTWAIT) {
                Ok((length, _)) => length,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(KernelError::new("read the kernel's answer", error)),
            };
            for received in message::messages(&self.buffer[..length]) {
                let ours = received.sequence.wrapping_sub(first) < batch.len() as u32;
                if ours && !each(&batch, first, received) {
                    return Ok(());
                }
            }
        }
    }
}

/// The error an acknowledgement carries; `None` when all is well.
fn refusal(received: &Received<'_>, what: &str) -> Option<KernelError> {
    let code = message::u32_at(received.payload)? as i32;
    if code == 0 {
        return None;
    }
    let mut explanation = None;
    if received.flags & HAS_ATTRIBUTES != 0 {
        let repeated = match received.flags & CAPPED {
            0 => received.payload.get(4..).and_then(message::u32_at)? as usize,
            _ => 16,
        };
        explanation = received
            .payload
            .get(4 + repeated..)
            .and_then(|rest| message::find(rest, 1))
            .map(message::text);
    }
    Some(KernelError {
        what: what.to_owned(),
        explanation,
        source: io::Error::from_raw_os_error(-code),
    })
}

//! Owns one attach client of a monitor: its socket, what it wants, what it has yet to receive.
//! Never: waiting for it. What cannot be sent now waits in its outbox, and a client with a full
//! outbox holds the workload back until it reads or goes.

use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::SendFlags;

use super::input::Input;
use super::log::Stream;
use super::wire::{self, Decoder, Frame, Wants};

/// How much is read from a client at once: people type, and files come in several reads.
const READ_SIZE: usize = 4096;
/// Most reads from one client in one turn of the loop.
const READS_MAX: usize = 32;

/// A connected client.
#[derive(Debug)]
pub(super) struct Client {
    socket: OwnedFd,
    decoder: Decoder,
    wants: Wants,
    greeted: bool,
    outbox: Vec<u8>,
    /// `outbox[..sent]` is through.
    sent: usize,
    gone: bool,
}

impl Client {
    /// A client that connected: gets nothing before its hello.
    pub(super) fn connected(socket: OwnedFd) -> Self {
        Self::new(socket, Wants::default())
    }

    /// A client that came with the request: gets everything unless its hello says otherwise.
    pub(super) fn handed_over(socket: OwnedFd) -> std::io::Result<Self> {
        super::set_nonblocking(&socket)?;
        Ok(Self::new(socket, Wants::ALL))
    }

    fn new(socket: OwnedFd, wants: Wants) -> Self {
        Self {
            socket,
            decoder: Decoder::new(READ_SIZE),
            wants,
            greeted: false,
            outbox: Vec::new(),
            sent: 0,
            gone: false,
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone
    }

    pub(super) fn wants(&self) -> Wants {
        self.wants
    }

    /// Whether something waits to be sent.
    pub(super) fn is_behind(&self) -> bool {
        self.sent < self.outbox.len()
    }

    /// Whether it holds back `stream`: it wants it and is behind.
    pub(super) fn holds_back(&self, stream: Stream) -> bool {
        self.is_behind() && self.wants_stream(stream)
    }

    fn wants_stream(&self, stream: Stream) -> bool {
        match stream {
            Stream::Stdout => self.wants.stdout,
            Stream::Stderr => self.wants.stderr,
        }
    }

    /// Whether reading from it has to wait until the workload takes its stdin.
    pub(super) fn has_to_wait(&self, input: &Input) -> bool {
        self.wants.stdin && input.is_full()
    }

    /// Reads frames until there is nothing more, the workload's stdin is full, or it was enough
    /// for one turn. Each frame takes effect before the next is looked at. Answers whether it said
    /// hello for the first time.
    pub(super) fn receive(&mut self, input: &mut Input, terminal: Option<&OwnedFd>) -> bool {
        let greeted = self.greeted;
        for _ in 0..READS_MAX {
            if self.gone || self.has_to_wait(input) {
                break;
            }
            let count = match rustix::io::read(&self.socket, self.decoder.space()) {
                Ok(0) => {
                    self.gone = true;
                    break;
                }
                Ok(count) => count,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => break,
                Err(_) => {
                    self.gone = true;
                    break;
                }
            };
            self.decoder.filled(count);
            self.take_frames(input, terminal);
        }
        self.greeted && !greeted
    }

    /// Notices that it went away without reading from it.
    pub(super) fn notice_hang_up(&mut self) {
        let mut fds = [PollFd::new(&self.socket, PollFlags::empty())];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        if matches!(poll(&mut fds, Some(&now)), Ok(1..)) {
            self.gone = true;
        }
    }

    fn take_frames(&mut self, input: &mut Input, terminal: Option<&OwnedFd>) {
        loop {
            match self.decoder.next() {
                Ok(Some(Frame::Hello { wants, .. })) => {
                    self.wants = wants;
                    self.greeted = true;
                }
                Ok(Some(Frame::Stdin(bytes))) => {
                    if self.wants.stdin {
                        input.push(bytes);
                    }
                }
                Ok(Some(Frame::StdinEof)) => {
                    if self.wants.stdin {
                        input.end();
                    }
                }
                Ok(Some(Frame::Resize { rows, cols })) => {
                    if let Some(terminal) = terminal {
                        // Fails only for a terminal that is gone.
                        let _ = weft_sys::pty::set_size(terminal, rows, cols);
                    }
                }
                // Frames only a monitor sends, and those of newer clients.
                Ok(Some(_)) => {}
                Ok(None) => return,
                Err(_) => {
                    self.gone = true;
                    return;
                }
            }
        }
    }

    /// Sends output; what does not go through now waits in the outbox.
    pub(super) fn output(&mut self, stream: Stream, bytes: &[u8]) {
        if !self.wants_stream(stream) {
            return;
        }
        let header = wire::output_header(stream == Stream::Stderr, bytes.len());
        self.send(&header, bytes);
    }

    /// Sends a whole frame.
    pub(super) fn frame(&mut self, frame: &Frame<'_>) {
        self.send(&frame.to_vec(), &[]);
    }

    fn send(&mut self, header: &[u8], bytes: &[u8]) {
        if self.gone {
            return;
        }
        let mut through = 0;
        if !self.is_behind() {
            match self.send_now(&[IoSlice::new(header), IoSlice::new(bytes)]) {
                Some(count) => through = count,
                None => return,
            }
        }
        for part in [header, bytes] {
            let skip = through.min(part.len());
            self.outbox.extend_from_slice(&part[skip..]);
            through -= skip;
        }
    }

    /// Sends what waits.
    pub(super) fn flush(&mut self) {
        while !self.gone && self.is_behind() {
            let outbox = std::mem::take(&mut self.outbox);
            let count = self.send_now(&[IoSlice::new(&outbox[self.sent..])]);
            self.outbox = outbox;
            match count {
                Some(0) | None => return,
                Some(count) => self.sent += count,
            }
        }
        self.outbox.clear();
        self.sent = 0;
    }

    /// How much went through; `None` when the client is gone.
    fn send_now(&mut self, parts: &[IoSlice<'_>]) -> Option<usize> {
        let mut control = rustix::net::SendAncillaryBuffer::default();
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        loop {
            match rustix::net::sendmsg(&self.socket, parts, &mut control, flags) {
                Ok(count) => return Some(count),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Some(0),
                Err(_) => {
                    self.gone = true;
                    return None;
                }
            }
        }
    }

    /// Gives memory back when nothing is pending.
    pub(super) fn shrink(&mut self) {
        self.decoder.shrink();
        if !self.is_behind() {
            self.outbox = Vec::new();
            self.sent = 0;
        }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

//! Owns a monitor's loop while the workload runs, and the order of things at its end.
//! Never: launching. It sleeps until something happens; there is no periodic wake-up.
//!
//! ```text
//!   stdout, stderr or terminal ──► log ──► clients that want it     (paused while one is behind)
//!   clients ──► stdin or terminal, resize                           (paused while stdin is full)
//!   listener ──► new clients          init's pidfd ──► the end
//!   deadline, where there is one ──► the end, by SIGKILL
//! ```

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use weft_stdx::clock::unix_ns;

use super::client::Client;
use super::exit::{Keeper, OomWatch};
use super::input::Input;
use super::log::{Log, Stream};
use super::output::{Found, Output, READ_MAX};
use super::record::{Record, Spawned};
use super::socket::Listener;
use super::stdio::Ours;
use super::wire::{self, Frame};

mod end;

/// Most clients at once; further ones wait to be accepted.
const CLIENTS_MAX: usize = 32;
/// Buffers are given back when nothing happened for so long.
const IDLE: Duration = Duration::from_secs(1);
/// And what launching left: at once, it would delay the end of a workload that ends at once.
const SETTLE: Duration = Duration::from_millis(100);

/// A workload that runs, and all a session needs.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) spawned: Spawned,
    pub(super) pidfd: OwnedFd,
    pub(super) streams: Ours,
    pub(super) stdin_once: bool,
    /// How long it may run.
    pub(super) timeout: Option<Duration>,
    pub(super) listener: Listener,
    pub(super) log: Option<Log>,
    pub(super) exit: Keeper,
    pub(super) oom: OomWatch,
    /// Closed in the first lull.
    pub(super) spent: Vec<OwnedFd>,
    /// Closed once everybody knows of the end.
    pub(super) mounts: Option<OwnedFd>,
}

#[derive(Debug)]
pub(super) struct Session {
    spawned: Spawned,
    pidfd: OwnedFd,
    input: Input,
    /// For resizing.
    terminal: Option<OwnedFd>,
    outputs: Vec<Output>,
    stdin_once: bool,
    /// When it is killed; nothing once it was.
    deadline: Option<Instant>,
    timed_out: bool,
    clients: Vec<Client>,
    listener: Listener,
    log: Option<Log>,
    exit: Keeper,
    oom: OomWatch,
    spent: Vec<OwnedFd>,
    mounts: Option<OwnedFd>,
    /// Whether all is given back that launching took, which is more than serving ever will.
    is_settled: bool,
    /// Taken when output comes, given back when idle.
    buffer: Vec<u8>,
}

/// What a poll entry stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Init,
    Listener,
    Input,
    Output(usize),
    Client(usize),
}

impl Session {
    pub(super) fn new(begun: Begun, attach: Vec<OwnedFd>) -> io::Result<Self> {
        let Ours {
            stdin,
            stdout,
            stderr,
            terminal,
        } = begun.streams;
        let mut outputs = Vec::new();
        let input = match &terminal {
            Some(master) => {
                outputs.push(Output::terminal(master.try_clone()?)?);
                Input::new(Some(master.try_clone()?))?
            }
            None => Input::new(stdin)?,
        };
        if let Some(stdout) = stdout {
            outputs.push(Output::pipe(stdout, Stream::Stdout)?);
        }
        if let Some(stderr) = stderr {
            outputs.push(Output::pipe(stderr, Stream::Stderr)?);
        }
        let clients = attach
            .into_iter()
            .map(Client::handed_over)
            .collect::<io::Result<_>>()?;
        Ok(Self {
            spawned: begun.spawned,
            pidfd: begun.pidfd,
            input,
            terminal,
            outputs,
            stdin_once: begun.stdin_once,
            // One beyond the clock's range never comes.
            deadline: begun
                .timeout
                .and_then(|limit| Instant::now().checked_add(limit)),
            timed_out: false,
            clients,
            listener: begun.listener,
            log: begun.log,
            exit: begun.exit,
            oom: begun.oom,
            spent: begun.spent,
            mounts: begun.mounts,
            is_settled: false,
            buffer: Vec::new(),
        })
    }

    pub(super) fn spawned(&self) -> Spawned {
        self.spawned
    }

    /// Until the workload has ended and everybody knows.
    pub(super) fn run(mut self) {
        // The hellos of clients that came with the request count before any output.
        for index in 0..self.clients.len() {
            self.hear(index);
        }
        let mut ready = Vec::new();
        loop {
            match self.wait(&mut ready, self.patience()) {
                Ok(0) => self.shrink(),
                Ok(_) => {}
                // Poll only fails for want of kernel memory; there is nothing better to do.
                Err(_) => continue,
            }
            if self.turn(&ready) {
                break;
            }
            self.keep_deadline();
        }
        self.end();
    }

    /// How long nothing has to happen for something to be done about it.
    fn patience(&self) -> Option<Duration> {
        let idle = match (self.is_settled, self.buffer.is_empty()) {
            (false, _) => Some(SETTLE),
            (true, false) => Some(IDLE),
            (true, true) => None,
        };
        let left = self.deadline.map(|at| {
            // Not a moment too early, which would be a moment awake for nothing.
            at.saturating_duration_since(Instant::now()) + Duration::from_millis(1)
        });
        idle.into_iter().chain(left).min()
    }

    /// Kills what has run for too long.
    fn keep_deadline(&mut self) {
        if self.deadline.is_some_and(|at| Instant::now() >= at) {
            self.deadline = None;
            // It may just have ended by itself.
            self.timed_out = weft_sys::process::signal_group(&self.pidfd, 9).is_ok();
        }
    }

    /// Serves what is ready; true when init has ended.
    fn turn(&mut self, ready: &[Source]) -> bool {
        let mut ended = false;
        for source in ready {
            match *source {
                Source::Init => ended = true,
                Source::Listener => self.accept(),
                Source::Input => self.input.write(),
                Source::Output(index) => {
                    self.pass_on(index);
                }
                Source::Client(index) => {
                    self.clients[index].flush();
                    self.hear(index);
                }
            }
        }
        self.outputs.retain(|output| !output.is_over());
        self.forget_gone();
        ended
    }

    /// Waits for something to happen; answers how many things did.
    fn wait(&self, ready: &mut Vec<Source>, limit: Option<Duration>) -> Result<usize, Errno> {
        let mut sources = Vec::with_capacity(8);
        let mut fds = Vec::with_capacity(8);
        let mut watch = |source, fd, flags| {
            sources.push(source);
            fds.push(PollFd::from_borrowed_fd(fd, flags));
        };
        watch(Source::Init, self.pidfd.as_fd(), PollFlags::IN);
        if self.clients.len() < CLIENTS_MAX {
            watch(Source::Listener, self.listener.as_fd(), PollFlags::IN);
        }
        if let Some(fd) = self.input.wants_write() {
            watch(Source::Input, fd, PollFlags::OUT);
        }
        for (index, output) in self.outputs.iter().enumerate() {
            // Not even watched while held back: a pipe that was closed would wake us in a circle.
            if !self.is_held_back(output.stream) {
                watch(Source::Output(index), output.as_fd(), PollFlags::IN);
            }
        }
        for (index, client) in self.clients.iter().enumerate() {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, !client.has_to_wait(&self.input));
            flags.set(PollFlags::OUT, client.is_behind());
            watch(Source::Client(index), client.as_fd(), flags);
        }
        let limit = limit.map(timespec);
        ready.clear();
        match poll(&mut fds, limit.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(0),
            Err(error) => return Err(error),
        }
        let happened = sources.iter().zip(&fds);
        ready.extend(
            happened
                .filter(|(_, fd)| !fd.revents().is_empty())
                .map(|(s, _)| *s),
        );
        Ok(ready.len())
    }

    fn is_held_back(&self, stream: Stream) -> bool {
        self.clients.iter().any(|client| client.holds_back(stream))
    }

    fn accept(&mut self) {
        while self.clients.len() < CLIENTS_MAX
            && let Some(socket) = self.listener.accept()
        {
            self.clients.push(Client::connected(socket));
        }
    }

    fn hear(&mut self, index: usize) {
        let client = &mut self.clients[index];
        if client.has_to_wait(&self.input) {
            client.notice_hang_up();
            return;
        }
        if client.receive(&mut self.input, self.terminal.as_ref()) {
            let spawned = self.spawned.to_json();
            client.frame(&Frame::Welcome {
                version: wire::VERSION,
                spawned: &spawned,
            });
        }
    }

    /// Reads an output once and passes it on; answers how much it was.
    fn pass_on(&mut self, index: usize) -> usize {
        if self.buffer.is_empty() {
            self.buffer = vec![0; READ_MAX];
        }
        let output = &mut self.outputs[index];
        let Found::Bytes(count) = output.read(&mut self.buffer) else {
            return 0;
        };
        let bytes = &self.buffer[..count];
        if let Some(log) = &mut self.log {
            log.write(output.stream, bytes, unix_ns());
        }
        for client in &mut self.clients {
            client.output(output.stream, bytes);
        }
        count
    }

    fn forget_gone(&mut self) {
        let stdin_gone = |client: &Client| client.is_gone() && client.wants().stdin;
        if self.stdin_once && self.clients.iter().any(stdin_gone) {
            self.input.end();
        }
        self.clients.retain(|client| !client.is_gone());
    }

    fn shrink(&mut self) {
        self.spent = Vec::new();
        self.is_settled = true;
        self.buffer = Vec::new();
        self.input.shrink();
        self.clients.iter_mut().for_each(Client::shrink);
        if let Some(log) = &mut self.log {
            log.shrink();
        }
        trim();
    }
}

fn trim() {
    weft_sys::memory::trim_heap();
    // Refused in tests, where the session is not the main thread.
    let _ = weft_sys::memory::trim_stack();
}

fn timespec(duration: Duration) -> Timespec {
    // All limits here are seconds at most.
    Timespec::try_from(duration).unwrap_or(Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    })
}

#[cfg(test)]
mod tests;

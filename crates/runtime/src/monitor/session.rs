//! Owns a monitor's loop while the workload runs, and the order of things at its end.
//! Never: launching. It sleeps until something happens; there is no periodic wake-up.
//!
//! ```text
//!   stdout, stderr or terminal ──► log ──► clients that want it     (paused while one is behind)
//!   clients ──► stdin or terminal, resize                           (paused while stdin is full)
//!   listener ──► new clients          init's pidfd ──► the end
//! ```

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use weft_stdx::clock::{boot_id, unix_ns};
use weft_sys::process::Exit;

use super::client::Client;
use super::exit::{Keeper, OomWatch};
use super::input::Input;
use super::log::{Log, Stream};
use super::output::{Found, Output, READ_MAX};
use super::record::{self, ExitRecord, Record, Spawned};
use super::socket::Listener;
use super::stdio::Ours;
use super::wire::{self, Frame};

/// Most clients at once; further ones wait to be accepted.
const CLIENTS_MAX: usize = 32;
/// Buffers are given back when nothing happened for so long.
const IDLE: Duration = Duration::from_secs(1);
/// Most bytes read from one output after the end: what a pipe can hold. More can only come from
/// survivors that write on and on.
const DRAIN_MAX: usize = 1024 * 1024;
/// How long survivors that hold an output open are listened to after the end.
const DRAIN_TIME: Duration = Duration::from_millis(250);
/// How long a client that takes nothing is waited for after the end.
const FLUSH_TIME: Duration = Duration::from_secs(10);

/// A workload that runs, and all a session needs.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) spawned: Spawned,
    pub(super) pidfd: OwnedFd,
    pub(super) streams: Ours,
    pub(super) stdin_once: bool,
    pub(super) listener: Listener,
    pub(super) log: Option<Log>,
    pub(super) exit: Keeper,
    pub(super) oom: OomWatch,
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
    clients: Vec<Client>,
    listener: Listener,
    log: Option<Log>,
    exit: Keeper,
    oom: OomWatch,
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
            clients,
            listener: begun.listener,
            log: begun.log,
            exit: begun.exit,
            oom: begun.oom,
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
            let idle = self.is_lean();
            match self.wait(&mut ready, if idle { None } else { Some(IDLE) }) {
                Ok(0) => self.shrink(),
                Ok(_) => {}
                // Poll only fails for want of kernel memory; there is nothing better to do.
                Err(_) => continue,
            }
            if self.turn(&ready) {
                break;
            }
        }
        self.finish();
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
        let asked = client.receive(&mut self.input);
        if asked.hello {
            let spawned = self.spawned.to_json();
            client.frame(&Frame::Welcome {
                version: wire::VERSION,
                spawned: &spawned,
            });
        }
        if let (Some((rows, cols)), Some(terminal)) = (asked.resize, &self.terminal) {
            // Fails only for a terminal that is gone.
            let _ = weft_sys::pty::set_size(terminal, rows, cols);
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

    fn is_lean(&self) -> bool {
        self.buffer.is_empty()
    }

    fn shrink(&mut self) {
        self.buffer = Vec::new();
        self.input.shrink();
        self.clients.iter_mut().for_each(Client::shrink);
        if let Some(log) = &mut self.log {
            log.shrink();
        }
    }

    fn finish(mut self) {
        let finished_at_ns = unix_ns();
        // The pidfd was readable, so this does not wait; without a status it was killed somehow.
        let exit = weft_sys::process::wait(&self.pidfd).unwrap_or(Exit::Signal(9));
        self.drain();
        if let Some(log) = &mut self.log {
            log.finish(unix_ns());
        }
        let record = ExitRecord {
            version: record::VERSION,
            pid: self.spawned.pid,
            code: exit.status(),
            signal: match exit {
                Exit::Signal(signal) => Some(signal),
                Exit::Code(_) => None,
            },
            oom_killed: self.oom.killed(),
            error: None,
            started_at_ns: self.spawned.started_at_ns,
            finished_at_ns,
            boot_id: boot_id().to_owned(),
        };
        let kept = self.exit.keep(&record, self.log.as_mut());
        self.accept();
        // A hello that is on its way is heard, so that it gets its answer and the exit.
        for index in 0..self.clients.len() {
            self.hear(index);
        }
        self.listener.close();
        let told = tell(self.clients, &record);
        if kept {
            self.exit.sync();
        }
        linger(told);
    }

    /// Passes on what is left of the output: all that was written before the end, and for a
    /// moment what survivors write.
    fn drain(&mut self) {
        let deadline = Instant::now() + DRAIN_TIME;
        let mut left = DRAIN_MAX;
        loop {
            for index in 0..self.outputs.len() {
                loop {
                    let count = self.pass_on(index);
                    left = left.saturating_sub(count);
                    if count == 0 || left == 0 {
                        break;
                    }
                }
            }
            self.outputs.retain(|output| !output.is_over());
            let rest = deadline.saturating_duration_since(Instant::now());
            if self.outputs.is_empty() || left == 0 || rest.is_zero() {
                return;
            }
            let mut fds: Vec<_> = self
                .outputs
                .iter()
                .map(|output| PollFd::new(output, PollFlags::IN))
                .collect();
            if poll(&mut fds, Some(&timespec(rest))).is_err() {
                return;
            }
        }
    }
}

/// Sends the exit to those who want it; answers the clients that are there.
fn tell(mut clients: Vec<Client>, record: &ExitRecord) -> Vec<Client> {
    let json = record.to_json();
    for client in &mut clients {
        client.flush();
        if client.wants().exit {
            client.frame(&Frame::Exit(&json));
        }
    }
    clients
}

/// Waits until all have taken what was theirs, or nobody has taken anything for [`FLUSH_TIME`].
fn linger(mut clients: Vec<Client>) {
    loop {
        clients.retain(|client| client.is_behind() && !client.is_gone());
        if clients.is_empty() {
            return;
        }
        let mut fds: Vec<_> = clients
            .iter()
            .map(|client| PollFd::new(client, PollFlags::OUT))
            .collect();
        match poll(&mut fds, Some(&timespec(FLUSH_TIME))) {
            Ok(0) => return,
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
        clients.iter_mut().for_each(Client::flush);
    }
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

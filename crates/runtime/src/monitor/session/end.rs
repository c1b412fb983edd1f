//! Owns what happens once init has ended, and its order: the rest of the output, the exit record,
//! the socket, the clients, the disk.
//! Never: waiting without a bound.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use weft_stdx::clock::{boot_id, unix_ns};
use weft_sys::process::Exit;

use super::{Session, timespec};
use crate::monitor::client::Client;
use crate::monitor::record::{self, ExitRecord, Record};
use crate::monitor::wire::Frame;

/// Most bytes read from one output after the end: what a pipe can hold. More can only come from
/// survivors that write on and on.
const DRAIN_MAX: usize = 1024 * 1024;
/// How long survivors that hold an output open are listened to after the end.
const DRAIN_TIME: Duration = Duration::from_millis(250);
/// How long a client that takes nothing is waited for after the end.
const FLUSH_TIME: Duration = Duration::from_secs(10);

impl Session {
    /// From init's end to that of the monitor.
    pub(super) fn end(mut self) {
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
            timed_out: self.timed_out,
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
        let behind = tell(self.clients, &record);
        drop(self.mounts);
        if kept {
            self.exit.sync();
        }
        linger(behind);
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

/// Sends the exit to those who want it. Answers the clients that have not taken all of theirs;
/// the others are through, and see the end of the stream.
fn tell(mut clients: Vec<Client>, record: &ExitRecord) -> Vec<Client> {
    let json = record.to_json();
    for client in &mut clients {
        client.flush();
        if client.wants().exit {
            client.frame(&Frame::Exit(&json));
        }
    }
    clients.retain(|client| client.is_behind() && !client.is_gone());
    clients
}

/// Waits until all have taken what was theirs, or nobody has taken anything for [`FLUSH_TIME`].
fn linger(mut clients: Vec<Client>) {
    while !clients.is_empty() {
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
        clients.retain(|client| client.is_behind() && !client.is_gone());
    }
}

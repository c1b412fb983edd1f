//! Hears what others do to rules and bridges, and has it undone.
//!
//! ```text
//!  nft flush ruleset ──▶ event ─┐
//!  ip link del weft0 ──▶ event ─┴▶ ours, and not by us? ──▶ Host::repair ──▶ a short rest
//! ```
//!
//! Whoever undoes our repair in turn meets the rest between two of them, not a busy loop. Never:
//! looking without having heard.

use std::os::fd::{AsFd, OwnedFd};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use weft_sys::netlink::Group;

use crate::host::WeakHost;
use crate::netlink::{KernelError, Listener, errno};
use crate::nft::{self, Event};
use crate::rtnetlink;

/// Between two repairs: what happens meanwhile is repaired together.
const REST: Duration = Duration::from_millis(200);
/// How often a repair that fails is tried before the next event.
const ATTEMPTS: usize = 10;

/// What there is to look after.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) rules: bool,
    pub(crate) bridges: bool,
    /// The program that changed rules, when the kernel said.
    pub(crate) by: Option<String>,
}

/// The ears, before anybody listens.
#[derive(Debug)]
pub(crate) struct Watch {
    rules: Listener,
    links: Listener,
}

/// The listening thread. Dropped, it ends.
#[derive(Debug)]
pub(crate) struct Watcher {
    stop: OwnedFd,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Hears of everything from now on, in the caller's network namespace.
    pub(crate) fn open() -> Result<Watch, KernelError> {
        Ok(Watch {
            rules: Listener::open(Group::Rules)?,
            links: Listener::open(Group::Links)?,
        })
    }

    /// Listens for changes of `table` by other sockets than the one numbered `own`.
    pub(crate) fn start(
        mut self,
        host: WeakHost,
        table: String,
        own: u32,
    ) -> Result<Watcher, KernelError> {
        let stop = eventfd(0, EventfdFlags::CLOEXEC).map_err(errno("make an event counter"))?;
        let told = stop
            .try_clone()
            .map_err(errno("duplicate an event counter"))?;
        let thread = std::thread::Builder::new()
            .name("net-watcher".to_owned())
            .spawn(move || self.run(&host, &told, &table, own))
            .map_err(errno("start a thread"))?;
        Ok(Watcher {
            stop,
            thread: Some(thread),
        })
    }

    fn run(&mut self, host: &WeakHost, stop: &OwnedFd, table: &str, own: u32) {
        let mut attempts = 0;
        let mut heard = Heard::default();
        while !self.wait(stop, attempts > 0) {
            self.drain(&mut heard, table, own);
            if !(heard.rules || heard.bridges) {
                continue;
            }
            let Some(host) = host.get() else { return };
            match host.repair(&heard) {
                Err(error) if attempts < ATTEMPTS => {
                    attempts += 1;
                    tracing::warn!(error = &error as &dyn std::error::Error, "putting back");
                }
                outcome => {
                    if let Err(error) = outcome {
                        host.warn(format!(
                            "what somebody removed could not be put back ({error}); the next \
                             container on the network or start of the daemon tries again"
                        ));
                    }
                    (attempts, heard) = (0, Heard::default());
                }
            }
            drop(host);
            if is_told(&[stop.as_fd()], Some(REST)) {
                return;
            }
        }
    }

    /// Waits for events, or only looks for them; says whether it is to end.
    fn wait(&self, stop: &OwnedFd, only_look: bool) -> bool {
        let limit = only_look.then_some(Duration::ZERO);
        is_told(
            &[stop.as_fd(), self.rules.as_fd(), self.links.as_fd()],
            limit,
        ) && is_told(&[stop.as_fd()], Some(Duration::ZERO))
    }

    fn drain(&mut self, heard: &mut Heard, table: &str, own: u32) {
        let mut by = None;
        let complete = self.rules.drain(|event| {
            if event.port == own {
                return;
            }
            match nft::event(event, table) {
                Event::OfTable => heard.rules = true,
                Event::Commit { by: program } => by = program,
                Event::Other => {}
            }
        });
        if heard.rules {
            heard.by = heard.by.take().or(by);
        }
        heard.rules |= !complete;
        heard.bridges |= !self.links.drain(|event| {
            heard.bridges |= rtnetlink::tells_of_lost_bridge(event);
        });
    }
}

/// Whether one of them can be read, within `limit` if there is one.
fn is_told(fds: &[std::os::fd::BorrowedFd<'_>], limit: Option<Duration>) -> bool {
    let limit = limit.map(|limit| Timespec {
        tv_sec: 0,
        tv_nsec: i64::from(limit.subsec_nanos()),
    });
    let mut polled: Vec<PollFd<'_>> = fds
        .iter()
        .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
        .collect();
    loop {
        match poll(&mut polled, limit.as_ref()) {
            Err(Errno::INTR) => {}
            // A socket that cannot be waited for is one that was never opened.
            other => return other.is_ok_and(|ready| ready > 0),
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // A counter that is full tells as well.
        let _ = rustix::io::write(&self.stop, &1u64.to_ne_bytes());
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            // A panic in it was reported where it happened.
            let _ = thread.join();
        }
    }
}

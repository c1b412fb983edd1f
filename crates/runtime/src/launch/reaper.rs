//! `--init`: a first process that reaps orphans and hands signals on, with the program as its child.
//!
//! It is a fork of weft, not a file put into the container: nothing of it can be replaced there,
//! and being non-dumpable it can't be looked into either (CVE-2019-5736).
//!
//! ```text
//!   init ── fork ──► child: capabilities, gate, program
//!     │
//!     └─ closes every descriptor; hands each signal to the child; reaps whoever ends;
//!        ends with the child's status
//! ```
//! Never: comes back in the first process.

use std::convert::Infallible;
use std::os::fd::{AsFd, AsRawFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{WaitOptions, wait};
use weft_sys::process::{Child, Side, exit_now, fork, signal};
use weft_sys::signal::SignalFd;

use super::identity;
use super::step::{Failure, Named, Step};
use crate::plan::ProcessPlan;

const SIGKILL: i32 = 9;
const SIGCHLD: i32 = 17;
const SIGSTOP: i32 = 19;

/// Goes on in the child; the caller becomes the reaper.
pub(super) fn divide(process: &ProcessPlan, has_terminal: bool) -> Result<(), Failure> {
    // 32 and 33 are the C library's own.
    let kept = |n: &i32| !matches!(*n, SIGKILL | SIGSTOP | 32 | 33);
    let all: Vec<i32> = (1..=64).filter(kept).collect();
    // Blocked before there is a child: none that comes in between is lost.
    let signals = SignalFd::block(&all).named(Step::Session, "the init of --init")?;
    match fork().named(Step::Session, "the init of --init")? {
        Side::Child => take_terminal(has_terminal),
        Side::Parent(child) => match stand(process, &signals, &child) {
            Ok(never) => match never {},
            // Nobody can be told here: the child's end tells it.
            Err(_) => exit_now(1),
        },
    }
}

/// The program is a job of its own, in the foreground: ctrl-c is for it.
fn take_terminal(has_terminal: bool) -> Result<(), Failure> {
    let own = || Step::Session;
    rustix::process::setpgid(None, None).named(own(), "")?;
    if has_terminal {
        let group = rustix::process::getpgrp();
        rustix::termios::tcsetpgrp(rustix::stdio::stdin(), group).named(own(), "")?;
    }
    Ok(())
}

fn stand(process: &ProcessPlan, signals: &SignalFd, child: &Child) -> Result<Infallible, Failure> {
    identity::assume(process)?;
    // Only what `ps` shows; the program's own name is the child's.
    let _ = rustix::thread::set_name(c"weft-init");
    // The streams too: who reads them has to see the program's end.
    let keep = [signals.as_fd().as_raw_fd(), child.pidfd.as_raw_fd()];
    weft_sys::fd::close_except(0, &keep).named(Step::Streams, "")?;
    loop {
        while let Ok(Some((pid, ended))) = wait(WaitOptions::NOHANG) {
            if pid.as_raw_nonzero().get() == child.pid {
                let killed = ended.terminating_signal().map(|signal| 128 + signal);
                exit_now(killed.or(ended.exit_status()).unwrap_or(1));
            }
        }
        let mut ready = [PollFd::new(signals, PollFlags::IN)];
        let _ = poll(&mut ready, None);
        while let Ok(Some(number)) = signals.take() {
            if number != SIGCHLD {
                // It may have ended a moment ago.
                let _ = signal(&child.pidfd, number);
            }
        }
    }
}

//! Being with a process in the foreground: its terminal, its signals, its exit code.
//!
//! Never: reaps anything but the process it was given.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use weft_runtime::oci::{Bundle, ExecOptions, OciError, Root, Signals, protect, send_signal, wait};

use super::flags::ExecFlags;
use super::{Failure, console};

/// Signals passed on to the process. Job control and faults stay ours; SIGKILL nobody gets.
const FORWARDED: [i32; 11] = [1, 2, 3, 10, 12, 13, 14, 15, 18, 28, 29];
const SIGWINCH: i32 = 28;

/// Takes signals as events from now on.
pub fn watch_signals() -> Result<Signals, Failure> {
    Ok(Signals::block(&FORWARDED)?)
}

/// Waits for the process, passing signals and the terminal on; its exit code.
pub fn accompany(
    pidfd: &OwnedFd,
    terminal: Option<OwnedFd>,
    signals: &Signals,
) -> Result<u8, Failure> {
    let raw = terminal.as_ref().map(|master| {
        console::resize(master);
        console::Raw::enter()
    });
    let mut input_open = terminal.is_some();
    let mut output_open = terminal.is_some();
    let input = std::io::stdin();
    loop {
        let mut fds = vec![
            PollFd::new(pidfd, PollFlags::IN),
            PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN),
        ];
        if let (true, Some(master)) = (output_open, &terminal) {
            fds.push(PollFd::new(master, PollFlags::IN));
            if input_open {
                fds.push(PollFd::from_borrowed_fd(input.as_fd(), PollFlags::IN));
            }
        }
        match poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        if ready[1] {
            pass_on(pidfd, terminal.as_ref(), signals)?;
        }
        if let Some(master) = &terminal {
            if ready.get(2) == Some(&true) {
                output_open = console::carry(master.as_fd(), std::io::stdout().as_fd())?;
            }
            if ready.get(3) == Some(&true) {
                input_open = console::carry(input.as_fd(), master.as_fd()).unwrap_or(false);
            }
        }
        // What it has written last is still to be read.
        if ready[0] && ready.get(2) != Some(&true) {
            break;
        }
    }
    drop(raw);
    Ok(u8::try_from(wait(pidfd)?).unwrap_or(u8::MAX))
}

fn pass_on(pidfd: &OwnedFd, terminal: Option<&OwnedFd>, signals: &Signals) -> io::Result<()> {
    while let Some(signal) = signals.take()? {
        match terminal {
            Some(master) if signal == SIGWINCH => console::resize(master),
            // It may have ended already.
            _ => drop(send_signal(pidfd, signal)),
        }
    }
    Ok(())
}

/// `exec`.
pub fn exec(root: &Root, flags: ExecFlags) -> Result<u8, Failure> {
    let container = root.find(&flags.id)?;
    if protect::exposes_joiners(&Bundle::open(&container.record.dir)?.spec) {
        protect::protect()?;
    }
    let process = match &flags.process {
        None => None,
        Some(path) => {
            let bytes =
                std::fs::read(path).map_err(|error| format!("read {}: {error}", path.display()))?;
            Some(serde_json::from_slice::<oci_spec::runtime::Process>(
                &bytes,
            )?)
        }
    };
    if process.is_none() && flags.arguments.is_empty() {
        return Err("exec: a program or --process is needed".into());
    }
    let described = process.as_ref().and_then(|process| process.terminal());
    let terminal = described.unwrap_or(flags.tty);
    match (terminal, flags.detach, &flags.console_socket) {
        (true, true, None) => {
            return Err("a detached process with a terminal needs --console-socket".into());
        }
        (false, _, Some(_)) => return Err("--console-socket: the process has no terminal".into()),
        _ => {}
    }
    let signals = if flags.detach {
        None
    } else {
        Some(watch_signals()?)
    };
    let running = container.exec(ExecOptions {
        process,
        arguments: flags.arguments,
        terminal: flags.tty,
        user: flags.user,
        groups: flags.additional_gids,
        cwd: flags.cwd,
        environment: flags.env,
        capabilities: flags.cap,
        no_new_privileges: flags.no_new_privs,
        ignore_paused: flags.ignore_paused,
        pid_file: flags.pid_file,
    })?;
    let mut terminal = running.terminal;
    if let (Some(path), Some(master)) = (&flags.console_socket, &terminal) {
        console::send(path, master)?;
        terminal = None;
    }
    match signals {
        None => Ok(0),
        Some(signals) => accompany(&running.pidfd, terminal, &signals),
    }
}

/// A signal by number or name, with or without `SIG`.
pub fn signal_number(text: &str) -> Result<i32, OciError> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let known = SIGNALS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, number)| *number);
    let number = || text.parse().ok().filter(|number| (1..=64).contains(number));
    known
        .or_else(number)
        .ok_or_else(|| OciError::Invalid(format!("{text:?} is not a signal")))
}

/// Numbers of x86-64 and arm64 (signal(7)).
const SIGNALS: [(&str, i32); 31] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_a_name_or_a_number() {
        for text in ["9", "KILL", "kill", "SIGKILL", "sigkill"] {
            assert_eq!(signal_number(text).unwrap(), 9);
        }
        for text in ["", "0", "65", "-9", "SIG", "KILLER"] {
            assert!(signal_number(text).is_err(), "{text}");
        }
    }
}

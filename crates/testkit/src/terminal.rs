//! A command on a terminal of its own, as a person would type at it.
//! Owns the pty's master side; never interprets escape sequences.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::wait::{self, SOON};

/// A running command and the terminal it runs on; killed when dropped.
pub struct Terminal {
    master: File,
    child: Child,
    seen: Vec<u8>,
    shown: usize,
}

impl Terminal {
    /// Starts `program args` with a new controlling terminal of 24 rows and 80 columns.
    pub fn start(command: &Command) -> Result<Terminal> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).context("open a pty")?;
        grantpt(&master).context("grant the pty")?;
        unlockpt(&master).context("unlock the pty")?;
        resize(&master, 24, 80)?;
        let name = ptsname(&master, Vec::new()).context("name the pty")?;
        let name = name.to_str().context("pty names are ASCII")?;
        let noctty = i32::try_from(OpenptFlags::NOCTTY.bits()).context("flags fit")?;
        let slave = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(noctty)
            .open(name)
            .context("open the pty's other side")?;
        // setsid gives the command a session whose controlling terminal is its standard input.
        let mut wrapped = Command::new("setsid");
        wrapped
            .args(["--ctty", "--wait"])
            .arg(command.get_program())
            .args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(key, value),
                None => wrapped.env_remove(key),
            };
        }
        wrapped.env("TERM", "xterm");
        let child = wrapped
            .stdin(slave.try_clone().context("copy the pty")?)
            .stdout(slave.try_clone().context("copy the pty")?)
            .stderr(slave)
            .spawn()
            .context("start setsid")?;
        Ok(Terminal {
            master: File::from(master),
            child,
            seen: Vec::new(),
            shown: 0,
        })
    }

    /// Types `text`.
    pub fn types(&mut self, text: &str) {
        self.master
            .write_all(text.as_bytes())
            .expect("the terminal takes input");
    }

    /// Changes the window's size; the foreground process gets SIGWINCH.
    pub fn resize(&self, rows: u16, columns: u16) {
        resize(&self.master, rows, columns).expect("the terminal has a size");
    }

    /// Waits until `needle` appears after what was already waited for.
    #[track_caller]
    pub fn shows(&mut self, needle: &str) {
        let began = Instant::now();
        loop {
            let fresh = &self.seen[self.shown..];
            if let Some(at) = fresh
                .windows(needle.len())
                .position(|part| part == needle.as_bytes())
            {
                self.shown += at + needle.len();
                return;
            }
            let more = self.read_some(SOON.saturating_sub(began.elapsed()));
            assert!(
                more,
                "the terminal does not show {needle:?}, but {:?}",
                self.text()
            );
        }
    }

    /// Waits for the command's end and returns its exit code.
    #[track_caller]
    pub fn ends(&mut self) -> i32 {
        while self.read_some(Duration::from_millis(200)) {}
        let status = wait::within(SOON, "the command on the terminal ends", || {
            self.read_some(Duration::ZERO);
            self.child.try_wait().expect("the child is ours")
        });
        while self.read_some(Duration::ZERO) {}
        status.code().unwrap_or(255)
    }

    /// Everything shown so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    fn read_some(&mut self, limit: Duration) -> bool {
        let limit = Timespec::try_from(limit).expect("test limits are short");
        let mut fds = [PollFd::new(&self.master, PollFlags::IN)];
        if !matches!(poll(&mut fds, Some(&limit)), Ok(1)) {
            return false;
        }
        let mut chunk = [0; 4096];
        // EIO means that nobody has the other side open any more.
        let Ok(length @ 1..) = self.master.read(&mut chunk) else {
            return false;
        };
        self.seen.extend_from_slice(&chunk[..length]);
        true
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn resize(master: &impl std::os::fd::AsFd, rows: u16, columns: u16) -> Result<()> {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(master, size).context("set the terminal's size")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_thinks_somebody_types() {
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            "tty >/dev/null && stty size && read line && echo got $line; exit 4",
        ]);
        let mut terminal = Terminal::start(&shell).unwrap();
        terminal.shows("24 80");
        terminal.types("hello\n");
        terminal.shows("got hello");
        assert_eq!(terminal.ends(), 4);
    }
}

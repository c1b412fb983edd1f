//! Commands with a deadline: run to the end, or kept in the background.
//! Owns the child and its output; kills it when its time is over, never anything else.

use std::fmt;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::{self, SOON};

/// How long a command of a test may take.
pub const LIMIT: Duration = Duration::from_secs(120);

/// What a finished command left.
pub struct Ran {
    /// The command line, for messages.
    pub line: String,
    /// Its exit code; 128 + signal when a signal ended it.
    pub code: i32,
    /// Its standard output, as text.
    pub stdout: String,
    /// Its standard error, as text.
    pub stderr: String,
}

impl Ran {
    /// The standard output without the last newline, if the command succeeded; panics otherwise.
    #[track_caller]
    pub fn ok(&self) -> &str {
        assert_eq!(self.code, 0, "{self}");
        self.stdout.trim_end_matches('\n')
    }

    /// Checks the exit code; panics with everything the command said.
    #[track_caller]
    pub fn code(&self, expected: i32) -> &Ran {
        assert_eq!(self.code, expected, "{self}");
        self
    }

    /// Checks that the command failed and that its message says each of `words` (any case).
    #[track_caller]
    pub fn fails_saying(&self, words: &[&str]) -> &Ran {
        assert_ne!(self.code, 0, "{self}");
        let message = self.stderr.to_lowercase();
        for word in words {
            assert!(
                message.contains(&word.to_lowercase()),
                "the message lacks {word:?}: {self}"
            );
        }
        assert!(!message.contains("panicked"), "{self}");
        self
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ran {
            line,
            code,
            stdout,
            stderr,
        } = self;
        write!(
            f,
            "`{line}` ended with {code}\nstdout: {stdout}\nstderr: {stderr}"
        )
    }
}

/// Runs `command` to its end with `input` on its standard input.
pub fn run(mut command: Command, input: &[u8], limit: Duration) -> Ran {
    command.stdin(if input.is_empty() {
        Stdio::null()
    } else {
        Stdio::piped()
    });
    let mut background = Background::start(command);
    if let Some(mut stdin) = background.child.stdin.take() {
        // A command that ends early closes its end; what it did is judged by its exit code.
        let _ = stdin.write_all(input);
    }
    background.finish(limit)
}

/// A running command whose output is collected; killed when dropped.
pub struct Background {
    line: String,
    child: Child,
    stdout: Collector,
    stderr: Collector,
}

impl Background {
    /// Starts `command` with collected output. Standard input is the caller's choice.
    #[track_caller]
    pub fn start(mut command: Command) -> Background {
        let line = line(&command);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("start `{line}`: {error}"));
        let stdout = Collector::new(child.stdout.take().expect("stdout is piped"));
        let stderr = Collector::new(child.stderr.take().expect("stderr is piped"));
        Background {
            line,
            child,
            stdout,
            stderr,
        }
    }

    /// The process id.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// What it wrote to standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it wrote to standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Its standard input, once, when it is piped.
    pub fn stdin(&mut self) -> Option<std::process::ChildStdin> {
        self.child.stdin.take()
    }

    /// Waits until standard output holds `needle`.
    #[track_caller]
    pub fn says(&self, needle: &str) {
        wait::until(SOON, &format!("`{}` says {needle:?}", self.line), || {
            self.stdout().contains(needle)
        });
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the child is not reaped yet");
    }

    /// Whether it is still running.
    pub fn running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end; kills it and panics when `limit` is over.
    #[track_caller]
    pub fn finish(mut self, limit: Duration) -> Ran {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("the child is ours") {
                break status;
            }
            if began.elapsed() > limit {
                let (stdout, stderr) = (self.stdout(), self.stderr());
                panic!(
                    "`{}` runs for more than {} s\nstdout: {stdout}\nstderr: {stderr}",
                    self.line,
                    limit.as_secs()
                );
            }
            wait::pause();
        };
        self.stdout.end();
        self.stderr.end();
        Ran {
            line: self.line.clone(),
            code: code(status),
            stdout: self.stdout(),
            stderr: self.stderr(),
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if self.running() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Reads a pipe to its end in a thread, so that no child ever blocks on a test.
struct Collector {
    bytes: Arc<Mutex<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Collector {
    fn new(mut from: impl Read + Send + 'static) -> Collector {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&bytes);
        let thread = thread::spawn(move || {
            let mut chunk = [0; 16 * 1024];
            while let Ok(length @ 1..) = from.read(&mut chunk) {
                into.lock()
                    .expect("no reader panics")
                    .extend_from_slice(&chunk[..length]);
            }
        });
        Collector {
            bytes,
            thread: Some(thread),
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().expect("no reader panics")).into_owned()
    }

    /// Waits for the last byte. A grandchild may keep the pipe open: then what is there counts.
    fn end(&mut self) {
        let began = Instant::now();
        let Some(thread) = self.thread.take() else {
            return;
        };
        while !thread.is_finished() && began.elapsed() < Duration::from_secs(2) {
            wait::pause();
        }
    }
}

fn code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn collects_output_input_and_code() {
        let ran = run(shell("cat; echo bad >&2; exit 3"), b"hello", LIMIT);
        assert_eq!(
            (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
            (3, "hello", "bad\n")
        );
    }

    #[test]
    fn a_signal_is_a_code() {
        assert_eq!(run(shell("kill -9 $$"), b"", LIMIT).code, 137);
    }

    #[test]
    fn dropping_ends_it() {
        let background = Background::start(shell("echo up; exec sleep 600"));
        background.says("up");
        let pid = background.pid();
        drop(background);
        assert!(rustix::process::test_kill_process(pid).is_err());
    }
}

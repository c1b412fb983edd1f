//! Runs one lane: a command whose output is streamed, counted and bounded in time.
//!
//! Owns child processes and their process groups. Never decides what a lane means for the run.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::count::Tally;

/// Lines waiting between the readers and the printer: a slow terminal slows the lane, nothing more.
const LINES_MAX: usize = 1024;

/// What a lane ended with.
pub struct Outcome {
    /// Whether the command exited with 0 within its time.
    pub ok: bool,
    /// The tests it counted; empty for commands that are not tests.
    pub tally: Tally,
}

/// Runs `command` in a process group of its own, prints each of its lines as it comes, and kills
/// the whole group when `limit` is over.
pub fn run(name: &str, command: Command, limit: Duration) -> Result<Outcome> {
    run_with(name, command, limit, |line| println!("{line}"), |_| false)
}

/// Like `run`, but kills the group as soon as `cut` holds for a line: that is how the lane is
/// meant to end then.
pub fn run_until(
    name: &str,
    command: Command,
    limit: Duration,
    cut: impl Fn(&str) -> bool,
) -> Result<Outcome> {
    run_with(name, command, limit, |line| println!("{line}"), cut)
}

fn run_with(
    name: &str,
    mut command: Command,
    limit: Duration,
    print: impl Fn(&str),
    cut: impl Fn(&str) -> bool,
) -> Result<Outcome> {
    print(&format!("==> {name}"));
    let began = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .with_context(|| format!("start {command:?}"))?;
    let (lines, incoming) = mpsc::sync_channel(LINES_MAX);
    read_lines(child.stdout.take().expect("stdout is piped"), lines.clone());
    read_lines(child.stderr.take().expect("stderr is piped"), lines);

    let mut counted = Tally::default();
    let mut said_skip = 0;
    let mut in_time = true;
    let mut was_cut = false;
    let group = Pid::from_child(&child);
    loop {
        match incoming.recv_timeout(limit.saturating_sub(began.elapsed())) {
            Ok(line) => {
                said_skip += u64::from(line.starts_with("SKIP "));
                counted.read_line(&line);
                print(&line);
                if !was_cut && cut(&line) {
                    was_cut = true;
                    kill_process_group(group, Signal::KILL).context("cut the lane off")?;
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) if in_time => {
                in_time = false;
                print(&format!(
                    "==> {name}: stopped after {} s, its limit",
                    limit.as_secs()
                ));
                kill_process_group(group, Signal::KILL).context("kill the lane's process group")?;
            }
            // Something outside the group still holds the pipe; the lane has failed already.
            Err(RecvTimeoutError::Timeout) => break,
        }
    }
    let status = child.wait().context("wait for the lane")?;
    let ok = (status.success() || was_cut) && in_time;
    let word = if ok { "ok" } else { "FAILED" };
    print(&format!(
        "==> {name}: {word} in {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    Ok(Outcome {
        ok,
        tally: counted.finish(said_skip),
    })
}

fn read_lines(from: impl Read + Send + 'static, to: SyncSender<String>) {
    thread::spawn(move || {
        let mut reader = BufReader::new(from);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
            let text = String::from_utf8_lossy(&line)
                .trim_end_matches('\n')
                .to_owned();
            if to.send(text).is_err() {
                return;
            }
            line.clear();
        }
    });
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
    fn counts_what_the_command_prints() {
        let script = "echo 'SKIP no peer'; echo 'test result: ok. 2 passed; 0 failed; 0 ignored'";
        let limit = Duration::from_secs(20);
        let outcome = run_with("sample", shell(script), limit, |_| (), |_| false).unwrap();
        assert!(outcome.ok);
        assert_eq!(
            outcome.tally,
            Tally {
                passed: 1,
                failed: 0,
                skipped: 1
            }
        );
    }

    #[test]
    fn a_lane_can_be_cut_off_at_a_line() {
        let limit = Duration::from_secs(600);
        let cut = |line: &str| line == "cut here";
        let outcome =
            run_with("cut", shell("echo cut here; sleep 600"), limit, |_| (), cut).unwrap();
        assert!(outcome.ok);
    }

    #[test]
    fn a_lane_over_its_time_is_killed_with_its_children() {
        let limit = Duration::from_millis(200);
        let outcome = run_with(
            "slow",
            shell("sleep 600 & sleep 600"),
            limit,
            |_| (),
            |_| false,
        )
        .unwrap();
        assert!(!outcome.ok);
    }
}

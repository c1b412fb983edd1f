//! A program beside the load: what it costs, and that it ends.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long it may take to end when asked to.
const END_MAX: Duration = Duration::from_secs(30);
/// `USER_HZ`, which is 100 wherever weft runs.
const TICKS: u64 = 100;
/// Between two looks at what cannot be waited for.
pub const LOOK: Duration = Duration::from_millis(2);

/// A running program; dropped, it is ended.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// It only runs another one, and ends with that.
    is_wrapper: bool,
}

impl Process {
    /// Starts it, its output in `log`.
    pub fn start(command: &mut Command, log: &Path, is_wrapper: bool) -> Result<Process> {
        let file = fs::File::create(log).with_context(|| format!("create {}", log.display()))?;
        let copy = file.try_clone().context("copy the log")?;
        command.stdin(Stdio::null()).stdout(copy).stderr(file);
        let child = command.spawn();
        let child = child.with_context(|| format!("start {command:?}"))?;
        Ok(Process { child, is_wrapper })
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// An error, once it has ended.
    pub fn still_runs(&mut self) -> Result<()> {
        match self.child.try_wait().context("look at a program")? {
            Some(status) => bail!("it ended early: {status}"),
            None => Ok(()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let wrapped = self.is_wrapper.then(|| children(self.id())).into_iter();
        let wrapped = wrapped.flatten().next().unwrap_or(self.id());
        if let Some(id) = Pid::from_raw(wrapped.cast_signed()) {
            let _ = kill_process(id, Signal::TERM);
        }
        let began = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && began.elapsed() < END_MAX {
            pause();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pause() {
    let time = rustix::event::Timespec {
        tv_sec: 0,
        tv_nsec: 10_000_000,
    };
    let _ = rustix::event::poll(&mut [], Some(&time));
}

/// Its resident memory, in MiB.
pub fn rss_mib(id: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    number.unwrap_or_default() / 1024.0
}

/// What it has had of the processors so far, with threads that have ended.
pub fn cpu(id: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let spent = ticks(&text).unwrap_or_default();
    Duration::from_millis(spent * 1000 / TICKS)
}

/// `utime` and `stime` (proc(5)): the name before them may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut times = rest.split_whitespace().skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    Some(user + system)
}

/// Its children.
pub fn children(id: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{id}/task"));
    let lists = tasks
        .into_iter()
        .flatten()
        .flatten()
        .map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
    let parse = |list: String| -> Vec<u32> {
        list.split_whitespace()
            .filter_map(|id| id.parse().ok())
            .collect()
    };
    lists.flat_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_a_process_with_an_odd_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 90 0 0 0 12 30 0 0 20 0 1 0 5 1 1";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("7 (a"), None);
    }
}

//! Rounds of contenders in rotating order, and what comes of them: minimum, median, 99th
//! percentile, ratio. Owns the measuring; knows nothing of containers.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Rounds that are run and thrown away.
const WARM_UP: usize = 3;

/// One way of doing the same thing.
pub struct Contender {
    /// What the table calls it.
    pub name: String,
    /// Undoes what the last round left; not measured.
    pub before: Option<Box<dyn Fn() -> Command>>,
    /// What is measured, from spawn to exit.
    pub command: Box<dyn Fn() -> Command>,
}

impl Contender {
    /// A contender that needs nothing undone.
    pub fn new(name: &str, command: impl Fn() -> Command + 'static) -> Contender {
        Contender {
            name: name.to_owned(),
            before: None,
            command: Box::new(command),
        }
    }

    /// What is run before each round, unmeasured; it may fail.
    #[must_use]
    pub fn before(mut self, command: impl Fn() -> Command + 'static) -> Contender {
        self.before = Some(Box::new(command));
        self
    }
}

/// Measured times of one contender.
pub struct Times(Vec<Duration>);

impl Times {
    /// Sorts what was measured.
    pub fn new(mut times: Vec<Duration>) -> Times {
        times.sort();
        Times(times)
    }

    fn at(&self, percent: usize) -> Duration {
        let last = self.0.len().saturating_sub(1);
        self.0
            .get((last * percent + 50) / 100)
            .copied()
            .unwrap_or_default()
    }
}

/// Runs all contenders `rounds` times, in rotating order, and prints their rows. The first one is
/// weft; ratios are against it.
pub fn race(case: &str, rounds: usize, contenders: Vec<Contender>) -> Result<()> {
    let contenders = willing(case, contenders);
    let mut times: Vec<Vec<Duration>> = contenders.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds + WARM_UP.min(rounds) {
        for turn in 0..contenders.len() {
            let index = (round + turn) % contenders.len();
            let took = measure(&contenders[index])?;
            if round >= WARM_UP.min(rounds) {
                times[index].push(took);
            }
        }
    }
    let times: Vec<Times> = times.into_iter().map(Times::new).collect();
    table(case, &contenders, &times);
    Ok(())
}

/// Those whose command works at all; the others are named with their error.
fn willing(case: &str, contenders: Vec<Contender>) -> Vec<Contender> {
    let works = |contender: &Contender| match measure(contender) {
        Ok(_) => true,
        Err(error) => {
            println!("{case}: {} is left out: {error:#}", contender.name);
            false
        }
    };
    contenders.into_iter().filter(works).collect()
}

fn measure(contender: &Contender) -> Result<Duration> {
    if let Some(before) = &contender.before {
        let _ = before().stdin(Stdio::null()).output();
    }
    // What the one before left to be written is not this one's to wait for.
    rustix::fs::sync();
    let mut command = (contender.command)();
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let began = Instant::now();
    let output = command
        .output()
        .with_context(|| format!("start {command:?}"))?;
    let took = began.elapsed();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!("{command:?} ended with {}: {}", output.status, said.trim());
    }
    Ok(took)
}

fn table(case: &str, contenders: &[Contender], times: &[Times]) {
    println!("### {case}\n");
    println!("| | min ms | p50 ms | p99 ms | against weft |");
    println!("|---|---|---|---|---|");
    let base = times.first().map(|times| times.at(50)).unwrap_or_default();
    for (contender, times) in contenders.iter().zip(times) {
        let [min, median, late] =
            [0, 50, 99].map(|percent| times.at(percent).as_secs_f64() * 1000.0);
        let ratio = times.at(50).as_secs_f64() / base.as_secs_f64().max(f64::MIN_POSITIVE);
        println!(
            "| {} | {min:.2} | {median:.2} | {late:.2} | {ratio:.1}x |",
            contender.name
        );
    }
    println!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_what_was_measured() {
        let times = Times::new((1..=101).rev().map(Duration::from_millis).collect());
        let [min, median, late] = [0, 50, 99].map(|percent| times.at(percent).as_millis());
        assert_eq!((min, median, late), (1, 51, 100));
        assert_eq!(Times::new(Vec::new()).at(50), Duration::ZERO);
    }

    #[test]
    fn a_contender_that_fails_is_left_out() {
        let shell = |script: &'static str| {
            move || {
                let mut command = Command::new("sh");
                command.args(["-c", script]);
                command
            }
        };
        let contenders = vec![
            Contender::new("a", shell("exit 0")),
            Contender::new("b", shell("exit 1")),
        ];
        assert_eq!(willing("x", contenders).len(), 1);
    }
}

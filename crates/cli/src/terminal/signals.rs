//! Signals while a container's streams are on our terminal.
//!
//! Owns which signals are passed on to the workload, which end us, and the terminal's new size.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::CliError;

/// Signals passed on to the workload, by number and name: all that can be caught and do not speak
/// of ourselves (SIGCHLD, SIGPIPE, SIGURG, SIGWINCH, faults).
const PASSED_ON: &[(i32, &str)] = &[
    (1, "HUP"),
    (2, "INT"),
    (3, "QUIT"),
    (10, "USR1"),
    (12, "USR2"),
    (14, "ALRM"),
    (15, "TERM"),
    (18, "CONT"),
    (20, "TSTP"),
    (30, "PWR"),
];

/// Signals that end us, where none are passed on.
const ENDING: &[(i32, &str)] = &[(1, "HUP"), (2, "INT"), (3, "QUIT"), (15, "TERM")];

/// Caught signals of one kind of interest.
pub struct Caught(Vec<(i32, &'static str, Signal)>);

impl Caught {
    /// Catches what is passed on to the workload.
    pub fn passed_on() -> Result<Caught, CliError> {
        Caught::new(PASSED_ON)
    }

    /// Catches what ends us.
    pub fn ending() -> Result<Caught, CliError> {
        Caught::new(ENDING)
    }

    fn new(list: &[(i32, &'static str)]) -> Result<Caught, CliError> {
        let mut all = Vec::with_capacity(list.len());
        for &(number, name) in list {
            let caught = signal(SignalKind::from_raw(number))
                .map_err(|error| CliError::because(format!("catch SIG{name}"), &error))?;
            all.push((number, name, caught));
        }
        Ok(Caught(all))
    }

    /// The next one: its number and its name without `SIG`.
    pub async fn next(&mut self) -> (i32, &'static str) {
        std::future::poll_fn(|context| {
            for (number, name, caught) in &mut self.0 {
                if caught.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready((*number, *name));
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

/// Changes of the terminal's size.
pub struct Resized(Signal);

impl Resized {
    /// Watches the size.
    pub fn watch() -> Result<Resized, CliError> {
        signal(SignalKind::window_change())
            .map(Resized)
            .map_err(|error| CliError::because("catch SIGWINCH", &error))
    }

    /// Waits for the next change.
    pub async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

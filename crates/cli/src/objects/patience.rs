//! Patience of whoever watches: with a server that ends watches, is started again, or says nothing.
//!
//! Owns pauses and the word about them. Never: asks again for what was refused.

use std::time::Duration;

use serde_json::Value;
use weft_client::cluster::{ApiError, Events};

use crate::printer::Printer;

/// Pause before the next attempt: a server that ends watches at once is not to be asked without end.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest one, when a server stays away: each is twice the one before.
const PAUSE_MAX: Duration = Duration::from_secs(8);
/// How long a watch may say nothing. Servers send a bookmark each minute: after this time the
/// connection is dead, or nothing is lost by a new one.
const SILENCE_MAX: Duration = Duration::from_secs(180);

/// Of one command.
pub struct Patience {
    printer: Printer,
    pause: Duration,
    is_told: bool,
}

impl Patience {
    /// With all attempts before it.
    pub fn new(printer: Printer) -> Patience {
        Patience {
            printer,
            pause: PAUSE,
            is_told: false,
        }
    }

    /// The server answers.
    pub fn answered(&mut self) {
        self.pause = PAUSE;
        self.is_told = false;
    }

    /// Waits until what ended is tried again.
    pub async fn pause(&mut self) {
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }

    /// Waits until what failed is tried again; an error that does not pass is handed back. The first
    /// of several in a row is said.
    ///
    /// # Errors
    /// Trying again is of no use.
    pub async fn after(&mut self, error: ApiError) -> Result<(), ApiError> {
        if !error.is_passing() {
            return Err(error);
        }
        if !std::mem::replace(&mut self.is_told, true) {
            let why = crate::error::CliError::from(error);
            let why = why.message();
            self.printer
                .talk(&format!("weft: {why}: trying again until it answers"));
        }
        self.pause().await;
        Ok(())
    }
}

/// The next event; nothing when the watch is to be begun anew.
///
/// # Errors
/// The connection broke, or the server ended the watch with a reason.
pub async fn next(events: &mut Events) -> Result<Option<(String, Value)>, ApiError> {
    let next = tokio::time::timeout(SILENCE_MAX, events.next()).await;
    next.unwrap_or(Ok(None))
}

//! How the containers of a fake driver behave.

use std::collections::BTreeMap;
use std::time::Duration;

/// What comes of calls that are about one container, by its name or by its command.
#[derive(Debug, Clone)]
pub struct Script {
    /// So many starts fail before one does not.
    pub failing_starts: u32,
    /// They are not even begun: see [`crate::Failure::is_config`].
    pub is_config: bool,
    /// It ends by itself after so long, with this code.
    pub ends: Option<(Duration, i32)>,
    /// Being asked to end, it does so with this code; `None`: it does not, and is killed.
    pub on_ask: Option<i32>,
    /// Nothing ends it: stopping fails when its time is over.
    pub is_immortal: bool,
    /// What it says, once it runs.
    pub says: String,
    /// What it has written on disk.
    pub disk_bytes: u64,
    /// What becomes of commands that are run in it, by their words with spaces between.
    pub commands: BTreeMap<String, Outcome>,
}

/// What becomes of a command.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It ends with this code, and has said this.
    Ends(i32, String),
    /// It never ends: it takes all the time it is given.
    Hangs,
    /// It can't be run.
    Fails(String),
}

impl Default for Script {
    /// Runs for ever, and ends well when it is asked to.
    fn default() -> Script {
        Script {
            failing_starts: 0,
            is_config: false,
            ends: None,
            on_ask: Some(0),
            is_immortal: false,
            says: String::new(),
            disk_bytes: 0,
            commands: BTreeMap::new(),
        }
    }
}

impl Script {
    /// Ends by itself.
    pub fn ends(after: Duration, code: i32) -> Script {
        Script {
            ends: Some((after, code)),
            ..Script::default()
        }
    }

    /// Does not end when it is asked to.
    pub fn deaf() -> Script {
        Script {
            on_ask: None,
            ..Script::default()
        }
    }

    /// Runs for ever, with a command in it.
    #[must_use]
    pub fn with(mut self, command: &str, outcome: Outcome) -> Script {
        self.commands.insert(command.to_owned(), outcome);
        self
    }
}

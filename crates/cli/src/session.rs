//! What a command works with: settings, a printer, and the engine, reached when first needed.
//!
//! Owns the choice between an engine that runs, one to be started, and only printing requests.

mod launch;

use std::cell::OnceCell;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use weft_client::{Client, ClientError};

use crate::error::CliError;
use crate::printer::Printer;
use crate::settings::Settings;
use crate::tree::Outcome;

/// One invocation of the command line.
pub struct Session {
    /// The effective settings.
    pub settings: Settings,
    /// Where words go.
    pub printer: Printer,
    /// What servers warned of.
    pub warnings: Arc<Warnings>,
    explain: bool,
    client: OnceCell<Client>,
}

/// Counts what servers warn of.
#[derive(Debug, Default)]
pub struct Warnings {
    count: AtomicU32,
    are_errors: AtomicBool,
}

impl Warnings {
    /// One more.
    pub fn add(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// From now on, those that were and those that will be fail the command.
    pub fn are_errors(&self) {
        self.are_errors.store(true, Ordering::Relaxed);
    }

    /// What a command ends with that would end with `outcome`.
    pub fn over(&self, outcome: Outcome) -> Outcome {
        let count = self.count.load(Ordering::Relaxed);
        match (outcome, count) {
            (Ok(0), 1..) if self.are_errors.load(Ordering::Relaxed) => Err(CliError::new(format!(
                "{count} warning{} received",
                if count == 1 { "" } else { "s" }
            ))),
            (outcome, _) => outcome,
        }
    }
}

impl Session {
    /// A session; `explain` prints requests as curl lines instead of sending them.
    pub fn new(settings: Settings, printer: Printer, explain: bool) -> Session {
        Session {
            settings,
            printer,
            warnings: Arc::default(),
            explain,
            client: OnceCell::new(),
        }
    }

    /// Whether requests are only printed.
    pub fn is_explaining(&self) -> bool {
        self.explain
    }

    /// The engine, started if it does not run and this process may start it.
    pub async fn engine(&self) -> Result<&Client, CliError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let socket = self.settings.host.value.clone();
        let client = if self.explain {
            let (printer, path) = (self.printer, socket.clone());
            Client::explaining(
                socket,
                Arc::new(move |request| {
                    let _ = printer.line(&request.curl(&path));
                }),
            )
        } else {
            let stream = self.connect()?;
            let client = Client::new(socket);
            client.adopt(stream).await?;
            client
        };
        Ok(self.client.get_or_init(|| client))
    }

    fn connect(&self) -> Result<UnixStream, CliError> {
        let socket = &self.settings.host.value;
        let error = match UnixStream::connect(socket) {
            Ok(stream) => return Ok(stream),
            Err(source) => ClientError::Connect {
                socket: socket.clone(),
                source,
            },
        };
        let may_start = self.settings.is_own_engine() && rustix::process::geteuid().is_root();
        if error.is_not_running() && may_start {
            return launch::start(&self.settings);
        }
        Err(error.into())
    }
}

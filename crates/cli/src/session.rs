//! What a command works with: settings, a printer, and the engine, reached when first needed.
//!
//! Owns the choice between an engine that runs, one to be started, and only printing requests.

mod launch;

use std::cell::OnceCell;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use weft_client::{Client, ClientError};

use crate::error::CliError;
use crate::printer::Printer;
use crate::settings::Settings;

/// One invocation of the command line.
pub struct Session {
    /// The effective settings.
    pub settings: Settings,
    /// Where words go.
    pub printer: Printer,
    explain: bool,
    client: OnceCell<Client>,
}

impl Session {
    /// A session; `explain` prints requests as curl lines instead of sending them.
    pub fn new(settings: Settings, printer: Printer, explain: bool) -> Session {
        Session {
            settings,
            printer,
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

//! Raw mode of the terminal, and the certainty that it ends.
//!
//! Owns the terminal's former settings: they are put back when the guard is dropped and when the
//! program panics. Signals end in a normal return of the command (see `signals`), so they drop the
//! guard too.

use std::sync::{Mutex, Once, PoisonError};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::error::CliError;

/// What to put back.
static FORMER: Mutex<Option<Termios>> = Mutex::new(None);

/// Raw mode, until dropped.
#[derive(Debug)]
pub struct RawTerminal(());

impl RawTerminal {
    /// Makes stdin's terminal raw; `None` when stdin is not a terminal.
    pub fn enter() -> Result<Option<RawTerminal>, CliError> {
        static HOOK: Once = Once::new();
        let tried =
            |error| CliError::because("make the terminal raw", &std::io::Error::from(error));
        let stdin = std::io::stdin();
        let Ok(former) = tcgetattr(&stdin) else {
            return Ok(None);
        };
        let mut raw = former.clone();
        raw.make_raw();
        *FORMER.lock().unwrap_or_else(PoisonError::into_inner) = Some(former);
        HOOK.call_once(|| {
            let next = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                next(panic);
            }));
        });
        let guard = RawTerminal(());
        tcsetattr(&stdin, OptionalActions::Drain, &raw).map_err(tried)?;
        Ok(Some(guard))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    let former = FORMER.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(former) = former {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, &former);
    }
}

/// Rows and columns of the terminal, of whichever standard stream is one.
pub fn size() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout())
        .or_else(|_| rustix::termios::tcgetwinsize(std::io::stdin()))
        .ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}

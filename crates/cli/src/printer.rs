//! Where words go: stdout is data, stderr is talk.
//!
//! Owns every write of text to the two, the terminal's width, and what happens when the reader is
//! gone. Streams of containers are written by `terminal::output`.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use crate::error::{CliError, EXIT_PIPE};

/// Writes for one command.
#[derive(Debug, Clone, Copy, Default)]
pub struct Printer;

impl Printer {
    /// Prints data, as it is.
    pub fn data(self, text: &str) -> Result<(), CliError> {
        self.bytes(text.as_bytes())
    }

    /// Prints a line of data.
    pub fn line(self, text: &str) -> Result<(), CliError> {
        let mut line = String::with_capacity(text.len() + 1);
        line.push_str(text);
        line.push('\n');
        self.data(&line)
    }

    /// Prints raw data.
    pub fn bytes(self, bytes: &[u8]) -> Result<(), CliError> {
        let mut out = std::io::stdout().lock();
        out.write_all(bytes)
            .and_then(|()| out.flush())
            .map_err(|error| write_error(&error))
    }

    /// Prints a value as indented JSON.
    pub fn json<T: serde::Serialize + ?Sized>(self, value: &T) -> Result<(), CliError> {
        // Docker indents by four.
        let mut out = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
        let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
        value
            .serialize(&mut serializer)
            .map_err(|error| CliError::because("encode the answer", &error))?;
        out.push(b'\n');
        self.bytes(&out)
    }

    /// Says something beside the data. Nobody listening is no error.
    pub fn talk(self, text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }

    /// Asks something beside the data: whether the answer is yes.
    pub fn confirmed(self, question: &str) -> Result<bool, CliError> {
        let _ = write!(std::io::stderr(), "{question} ");
        let mut line = String::new();
        std::io::stdin()
            .lock()
            .read_line(&mut line)
            .map_err(|error| CliError::because("read the answer", &error))?;
        Ok(["y", "yes"].contains(&line.trim().to_lowercase().as_str()))
    }

    /// Shows an error.
    pub fn error(self, error: &CliError) {
        let _ = std::io::stderr()
            .lock()
            .write_all(error.render().as_bytes());
    }

    /// Whether stderr is a terminal.
    pub fn err_is_terminal(self) -> bool {
        std::io::stderr().is_terminal()
    }

    /// Columns of the terminal that stdout is, `None` when it is none.
    pub fn width(self) -> Option<usize> {
        let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
        (size.ws_col > 0).then_some(usize::from(size.ws_col))
    }
}

/// What a failed write to stdout means: silence when the reader is gone.
pub fn write_error(error: &std::io::Error) -> CliError {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        CliError::silent(EXIT_PIPE)
    } else {
        CliError::because("write to standard output", error)
    }
}

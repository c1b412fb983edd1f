//! Where errors go: standard error, and the file of `--log`, in the form runc's callers read.
//!
//! Never: fails a command because it cannot write.

use std::error::Error;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use super::flags::LogFormat;

/// The log of one command.
pub struct Log {
    path: Option<PathBuf>,
    format: LogFormat,
}

impl Log {
    /// To `path` too, if there is one.
    pub fn new(path: Option<PathBuf>, format: LogFormat) -> Log {
        Log { path, format }
    }

    /// Tells of `error` with all its causes.
    pub fn error(&self, error: &(dyn Error + 'static)) {
        let text = chain(error);
        // Nobody is left to be told if this fails.
        let _ = writeln!(std::io::stderr(), "weft oci: {text}");
        let Some(path) = &self.path else { return };
        let time = jiff::Timestamp::now();
        let line = match self.format {
            LogFormat::Json => {
                let time = time.to_string();
                serde_json::json!({ "level": "error", "msg": text, "time": time }).to_string()
            }
            LogFormat::Text => format!("time=\"{time:.0}\" level=error msg={text:?}"),
        };
        let file = OpenOptions::new().append(true).create(true).open(path);
        let _ = file.and_then(|mut file| writeln!(file, "{line}"));
    }
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

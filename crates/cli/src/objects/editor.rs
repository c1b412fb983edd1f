//! Text in somebody's editor, until it can be saved.
//!
//! ```text
//!   text ─► editor ─► unchanged? done ─► save ─► refused? editor again, with the reason on top
//! ```

use std::ffi::OsString;
use std::io::Write as _;
use std::process::Command;

use serde_json::Value;
use weft_stdx::yaml;

use super::form::json_text;
use crate::error::CliError;
use crate::printer::Printer;

const ABOVE: &str = "\
# Edit the object below. Lines that begin with '#' are left out, and an empty file aborts the edit.
# If it is refused when it is saved, this file opens again with the reasons.
#
";

/// How an object looks in the editor.
#[derive(Debug, Clone, Copy)]
pub struct Editor {
    /// JSON rather than YAML.
    pub is_json: bool,
    /// Lines end as on Windows.
    pub has_returns: bool,
}

impl Editor {
    /// An object as text.
    pub fn text(self, object: &Value) -> String {
        match self.is_json {
            true => json_text(object),
            false => yaml::document(object),
        }
    }

    fn extension(self) -> &'static str {
        match self.is_json {
            true => "json",
            false => "yaml",
        }
    }

    /// Opens `original` until `save` takes what became of it; `save` tells why it does not, if the
    /// text is at fault. Says so if nothing is changed.
    pub async fn edit(
        self,
        printer: Printer,
        original: &str,
        mut save: impl AsyncFnMut(&str) -> Result<Option<String>, CliError>,
    ) -> Result<(), CliError> {
        let mut text = format!("{ABOVE}{original}");
        let mut reasons = String::new();
        loop {
            let edited = self.opened(&text)?;
            let body = without_comments(&edited);
            if body == original || body.trim().is_empty() {
                printer.talk("Edit cancelled, no changes made.");
                return Ok(());
            }
            // Saved as it was refused: nobody is to be asked for ever.
            if !reasons.is_empty() && edited == text {
                let kept = self.keep(&body)?;
                return Err(CliError::new(format!(
                    "Edit cancelled, no valid changes were saved: {reasons}"
                ))
                .hint(format!("what was edited is in {kept}")));
            }
            reasons = match save(&body).await {
                Ok(None) => return Ok(()),
                Ok(Some(reasons)) => reasons,
                Err(error) => {
                    let kept = self.keep(&body)?;
                    return Err(error.hint(format!("what was edited is in {kept}")));
                }
            };
            let told: Vec<String> = reasons.lines().map(|line| format!("# {line}\n")).collect();
            text = format!("{ABOVE}{}#\n{body}", told.concat());
        }
    }

    /// A file that stays.
    fn keep(self, body: &str) -> Result<String, CliError> {
        let (mut file, path) = self.new_file()?;
        file.write_all(body.as_bytes())
            .map_err(|error| CliError::because(format!("write {path}"), &error))?;
        Ok(path)
    }

    /// A file nobody else can read: it may hold a secret.
    fn new_file(self) -> Result<(std::fs::File, String), CliError> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let form = self.extension();
        let name = format!(
            "weft-edit-{}-{}.{form}",
            std::process::id(),
            weft_stdx::clock::unix_s()
        );
        let path = std::env::temp_dir().join(name);
        let mut number = 0;
        loop {
            let path = match number {
                0 => path.clone(),
                number => path.with_extension(format!("{number}.{form}")),
            };
            let opened = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path);
            match opened {
                Ok(file) => return Ok((file, path.to_string_lossy().into_owned())),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && number < 100 => {
                    number += 1
                }
                Err(error) => {
                    return Err(CliError::because(
                        format!("create {}", path.display()),
                        &error,
                    ));
                }
            }
        }
    }

    /// What becomes of `text` in $KUBE_EDITOR, $EDITOR or vi.
    fn opened(self, text: &str) -> Result<String, CliError> {
        let (mut file, path) = self.new_file()?;
        let because = |error: std::io::Error| CliError::because(format!("edit {path}"), &error);
        let edited = (|| {
            match self.has_returns {
                true => file.write_all(text.replace('\n', "\r\n").as_bytes()),
                false => file.write_all(text.as_bytes()),
            }
            .map_err(because)?;
            run(&path)?;
            let edited = std::fs::read_to_string(&path).map_err(because)?;
            Ok(match self.has_returns {
                true => edited.replace("\r\n", "\n"),
                false => edited,
            })
        })();
        let _ = std::fs::remove_file(&path);
        edited
    }
}

fn run(path: &str) -> Result<(), CliError> {
    let of = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let editor = of("KUBE_EDITOR")
        .or_else(|| of("EDITOR"))
        .unwrap_or_else(|| OsString::from("vi"));
    // The variable is a command line of its owner's, as git and kubectl have it.
    let mut line = editor.clone();
    line.push(" \"$1\"");
    let ended = Command::new("/bin/sh")
        .arg("-c")
        .arg(line)
        .args(["sh", path])
        .status();
    let ended =
        ended.map_err(|error| CliError::because(format!("start the editor {editor:?}"), &error))?;
    match ended.success() {
        true => Ok(()),
        false => Err(CliError::new(format!(
            "the editor {editor:?} failed: {ended}"
        ))),
    }
}

fn without_comments(text: &str) -> String {
    // Only those above: within a block of text, a hash is text.
    let body = text.lines().skip_while(|line| line.starts_with('#'));
    body.map(|line| format!("{line}\n")).collect()
}

//! `weft edit`: objects in the editor, and back what was changed in them.
//!
//! ```text
//!   read ─► editor ─► unchanged? done ─► patch ─► refused? editor again, with the reason on top
//! ```

use std::ffi::OsString;
use std::io::Write as _;
use std::process::Command;

use serde_json::{Map, Value};
use weft_client::cluster::ApiError;
use weft_client::{Method, Request};
use weft_stdx::yaml;

use crate::error::CliError;
use crate::objects::choose::{Target, targets};
use crate::objects::connect::{Api, Connect};
use crate::objects::form::{json_text, without_managers};
use crate::objects::manifest::Sources;
use crate::objects::write::{Change, DryRun, Tally};
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!(
    "edit",
    Args,
    "Change an object of a server in an editor: weft edit TYPE NAME"
);

const ABOVE: &str = "\
# Edit the object below. Lines that begin with '#' are left out, and an empty file aborts the edit.
# If it is refused when it is saved, this file opens again with the reasons.
#
";

/// Flags of `edit`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Kind and name
    #[arg(value_name = "TYPE")]
    words: Vec<String>,
    #[command(flatten)]
    sources: Sources,
    /// A subresource: status, scale
    #[arg(long, value_name = "NAME")]
    subresource: Option<String>,
    /// Edit as yaml or json
    #[arg(short, long, value_name = "FORM", default_value = "yaml", value_parser = ["yaml", "json"])]
    output: String,
    /// Who is to have changed these fields
    #[arg(long, value_name = "NAME", default_value = "weft")]
    field_manager: String,
    #[command(flatten)]
    connect: Connect,
}

impl Args {
    /// Edits each object.
    pub async fn run(self, session: &Session) -> Outcome {
        let api = Api::open(&self.connect, session)?;
        let chosen = targets(&api, &self.words, &self.sources, false).await?;
        if chosen.is_empty() || chosen.iter().any(|target| target.name.is_none()) {
            return Err(CliError::usage(
                "edit needs a type and a name: weft edit TYPE NAME",
            ));
        }
        let mut tally = Tally::new(api.printer);
        for target in &chosen {
            if let Err(error) = self.edit(&api, target).await {
                tally.failed(error);
            }
        }
        Ok(tally.code())
    }

    async fn edit(&self, api: &Api, target: &Target) -> Result<(), CliError> {
        let path = target.path(self.subresource.as_deref());
        let get = Request::get(format!("get {}", target.label()), &path);
        let before = without_managers(api.ask(&get).await?.json()?);
        let original = match self.output.as_str() {
            "json" => json_text(&before),
            _ => yaml::document(&before),
        };
        let mut text = format!("{ABOVE}{original}");
        let mut reasons = String::new();
        loop {
            let edited = in_editor(&text, &self.output)?;
            let body = without_comments(&edited);
            if body == original || body.trim().is_empty() {
                api.printer.talk("Edit cancelled, no changes made.");
                return Ok(());
            }
            // Saved as it was refused: nobody is to be asked for ever.
            if !reasons.is_empty() && edited == text {
                let kept = keep(&body, &self.output)?;
                return Err(CliError::new(format!(
                    "Edit cancelled, no valid changes were saved: {reasons}"
                ))
                .hint(format!("what was edited is in {kept}")));
            }
            reasons = match self.save(api, target, &before, &body).await? {
                None => return Ok(()),
                Some(reasons) => reasons,
            };
            let told: Vec<String> = reasons.lines().map(|line| format!("# {line}\n")).collect();
            text = format!("{ABOVE}{}#\n{body}", told.concat());
        }
    }

    /// Sends what was changed; why that was refused.
    async fn save(
        &self,
        api: &Api,
        target: &Target,
        before: &Value,
        body: &str,
    ) -> Result<Option<String>, CliError> {
        let after: Value = match serde_saphyr::from_str(body) {
            Ok(after) => after,
            Err(error) => return Ok(Some(error.to_string())),
        };
        let fixed = |object: &Value| {
            let meta = &object["metadata"];
            [
                &object["apiVersion"],
                &object["kind"],
                &meta["name"],
                &meta["namespace"],
            ]
            .map(Value::clone)
        };
        if fixed(before) != fixed(&after) {
            return Ok(Some(
                "apiVersion, kind, name and namespace of an object cannot be edited".to_owned(),
            ));
        }
        let mut patch = difference(before, &after).unwrap_or_default();
        if patch.as_object().is_none_or(Map::is_empty) {
            api.printer.talk("Edit cancelled, no changes made.");
            return Ok(None);
        }
        // Lists are sent whole: nothing that somebody else put there meanwhile is to be lost.
        patch["metadata"]["resourceVersion"] = after["metadata"]["resourceVersion"].clone();
        let change = Change {
            dry_run: DryRun::None,
            field_manager: self.field_manager.clone(),
            output: None,
            templates: Default::default(),
        };
        let path = target.path(self.subresource.as_deref());
        let request = Request::new(Method::PATCH, format!("edit {}", target.label()), &path);
        let request = change.on(request).query("fieldValidation", "Strict");
        let request = request.body("application/merge-patch+json", patch.to_string());
        match api.send(&request).await {
            Ok(answer) => {
                change.tell(api.printer, &answer.json()?, "edited")?;
                Ok(None)
            }
            Err(ApiError::Refused(refusal)) if [400, 422].contains(&refusal.code) => {
                Ok(Some(refusal.message.clone()))
            }
            Err(error) => {
                let kept = keep(body, &self.output)?;
                Err(CliError::from(error).hint(format!("what was edited is in {kept}")))
            }
        }
    }
}

/// A merge patch from one object to another; nothing if they are the same.
fn difference(before: &Value, after: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        return (before != after).then(|| after.clone());
    };
    let mut patch = Map::new();
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, value) in new {
        let changed = match old.get(key) {
            Some(old) => difference(old, value),
            None => Some(value.clone()),
        };
        if let Some(changed) = changed {
            patch.insert(key.clone(), changed);
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

fn without_comments(text: &str) -> String {
    // Only those above: within a block of text, a hash is text.
    let body = text.lines().skip_while(|line| line.starts_with('#'));
    body.map(|line| format!("{line}\n")).collect()
}

/// A file that stays.
fn keep(body: &str, form: &str) -> Result<String, CliError> {
    let (mut file, path) = new_file(form)?;
    file.write_all(body.as_bytes())
        .map_err(|error| CliError::because(format!("write {path}"), &error))?;
    Ok(path)
}

/// A file nobody else can read: it may hold a secret.
fn new_file(form: &str) -> Result<(std::fs::File, String), CliError> {
    use std::os::unix::fs::OpenOptionsExt as _;
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
fn in_editor(text: &str, form: &str) -> Result<String, CliError> {
    let (mut file, path) = new_file(form)?;
    let because = |error: std::io::Error| CliError::because(format!("edit {path}"), &error);
    let edited = (|| {
        file.write_all(text.as_bytes()).map_err(because)?;
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
            .args(["sh", &path])
            .status();
        let ended = ended
            .map_err(|error| CliError::because(format!("start the editor {editor:?}"), &error))?;
        if !ended.success() {
            return Err(CliError::new(format!(
                "the editor {editor:?} failed: {ended}"
            )));
        }
        std::fs::read_to_string(&path).map_err(because)
    })();
    let _ = std::fs::remove_file(&path);
    edited
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_was_changed_is_sent() {
        let before = json!({ "a": 1, "b": { "c": [1], "d": "x" }, "e": {} });
        for (after, patch) in [
            (before.clone(), None),
            (
                json!({ "a": 2, "b": { "c": [1], "d": "x" }, "e": {} }),
                Some(json!({ "a": 2 })),
            ),
            (
                json!({ "a": 1, "b": { "c": [1, 2] }, "e": {} }),
                Some(json!({ "b": { "c": [1, 2], "d": null } })),
            ),
            (
                json!({ "a": 1, "b": 3 }),
                Some(json!({ "b": 3, "e": null })),
            ),
        ] {
            assert_eq!(difference(&before, &after), patch, "{after}");
        }
    }
}

//! `weft edit`: objects in the editor, and back what was changed in them.

use serde_json::{Map, Value};
use weft_client::cluster::ApiError;
use weft_client::{Method, Request};

use crate::error::CliError;
use crate::objects::choose::{Target, targets};
use crate::objects::connect::{Api, Connect};
use crate::objects::editor::Editor;
use crate::objects::form::without_managers;
use crate::objects::manifest::Sources;
use crate::objects::write::{Change, DryRun, Tally, Validation, noted};
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!(
    "edit",
    Args,
    "Change an object of a server in an editor: weft edit TYPE NAME"
);

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
    /// Show what is sent
    #[arg(long)]
    output_patch: bool,
    /// Note the object in it, as client-side apply does
    #[arg(long)]
    save_config: bool,
    /// Who manages which field, too
    #[arg(long)]
    show_managed_fields: bool,
    /// Lines end as on Windows
    #[arg(long)]
    windows_line_endings: bool,
    #[command(flatten)]
    validation: Validation,
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
        let there: Value = api.ask(&get).await?.json()?;
        let before = match self.show_managed_fields {
            true => there,
            false => without_managers(there),
        };
        let editor = Editor {
            is_json: self.output == "json",
            has_returns: self.windows_line_endings,
        };
        let original = editor.text(&before);
        let save = async |body: &str| self.save(api, target, &before, body).await;
        editor.edit(api.printer, &original, save).await
    }

    /// Sends what was changed; why that was refused.
    async fn save(
        &self,
        api: &Api,
        target: &Target,
        before: &Value,
        body: &str,
    ) -> Result<Option<String>, CliError> {
        let mut after: Value = match serde_saphyr::from_str(body) {
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
        if self.save_config {
            noted(&mut after);
        }
        let mut patch = difference(before, &after).unwrap_or_default();
        if patch.as_object().is_none_or(Map::is_empty) {
            api.printer.talk("Edit cancelled, no changes made.");
            return Ok(None);
        }
        // Lists are sent whole: nothing that somebody else put there meanwhile is to be lost.
        patch["metadata"]["resourceVersion"] = after["metadata"]["resourceVersion"].clone();
        if self.output_patch {
            api.printer.line(&format!("Patch: {patch}"))?;
        }
        let change = Change {
            dry_run: DryRun::None,
            field_manager: self.field_manager.clone(),
            output: None,
            templates: Default::default(),
            has_told: Default::default(),
        };
        let path = target.path(self.subresource.as_deref());
        let request = Request::new(Method::PATCH, format!("edit {}", target.label()), &path);
        let request = self.validation.on(change.on(request));
        let request = request.body("application/merge-patch+json", patch.to_string());
        match api.send(&request).await {
            Ok(answer) => {
                change.tell(api.printer, &answer.json()?, "edited")?;
                Ok(None)
            }
            Err(ApiError::Refused(refusal)) if [400, 422].contains(&refusal.code) => {
                Ok(Some(refusal.message.clone()))
            }
            Err(error) => Err(error.into()),
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

//! What the verbs that change objects have in common: dry runs, field managers, validation.

use std::cell::Cell;

use serde_json::Value;
use weft_client::cluster::ApiError;
use weft_client::{Method, Request};

use super::choose::Target;
use super::connect::Api;
use super::form::{Form, Templates, without_managers};
use super::manifest::Manifest;
use crate::error::CliError;
use crate::printer::Printer;

/// Who we are among those who manage fields.
const MANAGER: &str = "weft";
/// Where client-side apply notes what it applied.
pub const APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Whether it is only tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum DryRun {
    /// It is done.
    #[default]
    None,
    /// Nothing is sent.
    Client,
    /// The server tries it and keeps nothing.
    Server,
}

/// Flags of a change.
#[derive(Debug, Clone, clap::Args)]
pub struct Change {
    /// Only try it: client sends nothing, server has the server try it
    #[arg(long, value_name = "WHERE", value_enum, default_value = "none", num_args = 0..=1, require_equals = true, default_missing_value = "client")]
    pub dry_run: DryRun,
    /// Who is to have changed these fields
    #[arg(long, value_name = "NAME", default_value = MANAGER)]
    pub field_manager: String,
    /// Show the object: name, json, yaml, jsonpath=TEMPLATE, go-template=TEMPLATE, custom-columns=NAME:PATH,...
    #[arg(short, long, value_name = "FORM")]
    pub output: Option<String>,
    #[command(flatten)]
    pub templates: Templates,
    /// Whether an object was shown, which the next is to be told from.
    #[arg(skip)]
    pub has_told: Cell<bool>,
}

/// Flags of a change by manifest.
#[derive(Debug, Clone, clap::Args)]
pub struct Validation {
    /// Fields that are unknown or given twice: strict (refuse), warn, ignore
    #[arg(long, value_name = "HOW", default_value = "strict", num_args = 0..=1, require_equals = true, default_missing_value = "strict",
        value_parser = ["strict", "warn", "ignore", "true", "false"])]
    validate: String,
}

impl Validation {
    /// Whether what is not known is refused.
    pub fn is_strict(&self) -> bool {
        matches!(&*self.validate, "strict" | "true")
    }

    /// `request` with it.
    pub fn on(&self, request: Request) -> Request {
        request.query(
            "fieldValidation",
            match self.validate.as_str() {
                "warn" => "Warn",
                "ignore" | "false" => "Ignore",
                _ => "Strict",
            },
        )
    }
}

impl Change {
    /// Whether somebody else is named as who changes it.
    pub fn is_of_another(&self) -> bool {
        self.field_manager != MANAGER
    }

    /// How the object is shown.
    pub fn form(&self) -> Result<Form, CliError> {
        Form::of(self.output.as_deref(), &self.templates)
    }

    /// `request` with manager and dry run.
    pub fn on(&self, request: Request) -> Request {
        let request = request.query("fieldManager", &self.field_manager);
        match self.dry_run {
            DryRun::Server => request.query("dryRun", "All"),
            _ => request,
        }
    }

    /// Tells what became of `object`.
    pub fn tell(&self, printer: Printer, object: &Value, word: &str) -> Result<(), CliError> {
        let object = self.templates.shown(object.clone());
        let form = self.form()?;
        if form == Form::Yaml && self.has_told.replace(true) {
            printer.line("---")?;
        }
        form.outcome(printer, &object, &self.word(word))
    }

    /// `created (server dry run)`
    pub fn word(&self, word: &str) -> String {
        match self.dry_run {
            DryRun::None => word.to_owned(),
            DryRun::Client => format!("{word} (dry run)"),
            DryRun::Server => format!("{word} (server dry run)"),
        }
    }
}

/// Has the server apply a manifest to an object, or to its part `below`; `with` adds to the request.
pub async fn applied(
    api: &Api,
    target: &Target,
    below: Option<&str>,
    manifest: &Manifest,
    is_forced: bool,
    with: impl FnOnce(Request) -> Request,
) -> Result<Value, ApiError> {
    let what = format!("apply {}", target.label());
    let request = Request::new(Method::PATCH, what, &target.path(below));
    let request = with(request)
        .query("force", if is_forced { "true" } else { "false" })
        .body("application/apply-patch+yaml", manifest.object.to_string());
    api.send(&request).await?.json()
}

/// kubectl's word for what apply always does here.
#[derive(Debug, Clone, clap::Args)]
pub struct ServerSide {
    /// The server applies: weft knows no other way
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    server_side: bool,
}

impl ServerSide {
    /// Refuses another way.
    pub fn checked(&self) -> Result<(), CliError> {
        match self.server_side {
            true => Ok(()),
            false => Err(CliError::usage(
                "--server-side=false: weft applies in the server only, which knows whose each field is",
            )
            .hint("`kubectl apply` can do it in the client")),
        }
    }
}

/// Notes an object in itself, as client-side apply does: without what the server adds.
pub fn noted(object: &mut Value) {
    let mut bare = without_managers(object.clone());
    if let Some(all) = bare.as_object_mut() {
        all.remove("status");
    }
    if let Some(meta) = bare["metadata"].as_object_mut() {
        for key in ["uid", "resourceVersion", "creationTimestamp", "generation"] {
            meta.remove(key);
        }
    }
    if let Some(notes) = bare["metadata"]["annotations"].as_object_mut() {
        notes.remove(APPLIED);
    }
    object["metadata"]["annotations"][APPLIED] = format!("{bare}\n").into();
}

/// The object that is there, if there is one.
pub async fn present(api: &Api, target: &Target) -> Result<Option<Value>, ApiError> {
    match api.ask(&target.get()).await {
        Ok(answer) => answer.json().map(Some),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Goes on after failures; what the command ends with.
#[derive(Debug)]
pub struct Tally {
    printer: Printer,
    code: u8,
}

impl Tally {
    /// Nothing has failed so far.
    pub fn new(printer: Printer) -> Tally {
        Tally { printer, code: 0 }
    }

    /// Counts and shows a failure.
    pub fn failed(&mut self, error: CliError) {
        if error.code() != 0 {
            self.printer.error(&error);
            self.code = 1;
        }
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        self.code
    }
}

/// Whether two versions of an object are the same one.
pub fn is_same(before: &Value, after: &Value) -> bool {
    let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
    version(before) == version(after)
}

//! `weft get`: tables of the server, or objects in other forms; and what becomes of them.

mod seen;
mod watch;

use serde_json::Value;
use weft_client::cluster::ApiError;
use weft_client::{Method, Request};

use crate::error::CliError;
use crate::objects::choose::{Selectors, Target, pages, targets};
use crate::objects::connect::{Api, Connect};
use crate::objects::form::{self, Form, Templates};
use crate::objects::manifest::Sources;
use crate::objects::raw;
use crate::objects::rows::{self, Heading, Layout, Look, TABLE};
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!(
    "get",
    Args,
    "Show objects of a server: weft get TYPE [NAME...]"
);

/// Flags of `get`.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "weft get TYPE[,TYPE...] [NAME...] [OPTIONS]\n       weft get TYPE/NAME... [OPTIONS]\n       weft get -f FILE [OPTIONS]"
)]
pub struct Args {
    /// Kinds and names
    #[arg(value_name = "TYPE")]
    words: Vec<String>,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    selectors: Selectors,
    /// In all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// wide, name, json, yaml, jsonpath=TEMPLATE, jsonpath-as-json=TEMPLATE, jsonpath-file=FILE, go-template=TEMPLATE, go-template-file=FILE, custom-columns=NAME:PATH,... or custom-columns-file=FILE
    #[arg(short, long, value_name = "FORM")]
    output: Option<String>,
    #[command(flatten)]
    templates: Templates,
    /// Go on showing what changes
    #[arg(short, long)]
    watch: bool,
    /// Show what changes, not what is there
    #[arg(long)]
    watch_only: bool,
    /// Say of each change what it is: ADDED, MODIFIED, DELETED
    #[arg(long)]
    output_watch_events: bool,
    /// What is not there is no failure
    #[arg(long)]
    ignore_not_found: bool,
    /// Labels as the last column
    #[arg(long)]
    show_labels: bool,
    /// A column with this label
    #[arg(short = 'L', long, value_name = "LABEL", value_delimiter = ',')]
    label_columns: Vec<String>,
    /// Names with their kind
    #[arg(long)]
    show_kind: bool,
    /// No line with headings
    #[arg(long)]
    no_headers: bool,
    /// By what this JSONPath leads to
    #[arg(long, value_name = "PATH")]
    sort_by: Option<String>,
    /// The server says which columns there are; else name and age
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    server_print: bool,
    /// How many objects are asked for at once; 0: all
    #[arg(long, value_name = "COUNT", default_value_t = 500)]
    chunk_size: u64,
    /// Ask for this path of the server, and show the answer as it is
    #[arg(long, value_name = "PATH", conflicts_with_all = ["words", "filename", "kustomize", "selector", "field_selector", "output", "watch", "watch_only"])]
    raw: Option<String>,
    /// A subresource: status, scale
    #[arg(long, value_name = "NAME")]
    subresource: Option<String>,
    #[command(flatten)]
    connect: Connect,
}

/// What was found of one target.
struct Found {
    target: Target,
    /// A table, or a list, or an object.
    value: Value,
}

impl Args {
    /// Shows objects.
    pub async fn run(self, session: &Session) -> Outcome {
        let form = Form::of(self.output.as_deref(), &self.templates)?;
        let api = Api::open(&self.connect, session)?;
        if let Some(path) = &self.raw {
            return raw::send(&api, Method::GET, path, None).await;
        }
        let chosen = targets(&api, &self.words, &self.sources, self.all_namespaces).await?;
        if chosen.is_empty() {
            return Err(
                CliError::usage("you must specify the type of object to get")
                    .hint("`weft api-resources` lists the types there are"),
            );
        }
        let is_named = chosen.iter().any(|target| target.name.is_some());
        if is_named && !self.selectors.is_empty() {
            return Err(CliError::usage(
                "name cannot be provided when a selector is specified",
            ));
        }
        if self.watch || self.watch_only {
            return watch::run(&self, &api, &form, &chosen).await;
        }
        let mut found = Vec::new();
        let mut code = 0;
        for target in chosen {
            match self.fetch(&api, &target, &self.selectors, &form).await {
                Ok(value) => found.push(Found { target, value }),
                Err(ApiError::NotSent) => {}
                Err(error) if self.ignore_not_found && error.is_not_found() => {}
                Err(error) => {
                    api.printer.error(&error.into());
                    code = 1;
                }
            }
        }
        if api.cluster.is_explaining() {
            return Ok(code);
        }
        match form.is_table() {
            true => self.tables(&api, &form, found, code == 0)?,
            false => self.whole(&api, &form, found, code == 0)?,
        }
        Ok(code)
    }

    /// One object, or all pages of a list.
    async fn fetch(
        &self,
        api: &Api,
        target: &Target,
        selectors: &Selectors,
        form: &Form,
    ) -> Result<Value, ApiError> {
        let below = self
            .subresource
            .as_deref()
            .filter(|_| target.name.is_some());
        let mut request = Request::get(format!("get {}", target.label()), &target.path(below));
        request = selectors.on(request);
        let is_made_here = !self.server_print;
        request = match form.is_table() && !is_made_here {
            true => request.header("accept", TABLE),
            false => request.header("accept", "application/json"),
        };
        if form.is_table() && self.sort_by.is_some() {
            request = request.query("includeObject", "Object");
        }
        let chunk = match target.name {
            None => self.chunk_size,
            Some(_) => 0,
        };
        let found = pages(request, chunk, async |page| api.send(page).await).await?;
        Ok(match form.is_table() && is_made_here {
            true => rows::plain_table(&found),
            false => found,
        })
    }

    fn look(&self, form: &Form, target: &Target, has_several: bool) -> Look {
        Look {
            wide: *form == Form::Table { wide: true },
            namespace: self.all_namespaces && target.kind.is_namespaced,
            labels: self.show_labels,
            label_columns: self.label_columns.clone(),
            kind: (has_several || self.show_kind).then(|| target.kind.label()),
            event: self.output_watch_events,
        }
    }

    /// A table for each kind, a line between two.
    fn tables(
        &self,
        api: &Api,
        form: &Form,
        found: Vec<Found>,
        is_all_well: bool,
    ) -> Result<(), CliError> {
        let mut out = String::new();
        let has_several = found
            .iter()
            .any(|one| one.target.kind != found[0].target.kind);
        let is_everywhere =
            self.all_namespaces || found.iter().any(|one| !one.target.kind.is_namespaced);
        let mut groups: Vec<(Target, Heading, Vec<Value>)> = Vec::new();
        for Found { target, mut value } in found {
            let Value::Array(rows) = value["rows"].take() else {
                return Err(CliError::new(format!(
                    "the server has no table of {}",
                    target.label()
                )));
            };
            let heading = Heading::of(&value, *form == Form::Table { wide: true });
            match groups.last_mut() {
                Some((last, _, all)) if last.kind == target.kind => all.extend(rows),
                _ => groups.push((target, heading, rows)),
            }
        }
        groups.retain(|(_, _, rows)| !rows.is_empty());
        for (target, heading, rows) in &mut groups {
            if let Some(path) = &self.sort_by {
                rows::sort(rows, path, |row| &row["object"])?;
            }
            let look = self.look(form, target, has_several);
            let mut lines = Vec::new();
            if !self.no_headers {
                lines.push(heading.line(&look));
            }
            lines.extend(rows.iter().map(|row| heading.row(row, &look, "")));
            if !out.is_empty() {
                out.push('\n');
            }
            out.push_str(&Layout::default().render(&lines));
        }
        if out.is_empty() && is_all_well && !self.ignore_not_found {
            api.printer.talk(&match is_everywhere {
                true => "No resources found".to_owned(),
                false => format!("No resources found in {} namespace.", api.namespace),
            });
        }
        api.printer.data(&out)
    }

    /// What was found as one object or one list.
    fn whole(
        &self,
        api: &Api,
        form: &Form,
        found: Vec<Found>,
        is_all_well: bool,
    ) -> Result<(), CliError> {
        let is_single = found.len() == 1 && found[0].target.name.is_some();
        let mut objects = Vec::new();
        for Found { value, .. } in found {
            let (version, kind) = (value["apiVersion"].clone(), value["kind"].clone());
            let kind = kind
                .as_str()
                .unwrap_or_default()
                .trim_end_matches("List")
                .to_owned();
            for item in form::items(&value) {
                let mut item = item.clone();
                if let Some(map) = item.as_object_mut() {
                    map.entry("apiVersion").or_insert_with(|| version.clone());
                    map.entry("kind").or_insert_with(|| kind.as_str().into());
                }
                objects.push(self.templates.shown(item));
            }
        }
        if let Some(path) = &self.sort_by {
            rows::sort(&mut objects, path, |object| object)?;
        }
        if objects.is_empty() && (!is_all_well || self.ignore_not_found) {
            return Ok(());
        }
        if let Form::Columns(columns) = form {
            let all: Vec<&Value> = objects.iter().collect();
            return api.printer.data(&columns.render(&all, !self.no_headers)?);
        }
        let value = match (is_single, objects.pop()) {
            (true, Some(only)) => only,
            (_, last) => {
                objects.extend(last);
                form::list(objects)
            }
        };
        api.printer.data(&form.whole(&value)?)
    }
}

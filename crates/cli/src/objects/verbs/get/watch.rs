//! `weft get --watch`
//!
//! ```text
//!   list ─► print ─► watch from its version ─► print each event ─► ended by the server? watch on
//!     ▲                                          too old? ─┐        from the last version
//!     └────────────────────────────────────────────────────┘
//! ```

use serde_json::Value;
use weft_client::Request;
use weft_client::cluster::{ApiError, Events};

use super::Args;
use crate::error::CliError;
use crate::objects::choose::Target;
use crate::objects::connect::{Api, WATCH_PAUSE};
use crate::objects::form::{self, Form};
use crate::objects::rows::{Heading, Layout, Look, TABLE};
use crate::tree::Outcome;

/// What has been printed so far.
struct Screen<'a> {
    args: &'a Args,
    api: &'a Api,
    form: &'a Form,
    look: Look,
    heading: Option<Heading>,
    layout: Layout,
    documents: usize,
}

pub(super) async fn run(args: &Args, api: &Api, form: &Form, chosen: &[Target]) -> Outcome {
    let [target] = chosen else {
        return Err(CliError::usage(
            "you may only specify a single resource type or name to watch",
        ));
    };
    let mut screen = Screen {
        args,
        api,
        form,
        look: args.look(form, target, false),
        heading: None,
        layout: Layout::default(),
        documents: 0,
    };
    let mut is_shown = !args.watch_only;
    loop {
        let mut version = match first(args, api, form, target).await {
            Ok(found) => {
                if std::mem::take(&mut is_shown) {
                    screen.list(&found)?;
                }
                // A list's version, or that of the one object.
                version_of(&found).unwrap_or_default()
            }
            // What is printed instead is the list; the watch follows it.
            Err(ApiError::NotSent) => String::new(),
            Err(error) => return Err(error.into()),
        };
        loop {
            match follow(&mut screen, target, &mut version).await {
                Ok(()) => {}
                Err(Ended::Api(error)) if error.is_gone() => break,
                Err(Ended::Api(error)) => return Err(error.into()),
                Err(Ended::Cli(error)) => return Err(error),
            }
            tokio::time::sleep(WATCH_PAUSE).await;
        }
    }
}

enum Ended {
    Api(ApiError),
    Cli(CliError),
}

impl From<ApiError> for Ended {
    fn from(error: ApiError) -> Ended {
        Ended::Api(error)
    }
}

impl From<CliError> for Ended {
    fn from(error: CliError) -> Ended {
        Ended::Cli(error)
    }
}

async fn first(args: &Args, api: &Api, form: &Form, target: &Target) -> Result<Value, ApiError> {
    args.fetch(api, target, form).await
}

/// Prints events until the server ends the watch.
async fn follow(
    screen: &mut Screen<'_>,
    target: &Target,
    version: &mut String,
) -> Result<(), Ended> {
    let mut all = target.clone();
    let name = all.name.take();
    let mut request = Request::get(format!("watch {}", target.label()), &all.path(None));
    request = match &name {
        Some(name) => request.query("fieldSelector", &format!("metadata.name={name}")),
        None => screen.args.selectors.on(request),
    };
    request = request
        .query("watch", "true")
        .query("allowWatchBookmarks", "true")
        .query_opt(
            "resourceVersion",
            Some(version.as_str()).filter(|text| !text.is_empty()),
        );
    let accept = match screen.form.is_table() {
        true => TABLE,
        false => "application/json",
    };
    let mut events: Events = screen
        .api
        .cluster
        .watch(&request.header("accept", accept))
        .await?;
    while let Some((kind, object)) = events.next().await? {
        if let Some(seen) = version_of(&object) {
            *version = seen;
        }
        if kind != "BOOKMARK" {
            screen.event(&kind, object)?;
        }
    }
    Ok(())
}

/// The version of an object, or of a table's last row.
fn version_of(value: &Value) -> Option<String> {
    let row = value["rows"].as_array().and_then(|rows| rows.last());
    let own = value["metadata"]["resourceVersion"]
        .as_str()
        .filter(|text| !text.is_empty());
    let of_row = row.and_then(|row| row["object"]["metadata"]["resourceVersion"].as_str());
    own.or(of_row).map(str::to_owned)
}

impl Screen<'_> {
    fn list(&mut self, found: &Value) -> Result<(), CliError> {
        if self.form.is_table() {
            return self.rows("ADDED", found);
        }
        for object in form::items(found) {
            let mut object = object.clone();
            if let (Some(map), Some(kind)) = (object.as_object_mut(), found["kind"].as_str()) {
                let kind = kind.trim_end_matches("List");
                map.entry("apiVersion")
                    .or_insert_with(|| found["apiVersion"].clone());
                map.entry("kind").or_insert_with(|| kind.into());
            }
            self.whole("ADDED", object)?;
        }
        Ok(())
    }

    fn event(&mut self, kind: &str, object: Value) -> Result<(), CliError> {
        match self.form.is_table() {
            true => self.rows(kind, &object),
            false => self.whole(kind, object),
        }
    }

    fn rows(&mut self, event: &str, table: &Value) -> Result<(), CliError> {
        let mut lines = Vec::new();
        let rows = table["rows"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        if rows.is_empty() {
            return Ok(());
        }
        if self.heading.is_none() {
            let heading = Heading::of(table, self.look.wide);
            if !self.args.no_headers {
                lines.push(heading.line(&self.look));
            }
            self.heading = Some(heading);
        }
        if let Some(heading) = &self.heading {
            lines.extend(rows.iter().map(|row| heading.row(row, &self.look, event)));
        }
        self.api.printer.data(&self.layout.render(&lines))
    }

    fn whole(&mut self, event: &str, object: Value) -> Result<(), CliError> {
        let object = match self.args.show_managed_fields {
            true => object,
            false => form::without_managers(object),
        };
        let value = match self.look.event && *self.form != Form::Name {
            true => serde_json::json!({ "type": event, "object": object }),
            false => object,
        };
        self.documents += 1;
        let text = match self.form {
            Form::Columns(columns) => {
                columns.render(&[&value], self.documents == 1 && !self.args.no_headers)?
            }
            form => form.whole(&value)?,
        };
        let between = *self.form == Form::Yaml && self.documents > 1;
        self.api.printer.data(&match between {
            true => format!("---\n{text}"),
            false => text,
        })
    }
}

//! `weft get --watch`
//!
//! ```text
//!   list ─► print ─► watch from its version ─► print each event ─► ended by the server, or broken?
//!                      ▲             ▲                             pause, watch from the last version
//!                      │             └─────────────────────────────┘    │ too old?
//!                      └── print what differs ◄── list ◄────────────────┘
//! ```

use serde_json::Value;
use weft_client::Request;
use weft_client::cluster::{ApiError, Events};

use super::Args;
use super::seen::Seen;
use crate::error::CliError;
use crate::objects::choose::{Selectors, Target};
use crate::objects::connect::Api;
use crate::objects::form::{self, Form};
use crate::objects::patience::{self, Patience};
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
    seen: Seen,
    patience: Patience,
}

pub(super) async fn run(args: &Args, api: &Api, form: &Form, chosen: &[Target]) -> Outcome {
    let watched = watch(args, api, form, chosen);
    let Some(timeout) = api.timeout else {
        return watched.await;
    };
    let late = |_| {
        Err(CliError::new(
            "the watch took as long as --request-timeout allows",
        ))
    };
    let ended = tokio::time::timeout(timeout, watched).await;
    ended.unwrap_or_else(late)
}

async fn watch(args: &Args, api: &Api, form: &Form, chosen: &[Target]) -> Outcome {
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
        seen: Seen::default(),
        patience: Patience::new(api.printer),
    };
    // A list's version, or that of the one object.
    let mut version = match args.fetch(api, target, &args.selectors, form).await {
        Ok(found) => {
            screen.begin(&found)?;
            version_of(&found).unwrap_or_default()
        }
        // What is printed instead is the list; the watch follows it.
        Err(ApiError::NotSent) => String::new(),
        Err(error) => return Err(error.into()),
    };
    // All of a kind that are meant: one that is gone is missing in a list, and no failure.
    let mut all = target.clone();
    let selectors = match all.name.take() {
        Some(name) => Selectors {
            selector: None,
            field_selector: Some(format!("metadata.name={name}")),
        },
        None => args.selectors.clone(),
    };
    loop {
        let ended = screen.follow(&all, &selectors, &mut version).await;
        let error = match ended {
            Ok(()) => None,
            Err(Ended::Api(error)) => Some(error),
            Err(Ended::Cli(error)) => return Err(error),
        };
        let is_gone = error.as_ref().is_some_and(ApiError::is_gone);
        match error {
            Some(error) if !is_gone => screen.patience.after(error).await?,
            _ => screen.patience.pause().await,
        }
        if is_gone {
            match args.fetch(api, &all, &selectors, form).await {
                Ok(found) => {
                    screen.differences(&found)?;
                    version = version_of(&found).unwrap_or_default();
                }
                // The next watch finds the version gone once more.
                Err(error) if error.is_gone() => {}
                Err(error) => screen.patience.after(error).await?,
            }
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

/// The version of an object, or of a table's last row.
fn version_of(value: &Value) -> Option<String> {
    let row = value["rows"].as_array().and_then(|rows| rows.last());
    let own = value["metadata"]["resourceVersion"]
        .as_str()
        .filter(|text| !text.is_empty());
    let of_row = row.and_then(|row| row["object"]["metadata"]["resourceVersion"].as_str());
    own.or(of_row).map(str::to_owned)
}

/// What a list or a table shows: rows, or objects that say what they are.
fn shown(found: &Value) -> Vec<Value> {
    if let Some(rows) = found["rows"].as_array() {
        return rows.clone();
    }
    let objects = form::items(found).into_iter().cloned();
    let named = objects.map(|mut object| {
        if let (Some(map), Some(kind)) = (object.as_object_mut(), found["kind"].as_str()) {
            let kind = kind.trim_end_matches("List");
            map.entry("apiVersion")
                .or_insert_with(|| found["apiVersion"].clone());
            map.entry("kind").or_insert_with(|| kind.into());
        }
        object
    });
    named.collect()
}

impl Screen<'_> {
    /// Prints events until the server ends the watch.
    async fn follow(
        &mut self,
        all: &Target,
        selectors: &Selectors,
        version: &mut String,
    ) -> Result<(), Ended> {
        let request = Request::get(format!("watch {}", all.label()), &all.path(None));
        let request = selectors
            .on(request)
            .query("watch", "true")
            .query("allowWatchBookmarks", "true")
            .query_opt(
                "resourceVersion",
                Some(version.as_str()).filter(|text| !text.is_empty()),
            );
        let accept = match self.form.is_table() {
            true => TABLE,
            false => "application/json",
        };
        let request = request.header("accept", accept);
        let mut events: Events = self.api.cluster.watch(&request).await?;
        self.patience.answered();
        while let Some((kind, object)) = patience::next(&mut events).await? {
            if kind != "BOOKMARK" {
                self.event(&kind, &object)?;
            }
            // What could not be printed is not seen.
            if let Some(seen) = version_of(&object) {
                *version = seen;
            }
        }
        Ok(())
    }

    /// The first list.
    fn begin(&mut self, found: &Value) -> Result<(), CliError> {
        match self.args.watch_only {
            false => self.event("ADDED", found),
            true => {
                self.seen.changes(&shown(found));
                Ok(())
            }
        }
    }

    /// A later list: what was not told of it yet.
    fn differences(&mut self, found: &Value) -> Result<(), CliError> {
        for (kind, one) in self.seen.changes(&shown(found)) {
            match self.form.is_table() {
                true => self.rows(kind, found, &[one])?,
                false => self.whole(kind, one)?,
            }
        }
        Ok(())
    }

    fn event(&mut self, kind: &str, found: &Value) -> Result<(), CliError> {
        let all = shown(found);
        for one in &all {
            self.seen.event(kind, one);
        }
        if self.form.is_table() {
            return self.rows(kind, found, &all);
        }
        all.into_iter().try_for_each(|one| self.whole(kind, one))
    }

    fn rows(&mut self, event: &str, table: &Value, rows: &[Value]) -> Result<(), CliError> {
        let mut lines = Vec::new();
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
        let object = self.args.templates.shown(object);
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

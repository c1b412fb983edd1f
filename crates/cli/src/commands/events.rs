//! `weft events`

use weft_api::docker::Event;

use crate::error::CliError;
use crate::flags::values::{filter, filters, timestamp};
use crate::render::template;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!("events", Args, "Show what happens, as it happens");

/// Flags of `events`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only show matching events: type=…, event=…, container=…, image=…, label=…
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = filter)]
    filter: Vec<(String, String)>,
    /// Show events since a time or for a while
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// End at a time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Format: json, or a Go template
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
}

impl Args {
    /// Prints events as they happen.
    pub async fn run(self, session: &Session) -> Outcome {
        let now = i128::from(weft_stdx::clock::unix_ns());
        let time = |text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => timestamp(text, now).map(Some).map_err(CliError::usage),
        };
        let filters = filters(&self.filter);
        let template = match self.format.as_deref() {
            None | Some("json") => None,
            Some(format) => Some(template::parse(format)?),
        };
        let (since, until) = (time(&self.since)?, time(&self.until)?);
        let engine = session.engine().await?;
        let mut events = engine
            .events(since.as_deref(), until.as_deref(), &filters)
            .await?;
        while let Some(event) = events.next().await? {
            let line = match (&template, &self.format) {
                (None, None) => line(&event),
                (None, Some(_)) => encode(&event)?.to_string(),
                (Some(template), _) => template.render(&encode(&event)?)?,
            };
            session.printer.line(&line)?;
        }
        Ok(0)
    }
}

fn encode(event: &Event) -> Result<serde_json::Value, CliError> {
    serde_json::to_value(event).map_err(|error| CliError::because("encode the event", &error))
}

/// As docker prints it: time, type, action, id, attributes.
fn line(event: &Event) -> String {
    let at = jiff::Timestamp::from_nanosecond(i128::from(event.time_nano)).map_or_else(
        |_| event.time.to_string(),
        |at| {
            at.to_zoned(jiff::tz::TimeZone::system())
                .strftime("%Y-%m-%dT%H:%M:%S.%9f%:z")
                .to_string()
        },
    );
    let mut line = format!("{at} {} {} {}", event.kind, event.action, event.actor.id);
    let attributes: Vec<String> = event
        .actor
        .attributes
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    if !attributes.is_empty() {
        line.push_str(&format!(" ({})", attributes.join(", ")));
    }
    line
}

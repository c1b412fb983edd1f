//! `GET /events`: what happened, and what happens.
//!
//! A client that reads too slowly misses events, and the stream says so by ending.

use std::collections::VecDeque;

use futures_util::stream;
use jiff::Timestamp;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::Instant;
use weft_api::docker::{Event as Line, EventActor};
use weft_engine::Engine;
use weft_engine::Event;

use crate::error::ApiError;
use crate::transport::body::{self, Answer};
use crate::transport::call::Call;
use crate::transport::filters::Filters;
use crate::transport::moment;

const FILTERS: [&str; 10] = [
    "container",
    "daemon",
    "event",
    "image",
    "label",
    "network",
    "scope",
    "type",
    "volume",
    "exec",
];

struct State {
    past: VecDeque<Event>,
    now: Receiver<Event>,
    filters: Filters,
    until: Option<(i64, Instant)>,
}

/// Streams events: those since a moment, then new ones until a moment.
pub async fn stream(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let filters = call.filters(&FILTERS)?;
    let now = Timestamp::now();
    let at = |name: &str| {
        call.query()
            .text(name)
            .map(|text| moment::parse(name, text, now))
            .transpose()
    };
    let nanoseconds = |at: Timestamp| i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX);
    let (since, until) = (at("since")?, at("until")?);
    let until = until.map(|at| {
        let left = at.duration_since(now).try_into().unwrap_or_default();
        (nanoseconds(at), Instant::now() + left)
    });
    let (past, receiver) = engine.events(since.map(nanoseconds));
    let state = State {
        past: past.into(),
        now: receiver,
        filters,
        until,
    };
    Ok(body::json_lines(stream::unfold(
        state,
        |mut state| async move {
            let event = state.next().await?;
            Some((raise(event), state))
        },
    )))
}

impl State {
    async fn next(&mut self) -> Option<Event> {
        loop {
            let event = match self.past.pop_front() {
                Some(event) => event,
                None => self.receive().await?,
            };
            if self.until.is_some_and(|(until, _)| event.time_ns > until) {
                return None;
            }
            if wanted(&self.filters, &event) {
                return Some(event);
            }
        }
    }

    async fn receive(&mut self) -> Option<Event> {
        let received = match self.until {
            Some((_, deadline)) => tokio::time::timeout_at(deadline, self.now.recv())
                .await
                .ok()?,
            None => self.now.recv().await,
        };
        match received {
            Ok(event) => Some(event),
            Err(RecvError::Closed) => None,
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "a client was too slow for the events");
                None
            }
        }
    }
}

fn wanted(filters: &Filters, event: &Event) -> bool {
    // `exec_create: sh` is asked for as `exec_create`.
    let action = event.action.split(':').next().unwrap_or_default();
    let names = |kind: &str, also: &str| {
        filters.any(kind, |wanted| {
            let named = event
                .attributes
                .get(if event.kind == kind { "name" } else { also });
            let id = event.kind == kind && event.id.starts_with(wanted);
            id || named.is_some_and(|name| name == wanted)
        })
    };
    filters.any("type", |kind| kind == event.kind)
        && filters.any("event", |wanted| wanted == action || wanted == event.action)
        && filters.any("scope", |scope| scope == "local")
        && filters.labels(&event.attributes)
        && names("container", "container")
        && names("image", "image")
        && names("network", "network")
        && names("volume", "volume")
        && filters.any("daemon", |_| event.kind == "daemon")
}

fn raise(event: Event) -> Line {
    let old = matches!(event.kind, "container" | "image");
    let text = |text: &str| if old { text.to_owned() } else { String::new() };
    Line {
        status: text(&event.action),
        id: text(&event.id),
        from: text(event.attributes.get("image").map_or("", String::as_str)),
        kind: event.kind.to_owned(),
        scope: "local".into(),
        time: event.time_ns / 1_000_000_000,
        time_nano: event.time_ns,
        action: event.action,
        actor: EventActor {
            id: event.id,
            attributes: event.attributes,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::query::Query;

    #[test]
    fn filters_select() {
        let event = Event {
            time_ns: 5,
            kind: "container",
            action: "exec_create: sh".into(),
            id: "abcdef".into(),
            attributes: [("name", "web"), ("image", "busybox"), ("tier", "front")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
        };
        let check = |filters: &str, expected: bool| {
            let query = Query::parse(&format!("filters={filters}")).unwrap();
            let filters = Filters::parse(&query, &FILTERS).unwrap();
            assert_eq!(wanted(&filters, &event), expected, "{filters:?}");
        };
        check("{}", true);
        check(r#"{"container":["web"],"event":["exec_create"]}"#, true);
        check(r#"{"container":["abc"]}"#, true);
        check(r#"{"container":["other"]}"#, false);
        check(r#"{"image":["busybox"],"label":["tier%3Dfront"]}"#, true);
        check(r#"{"type":["image","network"]}"#, false);
        check(r#"{"event":["start","die"]}"#, false);
        check(r#"{"volume":["web"]}"#, false);
    }
}

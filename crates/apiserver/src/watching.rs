//! Watches on the wire: one JSON object a line, until the time asked for is over.
//!
//! Never: ends early without a reason told; a client that is cut off at once asks again at once.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::{Instant, Sleep};
use weft_control::store::{self, Change, Changes};
use weft_control::{Failure, Object, Reason};
use weft_keyspace::Item;

use crate::answer::{self, Answer};
use crate::gate::Ending;
use crate::listing::PIECE;
use crate::metrics::Open;
use crate::shape::{self, Form, Shape};

/// How often a client learns up to where it has seen all, while nothing happens.
const BOOKMARK: Duration = Duration::from_secs(60);

/// A watch to be served.
pub(crate) struct Feed {
    pub(crate) changes: Changes,
    /// Completes when there is nothing more to be told.
    pub(crate) over: Pin<Box<dyn Future<Output = ()> + Send>>,
    pub(crate) shape: Shape,
    /// When it ends.
    pub(crate) until: Instant,
    /// When whoever asked is not who they were any more.
    pub(crate) ending: Option<Ending>,
    /// Whether bookmarks are wanted.
    pub(crate) bookmarks: bool,
    /// It is counted as long as it is there.
    pub(crate) _open: Open,
    /// What there was before is sent first, and that it was all.
    pub(crate) first: std::vec::IntoIter<Arc<Item>>,
    pub(crate) first_end: Option<Bytes>,
}

impl Feed {
    /// The answer.
    pub(crate) fn answer(self) -> Answer {
        let media = self.shape.watch_media();
        let alarm = Box::pin(tokio::time::sleep_until(self.wakes()));
        let pieces = stream::unfold(Some((self, alarm)), |state| async move {
            let (mut feed, mut alarm) = state?;
            match feed.next(&mut alarm).await {
                Some(Ok(piece)) => Some((piece, Some((feed, alarm)))),
                // The client is told, and then it is over.
                Some(Err(error)) => Some((line("ERROR", &answer::status(&error)), None)),
                None => None,
            }
        });
        answer::stream(media, pieces)
    }

    /// When there is something to be done though nothing happens.
    fn wakes(&self) -> Instant {
        match self.bookmarks {
            true => self.until.min(Instant::now() + BOOKMARK),
            false => self.until,
        }
    }

    /// `alarm` is set once for many events.
    async fn next(&mut self, alarm: &mut Pin<Box<Sleep>>) -> Option<Result<Bytes, Failure>> {
        if !self.first.as_slice().is_empty() {
            return Some(self.begin());
        }
        if let Some(end) = self.first_end.take() {
            return Some(Ok(end));
        }
        loop {
            tokio::select! {
                // In this order: however much happens, it ends in time; and it is not over before
                // all is told.
                biased;
                () = ended(&mut self.ending) => {
                    let why = "what was shown to prove who asks is void by now";
                    return Some(Err(Failure::new(Reason::Unauthorized, why)));
                }
                () = alarm.as_mut() => {
                    if alarm.deadline() >= self.until {
                        return None;
                    }
                    alarm.as_mut().reset(self.wakes());
                    let revision = self.changes.progress().to_string();
                    return Some(Ok(self.shape.bookmark(&revision, false)));
                }
                changes = self.changes.next() => match changes {
                    Ok(changes) if changes.is_empty() => {}
                    Ok(changes) => return Some(self.lines(&changes)),
                    Err(error) => return Some(Err(error)),
                },
                () = &mut self.over => return None,
            }
        }
    }

    /// The next lines of what there was before.
    fn begin(&mut self) -> Result<Bytes, Failure> {
        let mut lines = Vec::new();
        while let Some(item) = self
            .first
            .as_slice()
            .first()
            .filter(|_| lines.len() < PIECE)
        {
            let change = Change::of_present(Arc::clone(item));
            lines.extend_from_slice(&self.shape.event(&change)?);
            self.first.next();
        }
        Ok(lines.into())
    }

    fn lines(&self, changes: &[Change]) -> Result<Bytes, Failure> {
        if let [change] = changes {
            return self.shape.event(change);
        }
        let mut lines = Vec::new();
        for change in changes {
            lines.extend_from_slice(&self.shape.event(change)?);
        }
        Ok(lines.into())
    }
}

async fn ended(ending: &mut Option<Ending>) {
    match ending {
        Some(Ending(ending)) => ending.await,
        None => std::future::pending().await,
    }
}

impl Shape {
    fn watch_media(&self) -> &'static str {
        match self.form {
            Form::Plain => "application/json;stream=watch",
            Form::Table(..) => "application/json;as=Table;g=meta.k8s.io;v=v1;stream=watch",
            Form::Metadata(..) => {
                "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1;stream=watch"
            }
        }
    }

    /// A watch that ends with its first event: what it asks for is forgotten. Clients look for
    /// that in an event, and list anew; the same in an answer some try for ever.
    pub(crate) fn expired(&self, failure: &Failure) -> Answer {
        let told = line("ERROR", &answer::status(failure));
        answer::whole(StatusCode::OK, self.watch_media(), told)
    }

    /// A change as a line.
    pub(crate) fn event(&self, change: &Change) -> Result<Bytes, Failure> {
        if self.form == Form::Plain {
            let made = change.memo(|| (change.kind, plain(change)));
            // Selectors may have made another kind of change of it for who came first.
            return Ok(match made.0 == change.kind {
                true => made.1.clone(),
                false => plain(change),
            });
        }
        let name = change.kind.name();
        let mut object = store::object(&change.item)?;
        let revision = change.revision.to_string();
        object.set_meta("resourceVersion", Some(revision.into()));
        Ok(line(name, &self.shown(object, json!({}))))
    }

    /// A line that says up to where all has been seen.
    pub(crate) fn bookmark(&self, revision: &str, is_end_of_first: bool) -> Bytes {
        let mut object = Object::default();
        object
            .0
            .insert("kind".to_owned(), (&*self.kind.kind).into());
        object
            .0
            .insert("apiVersion".to_owned(), self.kind.api_version().into());
        object.set_meta("resourceVersion", Some(revision.into()));
        object.set_meta("creationTimestamp", Some(Value::Null));
        if is_end_of_first {
            let annotations = json!({ "k8s.io/initial-events-end": "true" });
            object.set_meta("annotations", Some(annotations));
        }
        let table = self.table(None, &json!({ "resourceVersion": revision }));
        let shown = table.unwrap_or_else(|| self.shown(object, Value::Null));
        line("BOOKMARK", &shown)
    }

    /// What an event is about.
    fn shown(&self, mut object: Object, meta: Value) -> Value {
        match self.form {
            Form::Plain => Value::Object(object.0),
            Form::Metadata(version, _) => {
                let metadata = object.0.remove("metadata").unwrap_or_default();
                shape::metadata(metadata, version)
            }
            Form::Table(..) => self.table(Some(object), &meta).unwrap_or_default(),
        }
    }
}

/// The line of a change whose object is shown as it is stored.
fn plain(change: &Change) -> Bytes {
    let mut text = format!("{{\"type\":\"{}\",\"object\":", change.kind.name()).into_bytes();
    store::wire_at(&change.item, change.revision, &mut text);
    text.extend_from_slice(b"}\n");
    text.into()
}

fn line(name: &str, object: &Value) -> Bytes {
    format!("{}\n", json!({ "type": name, "object": object })).into()
}

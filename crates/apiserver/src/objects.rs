//! Requests about objects: verbs to the store, what it answers to JSON.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use weft_control::selector::{Fields, Labels};
use weft_control::store::{self, Change, ChangeKind, ListOptions};
use weft_control::{Failure, Kind, Object, Reason, Store};
use weft_keyspace::{Item, Revision};

use crate::answer::{self, Answer};
use crate::query::Query;
use crate::table::{self, Beside};
use crate::target::Target;
use crate::watching::Feed;

/// How long a watch lasts that does not say how long.
const WATCH: Duration = Duration::from_secs(45 * 60);
/// Longest watch.
const LONGEST_WATCH: u64 = 24 * 3600;

/// How objects are shown.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    Plain(Arc<Kind>),
    Table(Arc<Kind>, Beside),
}

impl Shape {
    fn of(kind: &Arc<Kind>, head: &HeaderMap, query: &Query) -> Shape {
        let accept = head.get(http::header::ACCEPT);
        let accept = accept
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let first = accept.split(',').next().unwrap_or_default();
        if first.contains("as=Table") {
            Shape::Table(Arc::clone(kind), Beside::of(query.text("includeObject")))
        } else {
            Shape::Plain(Arc::clone(kind))
        }
    }

    pub(crate) fn kind(&self) -> &Arc<Kind> {
        match self {
            Shape::Plain(kind) | Shape::Table(kind, _) => kind,
        }
    }

    pub(crate) fn table(&self, objects: &[Object], meta: Value) -> Value {
        let beside = match self {
            Shape::Plain(_) => Beside::Metadata,
            Shape::Table(_, beside) => *beside,
        };
        table::of(self.kind(), objects, meta, beside, Timestamp::now())
    }

    pub(crate) fn one(&self, code: StatusCode, item: &Item) -> Result<Answer, Failure> {
        match self {
            Shape::Plain(_) => {
                let mut text = Vec::with_capacity(item.value.len() + 64);
                store::wire(item, &mut text);
                Ok(answer::whole(code, "application/json", text))
            }
            Shape::Table(..) => {
                let meta = json!({ "resourceVersion": item.modified.to_string() });
                Ok(answer::json(
                    code,
                    &self.table(&[store::object(item)?], meta),
                ))
            }
        }
    }
}

/// What is asked, as access is decided by.
pub(crate) fn verb(
    method: &Method,
    target: &Target,
    query: &Query,
) -> Result<&'static str, Failure> {
    let is_all = target.name.is_empty();
    Ok(match *method {
        Method::GET | Method::HEAD if query.flag("watch")? => "watch",
        Method::GET | Method::HEAD if is_all => "list",
        Method::GET | Method::HEAD => "get",
        Method::POST if is_all => "create",
        Method::PUT if !is_all => "update",
        Method::PATCH if !is_all => "patch",
        Method::DELETE if is_all => "deletecollection",
        Method::DELETE => "delete",
        _ => return Err(no_method(target)),
    })
}

fn no_method(target: &Target) -> Failure {
    let message = "the server does not allow this method on the requested resource";
    Failure::new(Reason::MethodNotAllowed, message).about(
        &target.kind.group,
        &target.kind.plural,
        "",
    )
}

/// Does what is asked.
pub(crate) async fn answer(
    store: &Store,
    head: &Parts,
    target: &Target,
    verb: &str,
    body: Bytes,
) -> Result<Answer, Failure> {
    let query = Query::of(&head.uri);
    let asked = Asked {
        store,
        head,
        target,
        query: &query,
        shape: Shape::of(&target.kind, &head.headers, &query),
    };
    if !target.subresource.is_empty() {
        let known = match &*target.subresource {
            "status" => target.kind.has_status,
            "scale" => target.kind.scale.is_some(),
            _ => false,
        };
        if !known {
            let message = "the server could not find the requested resource";
            return Err(Failure::new(Reason::NotFound, message));
        }
        if !matches!(verb, "get" | "update" | "patch") {
            return Err(no_method(target));
        }
    }
    match verb {
        "get" => asked.get().await,
        "list" => asked.list().await,
        "watch" => asked.watch().await,
        "create" => asked.create(&body).await,
        "update" => asked.update(&body).await,
        "patch" => asked.patch(&body).await,
        "delete" => asked.delete(&body).await,
        _ => asked.delete_all(&body).await,
    }
}

/// A request about objects.
pub(crate) struct Asked<'a> {
    pub(crate) store: &'a Store,
    pub(crate) head: &'a Parts,
    pub(crate) target: &'a Target,
    pub(crate) query: &'a Query,
    pub(crate) shape: Shape,
}

impl Asked<'_> {
    async fn get(&self) -> Result<Answer, Failure> {
        let Target {
            kind,
            namespace,
            name,
            ..
        } = self.target;
        if self.target.subresource == "scale" {
            let scale = self.store.scale(kind, namespace, name).await?;
            return Ok(answer::json(StatusCode::OK, &scale.0.into()));
        }
        let item = self.store.get(kind, namespace, name).await?;
        self.shape.one(StatusCode::OK, &item)
    }

    pub(crate) fn list_options(&self) -> Result<ListOptions, Failure> {
        let kind = &self.target.kind;
        let mut fields = self.query.text("fieldSelector").to_owned();
        if !self.target.name.is_empty() {
            fields = format!("metadata.name={}", self.target.name);
        }
        let known = |field: &str| kind.is_selectable(field);
        let limit = self.query.number("limit")?.unwrap_or(0);
        Ok(ListOptions {
            labels: Labels::parse(self.query.text("labelSelector"))
                .map_err(Failure::bad_request)?,
            fields: Fields::parse(&fields, known).map_err(Failure::bad_request)?,
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            token: Some(self.query.text("continue"))
                .filter(|token| !token.is_empty())
                .map(str::to_owned),
            at: None,
        })
    }

    async fn list(&self) -> Result<Answer, Failure> {
        let mut options = self.list_options()?;
        let version = store::revision(self.query.text("resourceVersion"))?;
        match self.query.text("resourceVersionMatch") {
            "Exact" => options.at = version,
            // What is read is the newest there is, which is not older than anything.
            "" | "NotOlderThan" => {}
            other => {
                let message = format!("resourceVersionMatch: {other:?} is not supported");
                return Err(Failure::bad_request(message));
            }
        }
        let Target {
            kind, namespace, ..
        } = self.target;
        let listed = self.store.list(kind, namespace, &options).await?;
        let mut meta = Map::new();
        meta.insert(
            "resourceVersion".to_owned(),
            listed.revision.to_string().into(),
        );
        if let Some(token) = listed.token {
            meta.insert("continue".to_owned(), token.into());
        }
        if let Some(left) = listed.left {
            meta.insert("remainingItemCount".to_owned(), left.into());
        }
        let meta = Value::Object(meta);
        match &self.shape {
            Shape::Plain(kind) => Ok(plain_list(kind, &meta, &listed.items)),
            Shape::Table(..) => {
                let objects = listed.items.iter().map(|item| store::object(item));
                let objects: Vec<Object> = objects.collect::<Result<_, _>>()?;
                Ok(answer::json(
                    StatusCode::OK,
                    &self.shape.table(&objects, meta),
                ))
            }
        }
    }

    async fn watch(&self) -> Result<Answer, Failure> {
        let options = self.list_options()?;
        let Target {
            kind, namespace, ..
        } = self.target;
        let version = store::revision(self.query.text("resourceVersion"))?;
        let wants_all = self.query.flag("sendInitialEvents")?;
        let bookmarks = self.query.flag("allowWatchBookmarks")?;
        let after = version.filter(|version| *version != Revision(0) && !wants_all);
        let mut first = VecDeque::new();
        let after = match after {
            Some(after) => after,
            None => {
                let listed = self.store.list(kind, namespace, &options).await?;
                for item in listed.items {
                    let change = Change {
                        kind: ChangeKind::Added,
                        revision: item.modified,
                        item,
                    };
                    first.push_back(self.shape.event(&change)?);
                }
                if wants_all && bookmarks {
                    first.push_back(self.shape.bookmark(&listed.revision.to_string(), true));
                }
                listed.revision
            }
        };
        let changes = self.store.watch(kind, namespace, after, options).await?;
        let seconds = self
            .query
            .number("timeoutSeconds")?
            .filter(|seconds| *seconds > 0);
        let time = seconds.map_or(WATCH, |seconds| {
            Duration::from_secs(seconds.min(LONGEST_WATCH))
        });
        let feed = Feed {
            changes,
            shape: self.shape.clone(),
            until: Instant::now() + time,
            bookmarks,
            first,
        };
        Ok(feed.answer())
    }
}

/// A list, from what is stored as it is.
pub(crate) fn plain_list(kind: &Kind, meta: &Value, items: &[Arc<Item>]) -> Answer {
    let size: usize = items.iter().map(|item| item.value.len() + 32).sum();
    let mut text = Vec::with_capacity(size + 256);
    let head = format!(
        "{{\"kind\":\"{}List\",\"apiVersion\":\"{}\",\"metadata\":{meta},\"items\":[",
        kind.kind,
        kind.api_version()
    );
    text.extend_from_slice(head.as_bytes());
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        store::wire(item, &mut text);
    }
    text.extend_from_slice(b"]}");
    answer::whole(StatusCode::OK, "application/json", text)
}

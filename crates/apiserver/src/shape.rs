//! How objects are shown: as they are, as a table, or by their metadata alone.
//!
//! Owns: what of it a request asks for, by `Accept`, and the making of it. Never: what stands in a
//! table (`table`), or what lists and watches are made of.

use std::sync::Arc;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Full};
use jiff::Timestamp;
use serde_json::{Value, json};
use weft_control::store;
use weft_control::{Failure, Kind, Object, Reason};
use weft_keyspace::{Item, Revision};

use crate::accept::{Accept, Encoding, OBJECTS, Range, STREAMS};
use crate::answer::{self, Answer};
use crate::listing;
use crate::query::Query;
use crate::table::{self, Beside};

/// Of an answer: it has the form that was asked for already.
#[derive(Clone, Copy, Debug)]
struct Finished;

/// How objects are shown.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) kind: Arc<Kind>,
    pub(crate) form: Form,
    encoding: Encoding,
}

/// What is made of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    /// `Table`, in a version of `meta.k8s.io`.
    Table(&'static str, Beside),
    /// `PartialObjectMetadata`, or the list of that, likewise.
    Metadata(&'static str, bool),
}

impl Form {
    /// Nothing: objects are not made into that.
    fn of(range: &Range, query: &Query) -> Option<Form> {
        if !range.converts() {
            return Some(Form::Plain);
        }
        let version = match (range.param("g"), range.param("v")) {
            ("meta.k8s.io", "v1") => "v1",
            ("meta.k8s.io", "v1beta1") => "v1beta1",
            _ => return None,
        };
        match range.param("as") {
            "Table" => Some(Form::Table(
                version,
                Beside::of(query.text("includeObject")),
            )),
            "PartialObjectMetadata" => Some(Form::Metadata(version, false)),
            "PartialObjectMetadataList" => Some(Form::Metadata(version, true)),
            _ => None,
        }
    }
}

impl Shape {
    /// What a request with this verb asks for.
    ///
    /// # Errors
    /// It cannot be had: 406.
    pub(crate) fn of(
        kind: &Arc<Kind>,
        verb: &str,
        head: &HeaderMap,
        query: &Query,
    ) -> Result<Shape, Failure> {
        let offers = match verb {
            "watch" => &STREAMS[..],
            _ => &OBJECTS,
        };
        let form = |range: &Range| Form::of(range, query);
        let (encoding, form) = Accept::of(head).choose(query, offers, form)?;
        let is_list = matches!(verb, "list" | "deletecollection");
        let unfit = match form {
            Form::Metadata(_, false) if is_list => Some(("PartialObjectMetadata", "a list")),
            Form::Metadata(_, true) if !is_list => Some(("PartialObjectMetadataList", "no list")),
            _ => None,
        };
        if let Some((what, is)) = unfit {
            let message = format!("you requested {what}, but the requested object is {is}");
            return Err(Failure::new(Reason::NotAcceptable, message));
        }
        let includes = query.text("includeObject");
        if matches!(form, Form::Table(..))
            && !matches!(includes, "" | "None" | "Metadata" | "Object")
        {
            return Err(Failure::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: \
                 {includes:?}: must be 'Metadata', 'Object', 'None', or empty"
            )));
        }
        Ok(Shape {
            kind: Arc::clone(kind),
            form,
            encoding,
        })
    }

    /// Nothing: they are not shown in one.
    pub(crate) fn table(&self, object: Option<Object>, meta: &Value) -> Option<Value> {
        let Form::Table(version, beside) = self.form else {
            return None;
        };
        let row = |object| table::row(&self.kind, object, (version, beside), Timestamp::now());
        let rows = object.into_iter().map(row).collect();
        Some(table::of(&self.kind, rows, meta, version))
    }

    /// What stands around the items of a list, before and behind them.
    pub(crate) fn frame(&self, meta: &Value) -> (String, &'static str) {
        let (kind, version) = match self.form {
            Form::Plain => (format!("{}List", self.kind.kind), self.kind.api_version()),
            Form::Metadata(version, _) => (
                "PartialObjectMetadataList".to_owned(),
                format!("meta.k8s.io/{version}"),
            ),
            Form::Table(version, _) => {
                let mut table = table::of(&self.kind, Vec::new(), meta, version).to_string();
                table.truncate(table.len() - "]}".len());
                return (table, "]}");
            }
        };
        let head = format!(
            "{{\"kind\":\"{kind}\",\"apiVersion\":\"{version}\",\"metadata\":{meta},\"items\":["
        );
        (head, "]}")
    }

    /// Appends an item of a list; its age is as it is `now`.
    ///
    /// # Errors
    /// What is stored cannot be read.
    pub(crate) fn item(
        &self,
        item: &Item,
        now: Timestamp,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        if self.form == Form::Plain {
            store::wire(item, out);
            return Ok(());
        }
        serde_json::to_writer(out, &self.part(item, now)?).map_err(Failure::internal)
    }

    /// An item of a list.
    fn part(&self, item: &Item, now: Timestamp) -> Result<Value, Failure> {
        Ok(match self.form {
            Form::Plain => Value::Object(store::object_once(item)?.0),
            Form::Table(version, beside) => {
                let object = store::object_once(item)?;
                table::row(&self.kind, object, (version, beside), now)
            }
            Form::Metadata(version, _) => metadata(store::metadata_once(item)?.into(), version),
        })
    }

    /// A list of them.
    ///
    /// # Errors
    /// What is stored cannot be read.
    pub(crate) fn list(&self, meta: &Value, items: Vec<Arc<Item>>) -> Result<Answer, Failure> {
        if self.encoding == Encoding::Json {
            let mut answer = listing::answer(self, meta, items);
            answer.extensions_mut().insert(Finished);
            return Ok(answer);
        }
        let (head, end) = self.frame(meta);
        let mut whole: Value = serde_json::from_str(&(head + end)).map_err(Failure::internal)?;
        let list = match self.form {
            Form::Table(..) => "rows",
            _ => "items",
        };
        let now = Timestamp::now();
        let items = items.iter().map(|item| self.part(item, now));
        whole[list] = items.collect::<Result<_, _>>()?;
        Ok(self.whole(StatusCode::OK, &whole))
    }

    /// The scale of one of them.
    pub(crate) fn scale(&self, scale: Object) -> Answer {
        let version = scale.meta().text("resourceVersion").to_owned();
        let shape = Shape {
            kind: store::scale_kind(),
            ..self.clone()
        };
        let meta = json!({ "resourceVersion": version });
        let plain = Value::Object(scale.0.clone());
        let shown = shape.table(Some(scale), &meta).unwrap_or(plain);
        answer::json(StatusCode::OK, &shown)
    }

    /// One of them.
    ///
    /// # Errors
    /// What is stored cannot be read.
    pub(crate) fn one(&self, code: StatusCode, item: &Item) -> Result<Answer, Failure> {
        if self.encoding == Encoding::Json && self.form == Form::Plain {
            let mut text = Vec::with_capacity(item.value.len() + 64);
            store::wire(item, &mut text);
            return Ok(answer::whole(code, "application/json", text));
        }
        let now = Timestamp::now();
        let mut shown = self.part(item, now)?;
        if let Form::Table(version, _) = self.form {
            // A rehearsal has no version.
            let mut meta = json!({});
            if item.modified != Revision(0) {
                meta["resourceVersion"] = item.modified.to_string().into();
            }
            shown = table::of(&self.kind, vec![shown], &meta, version);
        }
        Ok(self.whole(code, &shown))
    }

    /// An answer as it was asked for.
    fn whole(&self, code: StatusCode, value: &Value) -> Answer {
        let text = self.encoding.text(value);
        let mut answer = answer::whole(code, self.encoding.media(), text);
        answer.extensions_mut().insert(Finished);
        answer
    }

    /// An answer in JSON as it was asked for. One that goes on is that already.
    ///
    /// # Errors
    /// It is no JSON.
    pub(crate) async fn finish(&self, answer: Answer) -> Result<Answer, Failure> {
        let is_metadata = matches!(self.form, Form::Metadata(..));
        let is_finished = answer.extensions().get::<Finished>().is_some()
            || (self.encoding == Encoding::Json && !is_metadata);
        let media = answer.headers().get(CONTENT_TYPE);
        if is_finished || media.is_none_or(|media| media != "application/json") {
            return Ok(answer);
        }
        let (mut head, body) = answer.into_parts();
        let Ok(body) = body.collect().await;
        let value: Value = serde_json::from_slice(&body.to_bytes()).map_err(Failure::internal)?;
        let value = match self.form {
            // What says how it went has none.
            Form::Metadata(version, _) if value["kind"] != "Status" => {
                metadata(value["metadata"].clone(), version)
            }
            _ => value,
        };
        let media = HeaderValue::from_static(self.encoding.media());
        head.headers.insert(CONTENT_TYPE, media);
        let body = Full::new(self.encoding.text(&value).into());
        Ok(Answer::from_parts(head, body.boxed_unsync()))
    }
}

/// An object of which nothing but its metadata is shown.
pub(crate) fn metadata(metadata: Value, version: &str) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": metadata,
    })
}

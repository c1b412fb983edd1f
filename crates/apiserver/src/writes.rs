//! Requests that change objects.

use std::sync::Arc;

use http::{StatusCode, header};
use serde_json::{Value, json};
use weft_control::decode::Decoded;
use weft_control::schema::{self, Schema};
use weft_control::store::{
    self, Admit, DeleteOptions, Deleted, Patch, Propagation, ScaleChange, WriteOptions,
    scale_schema,
};
use weft_control::{Cause, Failure, Kind, Object, Reason};
use weft_keyspace::Item;

use crate::answer::{self, Answer};
use crate::body;
use crate::gate::{self, Question};
use crate::objects::Asked;
use crate::params::{Deletion, MANAGER_MAX};
use crate::target::{DEBUG, Target};

const STRATEGIC: &str = "application/strategic-merge-patch+json";
pub(crate) const APPLY: &str = "application/apply-patch+yaml";

/// What says that something is to be deleted although it cannot be read.
const UNREAD: &str = "ignoreStoreReadErrorWithClusterBreakingPotential";

/// What is not read cannot be compared, and is gone at once.
fn sound_together(options: DeleteOptions) -> Result<DeleteOptions, Failure> {
    let is_choosy = options.uid.is_some()
        || options.version.is_some()
        || options.is_dry_run
        || options.grace_s.is_some()
        || options.propagation != Propagation::Background;
    match options.is_unread && is_choosy {
        true => Err(Failure::bad_request(format!(
            "{UNREAD} goes with no precondition, dryRun, gracePeriodSeconds or propagationPolicy but Background"
        ))),
        false => Ok(options),
    }
}

fn code(is_new: bool) -> StatusCode {
    match is_new {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    }
}

/// What a body holds.
struct Read {
    /// Without what is not known.
    object: Object,
    /// Its wrong types.
    mistakes: Vec<Cause>,
    unknown: Vec<String>,
    duplicates: Vec<String>,
}

/// Reads an object that is called so: its version and kind.
fn read_as(called: (&str, &str), schema: &Schema, decoded: Decoded) -> Result<Read, Failure> {
    let Value::Object(mut map) = decoded.value else {
        return Err(Failure::bad_request("the body is no object"));
    };
    for (field, expected) in [("apiVersion", called.0), ("kind", called.1)] {
        match map.get(field) {
            Some(found) if *found == expected => {}
            None => drop(map.insert(field.to_owned(), expected.into())),
            Some(found) => {
                return Err(Failure::bad_request(format!(
                    "the {field} in the data ({found}) does not match the expected {field} ({expected})"
                )));
            }
        }
    }
    let mut findings = schema::prune(schema, &mut map);
    // What a definition finds wrong is told with all else that is.
    findings
        .mistakes
        .retain(|mistake| mistake.is_wrong_type() && !schema.is_defined());
    Ok(Read {
        object: Object(map),
        mistakes: findings.mistakes,
        unknown: findings.unknown,
        duplicates: decoded.duplicates,
    })
}

impl Asked<'_> {
    pub(crate) async fn create(&self, body: &[u8]) -> Result<Answer, Failure> {
        let Target {
            kind, namespace, ..
        } = self.target;
        let (object, warnings) = self.object(body).await?;
        let options = self.write_options();
        let item = self.store.create(kind, namespace, object, &options).await?;
        self.written(StatusCode::CREATED, &item, warnings)
    }

    pub(crate) async fn update(&self, body: &[u8]) -> Result<Answer, Failure> {
        let Target {
            kind,
            namespace,
            name,
            ..
        } = self.target;
        let (object, warnings) = self.object(body).await?;
        let options = self.write_options();
        if self.is_scale() {
            return self.change_scale(ScaleChange::Replace(object)).await;
        }
        let put = self
            .store
            .put_or_make(kind, namespace, name, object, &options);
        let (item, is_new) = put.await?;
        self.written(code(is_new), &item, warnings)
    }

    pub(crate) async fn patch(&self, body: &[u8]) -> Result<Answer, Failure> {
        let Target {
            kind,
            namespace,
            name,
            ..
        } = self.target;
        let media = body::media(&self.head.headers);
        let (patch, duplicates) = match &*media {
            STRATEGIC if kind.is_custom() && !self.is_scale() => {
                let message = format!(
                    "the body of the request was in an unknown format - accepted media types \
                     include: application/json-patch+json, application/merge-patch+json, {APPLY}; \
                     how lists of a kind that is defined merge is not known, so not {STRATEGIC}"
                );
                return Err(Failure::new(Reason::UnsupportedMediaType, message));
            }
            "application/json-patch+json" | STRATEGIC | "application/merge-patch+json" => {
                let Decoded { value, duplicates } = body::json(body)?;
                let patch = match &*media {
                    "application/json-patch+json" => Patch::json(value)?,
                    "application/merge-patch+json" => Patch::Merge(value),
                    _ => Patch::Strategic(value),
                };
                (patch, duplicates)
            }
            APPLY => return self.apply(body).await,
            other => {
                let message = format!(
                    "the body of the request was in an unknown format - accepted media types \
                     include: application/json-patch+json, application/merge-patch+json, \
                     {STRATEGIC}, {APPLY}; not {other:?}"
                );
                return Err(Failure::new(Reason::UnsupportedMediaType, message));
            }
        };
        let mut warnings = self.odd(&[], &duplicates, name)?;
        if self.is_scale() {
            return self.change_scale(ScaleChange::Patch(patch)).await;
        }
        let options = self.write_options();
        let patched = self.store.patch(kind, namespace, name, &patch, &options);
        let (item, unknown) = patched.await?;
        warnings.extend(self.odd(&unknown, &[], name)?);
        self.written(StatusCode::OK, &item, warnings)
    }

    /// Server-side apply.
    async fn apply(&self, body: &[u8]) -> Result<Answer, Failure> {
        let Target {
            kind,
            namespace,
            name,
            ..
        } = self.target;
        let (config, warnings) = self.sound(self.read(body::yaml(body)?)?)?;
        if self.is_scale() {
            let mut answer = self.change_scale(ScaleChange::Apply(config)).await?;
            answer::warn(&mut answer, warnings);
            return Ok(answer);
        }
        let options = self.write_options();
        let applied = self.store.apply(kind, namespace, name, config, &options);
        let (item, is_new) = applied.await?;
        self.written(code(is_new), &item, warnings)
    }

    fn is_scale(&self) -> bool {
        self.target.subresource == "scale"
    }

    async fn change_scale(&self, change: ScaleChange) -> Result<Answer, Failure> {
        let Target {
            kind,
            namespace,
            name,
            ..
        } = self.target;
        let options = self.write_options();
        let changed = self
            .store
            .change_scale(kind, namespace, name, &change, &options);
        Ok(self.shape.scale(changed.await?))
    }

    pub(crate) async fn delete(&self, body: &[u8]) -> Result<Answer, Failure> {
        let Target {
            kind,
            namespace,
            name,
            ..
        } = self.target;
        let options = self.delete_options(body)?;
        if options.is_unread {
            self.may_delete_unread()?;
        }
        match self.store.delete(kind, namespace, name, &options).await? {
            Deleted::Marked(item) => self.shape.one(StatusCode::OK, &item),
            gone => {
                let object = match gone {
                    Deleted::Gone(item) => store::object(&item)?,
                    _ => Object::default(),
                };
                let value = json!({
                    "kind": "Status",
                    "apiVersion": "v1",
                    "metadata": {},
                    "status": "Success",
                    "details": {
                        "name": name,
                        "group": kind.group,
                        "kind": kind.plural,
                        "uid": object.meta().text("uid"),
                    },
                });
                Ok(answer::json(StatusCode::OK, &value))
            }
        }
    }

    /// What cannot be read may have been held by somebody: a right of its own, as upstream.
    fn may_delete_unread(&self) -> Result<(), Failure> {
        let target = self.target;
        let question = Question::Object {
            verb: "unsafe-delete-ignore-read-errors".to_owned(),
            group: target.kind.group.to_string(),
            resource: target.kind.plural.to_string(),
            subresource: String::new(),
            namespace: target.namespace.clone(),
            name: target.name.clone(),
        };
        gate::may(&**self.gate, &self.subject, &question).map(drop)
    }

    pub(crate) async fn delete_all(&self, body: &[u8]) -> Result<Answer, Failure> {
        let Target {
            kind, namespace, ..
        } = self.target;
        let (which, options) = (self.list_options()?, self.delete_options(body)?);
        if options.is_unread {
            let message = format!("{UNREAD}: what cannot be read is deleted by its name alone");
            return Err(Failure::bad_request(message));
        }
        let gone = self
            .store
            .delete_all(kind, namespace, &which, &options)
            .await?;
        let meta = json!({ "resourceVersion": self.store.revision().await?.to_string() });
        self.shape.list(&meta, gone)
    }

    pub(crate) fn write_options(&self) -> WriteOptions {
        WriteOptions {
            is_dry_run: self.query.has("dryRun"),
            subresource: match &*self.target.subresource {
                "status" => "status",
                "scale" => "scale",
                "binding" => "binding",
                DEBUG => DEBUG,
                _ => "",
            },
            manager: self.manager(),
            is_forced: self.query.flag("force"),
            is_strict: self.query.text("fieldValidation") == "Strict",
            admit: Some(self.admit()),
        }
    }

    /// What the gate says to an object that would be stored.
    fn admit(&self) -> Admit {
        let (gate, subject) = (Arc::clone(self.gate), self.subject.clone());
        let kind = Arc::clone(&self.target.kind);
        // What is applied is a patch, what is put an update, until it is known that nothing is there.
        let create = (self.head.method != http::Method::POST).then(|| Question::Object {
            verb: "create".to_owned(),
            group: kind.group.to_string(),
            resource: kind.plural.to_string(),
            subresource: String::new(),
            namespace: self.target.namespace.clone(),
            name: self.target.name.clone(),
        });
        Admit::by(move |old, new| {
            if let (None, Some(create)) = (old, &create) {
                gate::may(&*gate, &subject, create)?;
            }
            gate.may_write(&subject, &kind, old, new)
        })
    }

    /// Who writes: what the request says, else what the client calls itself.
    fn manager(&self) -> String {
        let said = self.query.text("fieldManager");
        if !said.is_empty() {
            return said.to_owned();
        }
        let agent = self.head.headers.get(header::USER_AGENT);
        let agent = agent.and_then(|value| value.to_str().ok());
        let agent = agent.and_then(|text| text.split('/').next());
        let name = agent.unwrap_or_default().chars();
        name.take(MANAGER_MAX).collect()
    }

    fn delete_options(&self, body: &[u8]) -> Result<DeleteOptions, Failure> {
        let said = match body.is_empty() {
            true => None,
            false => {
                let head = &self.head.headers;
                Some(body::document(head, DeleteOptions::schema(), body)?.value)
            }
        };
        self.deletion(said)
    }

    /// What the query and the body say; the body counts more.
    pub(crate) fn deletion(&self, said: Option<Value>) -> Result<DeleteOptions, Failure> {
        let query = self.query;
        let mut options = DeleteOptions {
            is_unread: query.flag(UNREAD),
            uid: Some(query.text("uid").to_owned()).filter(|uid| !uid.is_empty()),
            ..DeleteOptions::default()
        };
        let deletion = Deletion {
            policy: query
                .has("propagationPolicy")
                .then(|| query.text("propagationPolicy")),
            orphans: query.said("orphanDependents"),
            grace_s: query.number("gracePeriodSeconds")?,
            dry_run: query.all("dryRun").collect(),
        };
        deletion.tell(&mut options)?;
        let Some(said) = said else {
            return sound_together(options);
        };
        let Value::Object(mut said) = said else {
            return Err(Failure::bad_request("the body is no object"));
        };
        let findings = schema::check(DeleteOptions::schema(), &mut said);
        if let Some(mistake) = findings.mistakes.first() {
            return Err(Failure::bad_request(format!("DeleteOptions: {mistake}")));
        }
        let said = Object(said);
        let text = |path: &[&str]| said.text(path).map(str::to_owned);
        options.uid = text(&["preconditions", "uid"]).or(options.uid);
        options.version = text(&["preconditions", "resourceVersion"]);
        let dry_run = said.at(&["dryRun"]).and_then(Value::as_array);
        let deletion = Deletion {
            policy: said.text(&["propagationPolicy"]),
            orphans: said.at(&["orphanDependents"]).and_then(Value::as_bool),
            grace_s: said.at(&["gracePeriodSeconds"]).and_then(Value::as_i64),
            dry_run: dry_run
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect(),
        };
        deletion.tell(&mut options)?;
        options.is_unread |= said.at(&[UNREAD]) == Some(&Value::Bool(true));
        sound_together(options)
    }

    /// The object in a body, without what is not known, and warnings about that.
    async fn object(&self, body: &[u8]) -> Result<(Object, Vec<String>), Failure> {
        let mut read = self.read(body::document(&self.head.headers, self.schema(), body)?)?;
        if !read.mistakes.is_empty() && !self.is_scale() {
            // Whoever mends the types is not to learn only then what else is wrong.
            let Target {
                kind,
                namespace,
                name,
                ..
            } = self.target;
            let place = (&**namespace, &**name);
            let options = self.write_options();
            let object = read.object.clone();
            read.mistakes = self.store.mistakes(kind, place, object, &options).await?;
        }
        self.sound(read)
    }

    /// What the body of a write is to be.
    fn schema(&self) -> &Schema {
        match self.is_scale() {
            true => scale_schema(),
            false => self.target.kind.schema(),
        }
    }

    fn read(&self, decoded: Decoded) -> Result<Read, Failure> {
        let kind = &self.target.kind;
        match self.is_scale() {
            true => read_as(("autoscaling/v1", "Scale"), self.schema(), decoded),
            false => read_as((&kind.api_version(), &kind.kind), self.schema(), decoded),
        }
    }

    /// The object of another kind than the target's.
    pub(crate) fn object_of(
        &self,
        kind: &Kind,
        body: &[u8],
    ) -> Result<(Object, Vec<String>), Failure> {
        let decoded = body::document(&self.head.headers, kind.schema(), body)?;
        let called = (&*kind.api_version(), &*kind.kind);
        self.sound(read_as(called, kind.schema(), decoded)?)
    }

    /// What was read, if its types are right, and warnings.
    fn sound(&self, read: Read) -> Result<(Object, Vec<String>), Failure> {
        let Read { object, .. } = read;
        if !read.mistakes.is_empty() {
            let text = |field: &str| object.text(&[field]).unwrap_or_default();
            let mut failure = Failure::undecodable(text("kind"), text("apiVersion"), read.mistakes);
            if let Err(also) = self.odd(&read.unknown, &read.duplicates, "") {
                failure.message = format!("{}; {}", failure.message, also.message);
            }
            return Err(failure);
        }
        let odd = self.odd(&read.unknown, &read.duplicates, object.meta().name())?;
        Ok((object, odd))
    }

    /// What to warn of where fields are not known or stand there twice.
    fn odd(
        &self,
        unknown: &[String],
        duplicates: &[String],
        name: &str,
    ) -> Result<Vec<String>, Failure> {
        let kind = &self.target.kind;
        match self.query.text("fieldValidation") {
            "Strict" if unknown.len() + duplicates.len() > 0 => {
                let message = schema::strict(unknown, duplicates);
                Err(Failure::bad_request(message).about(&kind.group, &kind.kind, name))
            }
            "Strict" | "Ignore" => Ok(Vec::new()),
            _ => Ok(schema::odd(unknown, duplicates)),
        }
    }

    fn written(
        &self,
        code: StatusCode,
        item: &Item,
        warnings: Vec<String>,
    ) -> Result<Answer, Failure> {
        let mut answer = self.shape.one(code, item)?;
        let kind = &self.target.kind;
        let unused = (!kind.is_carried_out).then(|| {
            format!(
                "{} are stored, and nothing in this server carries them out yet",
                kind.resource()
            )
        });
        let odd = match kind.warn.filter(|_| self.target.subresource.is_empty()) {
            Some(warn) => warn(&store::object_once(item)?),
            None => Vec::new(),
        };
        let warnings = warnings.into_iter().chain(odd).chain(unused);
        answer::warn(&mut answer, warnings);
        Ok(answer)
    }
}

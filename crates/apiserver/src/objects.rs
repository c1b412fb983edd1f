//! Requests about objects: verbs to the store, what it answers to JSON.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{Method, StatusCode};
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use serde_json::{Map, Value};
use tokio::time::Instant;
use weft_control::selector::{Fields, Labels};
use weft_control::store::{self, ListOptions};
use weft_control::usage::Meter;
use weft_control::{Failure, Reason, Store};
use weft_identity::subject::Subject;
use weft_keyspace::Revision;

use crate::answer::Answer;
use crate::body;
use crate::bootstrap;
use crate::devices;
use crate::discovery::has_collection;
use crate::gate::Gate;
use crate::metrics::{Metrics, Open};
use crate::params;
use crate::placing::Placing;
use crate::query::Query;
use crate::serve::Server;
use crate::shape::Shape;
use crate::target::{DEBUG, Target};
use crate::tokens;
use crate::unrun::Unrun;
use crate::watching::Feed;
use crate::writes::APPLY;

/// How long a watch lasts that does not say how long.
const WATCH: Duration = Duration::from_secs(45 * 60);
/// Longest watch.
const LONGEST_WATCH: u64 = 24 * 3600;

/// What is asked, as access is decided by.
pub(crate) fn verb(
    method: &Method,
    target: &Target,
    query: &Query,
) -> Result<&'static str, Failure> {
    let is_all = target.name.is_empty();
    if target.kind.is_question && (*method != Method::POST || !is_all) {
        return Err(no_method(target));
    }
    let reads = matches!(*method, Method::GET | Method::HEAD) && !query.flag("watch");
    if target.kind.is_measured && !reads {
        return Err(no_method(target));
    }
    if Placing::of(target).is_some() {
        return Placing::verb(method).ok_or_else(|| no_method(target));
    }
    if let Some(unrun) = Unrun::of(target) {
        return unrun.verb(method).ok_or_else(|| no_method(target));
    }
    Ok(match *method {
        Method::GET | Method::HEAD if query.flag("watch") => "watch",
        Method::GET | Method::HEAD if is_all => "list",
        Method::GET | Method::HEAD => "get",
        Method::POST if is_all || target.subresource == "token" => "create",
        Method::PUT | Method::PATCH if target.kind.is_fixed => return Err(no_method(target)),
        Method::PUT if !is_all => "update",
        Method::PATCH if !is_all => "patch",
        Method::DELETE if is_all && has_collection(&target.kind) => "deletecollection",
        Method::DELETE if is_all => return Err(no_method(target)),
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

/// A request about objects, of somebody who may.
pub(crate) struct Asked<'a> {
    pub(crate) store: &'a Store,
    pub(crate) gate: &'a Arc<dyn Gate>,
    metrics: &'a Arc<Metrics>,
    pub(crate) meter: Option<&'a dyn Meter>,
    pub(crate) subject: Subject,
    pub(crate) certificates: &'a [CertificateDer<'static>],
    pub(crate) head: &'a Parts,
    pub(crate) target: &'a Target,
    pub(crate) query: &'a Query,
    pub(crate) shape: Shape,
    pub(crate) runs_pods: bool,
}

impl<'a> Asked<'a> {
    pub(crate) fn new(
        server: &'a Server,
        (certificates, head): (&'a [CertificateDer<'static>], &'a Parts),
        target: &'a Target,
        query: &'a Query,
        (verb, subject): (&str, Subject),
    ) -> Result<Asked<'a>, Failure> {
        params::check(verb, query, body::media(&head.headers) == APPLY)?;
        Ok(Asked {
            store: &server.store,
            gate: &server.gate,
            metrics: &server.metrics,
            meter: server.meter.as_deref(),
            subject,
            certificates,
            head,
            target,
            query,
            shape: Shape::of(&target.kind, verb, &head.headers, query)?,
            runs_pods: server.nodes.is_some(),
        })
    }
}

impl Asked<'_> {
    /// Does what is asked.
    pub(crate) async fn answer(&self, verb: &str, body: &[u8]) -> Result<Answer, Failure> {
        let target = self.target;
        if target.is_of("", "serviceaccounts") && target.subresource == "token" {
            return match verb {
                "create" => tokens::answer(self, body).await,
                _ => Err(no_method(target)),
            };
        }
        if target.is_of(devices::KIND.0, devices::KIND.1)
            && target.subresource == devices::CERTIFICATES
            && target.name.is_empty()
        {
            return match verb {
                "create" => devices::certificate(self, body).await,
                _ => Err(no_method(target)),
            };
        }
        if let Some(placing) = Placing::of(target) {
            return placing.answer(self, body).await;
        }
        if let Some(unrun) = Unrun::of(target).filter(|one| !one.is_there(self.runs_pods)) {
            return unrun.refuse(self).await;
        }
        if !target.subresource.is_empty() {
            let known = match &*target.subresource {
                "status" => target.kind.has_status,
                "scale" => target.kind.scale.is_some(),
                DEBUG => target.is_of("", "pods"),
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
            "get" => self.get().await,
            "list" => self.list().await,
            "watch" => self.watch().await,
            "create" if target.is_of(bootstrap::KIND.0, bootstrap::KIND.1) => {
                bootstrap::create(self, body).await
            }
            "create" => self.create(body).await,
            "update" => self.update(body).await,
            "patch" => self.patch(body).await,
            "delete" => self.delete(body).await,
            _ => self.delete_all(body).await,
        }
    }

    async fn get(&self) -> Result<Answer, Failure> {
        let Target {
            kind,
            namespace,
            name,
            ..
        } = self.target;
        if self.target.subresource == "scale" {
            let scale = self.store.scale(kind, namespace, name).await?;
            return Ok(self.shape.scale(scale));
        }
        let version = store::revision(self.query.text("resourceVersion"))?;
        self.store.has_come_to(version).await?;
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
        // Less than one is all, as upstream.
        let limit = self.query.number("limit")?.unwrap_or(0).max(0);
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
        let said = self.query.text("resourceVersion");
        let version = store::revision(said)?;
        if options.token.is_some() && !matches!(said, "" | "0") {
            let message = "specifying resource version is not allowed when using continue";
            return Err(Failure::bad_request(message));
        }
        // Who asks for a piece means that very version, unless they say otherwise: as upstream.
        let is_piece = options.limit > 0 && version > Some(Revision(0));
        match self.query.text("resourceVersionMatch") {
            "Exact" => options.at = version,
            "" if is_piece => options.at = version,
            // What is read is the newest there is.
            _ => self.store.has_come_to(version).await?,
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
        self.shape.list(&meta, listed.items)
    }

    async fn watch(&self) -> Result<Answer, Failure> {
        // A watch begins with all there is.
        let options = ListOptions {
            limit: 0,
            token: None,
            ..self.list_options()?
        };
        let ending = self.gate.ending(self.certificates, &self.head.headers);
        let ending = ending.await?;
        let Target {
            kind, namespace, ..
        } = self.target;
        let version = store::revision(self.query.text("resourceVersion"))?;
        let initial = self.query.said("sendInitialEvents");
        let bookmarks = self.query.flag("allowWatchBookmarks");
        if initial.is_some() {
            self.store.has_come_to(version).await?;
        }
        let after = version.filter(|version| *version > Revision(0));
        let (mut first, mut first_end) = (Vec::new(), None);
        let after = match (initial, after) {
            (None | Some(false), Some(after)) => after,
            (Some(false), None) => self.store.revision().await?,
            _ => {
                let listed = self.store.list(kind, namespace, &options).await?;
                first = listed.items;
                if initial.is_some() && bookmarks {
                    first_end = Some(self.shape.bookmark(&listed.revision.to_string(), true));
                }
                listed.revision
            }
        };
        let changes = match self.store.watch(kind, namespace, after, options).await {
            Err(failure) if failure.reason == Reason::Expired => {
                return Ok(self.shape.expired(&failure));
            }
            changes => changes?,
        };
        let seconds = self.query.number("timeoutSeconds")?.unwrap_or(0);
        // Upstream ends at once where it is less than nothing; clients then ask again at once.
        let time = match u64::try_from(seconds) {
            Ok(0) | Err(_) => WATCH,
            Ok(seconds) => Duration::from_secs(seconds.min(LONGEST_WATCH)),
        };
        let feed = Feed {
            over: Box::pin(changes.over()),
            changes,
            shape: self.shape.clone(),
            until: Instant::now() + time.min(self.left()),
            bookmarks,
            ending,
            _open: Open::watch(self.metrics),
            first: first.into_iter(),
            first_end,
        };
        Ok(feed.answer())
    }

    /// How long whoever asks is known to be who they are. A watch is not longer.
    fn left(&self) -> Duration {
        let left = self
            .subject
            .expires_s
            .saturating_sub(Timestamp::now().as_second());
        Duration::from_secs(u64::try_from(left).unwrap_or(0))
            .min(Duration::from_secs(LONGEST_WATCH))
    }
}

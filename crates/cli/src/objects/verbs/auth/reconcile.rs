//! `weft auth reconcile`: roles and bindings that give what manifests say.
//!
//! ```text
//!   read ─► compare ─► nothing to do? told
//!     ▲        ├─► make it, in a namespace that is made if need be
//!     │        ├─► replace it, as it was read
//!     │        └─► delete it, as it was read, and make it
//!     └── somebody else was there first
//! ```
//!
//! Owns: in which order the server is asked. What is written is what was compared: where it was changed
//! meanwhile, all begins anew. Never: deletes a binding of which the server would not take the next.

mod plan;
mod wanted;

use serde_json::{Value, json};
use weft_client::cluster::ApiError;
use weft_client::{Method, Request};
use weft_identity::rbac::GROUP;

use crate::error::CliError;
use crate::objects::choose::Target;
use crate::objects::connect::{Api, Connect};
use crate::objects::manifest::{self, Manifest, Sources};
use crate::objects::refusal::during;
use crate::objects::write::{Change, DryRun, Tally, present};
use crate::session::Session;
use crate::tree::Outcome;
use plan::{Plan, Removal, Step};
use wanted::Wanted;

/// How often an object is read and compared, when others change it at the same time.
const TRIES_MAX: u32 = 5;
/// The version that is understood.
const VERSION: &str = "v1";

/// Flags of `reconcile`.
#[derive(Debug, clap::Args)]
pub struct Reconcile {
    #[command(flatten)]
    sources: Sources,
    /// Take away what a role allows and its manifest does not
    #[arg(long)]
    remove_extra_permissions: bool,
    /// Take away whom a binding is for and its manifest does not name
    #[arg(long)]
    remove_extra_subjects: bool,
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    connect: Connect,
}

impl Reconcile {
    /// Brings each role and binding up to date.
    pub async fn run(self, session: &Session) -> Outcome {
        self.sources.required()?;
        self.change.form()?;
        let api = Api::open(&self.connect, session)?;
        let mut tally = Tally::new(api.printer);
        for manifest in manifest::read(&self.sources).await? {
            if !is_meant(&manifest.object) {
                continue;
            }
            let done = match self.reconcile(&api, &manifest).await {
                Ok((plan, object)) => self.tell(&api, &plan, &object),
                Err(error) => Err(error),
            };
            if let Err(error) = done {
                tally.failed(error);
            }
        }
        Ok(tally.code())
    }

    /// Shows the object, and what was found.
    fn tell(&self, api: &Api, plan: &Plan, object: &Value) -> Result<(), CliError> {
        self.change.tell(api.printer, object, "reconciled")?;
        for line in plan.details() {
            api.printer.talk(&line);
        }
        Ok(())
    }

    async fn reconcile(&self, api: &Api, manifest: &Manifest) -> Result<(Plan, Value), CliError> {
        let place = &manifest.place;
        let version = manifest.object["apiVersion"].as_str().unwrap_or_default();
        if version != format!("{GROUP}/{VERSION}") {
            return Err(CliError::new(format!(
                "reconcile {place:?}: only {GROUP}/{VERSION} is supported, not {version}"
            )));
        }
        let target = manifest.target(api).await?;
        if target.name.is_none() {
            return Err(CliError::new(format!(
                "reconcile {place:?}: metadata.name is missing"
            )));
        }
        let wanted = Wanted::read(&manifest.object, target.namespace.as_deref());
        let wanted = wanted.map_err(|why| {
            CliError::new(format!("reconcile {} of {place:?}: {why}", target.label()))
        })?;
        let removal = Removal {
            permissions: self.remove_extra_permissions,
            subjects: self.remove_extra_subjects,
        };
        for _ in 0..TRIES_MAX {
            let before = present(api, &target).await?;
            let plan = Plan::of(&wanted, before.as_ref(), removal)
                .map_err(|why| CliError::new(format!("compare {}: {why}", target.label())))?;
            let is_done = plan.is_opted_out || self.change.dry_run == DryRun::Client;
            let object = match plan.step {
                _ if is_done => Some(plan.object.clone()),
                Step::Keep => Some(plan.object.clone()),
                Step::Create => self.create(api, &target, &plan.object).await?,
                Step::Update => self.update(api, &target, &plan.object).await?,
                Step::Recreate => {
                    let before = before.unwrap_or_default();
                    self.recreate(api, &target, &before, &plan.object).await?
                }
            };
            if let Some(object) = object {
                return Ok((plan, object));
            }
        }
        Err(CliError::new(format!(
            "reconcile {}: each of the {TRIES_MAX} times it was tried, somebody else changed it first",
            target.label()
        )))
    }

    /// The object that was made; nothing if somebody else made one.
    async fn create(
        &self,
        api: &Api,
        target: &Target,
        object: &Value,
    ) -> Result<Option<Value>, CliError> {
        if let Some(namespace) = &target.namespace
            && !self.ensure_namespace(api, namespace).await?
        {
            api.printer.talk(&format!(
                "Warning: the server did not try {}: namespace {namespace:?} is not there yet",
                target.label()
            ));
            return Ok(Some(object.clone()));
        }
        match api.send(&self.post(target, object)).await {
            Err(error) if is_overtaken(&error) => Ok(None),
            answer => Ok(Some(answer?.json()?)),
        }
    }

    fn post(&self, target: &Target, object: &Value) -> Request {
        let path = target.kind.path(target.namespace.as_deref(), None, None);
        let request = Request::post(format!("create {}", target.label()), &path);
        let request = self.change.on(request).query("fieldValidation", "Strict");
        request.json(object)
    }

    /// The object as it is now; nothing if somebody else changed or removed it.
    async fn update(
        &self,
        api: &Api,
        target: &Target,
        object: &Value,
    ) -> Result<Option<Value>, CliError> {
        // Without the version that was compared, what somebody else wrote meanwhile would be lost.
        if object["metadata"]["resourceVersion"].as_str().is_none() {
            return Err(CliError::new(format!(
                "update {}: the server did not tell its resourceVersion",
                target.label()
            )));
        }
        let what = format!("update {}", target.label());
        let request = Request::new(Method::PUT, what, &target.path(None));
        let request = self.change.on(request).query("fieldValidation", "Strict");
        match api.send(&request.json(object)).await {
            Err(error) if is_overtaken(&error) || error.is_not_found() => Ok(None),
            answer => Ok(Some(answer?.json()?)),
        }
    }

    /// The object that is there instead; nothing if somebody else changed the one or made the other.
    async fn recreate(
        &self,
        api: &Api,
        target: &Target,
        before: &Value,
        object: &Value,
    ) -> Result<Option<Value>, CliError> {
        // Who may not make the new one must not lose the old one. That it is there is said last.
        let mut rehearsal = self.post(target, object);
        if self.change.dry_run != DryRun::Server {
            rehearsal = rehearsal.query("dryRun", "All");
        }
        match api.ask(&rehearsal).await {
            Err(error) if !error.is_already_there() => return Err(error.into()),
            _ => {}
        }
        let meta = &before["metadata"];
        let mut body = json!({
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "preconditions": { "uid": meta["uid"], "resourceVersion": meta["resourceVersion"] },
        });
        if self.change.dry_run == DryRun::Server {
            body["dryRun"] = json!(["All"]);
        }
        let delete = Request::delete(format!("delete {}", target.label()), &target.path(None));
        match api.send(&delete.json(&body)).await {
            Err(error) if is_overtaken(&error) => return Ok(None),
            Err(error) if error.is_not_found() => {}
            // What follows is printed, too.
            Err(ApiError::NotSent) => {}
            answer => drop(answer?),
        }
        if self.change.dry_run == DryRun::Server {
            return Ok(Some(object.clone()));
        }
        match api.send(&self.post(target, object)).await {
            Err(error) if is_overtaken(&error) => Ok(None),
            Err(error) => {
                let label = target.label();
                let context = format!("error when creating {label} anew, which is deleted");
                Err(during(error, &context).hint(format!("{label} is deleted: create it")))
            }
            Ok(answer) => Ok(Some(answer.json()?)),
        }
    }

    /// Makes the namespace, if it is not there and as far as that is allowed: who may only write roles
    /// in it cannot see it. Whether objects can be sent into it.
    async fn ensure_namespace(&self, api: &Api, name: &str) -> Result<bool, CliError> {
        let what = format!("get namespace/{name}");
        match api
            .ask(&Request::get(what, &["api", "v1", "namespaces", name]))
            .await
        {
            Ok(_) => return Ok(true),
            Err(error) if error.is_not_found() || is_forbidden(&error) => {}
            Err(error) => return Err(error.into()),
        }
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name },
        });
        let what = format!("create namespace/{name}");
        let request = Request::post(what, &["api", "v1", "namespaces"]);
        match api.send(&self.change.on(request).json(&namespace)).await {
            Ok(_) => Ok(self.change.dry_run == DryRun::None),
            // What follows is printed, too.
            Err(ApiError::NotSent) => Ok(true),
            Err(error) if error.is_already_there() || is_forbidden(&error) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether it is about rights; all else is left alone.
fn is_meant(object: &Value) -> bool {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    version
        .split_once('/')
        .is_some_and(|(group, _)| group == GROUP)
}

/// Whether somebody else was there first: it is another version than was seen, or there already.
fn is_overtaken(error: &ApiError) -> bool {
    error.refusal().is_some_and(|refusal| refusal.code == 409)
}

fn is_forbidden(error: &ApiError) -> bool {
    error.refusal().is_some_and(|refusal| refusal.code == 403)
}

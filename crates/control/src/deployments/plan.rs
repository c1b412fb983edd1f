//! What is to be done so that a deployment is there, or is not: read first, asked, then done.
//!
//! ```text
//!   make:    tried without keeping anything ─► parts ─► main ─► parts have their owner ─► what is no longer wanted goes
//!   remove:  main, and what it owns with it ─► what has no owner yet
//! ```
//! Owns: that what somebody else made under one of the names is refused and not taken over, and that of
//! what fails halfway nothing new is left. Doing it again is always right.
//! Never: asks who may; a plan tells its steps for that.

use std::sync::Arc;

use serde_json::{Value, json};
use weft_keyspace::Item;

use super::lower::Part;
use super::read::Wanted;
use super::{API, KINDS, LABEL, MAIN, MANAGER, ORIGIN, answer};
use crate::failure::{Failure, Reason};
use crate::kind::Kind;
use crate::object::Object;
use crate::selector::Labels;
use crate::store::{self, Admit, DeleteOptions, ListOptions, Store, WriteOptions};

/// What is done with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// It is made.
    Create,
    /// It is made what it is to be.
    Patch,
    /// It goes.
    Delete,
}

impl Verb {
    /// As access is decided by.
    pub fn name(self) -> &'static str {
        match self {
            Verb::Create => "create",
            Verb::Patch => "patch",
            Verb::Delete => "delete",
        }
    }
}

/// One object, and what is done with it.
#[derive(Clone, Debug)]
pub struct Step {
    /// What is done.
    pub verb: Verb,
    /// Its kind.
    pub kind: Arc<Kind>,
    /// What it is to be; of what goes, what it is.
    pub object: Object,
}

/// All that is to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    namespace: String,
    steps: Vec<Step>,
    warnings: Vec<String>,
}

/// What became of it.
#[derive(Clone, Debug)]
pub struct Done {
    /// The record of the deployment.
    pub record: Value,
    /// What whoever asked should know.
    pub warnings: Vec<String>,
}

fn kind(store: &Store, (group, plural): (&str, &str)) -> Result<Arc<Kind>, Failure> {
    let kinds = store.kinds();
    let found = kinds.find(group, "v1", plural).map(Arc::clone);
    found.ok_or_else(|| Failure::internal(format!("there is no kind of {plural}")))
}

/// What says that an object is of this deployment.
fn is_of(name: &str) -> Result<Labels, Failure> {
    Labels::parse(&format!("{LABEL}={name},{ORIGIN}={API}")).map_err(Failure::internal)
}

/// The objects of a kind that the labels mean.
pub(super) async fn labelled(
    store: &Store,
    kind: &Kind,
    namespace: &str,
    labels: Labels,
) -> Result<Vec<Arc<Item>>, Failure> {
    let options = ListOptions {
        labels,
        ..ListOptions::default()
    };
    Ok(store.list(kind, namespace, &options).await?.items)
}

impl Plan {
    /// What is to be done so that it is there as it is wanted.
    ///
    /// # Errors
    /// Somebody else made what has one of its names, or no node has the labels.
    pub async fn of(store: &Store, namespace: &str, wanted: &Wanted) -> Result<Plan, Failure> {
        let mut plan = Plan {
            namespace: namespace.to_owned(),
            steps: Vec::new(),
            warnings: Vec::new(),
        };
        for Part { kind: of, object } in wanted.parts() {
            let kind = kind(store, of)?;
            let verb = verb(store, &kind, namespace, &object, &wanted.name).await?;
            plan.steps.push(Step { verb, kind, object });
        }
        let goes = present(store, namespace, &wanted.name).await?;
        let stays = |one: &Step| {
            let mut made = plan.steps.iter();
            made.any(|step| step.kind.plural == one.kind.plural && step.is_called_as(one))
        };
        let goes: Vec<Step> = goes.into_iter().filter(|one| !stays(one)).collect();
        plan.steps.extend(goes);
        plan.look_at_nodes(store, wanted).await?;
        if let Some(network) = &wanted.network {
            plan.warnings.push(format!(
                "network {network:?}: pods find each other by name, on every network: it keeps nobody apart yet"
            ));
        }
        Ok(plan)
    }

    /// What is done, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Knit refused what no node has the labels for.
    async fn look_at_nodes(&mut self, store: &Store, wanted: &Wanted) -> Result<(), Failure> {
        let kind = kind(store, ("", "nodes"))?;
        let nodes = store.list(&kind, "", &ListOptions::default()).await?.items;
        let pairs = &wanted.node_selector;
        let (mut is_there, mut is_ready) = (false, false);
        for node in nodes {
            let node = store::object(&node)?;
            let label = |key: &str| node.meta().label(key);
            if pairs.iter().all(|(key, value)| label(key) == Some(value)) {
                is_there = true;
                is_ready |= node.has_condition("Ready");
            }
        }
        let labels: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let labels = labels.join(" ");
        if !is_there && !pairs.is_empty() {
            return Err(Failure::bad_request(format!(
                "node_selector: no node has the labels {labels}; `kubectl label node NODE {labels}` gives them to one"
            )));
        }
        if !is_ready {
            let which = match pairs.is_empty() {
                true => String::new(),
                false => format!(" with the labels {labels}"),
            };
            let told = format!("no node{which} is ready: it runs as soon as one is");
            self.warnings.push(told);
        }
        Ok(())
    }

    /// Does it; `admit` says what may be stored of a kind.
    ///
    /// # Errors
    /// An object is refused. What was new is gone again then.
    pub async fn carry_out(
        self,
        store: &Store,
        is_dry_run: bool,
        admit: impl Fn(&Arc<Kind>) -> Admit,
    ) -> Result<Done, Failure> {
        let options = |kind: &Arc<Kind>, is_dry_run| WriteOptions {
            is_dry_run,
            manager: MANAGER.to_owned(),
            is_forced: true,
            admit: Some(admit(kind)),
            ..WriteOptions::default()
        };
        let mut tried = None;
        for step in self.made() {
            let rehearsal = options(&step.kind, true);
            tried = Some(self.apply(store, step, None, &rehearsal).await?);
        }
        let mut main = tried;
        if !is_dry_run {
            let done = self.write(store, |kind| options(kind, false)).await;
            main = Some(match done {
                Ok(main) => main,
                Err(failure) => {
                    self.undo(store).await;
                    return Err(failure);
                }
            });
            for step in self.steps.iter().filter(|step| step.verb == Verb::Delete) {
                gone(store, &self.namespace, step).await?;
            }
        }
        let main = main.ok_or_else(|| Failure::internal("a deployment without its main object"))?;
        let templates = self.made().find(|step| step.kind.plural == "configmaps");
        let templates = templates.map(|step| step.object.clone());
        Ok(Done {
            record: answer::of(store, &main, templates.as_ref(), &self.warnings).await?,
            warnings: self.warnings,
        })
    }

    fn made(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.verb != Verb::Delete)
    }

    async fn apply(
        &self,
        store: &Store,
        step: &Step,
        owner: Option<&Value>,
        options: &WriteOptions,
    ) -> Result<Arc<Item>, Failure> {
        let mut config = step.object.clone();
        if let Some(owner) = owner {
            config.set_meta("ownerReferences", Some(json!([owner])));
        }
        let name = config.meta().name().to_owned();
        let applied = store.apply(&step.kind, &self.namespace, &name, config, options);
        Ok(applied.await?.0)
    }

    /// Parts, then what owns them: no pod is to look for a part that is not there yet.
    async fn write(
        &self,
        store: &Store,
        options: impl Fn(&Arc<Kind>) -> WriteOptions,
    ) -> Result<Arc<Item>, Failure> {
        let is_main = |step: &&Step| step.kind.plural == MAIN.1;
        let mut owner = None;
        if let Some(step) = self
            .made()
            .find(|step| is_main(step) && step.verb == Verb::Patch)
        {
            let name = step.object.meta().name();
            let item = store.get(&step.kind, &self.namespace, name).await?;
            owner = Some(owner_of(&item)?);
        }
        for step in self.made().filter(|step| !is_main(step)) {
            let options = options(&step.kind);
            self.apply(store, step, owner.as_ref(), &options).await?;
        }
        let main = self.made().find(is_main);
        let main = main.ok_or_else(|| Failure::internal("a deployment without its main object"))?;
        let made = self.apply(store, main, None, &options(&main.kind)).await?;
        if owner.is_none() {
            let owner = owner_of(&made)?;
            for step in self.made().filter(|step| !is_main(step)) {
                let options = options(&step.kind);
                self.apply(store, step, Some(&owner), &options).await?;
            }
        }
        Ok(made)
    }

    /// Takes back what is new; what cannot be is told in the log, and goes with the deployment.
    async fn undo(&self, store: &Store) {
        for step in self.steps.iter().filter(|step| step.verb == Verb::Create) {
            if let Err(failure) = gone(store, &self.namespace, step).await {
                tracing::warn!(%failure, "part of a deployment that failed is left");
            }
        }
    }
}

impl Step {
    fn is_called_as(&self, other: &Step) -> bool {
        self.object.meta().name() == other.object.meta().name()
    }
}

fn owner_of(item: &Item) -> Result<Value, Failure> {
    let object = store::object(item)?;
    let meta = object.meta();
    Ok(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "name": meta.name(), "uid": meta.text("uid"),
    }))
}

/// What becomes of an object by making it so.
async fn verb(
    store: &Store,
    kind: &Kind,
    namespace: &str,
    object: &Object,
    deployment: &str,
) -> Result<Verb, Failure> {
    let name = object.meta().name();
    let found = match store.get(kind, namespace, name).await {
        Err(failure) if failure.reason == Reason::NotFound => return Ok(Verb::Create),
        found => store::object(&*found?)?,
    };
    let labels = (found.meta().label(LABEL), found.meta().label(ORIGIN));
    if labels == (Some(deployment), Some(API)) {
        return Ok(Verb::Patch);
    }
    let message = format!(
        "{} {name:?} is there already in namespace {namespace:?}, and POST /deployments did not make it: \
         choose another name, or delete it first",
        kind.resource()
    );
    let failure = Failure::new(Reason::AlreadyExists, message);
    Err(failure.about(&kind.group, &kind.plural, name))
}

/// All that is there of a deployment, as steps that take it away; what owns the rest first.
async fn present(store: &Store, namespace: &str, name: &str) -> Result<Vec<Step>, Failure> {
    let mut steps = Vec::new();
    for of in KINDS.into_iter().rev() {
        let kind = kind(store, of)?;
        for item in labelled(store, &kind, namespace, is_of(name)?).await? {
            steps.push(Step {
                verb: Verb::Delete,
                kind: Arc::clone(&kind),
                object: store::object(&item)?,
            });
        }
    }
    Ok(steps)
}

async fn gone(store: &Store, namespace: &str, step: &Step) -> Result<(), Failure> {
    let name = step.object.meta().name();
    let uid = step.object.meta().text("uid").to_owned();
    let options = DeleteOptions {
        uid: Some(uid).filter(|uid| !uid.is_empty()),
        ..DeleteOptions::default()
    };
    match store.delete(&step.kind, namespace, name, &options).await {
        // Another of that name is not meant, and one that is gone need not go.
        Err(failure) if !matches!(failure.reason, Reason::NotFound | Reason::Conflict) => {
            Err(failure)
        }
        _ => Ok(()),
    }
}

/// What is to be done so that a deployment is there no more.
#[derive(Clone, Debug)]
pub struct Removal {
    namespace: String,
    steps: Vec<Step>,
}

/// Looks for what there is of it.
///
/// # Errors
/// There is nothing of it.
pub async fn removal(store: &Store, namespace: &str, name: &str) -> Result<Removal, Failure> {
    let steps = match crate::names::dns_1035(name) {
        Ok(()) => present(store, namespace, name).await?,
        Err(_) => Vec::new(),
    };
    if steps.is_empty() {
        return Err(answer::not_found(namespace, name));
    }
    Ok(Removal {
        namespace: namespace.to_owned(),
        steps,
    })
}

impl Removal {
    /// What goes.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Does it, and answers the record of what was.
    ///
    /// # Errors
    /// Something is refused; the rest can be removed by asking again.
    pub async fn carry_out(self, store: &Store, is_dry_run: bool) -> Result<Value, Failure> {
        let main = self.steps.iter().find(|step| step.kind.plural == MAIN.1);
        let record = match main {
            Some(step) => {
                let name = step.object.meta().name();
                answer::record(store, &self.namespace, name).await.ok()
            }
            None => None,
        };
        if !is_dry_run {
            for step in &self.steps {
                gone(store, &self.namespace, step).await?;
            }
        }
        let mut record = record.unwrap_or_else(|| json!({}));
        record["DeletedAt"] = store::now().into();
        record["Status"] = "removed".into();
        Ok(record)
    }
}

//! Who comes in, and how far: the API's gate.
//!
//! Owns: which proof counts, a certificate before a token, and what is asked of `identity`.
//! Never: decides by itself.

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use rustls::pki_types::CertificateDer;
use serde_json::{Map, Value};
use weft_apiserver::{Answering, Ending, Gate, Question};
use weft_control::selector::Fields;
use weft_control::store::{ChangeKind, Changes, ListOptions};
use weft_control::{Failure, Kind, Object, Reason, Store, store};
use weft_identity::authority::{Authority, Certificate, Grant, IssueError, Trust};
use weft_identity::device::Device;
use weft_identity::jwt::{Bound, BoundKind, Holder, JwtError, Living, Signer, Verifier};
use weft_identity::rbac::{self, Rule, Target};
use weft_identity::subject::Subject;
use weft_stdx::clock::unix_s;

use super::ISSUER;
use super::roles;
use super::rules::Current;

/// The group and plural of devices.
const DEVICES: (&str, &str) = ("nanocloud.io", "devices");
/// Most audiences a token is compared with.
const MOST_AUDIENCES: usize = 16;

/// The gate of this server.
#[derive(Debug)]
pub(super) struct Door {
    authority: Arc<Authority>,
    trust: Trust,
    signer: Signer,
    verifier: Verifier,
    rules: Arc<Current>,
    store: Store,
}

impl Door {
    pub(super) fn new(authority: Arc<Authority>, rules: Arc<Current>, store: Store) -> Door {
        let (signer, verifier) = authority.tokens(ISSUER);
        Door {
            trust: authority.trust(),
            authority,
            signer,
            verifier,
            rules,
            store,
        }
    }

    /// Whose `token` is, if it is meant for `audience`.
    async fn bearer(&self, token: &str, audience: &str) -> Result<Subject, Failure> {
        let read = self.verifier.read(token, audience, unix_s());
        let read = read.map_err(unknown)?;
        let (mut account, mut other) = (None, None);
        if let Holder::Account {
            namespace,
            name,
            bound,
            ..
        } = &read.holder
        {
            account = self.uid(("", "serviceaccounts"), namespace, name).await?;
            if let Some(bound) = bound {
                let (plural, namespace) = place(bound, namespace);
                other = self.uid(("", plural), namespace, &bound.name).await?;
            }
        }
        let living = Living {
            account: account.as_deref(),
            bound: other.as_deref(),
        };
        read.subject(living).map_err(unknown)
    }

    /// A device's certificate is good as long as its object is there.
    async fn is_there(&self, device: &Device<'_>) -> Result<(), Failure> {
        let uid = self
            .uid(DEVICES, device.namespace, &device.object())
            .await?;
        match uid.as_deref() == Some(device.uid) {
            true => Ok(()),
            false => Err(unknown(
                "the device this certificate belongs to was deleted",
            )),
        }
    }

    /// The uid an object has now, if it is there.
    async fn uid(
        &self,
        (group, plural): (&str, &str),
        namespace: &str,
        name: &str,
    ) -> Result<Option<String>, Failure> {
        let kinds = self.store.kinds();
        let Some(kind) = kinds.find(group, "v1", plural) else {
            return Ok(None);
        };
        match self.store.get(kind, namespace, name).await {
            Ok(item) => Ok(Some(store::object(&item)?.meta().text("uid").to_owned())),
            Err(failure) if failure.reason == Reason::NotFound => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// What happens to an object from now on.
    async fn gone(
        &self,
        (group, plural): (&str, &str),
        namespace: &str,
        name: &str,
    ) -> Result<Option<Changes>, Failure> {
        let kinds = self.store.kinds();
        let Some(kind) = kinds.find(group, "v1", plural) else {
            return Ok(None);
        };
        let named = Fields::parse(&format!("metadata.name={name}"), |_| true);
        let only = ListOptions {
            fields: named.map_err(Failure::bad_request)?,
            ..ListOptions::default()
        };
        let now = self.store.revision().await?;
        self.store.watch(kind, namespace, now, only).await.map(Some)
    }
}

/// Completes when what is watched is deleted, or cannot be watched any longer.
async fn deleted(changes: Option<Changes>) {
    let Some(mut changes) = changes else {
        return std::future::pending().await;
    };
    while let Ok(changes) = changes.next().await {
        let mut kinds = changes.iter().map(|change| change.kind);
        if kinds.any(|kind| kind == ChangeKind::Deleted) {
            return;
        }
    }
}

/// Kind and namespace of what a token is bound to.
fn place<'a>(bound: &Bound, namespace: &'a str) -> (&'static str, &'a str) {
    match bound.kind {
        BoundKind::Pod => ("pods", namespace),
        BoundKind::Secret => ("secrets", namespace),
        BoundKind::Node => ("nodes", ""),
    }
}

fn bearer_token(head: &HeaderMap) -> Option<&str> {
    let text = head.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    is_bearer.then_some(token.trim())
}

impl Gate for Door {
    fn who<'a>(
        &'a self,
        certificates: &'a [CertificateDer<'static>],
        head: &'a HeaderMap,
    ) -> Answering<'a, Subject> {
        Box::pin(async move {
            if let Some(certificate) = certificates.first() {
                let subject = self.trust.subject(certificate, unix_s()).map_err(unknown)?;
                // Pods have them for each other. Here they ask with their account's token, which
                // ends with the account.
                if subject.kind == weft_identity::Kind::Workload {
                    let why =
                        "a workload's certificate is not for the API: use its account's token";
                    return Err(unknown(why));
                }
                if let Some(device) = Device::of(&subject.user, &subject.groups) {
                    self.is_there(&device).await?;
                }
                return Ok(subject);
            }
            match bearer_token(head) {
                Some(token) => self.bearer(token, ISSUER).await,
                None => Err(unknown("Unauthorized")),
            }
        })
    }

    fn ending<'a>(
        &'a self,
        certificates: &'a [CertificateDer<'static>],
        head: &'a HeaderMap,
    ) -> Answering<'a, Option<Ending>> {
        Box::pin(async move {
            if let Some(certificate) = certificates.first() {
                let subject = self.trust.subject(certificate, unix_s()).map_err(unknown)?;
                let Some(device) = Device::of(&subject.user, &subject.groups) else {
                    return Ok(None);
                };
                let gone = self
                    .gone(DEVICES, device.namespace, &device.object())
                    .await?;
                // What went before it was looked after is seen here.
                self.is_there(&device).await?;
                return Ok(Some(Ending(Box::pin(deleted(gone)))));
            }
            let token = bearer_token(head);
            let Some(token) = token else { return Ok(None) };
            let read = self.verifier.read(token, ISSUER, unix_s());
            let Holder::Account {
                namespace,
                name,
                bound,
                ..
            } = read.map_err(unknown)?.holder
            else {
                return Ok(None);
            };
            let account = self
                .gone(("", "serviceaccounts"), &namespace, &name)
                .await?;
            let other = match &bound {
                Some(bound) => {
                    let (plural, namespace) = place(bound, &namespace);
                    self.gone(("", plural), namespace, &bound.name).await?
                }
                None => None,
            };
            // What went before it was looked after is seen here.
            self.bearer(token, ISSUER).await?;
            Ok(Some(Ending(Box::pin(async move {
                tokio::select! {
                    () = deleted(account) => {}
                    () = deleted(other) => {}
                }
            }))))
        })
    }

    fn decide(&self, user: &str, groups: &[String], question: &Question) -> (bool, String) {
        let (verb, target) = match question {
            Question::Path { verb, path } => (verb, Target::Path(path)),
            Question::Object {
                verb,
                group,
                resource,
                subresource,
                namespace,
                name,
            } => {
                let target = Target::Resource {
                    group,
                    resource,
                    subresource,
                    namespace: Some(namespace.as_str()).filter(|text| !text.is_empty()),
                    name: Some(name.as_str()).filter(|text| !text.is_empty()),
                    on_node: None,
                };
                (verb, target)
            }
        };
        let request = rbac::Request {
            user,
            groups,
            verb,
            target,
        };
        match rbac::decide(&self.rules.now(), &request) {
            rbac::Decision::Allow(reason) => (true, reason.to_string()),
            rbac::Decision::Deny => (false, String::new()),
        }
    }

    fn may_write(
        &self,
        subject: &Subject,
        kind: &Kind,
        old: Option<&Object>,
        new: &Object,
    ) -> Result<(), Failure> {
        if kind.group != rbac::GROUP || old.is_some_and(|old| is_same_right(old, new)) {
            return Ok(());
        }
        let rules = self.rules.now();
        let who = (subject.user.as_str(), subject.groups.as_slice());
        let name = new.meta().name();
        let namespace = Some(new.meta().namespace()).filter(|text| !text.is_empty());
        let may = if matches!(&*kind.plural, "rolebindings" | "clusterrolebindings") {
            let binding = roles::binding(new);
            let role = binding.map(|binding| binding.role);
            let role = role.ok_or_else(|| Failure::bad_request("roleRef names no role"))?;
            rbac::may_bind(&rules, who, namespace, &role)
        } else {
            let mut wanted = roles::role(new).rules;
            if new.0.contains_key("aggregationRule") {
                // It will have whatever others put into the roles it is made of.
                wanted.push(Rule::all());
            }
            rbac::may_write_role(&rules, who, namespace, name, &wanted)
        };
        may.map_err(|error| {
            let resource = kind.resource();
            let message = format!("{resource} {name:?} is forbidden: {error}");
            Failure::new(Reason::Forbidden, message).about(&kind.group, &kind.plural, name)
        })
    }

    fn rules(&self, subject: &Subject, namespace: &str) -> Vec<Rule> {
        let namespace = Some(namespace).filter(|text| !text.is_empty());
        let rules = self.rules.now();
        rules.rules_for(&subject.user, &subject.groups, namespace)
    }

    fn holder<'a>(
        &'a self,
        token: &'a str,
        audiences: &'a [String],
    ) -> Answering<'a, (Subject, Vec<String>)> {
        Box::pin(async move {
            let (mut found, mut refused) = (None, None);
            let mut meant = Vec::new();
            for audience in audiences.iter().take(MOST_AUDIENCES) {
                match self.bearer(token, audience).await {
                    Ok(subject) => {
                        meant.push(audience.clone());
                        found = Some(subject);
                    }
                    Err(failure) => refused = Some(failure),
                }
            }
            match (found, refused) {
                (Some(subject), _) => Ok((subject, meant)),
                (None, Some(failure)) => Err(failure),
                (None, None) => Err(unknown("no audience is asked for")),
            }
        })
    }

    fn token(
        &self,
        holder: &Holder,
        audiences: &[String],
        life_s: i64,
        now_s: i64,
    ) -> Result<String, Failure> {
        let signed = self.signer.sign(holder, audiences, life_s, now_s);
        signed.map_err(|error| match error {
            JwtError::Sign(why) => Failure::internal(why),
            error => Failure::bad_request(error.to_string()),
        })
    }

    fn certify(
        &self,
        csr_pem: &str,
        grant: &Grant,
        life_s: i64,
        now_s: i64,
    ) -> Result<(Certificate, String), IssueError> {
        let made = self.authority.sign(csr_pem, grant, life_s, now_s)?;
        Ok((made, self.authority.root_pem().to_owned()))
    }

    fn audience(&self) -> &str {
        ISSUER
    }

    fn issuer(&self) -> (&str, Value) {
        (ISSUER, self.verifier.key_set())
    }
}

fn unknown(why: impl std::fmt::Display) -> Failure {
    Failure::new(Reason::Unauthorized, why.to_string())
}

/// Whether nothing changes but what decides when an object goes.
fn is_same_right(old: &Object, new: &Object) -> bool {
    let right = |object: &Object| {
        let mut map: Map<String, Value> = object.0.clone();
        if let Some(meta) = map.get_mut("metadata").and_then(Value::as_object_mut) {
            for field in [
                "finalizers",
                "managedFields",
                "ownerReferences",
                "resourceVersion",
            ] {
                meta.remove(field);
            }
        }
        map
    };
    right(old) == right(new)
}

//! Who comes in, and how far: the API's gate.
//!
//! Owns: which proof counts, a certificate before a token, and what is asked of `identity`.
//! Never: decides by itself.

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use rustls::pki_types::CertificateDer;
use serde_json::{Map, Value};
use weft_apiserver::{Answering, Gate, Question};
use weft_control::{Failure, Kind, Object, Reason, Store, store};
use weft_identity::authority::{Authority, Certificate, Grant, IssueError, Trust};
use weft_identity::jwt::{Bound, BoundKind, Holder, JwtError, Living, Signer, Verifier};
use weft_identity::rbac::{self, Rule, Target};
use weft_identity::subject::Subject;
use weft_stdx::clock::unix_s;

use super::ISSUER;
use super::roles;
use super::rules::Current;

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
            account = self.uid("serviceaccounts", namespace, name).await?;
            if let Some(Bound { kind, name, .. }) = bound {
                other = match kind {
                    BoundKind::Pod => self.uid("pods", namespace, name).await?,
                    BoundKind::Secret => self.uid("secrets", namespace, name).await?,
                    BoundKind::Node => self.uid("nodes", "", name).await?,
                };
            }
        }
        let living = Living {
            account: account.as_deref(),
            bound: other.as_deref(),
        };
        read.subject(living).map_err(unknown)
    }

    /// The uid an object has now, if it is there.
    async fn uid(
        &self,
        plural: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<String>, Failure> {
        let kinds = self.store.kinds();
        let Some(kind) = kinds.find("", "v1", plural) else {
            return Ok(None);
        };
        match self.store.get(kind, namespace, name).await {
            Ok(item) => Ok(Some(store::object(&item)?.meta().text("uid").to_owned())),
            Err(failure) if failure.reason == Reason::NotFound => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

impl Gate for Door {
    fn who<'a>(
        &'a self,
        certificates: &'a [CertificateDer<'static>],
        head: &'a HeaderMap,
    ) -> Answering<'a, Subject> {
        Box::pin(async move {
            if let Some(certificate) = certificates.first() {
                return self.trust.subject(certificate, unix_s()).map_err(unknown);
            }
            let token = head
                .get(AUTHORIZATION)
                .and_then(|value| value.to_str().ok());
            let token = token.and_then(|text| text.split_once(' '));
            match token {
                Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                    self.bearer(token.trim(), ISSUER).await
                }
                _ => Err(unknown("Unauthorized")),
            }
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

//! Secrets of the type `kubernetes.io/service-account-token`: filled with a token of the account they name.
//!
//! Owns: that what is in them is good. The token ends with the secret and with its account; it is good for as long as
//! any token can be, and renewed when half of that is over. One whose account is not there yet waits for it.
//! Never: decides what a token allows.
//!
//! ```text
//!  secret ──names──▶ account      not there, and never was   wait
//!    │ uid of the account         gone, or another by now    the secret goes
//!    ▼ (annotation)               there                      token, ca.crt, namespace
//! ```

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;
use weft_control::selector::Fields;
use weft_control::store::{self, ChangeKind, DeleteOptions, ListOptions, WriteOptions};
use weft_control::{Failure, Kind, Object, Reason, Store};
use weft_identity::authority::Authority;
use weft_identity::jwt::{Bound, BoundKind, Holder, LONGEST_LIFE_S, Signer, Verifier};
use weft_keyspace::Revision;
use weft_stdx::clock::unix_s;

use super::{ISSUER, PAUSE, unless_raced};

const TYPE: &str = "kubernetes.io/service-account-token";
/// The annotation with the account's name.
const NAME: &str = "kubernetes.io/service-account.name";
/// The annotation with the uid of the account the token is of.
const UID: &str = "kubernetes.io/service-account.uid";
/// How often it is looked whether a token has to be renewed.
const LOOK: Duration = Duration::from_secs(24 * 3600);

/// Fills them.
#[derive(Debug)]
pub(super) struct TokenSecrets {
    store: Store,
    secrets: Arc<Kind>,
    accounts: Arc<Kind>,
    signer: Signer,
    verifier: Verifier,
    root_pem: String,
}

impl TokenSecrets {
    /// Nothing: a kind is missing.
    pub(super) fn new(store: &Store, authority: &Authority) -> Option<TokenSecrets> {
        let kind = |plural: &str| store.kinds().find("", "v1", plural).cloned();
        let (signer, verifier) = authority.tokens(ISSUER);
        Some(TokenSecrets {
            store: store.clone(),
            secrets: kind("secrets")?,
            accounts: kind("serviceaccounts")?,
            signer,
            verifier,
            root_pem: authority.root_pem().to_owned(),
        })
    }

    /// Fills those there are and those that come, for ever.
    pub(super) async fn follow(&self) -> Infallible {
        loop {
            let Err(error) = self.try_follow().await;
            tracing::warn!(%error, "could not fill the secrets with accounts' tokens; trying again");
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn try_follow(&self) -> Result<Infallible, Failure> {
        let seen = self.look("").await?;
        tokio::select! {
            ended = self.follow_secrets(seen) => ended,
            ended = self.follow_accounts(seen) => ended,
            failed = self.keep_looking() => failed,
        }
    }

    async fn keep_looking(&self) -> Result<Infallible, Failure> {
        loop {
            tokio::time::sleep(LOOK).await;
            self.look("").await?;
        }
    }

    async fn follow_secrets(&self, seen: Revision) -> Result<Infallible, Failure> {
        let mut changes = self.store.watch(&self.secrets, "", seen, theirs()?).await?;
        loop {
            for change in changes.next().await? {
                if change.kind != ChangeKind::Deleted {
                    self.tend(store::object(&change.item)?).await?;
                }
            }
        }
    }

    async fn follow_accounts(&self, seen: Revision) -> Result<Infallible, Failure> {
        let all = ListOptions::default();
        let mut changes = self.store.watch(&self.accounts, "", seen, all).await?;
        loop {
            for change in changes.next().await? {
                if change.kind != ChangeKind::Modified {
                    let account = store::object(&change.item)?;
                    self.look(account.meta().namespace()).await?;
                }
            }
        }
    }

    /// Tends those of a namespace, or all; gives up to when it has seen them.
    async fn look(&self, namespace: &str) -> Result<Revision, Failure> {
        let listed = self
            .store
            .list(&self.secrets, namespace, &theirs()?)
            .await?;
        for item in &listed.items {
            self.tend(store::object(item)?).await?;
        }
        Ok(listed.revision)
    }

    async fn tend(&self, secret: Object) -> Result<(), Failure> {
        let meta = secret.meta();
        let noted = |key| meta.annotation(key).unwrap_or_default();
        let (name, uid) = (noted(NAME), noted(UID));
        if meta.is_deleting() || name.is_empty() {
            return Ok(());
        }
        match self.store.get(&self.accounts, meta.namespace(), name).await {
            Ok(item) => {
                let account = store::object(&item)?;
                match account.meta().text("uid") {
                    now if uid.is_empty() || uid == now => self.fill(&secret, name, now).await,
                    _ => self.drop(&secret).await,
                }
            }
            Err(failure) if failure.reason != Reason::NotFound => Err(failure),
            Err(_) if uid.is_empty() => Ok(()),
            Err(_) => self.drop(&secret).await,
        }
    }

    async fn fill(&self, secret: &Object, account: &str, uid: &str) -> Result<(), Failure> {
        let meta = secret.meta();
        let (namespace, name) = (meta.namespace(), meta.name());
        let holder = Holder::Account {
            namespace: namespace.to_owned(),
            name: account.to_owned(),
            uid: uid.to_owned(),
            bound: Some(Bound {
                kind: BoundKind::Secret,
                name: name.to_owned(),
                uid: meta.text("uid").to_owned(),
            }),
        };
        let now_s = unix_s();
        let token = match self.good(secret, &holder, now_s) {
            Some(token) => token,
            None => self
                .signer
                .sign(&holder, &[ISSUER.to_owned()], LONGEST_LIFE_S, now_s)
                .map_err(Failure::internal)?,
        };
        let mut filled = secret.clone();
        filled.meta_mut()["annotations"][UID] = uid.into();
        let data = filled.0.entry("data").or_insert_with(|| json!({}));
        for (key, value) in [
            ("token", token.as_str()),
            ("ca.crt", self.root_pem.as_str()),
            ("namespace", namespace),
        ] {
            data[key] = BASE64.encode(value).into();
        }
        if filled == *secret {
            return Ok(());
        }
        let options = WriteOptions::default();
        let replaced = self
            .store
            .replace(&self.secrets, namespace, name, filled, &options);
        match replaced.await {
            Ok(_) => Ok(()),
            // Made immutable before it was filled, it stays as it is.
            Err(failure) if failure.reason == Reason::Invalid => {
                tracing::warn!(%failure, namespace, name, "could not put a token into a secret");
                Ok(())
            }
            Err(failure) => unless_raced(failure),
        }
    }

    /// The token that is in the secret, if it is this one's and has half of its time left.
    fn good(&self, secret: &Object, holder: &Holder, now_s: i64) -> Option<String> {
        let token = secret.text(&["data", "token"])?;
        let token = String::from_utf8(BASE64.decode(token).ok()?).ok()?;
        let read = self.verifier.read(&token, ISSUER, now_s).ok()?;
        let is_fresh = read.expires_s - now_s > LONGEST_LIFE_S / 2;
        (is_fresh && read.holder == *holder).then_some(token)
    }

    async fn drop(&self, secret: &Object) -> Result<(), Failure> {
        let meta = secret.meta();
        let this = DeleteOptions {
            uid: Some(meta.text("uid").to_owned()),
            ..DeleteOptions::default()
        };
        let (namespace, name) = (meta.namespace(), meta.name());
        match self
            .store
            .delete(&self.secrets, namespace, name, &this)
            .await
        {
            Err(failure) => unless_raced(failure),
            Ok(_) => Ok(()),
        }
    }
}

/// All secrets of the type.
fn theirs() -> Result<ListOptions, Failure> {
    let fields = Fields::parse(&format!("type={TYPE}"), |_| true);
    Ok(ListOptions {
        fields: fields.map_err(Failure::bad_request)?,
        ..ListOptions::default()
    })
}

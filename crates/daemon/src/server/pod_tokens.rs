//! Tokens of pods' accounts, signed by the server's authority.

use weft_control::Failure;
use weft_control::node::{Bearer, Tokens, WantedToken};
use weft_identity::authority::Authority;
use weft_identity::jwt::{Bound, BoundKind, Holder, LONGEST_LIFE_S, Signer};
use weft_stdx::clock::unix_s;

use super::ISSUER;

/// Signs them.
#[derive(Debug)]
pub(super) struct PodTokens(Signer);

impl PodTokens {
    pub(super) fn new(authority: &Authority) -> PodTokens {
        PodTokens(authority.tokens(ISSUER).0)
    }
}

impl Tokens for PodTokens {
    fn make(&self, of: &Bearer<'_>, wanted: &WantedToken) -> Result<String, Failure> {
        let holder = Holder::Account {
            namespace: of.namespace.to_owned(),
            name: of.account.to_owned(),
            uid: of.account_uid.to_owned(),
            bound: Some(Bound {
                kind: BoundKind::Pod,
                name: of.pod.to_owned(),
                uid: of.pod_uid.to_owned(),
            }),
        };
        let audience = wanted.audience.as_deref().unwrap_or(ISSUER).to_owned();
        let life_s = wanted.life_s.min(LONGEST_LIFE_S);
        let signed = self.0.sign(&holder, &[audience], life_s, unix_s());
        signed.map_err(Failure::internal)
    }
}

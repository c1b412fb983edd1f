//! Tokens of pods' accounts, signed by the server's authority.

use weft_control::Failure;
use weft_control::node::{Bearer, Tokens, WantedToken};
use weft_identity::authority::Authority;
use weft_identity::jwt::{Bound, BoundKind, Holder, LONGEST_LIFE_S, Signer};
use weft_stdx::clock::unix_s;

use super::ISSUER;

/// By this life a token is known that the pod's author did not ask for. As upstream, which its clients
/// rely on: who reads its file only once is let in for longer, as long as the pod is there.
const UNASKED_S: i64 = 3607;

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
        let life_s = match wanted.life_s {
            UNASKED_S if wanted.audience.is_none() => LONGEST_LIFE_S,
            life_s => life_s.min(LONGEST_LIFE_S),
        };
        let signed = self.0.sign(&holder, &[audience], life_s, unix_s());
        signed.map_err(Failure::internal)
    }
}

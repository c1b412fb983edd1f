//! Bearer tokens: signed statements of who somebody is.
//!
//! Owns: making and reading them. ES256 only, whatever a token's header says.
//! Never: knows whether an account still exists. A token becomes a [`Subject`] when the caller
//! has said which uids its account and the object it is bound to have now.

mod keys;
mod wire;

use jsonwebtoken::{Algorithm, EncodingKey, Header, Validation};
use rcgen::{KeyPair, PublicKeyData};
use sha2::{Digest, Sha256};

use crate::subject::{NameError, Subject, account_of};
use keys::Known;
use wire::{Claims, Kubernetes, Object};

/// Largest token that is read.
pub const LARGEST_TOKEN: usize = 16 * 1024;
/// Shortest life that can be asked for: ten minutes, as Kubernetes has it.
pub const SHORTEST_LIFE_S: i64 = 600;
/// Longest life: a year.
pub const LONGEST_LIFE_S: i64 = 365 * 86_400;
/// How far ahead the clock of the server that made it may be.
const SKEW_S: i64 = 60;
/// Most audiences of a token.
const MOST_AUDIENCES: usize = 16;

/// Whom a token speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A service account.
    Account {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Its uid: the token ends with it.
        uid: String,
        /// What else the token ends with.
        bound: Option<Bound>,
    },
    /// A user. Nothing but time ends such a token.
    User {
        /// The user's name.
        user: String,
        /// The user's groups.
        groups: Vec<String>,
    },
}

/// An object a token lives as long as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Which kind.
    pub kind: BoundKind,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// What a token can be bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoundKind {
    /// A pod in the account's namespace.
    Pod,
    /// A secret in the account's namespace.
    Secret,
    /// A node.
    Node,
}

impl BoundKind {
    fn name(self) -> &'static str {
        match self {
            BoundKind::Pod => "pod",
            BoundKind::Secret => "secret",
            BoundKind::Node => "node",
        }
    }
}

/// Why a token says nothing, or is not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// Too long, or no token.
    #[error("the bearer token cannot be read")]
    Malformed,
    /// Another algorithm than the only one.
    #[error("the bearer token is signed with another algorithm than ES256")]
    Algorithm,
    /// Nobody here has that key.
    #[error("the bearer token is signed with a key that is not this cluster's")]
    UnknownKey,
    /// The signature is not the key's.
    #[error("the bearer token's signature is wrong")]
    Forged,
    /// Its time is over.
    #[error("the bearer token has expired: have a new one made")]
    Expired,
    /// Its time has not come.
    #[error("the bearer token is not valid yet: compare the clocks of both machines")]
    NotYetValid,
    /// Somebody else made it.
    #[error("the bearer token was made by \"{}\", not by this cluster", weft_stdx::name::shown(.0))]
    Issuer(String),
    /// It is meant for somebody else.
    #[error("the bearer token is meant for another audience than \"{0}\"")]
    Audience(String),
    /// What it says does not fit together.
    #[error("the bearer token contradicts itself")]
    Inconsistent,
    /// The account, or what the token is bound to, is gone or another one by now.
    #[error("the {0} this bearer token belongs to was deleted")]
    Gone(&'static str),
    /// No such user or account can exist.
    #[error(transparent)]
    Name(#[from] NameError),
    /// It would be good for too short or too long.
    #[error("a token good for {0} seconds: {SHORTEST_LIFE_S} to {LONGEST_LIFE_S} are possible")]
    Life(i64),
    /// It would be meant for nobody, or for everybody.
    #[error("a token for {0} audiences: 1 to {MOST_AUDIENCES} are possible")]
    Audiences(usize),
    /// The library did not sign.
    #[error("sign a token: {0}")]
    Sign(String),
}

/// Makes tokens.
pub struct Signer {
    key: EncodingKey,
    key_id: String,
    issuer: String,
}

/// Reads tokens.
#[derive(Clone)]
pub struct Verifier {
    keys: Vec<Known>,
    issuer: String,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({}, {})", self.issuer, self.key_id)
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Verifier({})", self.issuer)
    }
}

/// What makes tokens in the name of `issuer`, and what reads them.
pub(crate) fn signer_and_verifier(key: &KeyPair, issuer: &str) -> (Signer, Verifier) {
    let public = key.der_bytes();
    let key_id = weft_stdx::id::hex(&Sha256::digest(public)[..8]);
    let signer = Signer {
        key: EncodingKey::from_ec_der(key.serialized_der()),
        key_id: key_id.clone(),
        issuer: issuer.to_owned(),
    };
    let verifier = Verifier {
        keys: vec![Known::new(key_id, public)],
        issuer: issuer.to_owned(),
    };
    (signer, verifier)
}

impl Signer {
    /// A token for `holder`, to be shown to `audiences`.
    ///
    /// # Errors
    /// For names and times that cannot be.
    pub fn sign(
        &self,
        holder: &Holder,
        audiences: &[String],
        life_s: i64,
        now_s: i64,
    ) -> Result<String, JwtError> {
        if !(SHORTEST_LIFE_S..=LONGEST_LIFE_S).contains(&life_s) {
            return Err(JwtError::Life(life_s));
        }
        if !(1..=MOST_AUDIENCES).contains(&audiences.len()) {
            return Err(JwtError::Audiences(audiences.len()));
        }
        let (sub, kubernetes, groups) = parts(holder)?;
        let claims = Claims {
            iss: self.issuer.clone(),
            sub,
            aud: audiences.to_vec(),
            exp: now_s.saturating_add(life_s),
            nbf: now_s,
            iat: now_s,
            jti: weft_stdx::id::random_hex(16),
            kubernetes,
            groups,
        };
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.key_id.clone());
        jsonwebtoken::encode(&header, &claims, &self.key)
            .map_err(|error| JwtError::Sign(error.to_string()))
    }
}

type Parts = (String, Option<Kubernetes>, Option<Vec<String>>);

fn parts(holder: &Holder) -> Result<Parts, JwtError> {
    match holder {
        Holder::User { user, groups } => {
            Subject::user(user, groups, 0)?;
            Ok((user.clone(), None, Some(groups.clone())))
        }
        Holder::Account {
            namespace,
            name,
            uid,
            bound,
        } => {
            let subject = Subject::account(namespace, name, 0)?;
            let of = |kind| {
                let bound = bound.as_ref().filter(|bound| bound.kind == kind);
                bound.map(|bound| Object {
                    name: bound.name.clone(),
                    uid: bound.uid.clone(),
                })
            };
            let kubernetes = Kubernetes {
                namespace: namespace.clone(),
                serviceaccount: Object {
                    name: name.clone(),
                    uid: uid.clone(),
                },
                pod: of(BoundKind::Pod),
                secret: of(BoundKind::Secret),
                node: of(BoundKind::Node),
            };
            Ok((subject.user, Some(kubernetes), None))
        }
    }
}

/// A token that is genuine and in time. Its holder may be gone: see [`Read::subject`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Whom it speaks for.
    pub holder: Holder,
    /// The audiences it is meant for.
    pub audiences: Vec<String>,
    /// Until when, in seconds since 1970.
    pub expires_s: i64,
    /// What tells it from other tokens, for the audit log.
    pub id: String,
}

impl Verifier {
    /// Reads the tokens of `other`'s keys as well: those before the key was replaced.
    #[must_use]
    pub(crate) fn and(mut self, other: Verifier) -> Verifier {
        self.keys.extend(other.keys);
        self
    }

    /// What `token` says to `audience`.
    ///
    /// # Errors
    /// See [`JwtError`]. The signature is checked before anything that it says.
    pub fn read(&self, token: &str, audience: &str, now_s: i64) -> Result<Read, JwtError> {
        let claims = self.verified(token)?;
        if claims.iss != self.issuer {
            return Err(JwtError::Issuer(claims.iss));
        }
        if now_s >= claims.exp {
            return Err(JwtError::Expired);
        }
        if claims.nbf > now_s.saturating_add(SKEW_S) {
            return Err(JwtError::NotYetValid);
        }
        if !claims.aud.iter().any(|meant| meant == audience) {
            return Err(JwtError::Audience(audience.to_owned()));
        }
        Ok(Read {
            expires_s: claims.exp,
            id: claims.jti.clone(),
            audiences: claims.aud.clone(),
            holder: holder(claims)?,
        })
    }

    fn verified(&self, token: &str) -> Result<Claims, JwtError> {
        use jsonwebtoken::errors::ErrorKind;
        if token.len() > LARGEST_TOKEN {
            return Err(JwtError::Malformed);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| JwtError::Malformed)?;
        if header.alg != Algorithm::ES256 {
            return Err(JwtError::Algorithm);
        }
        let known = |known: &&Known| Some(&known.id) == header.kid.as_ref();
        let known = self.keys.iter().find(known).ok_or(JwtError::UnknownKey)?;
        // The library asks the system for the time; what it would check is checked by `read`.
        let mut validation = Validation::new(Algorithm::ES256);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let data = jsonwebtoken::decode::<Claims>(token, &known.key, &validation);
        let data = data.map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => JwtError::Forged,
            _ => JwtError::Malformed,
        })?;
        Ok(data.claims)
    }
}

fn holder(claims: Claims) -> Result<Holder, JwtError> {
    match (claims.kubernetes, claims.groups) {
        (None, Some(groups)) => Ok(Holder::User {
            user: claims.sub,
            groups,
        }),
        (Some(claim), None) => {
            let named = (claim.namespace.as_str(), claim.serviceaccount.name.as_str());
            if account_of(&claims.sub) != Some(named) {
                return Err(JwtError::Inconsistent);
            }
            let bound = [
                (BoundKind::Pod, claim.pod),
                (BoundKind::Secret, claim.secret),
                (BoundKind::Node, claim.node),
            ];
            let mut bound = bound.into_iter().filter_map(|(kind, object)| {
                let Object { name, uid } = object?;
                Some(Bound { kind, name, uid })
            });
            let first = bound.next();
            if bound.next().is_some() {
                return Err(JwtError::Inconsistent);
            }
            Ok(Holder::Account {
                namespace: claim.namespace,
                name: claim.serviceaccount.name,
                uid: claim.serviceaccount.uid,
                bound: first,
            })
        }
        _ => Err(JwtError::Inconsistent),
    }
}

/// The uids that objects have now; none for what does not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Living<'a> {
    /// Of the service account.
    pub account: Option<&'a str>,
    /// Of what the token is bound to.
    pub bound: Option<&'a str>,
}

impl Read {
    /// Who shows it, if account and bound object are still the ones it was made for.
    ///
    /// # Errors
    /// [`JwtError::Gone`].
    pub fn subject(&self, living: Living<'_>) -> Result<Subject, JwtError> {
        match &self.holder {
            Holder::User { user, groups } => Ok(Subject::user(user, groups, self.expires_s)?),
            Holder::Account {
                namespace,
                name,
                uid,
                bound,
            } => {
                if living.account != Some(uid) {
                    return Err(JwtError::Gone("service account"));
                }
                if let Some(bound) = bound
                    && living.bound != Some(&bound.uid)
                {
                    return Err(JwtError::Gone(bound.kind.name()));
                }
                Ok(Subject::account(namespace, name, self.expires_s)?)
            }
        }
    }
}

#[cfg(test)]
mod tests;

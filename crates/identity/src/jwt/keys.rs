//! Public keys, as they read tokens here and as others are told of them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde_json::{Value, json};

use super::Verifier;

/// The public half of a key.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) id: String,
    pub(super) key: DecodingKey,
    /// The point of P-256, not compressed: 4, and two coordinates of 32 bytes.
    point: Vec<u8>,
}

impl Known {
    pub(super) fn new(id: String, point: &[u8]) -> Known {
        Known {
            id,
            key: DecodingKey::from_ec_der(point),
            point: point.to_vec(),
        }
    }
}

impl Verifier {
    /// The public halves of its keys, for others to read tokens with (RFC 7517).
    ///
    /// # Panics
    /// Never: all keys are of P-256.
    pub fn key_set(&self) -> Value {
        let keys = self.keys.iter().map(|known| {
            let (x, y) = known.point[1..].split_at(32);
            json!({
                "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": known.id,
                "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
            })
        });
        json!({ "keys": keys.collect::<Vec<_>>() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::Authority;
    use crate::jwt::Holder;
    use jsonwebtoken::jwk::JwkSet;
    use jsonwebtoken::{Algorithm, Validation};

    #[test]
    fn others_read_tokens_by_what_they_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("authority");
        let now = 1_800_000_000;
        let first = Authority::create(&dir, now).unwrap();
        let holder = Holder::User {
            user: "ann".into(),
            groups: vec![],
        };
        let (signer, _) = first.tokens("https://issuer.example");
        let token = signer.sign(&holder, &["a".to_owned()], 600, now).unwrap();
        // Also those of the key before.
        let second = Authority::rotate_token_key(&dir).unwrap();
        let (_, verifier) = second.tokens("https://issuer.example");
        let keys: JwkSet = serde_json::from_value(verifier.key_set()).unwrap();
        assert_eq!(keys.keys.len(), 2);
        let kid = jsonwebtoken::decode_header(&token).unwrap().kid.unwrap();
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&["a"]);
        validation.validate_exp = false;
        for key in &keys.keys {
            let is_it = key.common.key_id.as_deref() == Some(kid.as_str());
            let key = DecodingKey::from_jwk(key).unwrap();
            let read = jsonwebtoken::decode::<Value>(&token, &key, &validation);
            assert_eq!(read.is_ok(), is_it, "{read:?}");
        }
    }
}

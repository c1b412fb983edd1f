//! Tokens that are good, and all the ways in which they are not.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

use super::*;
use crate::authority::Authority;
use crate::subject::Kind;

const NOW: i64 = 1_800_000_000;
const API: &str = "https://api.example";
const ISSUER: &str = "https://issuer.example";

fn keys(issuer: &str) -> (Signer, Verifier) {
    signer_and_verifier(&KeyPair::generate().unwrap(), issuer)
}

fn account(bound: Option<Bound>) -> Holder {
    Holder::Account {
        namespace: "shop".into(),
        name: "db".into(),
        uid: "u-1".into(),
        bound,
    }
}

fn pod() -> Bound {
    Bound {
        kind: BoundKind::Pod,
        name: "db-0".into(),
        uid: "p-1".into(),
    }
}

fn signed(signer: &Signer, holder: &Holder) -> String {
    let audiences = [API.to_owned()];
    signer.sign(holder, &audiences, 3600, NOW).unwrap()
}

/// The token with claims or header changed, and the old signature.
fn changed(token: &str, part: usize, change: impl Fn(&mut Value)) -> String {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let bytes = BASE64.decode(&parts[part]).unwrap();
    let mut value = serde_json::from_slice(&bytes).unwrap();
    change(&mut value);
    parts[part] = BASE64.encode(value.to_string());
    parts.join(".")
}

/// The claims of a token, changed and signed anew: what only the holder of the key can do.
fn resigned(signer: &Signer, token: &str, change: impl Fn(&mut Value)) -> String {
    let claims = changed(token, 1, change);
    let claims = BASE64.decode(claims.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some(signer.key_id.clone());
    jsonwebtoken::encode(&header, &claims, &signer.key).unwrap()
}

#[test]
fn a_token_is_its_account_as_long_as_both_live() {
    let (signer, verifier) = keys(ISSUER);
    let token = signed(&signer, &account(Some(pod())));
    let read = verifier.read(&token, API, NOW).unwrap();
    assert_eq!(read.holder, account(Some(pod())));
    let subject = |account, bound| read.subject(Living { account, bound });
    let good = subject(Some("u-1"), Some("p-1")).unwrap();
    assert_eq!(good.user, "system:serviceaccount:shop:db");
    assert_eq!((good.kind, good.expires_s), (Kind::Workload, NOW + 3600));
    let gone = |what| Err(JwtError::Gone(what));
    assert_eq!(subject(None, Some("p-1")), gone("service account"));
    assert_eq!(subject(Some("u-2"), Some("p-1")), gone("service account"));
    assert_eq!(subject(Some("u-1"), None), gone("pod"));
    assert_eq!(subject(Some("u-1"), Some("p-2")), gone("pod"));
    let free = signed(&signer, &account(None));
    let free = verifier.read(&free, API, NOW).unwrap();
    let living = Living {
        account: Some("u-1"),
        bound: None,
    };
    assert!(free.subject(living).is_ok());
}

#[test]
fn a_user_can_have_one() {
    let (signer, verifier) = keys(ISSUER);
    let user = Holder::User {
        user: "alice".into(),
        groups: vec!["dev".into()],
    };
    let read = verifier.read(&signed(&signer, &user), API, NOW).unwrap();
    let subject = read.subject(Living::default()).unwrap();
    assert_eq!((subject.user.as_str(), subject.kind), ("alice", Kind::User));
    assert_eq!(subject.groups, ["dev", "system:authenticated"]);
    let mask = Holder::User {
        user: "system:serviceaccount:a:b".into(),
        groups: vec![],
    };
    let refused = signer.sign(&mask, &[API.into()], 3600, NOW);
    assert!(matches!(refused, Err(JwtError::Name(_))), "{refused:?}");
}

#[test]
fn what_was_changed_is_forged() {
    let (signer, verifier) = keys(ISSUER);
    let token = signed(&signer, &account(None));
    let other = changed(&token, 1, |claims| {
        claims["sub"] = json!("system:serviceaccount:kube-system:admin");
    });
    assert_eq!(verifier.read(&other, API, NOW), Err(JwtError::Forged));
    let long = changed(&token, 1, |claims| claims["exp"] = json!(NOW * 2));
    assert_eq!(verifier.read(&long, API, NOW), Err(JwtError::Forged));
    // The key id of ours, the signature of somebody else's key.
    let (mut thief, _) = keys(ISSUER);
    thief.key_id.clone_from(&signer.key_id);
    let stolen = signed(&thief, &account(None));
    assert_eq!(verifier.read(&stolen, API, NOW), Err(JwtError::Forged));
    let (stranger, _) = keys(ISSUER);
    let strange = signed(&stranger, &account(None));
    assert_eq!(verifier.read(&strange, API, NOW), Err(JwtError::UnknownKey));
}

#[test]
fn no_header_chooses_the_algorithm() {
    let (signer, verifier) = keys(ISSUER);
    let token = signed(&signer, &account(None));
    for none in ["none", "None", "NONE", ""] {
        let unsigned = changed(&token, 0, |header| header["alg"] = json!(none));
        let bare = format!("{}.", unsigned.rsplit_once('.').unwrap().0);
        for token in [unsigned, bare] {
            assert_eq!(verifier.read(&token, API, NOW), Err(JwtError::Malformed));
        }
    }
    for other in ["HS256", "RS256", "ES384", "EdDSA"] {
        let token = changed(&token, 0, |header| header["alg"] = json!(other));
        assert_eq!(verifier.read(&token, API, NOW), Err(JwtError::Algorithm));
    }
    // Signed with the public key as an HMAC secret.
    let id = &verifier.keys[0].id;
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some(id.clone());
    let secret = EncodingKey::from_secret(b"public");
    let confused = jsonwebtoken::encode(&header, &json!({}), &secret).unwrap();
    assert_eq!(verifier.read(&confused, API, NOW), Err(JwtError::Algorithm));
    let keyless = changed(&token, 0, |header| {
        header.as_object_mut().unwrap().remove("kid");
    });
    assert_eq!(verifier.read(&keyless, API, NOW), Err(JwtError::UnknownKey));
}

#[test]
fn time_audience_and_issuer_are_held_to() {
    let key = KeyPair::generate().unwrap();
    let (signer, verifier) = signer_and_verifier(&key, ISSUER);
    let token = signed(&signer, &account(None));
    assert!(verifier.read(&token, API, NOW + 3599).is_ok());
    let late = verifier.read(&token, API, NOW + 3600);
    assert_eq!(late, Err(JwtError::Expired));
    let early = verifier.read(&token, API, NOW - SKEW_S - 1);
    assert_eq!(early, Err(JwtError::NotYetValid));
    let vault = verifier.read(&token, "vault", NOW);
    assert_eq!(vault, Err(JwtError::Audience("vault".into())));
    let (other, _) = signer_and_verifier(&key, "https://other.example");
    let foreign = verifier.read(&signed(&other, &account(None)), API, NOW);
    let issuer = "https://other.example".to_owned();
    assert_eq!(foreign, Err(JwtError::Issuer(issuer)));
}

#[test]
fn a_token_does_not_contradict_itself() {
    let (signer, verifier) = keys(ISSUER);
    let token = signed(&signer, &account(Some(pod())));
    let changes: [fn(&mut Value); 4] = [
        |claims| claims["sub"] = json!("alice"),
        |claims| claims["sub"] = json!("system:serviceaccount:shop:other"),
        |claims| claims["groups"] = json!(["system:masters"]),
        |claims| claims["kubernetes.io"]["node"] = json!({"name": "n", "uid": "u"}),
    ];
    for change in changes {
        let token = resigned(&signer, &token, change);
        assert_eq!(verifier.read(&token, API, NOW), Err(JwtError::Inconsistent));
    }
    let user = resigned(&signer, &token, |claims| {
        claims.as_object_mut().unwrap().remove("kubernetes.io");
        claims["groups"] = json!([]);
    });
    let user = verifier.read(&user, API, NOW).unwrap();
    let refused = user.subject(Living::default());
    assert!(matches!(refused, Err(JwtError::Name(_))), "{refused:?}");
    for claim in ["exp", "iss", "aud", "sub", "nbf"] {
        let token = resigned(&signer, &token, |claims| {
            claims.as_object_mut().unwrap().remove(claim);
        });
        assert_eq!(verifier.read(&token, API, NOW), Err(JwtError::Malformed));
    }
}

#[test]
fn what_is_no_token_is_refused() {
    let (signer, verifier) = keys(ISSUER);
    let token = signed(&signer, &account(None));
    let large = "a".repeat(LARGEST_TOKEN + 1);
    for text in [
        "",
        ".",
        "..",
        "a.b.c",
        &token[..10],
        &format!("{token}.x"),
        &large,
    ] {
        assert_eq!(verifier.read(text, API, NOW), Err(JwtError::Malformed));
    }
}

#[test]
fn what_is_made_has_bounds() {
    let (signer, _) = keys(ISSUER);
    let sign = |audiences: &[String], life| signer.sign(&account(None), audiences, life, NOW);
    let one = [API.to_owned()];
    for life in [0, SHORTEST_LIFE_S - 1, LONGEST_LIFE_S + 1, i64::MAX] {
        assert_eq!(sign(&one, life), Err(JwtError::Life(life)));
    }
    assert_eq!(sign(&[], 3600), Err(JwtError::Audiences(0)));
    let many = vec![API.to_owned(); MOST_AUDIENCES + 1];
    assert_eq!(sign(&many, 3600), Err(JwtError::Audiences(17)));
}

#[test]
fn tokens_outlive_their_key_while_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("authority");
    let mut authority = Authority::create(&dir, NOW).unwrap();
    let first = signed(&authority.tokens(ISSUER).0, &account(None));
    for readable in [true, true, true, false] {
        authority = Authority::rotate_token_key(&dir).unwrap();
        let (signer, verifier) = authority.tokens(ISSUER);
        let own = signed(&signer, &account(None));
        assert!(verifier.read(&own, API, NOW).is_ok());
        let old = verifier.read(&first, API, NOW);
        assert_eq!(old.is_ok(), readable, "{old:?}");
    }
}

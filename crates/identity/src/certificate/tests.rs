//! Certificates as they are read: of this authority, of another, of nobody.

use super::*;
use crate::authority::tests::{NOW, authority, user};
use crate::authority::{CERTIFICATE_LIFE_S, Grant};

#[test]
fn what_stands_in_it_is_told() {
    let authority = authority();
    let made = authority
        .issue(&user("ann", &["dev", "ops"]), 60, NOW)
        .unwrap();
    let all = read_all(made.certificate.chain_pem.as_bytes()).unwrap();
    let [ann, issuer] = &all[..] else {
        panic!("{all:?}")
    };
    assert_eq!(
        (ann.subject.as_str(), ann.groups.join(" ")),
        ("ann", "dev ops".to_owned())
    );
    assert_eq!(ann.issuer, issuer.subject);
    assert!(ann.is_for_clients && !ann.is_for_servers && !ann.is_authority);
    assert!(issuer.is_authority && !issuer.is_root());
    assert_eq!(ann.not_after_s, NOW + 60);
    assert_eq!(ann.serial.len(), 32);
    assert_eq!((ann.sha256.len(), ann.key_sha256.len()), (64, 64));
    assert_ne!(ann.key_sha256, issuer.key_sha256);
    let names = vec!["api.example".into(), "10.0.0.1".into(), "fd00::1".into()];
    let server = authority.issue(&Grant::Server { names }, 60, NOW).unwrap();
    let server = Certificate::of(server.certificate.chain[0].clone()).unwrap();
    assert_eq!(server.names, ["api.example", "10.0.0.1", "fd00::1"]);
    assert!(server.is_for_servers && !server.is_for_clients);
}

#[test]
fn its_time_is_told() {
    let made = authority()
        .issue(&user("ann", &[]), CERTIFICATE_LIFE_S, NOW)
        .unwrap();
    let ann = Certificate::of(made.certificate.chain[0].clone()).unwrap();
    for (at, standing) in [
        (ann.not_before_s - 1, Standing::NotYet),
        (ann.not_before_s, Standing::Good),
        (NOW, Standing::Good),
        (ann.not_after_s, Standing::Good),
        (ann.not_after_s + 1, Standing::Over),
    ] {
        assert_eq!(ann.standing(at), standing, "{at}");
    }
}

#[test]
fn who_signed_it_is_found_by_signatures() {
    let (ours, theirs) = (authority(), authority());
    let chain = |authority: &crate::authority::Authority| {
        let made = authority.issue(&user("ann", &[]), 60, NOW).unwrap();
        read_all(made.certificate.chain_pem.as_bytes()).unwrap()
    };
    let (own, other) = (chain(&ours), chain(&theirs));
    let root = read_all(ours.root_pem().as_bytes()).unwrap();
    assert!(root[0].is_root());
    assert!(own[0].is_signed_by(&own[1]) && !own[0].is_signed_by(&other[1]));
    assert!(own[0].leads_to(&own[1..], &root));
    assert!(own[0].leads_to(&own, &root), "it may stand there itself");
    assert!(!own[0].leads_to(&[], &root), "who is between is missing");
    assert!(!own[0].leads_to(&other, &root));
    assert!(!other[0].leads_to(&other, &root));
    // A user's certificate signs nothing, whatever its name.
    assert!(!own[0].is_signed_by(&own[0]) && !own[0].is_root());
    assert_eq!(root[0].authority_hash(), ours.root_hash());
}

#[test]
fn a_key_fits_its_certificate_alone() {
    let authority = authority();
    let (one, two) = (
        authority.issue(&user("ann", &[]), 60, NOW).unwrap(),
        authority.issue(&user("ann", &[]), 60, NOW).unwrap(),
    );
    let ann = Certificate::of(one.certificate.chain[0].clone()).unwrap();
    assert_eq!(ann.fits(one.key_pem.as_bytes()), Ok(true));
    assert_eq!(ann.fits(two.key_pem.as_bytes()), Ok(false));
    for nothing in ["", "x", &one.certificate.chain_pem] {
        assert!(ann.fits(nothing.as_bytes()).is_err());
    }
}

#[test]
fn what_is_none_is_refused() {
    assert_eq!(read_all(b""), Err(ReadError::Empty));
    assert_eq!(read_all(b"hello"), Err(ReadError::Empty));
    let good = authority().root_pem().to_owned();
    let bad = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let refused = read_all(format!("{good}{bad}").as_bytes());
    assert!(
        matches!(refused, Err(ReadError::Broken(2, _))),
        "{refused:?}"
    );
    let half = &good[..good.len() / 2];
    assert!(read_all(half.as_bytes()).is_err());
    assert_eq!(
        read_all(good.repeat(MOST + 1).as_bytes()),
        Err(ReadError::Many)
    );
    assert_eq!(
        read_all(good.repeat(MOST).as_bytes()).map(|all| all.len()),
        Ok(MOST)
    );
}

#[test]
fn a_hash_is_typed_as_kubeadm_prints_it() {
    let hash = authority().root_hash();
    let digits = hash.strip_prefix(HASH_PREFIX).unwrap();
    assert_eq!(parse_hash(&hash).as_deref(), Ok(digits));
    let large = format!("{HASH_PREFIX}{}", digits.to_uppercase());
    assert_eq!(parse_hash(&large).as_deref(), Ok(digits));
    for wrong in [
        "",
        "sha256:",
        digits,
        &hash[..70],
        &format!("{hash}0"),
        &hash.replace("sha256", "sha1"),
    ] {
        assert!(parse_hash(wrong).is_err(), "{wrong}");
    }
}

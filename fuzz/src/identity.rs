//! What strangers show to say who they are.
//!
//! Owns the targets of `weft-identity`, and what must hold whatever they show: nobody becomes
//! somebody that no seed is.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use weft_identity::authority::{Authority, Grant, Trust, name_of};
use weft_identity::certificate::read_all;
use weft_identity::jwt::{Holder, Signer, Verifier};
use weft_identity::sealed::{Keys, Place};
use weft_identity::token::Token;

use crate::targets::Target;

/// Requests for certificates, certificates, tokens of both kinds, sealed values.
pub const TARGETS: [Target; 6] = [
    Target {
        name: "certificate-files",
        run: files,
        seeds: file_seeds,
    },
    Target {
        name: "csr",
        run: csr,
        seeds: csr_seeds,
    },
    Target {
        name: "client-certificate",
        run: certificate,
        seeds: certificate_seeds,
    },
    Target {
        name: "bootstrap-token",
        run: bootstrap,
        seeds: bootstrap_seeds,
    },
    Target {
        name: "jwt",
        run: jwt,
        seeds: jwt_seeds,
    },
    Target {
        name: "sealed",
        run: sealed,
        seeds: sealed_seeds,
    },
];

const NOW: i64 = 1_800_000_000;
const LIFE: i64 = 3600;
const AUDIENCE: &str = "https://api.example";
const PLACE: Place<'_> = Place {
    namespace: "shop",
    name: "db",
};
/// How DER begins.
const SEQUENCE: u8 = 0x30;
const VALUE: &[u8] = b"a sealed value";
/// Made by OpenSSL, one with a key of RSA, one with a curve nobody here verifies.
const REQUESTS: [&str; 2] = [
    include_str!("../../crates/identity/src/authority/testdata/rsa2048.csr"),
    include_str!("../../crates/identity/src/authority/testdata/secp256k1.csr"),
];

struct World {
    authority: Authority,
    trust: Trust,
    signer: Signer,
    verifier: Verifier,
    keys: Keys,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let dir = tempfile::tempdir().expect("there is room for a key");
        let authority = Authority::create(&dir.path().join("authority"), NOW);
        let authority = authority.expect("an authority can be made");
        let keys = Keys::create(&dir.path().join("keys")).expect("a key can be made");
        let (signer, verifier) = authority.tokens("https://issuer.example");
        World {
            trust: authority.trust(),
            authority,
            signer,
            verifier,
            keys,
        }
    })
}

fn alice() -> Grant {
    Grant::User {
        user: "alice".to_owned(),
        groups: vec!["dev".to_owned(), "ops".to_owned()],
    }
}

fn csr(input: &[u8]) {
    let world = world();
    // Damage to base64 is found at once; damage to what is in it goes further.
    let text = match input.first() {
        Some(&SEQUENCE) => pem(input),
        _ => String::from_utf8_lossy(input).into_owned(),
    };
    let name = name_of(&text);
    if let Ok(signed) = world.authority.sign(&text, &alice(), LIFE, NOW) {
        assert!(
            matches!(
                name.as_ref().map(Option::as_deref),
                Ok(None | Some("alice"))
            ),
            "{name:?}"
        );
        let subject = world.trust.subject(&signed.chain[0], NOW);
        assert_eq!(
            subject.map(|subject| subject.user).ok().as_deref(),
            Some("alice")
        );
    }
}

fn csr_seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = REQUESTS.map(|text| text.as_bytes().to_vec()).to_vec();
    for text in REQUESTS {
        let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        seeds.push(STANDARD.decode(body).expect("OpenSSL writes base64"));
    }
    seeds
}

fn pem(der: &[u8]) -> String {
    let label = "CERTIFICATE REQUEST";
    let body = STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

fn certificate(input: &[u8]) {
    if let Ok(subject) = world().trust.subject(input, NOW) {
        let known = ["alice", "system:node:n1", "system:serviceaccount:shop:db"];
        assert!(known.contains(&subject.user.as_str()), "{subject:?}");
    }
}

fn certificate_seeds() -> Vec<Vec<u8>> {
    let world = world();
    let grants = [
        alice(),
        Grant::Node {
            name: "n1".to_owned(),
        },
        Grant::Workload {
            namespace: "shop".to_owned(),
            account: "db".to_owned(),
        },
        Grant::Server {
            names: vec!["weft.example".to_owned(), "::1".to_owned()],
        },
    ];
    let issue = |grant: &Grant| {
        let pair = world.authority.issue(grant, LIFE, NOW);
        pair.expect("the grants are good").certificate.chain
    };
    let chains = grants.iter().flat_map(issue);
    chains.map(|one| one.to_vec()).collect()
}

/// Whatever stands in a file, no chain of strangers leads to our root.
fn files(input: &[u8]) {
    let Ok(all) = read_all(input) else { return };
    let roots = read_all(world().authority.root_pem().as_bytes()).expect("it is a certificate");
    for one in &all {
        let _ = (one.fits(input), one.standing(NOW));
        if one.leads_to(&all, &roots) {
            let is_ours = one.subject == "alice" || one.is_authority;
            assert!(is_ours || one.subject.starts_with("system:"), "{one:?}");
        }
    }
}

fn file_seeds() -> Vec<Vec<u8>> {
    let world = world();
    let pair = world.authority.issue(&alice(), LIFE, NOW);
    let pair = pair.expect("the grant is good");
    let chain = &pair.certificate.chain_pem;
    vec![
        chain.clone().into_bytes(),
        format!("{chain}{}", *pair.key_pem).into_bytes(),
        world.authority.root_pem().as_bytes().to_vec(),
    ]
}

fn bootstrap(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(token) = Token::parse(&text) {
        assert_eq!(*token.reveal(), *text);
        assert!(text.starts_with(token.id()));
    }
}

fn bootstrap_seeds() -> Vec<Vec<u8>> {
    vec![b"abcdef.0123456789abcdef".to_vec()]
}

fn account() -> Holder {
    Holder::Account {
        namespace: "shop".to_owned(),
        name: "db".to_owned(),
        uid: "1".to_owned(),
        bound: None,
    }
}

fn jwt(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(read) = world().verifier.read(&text, AUDIENCE, NOW) {
        assert_eq!(read.holder, account());
    }
}

fn jwt_seeds() -> Vec<Vec<u8>> {
    let audiences = [AUDIENCE.to_owned()];
    let token = world().signer.sign(&account(), &audiences, LIFE, NOW);
    let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.";
    vec![
        token.expect("the account is good").into_bytes(),
        none.as_bytes().to_vec(),
    ]
}

fn sealed(input: &[u8]) {
    let keys = &world().keys;
    if let Ok(value) = keys.unseal(PLACE, input) {
        assert_eq!(&value[..], VALUE);
    }
    let _ = keys.reseal(PLACE, input);
}

fn sealed_seeds() -> Vec<Vec<u8>> {
    vec![world().keys.seal(PLACE, VALUE)]
}

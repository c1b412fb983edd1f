//! `weft server`: a bootstrap token and nothing else, to a certificate, with curl and openssl.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use weft_testkit::wait::SOON;
use weft_testkit::{Background, Ran, Weft, peer, until};

use crate::server_kubectl::kubectl;

const CERTIFICATES: &str = "/apis/nanocloud.io/v1/certificates";
const TOKENS: &str = "/apis/nanocloud.io/v1/bootstraptokens";
const LATER: Duration = Duration::from_secs(60);

fn server() -> Option<Weft> {
    for program in ["kubectl", "curl", "openssl"] {
        peer(program)?;
    }
    Weft::server(crate::WEFT)
}

/// `weft <line>` as the user that kubectl is.
fn cli(weft: &Weft, line: &str) -> Ran {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut command = weft.command(&words);
    command.env("KUBECONFIG", weft.kubeconfig("admin", "system:masters"));
    Background::start(command).finish(SOON)
}

fn token(weft: &Weft, flags: &str) -> String {
    let made = cli(weft, &format!("token create {flags}"));
    made.ok().trim().to_owned()
}

/// A key and a request for it, made by openssl.
fn request(weft: &Weft, name: &str, subject: &str) -> (PathBuf, String) {
    request_of(weft, name, subject, &["-newkey", "rsa:2048"])
}

fn request_of(weft: &Weft, name: &str, subject: &str, key: &[&str]) -> (PathBuf, String) {
    let path = weft.scratch().join(format!("{name}.key"));
    let mut openssl = Command::new(peer("openssl").unwrap());
    openssl.args(["req", "-new", "-nodes", "-batch", "-subj", subject]);
    openssl.args(key).arg("-keyout").arg(&path);
    let made = openssl.output().unwrap();
    assert!(made.status.success(), "{made:?}");
    (path, String::from_utf8(made.stdout).unwrap())
}

fn body(csr: &str) -> String {
    json!({
        "apiVersion": "nanocloud.io/v1", "kind": "Certificate", "spec": { "csr": csr },
    })
    .to_string()
}

/// curl's arguments for a POST with a bearer token.
fn curl(weft: &Weft, method: &str, path: &str, proof: &[&str], body: &str) -> Command {
    let mut curl = Command::new(peer("curl").unwrap());
    curl.args(["--silent", "--insecure", "--write-out", "\n%{http_code}"]);
    curl.args(["--request", method]).args(proof);
    if !body.is_empty() {
        curl.args(["--header", "Content-Type: application/json", "--data", body]);
    }
    curl.arg(format!("https://{}{path}", weft.address()));
    curl
}

fn answer(said: &str) -> (String, Value) {
    let (body, code) = said.rsplit_once('\n').unwrap();
    let value = serde_json::from_str(body).unwrap_or_default();
    (code.to_owned(), value)
}

fn ask(weft: &Weft, method: &str, path: &str, proof: &[&str], body: &str) -> (String, Value) {
    let said = curl(weft, method, path, proof, body).output().unwrap();
    answer(&String::from_utf8(said.stdout).unwrap())
}

fn exchange(weft: &Weft, token: &str, csr: &str) -> (String, Value) {
    let bearer = format!("Authorization: Bearer {token}");
    ask(
        weft,
        "POST",
        CERTIFICATES,
        &["--header", &bearer],
        &body(csr),
    )
}

/// The certificate of an answer in a file.
fn keep(weft: &Weft, name: &str, answer: &Value) -> PathBuf {
    let path = weft.scratch().join(format!("{name}.crt"));
    std::fs::write(&path, answer["status"]["certificate"].as_str().unwrap()).unwrap();
    path
}

fn shown(certificate: &Path) -> String {
    let mut openssl = Command::new(peer("openssl").unwrap());
    openssl.args(["x509", "-noout", "-subject", "-nameopt", "RFC2253", "-in"]);
    let said = openssl.arg(certificate).output().unwrap();
    String::from_utf8(said.stdout).unwrap()
}

/// A kubeconfig of a key and a certificate.
fn kubeconfig(weft: &Weft, name: &str, key: &Path, certificate: &Path, ca: &str) -> String {
    let authority = weft.scratch().join(format!("{name}.ca"));
    std::fs::write(&authority, ca).unwrap();
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{ "name": "c", "cluster": {
            "server": format!("https://{}", weft.address()), "certificate-authority": authority,
        } }],
        "users": [{ "name": "u", "user": {
            "client-certificate": certificate, "client-key": key,
        } }],
        "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u" } }],
    });
    let path = weft.scratch().join(format!("{name}.yaml"));
    std::fs::write(&path, config.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_token_buys_a_certificate_for_kubectl() {
    let Some(weft) = server() else { return };
    kubectl(
        &weft,
        "create clusterrolebinding devs --clusterrole=view --group=devs",
    )
    .ok();
    let token = token(&weft, "--for ann --group devs --description laptop");
    // The request asks for more than it gets.
    let (key, csr) = request(&weft, "ann", "/O=system:masters/CN=ann");
    let (code, made) = exchange(&weft, &token, &csr);
    assert_eq!(code, "201", "{made}");
    let certificate = keep(&weft, "ann", &made);
    assert_eq!(shown(&certificate).trim(), "subject=CN=ann,O=devs");
    let until: jiff::Timestamp = made["status"]["expirationTimestamp"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let left = until.duration_since(jiff::Timestamp::now()).as_hours();
    assert!((166..=168).contains(&left), "{left} hours");
    let ca = made["status"]["caBundle"].as_str().unwrap();
    let config = kubeconfig(&weft, "ann", &key, &certificate, ca);
    until_ok(&weft, &config, "get configmaps -A");
    let ann = |line: &str| kubectl(&weft, &format!("--kubeconfig {config} {line}"));
    let who = ann("auth whoami -o jsonpath={.status.userInfo}");
    let who: Value = serde_json::from_str(who.ok()).unwrap();
    assert_eq!(who["username"], "ann");
    assert_eq!(who["groups"], json!(["devs", "system:authenticated"]));
    for refused in [
        "create configmap a",
        "get bootstraptokens",
        "get clusterroles",
    ] {
        ann(refused).fails_saying(&["User \"ann\" cannot"]);
    }
    // It is used up, and says so to who has it.
    let (code, refused) = exchange(&weft, &token, &csr);
    assert_eq!(code, "401", "{refused}");
    assert!(
        refused["message"].as_str().unwrap().contains("used up"),
        "{refused}"
    );
    let listed = cli(&weft, "token list");
    let line = listed.ok().lines().nth(1).unwrap().to_owned();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[..4], [&token[..6], "ann", "devs", "1/1"], "{line}");
    // With the certificate: another one of the same name and groups, for another key.
    let proof = [
        "--cert",
        certificate.to_str().unwrap(),
        "--key",
        key.to_str().unwrap(),
    ];
    let (_, other) = request_of(
        &weft,
        "ann2",
        "/CN=ann",
        &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    );
    let (code, renewed) = ask(&weft, "POST", CERTIFICATES, &proof, &body(&other));
    assert_eq!(code, "201", "{renewed}");
    let renewed = keep(&weft, "ann2", &renewed);
    assert_eq!(shown(&renewed).trim(), "subject=CN=ann,O=devs");
    // As nobody else.
    let (_, bob) = request(&weft, "bob", "/CN=bob");
    let (code, refused) = ask(&weft, "POST", CERTIFICATES, &proof, &body(&bob));
    assert_eq!(code, "403", "{refused}");
}

/// Rights follow what is stored: soon, not in the same instant.
fn until_ok(weft: &Weft, config: &str, line: &str) {
    until(LATER, line, || {
        kubectl(weft, &format!("--kubeconfig {config} {line}")).code == 0
    });
}

#[test]
fn a_token_opens_nothing_else() {
    let Some(weft) = server() else { return };
    let token = token(&weft, "--for root --group system:masters --uses 5");
    let bearer = format!("Authorization: Bearer {token}");
    let proof = ["--header", bearer.as_str()];
    let one = format!("{CERTIFICATES}/x");
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/api"),
        ("GET", "/apis"),
        ("GET", "/metrics"),
        ("GET", "/openapi/v3"),
        ("GET", "/.well-known/openid-configuration"),
        ("GET", "/openid/v1/jwks"),
        ("GET", "/api/v1/namespaces"),
        ("POST", "/api/v1/namespaces"),
        ("GET", TOKENS),
        ("POST", TOKENS),
        ("DELETE", TOKENS),
        ("GET", CERTIFICATES),
        ("PUT", CERTIFICATES),
        ("DELETE", CERTIFICATES),
        ("POST", &one),
        ("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews"),
        (
            "POST",
            "/api/v1/namespaces/default/serviceaccounts/default/token",
        ),
        ("GET", "/not-there"),
    ] {
        let (code, said) = ask(&weft, method, path, &proof, "");
        assert_eq!(code, "401", "{method} {path}: {said}");
    }
    // Where it is good, it makes of nobody somebody else.
    let (_, csr) = request(&weft, "root", "/CN=root");
    let (code, said) = ask(
        &weft,
        "POST",
        CERTIFICATES,
        &["--header", &bearer, "--header", "Impersonate-User: ann"],
        &body(&csr),
    );
    assert_eq!(code, "403", "{said}");
    // None of this was a use of it.
    let listed = kubectl(
        &weft,
        "get bootstraptokens -o jsonpath={.items[0].status.used}",
    );
    assert_eq!(listed.ok(), "0");
}

#[test]
fn tokens_that_are_not_good_are_refused() {
    let Some(weft) = server() else { return };
    let (_, csr) = request(&weft, "ann", "/CN=ann");
    let good = token(&weft, "--for ann");
    let (id, secret) = good.split_once('.').unwrap();
    let other = if secret.starts_with('a') { "b" } else { "a" };
    let unknown = if id.starts_with('a') { "b" } else { "a" };
    let mut told = Vec::new();
    for forged in [
        format!("{id}.{other}{}", &secret[1..]),
        format!("{unknown}{}.{secret}", &id[1..]),
    ] {
        let (code, said) = exchange(&weft, &forged, &csr);
        assert_eq!(code, "401", "{forged}: {said}");
        told.push(said["message"].clone());
    }
    // Who does not have it is not told whether there is one of that id.
    assert_eq!(told[0], told[1]);
    for nothing in ["", "x", &good[..22], "a.b.c"] {
        assert_eq!(exchange(&weft, nothing, &csr).0, "401", "{nothing}");
    }
    // A request that is none costs no use, nor does one for somebody else.
    let (_, mallory) = request(&weft, "mallory", "/CN=mallory");
    let weak = ["-newkey", "rsa:1024"];
    let (_, weak) = request_of(&weft, "weak", "/CN=ann", &weak);
    for (wrong, expected) in [
        ("", "422"),
        ("x", "422"),
        (&*weak, "422"),
        (&*mallory, "403"),
    ] {
        let (code, said) = exchange(&weft, &good, wrong);
        assert_eq!(code, expected, "{said}");
    }
    let (code, said) = exchange(&weft, &good, &csr);
    assert_eq!(code, "201", "{said}");
}

#[test]
fn a_token_ends_by_time_and_by_revocation() {
    let Some(weft) = server() else { return };
    let (_, csr) = request(&weft, "ann", "/CN=ann");
    let short = token(&weft, "--for ann --ttl 1s --uses 100");
    until(LATER, "the token to expire", || {
        let (code, said) = exchange(&weft, &short, &csr);
        let message = said["message"].as_str().unwrap_or_default();
        code == "401" && message.contains("expired")
    });
    let revoked = token(&weft, "--for ann --uses 100");
    cli(&weft, &format!("token revoke {revoked}")).ok();
    cli(&weft, &format!("token revoke {revoked}")).fails_saying(&["not found"]);
    until(LATER, "the address to be let in again", || {
        exchange(&weft, &revoked, &csr).0 == "401"
    });
    // Making one takes away those that are over.
    let next = token(&weft, "--for ann");
    let listed = kubectl(&weft, "get bootstraptokens -o name");
    let name = format!("bootstraptoken.nanocloud.io/{}", &next[..6]);
    assert_eq!(listed.ok().trim(), name);
}

#[test]
fn of_two_who_use_a_token_at_once_one_has_it() {
    let Some(weft) = server() else { return };
    let (_, csr) = request(&weft, "ann", "/CN=ann");
    for uses in [1, 3] {
        let token = token(&weft, &format!("--for ann --uses {uses}"));
        let bearer = format!("Authorization: Bearer {token}");
        let racing: Vec<Background> = (0..5)
            .map(|_| {
                let proof = ["--header", bearer.as_str()];
                Background::start(curl(&weft, "POST", CERTIFICATES, &proof, &body(&csr)))
            })
            .collect();
        let codes: Vec<String> = racing
            .into_iter()
            .map(|one| answer(one.finish(SOON).ok()).0)
            .collect();
        let won = codes.iter().filter(|code| *code == "201").count();
        assert_eq!(won, uses, "{codes:?}");
        assert!(
            codes.iter().all(|code| code == "201" || code == "401"),
            "{codes:?}"
        );
    }
}

#[test]
fn who_guesses_is_slowed_down() {
    let Some(weft) = server() else { return };
    let (_, csr) = request(&weft, "ann", "/CN=ann");
    let guess = "abcdef.0123456789abcdef";
    let limited = (0..100).any(|_| exchange(&weft, guess, &csr).0 == "429");
    assert!(limited);
    // Others are not: those who have shown who they are.
    kubectl(&weft, "get configmaps").ok();
}

#[test]
fn nobody_gives_by_a_token_what_they_are_not() {
    let Some(weft) = server() else { return };
    let role =
        "create clusterrole tokens --verb=create,get,list --resource=bootstraptokens.nanocloud.io";
    kubectl(&weft, role).ok();
    kubectl(
        &weft,
        "create clusterrolebinding tokens --clusterrole=tokens --user=maker",
    )
    .ok();
    until(LATER, "the maker may", || {
        kubectl(
            &weft,
            "--as maker auth can-i create bootstraptokens.nanocloud.io",
        )
        .code
            == 0
    });
    let make = |spec: Value| {
        let object = json!({
            "apiVersion": "nanocloud.io/v1", "kind": "BootstrapToken", "spec": spec,
        });
        let args = ["--as", "maker", "create", "--raw", TOKENS, "-f", "-"];
        weft.kubectl(&args, &object.to_string()).unwrap()
    };
    make(json!({ "groups": ["system:masters"] })).fails_saying(&["orbidden", "impersonate"]);
    make(json!({ "user": "admin" })).fails_saying(&["orbidden", "impersonate"]);
    // One that says nothing is for nobody that there is.
    let made: Value = serde_json::from_str(make(json!({})).ok()).unwrap();
    let name = made["metadata"]["name"].as_str().unwrap();
    assert_eq!(made["spec"]["user"], format!("bootstrap:{name}"));
    assert_eq!(made["spec"]["groups"], json!([]));
    // Its second half stands in what was answered, and nowhere else.
    let text = made["status"]["token"].as_str().unwrap();
    let secret = text.split_once('.').unwrap().1;
    let stored = kubectl(&weft, &format!("get bootstraptoken {name} -o json"));
    assert!(!stored.ok().contains(secret) && !stored.stdout.contains("sha256"));
    let kept = std::fs::read(weft.data_dir().join("server/keyspace.redb")).unwrap();
    let audit = std::fs::read(weft.data_dir().join("server/audit.log")).unwrap();
    for file in [&kept, &audit] {
        assert!(
            !file
                .windows(secret.len())
                .any(|part| part == secret.as_bytes())
        );
    }
    assert!(kept.windows(6).any(|part| part == name.as_bytes()));
    // It cannot be made into another.
    let patch = format!("patch bootstraptoken {name} --type=merge -p {{\"spec\":{{\"uses\":9}}}}");
    kubectl(&weft, &patch).fails_saying(&["does not allow this method"]);
    let records = "/apis/nanocloud.io/v1/bootstraptokenrecords";
    kubectl(&weft, &format!("get --raw {records}")).fails_saying(&["NotFound"]);
    for (spec, says) in [
        (json!({ "uses": 0 }), "spec.uses"),
        (json!({ "uses": -1 }), "spec.uses"),
        (json!({ "ttlSeconds": 0 }), "spec.ttlSeconds"),
        (json!({ "ttlSeconds": 99_999_999 }), "spec.ttlSeconds"),
    ] {
        make(spec).fails_saying(&[says]);
    }
}

#[test]
fn a_service_account_has_no_certificate() {
    let Some(weft) = server() else { return };
    let account = kubectl(&weft, "create token default")
        .ok()
        .trim()
        .to_owned();
    let bearer = format!("Authorization: Bearer {account}");
    let (_, csr) = request(&weft, "x", "/CN=system:serviceaccount:default:default");
    let (code, said) = ask(
        &weft,
        "POST",
        CERTIFICATES,
        &["--header", &bearer],
        &body(&csr),
    );
    assert_eq!(code, "403", "{said}");
    // Nor has whom somebody only asks as.
    let (_, csr) = request(&weft, "ann", "/CN=ann");
    let args = ["--as", "ann", "create", "--raw", CERTIFICATES, "-f", "-"];
    weft.kubectl(&args, &body(&csr))
        .unwrap()
        .fails_saying(&["orbidden"]);
}

#[test]
fn a_token_is_shown_as_a_picture() {
    let Some(weft) = server() else { return };
    for (wrong, says) in [
        ("--uses 0", "0 is not in 1..=10000"),
        ("--uses -1", "-1 is not in 1..=10000"),
        ("--uses x", "not a whole number"),
        ("--ttl x", "no time like"),
        (
            "--ttl 0",
            "spec.ttlSeconds: Invalid value: 0: a token good for 0 seconds",
        ),
        ("--ttl 999999h", "1 to 2592000 are possible"),
    ] {
        cli(&weft, &format!("token create {wrong}")).fails_saying(&[says]);
    }
    let made = cli(&weft, "token create --qr");
    let lines: Vec<&str> = made.ok().lines().collect();
    assert_eq!(lines[0].len(), 23, "{}", made.stdout);
    assert!(lines.len() > 12, "{}", made.stdout);
    assert!(lines[1].chars().all(|c| c == '█') && lines[2..].iter().any(|line| line.contains('▄')));
    assert!(made.stderr.contains("not shown again"), "{}", made.stderr);
    // Who listens to this machine alone is told.
    assert!(made.stderr.contains("only this machine"), "{}", made.stderr);
    cli(&weft, &format!("--curl token revoke {}", lines[0]))
        .ok()
        .split_whitespace()
        .find(|word| word.contains(&format!("{TOKENS}/{}", &lines[0][..6])))
        .expect("the request is printed");
    kubectl(&weft, &format!("get bootstraptoken {}", &lines[0][..6])).ok();
}

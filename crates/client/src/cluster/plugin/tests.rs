//! What a kubeconfig says of a program, and what programs answer. Never: runs one.

#![allow(clippy::unwrap_used)]

use super::*;

fn plugin(exec: &Value) -> Result<Plugin, ApiError> {
    let extension = json!({ "name": "client.authentication.k8s.io/exec", "extension": { "a": 1 } });
    let cluster = json!({ "extensions": [{ "name": "x" }, extension] });
    Plugin::of(Path::new("/k/config"), exec, &cluster)
}

fn good() -> Value {
    json!({
        "apiVersion": "client.authentication.k8s.io/v1", "command": "login", "args": ["-x"],
        "env": [{ "name": "A", "value": "b" }], "interactiveMode": "Never",
    })
}

fn with(key: &str, value: Value) -> Value {
    let mut exec = good();
    exec[key] = value;
    exec
}

#[test]
fn what_cannot_be_run_is_refused() {
    for (key, value, says) in [
        ("command", json!(""), "names no command"),
        (
            "apiVersion",
            json!("client.authentication.k8s.io/v1alpha1"),
            "v1alpha1",
        ),
        ("interactiveMode", Value::Null, "interactiveMode"),
        ("interactiveMode", json!("Perhaps"), "interactiveMode"),
        ("env", json!([{ "value": "x" }]), "no name"),
        ("env", json!([{ "name": "a=b" }]), "no name"),
    ] {
        let refused = plugin(&with(key, value)).unwrap_err().to_string();
        assert!(refused.contains(says), "{key}: {refused}");
        assert!(refused.contains("/k/config"), "{refused}");
    }
}

#[test]
fn a_path_goes_from_the_kubeconfig_and_a_name_does_not() {
    for (command, expected) in [("login", "login"), ("./login", "/k/login"), ("/a", "/a")] {
        let found = plugin(&with("command", json!(command))).unwrap();
        assert_eq!(found.command, Path::new(expected));
    }
}

#[test]
fn answers_are_a_token_or_a_certificate_with_its_key() {
    let plugin = plugin(&good()).unwrap();
    let of = |status: Value| {
        let version = "client.authentication.k8s.io/v1";
        let answer = json!({ "kind": "ExecCredential", "apiVersion": version, "status": status });
        plugin.proof(answer.to_string().as_bytes())
    };
    let (proof, ends) = of(json!({ "token": "t", "expirationTimestamp": "x" })).unwrap();
    assert!(matches!(proof, Proof::Token(token, None) if *token == "t"));
    assert_eq!(ends.as_deref(), Some("x"));
    let both = json!({ "clientCertificateData": "c", "clientKeyData": "k", "token": "t" });
    let (proof, ends) = of(both).unwrap();
    let Proof::Certificate(certificate, key) = proof else {
        panic!("{proof:?}")
    };
    assert_eq!(
        (&**certificate.bytes().unwrap(), &**key.bytes().unwrap()),
        (&b"c"[..], &b"k"[..])
    );
    assert_eq!(ends, None);
    for (status, says) in [
        (json!({}), "neither"),
        (Value::Null, "neither"),
        (json!({ "token": "" }), "neither"),
        (
            json!({ "clientCertificateData": "c", "token": "t" }),
            "without its key",
        ),
        (json!({ "clientKeyData": "k" }), "without its certificate"),
    ] {
        let refused = of(status).unwrap_err().to_string();
        assert!(refused.contains(says), "{refused}");
    }
    for answer in [
        "",
        "secret",
        "[]",
        r#"{"kind":"ExecCredential","apiVersion":"v1"}"#,
    ] {
        let refused = plugin.proof(answer.as_bytes()).unwrap_err().to_string();
        assert!(refused.contains("ExecCredential"), "{refused}");
        assert!(!refused.contains("secret"), "{refused}");
    }
}

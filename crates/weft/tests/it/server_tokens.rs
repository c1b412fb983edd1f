//! `weft server`: bearer tokens of service accounts and users, with kubectl and curl.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use weft_testkit::wait::SOON;
use weft_testkit::{Background, Weft, peer, until};

use crate::server_kubectl::{apply, kubectl, server};

/// Code and body of what `curl` gets with this token alone.
fn get(weft: &Weft, token: &str, path: &str) -> (String, Value) {
    let mut curl = Command::new(peer("curl").unwrap());
    curl.args(["--silent", "--insecure", "--write-out", "\n%{http_code}"]);
    curl.args(["--header", &format!("Authorization: Bearer {token}")]);
    curl.arg(format!("https://{}{path}", weft.address()));
    let said = String::from_utf8(curl.output().unwrap().stdout).unwrap();
    let (body, code) = said.rsplit_once('\n').unwrap();
    (
        code.to_owned(),
        serde_json::from_str(body).unwrap_or_default(),
    )
}

fn token(weft: &Weft, line: &str) -> String {
    kubectl(weft, &format!("create token {line}"))
        .ok()
        .to_owned()
}

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[test]
fn a_service_account_comes_in_by_its_token() {
    let Some(weft) = server() else { return };
    kubectl(&weft, "create serviceaccount robot").ok();
    let robot = token(&weft, "robot");
    let (code, refused) = get(&weft, &robot, CONFIG_MAPS);
    assert_eq!(code, "403", "{refused}");
    let message = refused["message"].as_str().unwrap();
    assert!(
        message.contains("system:serviceaccount:default:robot"),
        "{message}"
    );
    kubectl(
        &weft,
        "create rolebinding robots --clusterrole=view --serviceaccount=default:robot",
    )
    .ok();
    until(SOON, "the robot sees", || {
        get(&weft, &robot, CONFIG_MAPS).0 == "200"
    });
    // For a part of what it says it would be forged.
    let (head, rest) = robot.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let other = token(&weft, "default");
    let others = other.split('.').nth(1).unwrap();
    for forged in [
        format!("{head}.{others}.{signature}"),
        format!("{head}.{claims}."),
        format!("{head}.{claims}"),
        // {"alg":"none"}
        format!("eyJhbGciOiJub25lIn0.{claims}."),
        "abcdef.0123456789abcdef".to_owned(),
        "x".repeat(20_000),
    ] {
        let (code, _) = get(&weft, &forged, CONFIG_MAPS);
        assert_eq!(code, "401", "{forged}");
    }
    // It is no token for here.
    let elsewhere = token(&weft, "robot --audience=elsewhere");
    assert_eq!(get(&weft, &elsewhere, CONFIG_MAPS).0, "401");
    // It ends with the account, also where there is a new one of that name.
    kubectl(&weft, "delete serviceaccount robot").ok();
    assert_eq!(get(&weft, &robot, CONFIG_MAPS).0, "401");
    kubectl(&weft, "create serviceaccount robot").ok();
    assert_eq!(get(&weft, &robot, CONFIG_MAPS).0, "401");
}

#[test]
fn a_token_has_a_time_and_an_object() {
    let Some(weft) = server() else { return };
    kubectl(&weft, "create token default --duration=1m")
        .fails_saying(&["may not specify a duration less than"]);
    kubectl(&weft, "create token nobody").fails_saying(&["not found"]);
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": { "expirationSeconds": 700, "audiences": ["a", "b"] },
    });
    let path = "/api/v1/namespaces/default/serviceaccounts/default/token";
    let args = ["create", "--raw", path, "-f", "-"];
    let made = weft.kubectl(&args, &request.to_string()).unwrap();
    let made: Value = serde_json::from_str(made.ok()).unwrap();
    assert_eq!(made["spec"]["expirationSeconds"], 700);
    let review = |audiences: Value| -> Value {
        let object = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
            "spec": { "token": made["status"]["token"], "audiences": audiences },
        });
        let args = ["create", "--validate=false", "-f", "-", "-o", "json"];
        let said = weft.kubectl(&args, &object.to_string()).unwrap();
        serde_json::from_str(said.ok()).unwrap()
    };
    let found = review(json!(["b", "c"]));
    assert_eq!(found["status"]["authenticated"], true, "{found}");
    assert_eq!(found["status"]["audiences"], json!(["b"]));
    let user = &found["status"]["user"]["username"];
    assert_eq!(user, "system:serviceaccount:default:default");
    let found = review(json!([]));
    assert_eq!(found["status"]["authenticated"], false, "{found}");
    kubectl(&weft, &format!("get --raw {path}")).fails_saying(&["MethodNotAllowed"]);
    // Nothing that a token could be bound to under this name.
    let bound = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": { "audiences": [], "boundObjectRef": { "kind": "Node", "name": "none" } },
    });
    weft.kubectl(&args, &bound.to_string())
        .unwrap()
        .fails_saying(&["not found"]);
}

#[test]
fn a_token_ends_with_the_node_it_is_bound_to() {
    let Some(weft) = server() else { return };
    let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "n1" } });
    weft.kubectl(&["apply", "-f", "-"], &node.to_string())
        .unwrap()
        .ok();
    let bound = token(
        &weft,
        "default --bound-object-kind=Node --bound-object-name=n1",
    );
    assert_eq!(get(&weft, &bound, "/apis").0, "200");
    kubectl(&weft, "delete node n1").ok();
    assert_eq!(get(&weft, &bound, "/apis").0, "401");
}

#[test]
fn a_watch_ends_with_the_account_of_who_asked() {
    let Some(weft) = server() else { return };
    let watch = |token: &str| {
        let mut curl = Command::new(peer("curl").unwrap());
        curl.args(["--silent", "--insecure", "--no-buffer"]);
        curl.args(["--header", &format!("Authorization: Bearer {token}")]);
        curl.arg(format!(
            "https://{}{CONFIG_MAPS}?watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan",
            weft.address()
        ));
        Background::start(curl)
    };
    let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "n1" } });
    weft.kubectl(&["apply", "-f", "-"], &node.to_string())
        .unwrap()
        .ok();
    for account in ["robot", "other"] {
        kubectl(&weft, &format!("create serviceaccount {account}")).ok();
        kubectl(
            &weft,
            &format!(
                "create rolebinding {account} --clusterrole=view --serviceaccount=default:{account}"
            ),
        )
        .ok();
    }
    let (robot, other) = (token(&weft, "robot"), token(&weft, "other"));
    let bound = token(
        &weft,
        "other --bound-object-kind=Node --bound-object-name=n1",
    );
    for token in [&robot, &other] {
        until(SOON, "rights", || get(&weft, token, CONFIG_MAPS).0 == "200");
    }
    let (robots, mut others, bounds) = (watch(&robot), watch(&other), watch(&bound));
    for watching in [&robots, &others, &bounds] {
        watching.says("initial-events-end");
    }
    kubectl(&weft, "delete serviceaccount robot").ok();
    kubectl(&weft, "delete node n1").ok();
    for ended in [robots, bounds] {
        let said = ended.finish(SOON);
        let last = said.ok().lines().last().unwrap().to_owned();
        let last: Value = serde_json::from_str(&last).unwrap();
        assert_eq!(
            (&last["type"], &last["object"]["code"]),
            (&json!("ERROR"), &json!(401))
        );
    }
    // Nobody else's.
    kubectl(&weft, "create configmap later").ok();
    others.says("later");
    assert!(others.running());
}

#[test]
fn others_learn_how_to_read_tokens() {
    let Some(weft) = server() else { return };
    let robot = token(&weft, "default");
    let (config, keys) = ("/.well-known/openid-configuration", "/openid/v1/jwks");
    let (code, told) = get(&weft, &robot, config);
    assert_eq!(code, "200", "{told}");
    let issuer = told["issuer"].as_str().unwrap();
    assert_eq!(told["jwks_uri"], format!("{issuer}{keys}"));
    let raw = kubectl(&weft, &format!("get --raw {keys}"));
    let raw: Value = serde_json::from_str(raw.ok()).unwrap();
    assert_eq!(get(&weft, &robot, keys).1, raw);
    let (kind, curve) = (&raw["keys"][0]["kty"], &raw["keys"][0]["crv"]);
    assert_eq!((kind, curve), (&json!("EC"), &json!("P-256")));
    for path in [config, keys] {
        kubectl(&weft, &format!("--as=ann get --raw {path}")).fails_saying(&["orbidden"]);
    }
}

#[test]
fn each_namespace_has_an_account() {
    let Some(weft) = server() else { return };
    for namespace in ["default", "kube-system"] {
        kubectl(&weft, &format!("get serviceaccount default -n {namespace}")).ok();
    }
    kubectl(&weft, "create namespace later").ok();
    until(SOON, "the account of a later namespace", || {
        kubectl(&weft, "get serviceaccount default -n later").code == 0
    });
}

#[test]
fn a_user_comes_in_by_a_token_in_a_kubeconfig() {
    let Some(weft) = server() else { return };
    let path = weft.scratch().join("token.yaml");
    let address = format!("https://{}", weft.address());
    let mut command = Command::new(crate::WEFT);
    command.args([
        "kubeconfig",
        "--token",
        "--user",
        "ann",
        "--group",
        "people",
    ]);
    command.args(["--server", &address, "--data-dir"]);
    command.arg(weft.data_dir()).arg("--output").arg(&path);
    command.env_remove("WEFT_CONFIG");
    assert!(command.status().unwrap().success());
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.contains("token: ") && !text.contains("client-key"),
        "{text}"
    );
    let who = format!(
        "--kubeconfig {} auth whoami -o jsonpath={{.status.userInfo.username}}",
        path.display()
    );
    assert_eq!(kubectl(&weft, &who).ok(), "ann");
}

#[test]
fn a_secret_gets_a_token_that_ends_with_it_and_with_its_account() {
    let Some(weft) = server() else { return };
    let secret = |name: &str, account: &str| {
        let text = format!(
            "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/service-account-token\n\
             metadata: {{ name: {name}, annotations: {{ kubernetes.io/service-account.name: {account} }} }}"
        );
        apply(&weft, &text).ok();
    };
    let read = |name: &str, path: &str| {
        let found = kubectl(&weft, &format!("get secret {name} -o jsonpath={{{path}}}"));
        found.stdout
    };
    let filled = |name: &str| {
        until(SOON, "it has a token", || {
            !read(name, ".data.token").is_empty()
        });
        let token = STANDARD.decode(read(name, ".data.token")).unwrap();
        String::from_utf8(token).unwrap()
    };
    let code = |token: &str| get(&weft, token, CONFIG_MAPS).0;
    // Its account comes after it.
    secret("first", "robot");
    secret("second", "robot");
    kubectl(&weft, "create serviceaccount robot").ok();
    let (first, second) = (filled("first"), filled("second"));
    assert_eq!((&*code(&first), &*code(&second)), ("403", "403"));
    let namespace = STANDARD.decode(read("first", ".data.namespace")).unwrap();
    assert_eq!(namespace, b"default");
    let authority = STANDARD.decode(read("first", ".data.ca\\.crt")).unwrap();
    assert!(authority.starts_with(b"-----BEGIN CERTIFICATE-----"));
    let described = kubectl(&weft, "describe secret first").ok().to_owned();
    assert!(described.contains(&first), "{described}");
    // What is taken out comes again; a good one stays as it is.
    let empty = r#"{"data":{"token":null}}"#;
    let patch = ["patch", "secret", "first", "--type=merge", "-p", empty];
    weft.kubectl(&patch, "").unwrap().ok();
    let again = filled("first");
    assert_ne!(again, first);
    let label = ["label", "secret", "first", "a=b"];
    weft.kubectl(&label, "").unwrap().ok();
    assert_eq!(filled("first"), again);
    // It ends with its secret, and all of them with the account.
    kubectl(&weft, "delete secret first").ok();
    assert_eq!((&*code(&again), &*code(&second)), ("401", "403"));
    kubectl(&weft, "delete serviceaccount robot").ok();
    assert_eq!(code(&second), "401");
    until(SOON, "its secret goes", || {
        kubectl(&weft, "get secret second").code != 0
    });
}

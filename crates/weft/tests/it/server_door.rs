//! `weft server`: every route to everybody, and proofs that are none.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use weft_identity::authority::{Authority, Grant, Pair};
use weft_identity::rbac::{self, Binding, RoleRef, Rules, Target, Who};
use weft_identity::subject::Subject;
use weft_stdx::clock::unix_s;
use weft_testkit::wait::SOON;
use weft_testkit::{Weft, peer, until};

const HOUR: i64 = 3600;

fn server() -> Option<Weft> {
    peer("kubectl")?;
    peer("curl")?;
    Weft::server(crate::WEFT)
}

fn authority(weft: &Weft) -> Authority {
    Authority::open(&weft.data_dir().join("server/authority")).unwrap()
}

/// Certificates and key in a file.
fn store(weft: &Weft, name: &str, pair: &Pair) -> PathBuf {
    let path = weft.scratch().join(format!("{name}.pem"));
    let text = format!("{}{}", pair.certificate.chain_pem, *pair.key_pem);
    std::fs::write(&path, text).unwrap();
    path
}

fn user(name: &str, groups: &[&str]) -> Grant {
    Grant::User {
        user: name.to_owned(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
    }
}

/// A request, and what is asked by it.
struct Route {
    method: &'static str,
    path: String,
    verb: &'static str,
    group: String,
    resource: String,
    namespace: Option<&'static str>,
    name: Option<&'static str>,
}

/// The codes of these requests, over one connection.
fn codes(weft: &Weft, proof: Option<&Path>, routes: &[Route]) -> Vec<String> {
    let mut config = String::new();
    for (index, route) in routes.iter().enumerate() {
        if index > 0 {
            config.push_str("next\n");
        }
        let Route { method, path, .. } = route;
        writeln!(
            config,
            "silent\ninsecure\noutput = /dev/null\nmax-time = 20"
        )
        .unwrap();
        writeln!(config, "write-out = \"%{{http_code}}\\n\"").unwrap();
        writeln!(config, "url = \"https://{}{path}\"", weft.address()).unwrap();
        if *method == "POST" {
            config.push_str("data = \"{}\"\nheader = \"Content-Type: application/json\"\n");
        } else {
            writeln!(config, "request = {method}").unwrap();
        }
        if let Some(proof) = proof {
            writeln!(config, "cert = \"{0}\"\nkey = \"{0}\"", proof.display()).unwrap();
        }
    }
    let file = weft.scratch().join("curl.conf");
    std::fs::write(&file, config).unwrap();
    let said = Command::new(peer("curl").unwrap())
        .arg("-K")
        .arg(&file)
        .output();
    let said = String::from_utf8(said.unwrap().stdout).unwrap();
    said.lines().map(str::to_owned).collect()
}

/// Every kind of discovery: all of them, one that is not there, and making one.
fn routes(weft: &Weft) -> Vec<Route> {
    let raw = |path: &str| -> Value {
        let said = weft.kubectl(&["get", "--raw", path], "").unwrap();
        serde_json::from_str(said.ok()).unwrap()
    };
    let mut roots = vec![(String::new(), "/api/v1".to_owned())];
    for group in raw("/apis")["groups"].as_array().unwrap() {
        let version = group["preferredVersion"]["groupVersion"].as_str().unwrap();
        let name = group["name"].as_str().unwrap().to_owned();
        roots.push((name, format!("/apis/{version}")));
    }
    let mut routes = Vec::new();
    for (group, root) in roots {
        for kind in raw(&root)["resources"].as_array().unwrap() {
            let resource = kind["name"].as_str().unwrap();
            if resource.contains('/') {
                continue;
            }
            let namespace = (kind["namespaced"] == true).then_some("default");
            let within = match namespace {
                Some(namespace) => format!("{root}/namespaces/{namespace}/{resource}"),
                None => format!("{root}/{resource}"),
            };
            let verbs = kind["verbs"].as_array().unwrap();
            for (method, verb, name) in [
                ("GET", "list", None),
                ("GET", "get", Some("not-there")),
                ("DELETE", "delete", Some("not-there")),
                ("POST", "create", None),
            ] {
                if !verbs.iter().any(|known| known == verb) {
                    continue;
                }
                let path = name.map_or(within.clone(), |name| format!("{within}/{name}"));
                let (group, resource) = (group.clone(), resource.to_owned());
                routes.push(Route {
                    method,
                    path,
                    verb,
                    group,
                    resource,
                    namespace,
                    name,
                });
            }
        }
    }
    routes
}

#[test]
fn every_route_is_open_to_whom_the_rules_say() {
    let Some(weft) = server() else { return };
    let routes = routes(&weft);
    assert!(routes.len() > 40, "{}", routes.len());
    let mut bindings = rbac::bindings();
    for name in ["view", "edit", "admin"] {
        let line = format!("create clusterrolebinding {name} --clusterrole={name} --user={name}");
        let words: Vec<&str> = line.split(' ').collect();
        weft.kubectl(&words, "").unwrap().ok();
        bindings.push(Binding {
            namespace: None,
            name: name.to_owned(),
            role: RoleRef::Cluster(name.to_owned()),
            who: vec![Who::User(name.to_owned())],
        });
    }
    for name in ["view", "edit", "admin"] {
        let as_user = format!("--as={name}");
        until(SOON, name, || {
            let args = [&as_user, "auth", "can-i", "list", "services"];
            weft.kubectl(&args, "").unwrap().code == 0
        });
    }
    let rules = Rules::new(rbac::roles(), bindings);
    let node = Grant::Node {
        name: "n1".to_owned(),
    };
    let authority = authority(&weft);
    for (name, grant) in [
        ("nobody", user("nobody", &[])),
        ("view", user("view", &[])),
        ("edit", user("edit", &[])),
        ("admin", user("admin", &[])),
        ("master", user("master", &["system:masters"])),
        ("node", node),
    ] {
        let pair = authority.issue(&grant, HOUR, unix_s()).unwrap();
        let proof = store(&weft, name, &pair);
        let subject = authority
            .trust()
            .subject(&pair.certificate.chain[0], unix_s());
        let subject = subject.unwrap();
        let codes = codes(&weft, Some(&proof), &routes);
        assert_eq!(codes.len(), routes.len());
        for (route, code) in routes.iter().zip(codes) {
            let expected = is_allowed(&rules, &subject, route);
            let Route { method, path, .. } = route;
            assert_ne!(code, "401", "{name}: {method} {path}");
            assert_eq!(code != "403", expected, "{name}: {method} {path}: {code}");
        }
    }
}

fn is_allowed(rules: &Rules, subject: &Subject, route: &Route) -> bool {
    let target = Target::Resource {
        group: &route.group,
        resource: &route.resource,
        subresource: "",
        namespace: route.namespace,
        name: route.name,
        on_node: None,
    };
    let request = rbac::Request {
        user: &subject.user,
        groups: &subject.groups,
        verb: route.verb,
        target,
    };
    rbac::decide(rules, &request).is_allowed()
}

#[test]
fn nothing_but_health_and_version_answers_a_stranger() {
    let Some(weft) = server() else { return };
    let mut routes = routes(&weft);
    let plain = |path: &str| Route {
        method: "GET",
        path: path.to_owned(),
        verb: "get",
        group: String::new(),
        resource: String::new(),
        namespace: None,
        name: None,
    };
    for path in [
        "/",
        "/api",
        "/apis",
        "/openapi/v3",
        "/metrics",
        "/version2",
        "/api/v1/nothing",
    ] {
        routes.push(plain(path));
    }
    for (route, code) in routes.iter().zip(codes(&weft, None, &routes)) {
        assert_eq!(code, "401", "{} {}", route.method, route.path);
    }
    let open = ["/healthz", "/livez", "/readyz", "/version"].map(plain);
    assert_eq!(codes(&weft, None, &open), ["200"; 4]);
}

#[test]
fn a_proof_that_is_none_is_refused() {
    let Some(weft) = server() else { return };
    let authority = authority(&weft);
    let stranger = Authority::create(&weft.scratch().join("stranger"), unix_s()).unwrap();
    let master = user("master", &["system:masters"]);
    let server = Grant::Server {
        names: vec!["localhost".to_owned()],
    };
    let workload = Grant::Workload {
        namespace: "default".to_owned(),
        account: "default".to_owned(),
    };
    let now = unix_s();
    let path = || Route {
        method: "GET",
        path: "/api/v1/namespaces".to_owned(),
        verb: "list",
        group: String::new(),
        resource: "namespaces".to_owned(),
        namespace: None,
        name: None,
    };
    for (name, pair, expected) in [
        ("good", authority.issue(&master, HOUR, now), &["200"][..]),
        (
            "expired",
            authority.issue(&master, HOUR, now - 2 * HOUR),
            &["000", "401"],
        ),
        (
            "not-yet",
            authority.issue(&master, HOUR, now + 2 * HOUR),
            &["000", "401"],
        ),
        (
            "stranger",
            stranger.issue(&master, HOUR, now),
            &["000", "401"],
        ),
        // It is genuine, and its account is there; it is for other pods to see.
        ("workload", authority.issue(&workload, HOUR, now), &["401"]),
        (
            "server",
            authority.issue(&server, HOUR, now),
            &["000", "401"],
        ),
    ] {
        let proof = store(&weft, name, &pair.unwrap());
        let found = codes(&weft, Some(&proof), &[path()]);
        assert!(expected.contains(&found[0].as_str()), "{name}: {found:?}");
    }
}

#[test]
fn a_watch_ends_with_the_proof_of_who_asked() {
    let Some(weft) = server() else { return };
    let master = user("master", &["system:masters"]);
    // Made an hour ago less a few seconds: it is over soon.
    let pair = authority(&weft).issue(&master, HOUR, unix_s() - HOUR + 5);
    let proof = store(&weft, "short", &pair.unwrap());
    let mut curl = Command::new(peer("curl").unwrap());
    curl.args(["--silent", "--insecure", "--max-time", "60", "--cert"]);
    curl.arg(&proof).arg("--key").arg(&proof);
    let address = weft.address();
    curl.arg(format!("https://{address}/api/v1/namespaces?watch=true"));
    let watched = curl.output().unwrap();
    // Curl was not cut off by its own time (28): the server ended it, in order.
    assert_eq!(watched.status.code(), Some(0));
    let text = String::from_utf8(watched.stdout).unwrap();
    assert!(
        text.lines().count() >= 4 && text.contains("ADDED"),
        "{text}"
    );
}

#[test]
fn the_server_counts_what_it_does() {
    let Some(weft) = server() else { return };
    let proof = |name: &str, groups: &[&str]| {
        let pair = authority(&weft).issue(&user(name, groups), HOUR, unix_s());
        store(&weft, name, &pair.unwrap())
    };
    let (ann, scraper) = (proof("ann", &[]), proof("scraper", &["system:monitoring"]));
    let fetch = |proof: &Path| {
        let mut curl = Command::new(peer("curl").unwrap());
        curl.args(["--silent", "--insecure", "--cert"]);
        curl.arg(proof).arg("--key").arg(proof);
        curl.arg(format!("https://{}/metrics", weft.address()));
        String::from_utf8(curl.output().unwrap().stdout).unwrap()
    };
    weft.kubectl(&["create", "cm", "a"], "").unwrap().ok();
    let found = fetch(&scraper);
    let made = "apiserver_request_total{verb=\"create\",group=\"\",resource=\"configmaps\",code=\"201\"} 1";
    assert!(found.lines().any(|line| line == made), "{found}");
    for name in [
        "weft_keyspace_revision",
        "weft_keyspace_bytes",
        "process_open_fds",
        "process_resident_memory_bytes",
    ] {
        let value = found
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
        assert!(value.is_some_and(|value| value > 0), "{name}: {found}");
    }
    let refused: Value = serde_json::from_str(&fetch(&ann)).unwrap();
    assert_eq!(refused["reason"], "Forbidden");
    let watching = weft
        .kubectl_in_background(&["get", "cm", "--watch"])
        .unwrap();
    let open = |count: u32| {
        until(SOON, &format!("{count} watches"), || {
            fetch(&scraper)
                .lines()
                .any(|line| line == format!("weft_apiserver_watches {count}"))
        });
    };
    open(1);
    drop(watching);
    open(0);
}

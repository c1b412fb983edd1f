//! `weft server`: the small paths: what there is, how it is doing, and what no pod does yet.
#![allow(clippy::unwrap_used)]

use serde_json::json;
use weft_testkit::Weft;

use crate::server_line::server;

/// The same without credentials.
fn plain(weft: &Weft, path: &str) -> (String, String) {
    let url = format!("https://{}{path}", weft.address());
    let words = ["-sk", "-w", "\n%{http_code}", &url];
    let curl = weft_testkit::peer("curl").unwrap();
    let said = std::process::Command::new(curl)
        .args(words)
        .output()
        .unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let (body, code) = said.rsplit_once('\n').unwrap();
    (code.to_owned(), body.to_owned())
}

#[test]
fn the_server_tells_its_paths_and_how_it_is() {
    let Some((weft, caller)) = server() else {
        return;
    };
    let index = caller.get("/").is(200, &["{\n  \"paths\": ["]).json();
    let paths: Vec<&str> = index["paths"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|path| path.as_str())
        .collect();
    assert!(paths.is_sorted(), "{paths:?}");
    // Each is there.
    for path in ["/api/v1", "/apis/apps/v1", "/apis/apps", "/healthz/ping"] {
        assert!(paths.contains(&path), "{path}: {paths:?}");
    }
    for path in paths {
        let headers = [("Accept", "*/*")];
        caller.say("GET", path, &headers, b"").is(200, &[]);
    }
    // Who may only discover may not.
    let may = |path: &str| {
        let words = [
            "--as",
            "ann",
            "--as-group",
            "system:authenticated",
            "get",
            "--raw",
            path,
        ];
        weft.kubectl(&words, "").unwrap()
    };
    may("/apis").ok();
    may("/").fails_saying(&["forbidden"]);

    for of in ["healthz", "livez", "readyz"] {
        let all = format!("[+]ping ok\n[+]keyspace ok\n{of} check passed\n");
        let without = format!(
            "[+]ping excluded: ok\n[+]keyspace ok\nwarn: some health checks cannot be excluded: no matches for \"etcd\"\n{of} check passed\n"
        );
        for (query, body) in [
            ("", "ok"),
            ("?verbose", &*all),
            ("?verbose=1", &all),
            ("/ping", "ok"),
            ("/keyspace?verbose", "ok"),
            ("?exclude=ping", "ok"),
            ("?verbose&exclude=ping&exclude=etcd", &without),
        ] {
            let said = plain(&weft, &format!("/{of}{query}"));
            assert_eq!(said, ("200".to_owned(), body.to_owned()), "{of}{query}");
        }
        assert_eq!(plain(&weft, &format!("/{of}/nothing")).0, "401");
        caller.get(&format!("/{of}/nothing")).is(404, &[]);
    }
}

#[test]
fn what_pods_do_is_refused_in_one_sentence_while_none_run() {
    let Some((weft, caller)) = server() else {
        return;
    };
    let pods = "/api/v1/namespaces/default/pods";
    let pod = json!({ "metadata": { "name": "y" }, "spec": { "containers": [{ "name": "c", "image": "i" }] } });
    caller.post(pods, &pod).is(201, &[]);
    let services = "/api/v1/namespaces/default/services";
    let service = json!({ "metadata": { "name": "s" }, "spec": { "ports": [{ "port": 80 }] } });
    caller.post(services, &service).is(201, &[]);
    let not_yet = "pods are not run by this server yet";
    for (method, path, code, words) in [
        (
            "GET",
            format!("{pods}/y/log?container=c"),
            400,
            "cannot read the log of pod \\\"y\\\": ",
        ),
        (
            "POST",
            format!("{pods}/y/exec?command=ls"),
            400,
            "cannot run a command in pod \\\"y\\\": ",
        ),
        (
            "GET",
            format!("{pods}/y/exec?command=ls"),
            400,
            "cannot run a command in",
        ),
        ("POST", format!("{pods}/y/attach"), 400, "cannot attach to"),
        (
            "POST",
            format!("{pods}/y/portforward"),
            400,
            "cannot forward ports to",
        ),
        (
            "GET",
            format!("{pods}/y/proxy/a//b/"),
            400,
            "cannot reach pod",
        ),
        (
            "PATCH",
            format!("{pods}/y/ephemeralcontainers"),
            400,
            "cannot debug",
        ),
        ("PATCH", format!("{pods}/y/resize"), 400, "cannot resize"),
        ("POST", format!("{pods}/y/eviction"), 415, "unknown format"),
        ("POST", format!("{pods}/y/binding"), 415, "unknown format"),
        (
            "GET",
            format!("{services}/s/proxy/"),
            400,
            "cannot reach service \\\"s\\\": ",
        ),
        (
            "GET",
            format!("{pods}/z/log"),
            404,
            "pods \\\"z\\\" not found",
        ),
        (
            "DELETE",
            format!("{pods}/y/log"),
            405,
            "does not allow this method",
        ),
        (
            "DELETE",
            format!("{pods}/y/exec"),
            405,
            "does not allow this method",
        ),
        (
            "GET",
            format!("{pods}/y/eviction"),
            405,
            "does not allow this method",
        ),
        (
            "GET",
            format!("{pods}/y/nothing"),
            404,
            "could not find the requested resource",
        ),
        (
            "GET",
            "/api/v1/nodes/n/proxy/logs/".to_owned(),
            404,
            "nodes \\\"n\\\" not found",
        ),
    ] {
        let said = caller.ask(method, &path, "application/merge-patch+json", b"");
        println!("{method} {path}");
        said.is(code, &[words, if code == 400 { not_yet } else { "" }]);
    }
    for line in [
        "logs y",
        "logs -f y",
        "exec y -- ls",
        "attach y",
        "cp y:/etc/passwd passwd",
        "debug y --image=busybox",
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let ran = weft.kubectl(&words, "").unwrap();
        assert_ne!(ran.code, 0, "{line}");
        assert!(ran.stderr.contains(not_yet), "{line}: {}", ran.stderr);
    }
    // A stream is created, by whatever method: who may only read may not.
    let view = [
        "create",
        "clusterrolebinding",
        "ann",
        "--clusterrole=view",
        "--user=ann",
    ];
    weft.kubectl(&view, "").unwrap().ok();
    let may = |part: &str| {
        let path = format!("{pods}/y/{part}");
        let words = ["--as", "ann", "get", "--raw", &path];
        weft.kubectl(&words, "").unwrap()
    };
    may("log").fails_saying(&[not_yet]);
    may("exec").fails_saying(&["cannot create resource \"pods/exec\""]);
}

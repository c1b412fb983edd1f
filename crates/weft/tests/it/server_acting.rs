//! weft's `--as`, and a kubeconfig's, held against the real kubectl.
#![allow(clippy::unwrap_used)]

use weft_testkit::Weft;

use crate::server_cli::{cli, server};
use crate::server_kubectl::kubectl;

/// A kubeconfig of an administrator who asks as somebody else.
fn acting(weft: &Weft, name: &str, more: &str) -> String {
    let own = weft.kubeconfig("admin", "system:masters");
    let text = std::fs::read_to_string(own).unwrap();
    let (before, after) = text.split_once("client-key-data:").unwrap();
    let indent = before.rsplit('\n').next().unwrap();
    let whom = format!("as: ann\n{indent}{more}\n{indent}client-key-data:");
    let path = weft.scratch().join(name);
    std::fs::write(&path, format!("{before}{whom}{after}")).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn who_may_asks_as_somebody_else() {
    let Some(weft) = server() else { return };
    kubectl(&weft, "create namespace dev").ok();
    kubectl(&weft, "create serviceaccount x -n dev").ok();
    kubectl(
        &weft,
        "create role reader --verb=list --resource=pods -n dev",
    )
    .ok();
    kubectl(
        &weft,
        "create rolebinding reader --role=reader --serviceaccount=dev:x -n dev",
    )
    .ok();
    kubectl(
        &weft,
        "create rolebinding seer --clusterrole=view --group=dev -n dev",
    )
    .ok();
    let file = acting(&weft, "acting", "as-groups: [dev]");
    let extra = acting(
        &weft,
        "said",
        "as-user-extra: { acme.io/team: [red, blue] }",
    );
    let guest = weft.kubeconfig("guest", "guests");
    let guest = guest.to_str().unwrap();
    for line in [
        "auth can-i list pods --as=system:serviceaccount:dev:x -n dev",
        "auth can-i list pods --as=system:serviceaccount:dev:x",
        "auth can-i delete pods --as=system:serviceaccount:dev:x -n dev",
        "auth can-i list pods --as=ann -n dev",
        "auth can-i list pods --as=ann --as-group=dev -n dev",
        "auth whoami --as=ann --as-group=a --as-group=b",
        "auth whoami --as=system:serviceaccount:dev:x",
        "auth whoami --as=ann --as-uid=u-1",
        &format!("auth whoami --kubeconfig {extra}"),
        &format!("auth whoami --kubeconfig {extra} -o jsonpath={{.status.userInfo}}"),
        &format!("auth whoami --kubeconfig {file}"),
        &format!("auth whoami --kubeconfig {file} --as=bob"),
        &format!("auth whoami --kubeconfig {file} --as-group=other"),
        &format!("get pods --kubeconfig {file} -n dev"),
    ] {
        let (ours, theirs) = (cli(&weft, line), kubectl(&weft, line));
        assert_eq!(
            (ours.code, &ours.stdout),
            (theirs.code, &theirs.stdout),
            "{line}\n{ours}"
        );
    }
    for (line, words) in [
        ("get pods --as=ann", &["forbidden", "ann"] as &[&str]),
        ("create cm y --as=ann -n dev", &["forbidden", "ann"]),
        (
            &format!("get pods --as=ann --kubeconfig {guest}"),
            &["guest", "impersonate"],
        ),
        ("get pods --as-group=dev", &["no user: --as"]),
        ("get pods --as-uid=7", &["no user: --as"]),
        ("get pods --as=ann --as-uid=7", &["forbidden", "ann"]),
    ] {
        let theirs = kubectl(&weft, line);
        assert_ne!(theirs.code, 0, "{theirs}");
        cli(&weft, line).fails_saying(words);
    }
    let said = cli(
        &weft,
        "auth whoami --as=ann --as-user-extra=scopes=a --as-user-extra=scopes=b -o jsonpath={.status.userInfo.extra}",
    );
    assert_eq!(said.ok(), r#"{"scopes":["a","b"]}"#);
    cli(&weft, "auth whoami --as=ann --as-user-extra=scopes").fails_saying(&["KEY=VALUE"]);
    let guesting = format!("auth whoami --as=guest --as-user-extra=scopes=a --kubeconfig {guest}");
    cli(&weft, &guesting).fails_saying(&["forbidden", "impersonate"]);
    let curl = cli(&weft, "get pods --as=ann --as-group=dev -n dev --curl");
    assert!(
        curl.ok()
            .contains("'impersonate-user: ann' -H 'impersonate-group: dev'"),
        "{curl}"
    );
}

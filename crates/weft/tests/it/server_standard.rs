//! `weft server`: what each namespace has from the start, with the real kubectl.
#![allow(clippy::unwrap_used)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use weft_testkit::wait::SOON;
use weft_testkit::{Weft, peer, until};

const BINARY: &str = env!("CARGO_BIN_EXE_weft");

#[test]
fn each_namespace_has_the_authoritys_certificate_whatever_is_done_to_it() {
    if peer("kubectl").is_none() {
        return;
    }
    let Some(weft) = Weft::server(BINARY) else {
        return;
    };
    let kubectl = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        weft.kubectl(&words, "").unwrap()
    };
    let read = "get cm kube-root-ca.crt -o jsonpath={.metadata.uid}{\"\\n\"}{.data.ca\\.crt}";
    let first = kubectl(read).ok().to_owned();
    let (mut uid, authority) = first.split_once('\n').unwrap();
    let authority = authority.trim().to_owned();
    assert!(
        authority.starts_with("-----BEGIN CERTIFICATE-----"),
        "{first}"
    );
    let config = "config view --raw -o jsonpath={.clusters[0].cluster.certificate-authority-data}";
    let trusted = kubectl(config).ok().to_owned();
    let trusted = STANDARD.decode(trusted.trim());
    assert_eq!(
        String::from_utf8(trusted.unwrap()).unwrap().trim(),
        authority
    );
    let is_right = |namespace: &str| {
        let found = kubectl(&format!("{read} -n {namespace}"));
        let (uid, text) = found.stdout.split_once('\n')?;
        (text.trim() == authority).then(|| uid.to_owned())
    };
    kubectl("create namespace shop").ok();
    until(SOON, "a new namespace has it", || {
        is_right("shop").is_some()
    });

    // Changed, it is the same again; deleted or made immutable, there is a new one.
    let patch = |change: &str| {
        let words = [
            "patch",
            "cm",
            "kube-root-ca.crt",
            "--type=merge",
            "-p",
            change,
        ];
        weft.kubectl(&words, "").unwrap().ok();
    };
    patch(r#"{"metadata":{"labels":{"mine":"yes"}},"data":{"ca.crt":"wrong","more":"x"}}"#);
    until(SOON, "it is mended", || {
        is_right("default").as_deref() == Some(uid)
    });
    let rest = kubectl("get cm kube-root-ca.crt -o jsonpath={.data.more}{.metadata.labels.mine}");
    assert_eq!(rest.ok(), "yes");
    kubectl("delete cm kube-root-ca.crt").ok();
    let is_new = |uid: &str| is_right("default").is_some_and(|found| found != uid);
    until(SOON, "it is made anew", || is_new(uid));
    let second = is_right("default").unwrap();
    uid = &second;
    patch(r#"{"immutable":true,"data":{"ca.crt":"wrong"}}"#);
    until(SOON, "another comes in its place", || is_new(uid));
}

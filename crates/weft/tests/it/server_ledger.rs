//! A node whose control plane is away: what it was told to run, it runs, after a reboot, too.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use weft_testkit::Weft;
use weft_testkit::wait::{SOON, until, within};

use crate::server_kubectl::{apply, cluster, kubectl};

const WORD: &str = "s3cret-of-the-ledger";

/// One that stays, with a secret in its variables and files; one that is run once; one that is over.
const PODS: &str = "\
apiVersion: v1
kind: Secret
metadata: { name: word }
stringData: { pass: s3cret-of-the-ledger }
---
apiVersion: v1
kind: Pod
metadata: { name: web }
spec:
  terminationGracePeriodSeconds: 1
  volumes: [{ name: word, secret: { secretName: word } }]
  containers:
  - name: main
    image: busybox
    imagePullPolicy: IfNotPresent
    command: [sh, -c, 'echo $PASS $(cat /word/pass); exec sleep 1000']
    env: [{ name: PASS, valueFrom: { secretKeyRef: { name: word, key: pass } } }]
    volumeMounts: [{ name: word, mountPath: /word }]
---
apiVersion: v1
kind: Pod
metadata: { name: once }
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  containers:
  - { name: main, image: busybox, imagePullPolicy: IfNotPresent, command: [sleep, '1000'] }
---
apiVersion: v1
kind: Pod
metadata: { name: over }
spec:
  restartPolicy: Never
  containers:
  - { name: main, image: busybox, imagePullPolicy: IfNotPresent, command: ['true'] }
";

/// The ids of the containers that run.
fn running(weft: &Weft) -> Vec<String> {
    let ran = weft.weft(&["ps", "-q", "--no-trunc"]);
    ran.ok().split_whitespace().map(str::to_owned).collect()
}

fn begin() -> Option<Weft> {
    let weft = cluster()?;
    apply(&weft, PODS).ok();
    kubectl(
        &weft,
        "wait --for=condition=Ready pod/web pod/once --timeout=60s",
    )
    .ok();
    let over = "wait --for=jsonpath={.status.phase}=Succeeded pod/over --timeout=60s";
    kubectl(&weft, over).ok();
    Some(weft)
}

/// Damages the keyspace; what was in it.
fn damage(weft: &Weft) -> (PathBuf, Vec<u8>) {
    let path = weft.data_dir().join("server/keyspace.redb");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, b"this is no keyspace".repeat(5000)).unwrap();
    (path, whole)
}

fn files(below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(below).unwrap().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}

#[test]
fn after_a_reboot_pods_run_before_there_is_a_control_plane() {
    let Some(mut weft) = begin() else { return };
    weft.reboot();
    let (path, whole) = damage(&weft);
    weft.start_daemon();
    let id = within(SOON, "the one that stays runs again", || {
        running(&weft).first().cloned()
    });
    assert_eq!(running(&weft).len(), 1, "what runs once has run");
    until(SOON, "it has what it had", || {
        weft.weft(&["logs", &id]).ok() == format!("{WORD} {WORD}")
    });
    // It is started again when it ends, too.
    weft.weft(&["kill", &id]).ok();
    until(SOON, "it is started again", || {
        running(&weft).first().is_some_and(|now| *now != id)
    });
    assert!(
        weft.daemon_log()
            .contains("the control plane cannot be opened")
    );
    // Its address is free for a moment whenever it is tried again.
    until(SOON, "clients are told", || {
        let told = weft.weft(&["get", "pods"]);
        told.code != 0
            && told
                .stderr
                .contains("the control plane of this server cannot be opened")
    });
    // The file is back: so is the control plane, by itself, and knows what became of them.
    fs::write(&path, whole).unwrap();
    until(2 * SOON, "the control plane is back", || {
        let ran = kubectl(
            &weft,
            "get pod web -o jsonpath={.status.containerStatuses[0].restartCount}",
        );
        ran.code == 0 && ran.stdout.trim() == "2"
    });
    until(SOON, "what ran once has failed", || {
        kubectl(&weft, "get pod once -o jsonpath={.status.phase}").ok() == "Failed"
    });
    let over = kubectl(&weft, "get pod over -o jsonpath={.status.phase}");
    assert_eq!(over.ok(), "Succeeded");
    kubectl(&weft, "delete pod web once over").ok();
    let ledger = weft.data_dir().join("agent/ledger");
    until(SOON, "nothing of them is in the ledger", || {
        files(&ledger).iter().all(|path| path.ends_with("services"))
    });
}

#[test]
fn nothing_of_a_secret_is_in_the_ledger_and_damage_is_told() {
    let Some(mut weft) = begin() else { return };
    let directory = weft.data_dir().join("agent");
    let key = directory.join("node.key");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&key), mode(&directory)), (0o600, 0o700));
    let words = [
        WORD.to_owned(),
        base64::engine::general_purpose::STANDARD.encode(WORD),
    ];
    let ledger = files(&directory.join("ledger"));
    assert_eq!(ledger.len(), 4, "three pods and services: {ledger:?}");
    for path in &ledger {
        let bytes = fs::read(path).unwrap();
        let has = |word: &str| {
            bytes
                .windows(word.len())
                .any(|part| part == word.as_bytes())
        };
        assert!(!words.iter().any(|word| has(word)), "{}", path.display());
        assert!(!has("busybox"), "{}", path.display());
        assert_eq!(mode(path), 0o600);
    }
    let before = running(&weft);
    // Another key, and one file cut off: it runs on, untouched, and it is told in one line.
    weft.kill_daemon();
    let kept = weft.scratch().join("node.key");
    fs::rename(&key, &kept).unwrap();
    let bytes = fs::read(&ledger[0]).unwrap();
    fs::write(&ledger[0], &bytes[..bytes.len() / 2]).unwrap();
    let (path, whole) = damage(&weft);
    weft.start_daemon();
    until(SOON, "it is told", || {
        weft.daemon_log()
            .contains("a part of the ledger cannot be read")
    });
    assert!(
        weft.daemon_log().contains("count=4"),
        "{}",
        weft.daemon_log()
    );
    assert_eq!(running(&weft), before);
    weft.kill_daemon();
    fs::write(&path, whole).unwrap();
    weft.start_daemon();
    // The control plane is believed, and the ledger is written anew.
    kubectl(&weft, "wait --for=condition=Ready pod/web --timeout=60s").ok();
    assert_eq!(running(&weft), before);
    until(SOON, "it is written anew", || {
        fs::read(&ledger[0]).unwrap().len() >= bytes.len()
    });
    kubectl(&weft, "delete pod web once over").ok();
}

//! Claims: what pods wrote is there for the next, and goes for one reason only.
#![allow(clippy::unwrap_used)]

use weft_testkit::Weft;
use weft_testkit::wait::{SOON, until};

use crate::server_kubectl::{apply, cluster, kubectl};

#[track_caller]
fn field(weft: &Weft, what: &str, path: &str) -> String {
    let ran = kubectl(weft, &format!("get {what} -o jsonpath={{{path}}}"));
    ran.ok().to_owned()
}

#[track_caller]
fn becomes(weft: &Weft, what: &str, path: &str, value: &str) {
    until(SOON, &format!("{what} {path} is {value:?}"), || {
        field(weft, what, path) == value
    });
}

fn claim(name: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{ name: {name} }}\nspec:\n  \
         accessModes: [ReadWriteOnce]\n  resources: {{ requests: {{ storage: 1Gi }} }}\n"
    )
}

fn pod(name: &str, claim: &str, script: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{ name: {name} }}\nspec:\n  terminationGracePeriodSeconds: 0\n  \
         restartPolicy: Never\n  securityContext: {{ runAsUser: 1000 }}\n  \
         volumes: [{{ name: v, persistentVolumeClaim: {{ claimName: {claim} }} }}]\n  containers:\n  - name: main\n    \
         image: busybox\n    imagePullPolicy: IfNotPresent\n    command: [sh, -c, {script:?}]\n    \
         volumeMounts: [{{ name: v, mountPath: /data }}]\n"
    )
}

fn volumes(weft: &Weft) -> String {
    weft.weft(&["volume", "ls", "-q"]).ok().to_owned()
}

#[test]
fn data_outlives_pods_and_goes_with_its_claim() {
    let Some(mut weft) = cluster() else { return };
    apply(&weft, &claim("data")).ok();
    becomes(&weft, "pvc data", ".status.phase", "Pending");
    let told =
        "get events --field-selector involvedObject.name=data -o jsonpath={.items[*].reason}";
    until(SOON, "it waits for somebody", || {
        kubectl(&weft, told).ok().contains("WaitForFirstConsumer")
    });
    // Not root: a new volume is there for everybody.
    apply(&weft, &pod("one", "data", "echo kept > /data/file")).ok();
    becomes(&weft, "pod one", ".status.phase", "Succeeded");
    becomes(&weft, "pvc data", ".status.phase", "Bound");
    let volume = field(&weft, "pvc data", ".spec.volumeName");
    assert_eq!(
        field(&weft, &format!("pv {volume}"), ".status.phase"),
        "Bound"
    );
    assert_eq!(volumes(&weft), volume);
    kubectl(&weft, "delete pod one").ok();

    weft.kill_daemon();
    weft.start_daemon();
    apply(
        &weft,
        &pod("two", "data", "cat /data/file; exec sleep 1000"),
    )
    .ok();
    kubectl(&weft, "wait --for=condition=Ready pod/two --timeout=60s").ok();
    let id = field(&weft, "pod two", ".status.containerStatuses[0].containerID");
    let id = id.strip_prefix("weft://").unwrap();
    until(SOON, "it reads what was written", || {
        weft.weft(&["logs", id]).ok() == "kept"
    });

    // As long as a pod uses it, it is there, and what is in it.
    kubectl(&weft, "delete pvc data --wait=false").ok();
    assert_ne!(field(&weft, "pvc data", ".metadata.deletionTimestamp"), "");
    weft.kill_daemon();
    weft.start_daemon();
    assert_eq!(field(&weft, "pvc data", ".status.phase"), "Bound");
    assert_eq!(weft.weft(&["exec", id, "cat", "/data/file"]).ok(), "kept");
    kubectl(&weft, "delete pod two").ok();
    until(SOON, "claim, volume and data are gone", || {
        kubectl(&weft, "get pvc,pv -o name").ok().is_empty() && volumes(&weft).is_empty()
    });
}

#[test]
fn what_is_to_be_kept_is_kept_and_can_be_had_again() {
    let Some(weft) = cluster() else { return };
    apply(&weft, &claim("data")).ok();
    apply(&weft, &pod("one", "data", "echo kept > /data/file")).ok();
    becomes(&weft, "pod one", ".status.phase", "Succeeded");
    let volume = field(&weft, "pvc data", ".spec.volumeName");
    let retain = r#"{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}"#;
    weft.kubectl(&["patch", "pv", &volume, "-p", retain], "")
        .unwrap()
        .ok();
    kubectl(&weft, "delete pod one").ok();
    kubectl(&weft, "delete pvc data").ok();
    let pv = format!("pv {volume}");
    becomes(&weft, &pv, ".status.phase", "Released");
    assert_eq!(volumes(&weft), volume);
    // Somebody who takes the old claim's name off it can have it again, with what is in it.
    let free = r#"{"spec":{"claimRef":null}}"#;
    weft.kubectl(&["patch", "pv", &volume, "-p", free], "")
        .unwrap()
        .ok();
    apply(&weft, &claim("again")).ok();
    becomes(&weft, "pvc again", ".status.phase", "Bound");
    assert_eq!(field(&weft, "pvc again", ".spec.volumeName"), volume);
    apply(
        &weft,
        &pod("two", "again", "test \"$(cat /data/file)\" = kept"),
    )
    .ok();
    becomes(&weft, "pod two", ".status.phase", "Succeeded");
    let delete = retain.replace("Retain", "Delete");
    weft.kubectl(&["patch", "pv", &volume, "-p", &delete], "")
        .unwrap()
        .ok();
    kubectl(&weft, "delete pod two").ok();
    kubectl(&weft, "delete pvc again").ok();
    until(SOON, "volume and data are gone", || {
        kubectl(&weft, "get pv -o name").ok().is_empty() && volumes(&weft).is_empty()
    });
}

#[test]
fn claims_that_cannot_be_met_say_why() {
    let Some(weft) = cluster() else { return };
    let of_class = |name: &str, class: &str| {
        claim(name).replace(
            "spec:\n",
            &format!("spec:\n  storageClassName: {class:?}\n"),
        )
    };
    apply(&weft, &of_class("unknown", "nope")).ok();
    apply(&weft, &of_class("none", "")).ok();
    for (name, why) in [
        ("unknown", "storageclass.storage.k8s.io \"nope\" not found"),
        (
            "none",
            "no persistent volumes available for this claim and no storage class is set",
        ),
    ] {
        let line = format!(
            "get events --field-selector involvedObject.name={name} -o jsonpath={{.items[*].message}}"
        );
        until(SOON, &format!("of {name} is told why"), || {
            kubectl(&weft, &line).ok().contains(why)
        });
    }
    apply(&weft, &pod("waits", "nowhere", "true")).ok();
    let line =
        "get events --field-selector involvedObject.name=waits -o jsonpath={.items[*].message}";
    until(SOON, "the pod says what it lacks", || {
        kubectl(&weft, line)
            .ok()
            .contains("persistentvolumeclaim \"nowhere\" not found")
    });
    // The claim comes, and the pod runs.
    apply(&weft, &claim("nowhere")).ok();
    becomes(&weft, "pod waits", ".status.phase", "Succeeded");
    kubectl(&weft, "delete pod --all").ok();
    kubectl(&weft, "delete pvc --all").ok();
    until(SOON, "nothing is left", || volumes(&weft).is_empty());
}

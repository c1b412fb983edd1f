//! Mistakes as people make them in manifests: what each is told by `kubectl describe` and by
//! `weft why`, all in one cluster.
#![allow(clippy::unwrap_used)]

use weft_testkit::Weft;
use weft_testkit::wait::{SOON, until};

use crate::server_kubectl::{apply, cluster, kubectl};

/// A mistake.
struct Bad {
    /// The pod's name, and what is wrong with it.
    name: &'static str,
    /// What its container runs.
    command: &'static str,
    /// Further fields of the container, one a line.
    container: &'static str,
    /// Further fields of the pod's spec.
    spec: &'static str,
    /// What `kubectl describe` says at last.
    described: &'static str,
    /// How the sentence of `weft why` goes on after `pod NAME `, `container main of pod NAME `.
    why: &'static str,
    /// What it says is to be done.
    next: &'static str,
}

const SLEEPS: &str = "[sleep, '1000']";

const ALL: &[Bad] = &[
    Bad {
        name: "other-machine",
        command: "[/bad/x]",
        container: "volumeMounts: [{ name: v, mountPath: /bad }]",
        spec: "volumes: [{ name: v, configMap: { name: garbage, defaultMode: 0755 } }]",
        described: "cannot run /bad/x: execute: Exec format error",
        why: "cannot start: its command \"/bad/x\" is no program, or one of another architecture.",
        next: "architecture",
    },
    Bad {
        name: "not-executable",
        command: "[/bad/x]",
        container: "volumeMounts: [{ name: v, mountPath: /bad }]",
        spec: "volumes: [{ name: v, configMap: { name: garbage } }]",
        described: "cannot run /bad/x: execute: Permission denied",
        why: "cannot start: its command \"/bad/x\" may not be executed.",
        next: "make it executable",
    },
    Bad {
        name: "no-program",
        command: "[/no/such]",
        container: "",
        spec: "",
        described: "Error: cannot run /no/such: execute: No such file",
        why: "cannot start: its command \"/no/such\" is not in image busybox.",
        next: "correct command",
    },
    Bad {
        name: "no-key",
        command: SLEEPS,
        container: "env: [{ name: A, valueFrom: { secretKeyRef: { name: word, key: absent } } }]",
        spec: "",
        described: "couldn't find key absent in Secret default/word",
        why: "cannot start: couldn't find key absent in Secret default/word.",
        next: "create what is missing",
    },
    Bad {
        name: "no-item",
        command: SLEEPS,
        container: "volumeMounts: [{ name: v, mountPath: /v }]",
        spec: "volumes: [{ name: v, secret: { secretName: word, items: [{ key: absent, path: x }] } }]",
        described: "secret \"word\" references non-existent config key: absent",
        why: "cannot start: a volume of it cannot be had: ",
        next: "create what the volume names",
    },
    Bad {
        name: "no-part",
        command: SLEEPS,
        container: "volumeMounts: [{ name: v, mountPath: /v/x, subPath: absent }]",
        spec: "volumes: [{ name: v, configMap: { name: garbage } }]",
        described: "it has no \"absent\" (subPath)",
        why: "cannot start: mount volume v at /v/x: it has no \"absent\" (subPath).",
        next: "correct volumeMounts.subPath",
    },
    Bad {
        name: "no-directory",
        command: SLEEPS,
        container: "volumeMounts: [{ name: v, mountPath: /v }]",
        spec: "volumes: [{ name: v, hostPath: { path: /no/such, type: Directory } }]",
        described: "hostPath type check failed: /no/such is not a directory",
        why: "cannot start: a volume of it cannot be had: ",
        next: "create what the volume names",
    },
    Bad {
        name: "no-class",
        command: SLEEPS,
        container: "volumeMounts: [{ name: v, mountPath: /v }]",
        spec: "volumes: [{ name: v, persistentVolumeClaim: { claimName: fast } }]",
        described: "persistentvolumeclaim \"fast\" is not bound to a volume yet",
        why: "cannot start, because claim fast asks for class fast, which does not exist.",
        next: "weft get storageclass",
    },
    Bad {
        name: "no-room",
        command: SLEEPS,
        container: "volumeMounts: [{ name: v, mountPath: /v }]",
        spec: "volumes: [{ name: v, persistentVolumeClaim: { claimName: huge } }]",
        described: "persistentvolumeclaim \"huge\" is not bound to a volume yet",
        why: "cannot start, because claim huge gets no volume of 500Ti: 500Ti is more than the whole disk of node one",
        next: "correct the claim",
    },
    Bad {
        name: "no-port",
        command: SLEEPS,
        container: "readinessProbe: { httpGet: { port: web } }",
        spec: "",
        described: "container main has no port called \"web\", which a probe or hook names",
        why: "cannot start: container main has no port called \"web\", which a probe or hook names.",
        next: "name the port",
    },
    Bad {
        name: "bad-hook",
        command: SLEEPS,
        container: "lifecycle: { postStart: { exec: { command: [sh, -c, 'echo no; exit 4'] } } }",
        spec: "",
        described: "PostStartHook failed: no",
        why: "is stopped again after each start: its postStart hook fails: PostStartHook failed: no.",
        next: "lifecycle.postStart",
    },
    Bad {
        name: "slow-hook",
        command: SLEEPS,
        container: "lifecycle: { postStart: { exec: { command: [sleep, '1000'] } } }",
        spec: "",
        described: "Started container main",
        why: "has started, and its postStart hook has not returned yet.",
        next: "a hook that never returns",
    },
    Bad {
        name: "never-started",
        command: SLEEPS,
        container: "startupProbe: { exec: { command: ['false'] }, periodSeconds: 1, failureThreshold: 1 }",
        spec: "",
        described: "Startup probe failed: exit code 1",
        why: "is restarted again and again: its startup probe fails: exit code 1.",
        next: "startupProbe",
    },
    Bad {
        name: "deaf-port",
        command: SLEEPS,
        container: "readinessProbe: { grpc: { port: 90 }, periodSeconds: 1 }",
        spec: "",
        described: "Readiness probe failed: timeout: failed to connect service",
        why: "runs, but its readiness probe fails: timeout: failed to connect service",
        next: "readinessProbe",
    },
    Bad {
        name: "setup-fails",
        command: SLEEPS,
        container: "",
        spec: "initContainers: [{ name: first, image: busybox, imagePullPolicy: IfNotPresent, \
               command: [sh, -c, 'exit 7'] }]",
        described: "Back-off restarting failed container first",
        why: "init container first of pod setup-fails exits each time with code 7.",
        next: "-c first --previous",
    },
    Bad {
        name: "odd-runtime",
        command: SLEEPS,
        container: "",
        spec: "runtimeClassName: gvisor",
        described: "this node does not support spec.runtimeClassName: leave it out",
        why: "has failed (NotSupported): this node does not support spec.runtimeClassName: leave it out.",
        next: "weft describe pod",
    },
    Bad {
        name: "no-image-name",
        command: SLEEPS,
        container: "image: 'Bad Image!'",
        spec: "",
        described: "Failed to pull image \"Bad Image!\"",
        why: "cannot start: \"Bad Image!\" is no name of an image.",
        next: "correct the image",
    },
];

impl Bad {
    fn manifest(&self) -> String {
        let Bad { name, command, .. } = self;
        let lines = |text: &str, indent: &str| match text {
            "" => String::new(),
            text => format!("{indent}{text}\n"),
        };
        let image = match self.container.starts_with("image:") {
            true => "",
            false => "    image: busybox\n",
        };
        let (spec, container) = (lines(self.spec, "  "), lines(self.container, "    "));
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{ name: {name}, labels: {{ app: {name} }} }}\nspec:\n  \
             terminationGracePeriodSeconds: 1\n{spec}  containers:\n  - name: main\n{image}    \
             imagePullPolicy: IfNotPresent\n    command: {command}\n{container}"
        )
    }
}

/// What of it belongs to one sentence is wrapped.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What is not a pod, and is refused or told, too.
const BESIDE: &str = "---
apiVersion: v1
kind: ConfigMap
metadata: { name: garbage }
binaryData: { x: f0VMRgIBAQAAAAAAAAAAAAIAtwABAAAA }
---
apiVersion: v1
kind: Secret
metadata: { name: word }
stringData: { pass: x }
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: fast }
spec: { storageClassName: fast, accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Mi } } }
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: huge }
spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 500Ti } } }
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: block }
spec: { volumeMode: Block, accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Mi } } }
---
apiVersion: v1
kind: Service
metadata: { name: nameless }
spec: { selector: { app: deaf-port }, ports: [{ port: 80, targetPort: web }] }
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: { name: keeps-nothing }
spec: { minAvailable: 1, selector: { matchLabels: { app: nobody } } }
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: { name: keeps-all }
spec: { minAvailable: 1, selector: { matchLabels: { app: deaf-port } } }
---
apiVersion: batch/v1
kind: Job
metadata: { name: hopeless }
spec: { backoffLimit: 0, template: { spec: { restartPolicy: Never, containers: [{ name: main, image: busybox, \
                      imagePullPolicy: IfNotPresent, command: [sh, -c, 'exit 9'] }] } } }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: held, finalizers: [example.com/nobody] }
";

/// What `weft why` begins with, and what it says is to be done.
const BESIDE_WHY: &[(&str, &str, &str)] = &[
    (
        "pvc/block",
        "claim block gets no volume of 1Mi: volumes of class local are file systems: leave volumeMode out.",
        "make it anew",
    ),
    (
        "svc/nameless",
        "service nameless leads nowhere: its targetPort \"web\" is no named port of its pods",
        "correct targetPort",
    ),
    (
        "pdb/keeps-nothing",
        "budget keeps-nothing keeps nothing: its selector app=nobody matches no pod.",
        "--show-labels",
    ),
    (
        "pdb/keeps-all",
        "budget keeps-all lets no pod be evicted: 0 of 1 are healthy, and 1 have to be.",
        "a drain waits for ever",
    ),
    (
        "job/hopeless",
        "job hopeless has failed: its pods failed more than 0 times (backoffLimit)",
        "weft logs pod/hopeless-",
    ),
    (
        "cm/held",
        "configmap held was deleted",
        "--type=merge -p '{\"metadata\":{\"finalizers\":null}}'",
    ),
];

#[track_caller]
fn is_why(weft: &Weft, what: &str, sentence: &str, next: &str) {
    let mut said = String::new();
    let mut holds = || {
        said = flat(weft.weft(&["why", what]).ok());
        let (found, then) = said.split_once(" next: ").unwrap_or((&said, ""));
        found.contains(sentence) && then.contains(next)
    };
    let began = std::time::Instant::now();
    while !holds() {
        assert!(
            began.elapsed() < SOON,
            "why {what}: {sentence}: {next}: {said}"
        );
        weft_testkit::wait::pause();
    }
}

#[test]
fn mistakes_are_described_with_what_to_do() {
    let Some(weft) = cluster() else { return };
    let pods: String = ALL.iter().map(Bad::manifest).collect();
    apply(&weft, BESIDE).ok();
    apply(&weft, &pods).ok();
    kubectl(&weft, "delete cm held --wait=false").ok();
    for bad in ALL {
        let pod = format!("pod/{}", bad.name);
        until(
            SOON,
            &format!("{pod} is described: {}", bad.described),
            || {
                kubectl(&weft, &format!("describe {pod}"))
                    .ok()
                    .contains(bad.described)
            },
        );
        is_why(&weft, &pod, bad.why, bad.next);
    }
    for (what, sentence, next) in BESIDE_WHY {
        is_why(&weft, what, sentence, next);
    }
    // What is the same of each attempt is one event that is counted.
    let line = "get events --field-selector involvedObject.name=no-program,reason=Failed -o name";
    assert_eq!(kubectl(&weft, line).ok().lines().count(), 1);
    kubectl(
        &weft,
        "patch cm held --type=merge -p {\"metadata\":{\"finalizers\":null}}",
    )
    .ok();
    kubectl(&weft, "delete pods --all --timeout=60s").ok();
}

#[test]
fn what_is_absurd_is_carried_out_or_refused() {
    let Some(weft) = cluster() else { return };
    let pod = |name: &str, containers: &str| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{ name: {name} }}\nspec:\n  \
             terminationGracePeriodSeconds: 0\n  containers:\n{containers}"
        )
    };
    let container = |name: &str, more: &str| {
        format!(
            "  - {{ name: {name}, image: busybox, imagePullPolicy: IfNotPresent, \
             command: [sleep, '1000']{more} }}\n"
        )
    };
    // Names as long as they may be, a hundred containers, an environment that no kernel takes.
    let long = "a".repeat(253);
    let many: String = (0..100).map(|n| container(&format!("c{n}"), "")).collect();
    let large = format!(", env: [{{ name: A, value: {} }}]", "x".repeat(200_000));
    let all = [
        pod(&long, &container(&"b".repeat(63), "")),
        pod("many", &many),
        pod("large", &container("main", &large)),
    ];
    apply(&weft, &all.concat()).ok();
    let ready = format!("wait --for=condition=Ready pod/{long} pod/many --timeout=60s");
    kubectl(&weft, &ready).ok();
    is_why(
        &weft,
        "pod/large",
        "its command, args and env are longer than the kernel takes (128 KiB each).",
        "a volume of a configMap or secret",
    );
    let map = |bytes: usize| {
        let text = "y".repeat(bytes);
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: map{bytes} }}\ndata: {{ x: {text} }}\n"
        )
    };
    let made = |bytes: usize| {
        let words = ["create", "-f", "-"];
        weft.kubectl(&words, &map(bytes)).unwrap()
    };
    made(1 << 20).ok();
    made((1 << 20) + 1).fails_saying(&["Too long", "1048576 bytes"]);
    // Who asks for what is not there is told what is missing.
    for (line, says) in [
        (
            "exec many -c nope -- true",
            "container nope is not valid for pod many",
        ),
        (
            "exec many -c c1 -- /no/such",
            "cannot run /no/such: execute: No such file",
        ),
        (
            "exec large -- true",
            "\"main\" of pod \"large\" does not run",
        ),
        (
            "logs many -c c1 --previous",
            "previous terminated container \"c1\" in pod \"many\" not found",
        ),
    ] {
        kubectl(&weft, line).fails_saying(&[says]);
    }
    kubectl(&weft, "delete pods --all --now").ok();
}

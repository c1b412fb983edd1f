//! What a pod's fields do inside: each pod looks around, says what it finds and ends.
#![allow(clippy::unwrap_used)]

use weft_testkit::Weft;
use weft_testkit::registry::Access;
use weft_testkit::wait::{SOON, until};
use weft_testkit::{Registry, image};

use crate::server_kubectl::{apply, cluster, kubectl};

/// A pod that looks around.
struct Look {
    name: &'static str,
    /// What its container runs.
    script: &'static str,
    /// Further fields of the container, one a line.
    container: &'static str,
    /// Further fields of the pod's spec.
    spec: &'static str,
    /// What it says.
    says: &'static str,
}

impl Look {
    fn manifest(&self) -> String {
        let Look { name, script, .. } = self;
        let lines = |text: &str, indent: &str| -> String {
            let lines = text.lines().map(str::trim_end);
            let lines = lines.filter(|line| !line.is_empty());
            lines.map(|line| format!("{indent}{line}\n")).collect()
        };
        let spec = lines(self.spec, "  ");
        let container = lines(self.container, "    ");
        format!(
            "---\napiVersion: v1\nkind: Pod\n\
             metadata: {{ name: {name}, labels: {{ app: {name} }}, annotations: {{ note: said }} }}\n\
             spec:\n  restartPolicy: Never\n{spec}  containers:\n  - name: main\n    image: busybox\n    \
             imagePullPolicy: IfNotPresent\n    command: [sh, -c, {script:?}]\n{container}"
        )
    }
}

const CONFIG: &str = "
apiVersion: v1
kind: ConfigMap
metadata: { name: conf }
data: { a: first, b: second }
---
apiVersion: v1
kind: Secret
metadata: { name: word }
stringData: { pass: s3cret }
---
apiVersion: v1
kind: Service
metadata: { name: peers }
spec: { clusterIP: None, selector: { app: named }, ports: [{ name: http, port: 80 }], publishNotReadyAddresses: true }
";

const LOOKS: &[Look] = &[
    Look {
        name: "ids",
        script: "id -u; id -g; id -G | tr ' ' '\\n' | sort -n | xargs; touch /d/f; stat -c '%u %g' /d/f",
        container: "volumeMounts: [{ name: d, mountPath: /d }]",
        spec: "securityContext: { runAsUser: 1000, runAsGroup: 3000, fsGroup: 2000, supplementalGroups: [4000] }
volumes: [{ name: d, emptyDir: {} }]",
        says: "1000\n3000\n2000 3000 4000\n1000 2000",
    },
    Look {
        name: "own-id",
        script: "id -u; id -g",
        container: "securityContext: { runAsUser: 1001, runAsNonRoot: true }",
        spec: "securityContext: { runAsUser: 1000, runAsGroup: 3000 }",
        says: "1001\n3000",
    },
    Look {
        name: "closed",
        script: "touch /x 2>/dev/null || echo read-only; touch /tmp/x && echo writable; \
                 sed -n 's/^\\(CapEff\\|NoNewPrivs\\|Seccomp\\):\\t/\\1 /p' /proc/self/status",
        container: "securityContext:
  readOnlyRootFilesystem: true
  allowPrivilegeEscalation: false
  capabilities: { drop: [ALL], add: [NET_BIND_SERVICE] }
volumeMounts: [{ name: tmp, mountPath: /tmp }]",
        spec: "volumes: [{ name: tmp, emptyDir: { medium: Memory, sizeLimit: 1Mi } }]",
        says: "read-only\nwritable\nCapEff 0000000000000400\nNoNewPrivs 1\nSeccomp 2",
    },
    Look {
        name: "open",
        script: "sed -n 's/^Seccomp:\\t/seccomp /p' /proc/self/status; test -e /dev/kmsg && echo devices; \
                 mkdir /m; mount -t tmpfs none /m && echo mounts",
        container: "securityContext: { privileged: true }",
        spec: "",
        says: "seccomp 0\ndevices\nmounts",
    },
    Look {
        name: "memory",
        script: "df -k /m | awk 'NR==2 { print $2 }'; stat -fc %T /m; head -c 2000000 /dev/zero > /m/x 2>/dev/null || echo full",
        container: "volumeMounts: [{ name: m, mountPath: /m }]",
        spec: "volumes: [{ name: m, emptyDir: { medium: Memory, sizeLimit: 1Mi } }]",
        says: "1024\ntmpfs\nfull",
    },
    Look {
        name: "files",
        script: "cat /one/a /all/x /all/pass /all/labels; echo; cat /all/note; echo; stat -Lc %a /all/pass; \
                 ls /picked; cat /of/files/b",
        container: "env: [{ name: WHO, valueFrom: { fieldRef: { fieldPath: metadata.name } } }]
volumeMounts:
- { name: conf, mountPath: /one/a, subPath: a }
- { name: conf, mountPath: /of/files, readOnly: true }
- { name: picked, mountPath: /picked }
- { name: all, mountPath: /all }
- { name: d, mountPath: /d, subPathExpr: of-$(WHO) }",
        spec: "volumes:
- { name: conf, configMap: { name: conf } }
- { name: picked, configMap: { name: conf, items: [{ key: b, path: deep/er }] } }
- { name: d, emptyDir: {} }
- name: all
  projected:
    defaultMode: 0440
    sources:
    - configMap: { name: conf, items: [{ key: b, path: x }] }
    - secret: { name: word }
    - downwardAPI:
        items:
        - { path: labels, fieldRef: { fieldPath: metadata.labels } }
        - { path: note, fieldRef: { fieldPath: \"metadata.annotations['note']\" } }",
        says: "firstseconds3cretapp=\"files\"\nsaid\n440\ndeep\nsecond",
    },
    Look {
        name: "variables",
        script: "echo $NEEDS $NAME $NAMESPACE $NODE $NOTE $ALL_a $BOTH $RAW; pwd; echo $0 $1",
        container: "args: [zero, $(NAME)]
workingDir: /etc
resources: { requests: { cpu: 250m, memory: 10Mi } }
envFrom: [{ prefix: ALL_, configMapRef: { name: conf } }, { secretRef: { name: absent, optional: true } }]
env:
- { name: NEEDS, valueFrom: { resourceFieldRef: { resource: requests.cpu, divisor: 1m } } }
- { name: NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
- { name: NAMESPACE, valueFrom: { fieldRef: { fieldPath: metadata.namespace } } }
- { name: NODE, valueFrom: { fieldRef: { fieldPath: spec.nodeName } } }
- { name: NOTE, valueFrom: { fieldRef: { fieldPath: \"metadata.annotations['note']\" } } }
- { name: BOTH, value: $(NAME)-$(ALL_b) }
- { name: RAW, value: $$(NAME) }",
        spec: "",
        says: "250 variables default one said first variables-second $(NAME)\n/etc\nzero variables",
    },
    Look {
        name: "all-of-the-node",
        script: "test $CPU -ge 1 && test $MEMORY -gt 1000000 && echo all",
        container: "env:
- { name: CPU, valueFrom: { resourceFieldRef: { resource: limits.cpu } } }
- { name: MEMORY, valueFrom: { resourceFieldRef: { resource: limits.memory } } }",
        spec: "",
        says: "all",
    },
    Look {
        name: "named",
        script: "hostname; hostname -f; grep -c 'a.example b.example' /etc/hosts; \
                 until nslookup one.peers.default.svc.cluster.local | grep -q ^Name; do :; done; echo found",
        container: "",
        spec: "hostname: one
subdomain: peers
hostAliases: [{ ip: 10.1.2.3, hostnames: [a.example, b.example] }]",
        says: "one\none.peers.default.svc.cluster.local\n1\nfound",
    },
    Look {
        name: "resolver",
        script: "cat /etc/resolv.conf",
        container: "",
        spec: "dnsPolicy: None
dnsConfig: { nameservers: [192.0.2.1], searches: [a.example], options: [{ name: ndots, value: '2' }] }",
        says: "nameserver 192.0.2.1\nsearch a.example\noptions ndots:2",
    },
    Look {
        name: "tuned",
        script: "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shm_rmid_forced",
        container: "",
        spec: "securityContext:
  sysctls:
  - { name: net.ipv4.ip_unprivileged_port_start, value: '80' }
  - { name: kernel.shm_rmid_forced, value: '1' }",
        says: "80\n1",
    },
    Look {
        name: "on-host",
        // `ls` would tell of processes that end meanwhile.
        script: "test \"$IP\" = \"$HOST\" && echo same; set -- /proc/[0-9]*; test $# -gt 20 && echo many",
        container: "env:
- { name: IP, valueFrom: { fieldRef: { fieldPath: status.podIP } } }
- { name: HOST, valueFrom: { fieldRef: { fieldPath: status.hostIP } } }",
        spec: "hostNetwork: true\nhostPID: true\nhostIPC: true",
        says: "same\nmany",
    },
];

#[track_caller]
fn field(weft: &Weft, what: &str, path: &str) -> String {
    let ran = kubectl(weft, &format!("get {what} -o jsonpath={{{path}}}"));
    ran.ok().to_owned()
}

#[test]
fn fields_of_pods_do_what_they_say() {
    let Some(weft) = cluster() else { return };
    apply(&weft, CONFIG).ok();
    let all: String = LOOKS.iter().map(Look::manifest).collect();
    apply(&weft, &all).ok();
    let mut wrong = Vec::new();
    for look in LOOKS {
        let pod = format!("pod/{}", look.name);
        until(SOON, &format!("{pod} has ended"), || {
            let phase = field(&weft, &pod, ".status.phase");
            ["Succeeded", "Failed"].contains(&phase.as_str())
        });
        let said = kubectl(&weft, &format!("logs {pod}"));
        let found = said.ok().trim_end();
        if found != look.says {
            wrong.push(format!("{}: {found:?} is not {:?}", look.name, look.says));
        }
    }
    kubectl(&weft, "delete pods --all --now").ok();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn ends_are_told_and_what_is_not_allowed_is_not_run() {
    let Some(weft) = cluster() else { return };
    let pod = |name: &str, script: &str, container: &str, spec: &str| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{ name: {name} }}\nspec:\n  restartPolicy: Never\n  \
             terminationGracePeriodSeconds: 0\n{spec}  containers:\n  - name: main\n    image: busybox\n    \
             imagePullPolicy: IfNotPresent\n    command: [sh, -c, {script:?}]\n{container}"
        )
    };
    let log = "    terminationMessagePolicy: FallbackToLogsOnError\n";
    let root = "    securityContext: { runAsNonRoot: true }\n";
    let sysctl = "  securityContext: { sysctls: [{ name: vm.swappiness, value: '1' }] }\n";
    let all = [
        pod("said", "echo why >/dev/termination-log; exit 3", "", ""),
        pod(
            "elsewhere",
            "echo there >/t",
            "    terminationMessagePath: /t\n",
            "",
        ),
        pod("logged", "echo last words; exit 4", log, ""),
        pod("late", "sleep 1000", "", "  activeDeadlineSeconds: 1\n"),
        pod("root", "true", root, ""),
        pod("unsafe", "true", "", sysctl),
    ];
    apply(&weft, &all.concat()).ok();
    let ended = ".status.containerStatuses[0].state.terminated";
    let ends = |pod: &str, code: &str, message: &str| {
        let pod = format!("pod/{pod}");
        until(SOON, &format!("{pod} ends with {code}"), || {
            field(&weft, &pod, &format!("{ended}.exitCode")) == code
        });
        assert_eq!(
            field(&weft, &pod, &format!("{ended}.message")).trim_end(),
            message
        );
    };
    ends("said", "3", "why");
    ends("elsewhere", "0", "there");
    ends("logged", "4", "last words");
    let becomes = |pod: &str, path: &str, value: &str| {
        until(SOON, &format!("{pod}: {path} says {value}"), || {
            field(&weft, &format!("pod/{pod}"), path).contains(value)
        });
    };
    becomes("late", ".status.reason", "DeadlineExceeded");
    becomes("late", ".status.phase", "Failed");
    let waits = ".status.containerStatuses[0].state.waiting";
    becomes(
        "root",
        &format!("{waits}.reason"),
        "CreateContainerConfigError",
    );
    becomes(
        "root",
        &format!("{waits}.message"),
        "image will run as root",
    );
    for (pod, says) in [
        ("root", "runAsNonRoot"),
        ("unsafe", "vm.swappiness belongs"),
    ] {
        until(
            SOON,
            &format!("it is told why {pod} does not run: {says}"),
            || {
                let described = kubectl(&weft, &format!("describe pod {pod}"));
                let why = weft.weft(&["why", &format!("pod/{pod}")]);
                described.ok().contains(says) && why.ok().contains(says)
            },
        );
    }
    kubectl(&weft, "delete pods --all --now").ok();
}

#[test]
fn an_image_is_pulled_with_the_secret_that_the_pod_or_its_account_names() {
    let Some(registry) = Registry::start(Access::Password).unwrap() else {
        return;
    };
    let Some(weft) = cluster() else { return };
    registry.push(image::busybox(), "shop/web:1").unwrap();
    let pod = |name: &str, spec: &str| {
        let image = format!("{}/shop/web:1", registry.host());
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{ name: {name} }}\nspec:\n  restartPolicy: Never\n{spec}  \
             containers: [{{ name: main, image: {image:?}, imagePullPolicy: Always, command: [echo, ran] }}]\n"
        )
    };
    for (name, password) in [("hub", "shuttle"), ("stale", "loom")] {
        let server = registry.host();
        let line = format!(
            "create secret docker-registry {name} --docker-server={server} \
             --docker-username=weaver --docker-password={password}"
        );
        kubectl(&weft, &line).ok();
    }
    let account = "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: { name: weaver }\n\
                   imagePullSecrets: [{ name: hub }]\n";
    let all = [
        account.to_owned(),
        pod("without", ""),
        pod("wrong", "  imagePullSecrets: [{ name: stale }]\n"),
        pod(
            "with",
            "  imagePullSecrets: [{ name: stale }, { name: hub }]\n",
        ),
        pod("account", "  serviceAccountName: weaver\n"),
    ];
    apply(&weft, &all.concat()).ok();
    for name in ["with", "account"] {
        until(SOON, &format!("{name} has run"), || {
            field(&weft, &format!("pod/{name}"), ".status.phase") == "Succeeded"
        });
    }
    for name in ["without", "wrong"] {
        let reason = ".status.containerStatuses[0].state.waiting.reason";
        until(SOON, &format!("{name} cannot be pulled"), || {
            let reason = field(&weft, &format!("pod/{name}"), reason);
            ["ErrImagePull", "ImagePullBackOff"].contains(&reason.as_str())
        });
        let why = weft.weft(&["why", &format!("pod/{name}")]);
        assert!(why.ok().contains("credentials"), "{why}");
    }
    kubectl(&weft, "delete pods --all --now").ok();
}

#[test]
fn services_keep_their_clients_and_are_found_by_port_and_address() {
    let Some(weft) = cluster() else { return };
    let all = "
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 3
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: main
        image: busybox
        imagePullPolicy: IfNotPresent
        command: [sh, -c, 'mkdir /www; hostname > /www/index.html; exec httpd -f -p 8080 -h /www']
        ports: [{ name: http, containerPort: 8080 }]
        readinessProbe: { tcpSocket: { port: http }, periodSeconds: 1 }
---
apiVersion: v1
kind: Service
metadata: { name: sticky }
spec: { sessionAffinity: ClientIP, selector: { app: web }, ports: [{ name: web, port: 80, targetPort: http }] }
---
apiVersion: v1
kind: Pod
metadata: { name: client }
spec:
  terminationGracePeriodSeconds: 0
  containers: [{ name: main, image: busybox, imagePullPolicy: IfNotPresent, command: [sleep, '1000'] }]
";
    apply(&weft, all).ok();
    kubectl(&weft, "rollout status deployment/web --timeout=60s").ok();
    kubectl(&weft, "wait --for=condition=Ready pod/client --timeout=60s").ok();
    let ask = |script: &str| {
        let words = ["exec", "client", "--", "sh", "-c", script];
        weft.kubectl(&words, "").unwrap()
    };
    until(SOON, "the service leads to three", || {
        let ready = field(&weft, "endpoints sticky", ".subsets[*].addresses[*].ip");
        ready.split_whitespace().count() == 3
    });
    let asked = ask("for i in $(seq 30); do wget -q -O - http://sticky; done");
    let mut seen: Vec<&str> = asked.ok().split_whitespace().collect();
    assert_eq!(seen.len(), 30, "{asked}");
    seen.dedup();
    assert_eq!(seen.len(), 1, "another than the first answered: {asked}");

    let address = field(&weft, "service sticky", ".spec.clusterIP");
    let found = ask("nslookup -type=srv _web._tcp.sticky.default.svc.cluster.local");
    assert!(
        found.ok().contains("80 sticky.default.svc.cluster.local"),
        "{found}"
    );
    let found = ask(&format!("nslookup {address}"));
    assert!(
        found.ok().contains("sticky.default.svc.cluster.local"),
        "{found}"
    );
    kubectl(&weft, "delete deployment web --cascade=foreground").ok();
    kubectl(&weft, "delete pod client --now").ok();
}

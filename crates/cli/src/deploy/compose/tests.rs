//! Whole files, and what is wrong with others.

use std::cell::Cell;
use std::path::Path;

use serde_json::{Value, json};

use super::{Around, Lowered, lower};
use crate::objects::manifest::{Dialect, values};

const WHOLE: &str = include_str!("../../../testdata/compose/whole.yaml");
const WHOLE_LOWERED: &str = "testdata/compose/whole.lowered.yaml";

fn read(path: &Path) -> Result<Vec<u8>, String> {
    match path.to_str().unwrap() {
        "/srv/shop/.env" => Ok(b"TAG=1.2\nGREETING=hello\n".to_vec()),
        "/srv/shop/web.env" => Ok(b"FROM_FILE=x\nCOLOUR=blue\n".to_vec()),
        "/srv/shop/site.conf" => Ok(b"listen 80\n".to_vec()),
        "/srv/shop/pass.txt" => Ok(b"s3cret".to_vec()),
        other => Err(format!("no such file: {other}")),
    }
}

fn lowered_with(text: &str, profiles: &[String]) -> Result<Lowered, Vec<String>> {
    let document = values("compose.yaml", text, Dialect::Kustomize).unwrap();
    let around = Around {
        dir: Path::new("/srv/shop"),
        name: None,
        profiles,
        env_files: &[],
        env: &|name| (name == "HOME").then(|| "/srv/home".to_owned()),
        read: &read,
        is_file: &|path| path == Path::new("/srv/shop/.env") || path.ends_with("etc/x.conf"),
    };
    lower(document.into_iter().next().unwrap(), &around)
}

fn lowered(text: &str) -> Result<Lowered, Vec<String>> {
    lowered_with(text, &[])
}

/// One service with these lines.
fn service(lines: &str) -> String {
    let lines: Vec<String> = lines.lines().map(|line| format!("    {line}\n")).collect();
    format!("services:\n  web:\n    image: i\n{}", lines.concat())
}

fn find<'a>(lowered: &'a Lowered, kind: &str, name: &str) -> &'a Value {
    let mut objects = lowered.objects.iter();
    let found = objects.find(|one| one["kind"] == kind && one["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}: {:#?}", lowered.objects))
}

/// What the service with these lines becomes, and its container.
fn workload(lines: &str) -> (Value, Value) {
    let lowered = lowered(&service(lines)).unwrap_or_else(|why| panic!("{lines}: {why:?}"));
    let workload = lowered.objects.last().unwrap().clone();
    let container = workload["spec"]["template"]["spec"]["containers"][0].clone();
    (workload, container)
}

#[test]
fn a_whole_file_is_lowered_as_it_was() {
    let lowered = lowered(WHOLE).unwrap_or_else(|why| panic!("{why:#?}"));
    let mut text = String::new();
    for note in &lowered.notes {
        text.push_str(&format!("# {note}\n"));
    }
    for object in &lowered.objects {
        text.push_str("---\n");
        text.push_str(&weft_stdx::yaml::document(object));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(WHOLE_LOWERED);
    if std::env::var_os("WEFT_UPDATE_TESTDATA").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        text == expected,
        "WEFT_UPDATE_TESTDATA=1 rewrites {WHOLE_LOWERED}; it would be:\n{text}"
    );
}

#[test]
fn fields_of_a_container_are_there() {
    for (lines, path, expected) in [
        (
            "command: echo 'a b' $$(X)",
            "/args",
            json!(["echo", "a b", "$$(X)"]),
        ),
        ("entrypoint: [/e, x]", "/command", json!(["/e", "x"])),
        (
            "environment: [A=1, HOME, NOPE]",
            "/env",
            json!([{ "name": "A", "value": "1" }, { "name": "HOME", "value": "/srv/home" }]),
        ),
        (
            "environment: { A: 1.5, B: true, C: }",
            "/env",
            json!([{ "name": "A", "value": "1.5" }, { "name": "B", "value": "true" }]),
        ),
        (
            "env_file: web.env\nenvironment: { COLOUR: red }",
            "/env",
            json!([{ "name": "COLOUR", "value": "red" }, { "name": "FROM_FILE", "value": "x" }]),
        ),
        (
            "user: 1000:1001",
            "/securityContext",
            json!({ "runAsUser": 1000, "runAsGroup": 1001 }),
        ),
        (
            "cap_add: [NET_ADMIN]\ncap_drop: [cap_chown]",
            "/securityContext/capabilities",
            json!({ "add": ["NET_ADMIN"], "drop": ["CHOWN"] }),
        ),
        (
            "security_opt: ['no-new-privileges:true']",
            "/securityContext/allowPrivilegeEscalation",
            json!(false),
        ),
        (
            "read_only: true\nprivileged: true",
            "/securityContext",
            json!({ "readOnlyRootFilesystem": true, "privileged": true }),
        ),
        ("working_dir: /w", "/workingDir", json!("/w")),
        ("tty: true\nstdin_open: true", "/stdin", json!(true)),
        ("pull_policy: always", "/imagePullPolicy", json!("Always")),
        (
            "mem_limit: 64m\ncpus: 0.5",
            "/resources/limits",
            json!({ "memory": "67108864", "cpu": "500m" }),
        ),
        (
            "deploy: { resources: { limits: { cpus: '1', memory: 1g }, reservations: { cpus: '0.25' } } }",
            "/resources",
            json!({ "limits": { "cpu": "1000m", "memory": "1073741824" }, "requests": { "cpu": "250m" } }),
        ),
        (
            "ports: ['127.0.0.1:8080:80']",
            "/ports",
            json!([{ "containerPort": 80, "protocol": "TCP", "hostPort": 8080, "hostIP": "127.0.0.1" }]),
        ),
        (
            "ports: [{ target: 80, published: '8080', protocol: udp }]",
            "/ports",
            json!([{ "containerPort": 80, "protocol": "UDP", "hostPort": 8080 }]),
        ),
        (
            "healthcheck: { test: curl localhost, interval: 5s, retries: 2, timeout: 1500ms }",
            "/readinessProbe",
            json!({
                "exec": { "command": ["/bin/sh", "-c", "curl localhost"] }, "periodSeconds": 5, "timeoutSeconds": 2, "failureThreshold": 2,
            }),
        ),
        (
            "healthcheck: { test: [CMD, x], start_period: 12s }",
            "/startupProbe",
            json!({
                "exec": { "command": ["x"] }, "periodSeconds": 5, "timeoutSeconds": 30, "failureThreshold": 6,
            }),
        ),
        (
            "healthcheck: { disable: true }",
            "/readinessProbe",
            Value::Null,
        ),
        (
            "healthcheck: { test: [NONE] }",
            "/livenessProbe",
            Value::Null,
        ),
    ] {
        let (_, container) = workload(lines);
        let found = container.pointer(path).cloned().unwrap_or_default();
        assert_eq!(found, expected, "{lines}");
    }
}

#[test]
fn fields_of_a_pod_are_there() {
    for (lines, path, expected) in [
        ("hostname: h", "/hostname", json!("h")),
        (
            "extra_hosts: ['a:10.0.0.1', 'b=10.0.0.1', 'c:[::1]']",
            "/hostAliases",
            json!([{ "ip": "10.0.0.1", "hostnames": ["a", "b"] }, { "ip": "::1", "hostnames": ["c"] }]),
        ),
        (
            "extra_hosts: { a: 10.0.0.1 }",
            "/hostAliases/0/ip",
            json!("10.0.0.1"),
        ),
        (
            "dns: 1.1.1.1\ndns_search: [a.b]\ndns_opt: ['ndots:2']",
            "/dnsConfig",
            json!({ "nameservers": ["1.1.1.1"], "searches": ["a.b"], "options": [{ "name": "ndots", "value": "2" }] }),
        ),
        (
            "sysctls: { net.core.somaxconn: 1024 }",
            "/securityContext/sysctls",
            json!([{ "name": "net.core.somaxconn", "value": "1024" }]),
        ),
        (
            "stop_grace_period: 1m30s",
            "/terminationGracePeriodSeconds",
            json!(90),
        ),
        (
            "network_mode: host\npid: host\nipc: host",
            "/hostNetwork",
            json!(true),
        ),
        (
            "platform: linux/arm64",
            "/nodeSelector",
            json!({ "kubernetes.io/arch": "arm64" }),
        ),
        (
            "deploy: { placement: { constraints: ['node.labels.disk == ssd', node.hostname==one] } }",
            "/nodeSelector",
            json!({ "disk": "ssd", "kubernetes.io/hostname": "one" }),
        ),
        (
            "shm_size: 64m",
            "/volumes/0/emptyDir",
            json!({ "medium": "Memory", "sizeLimit": "67108864" }),
        ),
        (
            "tmpfs: /run",
            "/volumes/0/emptyDir",
            json!({ "medium": "Memory" }),
        ),
        (
            "volumes: ['./a/../b:/b:ro']",
            "/volumes/0/hostPath",
            json!({ "path": "/srv/shop/b", "type": "DirectoryOrCreate" }),
        ),
        (
            "volumes: ['~/etc/x.conf:/b']",
            "/volumes/0/hostPath",
            json!({ "path": "/srv/home/etc/x.conf", "type": "File" }),
        ),
        (
            "volumes: [{ type: bind, source: /x, target: /y }]",
            "/volumes/0/hostPath/path",
            json!("/x"),
        ),
        ("volumes: [/data]", "/volumes/0/emptyDir", json!({})),
        (
            "group_add: [1000]",
            "/securityContext/supplementalGroups",
            json!([1000]),
        ),
    ] {
        let (workload, _) = workload(lines);
        let found = workload["spec"]["template"]["spec"].pointer(path).cloned();
        assert_eq!(found.unwrap_or_default(), expected, "{lines}");
    }
}

#[test]
fn what_runs_it_is_what_it_says() {
    for (lines, kind, path, expected) in [
        (
            "",
            "Deployment",
            "/spec/strategy/type",
            json!("RollingUpdate"),
        ),
        (
            "ports: ['80:80']",
            "Deployment",
            "/spec/strategy",
            json!({ "type": "Recreate" }),
        ),
        ("scale: 3", "Deployment", "/spec/replicas", json!(3)),
        (
            "deploy: { replicas: 2, update_config: { parallelism: 2, order: start-first } }",
            "Deployment",
            "/spec/strategy/rollingUpdate",
            json!({ "maxSurge": 2, "maxUnavailable": 0 }),
        ),
        (
            "deploy: { mode: global }",
            "DaemonSet",
            "/spec/replicas",
            Value::Null,
        ),
        ("restart: 'no'", "Job", "/spec/backoffLimit", json!(0)),
        (
            "restart: no",
            "Job",
            "/spec/template/spec/restartPolicy",
            json!("Never"),
        ),
        (
            "restart: on-failure:3",
            "Job",
            "/spec/backoffLimit",
            json!(3),
        ),
        (
            "restart: unless-stopped",
            "Deployment",
            "/spec/template/spec/restartPolicy",
            Value::Null,
        ),
        (
            "deploy: { restart_policy: { condition: none } }",
            "Job",
            "/spec/backoffLimit",
            json!(0),
        ),
        (
            "deploy: { mode: replicated-job, replicas: 2 }",
            "Job",
            "/spec/completions",
            json!(2),
        ),
        (
            "deploy: { labels: { a: 'any thing' } }",
            "Deployment",
            "/metadata/annotations/a",
            json!("any thing"),
        ),
        (
            "labels: [traefik.enable=true]",
            "Deployment",
            "/spec/template/metadata/annotations/traefik.enable",
            json!("true"),
        ),
    ] {
        let (workload, _) = workload(lines);
        assert_eq!(workload["kind"], kind, "{lines}");
        let found = workload.pointer(path).cloned().unwrap_or_default();
        assert_eq!(found, expected, "{lines}");
    }
}

#[test]
fn mistakes_are_told_by_their_path() {
    for (lines, told) in [
        ("colour: red", "services.web.colour: unknown key"),
        ("ports: [x]", "services.web.ports[0]: it is no port"),
        (
            "volumes: ['data:/d']",
            "services.web.volumes[0]: the volume \"data\" is not among",
        ),
        (
            "volumes: ['/a:b']",
            "services.web.volumes[0]: \"b\" is no absolute path",
        ),
        (
            "volumes: ['/a:/b', '/c:/b']",
            "services.web.volumes[1]: /b has something mounted already",
        ),
        (
            "configs: [c]",
            "services.web.configs[0]: \"c\" is not among the configs",
        ),
        (
            "networks: [back]",
            "services.web.networks: the network \"back\" is not among",
        ),
        (
            "depends_on: [db]",
            "services.web.depends_on: there is no service \"db\"",
        ),
        (
            "depends_on: { web: { condition: x } }",
            "services.web.depends_on.web.condition: x: it is",
        ),
        ("stop_signal: SIGQUIT", "services.web.stop_signal: SIGQUIT"),
        (
            "extends: { service: a }",
            "services.web.extends: it is not read",
        ),
        ("user: ann", "services.web.user: \"ann\": say its number"),
        (
            "network_mode: 'service:a'",
            "services.web.network_mode: service:a",
        ),
        (
            "restart: sometimes",
            "services.web.restart: it is no, always",
        ),
        (
            "healthcheck: { interval: 5s }",
            "services.web.healthcheck.test: it is missing",
        ),
        ("deploy: { mode: x }", "services.web.deploy.mode: x"),
        (
            "deploy: { resources: { limits: { memory: much } } }",
            "services.web.deploy.resources.limits.memory: it is no amount",
        ),
        (
            "deploy: { placement: { constraints: [node.role==manager] } }",
            "services.web.deploy.placement.constraints[0]: machines are told apart",
        ),
        ("environment: 5", "services.web.environment: it is neither"),
        (
            "devices: ['/dev/kvm:/dev/kvm']",
            "services.web.devices: devices are not given",
        ),
        (
            "security_opt: ['apparmor=x']",
            "services.web.security_opt[0]: it is none",
        ),
        (
            "command: \"'x\"",
            "services.web.command: a quote has no end",
        ),
        (
            "env_file: none.env",
            "services.web.env_file: read /srv/shop/none.env",
        ),
        (
            "working_dir: ${NO:?say where}",
            "services.web.working_dir: the variable NO: say where",
        ),
    ] {
        let mistakes = lowered(&service(lines)).err().unwrap_or_default();
        assert!(
            mistakes.iter().any(|one| one.contains(told)),
            "{lines}: {mistakes:?}"
        );
    }
    for (text, told) in [
        (
            "services: { a: { image: i, container_name: b }, b: { image: i } }",
            "services: two of them are called \"b\"",
        ),
        ("services: {}", "services: none is meant"),
        ("services: { web: {} }", "services.web.image: it is missing"),
        (
            "services: { web: { build: . } }",
            "services.web.build: nothing is built here",
        ),
        ("services: { web: [] }", "services.web: it is no map"),
        (
            "services: { _: { image: i } }",
            "services._: nothing of its name",
        ),
        (
            "services: { a.b: { image: i }, a_b: { image: i } }",
            "another service has the same name",
        ),
        (
            "include: [x]\nservices: { a: { image: i } }",
            "include: it is not read",
        ),
        (
            "colour: red\nservices: { a: { image: i } }",
            "colour: unknown key",
        ),
        (
            "services: { a: { image: i } }\nvolumes: { v: { driver: nfs } }",
            "volumes.v.driver",
        ),
        (
            "services: { a: { image: i } }\nconfigs: { c: {} }",
            "configs.c: it needs one of",
        ),
        (
            "services: { a: { image: i } }\nsecrets: { s: { file: none } }",
            "secrets.s.file: read /srv/shop/none",
        ),
    ] {
        let mistakes = lowered(text).err().unwrap_or_default();
        assert!(
            mistakes.iter().any(|one| one.contains(told)),
            "{text}: {mistakes:?}"
        );
    }
}

#[test]
fn what_is_not_honoured_is_named() {
    let text = "name: x\nnetworks: { back: { internal: true }, front: }\nservices:\n  web: { image: i, depends_on: [db], logging: { driver: x }, ulimits: { nofile: 5 }, x-own: 1 }\n  db: { image: '$UNSET-i', profiles: [a, b] }\n";
    let notes = lowered_with(text, &["b".to_owned()]).unwrap().notes;
    let has = |told: &str| notes.iter().any(|note| note.contains(told));
    for told in [
        "networks.back.internal:",
        "networks: pods of all networks reach each other",
        "services.web.depends_on: all services start at once",
        "services.web.logging:",
        "services.web.ulimits:",
        "the variable UNSET is not set",
    ] {
        assert!(has(told), "{told}: {notes:?}");
    }
    let left = lowered(&text.replace(", depends_on: [db]", "")).unwrap();
    assert!(
        left.notes
            .iter()
            .any(|note| note.starts_with("services.db: left out: --profile a, b"))
    );
}

#[test]
fn names_lead_to_it() {
    let text = "services:\n  web: { image: i, container_name: shop, networks: { default: { aliases: [www, Not_One] } } }\n";
    let lowered = lowered(text).unwrap();
    for name in ["web", "shop", "www"] {
        let spec = &find(&lowered, "Service", name)["spec"];
        assert_eq!(spec["clusterIP"], "None");
        assert_eq!(spec["selector"]["nanocloud.io/service"], "web");
    }
    assert!(lowered.notes.iter().any(|note| note.contains("Not_One")));
    assert_eq!(lowered.name, "shop");
}

#[test]
fn another_content_is_another_pod() {
    let sum = |content: &str| {
        let text = format!(
            "configs: {{ c: {{ content: {content} }} }}\nservices: {{ web: {{ image: i, configs: [c] }} }}"
        );
        let lowered = lowered(&text).unwrap();
        find(&lowered, "Deployment", "web")["spec"]["template"]["metadata"]["annotations"].clone()
    };
    assert_eq!(sum("a"), sum("a"));
    assert_ne!(sum("a"), sum("b"));
}

#[test]
fn files_are_read_once_for_each_that_names_them() {
    let count = Cell::new(0);
    let counting = |path: &Path| {
        count.set(count.get() + 1);
        read(path)
    };
    let around = Around {
        dir: Path::new("/srv/shop"),
        name: Some("other"),
        profiles: &[],
        env_files: &[],
        env: &|_| None,
        read: &counting,
        is_file: &|_| false,
    };
    let document = json!({
        "services": { "web": { "image": "i", "secrets": ["s"] } },
        "secrets": { "s": { "file": "pass.txt" }, "unused": { "file": "pass.txt" } },
    });
    let lowered = lower(document, &around).unwrap();
    assert_eq!((count.get(), lowered.name.as_str()), (2, "other"));
    let secret = find(&lowered, "Secret", "other-s");
    assert_eq!(secret["data"]["content"], "czNjcmV0");
    let secrets = lowered.objects.iter().filter(|one| one["kind"] == "Secret");
    assert_eq!(secrets.count(), 1);
}

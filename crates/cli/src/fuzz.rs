//! Readers of foreign text, for the fuzz targets.

use std::path::Path;

use weft_client::cluster::Access;
use weft_client::cluster::kubeconfig::{File, Overrides};

use crate::deploy::compose;
use crate::objects::kustomize;
use crate::objects::manifest::{Dialect as Yaml, values};
use weft_stdx::jsonpath::Template;
use weft_stdx::yaml;

/// Reads a JSONPath template and uses it on an object.
pub fn jsonpath(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let object = serde_json::json!({
        "a": { "b": [1, 2, { "c": "d" }], "e.f": null },
        "items": [{ "n": 1 }, { "n": 2.5 }],
    });
    for read in [Template::parse(&text), Template::relaxed(&text)]
        .into_iter()
        .flatten()
    {
        let _ = read.render(&object);
        let _ = read.find(&object);
        let _ = read.strict(true).render(&object);
    }
}

/// Well-formed templates.
pub fn jsonpath_seeds() -> Vec<Vec<u8>> {
    [
        "{range .items[*]}{.n}{\"\\n\"}{end}",
        "{.a.b[-1].c}{.a['e\\.f','b']}",
        "{..n} {.items[?(@.n>=2)].n} {.a.b[0:2:1]} {$.a}",
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .to_vec()
}

/// Reads a kubeconfig and what a program named by one answers; asks nobody.
pub fn credentials(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let resolved = |text: &str| {
        let file = File::parse(Path::new("config"), text)?;
        Access::resolve(&[file], &Overrides::default())
    };
    let _ = resolved(&text);
    let access = resolved(WITH_PROGRAM).expect("it is well-formed");
    let plugin = access.plugin.expect("it names a program");
    let _ = plugin.proof(input);
}

const WITH_PROGRAM: &str = "\
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: 'https://a:1', insecure-skip-tls-verify: true}}]
users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: p, interactiveMode: Never}}}]
";

/// Well-formed ones.
pub fn credential_seeds() -> Vec<Vec<u8>> {
    [
        WITH_PROGRAM,
        "{apiVersion: v1, kind: Config, users: [{name: u, user: {client-certificate-data: YQ==, client-key-data: Yg==}}]}",
        "clusters: [{name: c, cluster: {server: 'https://[::1]/p', certificate-authority-data: YQ==}}]",
        "users: [{name: u, user: {username: a, password: b, token: c, tokenFile: d, as: e}}]",
        r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"t","expirationTimestamp":"2030-01-01T00:00:00Z"}}"#,
        r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"clientCertificateData":"a","clientKeyData":"b"}}"#,
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .to_vec()
}

/// Writes a text as YAML: what is read again is the same.
pub fn yaml_text(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let value = serde_json::json!({ "k": [text], "l": { text.as_ref(): text } });
    let written = yaml::document(&value);
    let read: Result<serde_json::Value, _> = serde_saphyr::from_str(&written);
    assert_eq!(read.ok(), Some(value), "{written}");
}

/// Texts that need care.
pub fn yaml_seeds() -> Vec<Vec<u8>> {
    [
        "a: b",
        "- c\n  d\n",
        "'e\" #f",
        "2024-01-01 1:30 yes",
        "\t\u{85}",
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .to_vec()
}

/// Reads a kustomization, and a patch, which is applied to a pod.
pub fn kustomization(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let pod = serde_json::json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "a", "finalizers": ["f"] },
        "spec": { "containers": [{ "name": "c", "ports": [{ "containerPort": 1 }] }] },
    });
    let _ = kustomize::attempt(&text, pod);
}

/// Well-formed ones.
pub fn kustomization_seeds() -> Vec<Vec<u8>> {
    [
        "resources: [a]\nlabels: [{pairs: {a: b}}]\nimages: [{name: a, newTag: b}]",
        "patches: [{target: {kind: Pod}, options: {allowNameChange: true}, patch: x}]",
        "configMapGenerator: [{name: a, literals: [b=c], options: {immutable: true}}]",
        "kind: Pod\nspec: {containers: [{name: c, ports: [{containerPort: 1, name: x}]}, {name: d}]}",
        "metadata: {finalizers: [g], $patch: replace}\nspec: {containers: [{name: c, $patch: delete}]}",
        "[{op: add, path: /spec/containers/-, value: {}}, {op: copy, from: /spec, path: /spec/a}]",
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .to_vec()
}

/// Reads a compose file; the files it names say the same as it does.
pub fn compose_file(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Ok(documents) = values("compose.yaml", &text, Yaml::Kustomize) else {
        return;
    };
    let around = compose::Around {
        dir: Path::new("/srv/fuzz"),
        name: None,
        profiles: &["a".to_owned()],
        env_files: &[],
        env: &|name| (name == "A").then(|| "${A}".to_owned()),
        read: &|_| Ok(input.to_vec()),
        is_file: &|path| path.ends_with(".env"),
    };
    for document in documents {
        if let Ok(lowered) = compose::lower(document, &around) {
            for object in &lowered.objects {
                assert!(object["kind"].is_string(), "{object}");
            }
        }
    }
}

/// Well-formed ones.
pub fn compose_seeds() -> Vec<Vec<u8>> {
    [
        "services: {a: {image: 'x:${A:-${B-c}}', command: \"sh -c 'a \\\" b'\", ports: ['127.0.0.1:1-2:3-4/udp', 80], env_file: [a, {path: b, required: false}]}}",
        "services: {a: {image: i, volumes: [v:/v:ro, ./x:/x, /y], tmpfs: ['/t:size=1m'], configs: [c], secrets: [{source: s, target: t, mode: 0440}]}}\nvolumes: {v: }\nconfigs: {c: {content: x}}\nsecrets: {s: {file: y}}",
        "services: {a: {image: i, profiles: [a], healthcheck: {test: [CMD, x], interval: 1m30s, start_period: 5s}, depends_on: {b: {condition: service_completed_successfully}}}, b: {image: i, restart: 'on-failure:3'}}",
        "services: {a: {image: i, deploy: {mode: global, replicas: 2, placement: {constraints: [node.labels.a==b, node.hostname != c]}, resources: {limits: {cpus: '0.5', memory: 1g}}, update_config: {parallelism: 0, order: start-first}}}}",
        "services: {a: &x {image: i, networks: {n: {aliases: [b]}}, extra_hosts: ['a:[::1]'], dns: 1.1.1.1, user: '1:2', security_opt: [no-new-privileges]}, b: {<<: *x, scale: 2}}\nnetworks: {n: {internal: true}}",
        "A=1\nexport B='x'\nC=\"a\\n${B}\" # c\nD",
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .to_vec()
}

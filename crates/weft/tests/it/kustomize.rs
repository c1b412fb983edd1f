//! Kustomizations: what weft builds is what kubectl builds, byte for byte; what neither can build is
//! refused with a reason.
//!
//! Each file below `kustomize/` is a directory: `== PATH` begins one of its files.

use std::path::Path;
use std::process::Command;

use weft_testkit::wait::SOON;
use weft_testkit::{Ran, command, peer};

use crate::WEFT;
use crate::server_cli::{cli, server};

/// Makes the directory that `text` describes.
fn directory(text: &str) -> tempfile::TempDir {
    let dir = tempfile::Builder::new()
        .prefix("weft-kustomize")
        .tempdir()
        .unwrap();
    for part in text.split("== ").filter(|part| !part.is_empty()) {
        let (path, content) = part.split_once('\n').unwrap();
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    dir
}

fn kustomize(program: &Path, dir: &Path) -> Ran {
    let mut line = Command::new(program);
    line.arg("kustomize").arg(dir);
    command::run(line, b"", SOON)
}

#[test]
fn objects_come_out_as_kubectls() {
    let Some(kubectl) = peer::peer("kubectl") else {
        return;
    };
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/kustomize");
    let mut count = 0;
    for case in std::fs::read_dir(cases).unwrap() {
        let case = case.unwrap().path();
        let dir = directory(&std::fs::read_to_string(&case).unwrap());
        let theirs = kustomize(&kubectl, dir.path());
        let ours = kustomize(Path::new(WEFT), dir.path());
        assert_eq!(ours.ok(), theirs.ok(), "{}", case.display());
        count += 1;
    }
    assert!(count > 5, "only {count} kustomizations were built");
}

const CONFIG: &str = "== a.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";

/// What nobody can build, and words of the reason.
const BAD: [(&str, &[&str]); 34] = [
    (
        "== other.yaml\na: b\n",
        &["no kustomization", "kustomization.yaml"],
    ),
    (
        "== kustomization.yaml\nresources: []\n== Kustomization\nresources: []\n",
        &["more than one kustomization"],
    ),
    (
        "== kustomization.yaml\n# nothing\n",
        &["kustomization.yaml", "empty"],
    ),
    ("== kustomization.yaml\n[a]\n", &["no mapping"]),
    (
        "== kustomization.yaml\nnope: 1\nlabels: [{pairs: {a: b}, colour: red}]\nresource: [a]\n",
        &["labels[0].colour", "nope", "resource"],
    ),
    (
        "== kustomization.yaml\nnamePrefix: {a: b}\n",
        &["kustomization.yaml", "string"],
    ),
    (
        "== kustomization.yaml\nkind: Deployment\n",
        &["kind is Deployment"],
    ),
    (
        "== kustomization.yaml\napiVersion: v7\n",
        &["apiVersion is \"v7\""],
    ),
    (
        "== kustomization.yaml\nresources: [nope.yaml]\n",
        &["nope.yaml", "o such file"],
    ),
    (
        "== kustomization.yaml\nresources: [../a.yaml]\n",
        &["a.yaml", "o such file"],
    ),
    (
        "== kustomization.yaml\nresources: [/etc/hostname]\n",
        &["/etc/hostname", "not in or below"],
    ),
    (
        "== kustomization.yaml\nresources: [/etc]\n",
        &["/etc", "relative"],
    ),
    ("== kustomization.yaml\nresources: [.]\n", &["cycle"]),
    (
        "== kustomization.yaml\nresources: [a]\n== a/kustomization.yaml\nresources: [../b]\n== b/kustomization.yaml\nresources: [../a]\n",
        &["cycle", "asked for by"],
    ),
    (
        "== kustomization.yaml\nresources: [https://localhost/a.yaml]\n",
        &["https://localhost/a.yaml", "this machine's files"],
    ),
    (
        "== kustomization.yaml\nresources: ['git@host:a/b?ref=c']\n",
        &["this machine's files"],
    ),
    (
        "== kustomization.yaml\nresources: [a.yaml]\n== a.yaml\napiVersion: v1\nkind: ConfigMap\n",
        &["a.yaml", "no name"],
    ),
    (
        "== kustomization.yaml\nresources: [a.yaml, b.yaml]\n== a.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n== b.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: default}\n",
        &["b.yaml", "a.yaml", "ConfigMap \"a\""],
    ),
    (
        "== kustomization.yaml\nresources: [a.yaml]\n== a.yaml\na: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d, *d, *d]\nf: &f [*e, *e, *e, *e, *e, *e, *e, *e]\ng: &g [*f, *f, *f, *f, *f, *f, *f, *f]\nh: [*g, *g, *g, *g, *g, *g, *g, *g]\n",
        &["a.yaml"],
    ),
    (
        "== kustomization.yaml\npatches: [{patch: '{apiVersion: v1, kind: ConfigMap, metadata: {name: z}}'}]\n",
        &["patches[0]", "ConfigMap \"z\"", "there are 0"],
    ),
    (
        "== kustomization.yaml\npatches: [{patch: '[{\"op\": \"remove\", \"path\": \"/a\"}]'}]\n",
        &["patches[0]", "needs a target"],
    ),
    (
        "== kustomization.yaml\npatches: [{target: {kind: X}}]\n",
        &["patches[0]", "no patch"],
    ),
    (
        "== kustomization.yaml\npatches: [{path: a, patch: b}]\n",
        &["patches[0]", "path and patch"],
    ),
    (
        "== kustomization.yaml\nresources: [a.yaml]\npatches: [{target: {kind: ConfigMap}, patch: '[{\"op\": \"remove\", \"path\": \"/data/x\"}]'}]\n== a.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
        &["patches[0]", "ConfigMap \"a\"", "/data/x"],
    ),
    (
        "== kustomization.yaml\npatches: [{target: {name: '('}, patch: '[]'}]\n",
        &["patches[0]", "target"],
    ),
    (
        "== kustomization.yaml\nreplicas: [{name: a, count: 1}]\n",
        &["replicas", "\"a\""],
    ),
    (
        "== kustomization.yaml\nconfigMapGenerator: [{name: a, literals: [b]}]\n",
        &["\"b\"", "KEY=VALUE"],
    ),
    (
        "== kustomization.yaml\nconfigMapGenerator: [{name: a, literals: [b=1, b=2]}]\n",
        &["\"b\"", "more than once"],
    ),
    (
        "== kustomization.yaml\nconfigMapGenerator: [{name: a, behavior: merge}]\n",
        &["merge", "there are 0"],
    ),
    (
        "== kustomization.yaml\ncomponents: [a]\n== a/kustomization.yaml\nresources: []\n",
        &["kind Component"],
    ),
    (
        "== kustomization.yaml\nreplacements: [{targets: [{select: {kind: A}}]}]\n",
        &["replacements[0]", "source"],
    ),
    (
        "== kustomization.yaml\nreplacements: [{source: {kind: A}, targets: [{select: {kind: A}}]}]\n",
        &["replacements[0]", "is 0"],
    ),
    (
        "== kustomization.yaml\nresources: [a.yaml]\nreplacements: [{source: {kind: ConfigMap, fieldPath: data.z}, targets: [{select: {kind: ConfigMap}}]}]\n== a.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
        &["replacements[0]", "no field", "data.z"],
    ),
    (
        "== kustomization.yaml\nresources: [a.yaml]\nreplacements: [{source: {kind: ConfigMap}, targets: [{select: {kind: ConfigMap}, fieldPaths: [data.y]}]}]\n== a.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
        &["replacements[0]", "no such field", "data.y"],
    ),
];

#[test]
fn what_cannot_be_built_is_refused() {
    let kubectl = peer::peer("kubectl");
    for (text, words) in BAD {
        let dir = directory(text);
        kustomize(Path::new(WEFT), dir.path()).fails_saying(words);
        if let Some(kubectl) = kubectl.as_ref().filter(|_| !text.contains("http")) {
            let theirs = kustomize(kubectl, dir.path());
            assert_ne!(theirs.code, 0, "kubectl builds {text}");
        }
    }
}

#[test]
fn fields_that_are_not_done_are_all_named() {
    let dir = directory(
        "== kustomization.yaml\nhelmCharts: [{name: a}]\ngenerators: [g.yaml]\nvars: []\nresources: []\n",
    );
    kustomize(Path::new(WEFT), dir.path()).fails_saying(&[
        "generators, helmCharts, vars",
        "helm template",
        "hint: vars:",
    ]);
}

#[test]
fn files_stay_below_their_kustomization() {
    let dir = directory(&format!(
        "== in/kustomization.yaml\nresources: [link.yaml]\n{}",
        CONFIG
    ));
    std::os::unix::fs::symlink("../a.yaml", dir.path().join("in/link.yaml")).unwrap();
    let inside = dir.path().join("in");
    kustomize(Path::new(WEFT), &inside).fails_saying(&["link.yaml", "not in or below"]);
    let mut anywhere = Command::new(WEFT);
    anywhere.arg("kustomize").arg(&inside);
    anywhere.arg("--load-restrictor=LoadRestrictionsNone");
    let built = command::run(anywhere, b"", SOON);
    assert!(built.ok().contains("name: a"), "{built}");
}

#[test]
fn kustomizations_in_one_another_have_a_limit() {
    let mut text = String::new();
    for at in 0..100 {
        text += &format!("== {at}/kustomization.yaml\nresources: [../{}]\n", at + 1);
    }
    let dir = directory(&text);
    kustomize(Path::new(WEFT), &dir.path().join("0")).fails_saying(&["more than 64"]);
    let mut wide = String::new();
    for at in 0..20 {
        wide += &format!(
            "== {at}/kustomization.yaml\nresources: [../{0}, ../{0}]\n",
            at + 1
        );
    }
    let dir = directory(&format!("{wide}== 20/kustomization.yaml\nnamespace: a\n"));
    kustomize(Path::new(WEFT), &dir.path().join("0")).fails_saying(&["more than 10000"]);
}

#[test]
fn patches_do_not_grow_without_bounds() {
    let mut copies = String::new();
    let mut path = "/data".to_owned();
    for _ in 0..12 {
        copies += &format!("    - {{op: copy, from: /data, path: {path}/x}}\n");
        path = format!("{path}{}", "/x".repeat(path.matches('/').count()));
    }
    let strings = "    - {op: copy, from: /data, path: /data/x}\n    - {op: copy, from: /data, path: /data/y}\n".repeat(40);
    for (operations, word) in [(copies, "levels deep"), (strings, "more than")] {
        let dir = directory(&format!(
            "== kustomization.yaml\nresources: [a.yaml]\npatches:\n- target: {{kind: ConfigMap}}\n  patch: |-\n{operations}{CONFIG}data: {{a: b}}\n"
        ));
        kustomize(Path::new(WEFT), dir.path()).fails_saying(&["patches[0]", word]);
    }
}

#[test]
fn a_file_of_each_object() {
    let Some(kubectl) = peer::peer("kubectl") else {
        return;
    };
    let one = "== kustomization.yaml\nnamespace: ns\nresources: [a.yaml]\n";
    let two = "== kustomization.yaml\nresources: [a.yaml, b.yaml]\n== b.yaml\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: b, namespace: o}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: c}\n";
    for text in [one, two] {
        let dir = directory(&format!("{text}{CONFIG}"));
        let written = |program: &Path| {
            let out = tempfile::tempdir().unwrap();
            let mut line = Command::new(program);
            line.arg("kustomize").arg(dir.path());
            line.arg("-o").arg(out.path());
            command::run(line, b"", SOON).ok();
            let files = std::fs::read_dir(out.path()).unwrap();
            let read = |file: std::io::Result<std::fs::DirEntry>| {
                let file = file.unwrap();
                (
                    file.file_name(),
                    std::fs::read_to_string(file.path()).unwrap(),
                )
            };
            files
                .map(read)
                .collect::<std::collections::BTreeMap<_, _>>()
        };
        assert_eq!(written(Path::new(WEFT)), written(&kubectl));
    }
}

#[test]
fn verbs_take_a_directory() {
    let Some(weft) = server() else { return };
    let dir = directory(&format!(
        "== kustomization.yaml\nresources: [a.yaml]\nnamePrefix: k-\nconfigMapGenerator: [{{name: b, literals: [x=y]}}]\n{CONFIG}"
    ));
    let dir = dir.path().display();
    assert!(
        cli(&weft, &format!("create -k {dir} --dry-run=client"))
            .ok()
            .contains("configmap/k-a")
    );
    let applied = cli(&weft, &format!("apply -k {dir}"));
    let hashed = applied.ok().lines().nth(1).unwrap_or_default().to_owned();
    assert!(hashed.starts_with("configmap/k-b-"), "{applied}");
    assert_eq!(cli(&weft, &format!("diff -k {dir}")).ok(), "");
    assert!(
        cli(&weft, &format!("get -k {dir} -o name"))
            .ok()
            .contains("configmap/k-a")
    );
    let both = cli(&weft, &format!("apply -k {dir} -f x"));
    both.fails_saying(&["--filename"]);
    cli(&weft, &format!("delete -k {dir}")).ok();
    cli(&weft, "get configmap k-a").fails_saying(&["not found"]);
}

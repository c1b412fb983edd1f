//! `-o go-template` of weft, held against the real kubectl.
#![allow(clippy::unwrap_used)]

use weft_testkit::Weft;

use crate::server_cli::{cli_with_input, server};

const POD: &str = r#"
apiVersion: v1
kind: Pod
metadata: { name: a, labels: { x: "1", b: two } }
spec:
  terminationGracePeriodSeconds: 1234567
  activeDeadlineSeconds: 5
  containers:
  - { name: c1, image: i, ports: [{ containerPort: 80 }] }
  - { name: c2, image: j }
"#;

/// Both make the same of these.
const SAME: &[&str] = &[
    "{{.spec.terminationGracePeriodSeconds}} {{.spec.activeDeadlineSeconds}}",
    r#"{{.nope}} {{.nope.x}} {{print .nope}} {{printf "%s|%v|%d" .nope .nope .nope}}"#,
    "{{.metadata.labels}} {{(index .spec.containers 1).name}} {{(.metadata).name}} {{$.kind}}",
    r#"{{eq .spec.activeDeadlineSeconds 5}} {{eq .nope nil}} {{eq .nope "a"}} {{eq "a" "b" "a"}}"#,
    r#"{{printf "%d %s %5.1f|%-5s|%05d|%q|%T|%x|%+d" .spec.activeDeadlineSeconds .spec.activeDeadlineSeconds 2.25 "a" 42 "q\n" .metadata "hi" 3}}"#,
    r#"{{printf "%v" .metadata.labels .spec.activeDeadlineSeconds}} {{printf "%d"}} {{printf "%z %" .kind}} {{printf "%s" nil}}"#,
    r#"{{printf "%#v" .metadata.labels}} {{print 1 2 "a" "b" 3}} {{print nil}} {{print .kind 5}}"#,
    r#"{{js "a<b\n\"é=\u200b"}} {{html "<a&>\"" 1}} {{urlquery "a b&c/~é"}} {{html nil}} {{html "a" 1 2 nil}}"#,
    r#"{{index .spec.containers 0 "name"}} {{index .metadata.labels "nope"}} {{slice "hello" 1 3}}"#,
    r#"{{exists .spec.containers 0 "ports" 0}} {{exists .spec "x"}} {{exists .metadata}} {{exists .spec.containers 9}}"#,
    "{{with $x := .metadata.name}}{{$x}}{{else}}n{{end}} {{if .nope}}a{{else if .kind}}b{{end}}",
    "{{with .nope}}a{{else with .kind}}{{.}}{{end}}",
    r#"{{define "t"}}[{{.}}]{{end}}{{template "t" .kind}}{{block "u" .}}{{.kind}}{{end}}{{template "u" .}}"#,
    r#"{{range $i, $c := .spec.containers}}{{if $i}},{{end}}{{$c.name}}{{if eq $c.name "c1"}}{{continue}}{{end}}{{break}}{{end}}"#,
    "{{range $k, $v := .metadata.labels}}{{$k}}={{$v}};{{else}}none{{end}}{{range .nope}}x{{else}}none{{end}}",
    r#"{{base64decode "aGk="}} {{"aGk=" | base64decode | printf "%s-%s" "x"}} {{"a" | eq "a"}} {{.kind | len}}"#,
    "{{0x1F}} {{1_000}} {{1e3}} {{.5}} {{'a'}} {{true}} {{`raw`}} {{1000000.0}} {{1e21}} {{0.00001}} {{-3}}",
    "{{1234567.5}} {{123456.5}} {{12345678901.0}} {{999999.9}} {{0.0001}} {{-1.5e-7}}",
    r#"{{and 1 0}} {{or 0 "x"}} {{not 1}} {{lt 1 2}} {{le "a" "b"}} {{gt 1.5 1.0}} {{ge 1 1}} {{ne 1 2}}"#,
    "{{$x := 1}}{{range .spec.containers}}{{$x = .name}}{{end}}{{$x}}{{if and .nope (index .nope 1)}}x{{end}}",
    "{{/* c */}}a {{- \" b \" -}} c {{- /* d */ -}}\n e",
    "{{.spec.containers}}{{println \"a\" 1}}x{{print}}",
    r#"{{printf "%g %v %e %G %.3g %6.2f|%-8v|%8v" 1e6 1234567.5 12.5 1e-7 1234.5678 3.14159 1.5 "a"}}"#,
    r#"{{printf "%#v %#x %o %b %c %U %X %x" .spec.containers 255 8 5 97 97 "hi" 255}} {{"\x41\u00e9\101"}}"#,
    r#"{{printf "%5t|%-7t|%q|%x|% d|%*d|%.2s|%5.1s|" true false "é\x00\"" "é" 5 4 7 "hello" "hello"}}"#,
    r#"{{printf "%d %s %t %f" "a" .spec.activeDeadlineSeconds "b" "c"}} {{printf "%[2]d %[1]d" 1 2}} {{printf "%v|%08.3f|%-08d|%+.1e|%q" true 3.14159 5 12345.678 97}}"#,
    r#"{{printf "%q %d" .spec.containers .spec.containers}}"#,
];

/// Neither makes anything of these.
const NEITHER: &[&str] = &[
    "{{range 3}}x{{end}}",
    "{{range .metadata.name}}x{{end}}",
    "{{eq .spec.activeDeadlineSeconds 5.0}}",
    "{{index .spec.containers 7}}",
    "{{index .nope 7}}",
    "{{len .nope}}",
    "{{nil}}",
    "{{.kind 1}}",
    "{{nofunc}}",
    "{{eq .metadata .metadata}}",
    "{{lt .nope 1}}",
    "{{lt true false}}",
    r#"{{slice "abc" 5}}"#,
    r#"{{template "nope"}}"#,
    r#"{{(print "x").y}}"#,
    "{{.a-b}}",
    "{{$x}}",
    "{{if}}x{{end}}",
    "{{.kind.foo}}",
    r#"{{define "r"}}{{template "r" .}}{{end}}{{template "r" .}}"#,
    r#"{{base64decode "%"}}"#,
    "{{.kind",
    "{{end}}",
    "{{or}}",
];

fn both(weft: &Weft, words: &[&str]) -> (weft_testkit::Ran, weft_testkit::Ran) {
    let words = [&["get", "pod"], words].concat();
    (
        cli_with_input(weft, &words, ""),
        weft.kubectl(&words, "").unwrap(),
    )
}

#[test]
fn templates_make_what_kubectl_makes() {
    let Some(weft) = server() else { return };
    weft.kubectl(&["create", "-f", "-"], POD).unwrap().ok();
    let mut other = Vec::new();
    for template in SAME {
        let (ours, theirs) = both(&weft, &["a", "-o", &format!("go-template={template}")]);
        theirs.ok();
        if (ours.code, &ours.stdout) != (0, &theirs.stdout) {
            other.push(format!("{template}\n{ours}\n{theirs}"));
        }
    }
    assert!(other.is_empty(), "{}", other.join("\n\n"));
    for template in NEITHER {
        let (ours, theirs) = both(&weft, &["a", "-o", &format!("go-template={template}")]);
        theirs.code(1);
        ours.code(1).fails_saying(&["template: 1:"]);
    }
    let file = weft.scratch().join("template");
    std::fs::write(&file, "{{range .items}}{{.metadata.name}} {{end}}").unwrap();
    let file = file.to_str().unwrap();
    for words in [
        &["-o", &format!("go-template-file={file}")] as &[&str],
        &["-o", "go-template-file", "--template", file],
        &["-o", "go-template", "--template={{len .items}}"],
        &["-o", "template", "--template={{.kind}}"],
        &["--template={{.kind}}"],
        &["-o", "jsonpath", "--template={.items[0].kind}"],
        &["a", "--template={{.nope}}"],
        &["a", "--template={{.nope}}", "--allow-missing-template-keys"],
    ] {
        let (ours, theirs) = both(&weft, words);
        assert_eq!(ours.ok(), theirs.ok(), "{words:?}");
    }
    let strict = [
        "a",
        "--template={{.nope}}",
        "--allow-missing-template-keys=false",
    ];
    let (ours, theirs) = both(&weft, &strict);
    theirs.code(1);
    ours.code(1)
        .fails_saying(&["1:3: map has no entry for key \"nope\""]);
    let words = [
        "label",
        "pod",
        "a",
        "c=d",
        "-o",
        "go-template={{.metadata.labels.c}}",
    ];
    assert_eq!(cli_with_input(&weft, &words, "").ok(), "d");
}

#[test]
fn who_one_is_is_shown_by_templates() {
    let Some(weft) = server() else { return };
    let ask = |words: &[&str]| cli_with_input(&weft, &[&["auth", "whoami"], words].concat(), "");
    for words in [
        &[] as &[&str],
        &["-o", "go-template={{.status.userInfo.username}} {{.nope}}"],
        &["-o", "go-template", "--template={{.kind}}"],
        &["-o", "jsonpath", "--template={.status.userInfo.groups}"],
        &["-o", "jsonpath={.status.userInfo.username}"],
    ] {
        let theirs = weft.kubectl(&[&["auth", "whoami"], words].concat(), "");
        assert_eq!(ask(words).ok(), theirs.unwrap().ok(), "{words:?}");
    }
    // kubectl leaves this one aside.
    assert_eq!(ask(&["--template={{.kind}}"]).ok(), "SelfSubjectReview");
    let strict = [
        "--template={{.nope}}",
        "--allow-missing-template-keys=false",
    ];
    ask(&strict).fails_saying(&["nope"]);
}

//! Every function of files, what is complained of, and that nothing takes for ever.
#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;
use crate::{Bounds, Delimiters, Dialect, Template, TemplateError};

fn data() -> Data {
    let map = |value: Value| value.as_object().cloned().unwrap();
    let endpoint = |address: &str, port: u16, name: &str| json!({ "Address": address, "Port": port, "Name": "web", "PortName": name });
    let service = |name: &str, namespace: &str, ports: Value, endpoints: Value| {
        json!({ "Name": name, "Namespace": namespace, "Address": "10.43.0.9",
                "Ports": ports, "Endpoints": endpoints })
    };
    let one = json!([{ "Name": "", "Port": 80 }]);
    let two = json!([{ "Name": "http", "Port": 80 }, { "Name": "admin", "Port": 81 }]);
    Data {
        root: json!({
            "pod": { "name": "p", "labels": { "app": "a" } },
            "env": { "A": "1", "EMPTY": "" },
            "many": vec![1; 5000], "null": null,
        }),
        namespace: "default".to_owned(),
        own: "conf".to_owned(),
        maps: map(
            json!({ "conf": { "k": "x" }, "other": { "j": "{\"a\": [1, \"<b>\"]}", "bin": null } }),
        ),
        secrets: map(json!({ "db": { "user": "u", "pass": "hunter2" } })),
        services: map(json!({
            "web.default": service("web", "default", one.clone(), json!([endpoint("10.42.0.3", 8080, ""), endpoint("10.42.0.4", 8080, "")])),
            "two.default": service("two", "default", two, json!([endpoint("10.42.0.5", 1, "http"), endpoint("10.42.0.5", 2, "admin")])),
            "far.away": service("far", "away", one, json!([])),
        })),
    }
}

const ROOM: Bounds = Bounds {
    work: 1 << 22,
    out_bytes: 1 << 16,
};

fn made(template: &str) -> Result<String, TemplateError> {
    Template::parse(template, Dialect::File)?.render_file(&data(), &mut ROOM.clone())
}

#[track_caller]
fn makes(template: &str, expect: &str) {
    let text = made(template).unwrap_or_else(|error| error.to_string());
    assert_eq!(text, expect, "{template}");
}

#[test]
fn every_function() {
    for (template, expect) in [
        (
            r#"{{env "A"}} {{.env.A}} {{envOrDefault "EMPTY" "d"}} {{envOrDefault "NO" "e"}}"#,
            "1 1 d e",
        ),
        (
            r#"{{key "k"}} {{key "conf/k"}} {{keyOrDefault "no/k" "d"}} {{keyExists "k"}} {{keyExists "z"}}"#,
            "x x d true false",
        ),
        (
            r#"{{secret "db" "user"}} {{with secret "db"}}{{.user}}:{{len .pass}}{{end}} {{(secret "db").user}}"#,
            "u u:7 u",
        ),
        (
            r#"{{range service "web"}}{{.Address}}:{{.Port}} {{end}}"#,
            "10.42.0.3:8080 10.42.0.4:8080 ",
        ),
        (
            r#"{{range service "two" "admin"}}{{.Port}}{{end}}{{range service "far.away"}}x{{else}}none{{end}}"#,
            "2none",
        ),
        (
            r"{{range services}}{{.Name}}={{.Address}} {{end}}",
            "two=10.43.0.9 web=10.43.0.9 ",
        ),
        (
            r#"{{key "other/j" | parseJSON | toJSON}}"#,
            r#"{"a":[1,"\u003cb\u003e"]}"#,
        ),
        (
            r#"{{key "other/j" | parseJSON | toUnescapedJSON}}"#,
            r#"{"a":[1,"<b>"]}"#,
        ),
        (
            r#"{{key "other/j" | parseJSON | toYAML}}"#,
            "a:\n- 1\n- <b>",
        ),
        (
            "{{.pod | toJSONPretty | indent 2}}",
            "  {\n    \"labels\": {\n      \"app\": \"a\"\n    },\n    \"name\": \"p\"\n  }",
        ),
        (
            r#"{{"hi" | base64Encode}} {{"aGk=" | base64Decode}} {{"a?>" | base64URLEncode}} {{"YT8-" | base64URLDecode}}"#,
            "aGk= hi YT8- a?>",
        ),
        (
            r#"{{"hi" | sha256Hex | len}} {{slice ("hi" | sha256Hex) 0 8}}"#,
            "64 8f434346",
        ),
        (
            r#"{{"aB c" | toLower}} {{"aB c" | toUpper}} {{"aB c" | toTitle}}"#,
            "ab c AB C AB C",
        ),
        (
            r#"[{{" a " | trimSpace}}] {{"xaxx" | trim "x"}} {{"abc" | trimPrefix "a"}} {{"abc" | trimSuffix "c"}}"#,
            "[a] a bc ab",
        ),
        (
            r#"{{"a,b" | split "," | join "-"}} {{len ("" | split ",")}}"#,
            "a-b 0",
        ),
        (
            r#"{{if "a,b" | split "," | contains "b"}}y{{end}}{{if in "abc" "bc"}}y{{end}}{{if in "abc" "x"}}n{{end}}"#,
            "yy",
        ),
        (r#"{{"a-b-c" | replaceAll "-" "+"}}"#, "a+b+c"),
        (
            r#"{{if "foo.bar" | regexMatch "^f.*r$"}}y{{end}} {{"foo.bar" | regexReplaceAll "(\\w+)\\.(\\w+)" "$2.$1"}}"#,
            "y bar.foo",
        ),
        (
            r#"{{10 | add 2}} {{10 | subtract 3}} {{10 | multiply 2}} {{10 | divide 3}} {{10 | modulo 3}} {{1.5 | multiply 2}}"#,
            "12 7 20 3 1 3",
        ),
        (
            r#"{{3 | minimum 2}} {{3 | maximum 2}} {{range loop 3}}{{.}}{{end}} {{range loop 5 7}}{{.}}{{end}}"#,
            "2 3 012 56",
        ),
        (
            r#"{{"7" | parseInt | add 1}} {{"7" | parseUint}} {{"1.5" | parseFloat}} {{if "true" | parseBool}}y{{end}}"#,
            "8 7 1.5 y",
        ),
        (
            r#"{{or (index .pod.labels "tier") "web"}} {{index .pod.labels "app"}}"#,
            "web a",
        ),
    ] {
        makes(template, expect);
    }
}

#[test]
fn what_is_not_there_is_named_with_a_remedy() {
    for (template, expect) in [
        (
            "a\n  {{.pod.nam}}",
            "apply template: 2:5: no field \"nam\" in {labels, name}",
        ),
        (
            "{{index .pod.labels \"x\"}}",
            "apply template: 1:1: there is nothing to write here: what is looked up is not there, or is no text",
        ),
        (
            "{{.null}}",
            "apply template: 1:1: there is nothing to write here: what is looked up is not there, or is no text",
        ),
        (
            r#"{{env "NO"}}"#,
            "apply template: 1:3: function env: there is no variable \"NO\" in the container: set it, or use envOrDefault",
        ),
        (
            r#"{{key "z"}}"#,
            "apply template: 1:3: function key: config map \"conf\" has no key \"z\": add it, or use keyOrDefault",
        ),
        (
            r#"{{key "no/z"}}"#,
            "apply template: 1:3: function key: there is no config map \"no\" in namespace \"default\": create it, or use keyOrDefault",
        ),
        (
            r#"{{key "other/bin"}}"#,
            "apply template: 1:3: function key: config map \"other\" has no text under \"bin\"",
        ),
        (
            r#"{{secret "no"}}"#,
            "apply template: 1:3: function secret: there is no secret \"no\" in namespace \"default\": create it, or correct the name",
        ),
        (
            r#"{{secret "db" "pas"}}"#,
            "apply template: 1:3: function secret: secret \"db\" has no key \"pas\": add it, or correct the key",
        ),
        (
            r#"{{service "no"}}"#,
            "apply template: 1:3: function service: there is no service \"no\" in namespace \"default\": create it, or correct the name",
        ),
        (
            r#"{{service "two"}}"#,
            "apply template: 1:3: function service: service \"two\" has the ports http, admin: say which one, service \"two\" \"http\"",
        ),
        (
            r#"{{service "two" "x"}}"#,
            "apply template: 1:3: function service: service \"two\" has no port \"x\"; it has http, admin",
        ),
        (
            r#"{{$n := "db"}}{{secret $n}}"#,
            "parse template: 1:17: secret needs a name in quotes right behind it: what a template names is looked up before it is rendered",
        ),
        (
            r#"{{"db" | secret}}"#,
            "parse template: 1:10: secret needs a name in quotes right behind it: what a template names is looked up before it is rendered",
        ),
        (
            r#"{{print (len key)}}"#,
            "parse template: 1:14: key needs a name in quotes right behind it: what a template names is looked up before it is rendered",
        ),
        (
            "{{timestamp}}",
            "parse template: 1:3: function \"timestamp\" not defined: a file would be another one whenever it is looked at",
        ),
        (
            r#"{{plugin "id"}}"#,
            "parse template: 1:3: function \"plugin\" not defined: templates reach no files and run no programs",
        ),
        (
            r"{{json .}}",
            "parse template: 1:3: function \"json\" not defined",
        ),
        (
            "{{1 | divide 0}}",
            "apply template: 1:7: function divide: division by zero",
        ),
        (
            "{{9223372036854775807 | add 1}}",
            "apply template: 1:25: function add: the result is larger than 64 bits",
        ),
        // A value is in no complaint.
        (
            r#"{{secret "db" "pass" | parseInt}}"#,
            "apply template: 1:24: function parseInt: its argument is no whole number",
        ),
        (
            r#"{{secret "db" "pass" | parseJSON}}"#,
            "apply template: 1:24: function parseJSON: its argument is no JSON: line 1 column 1",
        ),
        (
            r#"{{secret "db" "pass" | base64Decode}}"#,
            "apply template: 1:24: function base64Decode: its argument is no base64",
        ),
        (
            r#"{{"x" | regexMatch "("}}"#,
            "apply template: 1:9: function regexMatch: its pattern is no regular expression, or a large one",
        ),
    ] {
        makes(template, expect);
    }
}

#[test]
fn what_is_named_is_known_before() {
    let template = r#"{{key "a/b"}}{{if keyExists "c"}}{{end}}{{with secret "s"}}{{end}}{{secret "t" "u" | print}}{{define "x"}}{{keyOrDefault "d/e" "f"}}{{end}}"#;
    let template = Template::parse(template, Dialect::File).unwrap();
    let references = template.references();
    let keys: Vec<_> = references.keys.iter().map(|(m, k)| (&**m, &**k)).collect();
    assert_eq!(keys, [("", "c"), ("a", "b"), ("d", "e")]);
    let secrets: Vec<_> = references.secrets.iter().cloned().collect();
    let wanted = [
        ("s".to_owned(), None),
        ("t".to_owned(), Some("u".to_owned())),
    ];
    assert_eq!(secrets, wanted);
}

#[test]
fn delimiters_may_be_others() {
    let within = |left, right| Delimiters { left, right };
    for (template, delimiters, expect) in [
        (
            "a {{b}} [[ .pod.name -]]  c",
            within("[[", "]]"),
            "a {{b}} pc",
        ),
        ("<% if true %>x<% end %>", within("<%", "%>"), "x"),
        ("[[/* no */]]x", within("[[", "]]"), "x"),
        (
            "[[ .pod.name",
            within("[[", "]]"),
            "parse template: 1:1: \"[[\" without \"]]\"",
        ),
    ] {
        let rendered = Template::parse_within(template, Dialect::File, delimiters)
            .and_then(|template| template.render_file(&data(), &mut ROOM.clone()));
        let text = rendered.unwrap_or_else(|error| error.to_string());
        assert_eq!(text, expect, "{template}");
    }
}

#[test]
fn nothing_takes_for_ever_or_grows_without_end() {
    let nested = format!(
        "{{{{define \"r\"}}}}{}{{{{template \"r\" .}}}}{}{{{{end}}}}{{{{template \"r\" .}}}}",
        "{{if true}}".repeat(30),
        "{{end}}".repeat(30)
    );
    let deep = format!("{{{{{}1{}}}}}", "(print ".repeat(30), ")".repeat(30));
    assert_eq!(made(&deep).unwrap(), "1");
    let variables: String = (0..300).map(|n| format!("{{{{$v{n} := 1}}}}")).collect();
    for (template, why) in [
        (nested, "nested deeper"),
        (variables, "more than 256 variables"),
        ("{{range .many}}{{range $.many}}{{range $.many}}{{end}}{{end}}{{end}}".to_owned(), "more work"),
        ("{{range .many}}0123456789012345678901234567890{{end}}".to_owned(), "more text"),
        ("{{$x := \"aaaaaaaa\"}}{{range .many}}{{$x = $x | replaceAll \"a\" $x}}{{end}}".to_owned(), "more than a template may"),
        ("{{$x := \"aaaaaaaa\"}}{{range .many}}{{$x = $x | regexReplaceAll \"a\" \"$0$0$0\"}}{{end}}".to_owned(), "more"),
        ("{{loop 1000000000}}".to_owned(), "more than a template may"),
        ("{{\"a\" | indent 100000000}}".to_owned(), "more than a template may"),
        ("{{range $i := loop 5000}}{{if \"a\" | regexMatch (print $i)}}{{end}}{{end}}".to_owned(), "more work"),
        (format!("{{{{\"a\" | regexMatch \"{}\"}}}}", "(a{999}){999}"), "a large one"),
        ("{{range .many}}{{$.many | join (print $.many)}}{{end}}".to_owned(), "more"),
    ] {
        // As little stack as a thread may have.
        let small = std::thread::Builder::new().stack_size(1 << 20);
        let run = move || made(&template).unwrap_err().to_string();
        let error = small.spawn(run).unwrap().join().unwrap();
        assert!(error.contains(why), "{why}: {error}");
    }
}

#[test]
fn bounds_are_shared_by_those_that_are_given_them() {
    let template = Template::parse("{{.pod.name}}", Dialect::File).unwrap();
    let mut bounds = Bounds {
        work: 1 << 20,
        out_bytes: 2,
    };
    for _ in 0..2 {
        assert_eq!(template.render_file(&data(), &mut bounds).unwrap(), "p");
    }
    let error = template.render_file(&data(), &mut bounds).unwrap_err();
    assert!(error.why.contains("more text"), "{error}");
}

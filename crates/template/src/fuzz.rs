//! Templates for the fuzz targets.

use serde_json::json;

use crate::{Bounds, Data, Delimiters, Dialect, Template};

/// Reads a template and uses it on an object, within little work.
pub fn objects(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let object = json!({
        "Labels": "a=b,c=d", "n": 5, "f": 2.5, "z": null, "t": "a<b\u{e9}",
        "l": [1, 2, { "c": "d" }], "m": { "k": "v", "i": [] },
        "many": vec![7; 2000],
    });
    for dialect in [
        Dialect::Docker,
        Dialect::Kubectl { is_strict: false },
        Dialect::Kubectl { is_strict: true },
    ] {
        if let Ok(template) = Template::parse(&text, dialect) {
            let _ = template.render_bounded(&object, 1 << 20);
        }
    }
}

/// Reads a template of a file and renders it: what it makes stays within its bounds.
pub fn files(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let data = data();
    for (left, right) in [("{{", "}}"), ("[[", "]]")] {
        let within = Delimiters { left, right };
        let Ok(template) = Template::parse_within(&text, Dialect::File, within) else {
            continue;
        };
        let _ = template.references();
        let mut bounds = Bounds {
            work: 1 << 20,
            out_bytes: 4096,
        };
        if let Ok(made) = template.render_file(&data, &mut bounds) {
            assert_eq!(made.len() + bounds.out_bytes, 4096);
        }
    }
}

fn data() -> Data {
    let map = |value: serde_json::Value| value.as_object().cloned().unwrap_or_default();
    let endpoint =
        |address: &str| json!({ "Address": address, "Port": 80, "Name": "web", "PortName": "" });
    Data {
        root: json!({
            "node": { "name": "one", "ip": "10.0.0.1", "labels": { "a": "b" } },
            "pod": { "name": "p", "labels": {}, "ip": "10.42.0.2" },
            "env": { "A": "1", "B": "" }, "many": vec![7; 2000],
        }),
        namespace: "default".to_owned(),
        own: "conf".to_owned(),
        maps: map(json!({ "conf": { "a": "x,y" }, "other": { "j": "{\"a\":[1]}", "bin": null } })),
        secrets: map(json!({ "db": { "user": "u", "pass": "p<&>" } })),
        services: map(json!({ "web.default": {
            "Name": "web", "Namespace": "default", "Address": "10.43.0.1",
            "Ports": [{ "Name": "", "Port": 80 }],
            "Endpoints": [endpoint("10.42.0.3"), endpoint("10.42.0.4")],
        } })),
    }
}

/// Well-formed templates.
pub fn object_seeds() -> Vec<Vec<u8>> {
    [
        "{{range $k, $v := .m}}{{$k}}={{$v}}{{else}}none{{end}}{{with .z}}a{{else with .t}}{{.}}{{end}}",
        "{{range .many}}{{range $.many}}{{range $.many}}{{end}}{{end}}{{end}}",
        "{{define \"r\"}}{{template \"r\" .}}{{end}}{{template \"r\" .}}{{block \"x\" .l}}{{.}}{{end}}",
        "{{$x := \"a\"}}{{range .many}}{{$x = printf \"%s%s\" $x $x}}{{if eq . 8}}{{break}}{{end}}{{continue}}{{end}}",
        "{{printf \"%5d|%-8.3f|%q|%#v|%T|%x|%*d|%[1]v|%+d|%e|%U|%c\" .n .f .t .l .m 255 4 1}}",
        "{{- /* c */ -}} {{index .l 2 \"c\" | print 1 | html | js | urlquery}}{{slice .t 1 2}}{{(index .l 2).c}}",
        "{{and .z (index .z 1)}}{{or 0 .n}}{{not 1}}{{lt 1 2}}{{ge \"a\" `b`}}{{len .l}}{{exists .m \"k\"}}{{0x1F}}{{'a'}}",
        "{{json .}}{{join .l \",\"}}{{split .t \"<\"}}{{upper .t}}{{.Label \"c\"}}{{base64decode \"aGk=\"}}",
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .to_vec()
}

/// Well-formed templates of files.
pub fn file_seeds() -> Vec<Vec<u8>> {
    [
        "{{.node.name}} {{.pod.ip}} {{env \"A\"}}{{envOrDefault \"B\" \"c\"}} {{key \"a\" | split \",\" | join \";\"}}",
        "{{range service \"web\"}}{{.Address}}:{{.Port}}\n{{end}}{{range services}}{{.Name}}{{end}}",
        "{{with secret \"db\"}}{{.user}}:{{.pass | sha256Hex}}{{end}}{{secret \"db\" \"user\" | base64Encode | base64Decode}}",
        "{{key \"other/j\" | parseJSON | toYAML | indent 2}}{{. | toJSON}}{{. | toUnescapedJSONPretty}}",
        "{{range $i := loop 3}}{{$i | add 1 | multiply 2 | subtract 3 | divide 1 | modulo 5}}{{end}}",
        "{{\"a.b\" | regexReplaceAll \"([a-z])\" \"$1$1\" | replaceAll \"a\" \"bb\" | trim \"b\" | toTitle}}",
        "{{if \"abc\" | regexMatch \"^a.*c$\"}}{{keyOrDefault \"no/k\" \"d\" | trimPrefix \"d\"}}{{end}}[[ .pod.name ]]",
        "{{$x := \"aaaa\"}}{{range .many}}{{$x = $x | replaceAll \"a\" $x}}{{end}}",
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .to_vec()
}

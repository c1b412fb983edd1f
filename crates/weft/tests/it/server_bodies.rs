//! `weft server`: bodies in other forms than JSON, patches, and metadata that cannot be meant.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use crate::server_line::{Caller, server};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const ONE: &str = "/api/v1/namespaces/default/configmaps/one";
const SHOPS: &str = "/apis/example.com/v1/namespaces/default/shops";
const MERGE: &str = "application/merge-patch+json";
const JSON: &str = "application/json-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const YAML: &str = "application/yaml";

fn make(caller: &Caller) {
    let map = json!({ "metadata": { "name": "one" }, "data": { "a": "b" } });
    caller.post(MAPS, &map).is(201, &[]);
}

/// What is there but for what each namespace has.
fn items(caller: &Caller, path: &str) -> Vec<Value> {
    let listed = caller.get(path).is(200, &[]).json();
    let own = |item: &&Value| item["metadata"]["name"] != "kube-root-ca.crt";
    let items = listed["items"].as_array().unwrap().iter();
    items.filter(own).cloned().collect()
}

#[test]
fn a_patch_brings_nothing_that_is_not_known() {
    let Some((_weft, caller)) = server() else {
        return;
    };
    make(&caller);
    for (media, patch) in [
        (MERGE, r#"{"bogus":1,"metadata":{"labels":{"a":"1"}}}"#),
        (JSON, r#"[{"op":"add","path":"/bogus","value":1}]"#),
        (STRATEGIC, r#"{"bogus":{"deep":[1]},"data":{"c":"d"}}"#),
    ] {
        let strict = format!("{ONE}?fieldValidation=Strict");
        let refused = caller.ask("PATCH", &strict, media, patch.as_bytes());
        refused.is(400, &["strict decoding error", "unknown field", "bogus"]);
        let warned = caller.ask("PATCH", ONE, media, patch.as_bytes());
        warned.is(200, &[]);
        assert!(warned.head.contains("unknown field"), "{}", warned.head);
        let silent = format!("{ONE}?fieldValidation=Ignore");
        let silent = caller.ask("PATCH", &silent, media, patch.as_bytes());
        assert!(
            !silent.is(200, &[]).head.contains("unknown"),
            "{}",
            silent.head
        );
        let found = caller.get(ONE).json();
        assert_eq!(found.get("bogus"), None, "{media}");
    }
    let twice = br#"{"data":{"x":"1","x":"2"}}"#;
    let strict = format!("{ONE}?fieldValidation=Strict");
    let refused = caller.ask("PATCH", &strict, MERGE, twice);
    refused.is(400, &["duplicate field", "data.x"]);
    let warned = caller.ask("PATCH", ONE, MERGE, twice);
    assert!(warned.is(200, &[]).head.contains("duplicate field"));
    // Every one of very many is not told: a head has bounds.
    let many = format!(
        "{{\"data\":{{{}\"z\":\"1\"}}}}",
        "\"y\":\"1\",".repeat(100_000)
    );
    let warned = caller.ask("PATCH", ONE, MERGE, many.as_bytes());
    assert!(warned.is(200, &[]).head.len() < 16 << 10);
}

#[test]
fn a_patch_does_not_grow_beyond_bounds() {
    let Some((_weft, caller)) = server() else {
        return;
    };
    make(&caller);
    let before = caller.get(ONE).json();
    let add = json!({ "op": "add", "path": "/data/x", "value": "y" });
    let many: Vec<Value> = vec![add; 10_001];
    let doubling =
        (0..60).map(|n| json!({ "op": "copy", "from": "/data", "path": format!("/data/x{n}") }));
    let nesting = (1..3000).map(|n| json!({ "op": "add", "path": "/data".repeat(n), "value": {} }));
    for (patch, words) in [
        (json!(many), ["10000", "got 10001"]),
        (doubling.collect(), ["3145728", "copies"]),
        (nesting.take(300).collect(), ["100", "deep"]),
    ] {
        let refused = caller.ask("PATCH", ONE, JSON, patch.to_string().as_bytes());
        refused.is(413, &words);
    }
    // Sets of a hundred thousand values are merged by hash, not by looking at each for each.
    let names: Vec<String> = (0..150_000).map(|n| format!("a.b/{n}")).collect();
    let wide = json!({ "metadata": {
        "finalizers": names,
        "$setElementOrder/finalizers": names.iter().rev().collect::<Vec<_>>(),
    } });
    let refused = caller.ask("PATCH", ONE, STRATEGIC, wide.to_string().as_bytes());
    refused.is(413, &["bytes"]);
    assert_eq!(caller.get(ONE).json(), before);
}

#[test]
fn yaml_is_one_document_within_bounds() {
    let Some((_weft, caller)) = server() else {
        return;
    };
    let good = b"metadata: { name: one }\ndata: { a: &x b, c: *x }\n";
    caller
        .ask("POST", MAPS, YAML, good)
        .is(201, &["\"c\":\"b\""]);
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..12 {
        let before = format!("*a{}, ", n - 1).repeat(10);
        bomb += &format!("a{n}: &a{n} [{before}]\n");
    }
    let deep = format!(
        "metadata: {{ name: x }}\ndata: {}1{}",
        "[".repeat(5000),
        "]".repeat(5000)
    );
    for (body, words) in [
        (
            &b"metadata: { name: x }\n---\nmetadata: { name: y }\n"[..],
            vec!["YAML"],
        ),
        (bomb.as_bytes(), vec!["YAML"]),
        (deep.as_bytes(), vec!["YAML"]),
        (b"\xff\xfe\x00", vec!["UTF-8"]),
        (b"a: [", vec!["YAML"]),
        (b"- a\n- b\n", vec!["no object"]),
        (b"a: *nothing\n", vec!["YAML"]),
    ] {
        caller.ask("POST", MAPS, YAML, body).is(400, &words);
        let apply = format!("{MAPS}/x?fieldManager=m");
        let media = "application/apply-patch+yaml";
        caller.ask("PATCH", &apply, media, body).is(400, &words);
    }
    assert_eq!(items(&caller, MAPS).len(), 1);
    // What stands there twice is warned of, or refused, as in JSON.
    let twice = b"data: { a: b, a: c }\nmetadata: { name: two }\n";
    let strict = format!("{MAPS}?fieldValidation=Strict");
    caller
        .ask("POST", &strict, YAML, twice)
        .is(400, &["duplicate field", "data.a"]);
    let warned = caller.ask("POST", MAPS, YAML, twice);
    assert!(warned.is(201, &["\"a\":\"c\""]).head.contains("data.a"));
    let apply = format!("{MAPS}/three?fieldManager=m");
    let media = "application/apply-patch+yaml";
    let twice = b"apiVersion: v1\nkind: ConfigMap\ndata: { a: b, a: c }\n";
    let warned = caller.ask("PATCH", &apply, media, twice);
    assert!(warned.is(201, &["\"a\":\"c\""]).head.contains("data.a"));
}

#[test]
fn protobuf_that_is_none_is_refused() {
    let Some((_weft, caller)) = server() else {
        return;
    };
    let media = "application/vnd.kubernetes.protobuf";
    let nested = |levels: usize| {
        let mut bytes = Vec::new();
        for _ in 0..levels {
            let length = bytes.len();
            let mut outer = vec![0x0a];
            let mut left = length;
            while left >= 0x80 {
                outer.push((left & 0x7f) as u8 | 0x80);
                left >>= 7;
            }
            outer.push(left as u8);
            outer.append(&mut bytes);
            bytes = outer;
        }
        [b"k8s\0\x12".to_vec(), bytes].concat()
    };
    for body in [
        b"".to_vec(),
        b"k8s".to_vec(),
        b"k8s\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(),
        b"k8s\0\x12\xff\xff\xff\xff\x7f".to_vec(),
        b"k8s\0\x12\x05\x0a\x03\x0a\xffx".to_vec(),
        b"{\"metadata\":{\"name\":\"x\"}}".to_vec(),
        nested(2000),
    ] {
        let said = caller.ask("POST", MAPS, media, &body);
        assert!(
            matches!(said.code, 400 | 422),
            "{}: {}",
            said.code,
            said.body
        );
    }
    assert!(items(&caller, MAPS).is_empty());
}

#[test]
fn metadata_that_cannot_be_meant_is_refused_all_at_once() {
    let Some((_weft, caller)) = server() else {
        return;
    };
    let long = "x".repeat(300 << 10);
    let owner = json!({ "apiVersion": "", "kind": "", "name": "", "uid": "", "controller": true });
    let map = json!({ "metadata": {
        "generateName": "Y".repeat(10 << 10),
        "labels": { "a b": "c", "long": long },
        "annotations": { "big": long },
        "finalizers": ["a b", ""],
        "ownerReferences": [owner.clone(), owner],
    } });
    let refused = caller.post(MAPS, &map);
    refused.is(
        422,
        &[
            "metadata.generateName",
            "metadata.labels",
            "a b",
            "must be no more than 63 bytes",
            "metadata.annotations: Too long: may not be more than 262144 bytes",
            "metadata.finalizers",
            "metadata.ownerReferences[0].apiVersion",
            "metadata.ownerReferences[1].uid",
            "Only one reference can have Controller set to true",
        ],
    );
    assert!(refused.body.len() < 16 << 10, "{}", refused.body.len());
    // A beginning that is long is cut, so that what is made of it fits where names go.
    let map = json!({ "metadata": { "generateName": "y".repeat(100) } });
    let made = caller.post(MAPS, &map).is(201, &[]).json();
    assert_eq!(made["metadata"]["name"].as_str().unwrap().len(), 63);
}

#[test]
fn what_clients_say_of_owners_of_fields_is_checked() {
    let Some((_weft, caller)) = server() else {
        return;
    };
    make(&caller);
    let deep = (0..90).fold(json!({}), |inner, _| json!({ "f:a": inner }));
    for (index, fields) in [
        json!("nonsense"),
        json!([{ "manager": "m" }]),
        json!([{ "manager": "m", "operation": "Steal", "fieldsV1": { "f:data": {} } }]),
        json!([{ "manager": "m", "operation": "Update", "apiVersion": "v1",
            "fieldsType": "FieldsV1", "fieldsV1": { "x": { "y": 7 } } }]),
        json!([{ "manager": "m", "operation": "Update", "apiVersion": "v1",
            "fieldsType": "FieldsV1", "fieldsV1": deep }]),
        json!(
            (0..5000)
                .map(|n| json!({ "manager": n.to_string(), "operation": "Update",
            "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": { "f:data": {} } }))
                .collect::<Vec<_>>()
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("m{index}");
        let map = json!({ "metadata": { "name": name, "managedFields": fields } });
        let said = caller.post(MAPS, &map);
        assert!(
            matches!(said.code, 201 | 400 | 422),
            "{index}: {}",
            said.body
        );
        // Whatever became of it, it can be shown, and applied to.
        assert!(caller.get(MAPS).is(200, &[]).json()["items"].is_array());
        let apply = format!("{MAPS}/{name}?fieldManager=me&force=true");
        let config = format!("metadata: {{ name: {name} }}\ndata: {{ a: b }}\n");
        let media = "application/apply-patch+yaml";
        let said = caller.ask("PATCH", &apply, media, config.as_bytes());
        assert!(matches!(said.code, 200 | 201), "{index}: {}", said.body);
    }
}

fn define(caller: &Caller, schema: Value) -> crate::server_line::Said {
    caller.post(
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        &json!({
            "metadata": { "name": "shops.example.com" },
            "spec": {
                "group": "example.com", "scope": "Namespaced",
                "names": { "plural": "shops", "singular": "shop", "kind": "Shop" },
                "versions": [{ "name": "v1", "served": true, "storage": true, "schema": {
                    "openAPIV3Schema": { "type": "object", "properties": { "spec": schema } },
                } }],
            },
        }),
    )
}

#[test]
fn what_is_nested_too_deeply_is_refused_and_spoils_no_list() {
    let Some((_weft, caller)) = server() else {
        return;
    };
    let any = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    define(&caller, any).is(201, &[]);
    weft_testkit::until(weft_testkit::wait::SOON, "the kind", || {
        caller.get(SHOPS).code == 200
    });
    for levels in [50, 97, 98, 99, 100, 101, 110, 120, 124, 126, 127, 2000] {
        let deep = "{\"a\":".repeat(levels) + "1" + &"}".repeat(levels);
        let shop = format!(
            "{{\"apiVersion\":\"example.com/v1\",\"kind\":\"Shop\",\
             \"metadata\":{{\"name\":\"s{levels}\"}},\"spec\":{deep}}}"
        );
        let said = caller.ask("POST", SHOPS, "application/json", shop.as_bytes());
        match levels {
            ..=99 => said.is(201, &[]),
            _ => {
                assert!(matches!(said.code, 400 | 422), "{levels}: {}", said.body);
                &said
            }
        };
        assert!(!items(&caller, &format!("{SHOPS}?labelSelector=a!%3Db")).is_empty());
    }
    assert_eq!(items(&caller, SHOPS).len(), 4);
}

#[test]
fn schemas_that_cost_too_much_are_refused() {
    let Some((_weft, caller)) = server() else {
        return;
    };
    let text = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    let deep = (0..50).fold(
        json!({ "type": "string" }),
        |inner, _| json!({ "type": "object", "properties": { "a": inner } }),
    );
    for (schema, words) in [
        (text("(((a{100}){100}){100}){100}"), vec!["pattern"]),
        (text("(unclosed"), vec!["pattern"]),
        (json!({ "$ref": "#/definitions/self" }), vec!["$ref"]),
        (
            json!({ "type": "object", "properties": { "a": {} } }),
            vec!["spec.versions[0]"],
        ),
        (deep, vec!["Too deep"]),
    ] {
        let said = define(&caller, schema);
        assert!(
            matches!(said.code, 400 | 422),
            "{}: {}",
            said.code,
            said.body
        );
        for word in words {
            assert!(said.body.contains(word), "{word}: {}", said.body);
        }
    }
    // Linear, whatever is matched.
    let strings = json!({ "type": "object", "properties": { "a": text("^(a+)+$") } });
    define(&caller, strings).is(201, &[]);
    weft_testkit::until(weft_testkit::wait::SOON, "the kind", || {
        caller.get(SHOPS).code == 200
    });
    let shop = json!({
        "apiVersion": "example.com/v1", "kind": "Shop",
        "metadata": { "name": "a" }, "spec": { "a": "a".repeat(50_000) + "!" },
    });
    caller
        .post(SHOPS, &shop)
        .is(422, &["spec.a", "should match"]);
}

//! What Kubernetes' clients send: objects, patches, selectors, amounts and times.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};
use weft_control::cron::Schedule;
use weft_control::quantity::Quantity;
use weft_control::selector::{Fields, Labels};
use weft_control::store::Patch;
use weft_control::{Cause, Kinds, Object, decode, protobuf, schema};

use crate::targets::Target;

/// Their schemas are made once.
static KINDS: LazyLock<Kinds> = LazyLock::new(Kinds::built_in);

pub const TARGETS: [Target; 9] = [
    Target {
        name: "kubernetes-formats",
        run: formats,
        seeds: format_seeds,
    },
    Target {
        name: "kubernetes-objects",
        run: objects,
        seeds: object_seeds,
    },
    Target {
        name: "kubernetes-heads",
        run: weft_apiserver::fuzz::head,
        seeds: head_seeds,
    },
    Target {
        name: "kubernetes-spdy",
        run: weft_apiserver::fuzz::spdy,
        seeds: weft_apiserver::fuzz::spdy_seeds,
    },
    Target {
        name: "kubernetes-protobuf",
        run: messages,
        seeds: message_seeds,
    },
    Target {
        name: "kubernetes-patches",
        run: patches,
        seeds: patch_seeds,
    },
    Target {
        name: "kubernetes-selectors",
        run: selectors,
        seeds: selector_seeds,
    },
    Target {
        name: "kubernetes-amounts-and-times",
        run: amounts_and_times,
        seeds: amount_and_time_seeds,
    },
    Target {
        name: "kubernetes-rules",
        run: rules,
        seeds: rule_seeds,
    },
];

fn object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(map) => Some(map),
        _ => None,
    }
}

fn objects(input: &[u8]) {
    let Some(map) = decode::json(input)
        .ok()
        .and_then(|found| object(found.value))
    else {
        return;
    };
    for kind in KINDS.iter() {
        // Defaults come before the check: they meet anything.
        (kind.default)(&mut Object(map.clone()));
        let mut map = map.clone();
        let findings = schema::check(kind.schema(), &mut map);
        if !findings.mistakes.iter().any(Cause::is_wrong_type) {
            // What is missing is told with what is wrong.
            let _ = (kind.validate)(&Object(map.clone()), None);
        }
        if findings.mistakes.is_empty() {
            let mut whole = Object(map);
            (kind.default)(&mut whole);
            let once = whole.clone();
            (kind.default)(&mut whole);
            assert_eq!(once, whole, "defaults add nothing to what they made");
            let _ = (kind.validate)(&whole, None);
            let _ = (kind.validate)(&whole, Some(&once));
            let _ = (kind.validate)(&whole, Some(&Object(Map::new())));
            let _ = (kind.grace_s)(&whole);
            assert_eq!(kind.cells(&whole).count(), kind.columns.len());
            // What is right once has nothing more to be taken out.
            let again = schema::check(kind.schema(), &mut whole.0);
            assert!(again.unknown.is_empty(), "{:?}", again.unknown);
        }
    }
}

fn head_seeds() -> Vec<Vec<u8>> {
    let seeds = [
        "Impersonate-User: ann\nImpersonate-Group: dev\nImpersonate-Group: system:masters",
        "Impersonate-User: system:serviceaccount:shop:db\nImpersonate-Group: system:serviceaccounts",
        "Impersonate-User: system:node:n1\nImpersonate-Group: system:nodes\nImpersonate-Uid: 1\nImpersonate-Extra-a%2fb: c",
        "Impersonate-User: system:anonymous\nAuthorization: Bearer abcdef.0123456789abcdef",
        "Accept: application/json;as=Table;v=v1;g=meta.k8s.io;q=0.5,*/*;x=\"a,\\\"b\"",
    ];
    seeds.map(|seed| seed.as_bytes().to_vec()).to_vec()
}

fn messages(input: &[u8]) {
    for kind in KINDS.iter() {
        if let Ok(value) = protobuf::decode(kind.schema(), input) {
            let mut map = object(value).expect("a message is an object");
            let _ = schema::check(kind.schema(), &mut map);
        }
    }
}

fn message_seeds() -> Vec<Vec<u8>> {
    let map = b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x13\x0a\x09\x0a\x01a\x5a\x04\x0a\x02xy\x12\x06\x0a\x01b\x12\x01c";
    vec![map.to_vec()]
}

fn object_seeds() -> Vec<Vec<u8>> {
    let map = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "a", "namespace": "b", "labels": { "c": "d" }, "finalizers": ["e/f"],
            "ownerReferences": [{ "apiVersion": "v1", "kind": "X", "name": "y", "uid": "z" }],
        },
        "data": { "k": "v" },
        "binaryData": { "l": "AAAA" },
        "immutable": true,
    });
    let namespace = json!({ "metadata": { "name": "a" }, "status": { "phase": "Active" } });
    let service = json!({ "metadata": { "name": "a" }, "spec": {
        "type": "LoadBalancer", "clusterIP": "10.0.0.1", "externalIPs": ["1.2.3.4"],
        "sessionAffinity": "ClientIP", "loadBalancerSourceRanges": ["10.0.0.0/8"],
        "ports": [{ "name": "b", "port": 80, "targetPort": "c", "nodePort": 30000 }],
    } });
    let policy = json!({ "metadata": { "name": "a" }, "spec": {
        "podSelector": { "matchExpressions": [{ "key": "b", "operator": "In", "values": ["c"] }] },
        "egress": [{
            "to": [{ "ipBlock": { "cidr": "fd00::/8", "except": ["fd01::/16"] } }],
            "ports": [{ "port": 1, "endPort": 2 }],
        }],
    } });
    let volume = json!({ "metadata": { "name": "a" }, "spec": {
        "capacity": { "storage": "1.5Gi" }, "accessModes": ["ReadWriteOnce"],
        "resources": { "requests": { "storage": 1e3 } }, "hostPath": { "path": "/b" },
    } });
    let pod = json!({ "metadata": { "name": "a" }, "spec": {
        "containers": [{
            "name": "a", "image": "b:c", "ports": [{ "containerPort": 80, "hostPort": 80 }],
            "env": [{ "name": "E", "valueFrom": { "fieldRef": { "fieldPath": "metadata.labels['x']" } } }],
            "resources": { "limits": { "cpu": "1", "memory": 5 }, "requests": { "cpu": "0.5" } },
            "volumeMounts": [{ "name": "v", "mountPath": "/m", "subPath": "s" }],
            "livenessProbe": { "httpGet": { "port": "http" } },
        }],
        "initContainers": [{ "name": "i", "image": "j", "restartPolicy": "Always" }],
        "volumes": [{ "name": "v" }, { "name": "w", "projected": { "sources": [{ "secret": { "name": "s" } }] } }],
        "tolerations": [{ "key": "k", "operator": "Exists" }],
    }, "status": { "containerStatuses": [{ "name": "a", "restartCount": 1, "state": { "waiting": { "reason": "R" } } }] } });
    let set = json!({ "metadata": { "name": "a" }, "spec": {
        "selector": { "matchLabels": { "a": "b" }, "matchExpressions": [{ "key": "a", "operator": "In", "values": ["b"] }] },
        "template": { "metadata": { "labels": { "a": "b" } }, "spec": { "containers": [{ "name": "a", "image": "b" }] } },
        "strategy": { "rollingUpdate": { "maxSurge": "25%", "maxUnavailable": 0 } },
        "schedule": "* * * * *",
    } });
    let certificate =
        json!({ "metadata": {}, "spec": { "csr": "-----BEGIN CERTIFICATE REQUEST-----" } });
    let token = json!({ "metadata": { "name": "abcdef" }, "spec": {
        "user": "a", "groups": ["b"], "uses": 1, "ttlSeconds": 60,
    }, "status": { "used": 1, "expiresAt": "2030-01-01T00:00:00Z" } });
    [
        map,
        namespace,
        service,
        policy,
        volume,
        pod,
        set,
        certificate,
        token,
    ]
    .map(|seed| seed.to_string().into_bytes())
    .to_vec()
}

fn patches(input: &[u8]) {
    let Ok(found) = decode::json(input) else {
        return;
    };
    let old = Object(
        object(json!({
            "metadata": { "name": "a", "labels": { "c": "d" }, "finalizers": ["e", "f"] },
            "data": { "k": "v" },
        }))
        .unwrap_or_default(),
    );
    let all = [
        Some(Patch::Merge(found.value.clone())),
        Some(Patch::Strategic(found.value.clone())),
        Patch::json(found.value).ok(),
    ];
    for patch in all.iter().flatten() {
        for kind in KINDS.iter() {
            let _ = patch.apply(kind.schema(), &old);
        }
    }
}

fn patch_seeds() -> Vec<Vec<u8>> {
    let seeds = [
        json!({ "metadata": {
            "labels": { "$retainKeys": ["x"], "x": null },
            "finalizers": ["g"],
            "$deleteFromPrimitiveList/finalizers": ["e"],
            "$setElementOrder/finalizers": ["g", "f"],
            "ownerReferences": [{ "uid": "1", "$patch": "delete" }],
        }, "data": { "$patch": "replace" } }),
        json!([
            { "op": "test", "path": "/data/k", "value": "v" },
            { "op": "move", "from": "/data/k", "path": "/data/l" },
            { "op": "copy", "from": "/metadata", "path": "/data/m" },
            { "op": "add", "path": "/metadata/finalizers/-", "value": 1 },
            { "op": "remove", "path": "/metadata/finalizers/0" },
        ]),
    ];
    seeds.map(|seed| seed.to_string().into_bytes()).to_vec()
}

fn selectors(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(labels) = Labels::parse(&text) {
        let _ = labels.matches(|_| Some("a"));
        let _ = labels.matches(|_| None);
    }
    if let Ok(fields) = Fields::parse(&text, |_| true) {
        let _ = (fields.matches(|_| "a"), fields.name());
    }
}

fn selector_seeds() -> Vec<Vec<u8>> {
    let seeds = [
        "a=b,c!=d,e in (f,g),h notin (i),!j,k/l",
        "metadata.name=a,status.phase!=b",
    ];
    seeds.map(|seed| seed.as_bytes().to_vec()).to_vec()
}

fn amounts_and_times(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(quantity) = Quantity::parse(&text) {
        let written = quantity.to_string();
        let again = Quantity::parse(&written).expect("what is written can be read");
        assert_eq!((again, again.to_string()), (quantity, written));
    }
    if let Ok(Schedule::At(minutes)) = Schedule::parse(&text) {
        let _ = minutes.contains(Default::default());
    }
}

fn amount_and_time_seeds() -> Vec<Vec<u8>> {
    let seeds = [
        "1.5Gi",
        "-250m",
        "12e6",
        "0-30/10,45 8-18 1,15 jan-MAR ?",
        "@every 1h30m",
    ];
    seeds.map(|seed| seed.as_bytes().to_vec()).to_vec()
}

/// A line with an expression, then the object it is about: of known types and of none, which it
/// need not be of.
fn rules(input: &[u8]) {
    static TYPES: LazyLock<Value> = LazyLock::new(|| {
        let text = |format: &str| json!({ "type": "string", "format": format });
        json!({ "type": "object", "properties": {
            "n": { "type": "integer" }, "d": { "type": "number" }, "t": text(""),
            "l": { "type": "array", "x-kubernetes-list-type": "set", "items": { "type": "integer" } },
            "m": { "type": "object", "additionalProperties": text("") }, "q": text(""),
            "at": text("date-time"), "u": text(""), "w": text("duration"),
            "p": { "x-kubernetes-int-or-string": true },
        } })
    });
    let text = String::from_utf8_lossy(input);
    let (rule, object) = text.split_once('\n').unwrap_or((&text, "null"));
    let object = serde_json::from_str(object).unwrap_or(Value::Null);
    let _ = schema::attempt(rule, &Value::Null, &object);
    let _ = schema::attempt(rule, &TYPES, &object);
}

/// A text that is to be of every format there is.
fn formats(input: &[u8]) {
    const FORMATS: [&str; 10] = [
        "creditcard",
        "duration",
        "email",
        "hostname",
        "isbn",
        "mac",
        "rgbcolor",
        "ssn",
        "uri",
        "uuid",
    ];
    static SCHEMA: LazyLock<schema::Schema> = LazyLock::new(|| {
        let fields = FORMATS.map(|name| (name, json!({ "type": "string", "format": name })));
        let fields: Map<String, Value> = fields
            .map(|(name, it)| (name.to_owned(), it))
            .into_iter()
            .collect();
        schema::Schema::defined(&json!({ "type": "object", "properties": fields }))
    });
    let text = String::from_utf8_lossy(input);
    let each = FORMATS.map(|name| (name.to_owned(), Value::from(&*text)));
    let found = schema::check(&SCHEMA, &mut each.into_iter().collect());
    assert!(
        found
            .mistakes
            .iter()
            .all(|one| FORMATS.contains(&&*one.field))
    );
}

fn format_seeds() -> Vec<Vec<u8>> {
    let seeds = [
        "https://u:p@[::1]:8443/a%20b?q#f",
        "\"Body, S.\" <some.body+tag@example.com>",
        "my-host.example.com",
        "1h30m0.5s",
        "2 days 3 min",
        "978-0321751041",
        "4111 1111 1111 1111",
        "rgb(0, 31,255)",
        "6ba7b810-9dad-41d1-80b4-00c04fd430c8",
    ];
    seeds.map(|seed| seed.as_bytes().to_vec()).to_vec()
}

fn rule_seeds() -> Vec<Vec<u8>> {
    let object = json!({
        "n": 3, "d": 1.5, "t": "a,b", "l": [1, 2, 3], "m": { "k": "v" }, "q": "1Gi",
        "at": "2024-02-29T12:30:05Z", "u": "https://[::1]:8/a%20b?c=d&e", "w": "1h30m",
    });
    let rules = [
        "self.l.all(x, x > 0 && self.l.exists_one(y, x == y)) || has(self.m.k) ? 1 : -2 % 3",
        "self.t.split(',').map(x, x.upperAscii()).join('-').replace('A', self.t).substring(1, 4)",
        "self.m.all(k, self.m[k].matches('^[a-z]+$')) && !('x' in self.m) && self.?z.x.hasValue()",
        "quantity(self.q).add(quantity('1')).isGreaterThan(quantity('1e3')) && isQuantity(self.t)",
        "timestamp(self.at) + duration(self.w) > timestamp(self.at) && duration('1.5s').getHours() == 0",
        "url(self.u).getHostname() == '::1' && url(self.u).getQuery().size() > 0 && isURL('/x')",
        "cidr('10.0.0.0/8').containsIP(ip('10.0.0.1')) && cidr('fd00::/8').masked().ip().family() == 6",
        "self.l.map(x, x > 1, x * 2).sum() + self.l.min() + [3u, 4u].filter(x, x != 3u).size()",
        "self.at + self.w > self.at && self.l + [3, 4] == [4, 3, 2, 1] && self.l.all(x, x in self.l)",
        "'%s %d %.3f %x%%'.format([self.t, self.n, self.d, 255]) + self.?m.?k.orValue('')",
        "string(self.d) + string(b'\\x41') + r'\\d' + {'a': [1, 2]}.a[1].find('x')",
        "self.t.indexOf('b', 1) == self.t.lastIndexOf('b', 9) || self.t.charAt(0).findAll('.', 2) == []",
    ];
    let seed = |rule: &str| format!("{rule}\n{object}").into_bytes();
    rules.iter().map(|rule| seed(rule)).collect()
}

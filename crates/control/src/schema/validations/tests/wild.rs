//! Rules that definitions in the wild have: what Gateway API and cert-manager say, in a schema of our
//! own.

use serde_json::{Value, json};

use super::told;

const RULES: [(&str, &str); 21] = [
    (
        "rules",
        "self.all(r, (size(self[0].filters) > 0 || !has(r.backendRef)) || r.backendRef.kind == 'Service')",
    ),
    (
        "rules[0].filters",
        "!(self.exists(f, f.type == 'RequestRedirect') && self.exists(f, f.type == 'URLRewrite'))",
    ),
    (
        "rules[0].filters",
        "self.filter(f, f.type == 'URLRewrite').size() <= 1",
    ),
    (
        "rules[0]",
        "(has(self.filters) && self.filters.exists_one(f, has(f.urlRewrite) && has(f.urlRewrite.path) && f.urlRewrite.path.type == 'ReplacePrefixMatch' && has(f.urlRewrite.path.replacePrefixMatch))) ? ((size(self.matches) != 1 || !has(self.matches[0].path) || self.matches[0].path.type != 'PathPrefix') ? false : true) : true",
    ),
    (
        "rules[0].matches[0].path",
        "(self.type in ['Exact','PathPrefix']) ? self.value.startsWith('/') : true",
    ),
    (
        "rules[0].matches[0].path",
        "(self.type in ['Exact','PathPrefix']) ? !self.value.contains('//') : true",
    ),
    (
        "rules[0].matches[0].path",
        r"(self.type in ['Exact','PathPrefix']) ? self.value.matches(r'''^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$''') : true",
    ),
    (
        "rules[0].timeouts",
        "!(has(self.request) && has(self.backendRequest) && duration(self.request) != duration('0s') && duration(self.backendRequest) > duration(self.request))",
    ),
    (
        "rules[0].backendRef",
        "(size(self.group) == 0 && self.kind == 'Service') ? has(self.port) : true",
    ),
    (
        "listeners",
        "self.all(l, l.protocol in ['HTTP', 'TCP', 'UDP'] ? !has(l.tls) : true)",
    ),
    (
        "listeners",
        "self.all(l, (l.protocol == 'HTTPS' && has(l.tls)) ? (l.tls.mode == '' || l.tls.mode == 'Terminate') : true)",
    ),
    (
        "listeners",
        "self.all(l1, self.exists_one(l2, l1.name == l2.name))",
    ),
    (
        "listeners",
        "self.all(l1, self.exists_one(l2, l1.port == l2.port && l1.protocol == l2.protocol && (has(l1.hostname) && has(l2.hostname) ? l1.hostname == l2.hostname : !has(l1.hostname) && !has(l2.hostname))))",
    ),
    (
        "listeners[0].tls",
        "self.mode == 'Terminate' ? size(self.certificateRefs) > 0 || size(self.options) > 0 : true",
    ),
    (
        "addresses",
        "self.all(a1, a1.type == 'IPAddress' && has(a1.value) ? self.exists_one(a2, a2.type == a1.type && has(a2.value) && a2.value == a1.value) : true)",
    ),
    (
        "addresses[0]",
        "self.type == 'Hostname' ? self.value.matches(r'^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') : isIP(self.value)",
    ),
    ("controllerName", "self == oldSelf"),
    (
        "",
        "!(has(self.renewBefore) && has(self.renewBeforePercentage))",
    ),
    (
        "",
        "!has(self.renewBefore) || duration(self.renewBefore) < duration(self.duration)",
    ),
    (
        "",
        "type(self.size) == string ? isQuantity(self.size) && quantity(self.size).isGreaterThan(quantity('1Mi')) : self.size > 0",
    ),
    (
        "usages",
        "self.all(x, self.indexOf(x) == self.lastIndexOf(x))",
    ),
];

fn properties() -> Value {
    let text = || json!({ "type": "string" });
    let routes = json!({ "type": "array", "items": { "type": "object", "properties": {
        "matches": { "type": "array", "items": { "type": "object", "properties": {
            "path": { "type": "object", "properties": { "type": text(), "value": text() } },
        } } },
        "filters": { "type": "array", "items": { "type": "object", "properties": {
            "type": text(),
            "urlRewrite": { "type": "object", "properties": { "path": {
                "type": "object", "properties": { "type": text(), "replacePrefixMatch": text() },
            } } },
            "requestRedirect": { "type": "object", "properties": {} },
        } } },
        "timeouts": { "type": "object", "properties": {
            "request": text(), "backendRequest": text(),
        } },
        "backendRef": { "type": "object", "properties": {
            "group": text(), "kind": text(), "name": text(), "port": { "type": "integer" },
        } },
    } } });
    let listeners = json!({
        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
        "items": { "type": "object", "properties": {
            "name": text(), "hostname": text(), "protocol": text(), "port": { "type": "integer" },
            "tls": { "type": "object", "properties": {
                "mode": text(),
                "certificateRefs": { "type": "array", "items": { "type": "object" } },
                "options": { "type": "object", "additionalProperties": text() },
            } },
        } },
    });
    let addresses = json!({ "type": "array", "items": {
        "type": "object", "properties": { "type": text(), "value": text() },
    } });
    json!({
        "rules": routes, "listeners": listeners, "addresses": addresses,
        "duration": text(), "renewBefore": text(), "renewBeforePercentage": { "type": "integer" },
        "size": { "x-kubernetes-int-or-string": true }, "usages": { "type": "array", "items": text() },
        "controllerName": text(),
    })
}

/// With each rule at its place.
fn schema() -> Value {
    let mut properties = properties();
    let mut root: Vec<Value> = Vec::new();
    for (at, rule) in RULES {
        let mut place = &mut properties;
        for step in at.split('.').filter(|step| !step.is_empty()) {
            let name = step.trim_end_matches("[0]");
            let is_nested = place.get("properties").is_some();
            place = if is_nested {
                &mut place["properties"][name]
            } else {
                &mut place[name]
            };
            if step.ends_with("[0]") {
                place = &mut place["items"];
            }
        }
        let rule = json!({ "rule": rule, "message": rule });
        match at {
            "" => root.push(rule),
            _ => match place.get_mut("x-kubernetes-validations") {
                Some(Value::Array(list)) => list.push(rule),
                _ => place["x-kubernetes-validations"] = json!([rule]),
            },
        }
    }
    json!({ "type": "object", "properties": { "spec": {
        "type": "object", "properties": properties, "x-kubernetes-validations": root,
    } } })
}

fn right() -> Value {
    json!({ "spec": {
        "rules": [{
            "matches": [{ "path": { "type": "PathPrefix", "value": "/a%20b" } }],
            "filters": [{ "type": "URLRewrite", "urlRewrite": { "path": {
                "type": "ReplacePrefixMatch", "replacePrefixMatch": "/",
            } } }],
            "timeouts": { "request": "10s", "backendRequest": "5s" },
            "backendRef": { "group": "", "kind": "Service", "name": "a", "port": 80 },
        }],
        "listeners": [
            { "name": "a", "port": 80, "protocol": "HTTP" },
            { "name": "b", "port": 443, "protocol": "HTTPS", "hostname": "x.y",
              "tls": { "mode": "Terminate", "certificateRefs": [{}] } },
        ],
        "addresses": [{ "type": "IPAddress", "value": "10.0.0.1" }],
        "duration": "2160h", "renewBefore": "360h", "size": "1Gi",
        "usages": ["digital signature", "key encipherment"], "controllerName": "a/b",
    } })
}

#[test]
fn rules_as_they_are_in_the_wild_are_kept() {
    let (schema, right) = (schema(), right());
    assert_eq!(told(&schema, right.clone(), Some(right.clone())), [""; 0]);
    let mut wrong = right.clone();
    for (at, value) in [
        (
            "/spec/rules/0/matches/0/path",
            json!({ "type": "Exact", "value": "a//b^" }),
        ),
        ("/spec/rules/0/timeouts/backendRequest", json!("11s")),
        (
            "/spec/rules/0/backendRef",
            json!({ "group": "", "kind": "Service", "name": "a" }),
        ),
        (
            "/spec/listeners/1",
            json!({ "name": "a", "port": 80, "protocol": "HTTP", "tls": { "mode": "Terminate" } }),
        ),
        (
            "/spec/addresses",
            json!([{ "type": "IPAddress", "value": "x" }, { "type": "IPAddress", "value": "x" }]),
        ),
        ("/spec/renewBefore", json!("3000h")),
        ("/spec/size", json!("1k")),
        ("/spec/usages/1", json!("digital signature")),
        ("/spec/controllerName", json!("c/d")),
    ] {
        *wrong.pointer_mut(at).unwrap() = value;
    }
    let found = told(&schema, wrong, Some(right));
    let paths: Vec<&str> = found
        .iter()
        .map(|found| found.split(": ").next().unwrap())
        .collect();
    assert_eq!(
        paths,
        [
            "spec",
            "spec",
            "spec.addresses",
            "spec.addresses[0]",
            "spec.addresses[1]",
            "spec.controllerName",
            "spec.listeners",
            "spec.listeners",
            "spec.listeners",
            "spec.listeners[1].tls",
            "spec.rules[0]",
            "spec.rules[0].backendRef",
            "spec.rules[0].matches[0].path",
            "spec.rules[0].matches[0].path",
            "spec.rules[0].matches[0].path",
            "spec.rules[0].timeouts",
            "spec.usages",
        ],
        "{found:#?}"
    );
}

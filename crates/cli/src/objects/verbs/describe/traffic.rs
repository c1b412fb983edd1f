//! Ways to pods and between them: ingresses, their classes, endpoints, network policies.

use serde_json::Value;

use super::page::Page;
use super::related::Related;
use super::service::endpoints as of_slices;
use super::value::{int, list, or, selector, text, texts, unless_empty};

pub(super) fn ingress(object: &Value, related: &Related, page: &mut Page) {
    let (meta, spec) = (&object["metadata"], &object["spec"]);
    page.field(0, "Name", text(&meta["name"]));
    page.labels("Labels", &meta["labels"]);
    page.field(0, "Namespace", text(&meta["namespace"]));
    let answers = list(&object["status"]["loadBalancer"]["ingress"]).iter();
    let answers = answers.map(|one| unless_empty(text(&one["ip"]), &text(&one["hostname"])));
    let mut answers: Vec<String> = answers.filter(|one| !one.is_empty()).collect();
    answers.sort();
    answers.dedup();
    page.field(0, "Address", answers.join(","));
    page.field(0, "Ingress Class", or(&spec["ingressClassName"], "<none>"));
    let otherwise = match spec["defaultBackend"].is_object() {
        true => backend(&spec["defaultBackend"], related),
        false => "<default>".to_owned(),
    };
    page.field(0, "Default backend", &otherwise);
    if !list(&spec["tls"]).is_empty() {
        page.line(0, "TLS:");
    }
    for one in list(&spec["tls"]) {
        let hosts = texts(&one["hosts"]).join(",");
        match text(&one["secretName"]) {
            none if none.is_empty() => page.line(1, format_args!("SNI routes {hosts}")),
            secret => page.line(1, format_args!("{secret} terminates {hosts}")),
        }
    }
    page.line(0, "Rules:");
    page.line(1, "Host\tPath\tBackends");
    page.line(1, "----\t----\t--------");
    let rules: Vec<&Value> = list(&spec["rules"])
        .iter()
        .filter(|it| it["http"].is_object())
        .collect();
    for rule in &rules {
        page.line(
            1,
            format_args!("{}\t", unless_empty(text(&rule["host"]), "*")),
        );
        for path in list(&rule["http"]["paths"]) {
            let leads = backend(&path["backend"], related);
            page.line(2, format_args!("\t{} \t{leads}", text(&path["path"])));
        }
    }
    if rules.is_empty() {
        page.line(1, format_args!("*\t*\t{otherwise}"));
    }
    page.annotations("Annotations", &meta["annotations"]);
}

/// `web:80 (10.0.0.1:8080)`
fn backend(backend: &Value, related: &Related) -> String {
    let (service, other) = (&backend["service"], &backend["resource"]);
    if other.is_object() {
        let group = or(&other["apiGroup"], "<none>");
        let (kind, name) = (text(&other["kind"]), text(&other["name"]));
        return format!("APIGroup: {group}, Kind: {kind}, Name: {name}");
    }
    let (name, port) = (text(&service["name"]), &service["port"]);
    let said = match int(&port["number"]) {
        0 => format!("{name}:{}", text(&port["name"])),
        number => format!("{name}:{number}"),
    };
    let (slices, services) = (format!("slices/{name}"), format!("services/{name}"));
    if let Some(why) = related.failure(&slices).or(related.failure(&services)) {
        return format!("{said} (<error: {why}>)");
    }
    let mut ports = related
        .of(&services)
        .iter()
        .flat_map(|service| list(&service["spec"]["ports"]));
    let is_it = |known: &&Value| {
        let number = int(&port["number"]);
        let is_named = port["name"].is_string() && port["name"] == known["name"];
        number != 0 && number == int(&known["port"]) || is_named
    };
    let known = ports.rfind(is_it);
    let name = known.map_or(String::new(), |known| text(&known["name"]));
    format!("{said} ({})", of_slices(related.of(&slices), &name))
}

pub(super) fn ingress_class(object: &Value, page: &mut Page) {
    let (meta, spec) = (&object["metadata"], &object["spec"]);
    page.field(0, "Name", text(&meta["name"]));
    page.labels("Labels", &meta["labels"]);
    page.annotations("Annotations", &meta["annotations"]);
    page.field(0, "Controller", text(&spec["controller"]));
    let more = &spec["parameters"];
    if more.is_object() {
        page.line(0, "Parameters:");
        if more["apiGroup"].is_string() {
            page.field(1, "APIGroup", text(&more["apiGroup"]));
        }
        page.field(1, "Kind", text(&more["kind"]));
        page.field(1, "Name", text(&more["name"]));
    }
}

pub(super) fn endpoints(object: &Value, page: &mut Page) {
    head(object, page);
    page.line(0, "Subsets:");
    for subset in list(&object["subsets"]) {
        for (title, field) in [
            ("Addresses", "addresses"),
            ("NotReadyAddresses", "notReadyAddresses"),
        ] {
            let all: Vec<String> = list(&subset[field])
                .iter()
                .map(|one| text(&one["ip"]))
                .collect();
            page.field(1, title, unless_empty(all.join(","), "<none>"));
        }
        if !list(&subset["ports"]).is_empty() {
            page.line(1, "Ports:");
            ports(&subset["ports"], 2, page);
        }
        page.line(0, "");
    }
}

pub(super) fn endpoint_slice(object: &Value, page: &mut Page) {
    head(object, page);
    page.field(0, "AddressType", text(&object["addressType"]));
    match list(&object["ports"]).is_empty() {
        true => page.line(0, "Ports: <unset>"),
        false => {
            page.line(0, "Ports:");
            ports(&object["ports"], 1, page);
        }
    }
    match list(&object["endpoints"]).is_empty() {
        true => page.line(0, "Endpoints: <none>"),
        false => page.line(0, "Endpoints:"),
    }
    for one in list(&object["endpoints"]) {
        let addresses = texts(&one["addresses"]).join(", ");
        page.field(1, "- Addresses", unless_empty(addresses, "<none>"));
        page.line(2, "Conditions:");
        page.field(3, "Ready", or(&one["conditions"]["ready"], "<unset>"));
        page.field(2, "Hostname", or(&one["hostname"], "<unset>"));
        let whose = &one["targetRef"];
        if whose.is_object() {
            let (kind, name) = (text(&whose["kind"]), text(&whose["name"]));
            page.field(2, "TargetRef", format_args!("{kind}/{name}"));
        }
        page.field(2, "NodeName", or(&one["nodeName"], "<unset>"));
        page.field(2, "Zone", or(&one["zone"], "<unset>"));
    }
}

fn ports(ports: &Value, level: usize, page: &mut Page) {
    page.line(level, "Name\tPort\tProtocol");
    page.line(level, "----\t----\t--------");
    for port in list(ports) {
        let name = unless_empty(text(&port["name"]), "<unset>");
        let (number, protocol) = (or(&port["port"], "<unset>"), text(&port["protocol"]));
        page.line(level, format_args!("{name}\t{number}\t{protocol}"));
    }
}

fn head(object: &Value, page: &mut Page) {
    let meta = &object["metadata"];
    page.field(0, "Name", text(&meta["name"]));
    page.field(0, "Namespace", text(&meta["namespace"]));
    page.labels("Labels", &meta["labels"]);
    page.annotations("Annotations", &meta["annotations"]);
}

pub(super) fn policy(object: &Value, page: &mut Page) {
    let (meta, spec) = (&object["metadata"], &object["spec"]);
    page.field(0, "Name", text(&meta["name"]));
    page.field(0, "Namespace", text(&meta["namespace"]));
    page.field(
        0,
        "Created on",
        super::value::stamp(&meta["creationTimestamp"]),
    );
    page.labels("Labels", &meta["labels"]);
    page.annotations("Annotations", &meta["annotations"]);
    page.line(0, "Spec:");
    let everybody = "<none> (Allowing the specific traffic to all pods in this namespace)";
    let chosen = unless_empty(selector(&spec["podSelector"]), everybody);
    // kubectl indents the value, too.
    page.line(1, format_args!("PodSelector:     {chosen}"));
    let types = texts(&spec["policyTypes"]);
    for (kind, word, field) in [("Ingress", "ingress", "from"), ("Egress", "egress", "to")] {
        if types.iter().any(|one| one == kind) {
            page.line(1, format_args!("Allowing {word} traffic:"));
            allowed(&spec[word], word, field, page);
        } else {
            page.line(1, format_args!("Not affecting {word} traffic"));
        }
    }
    let types = unless_empty(types.join(", "), "<none>");
    page.line(1, format_args!("Policy Types: {types}"));
}

/// What the rules of one direction let through.
fn allowed(rules: &Value, word: &str, field: &str, page: &mut Page) {
    if list(rules).is_empty() {
        let none = format!("<none> (Selected pods are isolated for {word} connectivity)");
        page.line(2, none);
    }
    for (at, rule) in list(rules).iter().enumerate() {
        if at > 0 {
            page.line(2, "----------");
        }
        if list(&rule["ports"]).is_empty() {
            page.line(2, "To Port: <any> (traffic allowed to all ports)");
        }
        for port in list(&rule["ports"]) {
            let (number, protocol) = (or(&port["port"], "<nil>"), or(&port["protocol"], "TCP"));
            match port["endPort"].as_i64() {
                Some(end) => page.line(2, format_args!("To Port Range: {number}-{end}/{protocol}")),
                None => page.line(2, format_args!("To Port: {number}/{protocol}")),
            }
        }
        let (title, other) = match field {
            "from" => ("From", "source"),
            _ => ("To", "destination"),
        };
        if list(&rule[field]).is_empty() {
            let any = format!("{title}: <any> (traffic not restricted by {other})");
            page.line(2, any);
        }
        for peer in list(&rule[field]) {
            page.line(2, format_args!("{title}:"));
            self::peer(peer, page);
        }
    }
}

fn peer(peer: &Value, page: &mut Page) {
    let selectors = [
        ("NamespaceSelector", &peer["namespaceSelector"]),
        ("PodSelector", &peer["podSelector"]),
    ];
    for (title, chosen) in selectors.iter().filter(|(_, it)| it.is_object()) {
        let chosen = unless_empty(selector(chosen), "<none>");
        page.line(3, format_args!("{title}: {chosen}"));
    }
    let block = &peer["ipBlock"];
    if block.is_object() && selectors.iter().all(|(_, it)| !it.is_object()) {
        page.line(3, "IPBlock:");
        page.line(4, format_args!("CIDR: {}", text(&block["cidr"])));
        page.line(
            4,
            format_args!("Except: {}", texts(&block["except"]).join(", ")),
        );
    }
}

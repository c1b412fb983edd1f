//! Services, and where they lead.

use serde_json::Value;

use super::page::Page;
use super::related::Related;
use super::value::{host_port, int, list, or, pairs, text, texts, unless_empty};

/// Most addresses that are told of a port.
const MOST: usize = 3;

pub(super) fn tell(object: &Value, related: &Related, page: &mut Page) {
    let (meta, spec) = (&object["metadata"], &object["spec"]);
    page.field(0, "Name", text(&meta["name"]));
    page.field(0, "Namespace", text(&meta["namespace"]));
    page.labels("Labels", &meta["labels"]);
    page.annotations("Annotations", &meta["annotations"]);
    page.field(0, "Selector", pairs(&spec["selector"]));
    page.field(0, "Type", text(&spec["type"]));
    told("IP Family Policy", &spec["ipFamilyPolicy"], page);
    let joined = |field: &str| texts(&spec[field]).join(",");
    page.field(
        0,
        "IP Families",
        unless_empty(joined("ipFamilies"), "<none>"),
    );
    page.field(0, "IP", text(&spec["clusterIP"]));
    page.field(0, "IPs", unless_empty(joined("clusterIPs"), "<none>"));
    told("External IPs", &joined("externalIPs").into(), page);
    told("Desired LoadBalancer IP", &spec["loadBalancerIP"], page);
    told("External Name", &spec["externalName"], page);
    let outside = outside(&object["status"]["loadBalancer"]["ingress"]);
    told("LoadBalancer Ingress", &outside.into(), page);
    for port in list(&spec["ports"]) {
        self::port(port, related, page);
    }
    page.field(0, "Session Affinity", text(&spec["sessionAffinity"]));
    told(
        "External Traffic Policy",
        &spec["externalTrafficPolicy"],
        page,
    );
    told(
        "Internal Traffic Policy",
        &spec["internalTrafficPolicy"],
        page,
    );
    if int(&spec["healthCheckNodePort"]) != 0 {
        page.field(0, "HealthCheck NodePort", int(&spec["healthCheckNodePort"]));
    }
    let ranges = joined("loadBalancerSourceRanges");
    told("LoadBalancer Source Ranges", &ranges.into(), page);
}

/// What is said only where there is something to say.
fn told(title: &str, value: &Value, page: &mut Page) {
    if !text(value).is_empty() {
        page.field(0, title, text(value));
    }
}

/// Where a load balancer answers.
fn outside(ingress: &Value) -> String {
    let all = list(ingress).iter().map(|one| {
        let (ip, mode) = (text(&one["ip"]), &one["ipMode"]);
        match (ip.is_empty(), mode.is_string()) {
            (true, _) => text(&one["hostname"]),
            (false, true) => format!("{ip} ({})", text(mode)),
            (false, false) => ip,
        }
    });
    all.collect::<Vec<_>>().join(", ")
}

fn port(port: &Value, related: &Related, page: &mut Page) {
    let protocol = text(&port["protocol"]);
    let name = unless_empty(text(&port["name"]), "<unset>");
    page.field(
        0,
        "Port",
        format_args!("{name}\t{}/{protocol}", int(&port["port"])),
    );
    let target = or(&port["targetPort"], "0");
    page.field(0, "TargetPort", format_args!("{target}/{protocol}"));
    let node = int(&port["nodePort"]);
    if node != 0 {
        page.field(0, "NodePort", format_args!("{name}\t{node}/{protocol}"));
    }
    let slices = related.of("endpointslices");
    page.field(0, "Endpoints", endpoints(slices, &text(&port["name"])));
}

/// Ready addresses of a port, the first of them.
pub(super) fn endpoints(slices: &[Value], name: &str) -> String {
    if slices.is_empty() {
        return "<none>".to_owned();
    }
    let mut found = Vec::new();
    // kubectl sees that there are more only with the entry after the last it tells.
    let (mut is_more, mut count) = (false, 0);
    for slice in slices {
        let ports: Vec<Option<String>> = match list(&slice["ports"]) {
            [] => vec![None],
            ports => {
                let chosen = ports.iter().filter(|port| text(&port["name"]) == name);
                chosen.map(|port| Some(text(&port["port"]))).collect()
            }
        };
        for port in ports {
            for endpoint in list(&slice["endpoints"]) {
                is_more |= found.len() == MOST;
                if endpoint["conditions"]["ready"] == false {
                    continue;
                }
                let address = text(&endpoint["addresses"][0]);
                if !is_more {
                    let place = port.as_ref().map(|port| host_port(&address, port));
                    found.push(place.unwrap_or(address));
                }
                count += 1;
            }
        }
    }
    let told = found.join(",");
    match is_more {
        true => format!("{told} + {} more...", count - MOST),
        false => told,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    #[test]
    fn ready_addresses_are_told_the_first_three() {
        let slice = |addresses: &[(&str, bool)]| {
            let one = |(address, is_ready): &(&str, bool)| json!({ "addresses": [address], "conditions": { "ready": is_ready } });
            let endpoints: Vec<Value> = addresses.iter().map(one).collect();
            json!({ "ports": [{ "name": "http", "port": 80 }, { "name": "x", "port": 1 }],
                "endpoints": endpoints })
        };
        for (addresses, wanted) in [
            (
                vec![("a", true), ("::1", true), ("c", false)],
                "a:80,[::1]:80",
            ),
            (
                vec![("a", true), ("b", true), ("c", true)],
                "a:80,b:80,c:80",
            ),
            (vec![("a", true); 5], "a:80,a:80,a:80 + 2 more..."),
        ] {
            assert_eq!(super::endpoints(&[slice(&addresses)], "http"), wanted);
        }
        assert_eq!(super::endpoints(&[], "http"), "<none>");
        assert_eq!(super::endpoints(&[slice(&[("a", true)])], "nope"), "");
    }
}

//! Addresses and ports are given to services: each to one, whoever asks, and for as long as it is there.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use serde_json::Value;
use weft_testkit::Weft;

use crate::server_kubectl::{kubectl, kubectl_with_input, server};

/// Services that many clients make at the same time.
const MANY: usize = 32;

fn spec(weft: &Weft, name: &str) -> Value {
    let found = kubectl(weft, &format!("get service {name} -o json"));
    let object: Value = serde_json::from_str(found.ok()).unwrap();
    object["spec"].clone()
}

fn manifest(name: &str, spec: &str) -> String {
    format!("apiVersion: v1\nkind: Service\nmetadata: {{ name: {name} }}\nspec: {spec}\n")
}

fn create(weft: &Weft, name: &str, spec: &str) -> weft_testkit::Ran {
    kubectl_with_input(weft, "create -f -", &manifest(name, spec))
}

fn address(spec: &Value) -> String {
    assert_eq!(spec["clusterIPs"], serde_json::json!([spec["clusterIP"]]));
    spec["clusterIP"].as_str().unwrap().to_owned()
}

#[test]
fn services_are_given_what_they_do_not_ask_for() {
    let Some(weft) = server() else { return };
    kubectl(&weft, "create service clusterip plain --tcp=80").ok();
    let plain = spec(&weft, "plain");
    let given = address(&plain);
    let parsed: std::net::Ipv4Addr = given.parse().unwrap();
    assert_eq!(parsed.octets()[..2], [10, 96]);
    assert_eq!(plain["ports"][0].get("nodePort"), None);

    kubectl(&weft, "create service nodeport open --tcp=80").ok();
    let open = spec(&weft, "open");
    assert_ne!(address(&open), given);
    let port = open["ports"][0]["nodePort"].as_u64().unwrap();
    assert!((30_000..=32_767).contains(&port));

    kubectl(
        &weft,
        "create service clusterip none --clusterip=None --tcp=80",
    )
    .ok();
    assert_eq!(address(&spec(&weft, "none")), "None");
    kubectl(
        &weft,
        "create service externalname other --external-name=a.b",
    )
    .ok();
    assert_eq!(spec(&weft, "other").get("clusterIP"), None);

    // One port for two protocols, and one for the balancer's questions.
    let both = "{ type: LoadBalancer, externalTrafficPolicy: Local, ports: [{ name: a, port: 53 }, \
                { name: b, port: 53, protocol: UDP }, { name: c, port: 54 }] }";
    create(&weft, "both", both).ok();
    let both = spec(&weft, "both");
    let number = |at: usize| both["ports"][at]["nodePort"].as_u64().unwrap();
    assert_eq!(number(0), number(1));
    assert_ne!(number(0), number(2));
    assert!(both["healthCheckNodePort"].as_u64().unwrap() >= 30_000);

    // Exposed from something that runs.
    kubectl(&weft, "create deployment web --image=nginx").ok();
    kubectl(&weft, "expose deployment web --port=80 --type=NodePort").ok();
    assert!(spec(&weft, "web")["ports"][0]["nodePort"].is_u64());

    // The API has the first address, in the name everybody expects.
    let own = spec(&weft, "kubernetes");
    assert_eq!(address(&own), "10.96.0.1");
    assert_eq!(own["ports"][0]["port"], 443);
    let line = "get endpoints,endpointslices -o name";
    let found = kubectl(&weft, line).ok().to_owned();
    assert!(found.contains("endpoints/kubernetes"), "{found}");
    assert!(
        found.contains("endpointslice.discovery.k8s.io/kubernetes"),
        "{found}"
    );
}

#[test]
fn what_is_asked_for_is_given_once() {
    let Some(weft) = server() else { return };
    let of = |ip: &str| format!("{{ clusterIP: {ip}, ports: [{{ port: 80 }}] }}");
    let on = |port: u16| format!("{{ type: NodePort, ports: [{{ port: 80, nodePort: {port} }}] }}");
    create(&weft, "a", &of("10.96.0.7")).ok();
    create(&weft, "b", &of("10.96.0.7")).fails_saying(&[
        r#"The Service "b" is invalid: spec.clusterIPs: Invalid value: []string{"10.96.0.7"}: failed to allocate IP 10.96.0.7: provided IP is already allocated"#,
    ]);
    create(&weft, "b", &of("10.97.0.7")).fails_saying(&[
        r#"failed to allocate IP 10.97.0.7: the provided IP (10.97.0.7) is not in the valid range. The range of valid IPs is 10.96.0.0/16"#,
    ]);
    create(&weft, "p", &on(30_080)).ok();
    create(&weft, "q", &on(30_080)).fails_saying(&[
        "spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated",
    ]);
    // What is only tried takes nothing, but is told.
    let tried = kubectl_with_input(
        &weft,
        "create -f - --dry-run=server -o jsonpath={.spec.clusterIP}",
        &manifest("c", &of("10.96.0.9")),
    );
    assert_eq!(tried.ok(), "10.96.0.9");
    create(&weft, "c", &of("10.96.0.9")).ok();
    let tried =
        "create service nodeport d --tcp=80 --dry-run=server -o jsonpath={.spec.ports[0].nodePort}";
    let port: u16 = kubectl(&weft, tried).ok().parse().unwrap();
    create(&weft, "d", &on(port)).ok();
    create(&weft, "e", &of("10.96.0.7")).fails_saying(&["provided IP is already allocated"]);

    // What goes lets go of it, and so does what becomes something else.
    kubectl(&weft, "delete service a").ok();
    create(&weft, "b", &of("10.96.0.7")).ok();
    let patch = r#"patch service p --type=merge -p {"spec":{"type":"ClusterIP"}}"#;
    kubectl(&weft, patch).ok();
    assert_eq!(spec(&weft, "p")["ports"][0].get("nodePort"), None);
    create(&weft, "q", &on(30_080)).ok();
    let patch =
        r#"patch service b --type=merge -p {"spec":{"type":"ExternalName","externalName":"a.b"}}"#;
    kubectl(&weft, patch).ok();
    create(&weft, "e", &of("10.96.0.7")).ok();
    // And back again, it is given another.
    let patch = r#"patch service b --type=merge -p {"spec":{"type":"ClusterIP","externalName":null,"ports":[{"port":80}]}}"#;
    kubectl(&weft, patch).ok();
    assert_ne!(address(&spec(&weft, "b")), "10.96.0.7");
}

#[test]
fn nobody_is_given_what_another_has_however_many_ask() {
    let Some(mut weft) = server() else { return };
    let ask = |weft: &Weft, round: usize| {
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..MANY)
                .map(|index| {
                    scope.spawn(move || {
                        let line = format!("create service nodeport s{round}-{index} --tcp=80");
                        kubectl(weft, &line).ok();
                    })
                })
                .collect();
            all.into_iter().for_each(|one| one.join().unwrap());
            // All at once for one: one gets it.
            let same = format!(
                "{{ clusterIP: 10.96.0.{}, ports: [{{ port: 80 }}] }}",
                20 + round
            );
            let all: Vec<_> = (0..8)
                .map(|index| {
                    let same = same.clone();
                    scope.spawn(move || {
                        create(weft, &format!("same{round}-{index}"), &same).code == 0
                    })
                })
                .collect();
            let given = all.into_iter().map(|one| one.join().unwrap());
            assert_eq!(given.filter(|given| *given).count(), 1);
        });
    };
    ask(&weft, 0);
    weft.kill_daemon();
    weft.start_daemon();
    ask(&weft, 1);
    let list = kubectl(&weft, "get services -o json").ok().to_owned();
    let list: Value = serde_json::from_str(&list).unwrap();
    let all = list["items"].as_array().unwrap();
    let addresses: BTreeSet<&str> = all
        .iter()
        .map(|service| service["spec"]["clusterIP"].as_str().unwrap())
        .collect();
    // With the API's own.
    assert_eq!((all.len(), addresses.len()), (2 * MANY + 3, 2 * MANY + 3));
    let ports: BTreeSet<u64> = all
        .iter()
        .filter_map(|service| service["spec"]["ports"][0]["nodePort"].as_u64())
        .collect();
    assert_eq!(ports.len(), 2 * MANY);
}

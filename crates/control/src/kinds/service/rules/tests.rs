//! Services that are refused.

use serde_json::{Value, json};

use super::super::kind;
use crate::kinds::testing::{refuses, refuses_change};

fn base() -> Value {
    json!({
        "metadata": { "name": "web" },
        "spec": { "selector": { "app": "web" }, "ports": [{ "name": "http", "port": 80 }] },
    })
}

#[test]
fn ports_are_checked() {
    let ports = |ports: Value| json!({ "spec": { "ports": ports } });
    let on_node = |ports: Value| json!({ "spec": { "type": "NodePort", "ports": ports } });
    refuses(
        &kind(),
        &base(),
        &[
            (ports(json!([])), &["spec.ports: Required value"]),
            (
                ports(json!([{ "port": 0 }])),
                &[
                    "spec.ports[0].port: Invalid value: 0: must be between",
                    "spec.ports[0].targetPort: Invalid value: 0",
                ],
            ),
            (
                ports(json!([{ "port": 80, "targetPort": 70000 }])),
                &["spec.ports[0].targetPort: Invalid value: 70000"],
            ),
            (
                ports(json!([{ "port": 80, "targetPort": "no_port" }])),
                &["spec.ports[0].targetPort: Invalid value: \"no_port\": must contain only"],
            ),
            (
                ports(json!([{ "port": 80, "protocol": "ICMP" }])),
                &[
                    "spec.ports[0].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
                ],
            ),
            (
                ports(json!([{ "port": 80, "name": "A" }])),
                &["spec.ports[0].name: Invalid value: \"A\": a lowercase RFC 1123 label"],
            ),
            (
                ports(json!([{ "port": 80, "appProtocol": "a b" }])),
                &["spec.ports[0].appProtocol: Invalid value"],
            ),
            (
                ports(json!([{ "port": 80 }, { "name": "a", "port": 81 }])),
                &["spec.ports[0].name: Required value"],
            ),
            (
                ports(json!([{ "name": "a", "port": 80 }, { "name": "a", "port": 81 }])),
                &["spec.ports[1].name: Duplicate value: \"a\""],
            ),
            (
                ports(json!([{ "name": "a", "port": 80 }, { "name": "b", "port": 80 }])),
                &["spec.ports[1]: Duplicate value"],
            ),
            (
                ports(json!([{ "port": 80, "nodePort": 30000 }])),
                &["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
            ),
            (
                on_node(json!([{ "port": 80, "nodePort": 80 }])),
                &[
                    "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767",
                ],
            ),
            (
                on_node(json!([
                    { "name": "a", "port": 80, "nodePort": 30000 },
                    { "name": "b", "port": 81, "nodePort": 30000 },
                    { "name": "c", "port": 81, "nodePort": 30000, "protocol": "UDP" },
                ])),
                &["spec.ports[1].nodePort: Duplicate value: 30000"],
            ),
            (
                json!({ "spec": { "type": "LoadBalancer", "ports": [{ "port": 10_250 }] } }),
                &["spec.ports[0].port: Invalid value: 10250: may not expose"],
            ),
        ],
    );
}

#[test]
fn the_rest_is_checked() {
    let spec = |spec: Value| json!({ "spec": spec });
    refuses(
        &kind(),
        &base(),
        &[
            (
                spec(json!({ "type": "Other" })),
                &["spec.type: Unsupported value: \"Other\""],
            ),
            (
                spec(json!({ "selector": { "a b": "-" } })),
                &[
                    "spec.selector: Invalid value: \"a b\"",
                    "spec.selector: Invalid value: \"-\"",
                ],
            ),
            (
                spec(json!({ "clusterIP": "x" })),
                &["spec.clusterIPs[0]: Invalid value: \"x\": must be a valid IP"],
            ),
            (
                spec(json!({ "clusterIPs": ["10.0.0.1"] })),
                &["spec.clusterIPs: Invalid value: [\"10.0.0.1\"]: must be empty when"],
            ),
            (
                spec(json!({ "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.2"] })),
                &["spec.clusterIPs: Invalid value: [\"10.0.0.2\"]: first value must match"],
            ),
            (
                spec(
                    json!({ "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "fd00::1", "None"] }),
                ),
                &[
                    "spec.clusterIPs: Invalid value",
                    "spec.clusterIPs[2]: Invalid value: \"None\"",
                ],
            ),
            (
                spec(json!({ "clusterIP": "None", "type": "NodePort" })),
                &[
                    "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services",
                ],
            ),
            (
                spec(json!({ "type": "ExternalName" })),
                &["spec.externalName: Required value"],
            ),
            (
                spec(json!({ "type": "ExternalName", "externalName": "a_b" })),
                &["spec.externalName: Invalid value: \"a_b\""],
            ),
            (
                spec(
                    json!({ "type": "ExternalName", "externalName": "a.b.", "clusterIP": "10.0.0.1", "ipFamilies": ["IPv6"], "ipFamilyPolicy": "PreferDualStack" }),
                ),
                &[
                    "spec.clusterIPs: Forbidden: may not be set for ExternalName",
                    "spec.ipFamilies: Forbidden",
                    "spec.ipFamilyPolicy: Forbidden",
                ],
            ),
            (
                spec(json!({ "externalIPs": ["127.0.0.1", "x"] })),
                &[
                    "spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not be in the loopback",
                    "spec.externalIPs[1]: Invalid value: \"x\"",
                ],
            ),
            (
                spec(json!({ "ipFamilyPolicy": "Some", "ipFamilies": ["IPv4", "IPv4", "IPv5"] })),
                &[
                    "spec.ipFamilyPolicy: Unsupported value",
                    "spec.ipFamilies[1]: Duplicate value",
                    "spec.ipFamilies[2]: Unsupported value",
                ],
            ),
            (
                spec(json!({ "sessionAffinity": "Pod" })),
                &["spec.sessionAffinity: Unsupported value: \"Pod\""],
            ),
            (
                spec(
                    json!({ "sessionAffinity": "ClientIP", "sessionAffinityConfig": { "clientIP": { "timeoutSeconds": 86_401 } } }),
                ),
                &[
                    "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less than 86400",
                ],
            ),
            (
                spec(
                    json!({ "loadBalancerClass": "x", "loadBalancerSourceRanges": ["10.0.0.0/8"], "allocateLoadBalancerNodePorts": false }),
                ),
                &[
                    "spec.loadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
                    "spec.allocateLoadBalancerNodePorts: Forbidden",
                    "spec.loadBalancerClass: Forbidden",
                ],
            ),
            (
                spec(
                    json!({ "type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0"], "loadBalancerClass": "a b" }),
                ),
                &[
                    "spec.loadBalancerSourceRanges[0]: Invalid value: \"10.0.0.0\": must be a valid CIDR",
                    "spec.loadBalancerClass: Invalid value",
                ],
            ),
            (
                spec(json!({ "externalTrafficPolicy": "Local" })),
                &[
                    "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services",
                ],
            ),
            (
                spec(json!({ "type": "NodePort", "externalTrafficPolicy": "Here" })),
                &["spec.externalTrafficPolicy: Unsupported value"],
            ),
            (
                spec(json!({ "internalTrafficPolicy": "Here", "trafficDistribution": "Far" })),
                &[
                    "spec.internalTrafficPolicy: Unsupported value",
                    "spec.trafficDistribution: Unsupported value",
                ],
            ),
            (
                spec(json!({ "type": "NodePort", "healthCheckNodePort": 31_000 })),
                &["spec.healthCheckNodePort: Invalid value: 31000: may only be set"],
            ),
        ],
    );
}

#[test]
fn an_address_is_kept() {
    let mut old = base();
    old["spec"]["clusterIP"] = "10.0.0.1".into();
    refuses_change(
        &kind(),
        &old,
        &[
            (json!({ "spec": { "type": "NodePort" } }), &[]),
            (
                json!({ "spec": { "clusterIP": "10.0.0.2", "clusterIPs": null } }),
                &["spec.clusterIP: Invalid value: \"10.0.0.2\": may not change once set"],
            ),
            (
                json!({ "spec": { "clusterIP": null, "clusterIPs": null } }),
                &[],
            ),
            (
                json!({ "spec": { "type": "ExternalName", "externalName": "a.b", "clusterIP": null, "clusterIPs": null, "ports": null } }),
                &[],
            ),
        ],
    );
    let mut balanced = old;
    balanced["spec"]["type"] = "LoadBalancer".into();
    refuses_change(
        &kind(),
        &balanced,
        &[(
            json!({ "spec": { "loadBalancerClass": "a/b" } }),
            &["spec.loadBalancerClass: Invalid value: \"a/b\": may not change once set"],
        )],
    );
}

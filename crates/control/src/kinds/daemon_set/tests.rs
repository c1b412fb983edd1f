//! Daemon sets: what they become, what is refused, and what is shown.

use serde_json::{Value, json};

use super::super::testing::{cells, each_is_refused, headings, made, template, with, wrong};
use super::kind;

fn daemon_set() -> Value {
    json!({
        "metadata": { "name": "agent" },
        "spec": { "selector": { "matchLabels": { "app": "web" } }, "template": template() },
    })
}

#[test]
fn defaults_rules_and_columns() {
    let object = made(&kind(), daemon_set());
    let expected = json!({
        "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": 1, "maxSurge": 0 },
    });
    assert_eq!(object.0["spec"]["updateStrategy"], expected);
    assert_eq!(object.0["spec"]["revisionHistoryLimit"], 10);
    let rolling = |away: Value, more: Value| json!({ "rollingUpdate": { "maxUnavailable": away, "maxSurge": more } });
    each_is_refused(
        &kind(),
        &daemon_set(),
        &[
            (
                "/spec/updateStrategy",
                rolling(json!(0), json!("0%")),
                "spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: 0: cannot be 0 when maxSurge is 0",
            ),
            (
                "/spec/updateStrategy",
                rolling(json!(1), json!(1)),
                "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero",
            ),
            (
                "/spec/updateStrategy",
                json!({ "type": "X" }),
                "spec.updateStrategy.type: Unsupported value",
            ),
            (
                "/spec/selector/matchLabels/app",
                json!("x"),
                "spec.template.metadata.labels: Invalid value",
            ),
            (
                "/status",
                json!({ "currentNumberScheduled": -1 }),
                "status.currentNumberScheduled: Invalid value: -1",
            ),
        ],
    );
    let surge = with(
        &daemon_set(),
        "/spec/updateStrategy",
        rolling(json!(0), json!("10%")),
    );
    assert_eq!(wrong(&kind(), surge), [""; 0]);
    let expected = "Name Desired Current Ready Up-to-date Available Node Selector Age (Containers) \
                    (Images) (Selector)";
    assert_eq!(headings(&kind()), expected);
    let cells = cells(&kind(), &object);
    let expected = [
        "agent",
        "0",
        "0",
        "0",
        "0",
        "0",
        "<none>",
        "web",
        "nginx:1.27",
        "app=web",
    ];
    assert_eq!(cells, expected);
}

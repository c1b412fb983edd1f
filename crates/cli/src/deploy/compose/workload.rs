//! What runs a service's pods: how many, where, with how much, and what becomes of those that end.

use serde_json::{Value, json};

use super::container::Pod;
use super::files;
use super::read::{Map, Spot};
use super::words;

/// What becomes of a container that has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Restart {
    Always,
    /// So many times at most.
    OnFailure(i64),
    Never,
}

/// Tries of what is started again when it fails, unless somebody says.
const TRIES: i64 = 6;

/// What is said of all pods together.
struct Said {
    restart: Restart,
    replicas: i64,
    mode: String,
    annotations: Value,
    strategy: Option<Value>,
}

/// Reads `deploy` and what says the same beside it; `ends`: others wait for it to have ended well.
pub(super) fn lower(
    name: &str,
    service: &mut Map<'_>,
    ends: bool,
    selector: &Value,
    pod: &mut Pod,
) -> Value {
    let said = said(service, ends, pod);
    let has_host_ports = pod.ports.iter().any(|port| port.published.is_some());
    if has_host_ports && said.replicas > 1 {
        service.note(
            "ports",
            "each of its pods has to be on a machine of its own: a port of a machine is there once",
        );
    }
    let is_alone = has_host_ports || pod.has_claims;
    let mut labels = selector.clone();
    labels["app"] = name.into();
    labels["app.kubernetes.io/managed-by"] = "weft".into();
    if pod.sum != 0 {
        let sum = format!("{:016x}", pod.sum);
        pod.annotations
            .insert("nanocloud.io/files-sum".to_owned(), sum.into());
    }
    let template = json!({
        "metadata": { "labels": labels, "annotations": std::mem::take(&mut pod.annotations) },
        "spec": pod.finish(),
    });
    let metadata =
        json!({ "name": name, "labels": { "app": name }, "annotations": said.annotations });
    match (said.mode.as_str(), said.restart) {
        ("replicated", Restart::Always) => json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
            "spec": {
                "replicas": said.replicas, "selector": { "matchLabels": selector },
                "strategy": said.strategy.filter(|_| !is_alone).unwrap_or_else(|| usual(is_alone)),
                "template": template,
            },
        }),
        ("global", Restart::Always) => json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata,
            "spec": { "selector": { "matchLabels": selector }, "template": template },
        }),
        ("replicated" | "replicated-job", restart) => {
            job(metadata, template, said.replicas, restart)
        }
        ("global", _) => {
            service.wrong(
                "restart",
                "what runs on every machine is started again whenever it ends",
            );
            Value::Null
        }
        (other, _) => {
            let why = format!("{other}: it is replicated, global or replicated-job");
            service.wrong("deploy.mode", &why);
            Value::Null
        }
    }
}

fn said(service: &mut Map<'_>, ends: bool, pod: &mut Pod) -> Said {
    let mut restart = restart(service);
    let mut replicas = service.integer("scale");
    let beside = beside(service);
    let mut said = Said {
        restart: Restart::Always,
        replicas: 1,
        mode: "replicated".to_owned(),
        annotations: json!({}),
        strategy: None,
    };
    let mut deploy = service.map("deploy");
    if let Some(deploy) = &mut deploy {
        said.mode = deploy.text("mode").unwrap_or(said.mode);
        replicas = deploy.integer("replicas").or(replicas);
        said.annotations = files::annotations(deploy.pairs("labels"));
        restart = restart_policy(deploy).or(restart);
        placement(deploy, pod);
        said.strategy = update(deploy);
        // Names lead to the pods themselves either way.
        let _ = deploy.text("endpoint_mode");
        deploy.without(
            "rollback_config",
            "`weft rollout undo` goes back when it is told to",
        );
    }
    resources(deploy.as_mut(), beside, pod);
    if let Some(deploy) = deploy {
        deploy.end();
    }
    said.replicas = replicas.unwrap_or(1).max(0);
    said.restart = match (said.mode.as_str(), restart) {
        ("replicated-job", None) => Restart::Never,
        // What it needs may not be there yet.
        (_, None) if ends => Restart::OnFailure(TRIES),
        (_, restart) => restart.unwrap_or(Restart::Always),
    };
    said
}

/// What ends.
fn job(metadata: Value, mut template: Value, replicas: i64, restart: Restart) -> Value {
    let (policy, tries) = match restart {
        Restart::OnFailure(tries) => ("OnFailure", tries),
        _ => ("Never", 0),
    };
    if let Some(container) = template["spec"]["containers"][0].as_object_mut() {
        // A job that is started again is counted as a failure.
        container.remove("livenessProbe");
    }
    template["spec"]["restartPolicy"] = policy.into();
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata,
        "spec": {
            "completions": replicas, "parallelism": replicas, "backoffLimit": tries,
            "template": template,
        },
    })
}

fn usual(is_alone: bool) -> Value {
    match is_alone {
        // What it holds has to be let go of before its successor has it.
        true => json!({ "type": "Recreate" }),
        false => json!({ "type": "RollingUpdate" }),
    }
}

/// Docker's word for it; nothing, where it is not said.
fn restart(service: &mut Map<'_>) -> Option<Restart> {
    let spot = service.take("restart")?;
    // `no` is a truth to some readers of YAML.
    let text = match spot.value {
        Value::Bool(false) => "no".to_owned(),
        _ => spot.text()?,
    };
    let (word, tries) = text.split_once(':').unwrap_or((&text, ""));
    match (word, tries) {
        ("always" | "unless-stopped", "") => Some(Restart::Always),
        ("no", "") => Some(Restart::Never),
        ("on-failure", "") => Some(Restart::OnFailure(TRIES)),
        ("on-failure", tries) => match tries.parse() {
            Ok(tries) => Some(Restart::OnFailure(tries)),
            Err(_) => {
                spot.wrong("on-failure:N needs a number");
                None
            }
        },
        _ => {
            spot.wrong("it is no, always, on-failure[:N] or unless-stopped");
            None
        }
    }
}

fn restart_policy(deploy: &mut Map<'_>) -> Option<Restart> {
    let mut policy = deploy.map("restart_policy")?;
    for key in ["delay", "window"] {
        policy.without(key, "the pause grows by itself, up to five minutes");
    }
    let tries = policy.integer("max_attempts");
    let found = match policy.text("condition").as_deref() {
        None | Some("any") => Restart::Always,
        Some("on-failure") => Restart::OnFailure(tries.unwrap_or(TRIES)),
        Some("none") => Restart::Never,
        Some(other) => {
            let why = format!("{other}: it is any, on-failure or none");
            policy.wrong("condition", &why);
            Restart::Always
        }
    };
    if found == Restart::Always && tries.is_some() {
        policy.note(
            "max_attempts",
            "it is started again for as long as it is there",
        );
    }
    policy.end();
    Some(found)
}

fn placement(deploy: &mut Map<'_>, pod: &mut Pod) {
    let Some(mut placement) = deploy.map("placement") else {
        return;
    };
    placement.without("preferences", "pods are spread over machines by themselves");
    placement.without(
        "max_replicas_per_node",
        "pods are spread over machines, and not counted",
    );
    let mut others: Vec<Value> = Vec::new();
    for spot in placement.list("constraints") {
        let Some(text) = spot.text() else { continue };
        let (is_same, pair) = match (text.split_once("=="), text.split_once("!=")) {
            (Some(pair), _) => (true, pair),
            (_, Some(pair)) => (false, pair),
            _ => {
                spot.wrong("it is no KEY==VALUE or KEY!=VALUE");
                continue;
            }
        };
        let (key, value) = (pair.0.trim(), pair.1.trim());
        let Some(key) = label(key) else {
            spot.wrong("machines are told apart by node.labels.KEY, node.hostname, node.platform.os and node.platform.arch");
            continue;
        };
        match is_same {
            true => pod.spec["nodeSelector"][key] = value.into(),
            false => others.push(json!({ "key": key, "operator": "NotIn", "values": [value] })),
        }
    }
    if !others.is_empty() {
        pod.spec["affinity"] = json!({ "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{ "matchExpressions": others }],
            },
        } });
    }
    placement.end();
}

/// The label of machines that a constraint means.
fn label(key: &str) -> Option<&str> {
    match key {
        "node.hostname" => Some("kubernetes.io/hostname"),
        "node.platform.os" => Some("kubernetes.io/os"),
        "node.platform.arch" => Some("kubernetes.io/arch"),
        key => {
            let label = key
                .strip_prefix("node.labels.")
                .or(key.strip_prefix("engine.labels."));
            label.filter(|label| weft_stdx::names::label_key(label).is_ok())
        }
    }
}

fn update(deploy: &mut Map<'_>) -> Option<Value> {
    let mut update = deploy.map("update_config")?;
    for key in ["delay", "monitor", "failure_action", "max_failure_ratio"] {
        update.without(
            key,
            "an update goes on as pods become ready, and stops where they do not",
        );
    }
    let parallel: Value = match update.integer("parallelism") {
        None => 1.into(),
        Some(0) => "100%".into(),
        Some(count) => count.max(1).into(),
    };
    let order = update
        .text("order")
        .unwrap_or_else(|| "stop-first".to_owned());
    let rolling = match order.as_str() {
        "stop-first" => json!({ "maxSurge": 0, "maxUnavailable": parallel }),
        "start-first" => json!({ "maxSurge": parallel, "maxUnavailable": 0 }),
        other => {
            let why = format!("{other}: it is stop-first or start-first");
            update.wrong("order", &why);
            json!({})
        }
    };
    update.end();
    Some(json!({ "type": "RollingUpdate", "rollingUpdate": rolling }))
}

/// Limits that stand beside `deploy`: key of the amount, limit or request.
type Beside<'a> = Vec<(&'static str, &'static str, Spot<'a>)>;

fn beside<'a>(service: &mut Map<'a>) -> Beside<'a> {
    let keys = [
        ("cpus", "cpu", "limits"),
        ("mem_limit", "memory", "limits"),
        ("mem_reservation", "memory", "requests"),
    ];
    let found = keys.into_iter();
    found
        .filter_map(|(key, what, which)| service.take(key).map(|spot| (what, which, spot)))
        .collect()
}

fn resources(deploy: Option<&mut Map<'_>>, beside: Beside<'_>, pod: &mut Pod) {
    let mut all = json!({});
    for (what, which, spot) in beside {
        amount(&mut all, which, what, &spot);
    }
    let resources = deploy.and_then(|deploy| deploy.map("resources"));
    if let Some(mut resources) = resources {
        for (key, which) in [("limits", "limits"), ("reservations", "requests")] {
            let Some(mut amounts) = resources.map(key) else {
                continue;
            };
            for (key, what) in [("cpus", "cpu"), ("memory", "memory")] {
                if let Some(spot) = amounts.take(key) {
                    amount(&mut all, which, what, &spot);
                }
            }
            amounts.without("pids", "processes are not counted");
            amounts.no("devices", "devices are not given to pods by name");
            amounts.no("generic_resources", "machines have none that are told of");
            amounts.end();
        }
        resources.end();
    }
    if all != json!({}) {
        pod.container["resources"] = all;
    }
}

fn amount(all: &mut Value, which: &str, what: &str, spot: &Spot<'_>) {
    let Some(text) = spot.text() else { return };
    let amount = match what {
        "cpu" => words::processors(&text),
        _ => words::bytes(&text).map(|bytes| bytes.to_string()),
    };
    match amount {
        Some(amount) => all[which][what] = amount.into(),
        None => spot.wrong("it is no amount: 0.5 processors, 512m of memory"),
    }
}

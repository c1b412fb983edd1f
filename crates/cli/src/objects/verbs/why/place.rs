//! Why an object does not go, and why a node or a namespace is not as it should be. Pure.

use jiff::Timestamp;
use serde_json::Value;

use super::cause::{Finding, Seen, ago, called, condition, list, name, text, typed};
use super::container::short;

/// Finalizers that the server's own parts take away.
const OURS: [&str; 5] = [
    "foregroundDeletion",
    "orphan",
    "kubernetes.io/pvc-protection",
    "kubernetes.io/pv-protection",
    "batch.kubernetes.io/job-tracking",
];

/// Why an object that is being deleted is still there; nothing where it is not.
pub(super) fn deletion(seen: &Seen, now: Timestamp) -> Option<Finding> {
    let object = &seen.object;
    let since = text(object, "/metadata/deletionTimestamp");
    if since.is_empty() {
        return None;
    }
    let called = called(object);
    let mut finalizers: Vec<&str> = list(object, "/metadata/finalizers")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    // Who is not of the server's own has to be waited for longest.
    finalizers.sort_by_key(|one| OURS.contains(one));
    let since = ago(since, now);
    let Some(finalizer) = finalizers.first() else {
        let grace = object.pointer("/metadata/deletionGracePeriodSeconds");
        let grace = grace.and_then(Value::as_i64).unwrap_or(0);
        return Some(Finding::waiting(
            format!("{called} is being deleted: its containers have {grace} s to end"),
            format!("`weft delete {} --now` waits no longer", typed(object)),
        ));
    };
    let next = match *finalizer {
        "kubernetes.io/pvc-protection" => {
            "it goes when no pod uses it any more: delete those pods".to_owned()
        }
        "kubernetes.io/pv-protection" => "it goes when its claim is gone".to_owned(),
        "foregroundDeletion" => {
            "it goes when all that it owns is gone: `weft get all` shows what is left".to_owned()
        }
        "orphan" | "batch.kubernetes.io/job-tracking" => "wait a little".to_owned(),
        _ => format!(
            "start whoever takes it away, or, if nobody does any more: weft patch {} --type=merge -p '{{\"metadata\":{{\"finalizers\":null}}}}'",
            typed(object)
        ),
    };
    let others: String = match finalizers.len() {
        1 => String::new(),
        more => format!(" and {} more", more - 1),
    };
    let found = Finding::wrong(
        format!(
            "{called} was deleted {since} ago and stays until the finalizer {finalizer}{others} is taken away"
        ),
        next,
    );
    Some(found.then("finalizers", finalizers.join(", ")))
}

/// What is with a node.
pub(super) fn node(seen: &Seen, now: Timestamp) -> Finding {
    let node = &seen.object;
    let own = name(node);
    if let Some(deleted) = deletion(seen, now) {
        return deleted.under(format!("node/{own}"), "being deleted");
    }
    let found = match condition(node, "Ready") {
        None => Finding::wrong(
            format!("node {own} has never said that it is ready"),
            "start weft on it, and look at its log",
        ),
        Some(ready) if text(ready, "/status") == "Unknown" => {
            let heard = ago(text(ready, "/lastHeartbeatTime"), now);
            let heard = match heard.is_empty() {
                true => String::new(),
                false => format!(" for {heard}"),
            };
            Finding::wrong(
                format!("node {own} does not answer{heard}"),
                "is the machine up, and does weft run on it? Its pods are moved after a while",
            )
            .then("Ready", short(text(ready, "/message")))
        }
        Some(ready) if text(ready, "/status") != "True" => Finding::wrong(
            format!(
                "node {own} is not ready: {}",
                short(text(ready, "/message"))
            ),
            "look at weft's log on it",
        ),
        Some(_) => pressed(node).unwrap_or_else(|| match node.pointer("/spec/unschedulable") {
            Some(Value::Bool(true)) => Finding::wrong(
                format!("node {own} is ready, but cordoned: no new pods come to it"),
                format!("`weft uncordon {own}` lets them"),
            ),
            _ => Finding::well(format!("node {own} is ready")),
        }),
    };
    let version = text(node, "/status/nodeInfo/kubeletVersion");
    found.under(format!("node/{own}"), format!("version {version}"))
}

/// A node that is short of something.
fn pressed(node: &Value) -> Option<Finding> {
    let all = list(node, "/status/conditions").iter();
    let mut wrong =
        all.filter(|one| text(one, "/type") != "Ready" && text(one, "/status") == "True");
    let one = wrong.next()?;
    let (kind, message) = (text(one, "/type"), short(text(one, "/message")));
    Some(
        Finding::wrong(
            format!(
                "node {} is short of something ({kind}): {message}",
                name(node)
            ),
            "make room on it: `weft system df` there tells what takes up space",
        )
        .then(kind, message),
    )
}

/// What is with a namespace.
pub(super) fn namespace(seen: &Seen, now: Timestamp) -> Finding {
    let namespace = &seen.object;
    let own = name(namespace);
    let phase = text(namespace, "/status/phase");
    if phase != "Terminating" {
        let found = Finding::well(format!("namespace {own} is active"));
        return found.under(format!("namespace/{own}"), "Active");
    }
    let since = ago(text(namespace, "/metadata/deletionTimestamp"), now);
    let told = ["NamespaceFinalizersRemaining", "NamespaceContentRemaining"];
    let told = told
        .iter()
        .find_map(|kind| condition(namespace, kind).filter(|one| text(one, "/status") == "True"));
    let found = match told {
        Some(told) => {
            let message = short(text(told, "/message"));
            Finding::wrong(
                format!("namespace {own} was deleted {since} ago and stays while it is not empty: {message}"),
                format!("`weft why KIND/NAME -n {own}` tells what keeps each of them"),
            )
            .then(text(told, "/type"), message)
        }
        None => Finding::waiting(
            format!("namespace {own} was deleted {since} ago, and what is in it is being deleted"),
            "wait a little",
        ),
    };
    found.under(format!("namespace/{own}"), "Terminating")
}

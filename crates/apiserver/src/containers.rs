//! Which container of a pod a client means, and which run of it. Pure.
//!
//! Owns: upstream's words for what is not there; clients look for them.
//! Never: asks a node.

use serde_json::Value;
use weft_control::{Failure, Object};

/// Where containers stand in a pod, what they are called there, and where it is told of them.
const PLACES: [(&str, &str, &str); 3] = [
    ("containers", "containers", "containerStatuses"),
    ("initContainers", "init containers", "initContainerStatuses"),
    (
        "ephemeralContainers",
        "ephemeral containers",
        "ephemeralContainerStatuses",
    ),
];

/// A container of a pod.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chosen<'a> {
    pod: &'a str,
    pub(crate) name: &'a str,
    spec: &'a Value,
    status: Option<&'a Value>,
}

fn list<'a>(pod: &'a Object, path: &[&str]) -> &'a [Value] {
    let found = pod.at(path).and_then(Value::as_array);
    found.map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or("")
}

/// The container called `name` of `pod`; its only one, if the name is empty.
///
/// # Errors
/// There is none of that name, or there are several.
pub(crate) fn choose<'a>(pod: &'a Object, name: &str) -> Result<Chosen<'a>, Failure> {
    let own = pod.meta().name();
    let name = match (name, list(pod, &["spec", "containers"])) {
        ("", [only]) => text(only, "/name"),
        ("", _) => return Err(unnamed(pod)),
        (name, _) => name,
    };
    for (place, _, told) in PLACES {
        let mut these = list(pod, &["spec", place]).iter();
        let Some(spec) = these.find(|one| text(one, "/name") == name) else {
            continue;
        };
        let mut told = list(pod, &["status", told]).iter();
        return Ok(Chosen {
            pod: own,
            name: text(spec, "/name"),
            spec,
            status: told.find(|one| text(one, "/name") == name),
        });
    }
    let message = format!("container {name} is not valid for pod {own}");
    Err(Failure::bad_request(message))
}

fn unnamed(pod: &Object) -> Failure {
    let own = pod.meta().name();
    let mut message = format!("a container name must be specified for pod {own}");
    for (place, called, _) in PLACES {
        let names: Vec<_> = list(pod, &["spec", place])
            .iter()
            .map(|one| text(one, "/name"))
            .collect();
        match (names.is_empty(), place) {
            (true, _) => {}
            (false, "containers") => {
                message += &format!(", choose one of: [{}]", names.join(" "));
            }
            (false, _) => message += &format!(" or one of the {called}: [{}]", names.join(" ")),
        }
    }
    Failure::bad_request(message)
}

impl<'a> Chosen<'a> {
    /// The id of the run whose log is asked for.
    ///
    /// # Errors
    /// There was none yet, or none before.
    pub(crate) fn logged(self, previous: bool) -> Result<&'a str, Failure> {
        let about = format!("container {:?} in pod {:?}", self.name, self.pod);
        let failed = |message: String| Err(Failure::bad_request(message));
        let Some(status) = self.status else {
            return failed(format!("{about} is not available"));
        };
        let last = id(text(status, "/lastState/terminated/containerID"));
        if previous {
            return last.map_or_else(
                || failed(format!("previous terminated {about} not found")),
                Ok,
            );
        }
        if status.pointer("/state/running").is_some() {
            let now = id(text(status, "/containerID"));
            return now.map_or_else(|| failed(format!("{about} is not available")), Ok);
        }
        let ended = status.pointer("/state/terminated").is_some();
        // A start that came to nothing has no log: the run before it has.
        let now = id(text(status, "/state/terminated/containerID"));
        if let Some(found) = now.or(last) {
            return Ok(found);
        }
        if ended || status.pointer("/lastState/terminated").is_some() {
            return failed(format!("{about} is terminated"));
        }
        match text(status, "/state/waiting/reason") {
            "" => failed(format!("{about} is waiting to start - no logs yet")),
            "ErrImagePull" => failed(format!(
                "{about} is waiting to start: image can't be pulled"
            )),
            "ImagePullBackOff" => failed(format!(
                "{about} is waiting to start: trying and failing to pull image"
            )),
            reason => failed(format!("{about} is waiting to start: {reason}")),
        }
    }

    /// The id of the run that goes on.
    ///
    /// # Errors
    /// None does.
    pub(crate) fn running(self) -> Result<&'a str, Failure> {
        let status = self.status;
        let status = status.filter(|status| status.pointer("/state/running").is_some());
        let found = status.and_then(|status| id(text(status, "/containerID")));
        found.ok_or_else(|| {
            let (name, pod) = (self.name, self.pod);
            let message = format!("container not found: {name:?} of pod {pod:?} does not run");
            Failure::bad_request(message)
        })
    }

    /// Whether its own process has a terminal, and whether it reads input.
    pub(crate) fn streams(self) -> (bool, bool) {
        let is = |name: &str| self.spec.get(name).and_then(Value::as_bool) == Some(true);
        (is("tty"), is("stdin"))
    }
}

/// What stands behind the runtime's name: `weft://<id>`.
fn id(told: &str) -> Option<&str> {
    let (_, id) = told.split_once("://")?;
    (!id.is_empty()).then_some(id)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(value: Value) -> Object {
        let Value::Object(mut map) = value else {
            panic!("an object");
        };
        map.insert("metadata".to_owned(), json!({ "name": "p" }));
        Object(map)
    }

    #[test]
    fn a_container_is_named_where_there_are_several() {
        let one = pod(json!({ "spec": { "containers": [{ "name": "a" }] } }));
        assert_eq!(choose(&one, "").unwrap().name, "a");
        let many = pod(json!({ "spec": {
            "containers": [{ "name": "a" }, { "name": "b" }], "initContainers": [{ "name": "i" }],
        } }));
        assert_eq!(choose(&many, "i").unwrap().name, "i");
        for (name, message) in [
            (
                "",
                "a container name must be specified for pod p, choose one of: [a b] or one of the init containers: [i]",
            ),
            ("c", "container c is not valid for pod p"),
        ] {
            assert_eq!(choose(&many, name).unwrap_err().message, message);
        }
    }

    #[test]
    fn a_log_is_that_of_the_run_that_is_meant() {
        let running = json!({ "running": {} });
        let before = json!({ "terminated": { "containerID": "weft://old" } });
        for (status, previous, expected) in [
            (
                json!({ "containerID": "weft://x", "state": running }),
                false,
                Ok("x"),
            ),
            (
                json!({ "containerID": "weft://x", "state": running }),
                true,
                Err("previous terminated container \"a\" in pod \"p\" not found"),
            ),
            (
                json!({ "containerID": "weft://x", "state": running, "lastState": before }),
                true,
                Ok("old"),
            ),
            (
                json!({ "state": { "waiting": { "reason": "CrashLoopBackOff" } }, "lastState": before }),
                false,
                Ok("old"),
            ),
            (
                json!({ "state": { "terminated": { "containerID": "weft://y" } }, "lastState": before }),
                false,
                Ok("y"),
            ),
            (
                json!({ "state": { "terminated": {} } }),
                false,
                Err("container \"a\" in pod \"p\" is terminated"),
            ),
            (
                json!({ "state": { "waiting": { "reason": "ContainerCreating" } } }),
                false,
                Err("container \"a\" in pod \"p\" is waiting to start: ContainerCreating"),
            ),
            (
                json!({}),
                false,
                Err("container \"a\" in pod \"p\" is waiting to start - no logs yet"),
            ),
        ] {
            let mut status = status;
            status["name"] = "a".into();
            let pod = pod(
                json!({ "spec": { "containers": [{ "name": "a" }] }, "status": { "containerStatuses": [status] } }),
            );
            let found = choose(&pod, "a").unwrap().logged(previous);
            assert_eq!(
                found.map_err(|failure| failure.message),
                expected.map_err(str::to_owned),
                "{status}"
            );
        }
    }
}

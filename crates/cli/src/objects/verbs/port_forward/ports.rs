//! Which port leads where: words as they are typed, names of services and containers. Pure.

use serde_json::Value;

use crate::error::CliError;

/// A port here and one of the pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair {
    /// 0: any.
    pub(super) local: u16,
    pub(super) remote: u16,
}

impl Pair {
    /// `[LOCAL:]REMOTE`; with a service, REMOTE is a port of it.
    pub(super) fn parse(
        text: &str,
        service: Option<&Value>,
        pod: &Value,
    ) -> Result<Pair, CliError> {
        let wrong = |why: &str| CliError::usage(format!("invalid port {text:?}: {why}"));
        let (local, remote) = match text.split_once(':') {
            Some((local, remote)) => (Some(local), remote),
            None => (None, text),
        };
        let number = |text: &str| text.parse::<u16>().ok();
        let local = match local {
            None => None,
            Some("") => Some(0),
            Some(local) => Some(number(local).ok_or_else(|| {
                wrong("before the colon stands a number from 0 to 65535, or nothing")
            })?),
        };
        // What it is called where it is asked for, and what it is in the pod.
        let (asked, remote) = match service {
            Some(service) => of_service(service, pod, remote)?,
            None => {
                let port = match number(remote) {
                    Some(port) => port,
                    None => of_pod(pod, remote)?,
                };
                (port, port)
            }
        };
        if remote == 0 {
            return Err(wrong("the remote port must be > 0"));
        }
        Ok(Pair {
            local: local.unwrap_or(asked),
            remote,
        })
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn port(value: &Value) -> Option<u16> {
    u16::try_from(value.as_u64()?).ok().filter(|port| *port > 0)
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// The port of a service, and where it leads in the pod.
fn of_service(service: &Value, pod: &Value, word: &str) -> Result<(u16, u16), CliError> {
    let own = name(service);
    let ports = list(&service["spec"]["ports"]);
    let wanted: Option<u16> = word.parse().ok();
    let is_it = |one: &&Value| match wanted {
        Some(number) => port(&one["port"]) == Some(number),
        None => one["name"] == word,
    };
    let has: Vec<String> = ports.iter().map(told).collect();
    let missing = || {
        let what = match wanted {
            Some(_) => "a service port",
            None => "a named port",
        };
        CliError::new(format!("Service {own} does not have {what} {word}"))
            .hint(format!("it has: {}", has.join(", ")))
    };
    let of_number = |protocol: &str| {
        let mut found = ports.iter().filter(is_it);
        found.find(|one| one["protocol"].as_str().unwrap_or("TCP") == protocol)
    };
    let found = match of_number("TCP") {
        Some(found) => found,
        None if of_number("UDP").is_some() => {
            return Err(CliError::new(format!(
                "UDP protocol is not supported for {word}"
            )));
        }
        None => return Err(missing()),
    };
    let asked = port(&found["port"]).ok_or_else(missing)?;
    if service["spec"]["clusterIP"] == "None" {
        // Who asks a headless service reaches its pods at the port they asked for.
        return Ok((asked, asked));
    }
    let target = &found["targetPort"];
    let remote = match (port(target), target.as_str()) {
        (Some(port), _) => port,
        (None, Some(target)) => of_pod(pod, target)?,
        (None, None) => asked,
    };
    Ok((asked, remote))
}

/// `http (80)`
fn told(one: &Value) -> String {
    let number = one["port"].as_u64().unwrap_or(0);
    match one["name"].as_str() {
        Some(name) => format!("{name} ({number})"),
        None => number.to_string(),
    }
}

/// The port of a pod's container that has this name.
fn of_pod(pod: &Value, word: &str) -> Result<u16, CliError> {
    let containers = ["containers", "initContainers"];
    let containers = containers
        .iter()
        .flat_map(|place| list(&pod["spec"][place]));
    let ports: Vec<&Value> = containers.flat_map(|one| list(&one["ports"])).collect();
    let own = name(pod);
    let mut named = ports.iter().filter(|one| one["name"] == word);
    let Some(found) = named.next() else {
        let has: Vec<&str> = ports
            .iter()
            .filter_map(|one| one["name"].as_str())
            .collect();
        let error = CliError::new(format!("Pod '{own}' does not have a named port '{word}'"));
        return Err(match has.is_empty() {
            true => error,
            false => error.hint(format!("it has: {}", has.join(", "))),
        });
    };
    if found["protocol"] == "UDP" {
        return Err(CliError::new(format!(
            "UDP protocol is not supported for {word}"
        )));
    }
    let number = port(&found["containerPort"]);
    number.ok_or_else(|| CliError::new(format!("port {word} of pod {own} has no number")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ports_are_numbers_or_names() {
        let pod = json!({
            "metadata": { "name": "web" },
            "spec": { "containers": [{ "ports": [
                { "name": "http", "containerPort": 8080 },
                { "name": "dns", "containerPort": 53, "protocol": "UDP" },
            ] }] },
        });
        let service = |address: &str| {
            json!({
                "metadata": { "name": "shop" },
                "spec": { "clusterIP": address, "ports": [
                    { "name": "web", "port": 80, "targetPort": "http" },
                    { "name": "admin", "port": 81, "targetPort": 9000 },
                    { "name": "names", "port": 53, "protocol": "UDP" },
                    { "name": "plain", "port": 82 },
                ] },
            })
        };
        let (shop, headless) = (service("10.0.0.1"), service("None"));
        let pair = |local, remote| Ok(Pair { local, remote });
        for (text, service, expected) in [
            ("80", None, pair(80, 80)),
            ("8080:80", None, pair(8080, 80)),
            (":80", None, pair(0, 80)),
            ("0:80", None, pair(0, 80)),
            ("http", None, pair(8080, 8080)),
            ("1:http", None, pair(1, 8080)),
            ("80", Some(&shop), pair(80, 8080)),
            ("web", Some(&shop), pair(80, 8080)),
            ("5:admin", Some(&shop), pair(5, 9000)),
            (":82", Some(&shop), pair(0, 82)),
            ("81", Some(&headless), pair(81, 81)),
            (
                "0",
                None,
                Err("invalid port \"0\": the remote port must be > 0"),
            ),
            (
                "x:80",
                None,
                Err(
                    "invalid port \"x:80\": before the colon stands a number from 0 to 65535, or nothing",
                ),
            ),
            (
                "nope",
                None,
                Err("Pod 'web' does not have a named port 'nope'"),
            ),
            ("dns", None, Err("UDP protocol is not supported for dns")),
            (
                "99",
                Some(&shop),
                Err("Service shop does not have a service port 99"),
            ),
            (
                "nope",
                Some(&shop),
                Err("Service shop does not have a named port nope"),
            ),
            (
                "53",
                Some(&shop),
                Err("UDP protocol is not supported for 53"),
            ),
        ] {
            let found =
                Pair::parse(text, service, &pod).map_err(|error| error.message().to_owned());
            assert_eq!(found, expected.map_err(str::to_owned), "{text}");
        }
    }
}

//! Containers, with what is known of their state.

use serde_json::Value;
use weft_stdx::quantity::Quantity;

use super::page::Page;
use super::value::{
    capital, entries, host_port, int, is, list, lower, quantity, shown, text, texts, when,
};

/// Whose containers they are.
#[derive(Clone, Copy)]
pub(super) enum Of<'a> {
    /// A pod's, with the states of these.
    Pod(&'a Value, &'a Value),
    /// A template's: they stand further right.
    Template,
}

/// All of a list.
pub(super) fn tell(title: &str, containers: &Value, of: Of<'_>, page: &mut Page) {
    let is_template = matches!(of, Of::Template);
    let (indent, name_indent) = if is_template { ("  ", " ") } else { ("", "") };
    let none = if list(containers).is_empty() {
        " <none>"
    } else {
        ""
    };
    page.line(0, format_args!("{indent}{title}:{none}"));
    for container in list(containers) {
        let states = match of {
            Of::Pod(_, states) => list(states),
            Of::Template => &[],
        };
        let state = states
            .iter()
            .rfind(|state| state["name"] == container["name"]);
        page.line(
            1,
            format_args!("{name_indent}{}:", text(&container["name"])),
        );
        basics(container, state, page);
        words("Command", &container["command"], page);
        words("Args", &container["args"], page);
        if let Some(status) = state {
            self::state("State", &status["state"], page);
            if status["lastState"]["terminated"].is_object() {
                self::state("Last State", &status["lastState"], page);
            }
            page.field(2, "Ready", capital(is(&status["ready"])));
            page.field(2, "Restart Count", int(&status["restartCount"]));
        }
        resources(&container["resources"], 2, page);
        for (title, field) in [
            ("Liveness", "livenessProbe"),
            ("Readiness", "readinessProbe"),
            ("Startup", "startupProbe"),
        ] {
            if container[field].is_object() {
                page.field(2, title, probe(&container[field]));
            }
        }
        environment(container, of, page);
        mounts(container, page);
    }
}

fn basics(container: &Value, state: Option<&Value>, page: &mut Page) {
    if let Some(state) = state {
        page.field(2, "Container ID", text(&state["containerID"]));
    }
    page.field(2, "Image", text(&container["image"]));
    if let Some(state) = state {
        page.field(2, "Image ID", text(&state["imageID"]));
    }
    for (title, field) in [("Port", "containerPort"), ("Host Port", "hostPort")] {
        let ports: Vec<String> = list(&container["ports"])
            .iter()
            .map(|port| format!("{}/{}", int(&port[field]), text(&port["protocol"])))
            .collect();
        match &ports[..] {
            [] => page.field(2, title, "<none>"),
            [port] => page.field(2, title, port),
            ports => page.field(2, &format!("{title}s"), ports.join(", ")),
        }
    }
    seccomp(&container["securityContext"]["seccompProfile"], 2, 3, page);
}

/// The filter of system calls.
pub(super) fn seccomp(profile: &Value, level: usize, inner: usize, page: &mut Page) {
    if profile.is_object() {
        page.field(level, "SeccompProfile", text(&profile["type"]));
        if profile["type"] == "Localhost" {
            page.field(
                inner,
                "LocalhostProfile",
                text(&profile["localhostProfile"]),
            );
        }
    }
}

fn words(title: &str, words: &Value, page: &mut Page) {
    if !list(words).is_empty() {
        page.line(2, format_args!("{title}:"));
    }
    for word in texts(words) {
        for line in word.split('\n') {
            page.line(3, line);
        }
    }
}

/// Limits and requests.
pub(super) fn resources(resources: &Value, level: usize, page: &mut Page) {
    for (title, field) in [("Limits", "limits"), ("Requests", "requests")] {
        let amounts = &resources[field];
        if amounts.as_object().is_some_and(|map| !map.is_empty()) {
            page.line(level, format_args!("{title}:"));
        }
        for (name, amount) in entries(amounts) {
            page.field(level + 1, name, quantity(amount));
        }
    }
}

fn state(title: &str, state: &Value, page: &mut Page) {
    let said = |name: &str, value: &Value, page: &mut Page| {
        if !text(value).is_empty() {
            page.field(3, name, text(value));
        }
    };
    let (running, ended) = (&state["running"], &state["terminated"]);
    if running.is_object() {
        page.field(2, title, "Running");
        page.field(3, "Started", when(&running["startedAt"]));
    } else if state["waiting"].is_object() || !ended.is_object() {
        page.field(2, title, "Waiting");
        said("Reason", &state["waiting"]["reason"], page);
    } else {
        page.field(2, title, "Terminated");
        said("Reason", &ended["reason"], page);
        said("Message", &ended["message"], page);
        page.field(3, "Exit Code", int(&ended["exitCode"]));
        if int(&ended["signal"]) > 0 {
            page.field(3, "Signal", int(&ended["signal"]));
        }
        page.field(3, "Started", when(&ended["startedAt"]));
        page.field(3, "Finished", when(&ended["finishedAt"]));
    }
}

fn probe(probe: &Value) -> String {
    let number = |field: &str| int(&probe[field]);
    let rest = format!(
        "delay={}s timeout={}s period={}s #success={} #failure={}",
        number("initialDelaySeconds"),
        number("timeoutSeconds"),
        number("periodSeconds"),
        number("successThreshold"),
        number("failureThreshold")
    );
    let (http, tcp, grpc) = (&probe["httpGet"], &probe["tcpSocket"], &probe["grpc"]);
    if probe["exec"].is_object() {
        let command = texts(&probe["exec"]["command"]).join(" ");
        return format!("exec [{command}] {rest}");
    }
    if http.is_object() {
        let place = host_port(&text(&http["host"]), &text(&http["port"]));
        let path = text(&http["path"]);
        let slash = if path.is_empty() || path.starts_with('/') {
            ""
        } else {
            "/"
        };
        let scheme = lower(&http["scheme"]);
        return format!(
            "http-get {scheme}://{place}{slash}{} {rest}",
            escaped(&path)
        );
    }
    if tcp.is_object() {
        let (host, port) = (text(&tcp["host"]), text(&tcp["port"]));
        return format!("tcp-socket {host}:{port} {rest}");
    }
    if grpc.is_object() {
        let (port, service) = (int(&grpc["port"]), text(&grpc["service"]));
        return format!("grpc <pod>:{port} {service} {rest}");
    }
    format!("unknown {rest}")
}

/// A path as it stands in a URL.
fn escaped(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~/$&+,:;=@!'()*[]".contains(&byte);
    let parts = path.bytes().map(|byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    parts.collect()
}

fn environment(container: &Value, of: Of<'_>, page: &mut Page) {
    if !list(&container["envFrom"]).is_empty() {
        page.line(2, "Environment Variables from:");
    }
    for source in list(&container["envFrom"]) {
        let (from, of) = match source["configMapRef"].is_object() {
            true => ("ConfigMap", &source["configMapRef"]),
            false => ("Secret", &source["secretRef"]),
        };
        let prefix = match text(&source["prefix"]) {
            prefix if prefix.is_empty() => String::new(),
            prefix => format!(" with prefix '{prefix}'"),
        };
        let (name, optional) = (text(&of["name"]), is(&of["optional"]));
        page.line(
            3,
            format_args!("{name}\t{from}{prefix}\tOptional: {optional}"),
        );
    }
    match list(&container["env"]).is_empty() {
        true => page.field(2, "Environment", "<none>"),
        false => page.line(2, "Environment:"),
    }
    for variable in list(&container["env"]) {
        let name = text(&variable["name"]);
        if variable["valueFrom"].is_object() {
            if let Some(source) = source(&variable["valueFrom"], container, of) {
                page.field(3, &name, source);
            }
            continue;
        }
        let value = text(&variable["value"]);
        let mut lines = value.split('\n');
        page.field(3, &name, lines.next().unwrap_or_default());
        for line in lines {
            page.line(3, format_args!("\t{line}"));
        }
    }
}

/// Where a variable's value comes from, and the value where it is known.
fn source(from: &Value, container: &Value, of: Of<'_>) -> Option<String> {
    let (field, amount) = (&from["fieldRef"], &from["resourceFieldRef"]);
    if field.is_object() {
        let path = text(&field["fieldPath"]);
        let known = match of {
            Of::Pod(pod, _) => known(pod, &path),
            Of::Template => String::new(),
        };
        return Some(format!("{known} ({}:{path})", text(&field["apiVersion"])));
    }
    if amount.is_object() {
        let name = text(&amount["resource"]);
        let mut value = amount_of(container, &name, &amount["divisor"]).unwrap_or_default();
        if value == "0" && matches!(&name[..], "limits.cpu" | "limits.memory") {
            value = "node allocatable".to_owned();
        }
        return Some(format!("{value} ({name})"));
    }
    let key = |of: &Value, between: &str, kind: &str| {
        let (key, name, optional) = (text(&of["key"]), text(&of["name"]), is(&of["optional"]));
        format!("<set to the key '{key}' {between} {kind} '{name}'>\tOptional: {optional}")
    };
    let (secret, config) = (&from["secretKeyRef"], &from["configMapKeyRef"]);
    if secret.is_object() {
        return Some(key(secret, "in", "secret"));
    }
    config.is_object().then(|| key(config, "of", "config map"))
}

/// A pod's own field, as far as kubectl looks it up.
fn known(pod: &Value, path: &str) -> String {
    match path {
        "metadata.name" => text(&pod["metadata"]["name"]),
        "metadata.namespace" => text(&pod["metadata"]["namespace"]),
        _ => String::new(),
    }
}

/// A limit or request in units of `divisor`, rounded up.
fn amount_of(container: &Value, name: &str, divisor: &Value) -> Option<String> {
    let (list, resource) = name.split_once('.')?;
    let amount = quantity(&container["resources"][list][resource]);
    let divisor = match quantity(divisor) {
        zero if zero.is_zero() => Quantity::parse("1").ok()?,
        divisor => divisor,
    };
    let (amount, by) = match resource == "cpu" {
        true => (amount.thousandths(), divisor.thousandths()),
        false => (amount.whole(), divisor.whole()),
    };
    Some((amount / by + i128::from(amount % by != 0)).to_string())
}

fn mounts(container: &Value, page: &mut Page) {
    let sorted = |field: &str, by: &'static str| {
        let mut all: Vec<&Value> = list(&container[field]).iter().collect();
        all.sort_by_cached_key(|one| text(&one[by]));
        all
    };
    let mounts = sorted("volumeMounts", "mountPath");
    let none = if mounts.is_empty() { "\t<none>" } else { "" };
    page.line(2, format_args!("Mounts:{none}"));
    for mount in mounts {
        let mut flags = if is(&mount["readOnly"]) { "ro" } else { "rw" }.to_owned();
        if let Some(path) = mount["subPath"].as_str().filter(|path| !path.is_empty()) {
            flags += &format!(",path={path:?}");
        }
        let (path, name) = (text(&mount["mountPath"]), text(&mount["name"]));
        page.line(3, format_args!("{path} from {name} ({flags})"));
    }
    let devices = sorted("volumeDevices", "devicePath");
    if !devices.is_empty() {
        page.line(2, format_args!("Devices:{none}"));
    }
    for device in devices {
        let (path, name) = (shown(&device["devicePath"]), text(&device["name"]));
        page.line(3, format_args!("{path} from {name}"));
    }
}

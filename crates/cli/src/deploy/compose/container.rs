//! The container of a service, and what of a service is its pod's.

use std::collections::BTreeMap;

use serde_json::{Map as Json, Value, json};

use super::dotenv;
use super::files;
use super::ports::{self, Port};
use super::read::{Map, Spot};
use super::services::Whole;
use super::words::{self, literal};

/// What becomes of a service, so far.
#[derive(Default)]
pub(super) struct Pod {
    pub(super) container: Value,
    pub(super) spec: Value,
    pub(super) annotations: Json<String, Value>,
    pub(super) ports: Vec<Port>,
    /// What it has of its own is not shared with a successor.
    pub(super) has_claims: bool,
    /// Tells what is mounted as a file from another.
    pub(super) sum: u64,
    volumes: Vec<Value>,
    mounts: Vec<Value>,
}

impl Pod {
    /// Mounts a volume.
    pub(super) fn mount(
        &mut self,
        spot: &Spot<'_>,
        mut volume: Value,
        target: &str,
        is_read_only: bool,
        below: Option<String>,
    ) {
        if !target.starts_with('/') {
            return spot.wrong(&format!("{target:?} is no absolute path in the container"));
        }
        if target.contains(':') {
            return spot.wrong("a path in the container has no ':'");
        }
        let target = match target.trim_end_matches('/') {
            "" => "/",
            target => target,
        };
        if self.mounts.iter().any(|mount| mount["mountPath"] == target) {
            return spot.wrong(&format!("{target} has something mounted already"));
        }
        let name = self.volumes.iter().find(|known| {
            let mut known = (*known).clone();
            known.as_object_mut().and_then(|known| known.remove("name"));
            known == volume
        });
        let name = match name {
            Some(known) => known["name"].clone(),
            None => {
                let name: Value = format!("volume-{}", self.volumes.len()).into();
                volume["name"] = name.clone();
                self.volumes.push(volume);
                name
            }
        };
        let mut mount = json!({ "name": name, "mountPath": target });
        if is_read_only {
            mount["readOnly"] = true.into();
        }
        if let Some(below) = below {
            mount["subPath"] = below.into();
        }
        self.mounts.push(mount);
    }

    /// The pod's specification.
    pub(super) fn finish(&mut self) -> Value {
        if !self.mounts.is_empty() {
            self.container["volumeMounts"] = std::mem::take(&mut self.mounts).into();
            self.spec["volumes"] = std::mem::take(&mut self.volumes).into();
        }
        let published = self.ports.iter().map(|port| {
            let mut value = json!({ "containerPort": port.target, "protocol": port.protocol });
            if let Some(published) = port.published {
                value["hostPort"] = published.into();
                if let Some(address) = port.host_ip {
                    value["hostIP"] = address.to_string().into();
                }
            }
            value
        });
        let published: Vec<Value> = published.collect();
        if !published.is_empty() {
            self.container["ports"] = published.into();
        }
        self.spec["containers"] = json!([self.container]);
        self.spec.take()
    }
}

/// Reads what is about the container and the pod.
pub(super) fn read(name: &str, service: &mut Map<'_>, whole: &Whole<'_>, pod: &mut Pod) {
    pod.container = json!({ "name": name, "image": image(service) });
    pod.spec = json!({});
    pull(service, pod);
    commands(service, pod);
    environment(service, whole, pod);
    for (key, to) in [("tty", "tty"), ("stdin_open", "stdin")] {
        if service.bool(key) {
            pod.container[to] = true.into();
        }
    }
    if let Some(directory) = service.text("working_dir") {
        pod.container["workingDir"] = directory.into();
    }
    security(service, pod);
    healthcheck(service, pod);
    namespaces(service, pod);
    names(service, pod);
    if let Some(spot) = service.take("stop_grace_period") {
        match spot.text().and_then(|text| words::seconds(&text)) {
            Some(seconds) => pod.spec["terminationGracePeriodSeconds"] = seconds.into(),
            None => spot.wrong("it is no time: 1m30s"),
        }
    } else {
        pod.spec["terminationGracePeriodSeconds"] = 10.into();
    }
    if let Value::Object(labels) = files::annotations(service.pairs("labels")) {
        pod.annotations.extend(labels);
    }
    if let Value::Object(labels) = files::annotations(service.pairs("annotations")) {
        pod.annotations.extend(labels);
    }
    if let Some(platform) = service.text("platform") {
        let mut parts = platform.split('/');
        let arch = match (parts.next(), parts.next()) {
            (Some("linux"), arch) => arch,
            (arch, None) => arch,
            _ => None,
        };
        match arch {
            Some(arch) => pod.spec["nodeSelector"]["kubernetes.io/arch"] = arch.into(),
            None => service.wrong("platform", "it is no linux/ARCH"),
        }
    }
    pod.ports = ports::read(service);
}

fn image(service: &mut Map<'_>) -> String {
    let image = service.text("image").unwrap_or_default();
    match service.take("build") {
        Some(spot) if image.is_empty() => {
            spot.wrong("nothing is built here: build the image first, and name it by image:");
        }
        Some(spot) => {
            let what = format!("nothing is built here: {image} has to be there already");
            spot.note(&what);
        }
        None if image.is_empty() => service.wrong("image", "it is missing"),
        None => {}
    }
    image
}

fn pull(service: &mut Map<'_>, pod: &mut Pod) {
    let said = service.text("pull_policy");
    let policy = match said.as_deref() {
        None | Some("missing" | "if_not_present") => "IfNotPresent",
        Some("always") => "Always",
        Some("never") => "Never",
        Some(other) => {
            let why = format!("{other}: it is always, missing or never");
            service.wrong("pull_policy", &why);
            return;
        }
    };
    pod.container["imagePullPolicy"] = policy.into();
}

/// The words of a command, which may be a line.
fn words_of(spot: &Spot<'_>) -> Vec<String> {
    let words = match &spot.value {
        Value::String(line) => match words::split(line) {
            Ok(words) => words,
            Err(why) => {
                spot.wrong(why);
                Vec::new()
            }
        },
        _ => spot.texts(),
    };
    words.iter().map(|word| literal(word)).collect()
}

fn commands(service: &mut Map<'_>, pod: &mut Pod) {
    for (key, to) in [("entrypoint", "command"), ("command", "args")] {
        let Some(spot) = service.take(key) else {
            continue;
        };
        let words = words_of(&spot);
        match words.is_empty() {
            true => spot.note("empty: the image's own is used"),
            false => pod.container[to] = words.into(),
        }
    }
}

fn environment(service: &mut Map<'_>, whole: &Whole<'_>, pod: &mut Pod) {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for spot in env_files(service) {
        let (path, is_required) = match &spot.value {
            Value::Object(_) => {
                let Some(mut map) = spot.clone().map() else {
                    continue;
                };
                let path = map.text("path").unwrap_or_default();
                let required = map.take("required").and_then(|spot| spot.bool());
                map.no("format", "files of variables have one format");
                map.end();
                (path, required.unwrap_or(true))
            }
            _ => (spot.text().unwrap_or_default(), true),
        };
        let file = whole.around.dir.join(&path);
        match (whole.around.read)(&file) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                for (name, value) in dotenv::read(&path, &text, whole.look, spot.sink) {
                    all.extend(
                        value
                            .or_else(|| (whole.look)(&name))
                            .map(|value| (name, value)),
                    );
                }
            }
            Err(_) if !is_required => {}
            Err(why) => spot.wrong(&format!("read {}: {why}", file.display())),
        }
    }
    for (name, value) in service.pairs("environment") {
        match value.or_else(|| (whole.look)(&name)) {
            Some(value) => drop(all.insert(name, value)),
            None => {
                all.remove(&name);
            }
        }
    }
    if !all.is_empty() {
        let env = all.iter();
        let env = env.map(|(name, value)| json!({ "name": name, "value": literal(value) }));
        pod.container["env"] = env.collect();
    }
}

fn env_files<'a>(service: &mut Map<'a>) -> Vec<Spot<'a>> {
    match service.take("env_file") {
        Some(spot) if spot.value.is_array() => spot.list(),
        spot => spot.into_iter().collect(),
    }
}

fn security(service: &mut Map<'_>, pod: &mut Pod) {
    let mut context = json!({});
    if service.bool("privileged") {
        context["privileged"] = true.into();
    }
    if service.bool("read_only") {
        context["readOnlyRootFilesystem"] = true.into();
    }
    for (key, to) in [("cap_add", "add"), ("cap_drop", "drop")] {
        let names = service.texts(key).into_iter();
        let names = names.map(|name| name.to_ascii_uppercase());
        let names = names.map(|name| name.trim_start_matches("CAP_").to_owned());
        let names: Vec<String> = names.collect();
        if !names.is_empty() {
            context["capabilities"][to] = names.into();
        }
    }
    if let Some(user) = service.text("user") {
        let (user, group) = user.split_once(':').unwrap_or((&user, ""));
        for (text, to) in [(user, "runAsUser"), (group, "runAsGroup")] {
            match text.parse::<u32>() {
                Ok(id) => context[to] = id.into(),
                Err(_) if text.is_empty() => {}
                Err(_) => service.wrong("user", &format!("{text:?}: say its number: UID:GID")),
            }
        }
    }
    for option in service.list("security_opt") {
        let text = option.text().unwrap_or_default();
        match text.split_once([':', '=']).unwrap_or((&text, "true")) {
            ("no-new-privileges", "true") => context["allowPrivilegeEscalation"] = false.into(),
            ("no-new-privileges", "false") => {}
            ("seccomp", "unconfined") => {
                context["seccompProfile"] = json!({ "type": "Unconfined" })
            }
            _ => option.wrong("it is none that is honoured: no-new-privileges, seccomp=unconfined"),
        }
    }
    if context != json!({}) {
        pod.container["securityContext"] = context;
    }
    let groups: Vec<Value> = service
        .list("group_add")
        .iter()
        .filter_map(Spot::integer)
        .map(Value::from)
        .collect();
    if !groups.is_empty() {
        pod.spec["securityContext"]["supplementalGroups"] = groups.into();
    }
    let settings = service.pairs("sysctls").into_iter();
    let settings =
        settings.map(|(name, value)| json!({ "name": name, "value": value.unwrap_or_default() }));
    let settings: Vec<Value> = settings.collect();
    if !settings.is_empty() {
        pod.spec["securityContext"]["sysctls"] = settings.into();
    }
}

fn healthcheck(service: &mut Map<'_>, pod: &mut Pod) {
    let Some(mut check) = service.map("healthcheck") else {
        return;
    };
    let is_disabled = check.bool("disable");
    let test = check.take("test");
    let mut seconds = |key: &str, default: i64| match check.take(key) {
        None => default,
        Some(spot) => match spot.text().and_then(|text| words::seconds(&text)) {
            Some(seconds) => seconds,
            None => {
                spot.wrong("it is no time: 1m30s");
                default
            }
        },
    };
    let (interval, timeout) = (
        seconds("interval", 30).max(1),
        seconds("timeout", 30).max(1),
    );
    let (start, often) = (
        seconds("start_period", 0),
        seconds("start_interval", 5).max(1),
    );
    let retries = check.integer("retries").unwrap_or(3).max(1);
    let Some(test) = test else {
        if !is_disabled {
            check.wrong("test", "it is missing: an image's own check is not run");
        }
        return check.end();
    };
    let words = match &test.value {
        Value::String(line) => vec!["CMD-SHELL".to_owned(), line.clone()],
        _ => test.texts(),
    };
    check.end();
    let command = match words.split_first() {
        _ if is_disabled => return,
        Some((kind, [])) if kind == "NONE" => return,
        Some((kind, words)) if kind == "CMD" && !words.is_empty() => words.to_vec(),
        Some((kind, [line])) if kind == "CMD-SHELL" => {
            vec!["/bin/sh".to_owned(), "-c".to_owned(), line.clone()]
        }
        _ => return test.wrong("it is a line, [NONE], [CMD, ...] or [CMD-SHELL, LINE]"),
    };
    let probe = |period: i64, failures: i64| {
        json!({
            "exec": { "command": command }, "periodSeconds": period,
            "timeoutSeconds": timeout, "failureThreshold": failures,
        })
    };
    pod.container["readinessProbe"] = probe(interval, retries);
    pod.container["livenessProbe"] = probe(interval, retries);
    if start > 0 {
        // Failures of this time do not count.
        let failures = start.div_euclid(often) + i64::from(start % often > 0) + retries;
        pod.container["startupProbe"] = probe(often, failures);
    }
    test.note("what is not healthy is started again; docker only says so");
}

fn namespaces(service: &mut Map<'_>, pod: &mut Pod) {
    for (key, to) in [("pid", "hostPID"), ("ipc", "hostIPC")] {
        match service.text(key).as_deref() {
            None | Some("" | "private" | "shareable") => {}
            Some("host") => pod.spec[to] = true.into(),
            Some(_) => service.wrong(key, "it is host, or nothing: no two pods share it"),
        }
    }
    match service.text("network_mode").as_deref() {
        None | Some("bridge" | "") => {}
        Some("host") => {
            pod.spec["hostNetwork"] = true.into();
            pod.spec["dnsPolicy"] = "ClusterFirstWithHostNet".into();
        }
        Some(other) => {
            let why = format!("{other}: it is host or bridge");
            service.wrong("network_mode", &why);
        }
    }
}

fn names(service: &mut Map<'_>, pod: &mut Pod) {
    if let Some(host) = service.text("hostname") {
        match weft_stdx::names::dns_label(&host) {
            Ok(()) => pod.spec["hostname"] = host.into(),
            Err(why) => service.wrong("hostname", why),
        }
    }
    service.without("domainname", "names of pods end in the cluster's domain");
    let mut hosts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    if let Some(spot) = service.take("extra_hosts") {
        for (host, address) in spot.pairs() {
            let (host, address) = match (&address, host.split_once(':')) {
                (Some(address), _) => (host.clone(), address.clone()),
                (None, Some((host, address))) => (host.to_owned(), address.to_owned()),
                (None, None) => (host.clone(), String::new()),
            };
            let address = address.trim_matches(['[', ']']).to_owned();
            match address.parse::<std::net::IpAddr>() {
                Ok(_) => hosts.entry(address).or_default().push(host),
                Err(_) => spot.wrong(&format!("{host}: {address:?} is no address")),
            }
        }
    }
    if !hosts.is_empty() {
        let hosts = hosts.into_iter();
        let hosts = hosts.map(|(address, names)| json!({ "ip": address, "hostnames": names }));
        pod.spec["hostAliases"] = hosts.collect();
    }
    let mut dns = json!({});
    for (key, to) in [("dns", "nameservers"), ("dns_search", "searches")] {
        let list = service.texts(key);
        if !list.is_empty() {
            dns[to] = list.into();
        }
    }
    let options = service.texts("dns_opt").into_iter();
    let options = options.map(|option| match option.split_once(':') {
        Some((name, value)) => json!({ "name": name, "value": value }),
        None => json!({ "name": option }),
    });
    let options: Vec<Value> = options.collect();
    if !options.is_empty() {
        dns["options"] = options.into();
    }
    if dns != json!({}) {
        pod.spec["dnsConfig"] = dns;
    }
}

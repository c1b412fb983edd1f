//! Rules for containers.

use std::collections::BTreeSet;

use super::super::rules::{Mistakes, Spot, net};
use super::volume::Volumes;
use super::{env, probe, resources, security};
use crate::names;

const NOT_FOR_DEBUGGING: &str = "cannot be set for an Ephemeral Container";

/// Which of a pod's lists a container is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Main,
    Init,
    Debug,
}

/// What a container's rules need to know of its pod.
pub(super) struct Around<'a, 'p, 'v> {
    pub(super) spec: &'a Spot<'p, 'v>,
    pub(super) volumes: &'a Volumes<'v>,
    pub(super) role: Role,
}

/// Names and host ports that are taken.
#[derive(Default)]
pub(super) struct Taken<'v> {
    pub(super) names: BTreeSet<&'v str>,
    pub(super) host_ports: BTreeSet<(i64, &'v str, &'v str)>,
}

/// One container.
pub(super) fn container<'v>(
    mistakes: &mut Mistakes,
    at: &Spot<'_, 'v>,
    around: &Around<'_, '_, 'v>,
    taken: &mut Taken<'v>,
) {
    let name = at.at("name");
    mistakes.must_be_name(&name, names::dns_label);
    if !name.is_empty() && !taken.names.insert(name.text()) {
        mistakes.duplicate(&name);
    }
    image(mistakes, &at.at("image"));
    mistakes.must_be_one_of(
        &at.at("imagePullPolicy"),
        &["Always", "IfNotPresent", "Never"],
    );
    let policy = at.at("terminationMessagePolicy");
    mistakes.must_be_one_of(&policy, &["FallbackToLogsOnError", "File"]);
    restarts(mistakes, at, around.role);
    let spec = around.spec;
    if around.role == Role::Debug {
        debugging(mistakes, at, spec);
    }
    let grace = spec.at("terminationGracePeriodSeconds").number();
    probe::probes(mistakes, at, grace.unwrap_or(30).max(0));
    if around.role == Role::Init {
        // Each runs to its end before the next: what is told host ports then is another matter.
        taken.host_ports.clear();
    }
    ports(mistakes, at, spec.at("hostNetwork").is_true(), taken);
    env::env(mistakes, at);
    resources::resources(mistakes, &at.at("resources"), &spec.at("resourceClaims"));
    let context = at.at("securityContext");
    security::container(mistakes, &context);
    resizing(mistakes, &at.at("resizePolicy"));
    mounts(
        mistakes,
        at,
        around.volumes,
        context.at("privileged").is_true(),
    );
}

fn image(mistakes: &mut Mistakes, image: &Spot<'_, '_>) {
    mistakes.must_be(image, "");
    if image.text() != image.text().trim() {
        mistakes.invalid(image, "must not have leading or trailing whitespace");
    }
}

/// Only an init container may say that it goes on beside the others.
fn restarts(mistakes: &mut Mistakes, at: &Spot<'_, '_>, role: Role) {
    let restart = at.at("restartPolicy");
    if role == Role::Init {
        mistakes.one_of(&restart, &["Always"]);
    } else if restart.is_some() {
        mistakes.forbidden(&restart, "may not be set for non-init containers");
    }
    let why = match role {
        Role::Init if restart.text() != "Always" => {
            "may not be set for init containers without restartPolicy=Always"
        }
        Role::Debug => NOT_FOR_DEBUGGING,
        _ => return,
    };
    for name in [
        "lifecycle",
        "livenessProbe",
        "readinessProbe",
        "startupProbe",
    ] {
        if at.at(name).is_some() {
            mistakes.forbidden(&at.at(name), why);
        }
    }
}

/// Who looks around is no part of what the pod serves: it asks for nothing, and leaves nothing.
fn debugging(mistakes: &mut Mistakes, at: &Spot<'_, '_>, spec: &Spot<'_, '_>) {
    for name in ["ports", "resources", "resizePolicy"] {
        if !at.at(name).is_empty() {
            mistakes.forbidden(&at.at(name), NOT_FOR_DEBUGGING);
        }
    }
    for mount in at.at("volumeMounts").items() {
        for name in ["subPath", "subPathExpr"] {
            if !mount.at(name).is_empty() {
                mistakes.forbidden(&mount.at(name), NOT_FOR_DEBUGGING);
            }
        }
    }
    let target = at.at("targetContainerName");
    let lists = ["containers", "initContainers"];
    let is_there = lists.iter().any(|list| {
        let list = spec.at(list);
        list.items()
            .any(|one| one.at("name").text() == target.text())
    });
    if !target.is_empty() && !is_there {
        mistakes.not_found(&target);
    }
}

fn ports<'v>(mistakes: &mut Mistakes, at: &Spot<'_, 'v>, on_host: bool, taken: &mut Taken<'v>) {
    let mut seen = BTreeSet::new();
    for port in at.at("ports").items() {
        if mistakes.is_full() {
            return;
        }
        let name = port.at("name");
        mistakes.name(&name, net::port_name);
        if !name.is_empty() && !seen.insert(name.text()) {
            mistakes.duplicate(&name);
        }
        let inner = port.at("containerPort");
        if inner.number().unwrap_or(0) == 0 {
            mistakes.required(&inner, "");
        } else {
            mistakes.port(&inner);
        }
        let protocol = port.at("protocol");
        mistakes.must_be_one_of(&protocol, &net::PROTOCOLS);
        mistakes.name(&port.at("hostIP"), net::ip);
        let outer = port.at("hostPort");
        let Some(number) = outer.number().filter(|number| *number != 0) else {
            continue;
        };
        mistakes.port(&outer);
        if on_host && inner.number() != Some(number) {
            mistakes.invalid(&outer, "must match `containerPort`");
        }
        let ip = port.at("hostIP");
        if !taken
            .host_ports
            .insert((number, protocol.text(), ip.text()))
        {
            let value = format!("{}/{}/{number}", protocol.text(), ip.text());
            mistakes.duplicate_of(&outer, &value);
        }
    }
}

fn resizing(mistakes: &mut Mistakes, list: &Spot<'_, '_>) {
    let mut seen = BTreeSet::new();
    for policy in list.items() {
        let name = policy.at("resourceName");
        mistakes.must_be_one_of(&name, &["cpu", "memory"]);
        let restart = policy.at("restartPolicy");
        mistakes.must_be_one_of(&restart, &["NotRequired", "RestartContainer"]);
        if !seen.insert(name.text()) {
            mistakes.duplicate_of(&policy, name.text());
        }
    }
}

fn mounts(mistakes: &mut Mistakes, at: &Spot<'_, '_>, volumes: &Volumes<'_>, is_privileged: bool) {
    let mut paths = BTreeSet::new();
    for mount in at.at("volumeMounts").items() {
        let (name, path) = (mount.at("name"), mount.at("mountPath"));
        volume_name(mistakes, &name, volumes);
        mistakes.must_be(&path, "");
        if !paths.insert(path.text()) {
            mistakes.invalid(&path, "must be unique");
        }
        security::descending(mistakes, &mount.at("subPath"));
        security::descending(mistakes, &mount.at("subPathExpr"));
        if !mount.at("subPath").is_empty() && !mount.at("subPathExpr").is_empty() {
            let why = "subPathExpr and subPath are mutually exclusive";
            mistakes.invalid(&mount.at("subPathExpr"), why);
        }
        let spread = mount.at("mountPropagation");
        mistakes.one_of(&spread, &["Bidirectional", "HostToContainer", "None"]);
        if spread.text() == "Bidirectional" && !is_privileged {
            let why = "Bidirectional mount propagation is available only to privileged containers";
            mistakes.forbidden(&spread, why);
        }
        let deep = mount.at("recursiveReadOnly");
        mistakes.one_of(&deep, &["Disabled", "Enabled", "IfPossible"]);
        if matches!(deep.text(), "Enabled" | "IfPossible") && !mount.at("readOnly").is_true() {
            mistakes.forbidden(&deep, "may only be specified when readOnly is true");
        }
    }
    for device in at.at("volumeDevices").items() {
        let (name, path) = (device.at("name"), device.at("devicePath"));
        volume_name(mistakes, &name, volumes);
        if volumes.get(name.text()) == Some(&false) {
            let why = "can only use volume source type of PersistentVolumeClaim or Ephemeral for \
                       block mode";
            mistakes.invalid(&name, why);
        }
        mistakes.must_be(&path, "");
        security::no_way_up(mistakes, &path);
        if !paths.insert(path.text()) {
            mistakes.invalid(&path, "must be unique");
        }
    }
}

fn volume_name(mistakes: &mut Mistakes, name: &Spot<'_, '_>, volumes: &Volumes<'_>) {
    if name.is_empty() {
        mistakes.required(name, "");
    } else if !volumes.contains_key(name.text()) {
        mistakes.not_found(name);
    }
}

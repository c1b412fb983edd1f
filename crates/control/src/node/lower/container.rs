//! One container, as its node runs it.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1 as k8s;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use weft_api::assignment::{
    Action, Container, Mount, Probe, Probes, Propagation, Pull, Quality, Refusal, Resources,
    Security,
};

use super::{Source, env, pod_security};
use crate::quantity::Quantity;

/// Where a container says why it ended, unless it says another place.
const MESSAGE_PATH: &str = "/dev/termination-log";

pub(super) fn lower(source: Source<'_>, one: &k8s::Container, is_init: bool) -> Container {
    let (env, missing) = env::all(source, one);
    let mut refused = missing;
    let mut refuse = |message: String| {
        refused.get_or_insert(Refusal {
            reason: "CreateContainerConfigError".to_owned(),
            message,
        });
    };
    let probes = probes(one).unwrap_or_else(|why| {
        refuse(why);
        Probes::default()
    });
    let hook = |handler: Option<&k8s::LifecycleHandler>| {
        let handler = handler.map(|handler| {
            let parts = Parts {
                exec: handler.exec.as_ref(),
                http: handler.http_get.as_ref(),
                tcp: handler.tcp_socket.as_ref(),
                grpc: None,
                sleep_s: handler.sleep.as_ref().map(|sleep| sleep.seconds),
            };
            action(one, &parts)
        });
        handler.transpose()
    };
    let lifecycle = one.lifecycle.as_ref();
    let post_start = hook(lifecycle.and_then(|l| l.post_start.as_ref()));
    let pre_stop = hook(lifecycle.and_then(|l| l.pre_stop.as_ref()));
    let (post_start, pre_stop) = match (post_start, pre_stop) {
        (Ok(post_start), Ok(pre_stop)) => (post_start, pre_stop),
        (Err(why), _) | (_, Err(why)) => {
            refuse(why);
            (None, None)
        }
    };
    let security = security(source, one);
    let security = security.unwrap_or_else(|why| {
        refuse(why);
        Security::default()
    });
    let policy = one.termination_message_policy.as_deref();
    let path = one.termination_message_path.as_deref();
    Container {
        name: one.name.clone(),
        image: one.image.clone().unwrap_or_default(),
        pull: pull(one),
        command: one.command.clone().filter(|list| !list.is_empty()),
        args: one.args.clone().filter(|list| !list.is_empty()),
        env,
        cwd: one.working_dir.clone().filter(|path| !path.is_empty()),
        mounts: one.volume_mounts.iter().flatten().map(mount).collect(),
        resources: resources(source, one),
        security,
        sidecar: is_init && one.restart_policy.as_deref() == Some("Always"),
        tty: one.tty == Some(true),
        stdin: one.stdin == Some(true),
        stdin_once: one.stdin_once == Some(true),
        message_path: path
            .filter(|path| !path.is_empty())
            .unwrap_or(MESSAGE_PATH)
            .to_owned(),
        message_from_log: policy == Some("FallbackToLogsOnError"),
        probes,
        post_start,
        pre_stop,
        refused,
        // What makes it another container: of a running pod only the image can be changed.
        hash: one.image.clone().unwrap_or_default(),
        joins: None,
    }
}

fn pull(one: &k8s::Container) -> Pull {
    match one.image_pull_policy.as_deref() {
        Some("Always") => Pull::Always,
        Some("Never") => Pull::Never,
        _ => Pull::IfNotPresent,
    }
}

fn mount(mount: &k8s::VolumeMount) -> Mount {
    let expand = mount.sub_path_expr.clone().filter(|path| !path.is_empty());
    let exact = mount.sub_path.clone().filter(|path| !path.is_empty());
    Mount {
        volume: mount.name.clone(),
        target: mount.mount_path.clone(),
        read_only: mount.read_only == Some(true),
        expand: expand.is_some(),
        subpath: expand.or(exact).unwrap_or_default(),
        propagation: match mount.mount_propagation.as_deref() {
            Some("HostToContainer") => Propagation::HostToContainer,
            Some("Bidirectional") => Propagation::Bidirectional,
            _ => Propagation::Private,
        },
    }
}

fn resources(source: Source<'_>, one: &k8s::Container) -> Resources {
    let resources = one.resources.as_ref();
    let limits = resources.and_then(|r| r.limits.as_ref());
    let requests = resources.and_then(|r| r.requests.as_ref());
    let amount = |list: Option<&std::collections::BTreeMap<_, _>>, name: &str| {
        let amount: &k8s_openapi::apimachinery::pkg::api::resource::Quantity = list?.get(name)?;
        Quantity::parse(&amount.0).ok()
    };
    let thousandths = |q: Quantity| u64::try_from(q.thousandths()).ok();
    let whole = |q: Quantity| u64::try_from(q.whole()).ok();
    let nonzero = |value: &u64| *value > 0;
    let memory = amount(requests, "memory").and_then(whole);
    let class = source.object.text(&["status", "qosClass"]);
    Resources {
        cpu_request_m: amount(requests, "cpu").and_then(thousandths),
        cpu_limit_m: amount(limits, "cpu").and_then(thousandths).filter(nonzero),
        memory_request_bytes: memory,
        memory_limit_bytes: amount(limits, "memory").and_then(whole).filter(nonzero),
        disk_limit_bytes: amount(limits, "ephemeral-storage").and_then(whole),
        quality: match class {
            Some("Guaranteed") => Quality::Guaranteed,
            Some("Burstable") => Quality::Burstable,
            _ => Quality::BestEffort,
        },
    }
}

/// What the container says, else what its pod says.
fn security(source: Source<'_>, one: &k8s::Container) -> Result<Security, String> {
    let own = one.security_context.as_ref();
    let pod = pod_security(source.spec);
    let user = own
        .and_then(|s| s.run_as_user)
        .or_else(|| pod.and_then(|s| s.run_as_user));
    let group = own
        .and_then(|s| s.run_as_group)
        .or_else(|| pod.and_then(|s| s.run_as_group));
    let non_root = own
        .and_then(|s| s.run_as_non_root)
        .or_else(|| pod.and_then(|s| s.run_as_non_root));
    let seccomp = own
        .and_then(|s| s.seccomp_profile.as_ref())
        .or_else(|| pod.and_then(|s| s.seccomp_profile.as_ref()));
    if seccomp.is_some_and(|profile| profile.type_ == "Localhost") {
        return Err("this node does not support seccompProfile.type Localhost".to_owned());
    }
    let apparmor = own
        .and_then(|s| s.app_armor_profile.as_ref())
        .or_else(|| pod.and_then(|s| s.app_armor_profile.as_ref()));
    if apparmor.is_some_and(|profile| profile.type_ == "Localhost") {
        return Err("this node does not support appArmorProfile.type Localhost".to_owned());
    }
    let capabilities = own.and_then(|s| s.capabilities.as_ref());
    let mut groups: BTreeSet<i64> = BTreeSet::new();
    if let Some(pod) = pod {
        groups.extend(pod.supplemental_groups.iter().flatten());
        groups.extend(pod.fs_group);
    }
    let names = |list: Option<&Vec<String>>| list.cloned().unwrap_or_default();
    Ok(Security {
        privileged: own.and_then(|s| s.privileged) == Some(true),
        user,
        group,
        groups: groups.into_iter().collect(),
        non_root: non_root == Some(true),
        read_only_root: own.and_then(|s| s.read_only_root_filesystem) == Some(true),
        cap_add: names(capabilities.and_then(|c| c.add.as_ref())),
        cap_drop: names(capabilities.and_then(|c| c.drop.as_ref())),
        no_new_privileges: own
            .and_then(|s| s.allow_privilege_escalation)
            .map(|allowed| !allowed),
        unconfined_seccomp: seccomp.is_some_and(|profile| profile.type_ == "Unconfined"),
        unmasked_proc: own.and_then(|s| s.proc_mount.as_deref()) == Some("Unmasked"),
    })
}

fn probes(one: &k8s::Container) -> Result<Probes, String> {
    let lowered = |probe: Option<&k8s::Probe>| probe.map(|probe| lowered(one, probe)).transpose();
    Ok(Probes {
        startup: lowered(one.startup_probe.as_ref())?,
        liveness: lowered(one.liveness_probe.as_ref())?,
        readiness: lowered(one.readiness_probe.as_ref())?,
    })
}

fn lowered(one: &k8s::Container, probe: &k8s::Probe) -> Result<Probe, String> {
    let number = |value: Option<i32>, usual: u32| {
        let value = value.and_then(|value| u32::try_from(value).ok());
        value.unwrap_or(usual)
    };
    let parts = Parts {
        exec: probe.exec.as_ref(),
        http: probe.http_get.as_ref(),
        tcp: probe.tcp_socket.as_ref(),
        grpc: probe.grpc.as_ref(),
        sleep_s: None,
    };
    let grace = probe.termination_grace_period_seconds;
    Ok(Probe {
        action: action(one, &parts)?,
        initial_delay_s: number(probe.initial_delay_seconds, 0),
        period_s: number(probe.period_seconds, 10),
        timeout_s: number(probe.timeout_seconds, 1),
        successes: number(probe.success_threshold, 1),
        failures: number(probe.failure_threshold, 3),
        grace_s: grace.and_then(|grace| u64::try_from(grace).ok()),
    })
}

/// What may be done to a container: one of these.
struct Parts<'a> {
    exec: Option<&'a k8s::ExecAction>,
    http: Option<&'a k8s::HTTPGetAction>,
    tcp: Option<&'a k8s::TCPSocketAction>,
    grpc: Option<&'a k8s::GRPCAction>,
    sleep_s: Option<i64>,
}

fn action(one: &k8s::Container, parts: &Parts<'_>) -> Result<Action, String> {
    if let Some(exec) = parts.exec {
        return Ok(Action::Exec(exec.command.clone().unwrap_or_default()));
    }
    if let Some(http) = parts.http {
        let path = http.path.clone().unwrap_or_else(|| "/".to_owned());
        let headers = http.http_headers.iter().flatten();
        return Ok(Action::Http {
            host: http.host.clone().filter(|host| !host.is_empty()),
            port: port(one, &http.port)?,
            path: match path.starts_with('/') {
                true => path,
                false => format!("/{path}"),
            },
            https: http.scheme.as_deref() == Some("HTTPS"),
            headers: headers
                .map(|header| (header.name.clone(), header.value.clone()))
                .collect(),
        });
    }
    if let Some(tcp) = parts.tcp {
        return Ok(Action::Tcp {
            host: tcp.host.clone().filter(|host| !host.is_empty()),
            port: port(one, &tcp.port)?,
        });
    }
    if let Some(grpc) = parts.grpc {
        return Ok(Action::Grpc {
            port: number(grpc.port)?,
            service: grpc.service.clone().unwrap_or_default(),
        });
    }
    if let Some(seconds) = parts.sleep_s {
        return Ok(Action::Sleep {
            seconds: u64::try_from(seconds).unwrap_or(0),
        });
    }
    Err(format!(
        "container {}: a probe or hook without an action",
        one.name
    ))
}

/// By its number, or by the name the container gives it.
fn port(one: &k8s::Container, port: &IntOrString) -> Result<u16, String> {
    let name = match port {
        IntOrString::Int(port) => return number(*port),
        IntOrString::String(name) => name,
    };
    if let Ok(port) = name.parse() {
        return Ok(port);
    }
    let mut ports = one.ports.iter().flatten();
    let found = ports.find(|port| port.name.as_ref() == Some(name));
    match found {
        Some(found) => number(found.container_port),
        None => Err(format!(
            "container {} has no port called {name:?}, which a probe or hook names",
            one.name
        )),
    }
}

fn number(port: i32) -> Result<u16, String> {
    u16::try_from(port).map_err(|_| format!("{port} is no port"))
}

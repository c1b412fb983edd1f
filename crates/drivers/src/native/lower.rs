//! From a pod and its containers to the engine's words. Pure.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use weft_api::assignment::{self as asked, PodId, Propagation, Quality, RegistryCredentials};
use weft_driver::{Source, Start};
use weft_engine::sandbox::{SandboxSpec, SandboxView};
use weft_engine::spec::{
    Dns, MountSource, MountSpec, NetworkAttach, NetworkMode, PortSpec, Protocol, Resources,
    Seccomp, Security, Sharing, Spec,
};
use weft_engine::{Engine, EngineError};

/// Labels, as the field has them.
pub(super) const UID: &str = "io.kubernetes.pod.uid";
pub(super) const NAMESPACE: &str = "io.kubernetes.pod.namespace";
pub(super) const NAME: &str = "io.kubernetes.pod.name";
pub(super) const CONTAINER: &str = "io.kubernetes.container.name";
pub(super) const ATTEMPT: &str = "io.kubernetes.container.restartCount";
pub(super) const HASH: &str = "io.kubernetes.container.hash";

/// Characters of a name in the engine.
const NAME_MAX: usize = 128;

/// What the engine calls the sandbox of the pod with this uid. Names are of 128 characters at most;
/// the uid makes them unique.
pub fn sandbox_name(uid: &str) -> String {
    format!("pod_{uid}")
}

/// What the engine calls a container, for people: of names that are too long together there is only
/// the beginning. The uid makes it unique.
pub(super) fn container_name(start: &Start<'_>) -> String {
    let PodId {
        namespace,
        name,
        uid,
    } = &start.pod.id;
    let container = &start.container.name;
    let end = format!("{uid}_{}", start.attempt);
    let around = "k8s____".len() + container.len() + end.len();
    let room = NAME_MAX.saturating_sub(around);
    let name = begin_of(name, room.saturating_sub(namespace.len()).max(room / 2));
    let namespace = begin_of(namespace, room.saturating_sub(name.len()));
    format!("k8s_{container}_{name}_{namespace}_{end}")
}

fn begin_of(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most.min(text.len()))]
}

fn labels(id: &PodId) -> BTreeMap<String, String> {
    let pairs = [(UID, &id.uid), (NAMESPACE, &id.namespace), (NAME, &id.name)];
    let pairs = pairs.map(|(key, value)| (key.to_owned(), value.clone()));
    BTreeMap::from(pairs)
}

/// Of a volume: for whom it was made first.
pub(super) fn volume_labels(start: &Start<'_>) -> BTreeMap<String, String> {
    let mut labels = labels(&start.pod.id);
    labels.remove(UID);
    labels
}

pub(super) fn sandbox(pod: &asked::Pod, network: &str) -> Result<SandboxSpec, EngineError> {
    let wanted = &pod.sandbox;
    let hostname = match &*wanted.hostname {
        "" => pod.id.name.clone(),
        name => name.to_owned(),
    };
    let network = match wanted.host_network {
        true => NetworkMode::Host,
        false => NetworkMode::Networks(vec![NetworkAttach {
            network: network.to_owned(),
            ..NetworkAttach::default()
        }]),
    };
    let memory = pod
        .volumes
        .iter()
        .filter_map(|(name, volume)| match volume {
            asked::Volume::Empty {
                memory: true,
                size_limit,
            } => Some((name.clone(), *size_limit)),
            _ => None,
        });
    Ok(SandboxSpec {
        name: sandbox_name(&pod.id.uid),
        labels: labels(&pod.id),
        hostname: Some(hostname),
        domainname: wanted.domain.clone(),
        network,
        ports: match wanted.host_network {
            true => Vec::new(),
            false => wanted.ports.iter().map(port).collect::<Result<_, _>>()?,
        },
        dns: dns(&wanted.dns)?,
        extra_hosts: wanted
            .host_aliases
            .iter()
            .map(|(address, names)| (names.join(" "), address.clone()))
            .collect(),
        userns_host: wanted.host_users,
        ipc_host: wanted.host_ipc,
        shm_bytes: None,
        sysctls: wanted.sysctls.clone(),
        memory: memory.collect(),
    })
}

fn port(port: &asked::HostPort) -> Result<PortSpec, EngineError> {
    let address = port.address.as_deref().filter(|a| *a != "0.0.0.0");
    let host_ip = address.map(|address| {
        address
            .parse()
            .map_err(|_| EngineError::invalid(format!("hostIP {address:?} is no IPv4 address")))
    });
    Ok(PortSpec {
        host_ip: host_ip.transpose()?,
        host_ports: Some((port.host, port.host)),
        container_port: port.container,
        protocol: if port.udp {
            Protocol::Udp
        } else {
            Protocol::Tcp
        },
    })
}

fn dns(wanted: &asked::Dns) -> Result<Dns, EngineError> {
    let servers = wanted.servers.iter().map(|server| {
        let no = |_| EngineError::invalid(format!("name server {server:?} has no IPv4 address"));
        server.parse::<Ipv4Addr>().map_err(no)
    });
    Ok(Dns {
        direct: !wanted.cluster,
        servers: servers.collect::<Result<_, _>>()?,
        search: wanted.searches.clone(),
        options: wanted.options.clone(),
    })
}

/// # Errors
/// It may not be root, and is, or nobody can tell.
pub(super) fn container(
    start: &Start<'_>,
    sandbox: &SandboxView,
    image: &str,
    image_user: &str,
    machine: &Machine,
) -> Result<Spec, EngineError> {
    let (pod, wanted) = (start.pod, start.container);
    let mut labels = labels(&pod.id);
    labels.insert(CONTAINER.to_owned(), wanted.name.clone());
    labels.insert(ATTEMPT.to_owned(), start.attempt.to_string());
    labels.insert(HASH.to_owned(), wanted.hash.clone());
    let mut mounts = Vec::new();
    for mount in &start.mounts {
        mounts.push(MountSpec {
            source: source(mount, sandbox)?,
            target: mount.target.clone(),
            read_only: mount.read_only,
        });
    }
    let env = start.env.iter();
    let env = env.map(|(name, value)| format!("{name}={value}"));
    Ok(Spec {
        image: image.to_owned(),
        entrypoint: wanted.command.clone(),
        // With a command of the pod's the image's arguments are none.
        cmd: match (&wanted.command, &wanted.args) {
            (Some(_), None) => Some(Vec::new()),
            (_, args) => args.clone(),
        },
        env: env.collect(),
        cwd: wanted.cwd.clone(),
        user: user(wanted, image_user)?,
        group_add: wanted.security.groups.iter().map(i64::to_string).collect(),
        tty: wanted.tty,
        open_stdin: wanted.stdin,
        stdin_once: wanted.stdin_once,
        labels,
        stop_timeout_seconds: i64::try_from(pod.grace_s).ok(),
        network: NetworkMode::Sandbox(sandbox.id.clone()),
        mounts,
        security: security(pod, &wanted.security),
        resources: resources(&wanted.resources, machine),
        ..Spec::default()
    })
}

fn source(mount: &weft_driver::Mounted, sandbox: &SandboxView) -> Result<MountSource, EngineError> {
    let path = match &mount.source {
        Source::Memory(name) => {
            let found = sandbox.memory.get(name);
            let none = || EngineError::invalid(format!("there is no volume {name} in memory"));
            return Ok(MountSource::Beneath {
                root: found.ok_or_else(none)?.to_string_lossy().into_owned(),
                path: mount.subpath.clone(),
                per_run: true,
            });
        }
        Source::Volume(name) => {
            return Ok(MountSource::Volume {
                name: name.clone(),
                no_copy: true,
                labels: BTreeMap::new(),
                subpath: mount.subpath.clone(),
            });
        }
        Source::Path(path) => path.to_string_lossy().into_owned(),
    };
    if !mount.subpath.is_empty() {
        return Ok(MountSource::Beneath {
            root: path,
            path: mount.subpath.clone(),
            per_run: false,
        });
    }
    let propagation = match mount.propagation {
        Propagation::Private => "rprivate",
        Propagation::HostToContainer => "rslave",
        Propagation::Bidirectional => "rshared",
    };
    Ok(MountSource::Bind {
        path,
        propagation: propagation.to_owned(),
        create: false,
        non_recursive: false,
    })
}

/// `user[:group]`; `None` is the image's.
fn user(wanted: &asked::Container, image_user: &str) -> Result<Option<String>, EngineError> {
    let security = &wanted.security;
    let of_image = image_user.split(':').next().unwrap_or_default();
    if security.non_root {
        let name = &wanted.name;
        let refuse = |why: String| Err(EngineError::invalid(why));
        match (security.user, of_image.parse::<i64>()) {
            (Some(0), _) => {
                return refuse(format!(
                    "container's runAsUser breaks non-root policy (container: {name})"
                ));
            }
            (Some(_), _) => {}
            (None, Ok(0)) => {
                return refuse(format!(
                    "container has runAsNonRoot and image will run as root (container: {name})"
                ));
            }
            (None, Ok(_)) => {}
            (None, Err(_)) if of_image.is_empty() => {
                return refuse(format!(
                    "container has runAsNonRoot and image will run as root (container: {name})"
                ));
            }
            (None, Err(_)) => {
                return refuse(format!(
                    "container has runAsNonRoot and image has non-numeric user ({of_image}), cannot \
                     verify user is non-root (container: {name}); set runAsUser"
                ));
            }
        }
    }
    let user = match (security.user, security.group) {
        (None, None) => return Ok(None),
        (Some(user), None) => user.to_string(),
        (Some(user), Some(group)) => format!("{user}:{group}"),
        (None, Some(group)) if of_image.is_empty() => format!("0:{group}"),
        (None, Some(group)) => format!("{of_image}:{group}"),
    };
    Ok(Some(user))
}

fn security(pod: &asked::Pod, wanted: &asked::Security) -> Security {
    let strip = |names: &[String]| -> Vec<String> {
        let names = names.iter().map(|name| name.to_ascii_uppercase());
        names
            .map(|name| name.strip_prefix("CAP_").unwrap_or(&name).to_owned())
            .collect()
    };
    let unmasked = wanted.unmasked_proc.then(Vec::new);
    Security {
        privileged: wanted.privileged,
        cap_add: strip(&wanted.cap_add),
        cap_drop: strip(&wanted.cap_drop),
        seccomp: match wanted.unconfined_seccomp {
            true => Seccomp::Unconfined,
            false => Seccomp::Default,
        },
        no_new_privileges: wanted.no_new_privileges,
        read_only_rootfs: wanted.read_only_root,
        pid: match pod.sandbox.host_pid {
            true => Sharing::Host,
            false => Sharing::Private,
        },
        masked_paths: unmasked.clone(),
        readonly_paths: unmasked,
        ..Security::default()
    }
}

/// What the machine can do.
#[derive(Debug, Clone, Default)]
pub(super) struct Machine {
    /// Of cgroup v2.
    pub controllers: Vec<String>,
    pub memory_bytes: u64,
    /// It may tell the kernel to spare somebody (CAP_SYS_RESOURCE).
    pub spares: bool,
}

impl Machine {
    pub fn of(engine: &Engine) -> Machine {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let bits = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        let bits = bits.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
        Machine {
            controllers: engine.controllers().to_vec(),
            memory_bytes: engine.info().memory_bytes,
            spares: bits.is_some_and(|bits| bits & (1 << SYS_RESOURCE) != 0),
        }
    }
}

/// CAP_SYS_RESOURCE (capabilities(7)).
const SYS_RESOURCE: u32 = 24;

/// How soon the kernel kills it when memory is short: upstream's rule.
fn score(wanted: &asked::Resources, machine: &Machine) -> i32 {
    match wanted.quality {
        Quality::Guaranteed => -997,
        Quality::BestEffort => 1000,
        Quality::Burstable => {
            let asked = u128::from(wanted.memory_request_bytes.unwrap_or(0)) * 1000;
            let share = asked / u128::from(machine.memory_bytes.max(1));
            let share = i32::try_from(share).unwrap_or(1000);
            (1000 - share).clamp(3, 999)
        }
    }
}

fn resources(wanted: &asked::Resources, machine: &Machine) -> Resources {
    let has = |name: &str| machine.controllers.iter().any(|c| c == name);
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    // A share of what is there, not a limit: where it cannot be set, nobody is promised anything.
    let shares = has("cpu").then(|| wanted.cpu_request_m.unwrap_or(0));
    let score = score(wanted, machine);
    Resources {
        memory_bytes: wanted.memory_limit_bytes.map(signed),
        nano_cpus: wanted
            .cpu_limit_m
            .map(|m| signed(m.saturating_mul(1_000_000))),
        cpu_shares: shares.map(|m| (m.saturating_mul(1024) / 1000).clamp(2, 262_144)),
        // Who is to be spared needs a right that not every machine gives.
        oom_score_adj: (score > 0 || machine.spares).then_some(score),
        ..Resources::default()
    }
}

/// The credentials for an image: those of the longest path that leads to it.
pub(super) fn credentials<'a>(
    image: &str,
    known: &'a [RegistryCredentials],
) -> Option<&'a RegistryCredentials> {
    let first = image.split('/').next().unwrap_or_default();
    let has_host =
        image.contains('/') && (first.contains('.') || first.contains(':') || first == "localhost");
    let full = match has_host {
        true => image.to_owned(),
        false => format!("docker.io/{image}"),
    };
    let fits = |one: &&RegistryCredentials| {
        let registry = one.registry.as_str();
        let registry = registry.strip_prefix("https://").unwrap_or(registry);
        let registry = registry.strip_prefix("http://").unwrap_or(registry);
        let registry = registry.trim_end_matches('/');
        let registry = registry.strip_suffix("/v1").unwrap_or(registry);
        let registry = registry.strip_suffix("/v2").unwrap_or(registry);
        let registry = match registry {
            "index.docker.io" | "registry-1.docker.io" => "docker.io",
            other => other,
        };
        full.strip_prefix(registry)
            .is_some_and(|rest| rest.starts_with('/'))
    };
    known
        .iter()
        .filter(fits)
        .max_by_key(|one| one.registry.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_nothing_yields_and_who_is_promised_all_is_spared() {
        let machine = Machine {
            controllers: vec!["cpu".to_owned()],
            memory_bytes: 1000,
            spares: true,
        };
        let of = |quality, asked| {
            let wanted = asked::Resources {
                quality,
                memory_request_bytes: asked,
                cpu_request_m: asked,
                ..asked::Resources::default()
            };
            let lowered = resources(&wanted, &machine);
            (lowered.oom_score_adj, lowered.cpu_shares)
        };
        assert_eq!(of(Quality::BestEffort, None), (Some(1000), Some(2)));
        assert_eq!(of(Quality::Burstable, Some(250)), (Some(750), Some(256)));
        assert_eq!(of(Quality::Burstable, Some(0)), (Some(999), Some(2)));
        assert_eq!(of(Quality::Burstable, Some(5000)), (Some(3), Some(5120)));
        assert_eq!(of(Quality::Guaranteed, Some(500)).0, Some(-997));
        let plain = resources(
            &asked::Resources {
                quality: Quality::Guaranteed,
                ..asked::Resources::default()
            },
            &Machine::default(),
        );
        assert_eq!((plain.oom_score_adj, plain.cpu_shares), (None, None));
    }

    #[test]
    fn names_of_any_length_make_one_of_a_container() {
        let named = |name: usize, namespace: usize, container: usize| {
            let pod = asked::Pod {
                id: PodId {
                    namespace: "n".repeat(namespace),
                    name: "p".repeat(name),
                    uid: "12345678-1234-1234-1234-123456789012".to_owned(),
                },
                ..asked::Pod::default()
            };
            let container = asked::Container {
                name: "c".repeat(container),
                ..asked::Container::default()
            };
            let start = Start {
                pod: &pod,
                container: &container,
                attempt: u32::MAX,
                image_id: "",
                env: Vec::new(),
                mounts: Vec::new(),
            };
            container_name(&start)
        };
        assert_eq!(
            named(3, 2, 1),
            "k8s_c_ppp_nn_12345678-1234-1234-1234-123456789012_4294967295"
        );
        for (name, namespace, container) in [(253, 7, 4), (253, 63, 63), (1, 63, 63), (63, 63, 30)]
        {
            let made = named(name, namespace, container);
            assert!(made.len() <= NAME_MAX, "{} of {made}", made.len());
            assert!(made.ends_with("123456789012_4294967295"), "{made}");
            assert_eq!(made.matches('_').count(), 5, "{made}");
        }
    }

    #[test]
    fn credentials_are_those_of_the_longest_path() {
        let of = |registry: &str| RegistryCredentials {
            registry: registry.to_owned(),
            username: registry.to_owned(),
            password: String::new(),
        };
        let known = [
            of("https://index.docker.io/v1/"),
            of("reg.example:5000"),
            of("reg.example:5000/team"),
        ];
        let found = |image| credentials(image, &known).map(|c| c.username.as_str());
        assert_eq!(found("nginx"), Some("https://index.docker.io/v1/"));
        assert_eq!(found("reg.example:5000/a"), Some("reg.example:5000"));
        assert_eq!(
            found("reg.example:5000/team/a:1"),
            Some("reg.example:5000/team")
        );
        assert_eq!(found("reg.example:50000/a"), None);
        assert_eq!(found("other.example/a"), None);
    }
}

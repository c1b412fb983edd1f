//! A spec as `HostConfig`: the way back from `lower`.
//!
//! What a face other than Docker's asked for is shown in Docker's words as well.

use weft_api::docker::{
    BindOptions, DeviceMapping, HostConfig, LogConfig, Mount, PortBinding, PortMap, RestartPolicy,
    ThrottleDevice, TmpfsOptions, Ulimit, VolumeOptions,
};
use weft_engine::Spec;
use weft_engine::spec::{self, Ipc, MountSource, MountSpec, NetworkMode, Seccomp, Sharing};

/// The part of a container that depends on its host.
pub fn host_config(spec: &Spec) -> HostConfig {
    let mut host = HostConfig {
        log_config: log_config(spec),
        network_mode: network_mode(&spec.network),
        port_bindings: port_bindings(spec),
        restart_policy: restart_policy(spec.restart),
        auto_remove: spec.auto_remove,
        dns: spec.dns.servers.iter().map(ToString::to_string).collect(),
        dns_options: spec.dns.options.clone(),
        dns_search: spec.dns.search.clone(),
        extra_hosts: spec
            .extra_hosts
            .iter()
            .map(|(name, ip)| format!("{name}:{ip}"))
            .collect(),
        group_add: spec.group_add.clone(),
        publish_all_ports: spec.publish_all,
        shm_size: spec.shm_bytes.map_or(64 << 20, saturate),
        init: spec.init.then_some(true),
        devices: spec.devices.iter().map(device).collect(),
        device_cgroup_rules: spec.device_rules.iter().map(device_rule).collect(),
        ..HostConfig::default()
    };
    security(&mut host, &spec.security);
    resources(&mut host, &spec.resources);
    for mount in &spec.mounts {
        add_mount(&mut host, mount);
    }
    host
}

fn saturate(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn log_config(spec: &Spec) -> LogConfig {
    let config = [
        ("max-file".to_owned(), spec.log.max_files.to_string()),
        ("max-size".to_owned(), spec.log.max_size_bytes.to_string()),
    ];
    LogConfig {
        r#type: spec.log.driver.clone(),
        config: if spec.log.enabled {
            config.into()
        } else {
            Default::default()
        },
        ..LogConfig::default()
    }
}

/// The mode that would ask for this network.
pub fn network_mode(mode: &NetworkMode) -> String {
    match mode {
        NetworkMode::None => "none".into(),
        NetworkMode::Host => "host".into(),
        NetworkMode::Container(id) => format!("container:{id}"),
        NetworkMode::Sandbox(id) => format!("sandbox:{id}"),
        NetworkMode::Networks(list) => list
            .first()
            .map_or("bridge", |first| network_name(&first.network))
            .to_owned(),
    }
}

/// The default network's name is empty inside, `bridge` outside.
pub fn network_name(name: &str) -> &str {
    if name.is_empty() { "bridge" } else { name }
}

fn port_bindings(spec: &Spec) -> PortMap {
    let mut map = PortMap::new();
    for port in &spec.ports {
        let key = format!("{}/{}", port.container_port, port.protocol.as_str());
        let host_port = match port.host_ports {
            None => String::new(),
            Some((first, last)) if first == last => first.to_string(),
            Some((first, last)) => format!("{first}-{last}"),
        };
        let host_ip = port.host_ip.map(|ip| ip.to_string()).unwrap_or_default();
        let bindings = map.entry(key).or_default().get_or_insert_with(Vec::new);
        bindings.push(PortBinding { host_ip, host_port });
    }
    map
}

fn restart_policy(policy: spec::RestartPolicy) -> RestartPolicy {
    use spec::RestartPolicy as Policy;
    let (name, maximum_retry_count) = match policy {
        Policy::No => ("no", 0),
        Policy::Always => ("always", 0),
        Policy::UnlessStopped => ("unless-stopped", 0),
        Policy::OnFailure { max } => ("on-failure", max.into()),
    };
    RestartPolicy {
        name: name.into(),
        maximum_retry_count,
        ..RestartPolicy::default()
    }
}

fn security(host: &mut HostConfig, security: &spec::Security) {
    let sharing = |sharing: &Sharing, private: &str| match sharing {
        Sharing::Private => private.to_owned(),
        Sharing::Host => "host".to_owned(),
        Sharing::Container(id) => format!("container:{id}"),
    };
    host.privileged = security.privileged;
    host.cap_add.clone_from(&security.cap_add);
    host.cap_drop.clone_from(&security.cap_drop);
    host.readonly_rootfs = security.read_only_rootfs;
    host.userns_mode = if security.userns_host {
        "host".into()
    } else {
        String::new()
    };
    host.pid_mode = sharing(&security.pid, "");
    host.ipc_mode = match &security.ipc {
        Ipc::None => "none".into(),
        Ipc::Shareable => "shareable".into(),
        other => sharing(&other.namespace(), "private"),
    };
    host.uts_mode = sharing(&security.uts, "");
    host.cgroupns_mode = sharing(&security.cgroup, "private");
    host.sysctls.clone_from(&security.sysctls);
    host.masked_paths.clone_from(&security.masked_paths);
    host.readonly_paths.clone_from(&security.readonly_paths);
    if let Some(on) = security.no_new_privileges {
        host.security_opt.push(format!("no-new-privileges={on}"));
    }
    match &security.seccomp {
        Seccomp::Default => {}
        Seccomp::Unconfined => host.security_opt.push("seccomp=unconfined".into()),
        Seccomp::Profile(json) => host.security_opt.push(format!("seccomp={json}")),
    }
}

fn resources(host: &mut HostConfig, limits: &spec::Resources) {
    let rates = |list: &[(String, u64)]| {
        list.iter()
            .map(|(path, rate)| ThrottleDevice {
                path: path.clone(),
                rate: *rate,
            })
            .collect()
    };
    host.memory = limits.memory_bytes.unwrap_or(0);
    host.memory_reservation = limits.memory_reservation_bytes.unwrap_or(0);
    host.memory_swap = limits.memory_swap_bytes.unwrap_or(0);
    host.oom_kill_disable = limits.oom_kill_disable.then_some(true);
    host.nano_cpus = limits.nano_cpus.unwrap_or(0);
    host.cpu_shares = limits.cpu_shares.map_or(0, saturate);
    host.cpu_quota = limits.cpu_quota_us.unwrap_or(0);
    host.cpu_period = limits.cpu_period_us.map_or(0, saturate);
    host.cpuset_cpus = limits.cpuset_cpus.clone().unwrap_or_default();
    host.cpuset_mems = limits.cpuset_mems.clone().unwrap_or_default();
    host.pids_limit = limits.pids_limit;
    host.blkio_weight = limits.blkio_weight.unwrap_or(0);
    host.blkio_device_read_bps = rates(&limits.read_bps);
    host.blkio_device_write_bps = rates(&limits.write_bps);
    host.blkio_device_read_iops = rates(&limits.read_iops);
    host.blkio_device_write_iops = rates(&limits.write_iops);
    host.oom_score_adj = limits.oom_score_adj.unwrap_or(0).into();
    // All ones is RLIM_INFINITY, which Docker writes as -1.
    let limit = |value: u64| {
        if value == u64::MAX {
            -1
        } else {
            saturate(value)
        }
    };
    host.ulimits = limits
        .ulimits
        .iter()
        .map(|u| Ulimit {
            name: u.name.clone(),
            soft: limit(u.soft),
            hard: limit(u.hard),
        })
        .collect();
}

fn device(device: &spec::DeviceSpec) -> DeviceMapping {
    DeviceMapping {
        path_on_host: device.host.clone(),
        path_in_container: device.container.clone(),
        cgroup_permissions: device.permissions.clone(),
    }
}

fn device_rule(rule: &spec::DeviceRule) -> String {
    let number = |number: Option<u32>| number.map_or("*".to_owned(), |n| n.to_string());
    format!(
        "{} {}:{} {}",
        rule.kind,
        number(rule.major),
        number(rule.minor),
        rule.permissions
    )
}

/// Into `Binds`, `Tmpfs` or `Mounts`, whichever can say it; anonymous volumes are in `Config`.
fn add_mount(host: &mut HostConfig, mount: &MountSpec) {
    match &mount.source {
        MountSource::Bind { .. } => add_bind(host, mount),
        MountSource::Beneath { root, path, .. } => {
            host.binds.push(short_form(mount, &joined(root, path), ""));
        }
        MountSource::Volume { .. } => add_volume(host, mount),
        MountSource::Tmpfs { .. } => add_tmpfs(host, mount),
    }
}

/// The path that is seen.
pub(super) fn joined(root: &str, path: &str) -> String {
    match path {
        "" => root.to_owned(),
        path => format!("{root}/{path}"),
    }
}

/// The `--mount` form, still without its source.
fn long_form(mount: &MountSpec, kind: &str) -> Mount {
    Mount {
        r#type: kind.into(),
        target: mount.target.clone(),
        read_only: mount.read_only,
        ..Mount::default()
    }
}

/// The `-v` form: `source:target`, with options where there are any.
fn short_form(mount: &MountSpec, source: &str, option: &str) -> String {
    let read_only = if mount.read_only { "ro" } else { "" };
    let options: Vec<&str> = [read_only, option]
        .into_iter()
        .filter(|o| !o.is_empty())
        .collect();
    let bind = format!("{source}:{}", mount.target);
    if options.is_empty() {
        bind
    } else {
        format!("{bind}:{}", options.join(","))
    }
}

fn add_bind(host: &mut HostConfig, mount: &MountSpec) {
    let MountSource::Bind {
        path,
        propagation,
        create,
        non_recursive,
    } = &mount.source
    else {
        return;
    };
    if *create && !*non_recursive {
        host.binds.push(short_form(mount, path, propagation));
        return;
    }
    host.mounts.push(Mount {
        source: path.clone(),
        bind_options: Some(BindOptions {
            propagation: propagation.clone(),
            create_mountpoint: *create,
            non_recursive: *non_recursive,
            ..BindOptions::default()
        }),
        ..long_form(mount, "bind")
    });
}

fn add_volume(host: &mut HostConfig, mount: &MountSpec) {
    let MountSource::Volume {
        name,
        no_copy,
        labels,
        subpath,
    } = &mount.source
    else {
        return;
    };
    if labels.is_empty() && subpath.is_empty() {
        if !name.is_empty() {
            host.binds.push(short_form(
                mount,
                name,
                if *no_copy { "nocopy" } else { "" },
            ));
        }
        return;
    }
    host.mounts.push(Mount {
        source: name.clone(),
        volume_options: Some(VolumeOptions {
            no_copy: *no_copy,
            labels: labels.clone(),
            subpath: subpath.clone(),
            ..VolumeOptions::default()
        }),
        ..long_form(mount, "volume")
    });
}

fn add_tmpfs(host: &mut HostConfig, mount: &MountSpec) {
    let MountSource::Tmpfs {
        size_bytes,
        mode,
        options,
    } = &mount.source
    else {
        return;
    };
    if options.is_empty() {
        host.mounts.push(Mount {
            tmpfs_options: Some(TmpfsOptions {
                size_bytes: size_bytes.map_or(0, saturate),
                mode: mode.unwrap_or(0),
                ..TmpfsOptions::default()
            }),
            ..long_form(mount, "tmpfs")
        });
        return;
    }
    let mut words = options.clone();
    words.extend(size_bytes.map(|bytes| format!("size={bytes}")));
    words.extend(mode.map(|bits| format!("mode={bits:o}")));
    words.extend(mount.read_only.then(|| "ro".to_owned()));
    host.tmpfs.insert(mount.target.clone(), words.join(","));
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weft_api::docker::ContainerCreateRequest;

    use super::host_config;
    use crate::lower;

    /// Lowering what was raised from a lowered request gives the same spec again.
    #[test]
    fn raising_undoes_lowering() {
        let body = json!({ "Image": "i", "Volumes": {}, "HostConfig": {
            "Binds": ["/h:/c:ro,rslave", "data:/v:nocopy"],
            "Mounts": [{ "Type": "bind", "Source": "/m", "Target": "/n" },
                { "Type": "volume", "Source": "w", "Target": "/w", "VolumeOptions": { "Labels": { "a": "b" } } },
                { "Type": "volume", "Source": "w", "Target": "/x", "VolumeOptions": { "Subpath": "a/b" } },
                { "Type": "tmpfs", "Target": "/y", "TmpfsOptions": { "SizeBytes": 5, "Mode": 448 } }],
            "Tmpfs": { "/t": "size=64k,mode=700,exec,ro" },
            "PortBindings": { "80/tcp": [{ "HostIp": "127.0.0.1", "HostPort": "80-90" }, {}] },
            "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": 2 },
            "CapAdd": ["ALL"], "SecurityOpt": ["no-new-privileges=true", "seccomp=unconfined"],
            "PidMode": "host", "IpcMode": "container:x", "UsernsMode": "host", "Privileged": true,
            "Memory": 67108864, "MemorySwap": -1, "PidsLimit": -1, "ShmSize": 5, "Init": true,
            "Ulimits": [{ "Name": "nofile", "Soft": 1, "Hard": -1 }], "NetworkMode": "mine",
            "Devices": [{ "PathOnHost": "/dev/x", "PathInContainer": "/dev/y" }],
            "DeviceCgroupRules": ["c 10:200 rw", "b *:3 m", "a *:* rwm"],
            "Dns": ["1.1.1.1"], "ExtraHosts": ["a:1.2.3.4"], "MaskedPaths": [],
            "LogConfig": { "Type": "json-file", "Config": { "max-size": "1m" } }
        } });
        let lower = |body| lower::container(body).unwrap();
        let first = lower(serde_json::from_value(body).unwrap());
        let again = lower(ContainerCreateRequest {
            image: "i".into(),
            host_config: host_config(&first),
            ..Default::default()
        });
        let sorted = |mut spec: weft_engine::Spec| {
            spec.mounts.sort_by(|a, b| a.target.cmp(&b.target));
            spec
        };
        assert_eq!(sorted(again), sorted(first));
    }
}

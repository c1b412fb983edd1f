//! Containers, as `docker ps` and `docker inspect` show them.
//!
//! Everything comes from the container's record.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use weft_api::docker::{
    ContainerConfig, ContainerInspect, ContainerState, ContainerSummary, GraphDriver, MountPoint,
    Present, SummaryHostConfig, SummaryNetworkSettings, Words,
};
use weft_engine::Engine;
use weft_engine::container::{NetworkFiles, Record, Status, View};
use weft_engine::spec::MountSource;

use super::host::{host_config, network_mode};
use super::network::{endpoints, settings, summary_ports};
use super::status::status;
use super::time::rfc3339;
use crate::error::ApiError;

/// Volume name to the directory it is in.
pub type VolumePaths = BTreeMap<String, String>;

/// Where every volume is.
pub fn volume_paths(engine: &Engine) -> Result<VolumePaths, ApiError> {
    Ok(engine
        .volumes()
        .into_iter()
        .map(|view| (view.volume.name, view.volume.path.display().to_string()))
        .collect())
}

/// One line of the list.
pub fn summary(view: &View, volumes: &VolumePaths, now: Timestamp) -> ContainerSummary {
    let record = &view.record;
    ContainerSummary {
        id: record.id.clone(),
        names: vec![format!("/{}", record.name)],
        image: record.spec.image.clone(),
        image_id: record.image_id.clone(),
        command: record.resolved.args().join(" "),
        created: record.created_at_ns / 1_000_000_000,
        ports: summary_ports(record),
        labels: record.resolved.labels.clone(),
        state: record.state.status.as_str().into(),
        status: status(&record.state, now),
        host_config: SummaryHostConfig {
            network_mode: network_mode(&record.spec.network),
        },
        network_settings: SummaryNetworkSettings {
            networks: endpoints(record),
        },
        mounts: mounts(record, volumes),
        size_rw: None,
        size_root_fs: None,
    }
}

/// Everything about one container.
pub fn inspect(view: &View, volumes: &VolumePaths) -> ContainerInspect {
    let record = &view.record;
    let args = record.resolved.args();
    let file = |which: fn(&NetworkFiles) -> &PathBuf| {
        let files = view.network_files.as_ref();
        files.map_or_else(String::new, |files| which(files).display().to_string())
    };
    ContainerInspect {
        id: record.id.clone(),
        created: rfc3339(record.created_at_ns),
        path: args.first().cloned().unwrap_or_default(),
        args: args.get(1..).unwrap_or_default().to_vec(),
        state: state(record),
        image: record.image_id.clone(),
        log_path: view.log_path.clone(),
        hosts_path: file(|files| &files.hosts),
        hostname_path: file(|files| &files.hostname),
        resolv_conf_path: file(|files| &files.resolv_conf),
        name: format!("/{}", record.name),
        restart_count: record.state.restart_count.into(),
        driver: "overlay2".into(),
        platform: "linux".into(),
        exec_ids: (!view.exec_ids.is_empty()).then(|| view.exec_ids.clone()),
        host_config: host_config(&record.spec),
        graph_driver: GraphDriver {
            name: "overlay2".into(),
            data: None,
        },
        mounts: mounts(record, volumes),
        config: config(record),
        network_settings: settings(record),
        ..ContainerInspect::default()
    }
}

fn state(record: &Record) -> ContainerState {
    let state = &record.state;
    ContainerState {
        status: state.status.as_str().into(),
        // A restarting container counts as running, as with Docker.
        running: state.status.is_up() || state.status == Status::Restarting,
        paused: state.status == Status::Paused,
        restarting: state.status == Status::Restarting,
        oom_killed: state.oom_killed,
        dead: state.status == Status::Dead,
        pid: if state.status.is_up() {
            state.pid.into()
        } else {
            0
        },
        exit_code: state.exit_code.into(),
        error: state.error.clone(),
        started_at: rfc3339(state.started_at_ns),
        finished_at: rfc3339(state.finished_at_ns),
        health: state.health.as_ref().map(super::health::health),
    }
}

fn config(record: &Record) -> ContainerConfig {
    let (spec, resolved) = (&record.spec, &record.resolved);
    let words = |list: &[String]| (!list.is_empty()).then(|| Words(list.to_vec()));
    let anonymous = record.volumes.iter().filter(|volume| volume.anonymous);
    let volumes: BTreeMap<_, _> = anonymous
        .map(|volume| (volume.target.clone(), Present))
        .collect();
    ContainerConfig {
        hostname: resolved.hostname.clone(),
        domainname: spec.domainname.clone().unwrap_or_default(),
        user: resolved.user.clone(),
        attach_stdin: spec.attached.stdin,
        attach_stdout: spec.attached.stdout,
        attach_stderr: spec.attached.stderr,
        exposed_ports: resolved
            .exposed
            .iter()
            .map(|(port, protocol)| (format!("{port}/{}", protocol.as_str()), Present))
            .collect(),
        tty: spec.tty,
        open_stdin: spec.open_stdin,
        stdin_once: spec.stdin_once,
        env: resolved.env.clone(),
        cmd: words(&resolved.cmd),
        image: spec.image.clone(),
        volumes: (!volumes.is_empty()).then_some(volumes),
        working_dir: resolved.cwd.clone(),
        entrypoint: words(&resolved.entrypoint),
        on_build: None,
        labels: resolved.labels.clone(),
        stop_signal: spec.stop_signal.clone().unwrap_or_default(),
        stop_timeout: spec.stop_timeout_seconds,
        healthcheck: resolved.health.as_ref().map(super::health::check),
    }
}

fn mounts(record: &Record, volumes: &VolumePaths) -> Vec<MountPoint> {
    let mut list: Vec<MountPoint> = Vec::new();
    for used in &record.volumes {
        let wish = record
            .spec
            .mounts
            .iter()
            .find(|mount| mount.target == used.target);
        let read_only = wish.is_some_and(|mount| mount.read_only);
        list.push(MountPoint {
            r#type: "volume".into(),
            name: used.name.clone(),
            source: volumes.get(&used.name).cloned().unwrap_or_default(),
            destination: used.target.clone(),
            driver: "local".into(),
            mode: if read_only {
                "ro".into()
            } else {
                String::new()
            },
            rw: !read_only,
            propagation: String::new(),
        });
    }
    for mount in &record.spec.mounts {
        let (kind, source, propagation) = match &mount.source {
            MountSource::Volume { .. } => continue,
            MountSource::Bind {
                path, propagation, ..
            } if propagation.is_empty() => ("bind", path.clone(), "rprivate".to_owned()),
            MountSource::Bind {
                path, propagation, ..
            } => ("bind", path.clone(), propagation.clone()),
            MountSource::Beneath { root, path, .. } => (
                "bind",
                super::host::joined(root, path),
                "rprivate".to_owned(),
            ),
            MountSource::Tmpfs { .. } => ("tmpfs", String::new(), String::new()),
        };
        list.push(MountPoint {
            r#type: kind.into(),
            name: String::new(),
            source,
            destination: mount.target.clone(),
            driver: String::new(),
            mode: if mount.read_only {
                "ro".into()
            } else {
                String::new()
            },
            rw: !mount.read_only,
            propagation,
        });
    }
    list.sort_by(|a, b| a.destination.cmp(&b.destination));
    list
}

//! The create request: its portable part, and the call of every other part.
//!
//! Values that depend on the image are left for the engine to merge.

use std::collections::BTreeMap;

use weft_api::docker::text::size;
use weft_api::docker::{ContainerCreateRequest, HostConfig};
use weft_engine::Spec;
use weft_engine::spec::{AttachedStreams, LogSpec, RestartPolicy};

use super::{Refusals, health, mounts, network, ports, resources, security};
use crate::error::ApiError;

/// Linux' HOST_NAME_MAX.
const HOSTNAME_MAX: usize = 64;

/// Lowers the body of `POST /containers/create`.
pub fn container(body: ContainerCreateRequest) -> Result<Spec, ApiError> {
    let mut no = Refusals::default();
    check_portable(&mut no, &body);
    let host = &body.host_config;
    host_rest(&mut no, host);
    let restart = restart_policy(&mut no, &host.restart_policy);
    if host.auto_remove && restart != RestartPolicy::No {
        no.invalid("can't create 'AutoRemove' container with restart policy");
    }
    let network = network::mode(&mut no, &body);
    let spec = Spec {
        entrypoint: body.entrypoint.map(|words| words.0),
        cmd: body
            .cmd
            .map(|words| words.0)
            .filter(|words| !words.is_empty()),
        env: body.env,
        cwd: some(body.working_dir),
        user: some(body.user),
        group_add: host.group_add.clone(),
        hostname: some(body.hostname),
        domainname: some(body.domainname),
        tty: body.tty,
        console_size: match host.console_size {
            [0, _] | [_, 0] => None,
            [rows, cols] => Some((rows, cols)),
        },
        open_stdin: body.open_stdin,
        stdin_once: body.stdin_once,
        attached: AttachedStreams {
            stdin: body.attach_stdin,
            stdout: body.attach_stdout,
            stderr: body.attach_stderr,
        },
        labels: body.labels,
        stop_signal: some(body.stop_signal),
        stop_timeout_seconds: body.stop_timeout,
        restart,
        auto_remove: host.auto_remove,
        network,
        ports: ports::published(&mut no, &host.port_bindings),
        publish_all: host.publish_all_ports,
        exposed: ports::exposed(&mut no, &body.exposed_ports),
        dns: network::dns(&mut no, host),
        extra_hosts: network::extra_hosts(&mut no, &host.extra_hosts),
        mounts: mounts::all(&mut no, host, &body.volumes),
        security: security::security(&mut no, host),
        resources: resources::resources(&mut no, host),
        devices: resources::devices(&mut no, host),
        device_rules: resources::device_rules(&mut no, host),
        init: host.init.unwrap_or(false),
        log: log(&mut no, &host.log_config),
        shm_bytes: resources::positive(&mut no, "HostConfig.ShmSize", host.shm_size)
            .and_then(|bytes| u64::try_from(bytes).ok()),
        health: health::health(&mut no, body.healthcheck.as_ref()),
        image: body.image,
    };
    no.check()?;
    Ok(spec)
}

pub(super) fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn check_portable(no: &mut Refusals, body: &ContainerCreateRequest) {
    no.rest("", &body.rest);
    if body.image.is_empty() {
        no.invalid("no image given: 'Image' is empty");
    }
    for (member, name) in [
        ("Hostname", &body.hostname),
        ("Domainname", &body.domainname),
    ] {
        // They become words of /etc/hosts: one with a line break would be further entries.
        let breaks = |c: char| c == '/' || c == '#' || c.is_whitespace() || c.is_control();
        if name.len() > HOSTNAME_MAX || name.contains(breaks) {
            no.invalid(format!(
                "{member}: '{}' must be at most {HOSTNAME_MAX} bytes, without '/', '#', blanks and \
                 line breaks",
                name.escape_debug()
            ));
        }
    }
    if !body.working_dir.is_empty() && !body.working_dir.starts_with('/') {
        no.invalid(format!(
            "WorkingDir: '{}' is not an absolute path",
            body.working_dir
        ));
    }
    for entry in body
        .env
        .iter()
        .filter(|e| e.is_empty() || e.starts_with('='))
    {
        no.invalid(format!("Env: invalid environment variable: '{entry}'"));
    }
    for name in body.labels.keys().filter(|name| name.is_empty()) {
        no.invalid(format!("Labels: '{name}': a label needs a name"));
    }
    no.unsupported_if(
        body.network_disabled && body.host_config.network_mode != "none",
        "NetworkDisabled (use the network 'none')",
    );
}

fn host_rest(no: &mut Refusals, host: &HostConfig) {
    no.rest_but("HostConfig.", &host.rest, |name, value| {
        let text = value.as_str();
        match name {
            "VolumeDriver" => text == Some("local"),
            "Isolation" => text == Some("default"),
            "Runtime" => text == Some("weft"),
            _ => false,
        }
    });
}

/// Docker's words for restart policies.
pub(super) fn restart_policy(
    no: &mut Refusals,
    policy: &weft_api::docker::RestartPolicy,
) -> RestartPolicy {
    no.rest("HostConfig.RestartPolicy.", &policy.rest);
    let max = policy.maximum_retry_count;
    if policy.name != "on-failure" && max != 0 {
        no.invalid("RestartPolicy: maximum retry count can only be used with 'on-failure'");
    }
    match policy.name.as_str() {
        "" | "no" => RestartPolicy::No,
        "always" => RestartPolicy::Always,
        "unless-stopped" => RestartPolicy::UnlessStopped,
        "on-failure" => {
            let max = u32::try_from(max).unwrap_or_else(|_| {
                no.invalid("RestartPolicy: maximum retry count is out of range");
                0
            });
            RestartPolicy::OnFailure { max }
        }
        other => {
            no.invalid(format!(
                "RestartPolicy: unknown policy '{other}'; use one of 'no', 'always', \
                 'on-failure', or 'unless-stopped'"
            ));
            RestartPolicy::No
        }
    }
}

fn log(no: &mut Refusals, config: &weft_api::docker::LogConfig) -> LogSpec {
    no.rest("HostConfig.LogConfig.", &config.rest);
    let mut log = LogSpec::default();
    match config.r#type.as_str() {
        "" => {}
        "json-file" | "local" => log.driver = config.r#type.clone(),
        "none" => {
            log.driver = "none".into();
            log.enabled = false;
        }
        other => no.unsupported(format!("HostConfig.LogConfig.Type '{other}'")),
    }
    log_options(no, &config.config, &mut log);
    log
}

fn log_options(no: &mut Refusals, options: &BTreeMap<String, String>, log: &mut LogSpec) {
    for (name, value) in options {
        match name.as_str() {
            "max-size" => match size(value).filter(|bytes| *bytes > 0) {
                Some(bytes) => log.max_size_bytes = bytes,
                None => no.invalid(format!("LogConfig max-size: '{value}' is not a size")),
            },
            "max-file" => match value
                .parse()
                .ok()
                .filter(|count| (1..=1000).contains(count))
            {
                Some(count) => log.max_files = count,
                None => no.invalid(format!(
                    "LogConfig max-file: '{value}' is not within 1..1000"
                )),
            },
            "mode" if value == "blocking" => {}
            "compress" if value == "false" => {}
            other => no.unsupported(format!("log option '{other}={value}'")),
        }
    }
}

#[cfg(test)]
#[path = "container_tests.rs"]
mod tests;

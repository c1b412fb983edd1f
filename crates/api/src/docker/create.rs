//! Requests that make or change a container: create, update, and what create answers.
//!
//! What the container may use of the host is in `host`.

use std::collections::BTreeMap;

use super::{EndpointSettings, HostConfig, RestartPolicy, Set, Words};

wire! {
    /// Body of `POST /containers/create`.
    pub struct ContainerCreateRequest {
        hostname: String,
        domainname: String,
        user: String,
        attach_stdin: bool,
        attach_stdout: bool,
        attach_stderr: bool,
        exposed_ports: Set,
        tty: bool,
        open_stdin: bool,
        stdin_once: bool,
        env: Vec<String>,
        cmd: Option<Words>,
        image: String,
        volumes: Set,
        working_dir: String,
        entrypoint: Option<Words>,
        network_disabled: bool,
        mac_address: String,
        labels: BTreeMap<String, String>,
        stop_signal: String,
        stop_timeout: Option<i64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        healthcheck: Option<HealthConfig>,
        host_config: HostConfig,
        networking_config: NetworkingConfig,
        ..rest
    }

    /// How to find out whether a container is well; durations in nanoseconds. What is empty or zero
    /// is inherited.
    pub struct HealthConfig {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        test: Vec<String>,
        #[serde(skip_serializing_if = "is_zero")]
        interval: i64,
        #[serde(skip_serializing_if = "is_zero")]
        timeout: i64,
        #[serde(skip_serializing_if = "is_zero")]
        start_period: i64,
        #[serde(skip_serializing_if = "is_zero")]
        start_interval: i64,
        #[serde(skip_serializing_if = "is_zero")]
        retries: i64,
        ..rest
    }

    /// Networks a new container joins.
    pub struct NetworkingConfig {
        endpoints_config: BTreeMap<String, Option<EndpointSettings>>,
        ..rest
    }

    /// Answer of `POST /containers/create`.
    pub struct ContainerCreateResponse {
        id: String,
        warnings: Vec<String>,
    }

    /// Body of `POST /containers/{id}/update`: absent or zero means "as it is".
    pub struct ContainerUpdateRequest {
        memory: i64,
        memory_swap: i64,
        memory_reservation: i64,
        nano_cpus: i64,
        cpu_shares: i64,
        cpu_quota: i64,
        cpu_period: i64,
        cpuset_cpus: String,
        cpuset_mems: String,
        pids_limit: Option<i64>,
        blkio_weight: u16,
        restart_policy: RestartPolicy,
        ..rest
    }

    /// Answer of `POST /containers/{id}/update`.
    pub struct ContainerUpdateResponse {
        warnings: Vec<String>,
    }
}
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over references"
)]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

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
        host_config: HostConfig,
        networking_config: NetworkingConfig,
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

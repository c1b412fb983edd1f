//! Owns the way back: a configuration as it is written.

use std::collections::BTreeMap;

use super::{ExposedPort, Healthcheck, History, ImageConfig};
use crate::digest::Digest;
use crate::wire;

pub(super) fn raise(config: &ImageConfig) -> wire::ConfigWire {
    let list = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
    let text = |text: &String| (!text.is_empty()).then(|| text.clone());
    let nothing = || serde_json::Value::Object(serde_json::Map::new());
    let port = |port: &ExposedPort| {
        let range = if port.first == port.last {
            port.first.to_string()
        } else {
            format!("{}-{}", port.first, port.last)
        };
        (format!("{range}/{}", port.protocol), nothing())
    };
    let ports: BTreeMap<_, _> = config.exposed_ports.iter().map(port).collect();
    let volumes: BTreeMap<_, _> = config
        .volumes
        .iter()
        .map(|path| (path.clone(), nothing()))
        .collect();
    wire::ConfigWire {
        created: config.created.clone(),
        author: config.author.clone(),
        architecture: config.architecture.clone(),
        os: config.os.clone(),
        variant: config.variant.clone(),
        config: Some(wire::ProcessWire {
            user: text(&config.user),
            exposed_ports: (!ports.is_empty()).then_some(ports),
            env: list(&config.env),
            entrypoint: list(&config.entrypoint),
            cmd: list(&config.cmd),
            volumes: (!volumes.is_empty()).then_some(volumes),
            working_dir: text(&config.working_dir),
            labels: (!config.labels.is_empty()).then(|| config.labels.clone()),
            stop_signal: config.stop_signal.clone(),
            healthcheck: config.healthcheck.as_ref().map(raise_healthcheck),
            on_build: list(&config.on_build),
            shell: list(&config.shell),
        }),
        rootfs: Some(wire::RootfsWire {
            kind: "layers".to_owned(),
            diff_ids: config.diff_ids.iter().map(Digest::to_string).collect(),
        }),
        history: Some(config.history.iter().map(raise_history).collect()),
    }
}

fn raise_healthcheck(check: &Healthcheck) -> wire::HealthcheckWire {
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    wire::HealthcheckWire {
        test: Some(check.test.clone()),
        interval: signed(check.interval_ns),
        timeout: signed(check.timeout_ns),
        start_period: signed(check.start_period_ns),
        start_interval: signed(check.start_interval_ns),
        retries: i64::from(check.retries),
    }
}

fn raise_history(step: &History) -> wire::HistoryWire {
    let text = |text: &String| (!text.is_empty()).then(|| text.clone());
    wire::HistoryWire {
        created: step.created.clone(),
        created_by: text(&step.created_by),
        comment: text(&step.comment),
        empty_layer: step.empty_layer,
    }
}

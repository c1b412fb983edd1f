//! Health checks and what they found, as inspect shows them.

use weft_api::docker::{Health, HealthConfig, HealthcheckResult};
use weft_engine::spec::HealthSpec;

use super::time::rfc3339;

fn signed(ns: u64) -> i64 {
    i64::try_from(ns).unwrap_or(i64::MAX)
}

/// A container's check.
pub fn check(spec: &HealthSpec) -> HealthConfig {
    HealthConfig {
        test: spec.test.clone(),
        interval: signed(spec.interval_ns),
        timeout: signed(spec.timeout_ns),
        start_period: signed(spec.start_period_ns),
        start_interval: signed(spec.start_interval_ns),
        retries: spec.retries.into(),
        ..HealthConfig::default()
    }
}

/// An image's check.
pub fn image_check(check: &weft_image::Healthcheck) -> HealthConfig {
    HealthConfig {
        test: check.test.clone(),
        interval: signed(check.interval_ns),
        timeout: signed(check.timeout_ns),
        start_period: signed(check.start_period_ns),
        start_interval: signed(check.start_interval_ns),
        retries: check.retries.into(),
        ..HealthConfig::default()
    }
}

/// What was found.
pub fn health(health: &weft_engine::container::Health) -> Health {
    let raise = |probe: &weft_engine::container::Probe| HealthcheckResult {
        start: rfc3339(probe.started_at_ns),
        end: rfc3339(probe.ended_at_ns),
        exit_code: probe.exit_code.into(),
        output: probe.output.clone(),
    };
    Health {
        status: health.status.as_str().into(),
        failing_streak: health.failing_streak.into(),
        log: health.log.iter().map(raise).collect(),
    }
}

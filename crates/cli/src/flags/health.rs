//! Flags about how well the container is.

use weft_api::docker::{ContainerCreateRequest, HealthConfig};

use super::topic::Topic;
use super::{invalid, values};
use crate::error::CliError;

/// How to find out whether the container is well.
#[derive(Debug, Default, clap::Args)]
pub struct HealthFlags {
    /// Command that finds out whether the container is well
    #[arg(long, value_name = "COMMAND")]
    pub health_cmd: Option<String>,
    /// Time between two such checks, 30s if neither this nor the image says
    #[arg(long, value_name = "DURATION", value_parser = values::duration, allow_hyphen_values = true)]
    pub health_interval: Option<i64>,
    /// Failures in a row that make the container unhealthy
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub health_retries: Option<i64>,
    /// Time after the start in which failures do not count
    #[arg(long, value_name = "DURATION", value_parser = values::duration, allow_hyphen_values = true)]
    pub health_start_period: Option<i64>,
    /// Time between two checks in the start period
    #[arg(long, value_name = "DURATION", value_parser = values::duration, allow_hyphen_values = true)]
    pub health_start_interval: Option<i64>,
    /// Time one check may take
    #[arg(long, value_name = "DURATION", value_parser = values::duration, allow_hyphen_values = true)]
    pub health_timeout: Option<i64>,
    /// Do not do the image's health check
    #[arg(long)]
    pub no_healthcheck: bool,
}

impl Topic for HealthFlags {
    const NAMES: &'static [&'static str] = &[
        "health-cmd",
        "health-interval",
        "health-retries",
        "health-start-period",
        "health-start-interval",
        "health-timeout",
        "no-healthcheck",
    ];
}

impl HealthFlags {
    pub(super) fn lower(&self, body: &mut ContainerCreateRequest) -> Result<(), CliError> {
        let number = |number: Option<i64>| number.unwrap_or_default();
        let command = self.health_cmd.as_ref().filter(|line| !line.is_empty());
        let config = HealthConfig {
            test: command
                .map(|line| vec!["CMD-SHELL".to_owned(), line.clone()])
                .unwrap_or_default(),
            interval: number(self.health_interval),
            timeout: number(self.health_timeout),
            start_period: number(self.health_start_period),
            start_interval: number(self.health_start_interval),
            retries: number(self.health_retries),
            ..HealthConfig::default()
        };
        let is_set = config != HealthConfig::default();
        if self.no_healthcheck {
            if is_set {
                return Err(invalid(
                    "--no-healthcheck conflicts with --health-* options",
                ));
            }
            body.healthcheck = Some(HealthConfig {
                test: vec!["NONE".to_owned()],
                ..HealthConfig::default()
            });
            return Ok(());
        }
        for (flag, value) in [
            ("interval", config.interval),
            ("timeout", config.timeout),
            ("retries", config.retries),
            ("start-period", config.start_period),
            ("start-interval", config.start_interval),
        ] {
            if value < 0 {
                return Err(invalid(format!("--health-{flag} cannot be negative")));
            }
        }
        body.healthcheck = is_set.then_some(config);
        Ok(())
    }
}

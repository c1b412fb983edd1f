//! Why a container of this machine is as it is.

use jiff::Timestamp;
use weft_api::docker::ContainerInspect;

use super::cause::{Finding, ago};
use super::container::short;
use crate::error::CliError;
use crate::session::Session;

/// Asks the engine; the container as it is named, and what is with it.
pub(super) async fn ask(session: &Session, word: &str) -> Result<(String, Finding), CliError> {
    let engine = session.engine().await?;
    let found = engine.inspect_container(word).await.map_err(|error| {
        let is_missing = error.is_not_found();
        let error = CliError::from(error);
        match is_missing {
            true => error.hint(format!(
                "an object of a server is named with its kind: weft why pod/{word}"
            )),
            false => error,
        }
    })?;
    let finding = finding(&found, Timestamp::now());
    Ok((
        format!("container/{}", found.name.trim_start_matches('/')),
        finding,
    ))
}

/// What is with a container. Pure.
pub(super) fn finding(container: &ContainerInspect, now: Timestamp) -> Finding {
    let state = &container.state;
    let own = container.name.trim_start_matches('/');
    let restarts = match container.restart_count {
        0 => String::new(),
        count => format!(", restarted {count} times"),
    };
    judge(container, now).under(
        format!("container/{own}"),
        format!(
            "{}{restarts}, image {}",
            state.status, container.config.image
        ),
    )
}

fn judge(container: &ContainerInspect, now: Timestamp) -> Finding {
    let state = &container.state;
    let own = container.name.trim_start_matches('/');
    let logs = format!("`weft logs {own}` shows what it said last");
    let code = state.exit_code;
    let limit = container.host_config.memory;
    if state.oom_killed && !state.running {
        let limit = match limit {
            0 => "the machine had no memory left".to_owned(),
            limit => format!("it needs more than its limit of {} MiB", limit >> 20),
        };
        return Finding::wrong(
            format!("{own} was killed for its memory: {limit}"),
            format!("`weft update --memory SIZE {own}` raises it"),
        );
    }
    if !state.error.is_empty() && !state.running {
        return Finding::wrong(
            format!("{own} could not be started: {}", short(&state.error)),
            "correct what it says, and make the container anew",
        );
    }
    let signal = match code {
        129..=159 => format!(" (killed by signal {})", code - 128),
        126 => " (a command may not be executed)".to_owned(),
        127 => " (a command was not found)".to_owned(),
        _ => String::new(),
    };
    match state.status.as_str() {
        "running" => running(container, now),
        "paused" => Finding::wrong(
            format!("{own} is paused"),
            format!("`weft unpause {own}` lets it go on"),
        ),
        "restarting" => Finding::wrong(
            format!("{own} ends with code {code}{signal} each time, and waits to be started again"),
            logs,
        ),
        "created" => Finding::waiting(
            format!("{own} was made and never started"),
            format!("`weft start {own}`"),
        ),
        "removing" => Finding::waiting(format!("{own} is being removed"), "wait a little"),
        "dead" => Finding::wrong(
            format!("{own} could not be removed altogether"),
            format!("`weft rm -f {own}` tries again"),
        ),
        _ => {
            let since = ago(&state.finished_at, now);
            match code {
                0 => Finding::well(format!("{own} did its work and ended {since} ago")),
                code => Finding::wrong(
                    format!("{own} ended {since} ago with code {code}{signal}"),
                    logs,
                ),
            }
        }
    }
}

/// One that runs: well, as far as its health check says.
fn running(container: &ContainerInspect, now: Timestamp) -> Finding {
    let state = &container.state;
    let own = container.name.trim_start_matches('/');
    let logs = format!("`weft logs {own}` shows what it said last");
    let health = state.health.as_ref();
    match health.map(|health| health.status.as_str()) {
        Some("unhealthy") => {
            let last = health.and_then(|health| health.log.last());
            let said = last.map(|one| short(&one.output)).unwrap_or_default();
            Finding::wrong(
                format!("{own} runs, but its health check fails: {said}"),
                logs,
            )
        }
        Some("starting") => Finding::waiting(
            format!("{own} runs, and its health check has not succeeded yet"),
            "wait a little",
        ),
        _ => Finding::well(format!("{own} runs, for {}", ago(&state.started_at, now))),
    }
}

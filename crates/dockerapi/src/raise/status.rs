//! The sentence `docker ps` shows for a container's state.
//!
//! The clock is an argument.

use jiff::Timestamp;
use weft_engine::container::{HealthStatus, State, Status};

use super::time::ago;

/// `Up 5 minutes (Paused)`, `Exited (0) 2 hours ago`, …
pub fn status(state: &State, now: Timestamp) -> String {
    let code = state.exit_code;
    match state.status {
        Status::Created => "Created".into(),
        Status::Running => {
            let up = ago(state.started_at_ns, now);
            match state.health.as_ref().map(|health| health.status) {
                None => format!("Up {up}"),
                Some(HealthStatus::Starting) => format!("Up {up} (health: starting)"),
                Some(decided) => format!("Up {up} ({})", decided.as_str()),
            }
        }
        Status::Paused => format!("Up {} (Paused)", ago(state.started_at_ns, now)),
        Status::Restarting => format!("Restarting ({code}) {} ago", ago(state.finished_at_ns, now)),
        Status::Exited => format!("Exited ({code}) {} ago", ago(state.finished_at_ns, now)),
        Status::Removing => "Removal In Progress".into(),
        Status::Dead => "Dead".into(),
    }
}

#[cfg(test)]
mod tests {
    use weft_engine::container::Health;

    use super::*;

    #[test]
    fn sentences() {
        let now: Timestamp = "2024-01-01T00:00:00Z".parse().unwrap();
        let ns = (now.as_second() - 120) * 1_000_000_000;
        let mut state = State {
            started_at_ns: ns,
            finished_at_ns: ns,
            ..State::default()
        };
        let mut check = |status_is, code, words: &str| {
            state.status = status_is;
            state.exit_code = code;
            assert_eq!(status(&state, now), words);
        };
        check(Status::Created, 0, "Created");
        check(Status::Running, 0, "Up 2 minutes");
        check(Status::Paused, 0, "Up 2 minutes (Paused)");
        check(Status::Exited, 137, "Exited (137) 2 minutes ago");
        check(Status::Restarting, 1, "Restarting (1) 2 minutes ago");
        for (health, words) in [
            (HealthStatus::Starting, "Up 2 minutes (health: starting)"),
            (HealthStatus::Healthy, "Up 2 minutes (healthy)"),
            (HealthStatus::Unhealthy, "Up 2 minutes (unhealthy)"),
        ] {
            state.status = Status::Running;
            state.health = Some(Health {
                status: health,
                ..Health::default()
            });
            assert_eq!(status(&state, now), words);
        }
        state.status = Status::Paused;
        assert_eq!(status(&state, now), "Up 2 minutes (Paused)");
    }
}

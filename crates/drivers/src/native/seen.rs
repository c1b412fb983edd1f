//! From what the engine says of containers and sandboxes to what the agent is told.

use weft_driver::{ContainerSeen, RunState, SandboxSeen};
use weft_engine::container::{Status, View};
use weft_engine::sandbox::SandboxView;

use super::{ATTEMPT, CONTAINER, HASH};

pub(super) fn sandbox(view: &SandboxView) -> SandboxSeen {
    SandboxSeen {
        ready: view.ready,
        started_at_ns: view.started_at_ns,
        ip: view.address,
        netns: view.netns.clone(),
    }
}

pub(super) fn container(view: &View) -> ContainerSeen {
    let record = &view.record;
    let label = |name: &str| {
        record
            .resolved
            .labels
            .get(name)
            .cloned()
            .unwrap_or_default()
    };
    let state = &record.state;
    let run = match state.status {
        Status::Running | Status::Paused => RunState::Running {
            started_at_ns: state.started_at_ns,
            pid: state.pid,
        },
        Status::Created => RunState::Made,
        _ => RunState::Ended {
            started_at_ns: state.started_at_ns,
            finished_at_ns: state.finished_at_ns,
            code: state.exit_code,
            oom_killed: state.oom_killed,
            error: state.error.clone(),
        },
    };
    ContainerSeen {
        id: record.id.clone(),
        name: label(CONTAINER),
        attempt: label(ATTEMPT).parse().unwrap_or(0),
        image: record.spec.image.clone(),
        image_id: record.image_id.clone(),
        hash: label(HASH),
        created_at_ns: record.created_at_ns,
        state: run,
    }
}

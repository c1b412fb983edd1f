//! The update request: what of a container's limits and policy changes.
//!
//! Absent and zero mean "as it is"; merging is the engine's.

use weft_api::docker::ContainerUpdateRequest;
use weft_engine::spec::{Resources, RestartPolicy};

use super::{Refusals, container, resources};
use crate::error::ApiError;

/// Lowers the body of `POST /containers/{id}/update`: the limits named, and the policy if named.
pub fn update(
    body: &ContainerUpdateRequest,
) -> Result<(Resources, Option<RestartPolicy>), ApiError> {
    let mut no = Refusals::default();
    no.rest_but("", &body.rest, |name, value| {
        name == "MemorySwappiness" && value.as_i64() == Some(-1)
    });
    let limits = Resources {
        memory_bytes: resources::positive(&mut no, "Memory", body.memory),
        memory_reservation_bytes: resources::positive(
            &mut no,
            "MemoryReservation",
            body.memory_reservation,
        ),
        memory_swap_bytes: resources::non_zero(body.memory_swap),
        nano_cpus: resources::positive(&mut no, "NanoCpus", body.nano_cpus),
        cpu_shares: resources::positive(&mut no, "CpuShares", body.cpu_shares)
            .map(i64::unsigned_abs),
        cpu_quota_us: resources::positive(&mut no, "CpuQuota", body.cpu_quota),
        cpu_period_us: resources::positive(&mut no, "CpuPeriod", body.cpu_period)
            .map(i64::unsigned_abs),
        cpuset_cpus: resources::cpuset(&mut no, "CpusetCpus", &body.cpuset_cpus),
        cpuset_mems: resources::cpuset(&mut no, "CpusetMems", &body.cpuset_mems),
        pids_limit: body.pids_limit.and_then(resources::pids_limit),
        blkio_weight: resources::blkio_weight(&mut no, body.blkio_weight),
        ..Resources::default()
    };
    let named = !body.restart_policy.name.is_empty();
    let policy = container::restart_policy(&mut no, &body.restart_policy);
    no.check()?;
    Ok((limits, named.then_some(policy)))
}

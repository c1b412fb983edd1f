//! Who a process is and what it may use: limits, capabilities, user, groups.
//!
//! Never: names; users and groups are numbers here.

use rustix::process::{Resource, getrlimit};
use weft_sys::process::{set_group, set_groups, set_limit, set_user};

use super::step::{Failure, Named, Step};
use crate::capabilities::{self, CapabilityError};
use crate::plan::{Limit, ProcessPlan};

/// Sets the out-of-memory score. Has to come before anything that makes `/proc/self` foreign.
pub(super) fn score(process: &ProcessPlan) -> Result<(), Failure> {
    let Some(score) = process.oom_score_adj else {
        return Ok(());
    };
    std::fs::write("/proc/self/oom_score_adj", score.to_string()).named(Step::Score, score)
}

/// Raises hard limits where the plan asks for more than there is: a right that is gone once a
/// user namespace is joined. The rest is done by [`limit`].
pub(super) fn raise_limits(limits: &[Limit]) -> Result<(), Failure> {
    for limit in limits {
        let Some(resource) = named(limit.resource) else {
            continue;
        };
        let now = getrlimit(resource);
        // `None` means without limit.
        if now.maximum.is_some_and(|hard| limit.hard > hard) {
            let soft = now.current.unwrap_or(u64::MAX);
            set_limit(limit.resource, soft, limit.hard).named(
                Step::RaiseLimit,
                format!("{} to {}", limit.name, amount(limit.hard)),
            )?;
        }
    }
    Ok(())
}

/// Sets the limits.
pub(super) fn limit(limits: &[Limit]) -> Result<(), Failure> {
    for limit in limits {
        let object = format!("{} to {}", limit.name, amount(limit.hard));
        set_limit(limit.resource, limit.soft, limit.hard).named(Step::Limit, object)?;
    }
    Ok(())
}

fn amount(value: u64) -> String {
    if value == u64::MAX {
        "unlimited".to_owned()
    } else {
        value.to_string()
    }
}

fn named(resource: u32) -> Option<Resource> {
    Some(match resource {
        0 => Resource::Cpu,
        1 => Resource::Fsize,
        2 => Resource::Data,
        3 => Resource::Stack,
        4 => Resource::Core,
        5 => Resource::Rss,
        6 => Resource::Nproc,
        7 => Resource::Nofile,
        8 => Resource::Memlock,
        9 => Resource::As,
        10 => Resource::Locks,
        11 => Resource::Sigpending,
        12 => Resource::Msgqueue,
        13 => Resource::Nice,
        14 => Resource::Rtprio,
        15 => Resource::Rttime,
        _ => return None,
    })
}

/// Gives the calling thread its user, groups and capabilities, for good.
pub(super) fn assume(process: &ProcessPlan) -> Result<(), Failure> {
    let become_user = || {
        set_groups(&process.groups)?;
        set_group(process.gid)?;
        set_user(process.uid)
    };
    let who = format!("{}:{}", process.uid, process.gid);
    let Some(sets) = &process.capabilities else {
        return become_user().named(Step::User, who);
    };
    match capabilities::apply(sets, become_user) {
        Ok(()) => Ok(()),
        Err(CapabilityError::Identity(error)) => Err(Failure::new(Step::User, who, &error)),
        Err(CapabilityError::Kernel { step, source }) => {
            Err(Failure::new(Step::Capabilities, step, &source))
        }
        Err(other) => {
            let error = std::io::Error::other(other.to_string());
            Err(Failure::new(Step::Capabilities, "", &error))
        }
    }
}

/// Root in the user namespace that was just joined, so that what is made belongs to somebody.
pub(super) fn become_root() -> Result<(), Failure> {
    set_groups(&[])
        .and_then(|()| set_group(0))
        .and_then(|()| set_user(0))
        .named(Step::User, "0:0 of the user namespace")
}

//! update: limits and restart policy of a container that exists, running or not.

use oci_spec::runtime::LinuxResources;

use crate::engine::Engine;
use crate::error::{EngineError, ErrorCode, Result};
use crate::spec::{Resources, RestartPolicy};

impl Engine {
    /// Lays `resources` over the container's own; absent ones stay as they are.
    ///
    /// # Errors
    /// A limit this machine can't set: nothing is then changed.
    pub async fn update(
        &self,
        reference: &str,
        resources: Resources,
        restart: Option<RestartPolicy>,
    ) -> Result<()> {
        let container = self.find(reference)?;
        let _operation = container.operation.lock().await;
        if restart.is_some_and(|r| r != RestartPolicy::No) && container.with(|r| r.spec.auto_remove)
        {
            return Err(EngineError::conflict(
                "Restart policy cannot be updated because AutoRemove is enabled for the container",
            ));
        }
        let mut record = container.record();
        overlay(&mut record.spec.resources, resources);
        if container.state().status.is_up() {
            let limits = crate::oci::limits(&record, &self.inner.controllers)?;
            let limits: LinuxResources = serde_json::from_value(limits)
                .map_err(|e| EngineError::internal("describe the limits", e))?;
            let path = self.cgroup_path(&container.id);
            self.blocking(move |engine| engine.inner.cgroups.open(&path)?.update(&limits))
                .await
                .map_err(|e| {
                    EngineError::caused(
                        ErrorCode::Precondition,
                        format!("update container {reference}"),
                        e,
                    )
                })?;
        }
        self.save(&container, |r| {
            r.spec.resources = record.spec.resources;
            if let Some(policy) = restart {
                r.spec.restart = policy;
            }
        })?;
        self.emit(&container, "update", &[]);
        Ok(())
    }
}

fn overlay(old: &mut Resources, new: Resources) {
    fn put<T>(old: &mut Option<T>, new: Option<T>) {
        if new.is_some() {
            *old = new;
        }
    }
    // --cpus and --cpu-quota are two words for one limit: the newer one counts.
    if new.nano_cpus.is_some() {
        old.cpu_quota_us = None;
        old.cpu_period_us = None;
    }
    if new.cpu_quota_us.is_some() || new.cpu_period_us.is_some() {
        old.nano_cpus = None;
    }
    put(&mut old.memory_bytes, new.memory_bytes);
    put(
        &mut old.memory_reservation_bytes,
        new.memory_reservation_bytes,
    );
    put(&mut old.memory_swap_bytes, new.memory_swap_bytes);
    put(&mut old.nano_cpus, new.nano_cpus);
    put(&mut old.cpu_shares, new.cpu_shares);
    put(&mut old.cpu_quota_us, new.cpu_quota_us);
    put(&mut old.cpu_period_us, new.cpu_period_us);
    put(&mut old.cpuset_cpus, new.cpuset_cpus);
    put(&mut old.cpuset_mems, new.cpuset_mems);
    put(&mut old.pids_limit, new.pids_limit);
    put(&mut old.blkio_weight, new.blkio_weight);
}

//! list, inspect, diff: looking at containers.

use weft_image::{Change, Snapshotter};

use crate::container::handle::Container;
use crate::container::record::Record;
use crate::container::{ListFilter, View};
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::spec::{MountSource, NetworkMode};

impl Engine {
    /// The containers that pass `filter`, newest first.
    ///
    /// # Errors
    /// `before` or `since` name no container.
    pub fn list(&self, filter: &ListFilter) -> Result<Vec<View>> {
        let bound = |reference: &Option<String>| -> Result<Option<i64>> {
            reference
                .as_ref()
                .map(|r| Ok(self.find(r)?.with(|c| c.created_at_ns)))
                .transpose()
        };
        let (before, since) = (bound(&filter.before)?, bound(&filter.since)?);
        let ancestors: Vec<String> = filter
            .ancestors
            .iter()
            .filter_map(|a| self.image(a).ok())
            .map(|i| i.id.to_string())
            .collect();
        let everything = filter.all
            || filter.limit.is_some()
            || !filter.statuses.is_empty()
            || !filter.exited.is_empty();
        let mut views = Vec::new();
        for container in self.inner.containers.all() {
            let record = container.record();
            let fits = (everything || record.state.status.is_up())
                && before.is_none_or(|b| record.created_at_ns < b)
                && since.is_none_or(|s| record.created_at_ns > s)
                && (filter.ancestors.is_empty() || ancestors.contains(&record.image_id))
                && matches(&record, filter);
            if fits {
                views.push(self.view(&container));
            }
            if filter.limit.is_some_and(|l| views.len() >= l) {
                break;
            }
        }
        Ok(views)
    }

    /// One container.
    ///
    /// # Errors
    /// No such container.
    pub fn inspect(&self, reference: &str) -> Result<View> {
        Ok(self.view(&*self.find(reference)?))
    }

    fn view(&self, container: &Container) -> View {
        let record = container.record();
        View {
            network_files: self.network_files(&record),
            record,
            log_path: self.inner.paths.log(&container.id).display().to_string(),
            exec_ids: self.inner.execs.running(&container.id),
        }
    }

    /// What the container has changed below its root.
    ///
    /// # Errors
    /// Its files can't be read.
    pub async fn changes(&self, reference: &str) -> Result<Vec<Change>> {
        let container = self.find(reference)?;
        let targets = container.with(crate::mounts::targets);
        let id = container.id.clone();
        self.blocking(move |engine| engine.inner.images.snapshots().diff(&id, &targets))
            .await
            .map_err(|e| {
                EngineError::internal(format!("compare container {reference} with its image"), e)
            })
    }

    /// Bytes the container has written below its root.
    ///
    /// # Errors
    /// Its files can't be read.
    pub async fn written_bytes(&self, reference: &str) -> Result<u64> {
        let id = self.find(reference)?.id.clone();
        self.blocking(move |engine| engine.inner.images.snapshots().usage(&id))
            .await
            .map_err(|e| EngineError::internal(format!("measure container {reference}"), e))
    }

    /// Bytes on disk of what the container has written below its root, and of its log.
    ///
    /// # Errors
    /// Its files can't be read.
    pub async fn disk_bytes(&self, reference: &str) -> Result<u64> {
        let id = self.find(reference)?.id.clone();
        let written = self.written_bytes(&id).await?;
        self.blocking(move |engine| {
            let log = engine.inner.paths.log(&id);
            let beside = std::fs::read_dir(log.parent().unwrap_or(&log))?;
            // The log, and what it was before: `log.1`.
            let logs = beside
                .flatten()
                .filter(|one| one.file_name().as_encoded_bytes().starts_with(b"log"));
            logs.map(|one| weft_stdx::disk::used(&one.path()))
                .sum::<std::io::Result<u64>>()
        })
        .await
        .map(|logs| written.saturating_add(logs))
        .map_err(|e| EngineError::internal(format!("measure the log of container {reference}"), e))
    }
}

/// Within one filter any value may match; all filters have to.
fn matches(record: &Record, filter: &ListFilter) -> bool {
    let any = |list: &[String], test: &dyn Fn(&str) -> bool| {
        list.is_empty() || list.iter().any(|v| test(v))
    };
    any(&filter.ids, &|v| record.id.starts_with(v))
        && any(&filter.names, &|v| name_matches(&record.name, v))
        && (filter.statuses.is_empty() || filter.statuses.contains(&record.state.status))
        && filter.labels.iter().all(|l| label_matches(record, l))
        && any(&filter.networks, &|v| in_network(record, v))
        && any(&filter.volumes, &|v| has_volume(record, v))
        && (filter.exited.is_empty()
            || record.state.finished_at_ns != 0
                && !record.state.status.is_up()
                && filter.exited.contains(&record.state.exit_code))
        && any(&filter.publish, &|v| publishes(record, v))
        && (filter.healths.is_empty()
            || filter
                .healths
                .contains(&record.state.health.as_ref().map(|h| h.status)))
}

/// A part of the name; `^` and `$` anchor, a leading slash belongs to Docker's names.
fn name_matches(name: &str, pattern: &str) -> bool {
    let (start, rest) = match pattern.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let (end, rest) = match rest.strip_suffix('$') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let part = rest.strip_prefix('/').unwrap_or(rest);
    match (start, end) {
        (true, true) => name == part,
        (true, false) => name.starts_with(part),
        (false, true) => name.ends_with(part),
        (false, false) => name.contains(part),
    }
}

fn label_matches(record: &Record, wanted: &str) -> bool {
    let (key, value) = match wanted.split_once('=') {
        Some((k, v)) => (k, Some(v)),
        None => (wanted, None),
    };
    record
        .resolved
        .labels
        .get(key)
        .is_some_and(|have| value.is_none_or(|v| v == have))
}

fn in_network(record: &Record, wanted: &str) -> bool {
    match &record.spec.network {
        NetworkMode::None => wanted == "none",
        NetworkMode::Host => wanted == "host",
        NetworkMode::Container(_) | NetworkMode::Sandbox(_) => false,
        NetworkMode::Networks(list) => {
            list.iter().any(|n| {
                n.network == wanted
                    || n.network.is_empty() && matches!(wanted, "bridge" | "default")
            }) || record
                .attachments
                .iter()
                .any(|a| a.network == wanted || a.network_id == wanted)
        }
    }
}

fn has_volume(record: &Record, wanted: &str) -> bool {
    record.volumes.iter().any(|v| v.name == wanted)
        || record.spec.mounts.iter().any(|m| {
            m.target == wanted
                || matches!(&m.source, MountSource::Bind { path, .. } if path == wanted)
        })
}

/// `8080`, `8080/udp`: as a host or a container port.
fn publishes(record: &Record, wanted: &str) -> bool {
    let (port, protocol) = wanted.split_once('/').unwrap_or((wanted, "tcp"));
    let Ok(port) = port.parse::<u16>() else {
        return false;
    };
    record.attachments.iter().flat_map(|a| &a.ports).any(|p| {
        p.protocol.as_str() == protocol && (p.host_port == port || p.container_port == port)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_docker_users_write_them() {
        for (pattern, expect) in [
            ("web", true),
            ("eb", true),
            ("^web$", false),
            ("^web", true),
            ("^/web-1$", true),
            ("1$", true),
            ("^eb", false),
        ] {
            assert_eq!(name_matches("web-1", pattern), expect, "{pattern}");
        }
    }
}

//! `/metrics`: how the server is doing, in Prometheus' text form (exposition format 0.0.4).
//!
//! Owns: the numbers of requests, connections and watches.
//! Never: has a label that a client can choose: verbs, kinds and codes are known beforehand.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use weft_control::Failure;

use crate::answer::{self, Answer};
use crate::serve::Server;

/// Upper bounds of the histogram, in seconds.
const BOUNDS: [f64; 9] = [0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0];
/// Verbs there are; others are `other`.
const VERBS: [&str; 13] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "head",
    "list",
    "options",
    "patch",
    "post",
    "put",
    "update",
    "watch",
    "",
];
/// Most combinations of verb, kind and code; kinds can be added while the server runs.
const SERIES_MAX: usize = 20_000;

/// What a request was about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Label {
    pub(crate) verb: String,
    pub(crate) group: String,
    pub(crate) resource: String,
    pub(crate) code: u16,
}

#[derive(Clone, Copy, Debug, Default)]
struct Series {
    count: u64,
    seconds: f64,
    /// Not cumulative.
    buckets: [u64; BOUNDS.len()],
}

/// Counts.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: Mutex<BTreeMap<Label, Series>>,
    connections: AtomicI64,
    watches: AtomicI64,
}

/// Something that is open until it is dropped.
#[derive(Debug)]
pub(crate) struct Open(Arc<Metrics>, fn(&Metrics) -> &AtomicI64);

impl Open {
    fn new(metrics: &Arc<Metrics>, which: fn(&Metrics) -> &AtomicI64) -> Open {
        which(metrics).fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(metrics), which)
    }

    pub(crate) fn connection(metrics: &Arc<Metrics>) -> Open {
        Open::new(metrics, |metrics| &metrics.connections)
    }

    pub(crate) fn watch(metrics: &Arc<Metrics>) -> Open {
        Open::new(metrics, |metrics| &metrics.watches)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        (self.1)(&self.0).fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    /// A request was answered; of a watch, its head was.
    pub(crate) fn answered(&self, mut label: Label, took: Duration) {
        if !VERBS.contains(&label.verb.as_str()) {
            "other".clone_into(&mut label.verb);
        }
        let seconds = took.as_secs_f64();
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if requests.len() >= SERIES_MAX && !requests.contains_key(&label) {
            return;
        }
        let series = requests.entry(label).or_default();
        series.count += 1;
        series.seconds += seconds;
        if let Some(at) = BOUNDS.iter().position(|bound| seconds <= *bound) {
            series.buckets[at] += 1;
        }
    }

    fn requests(&self, out: &mut String) {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = requests.clone();
        let name = "apiserver_request_total";
        head(out, name, "counter", "Requests, by what they were about.");
        for (label, series) in &requests {
            let _ = writeln!(out, "{name}{{{}}} {}", text(label), series.count);
        }
        let name = "apiserver_request_duration_seconds";
        head(out, name, "histogram", "Time until an answer began.");
        for (label, series) in &requests {
            let (label, mut sum) = (text(label), 0);
            for (bound, count) in BOUNDS.iter().zip(series.buckets) {
                sum += count;
                let _ = writeln!(out, "{name}_bucket{{{label},le=\"{bound}\"}} {sum}");
            }
            let Series { count, seconds, .. } = series;
            let _ = writeln!(out, "{name}_bucket{{{label},le=\"+Inf\"}} {count}");
            let _ = writeln!(out, "{name}_sum{{{label}}} {seconds}");
            let _ = writeln!(out, "{name}_count{{{label}}} {count}");
        }
    }
}

fn text(label: &Label) -> String {
    let Label {
        verb,
        group,
        resource,
        code,
    } = label;
    format!("verb=\"{verb}\",group=\"{group}\",resource=\"{resource}\",code=\"{code}\"")
}

/// Answers `/metrics`.
///
/// # Errors
/// The store does not answer.
pub(crate) async fn answer(server: &Server) -> Result<Answer, Failure> {
    let mut out = String::with_capacity(16 << 10);
    let metrics = &server.metrics;
    metrics.requests(&mut out);
    let (audit, strangers) = (server.audit.count(), server.strangers.count());
    let gauge = |which: &AtomicI64| which.load(Ordering::Relaxed).to_string();
    let mut numbers = vec![
        (
            "weft_apiserver_connections",
            "gauge",
            "Connections that are open.",
            gauge(&metrics.connections),
        ),
        (
            "weft_apiserver_watches",
            "gauge",
            "Watches that are open.",
            gauge(&metrics.watches),
        ),
        (
            "weft_keyspace_revision",
            "gauge",
            "The newest revision.",
            server.store.revision().await?.to_string(),
        ),
        (
            "weft_audit_lines_total",
            "counter",
            "Lines of the audit logs since the start.",
            (audit.written + strangers.written).to_string(),
        ),
        (
            "weft_audit_dropped_total",
            "counter",
            "Requests the audit logs have lost.",
            (audit.dropped + strangers.dropped).to_string(),
        ),
    ];
    if let Ok(data) = std::fs::metadata(&server.keyspace_file) {
        let about = "Size of the keyspace's file.";
        numbers.push((
            "weft_keyspace_bytes",
            "gauge",
            about,
            data.len().to_string(),
        ));
    }
    if let Some(bytes) = resident_bytes() {
        let about = "Memory that is in use.";
        numbers.push((
            "process_resident_memory_bytes",
            "gauge",
            about,
            bytes.to_string(),
        ));
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        // One of them is this directory.
        let count = files.count().saturating_sub(1);
        let about = "Descriptors that are open.";
        numbers.push(("process_open_fds", "gauge", about, count.to_string()));
    }
    for (name, kind, about, value) in numbers {
        head(&mut out, name, kind, about);
        let _ = writeln!(out, "{name} {value}");
    }
    let media = "text/plain; version=0.0.4; charset=utf-8";
    Ok(answer::whole(StatusCode::OK, media, out))
}

fn head(out: &mut String, name: &str, kind: &str, about: &str) {
    let _ = writeln!(out, "# HELP {name} {about}\n# TYPE {name} {kind}");
}

/// `VmRSS` (proc_pid_status(5)), which is in KiB.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(verb: &str) -> Label {
        Label {
            verb: verb.to_owned(),
            group: "apps".to_owned(),
            resource: "deployments".to_owned(),
            code: 200,
        }
    }

    #[test]
    fn buckets_add_up() {
        let metrics = Metrics::default();
        for millis in [1, 3, 90_000] {
            metrics.answered(label("list"), Duration::from_millis(millis));
        }
        metrics.answered(label("BREW"), Duration::ZERO);
        let mut out = String::new();
        metrics.requests(&mut out);
        let of = "verb=\"list\",group=\"apps\",resource=\"deployments\",code=\"200\"";
        for line in [
            format!("apiserver_request_total{{{of}}} 3"),
            format!("apiserver_request_duration_seconds_bucket{{{of},le=\"0.001\"}} 1"),
            format!("apiserver_request_duration_seconds_bucket{{{of},le=\"0.005\"}} 2"),
            format!("apiserver_request_duration_seconds_bucket{{{of},le=\"60\"}} 2"),
            format!("apiserver_request_duration_seconds_bucket{{{of},le=\"+Inf\"}} 3"),
            format!("apiserver_request_duration_seconds_count{{{of}}} 3"),
        ] {
            assert!(out.lines().any(|found| found == line), "{line}: {out}");
        }
        assert!(
            out.contains("verb=\"other\"") && !out.contains("BREW"),
            "{out}"
        );
    }

    #[test]
    fn what_is_open_is_counted_until_it_is_dropped() {
        let metrics = Arc::new(Metrics::default());
        let (one, two) = (Open::watch(&metrics), Open::watch(&metrics));
        drop(one);
        assert_eq!(metrics.watches.load(Ordering::Relaxed), 1);
        assert_eq!(metrics.connections.load(Ordering::Relaxed), 0);
        drop(two);
        assert_eq!(metrics.watches.load(Ordering::Relaxed), 0);
    }
}

//! `GET /containers/{id}/stats`: one sample, or one each second.
//!
//! Each sample carries the one before it, from which clients compute rates.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::stream;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use weft_api::docker::{
    BlkioEntry, BlkioStats, CpuStats, CpuUsage, MemoryStats, NetworkStats, PidsStats, Stats,
    ThrottlingData,
};
use weft_engine::{CgroupMemory, CgroupTasks, Engine, Stats as Sample};

use crate::error::ApiError;
use crate::raise::time::{NEVER, rfc3339};
use crate::transport::body::{self, Answer};
use crate::transport::call::Call;

/// Between two samples.
const PERIOD: Duration = Duration::from_secs(1);

/// One sample (`stream=false`), or a stream that ends with the container.
pub async fn stats(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let streaming = call.query().flag("stream", true)?;
    let one_shot = call.query().flag("one-shot", false)?;
    let id = engine.inspect(call.param("id"))?.record.id;
    let first = engine.stats(&id).await?;
    if !streaming {
        if one_shot || first.cgroup.is_none() {
            return Ok(body::json(http::StatusCode::OK, &raise(&first, None)));
        }
        sleep(PERIOD).await;
        let second = engine.stats(&id).await?;
        return Ok(body::json(
            http::StatusCode::OK,
            &raise(&second, Some(&first)),
        ));
    }
    let mut ticks = interval_at(Instant::now() + PERIOD, PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let state = (engine, id, Some(first), None::<Sample>, ticks);
    let lines = stream::unfold(state, |(engine, id, first, before, mut ticks)| async move {
        let sample = match first {
            Some(sample) => sample,
            None => {
                ticks.tick().await;
                engine.stats(&id).await.ok()?
            }
        };
        let line = raise(&sample, before.as_ref());
        Some((line, (engine, id, None, Some(sample), ticks)))
    });
    Ok(body::json_lines(lines))
}

fn raise(sample: &Sample, before: Option<&Sample>) -> Stats {
    let memory = sample.cgroup.as_ref().map(|cgroup| &cgroup.memory);
    let (current, limit) = match sample.cgroup.as_ref().map(|cgroup| cgroup.tasks) {
        Some(CgroupTasks::Counted { current, max }) => (Some(current), max),
        Some(CgroupTasks::Processes(current)) => (Some(current), None),
        None => (None, None),
    };
    Stats {
        name: format!("/{}", sample.name),
        id: sample.id.clone(),
        read: rfc3339(sample.time_ns),
        preread: before.map_or_else(|| NEVER.to_owned(), |before| rfc3339(before.time_ns)),
        pids_stats: PidsStats { current, limit },
        blkio_stats: blkio(sample),
        num_procs: 0,
        cpu_stats: cpu(sample),
        precpu_stats: before.map(cpu).unwrap_or_default(),
        memory_stats: memory.map(|m| memory_stats(m, sample)).unwrap_or_default(),
        networks: networks(sample),
    }
}

fn cpu(sample: &Sample) -> CpuStats {
    let Some(cgroup) = &sample.cgroup else {
        return CpuStats::default();
    };
    let cpu = &cgroup.cpu;
    let ns = |us: u64| us.saturating_mul(1000);
    CpuStats {
        cpu_usage: CpuUsage {
            total_usage: ns(cpu.usage_us),
            usage_in_kernelmode: ns(cpu.system_us),
            usage_in_usermode: ns(cpu.user_us),
        },
        system_cpu_usage: Some(sample.system_cpu_ns),
        online_cpus: Some(sample.online_cpus),
        throttling_data: ThrottlingData {
            periods: cpu.periods,
            throttled_periods: cpu.throttled_periods,
            throttled_time: ns(cpu.throttled_us),
        },
    }
}

/// Clients subtract `inactive_file` from the usage, so both come from the same controller.
fn memory_stats(memory: &CgroupMemory, sample: &Sample) -> MemoryStats {
    let machine = Some(sample.machine_memory_bytes);
    match memory {
        CgroupMemory::Counted {
            current,
            max,
            detail,
            ..
        } => MemoryStats {
            usage: Some(*current),
            limit: max.or(machine),
            stats: detail.clone(),
        },
        CgroupMemory::ResidentSum { current } => MemoryStats {
            usage: Some(*current),
            limit: machine,
            stats: BTreeMap::new(),
        },
    }
}

fn blkio(sample: &Sample) -> BlkioStats {
    let Some(devices) = sample.cgroup.as_ref().and_then(|cgroup| cgroup.io.as_ref()) else {
        return BlkioStats::default();
    };
    let mut stats = BlkioStats {
        io_service_bytes_recursive: Some(Vec::new()),
        io_serviced_recursive: Some(Vec::new()),
    };
    for device in devices {
        let entry = |op: &str, value| BlkioEntry {
            major: device.major.into(),
            minor: device.minor.into(),
            op: op.into(),
            value,
        };
        let bytes = stats.io_service_bytes_recursive.get_or_insert_default();
        bytes.extend([
            entry("read", device.read_bytes),
            entry("write", device.written_bytes),
        ]);
        let operations = stats.io_serviced_recursive.get_or_insert_default();
        operations.extend([entry("read", device.reads), entry("write", device.writes)]);
    }
    stats
}

fn networks(sample: &Sample) -> BTreeMap<String, NetworkStats> {
    let line = |i: &weft_engine::Interface| NetworkStats {
        rx_bytes: i.rx_bytes,
        rx_packets: i.rx_packets,
        rx_errors: i.rx_errors,
        rx_dropped: i.rx_dropped,
        tx_bytes: i.tx_bytes,
        tx_packets: i.tx_packets,
        tx_errors: i.tx_errors,
        tx_dropped: i.tx_dropped,
    };
    sample
        .networks
        .iter()
        .map(|i| (i.name.clone(), line(i)))
        .collect()
}

//! Limits and devices.

use serde_json::{Map, Value, json};

use super::{DeviceFact, Facts};
use crate::container::record::Record;
use crate::error::{EngineError, Result};
use crate::spec::Resources;

/// A fork bomb ends here unless the user says otherwise.
const PIDS_DEFAULT: i64 = 4096;

pub(super) fn resources(record: &Record, facts: &Facts) -> Result<Value> {
    check(&record.spec.resources)?;
    let mut map = Map::new();
    map.insert("devices".into(), device_rules(record, facts));
    insert(&mut map, "memory", memory(record));
    insert(&mut map, "cpu", cpu(record));
    insert(&mut map, "pids", pids(record, facts));
    insert(&mut map, "blockIO", block_io(record, facts));
    Ok(Value::Object(map))
}

fn insert(map: &mut Map<String, Value>, key: &str, value: Map<String, Value>) {
    if !value.is_empty() {
        map.insert(key.into(), Value::Object(value));
    }
}

fn memory(record: &Record) -> Map<String, Value> {
    let r = &record.spec.resources;
    let mut map = Map::new();
    let mut set = |key: &str, value: Option<i64>| {
        if let Some(v) = value {
            map.insert(key.into(), json!(v));
        }
    };
    set("limit", r.memory_bytes);
    set("reservation", r.memory_reservation_bytes);
    // Docker gives as much swap as memory when only memory is set.
    let swap = r
        .memory_swap_bytes
        .or_else(|| r.memory_bytes.map(|m| m.saturating_mul(2)));
    set("swap", swap);
    if r.oom_kill_disable {
        map.insert("disableOOMKiller".into(), json!(true));
    }
    map
}

/// Combinations that say two things at once.
pub(super) fn check(r: &Resources) -> Result<()> {
    if r.nano_cpus.is_some() && (r.cpu_quota_us.is_some() || r.cpu_period_us.is_some()) {
        return Err(EngineError::invalid(
            "--cpus and --cpu-period/--cpu-quota cannot both be set",
        ));
    }
    if let (Some(memory), Some(swap)) = (r.memory_bytes, r.memory_swap_bytes)
        && swap != -1
        && swap < memory
    {
        return Err(EngineError::invalid(
            "Minimum memoryswap limit should be larger than memory limit",
        ));
    }
    if r.memory_swap_bytes.is_some_and(|s| s > 0) && r.memory_bytes.is_none() {
        return Err(EngineError::invalid(
            "You should always set the Memory limit when using Memoryswap limit",
        ));
    }
    Ok(())
}

fn cpu(record: &Record) -> Map<String, Value> {
    let r = &record.spec.resources;
    let mut map = Map::new();
    if let Some(nano) = r.nano_cpus {
        map.insert("period".into(), json!(100_000));
        map.insert("quota".into(), json!(nano / 10_000));
    }
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(v) = value {
            map.insert(key.into(), v);
        }
    };
    set("shares", r.cpu_shares.map(|v| json!(v)));
    set("quota", r.cpu_quota_us.map(|v| json!(v)));
    set("period", r.cpu_period_us.map(|v| json!(v)));
    set("cpus", r.cpuset_cpus.as_ref().map(|v| json!(v)));
    set("mems", r.cpuset_mems.as_ref().map(|v| json!(v)));
    map
}

fn pids(record: &Record, facts: &Facts) -> Map<String, Value> {
    let mut map = Map::new();
    // The default is protection where the machine can give it; only an explicit limit insists.
    let limit = match record.spec.resources.pids_limit {
        Some(limit) => Some(limit),
        None => facts
            .controllers
            .iter()
            .any(|c| c == "pids")
            .then_some(PIDS_DEFAULT),
    };
    if let Some(limit) = limit.filter(|l| *l > 0) {
        map.insert("limit".into(), json!(limit));
    }
    map
}

fn block_io(record: &Record, facts: &Facts) -> Map<String, Value> {
    let r = &record.spec.resources;
    let mut map = Map::new();
    if let Some(weight) = r.blkio_weight {
        map.insert("weight".into(), json!(weight));
    }
    let rates = [
        ("throttleReadBpsDevice", &r.read_bps),
        ("throttleWriteBpsDevice", &r.write_bps),
        ("throttleReadIOPSDevice", &r.read_iops),
        ("throttleWriteIOPSDevice", &r.write_iops),
    ];
    for (key, list) in rates {
        let entries: Vec<Value> = list
            .iter()
            .filter_map(|(path, rate)| {
                let (_, major, minor) = facts.block_devices.iter().find(|(p, ..)| p == path)?;
                Some(json!({ "major": major, "minor": minor, "rate": rate }))
            })
            .collect();
        if !entries.is_empty() {
            map.insert(key.into(), Value::Array(entries));
        }
    }
    map
}

/// Nothing is allowed but the usual nodes and what the user named.
fn device_rules(record: &Record, facts: &Facts) -> Value {
    if record.spec.security.privileged {
        return json!([{ "allow": true, "access": "rwm" }]);
    }
    let usual = weft_runtime::devices::default_rules();
    let mut rules: Vec<Value> = usual.iter().map(|rule| json!(rule)).collect();
    for device in &facts.devices {
        rules.push(json!({
            "allow": true,
            "type": device.kind.to_string(),
            "major": device.major,
            "minor": device.minor,
            "access": device.permissions,
        }));
    }
    for rule in &record.spec.device_rules {
        rules.push(super::prune(json!({
            "allow": true,
            "type": rule.kind.to_string(),
            "major": rule.major,
            "minor": rule.minor,
            "access": rule.permissions,
        })));
    }
    Value::Array(rules)
}

pub(super) fn device_nodes(facts: &Facts) -> Value {
    let node = |d: &DeviceFact| {
        json!({
            "path": d.container_path,
            "type": d.kind.to_string(),
            "major": d.major,
            "minor": d.minor,
            "fileMode": d.mode & 0o7777,
            "uid": 0,
            "gid": 0,
        })
    };
    if facts.devices.is_empty() {
        return Value::Null;
    }
    Value::Array(facts.devices.iter().map(node).collect())
}

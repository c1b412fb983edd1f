//! Limits of the specification against the files and values they become.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

type Planned = std::result::Result<Vec<Setting>, LimitError>;

fn planned(json: &str) -> Planned {
    plan(&serde_json::from_str(json).unwrap())
}

/// `file=value` of each write, those of defaults in brackets.
fn writes(json: &str) -> Vec<String> {
    let write = |setting: Setting| {
        let is_default = setting.is_default;
        setting.writes.into_iter().map(move |it| match is_default {
            true => format!("({}={})", it.file, it.value),
            false => format!("{}={}", it.file, it.value),
        })
    };
    planned(json).unwrap().into_iter().flat_map(write).collect()
}

#[test]
fn each_limit_becomes_its_file() {
    for (json, expected) in [
        (r#"{}"#, vec![]),
        (r#"{"pids":{"limit":64}}"#, vec!["pids.max=64"]),
        (r#"{"pids":{"limit":-1}}"#, vec!["(pids.max=max)"]),
        (r#"{"pids":{"limit":0}}"#, vec!["(pids.max=max)"]),
        (
            r#"{"memory":{"limit":1048576}}"#,
            vec!["memory.max=1048576"],
        ),
        (r#"{"memory":{"limit":0,"swap":0}}"#, vec![]),
        (r#"{"memory":{"limit":-1}}"#, vec!["(memory.max=max)"]),
        (
            r#"{"memory":{"limit":100,"swap":100,"reservation":50}}"#,
            vec!["memory.max=100", "memory.swap.max=0", "memory.low=50"],
        ),
        (
            r#"{"memory":{"limit":100,"swap":-1}}"#,
            vec!["memory.max=100", "(memory.swap.max=max)"],
        ),
        (r#"{"cpu":{"quota":50000}}"#, vec!["cpu.max=50000 100000"]),
        (
            r#"{"cpu":{"quota":50000,"period":20000}}"#,
            vec!["cpu.max=50000 20000"],
        ),
        (r#"{"cpu":{"quota":-1}}"#, vec!["(cpu.max=max 100000)"]),
        (r#"{"cpu":{"period":20000}}"#, vec!["cpu.max=max 20000"]),
        (
            r#"{"cpu":{"quota":50000,"burst":10000}}"#,
            vec![
                "cpu.max.burst=0",
                "cpu.max=50000 100000",
                "cpu.max.burst=10000",
            ],
        ),
        (r#"{"cpu":{"shares":1024}}"#, vec!["(cpu.weight=100)"]),
        (r#"{"cpu":{"shares":2}}"#, vec!["cpu.weight=1"]),
        (r#"{"cpu":{"shares":0}}"#, vec![]),
        (r#"{"cpu":{"idle":1}}"#, vec!["cpu.idle=1"]),
        (
            r#"{"cpu":{"cpus":"0-1,3","mems":"0"}}"#,
            vec!["cpuset.cpus=0-1,3", "cpuset.mems=0"],
        ),
        (r#"{"cpu":{"cpus":"","mems":""}}"#, vec![]),
        (r#"{"blockIO":{"weight":500}}"#, vec!["io.bfq.weight=500"]),
        (
            r#"{"blockIO":{"weightDevice":[{"major":8,"minor":0,"weight":10}]}}"#,
            vec!["io.bfq.weight=8:0 10"],
        ),
        (
            r#"{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":9}],
                "throttleWriteIOPSDevice":[{"major":8,"minor":0,"rate":7}],
                "throttleWriteBpsDevice":[{"major":8,"minor":16,"rate":0}]}}"#,
            vec!["io.max=8:0 rbps=9 wiops=7", "(io.max=8:16 wbps=max)"],
        ),
        (
            r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4194304}]}"#,
            vec!["hugetlb.2MB.max=4194304", "hugetlb.2MB.rsvd.max=4194304"],
        ),
        (
            r#"{"rdma":{"mlx5_1":{"hcaHandles":3}}}"#,
            vec!["rdma.max=mlx5_1 hca_handle=3 hca_object=max"],
        ),
        (
            r#"{"unified":{"memory.high":"5","cgroup.max.depth":"2"},"memory":{"limit":9}}"#,
            vec!["memory.max=9", "cgroup.max.depth=2", "memory.high=5"],
        ),
        (r#"{"network":{"classID":0,"priorities":[]}}"#, vec![]),
    ] {
        assert_eq!(writes(json), expected, "{json}");
    }
}

#[test]
fn a_weight_without_bfq_goes_to_the_cost_model() {
    let settings = planned(r#"{"blockIO":{"weight":500}}"#).unwrap();
    let otherwise = settings[0].writes[0].otherwise.as_ref().unwrap();
    assert_eq!(
        (otherwise.file.as_str(), otherwise.value.as_str()),
        ("io.weight", "4950")
    );
}

#[test]
fn what_v2_cannot_do_or_makes_no_sense_is_refused_by_name() {
    for (json, limit) in [
        (r#"{"memory":{"swap":5}}"#, "memory.swap"),
        (r#"{"memory":{"limit":9,"swap":5}}"#, "memory.swap"),
        (r#"{"memory":{"limit":-2}}"#, "memory.limit"),
        (r#"{"memory":{"reservation":-7}}"#, "memory.reservation"),
        (r#"{"memory":{"kernel":5}}"#, "memory.kernel"),
        (r#"{"memory":{"kernelTCP":5}}"#, "memory.kernelTCP"),
        (r#"{"memory":{"swappiness":60}}"#, "memory.swappiness"),
        (
            r#"{"memory":{"disableOOMKiller":true}}"#,
            "memory.disableOOMKiller",
        ),
        (
            r#"{"memory":{"useHierarchy":false}}"#,
            "memory.useHierarchy",
        ),
        (r#"{"cpu":{"quota":999}}"#, "cpu.quota"),
        (r#"{"cpu":{"period":999}}"#, "cpu.period"),
        (r#"{"cpu":{"idle":2}}"#, "cpu.idle"),
        (r#"{"cpu":{"idle":1,"shares":512}}"#, "cpu.shares"),
        (r#"{"cpu":{"realtimeRuntime":5}}"#, "cpu.realtimeRuntime"),
        (r#"{"cpu":{"realtimePeriod":5}}"#, "cpu.realtimePeriod"),
        (r#"{"cpu":{"cpus":"0\n1"}}"#, "cpu.cpus"),
        (r#"{"cpu":{"cpus":"0-"}}"#, "cpu.cpus"),
        (r#"{"cpu":{"mems":"all"}}"#, "cpu.mems"),
        (r#"{"blockIO":{"weight":9}}"#, "blockIO.weight"),
        (r#"{"blockIO":{"leafWeight":9}}"#, "blockIO.leafWeight"),
        (
            r#"{"blockIO":{"throttleReadBpsDevice":[{"major":-1,"minor":0,"rate":9}]}}"#,
            "blockIO.throttle[-1:0].rbps",
        ),
        (
            r#"{"hugepageLimits":[{"pageSize":"2M","limit":1}]}"#,
            "hugepageLimits[2M]",
        ),
        (
            r#"{"hugepageLimits":[{"pageSize":"../2MB","limit":1}]}"#,
            "hugepageLimits[../2MB]",
        ),
        (r#"{"rdma":{"a b":{}}}"#, "rdma[a b]"),
        (r#"{"network":{"classID":1}}"#, "network.classID"),
        (
            r#"{"network":{"priorities":[{"name":"eth0","priority":1}]}}"#,
            "network.priorities",
        ),
        (
            r#"{"unified":{"cgroup.procs":"1"}}"#,
            "unified[cgroup.procs]",
        ),
        (
            r#"{"unified":{"cgroup.subtree_control":"+cpu"}}"#,
            "unified[cgroup.subtree_control]",
        ),
        (
            r#"{"unified":{"../memory.max":"1"}}"#,
            "unified[../memory.max]",
        ),
        (r#"{"unified":{"memory":"1"}}"#, "unified[memory]"),
        (r#"{"unified":{".max":"1"}}"#, "unified[.max]"),
        (r#"{"unified":{"memory.":"1"}}"#, "unified[memory.]"),
        (
            r#"{"unified":{"memory.max":"1\n2"}}"#,
            "unified[memory.max]",
        ),
        (r#"{"unified":{"memory.max":""}}"#, "unified[memory.max]"),
    ] {
        assert_eq!(planned(json).unwrap_err().limit, limit, "{json}");
    }
}

#[test]
fn an_error_says_limit_value_and_reason() {
    let error = planned(r#"{"cpu":{"quota":5}}"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        "limit cpu.quota = 5: it is at least 1000 microseconds"
    );
}

fn any_resources() -> impl Strategy<Value = Value> {
    let signed = || prop_oneof![-2..3i64, 990..1100i64, any::<i64>()];
    let unsigned = || prop_oneof![0..3u64, 990..1100u64, any::<u64>()];
    let text = || {
        prop_oneof![
            "[a-z0-9.,_\\-/ \n]{0,12}",
            "(cgroup|memory|io)\\.[a-z.]{0,8}"
        ]
    };
    let memory = (signed(), signed(), signed(), any::<bool>());
    let cpu = (
        unsigned(),
        signed(),
        unsigned(),
        unsigned(),
        0..3i64,
        text(),
    );
    let device = (signed(), signed(), unsigned(), any::<u16>());
    (memory, cpu, device, signed(), text(), text()).prop_map(
        |(memory, cpu, device, pids, key, value)| {
            let (major, minor, rate, weight) = device;
            let mut page = serde_json::Map::new();
            page.insert(key.clone(), json!(value));
            json!({
                "memory": {"limit": memory.0, "swap": memory.1, "reservation": memory.2,
                           "checkBeforeUpdate": memory.3},
                "cpu": {"shares": cpu.0, "quota": cpu.1, "period": cpu.2, "burst": cpu.3,
                        "idle": cpu.4, "cpus": cpu.5},
                "blockIO": {"weight": weight, "throttleReadBpsDevice":
                    [{"major": major, "minor": minor, "rate": rate}]},
                "pids": {"limit": pids},
                "hugepageLimits": [{"pageSize": value, "limit": pids}],
                "rdma": {key.clone(): {"hcaHandles": 1}},
                "unified": page,
            })
        },
    )
}

/// The parts of `all`, each alone: one bad part would hide the others.
fn parts(all: &Value) -> Vec<Value> {
    let parts = all.as_object().into_iter().flatten();
    parts
        .map(|(key, value)| json!({ key.as_str(): value }))
        .collect()
}

proptest! {
    #[test]
    fn whatever_is_asked_only_files_of_the_cgroup_get_one_line_each(all in any_resources()) {
        for part in parts(&all) {
            let resources = serde_json::from_value(part).unwrap();
            for write in plan(&resources).into_iter().flatten().flat_map(|it| it.writes) {
                prop_assert!(!write.file.contains('/') && !write.file.contains(".."));
                prop_assert!(write.file != "cgroup.procs" && write.file != "cgroup.kill");
                prop_assert!(!write.value.contains('\n') && !write.value.is_empty());
            }
        }
    }
}

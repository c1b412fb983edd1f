//! The document as a whole: what a default container gets, and what opts change.

use super::*;
use crate::container::record::State;
use crate::spec::{NetworkMode, Resolved, Seccomp, Spec};

pub(crate) fn record(spec: Spec) -> Record {
    Record {
        version: 1,
        id: "a".repeat(64),
        name: "web".into(),
        created_at_ns: 0,
        image_id: String::new(),
        resolved: Resolved {
            entrypoint: vec!["/bin/true".into()],
            cwd: "/".into(),
            hostname: "web".into(),
            ..Resolved::default()
        },
        spec,
        volumes: Vec::new(),
        state: State::default(),
        attachments: Vec::new(),
    }
}

fn facts() -> Facts {
    Facts {
        id_map: Some((0x1000_0000, 65_536)),
        cgroup_parent: "/weft".into(),
        bounding: Set::ALL,
        kernel: (6, 1),
        ..Facts::default()
    }
}

fn kinds(document: &Value) -> Vec<&str> {
    let list = document["linux"]["namespaces"].as_array().unwrap();
    list.iter().map(|n| n["type"].as_str().unwrap()).collect()
}

#[test]
fn a_default_container_is_closed() {
    let document = super::document(&record(Spec::default()), &facts()).unwrap();
    assert_eq!(
        kinds(&document),
        ["mount", "pid", "ipc", "uts", "cgroup", "network", "user"]
    );
    assert_eq!(document["process"]["noNewPrivileges"], true);
    assert!(document["linux"]["seccomp"].is_object());
    assert_eq!(document["linux"]["uidMappings"][0]["hostID"], 0x1000_0000);
    let caps = document["process"]["capabilities"]["bounding"]
        .as_array()
        .unwrap();
    assert!(
        !caps
            .iter()
            .any(|c| c == "CAP_NET_RAW" || c == "CAP_MKNOD" || c == "CAP_SYS_ADMIN")
    );
    assert!(document["process"]["capabilities"].get("ambient").is_none());
    assert!(
        document["process"]["capabilities"]
            .get("inheritable")
            .is_none()
    );
    assert_eq!(document["linux"]["resources"]["devices"][0]["allow"], false);
    // No limit of a controller the machine lacks is asked for by default.
    assert!(document["linux"]["resources"].get("pids").is_none());
    serde_json::from_value::<oci_spec::runtime::Spec>(document).unwrap();
}

#[test]
fn a_default_limit_needs_its_controller_and_an_asked_one_insists() {
    let with = Facts {
        controllers: vec!["pids".into()],
        ..facts()
    };
    let document = super::document(&record(Spec::default()), &with).unwrap();
    assert_eq!(document["linux"]["resources"]["pids"]["limit"], 4096);
    let mut spec = Spec::default();
    spec.resources.pids_limit = Some(7);
    let document = super::document(&record(spec), &facts()).unwrap();
    assert_eq!(document["linux"]["resources"]["pids"]["limit"], 7);
}

#[test]
fn privileged_opens_what_it_says() {
    let mut spec = Spec::default();
    spec.security.privileged = true;
    let document = super::document(
        &record(spec),
        &Facts {
            id_map: None,
            ..facts()
        },
    )
    .unwrap();
    assert!(!kinds(&document).contains(&"user"));
    assert!(document["linux"].get("seccomp").is_none());
    assert_eq!(document["process"]["noNewPrivileges"], false);
    assert_eq!(
        document["linux"]["maskedPaths"].as_array().unwrap().len(),
        0
    );
}

#[test]
fn host_network_has_no_network_namespace() {
    let spec = Spec {
        network: NetworkMode::Host,
        ..Spec::default()
    };
    let document = super::document(
        &record(spec),
        &Facts {
            id_map: None,
            ..facts()
        },
    )
    .unwrap();
    assert!(!kinds(&document).contains(&"network"));
    assert!(
        document["linux"]["sysctl"]
            .get("net.ipv4.ping_group_range")
            .is_none()
    );
}

#[test]
fn later_mounts_lie_over_earlier_ones() {
    let mount = |target: &str| MountFact {
        target: target.into(),
        source: "/s".into(),
        kind: "bind",
        ..MountFact::default()
    };
    let with = Facts {
        mounts: vec![mount("/a/b"), mount("/a"), mount("/dev/shm")],
        ..facts()
    };
    let document = super::document(&record(Spec::default()), &with).unwrap();
    let targets: Vec<&str> = document["mounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["destination"].as_str().unwrap())
        .collect();
    let at = |t: &str| targets.iter().position(|x| *x == t).unwrap();
    assert!(at("/a") < at("/a/b"));
    assert_eq!(targets.iter().filter(|t| **t == "/dev/shm").count(), 1);
    let last = document["mounts"].as_array().unwrap().last().unwrap();
    assert!(
        last["options"]
            .as_array()
            .unwrap()
            .iter()
            .any(|o| o == "idmap")
    );
}

#[test]
fn what_contradicts_itself_is_told() {
    let mut spec = Spec::default();
    spec.resources.nano_cpus = Some(1);
    spec.resources.cpu_quota_us = Some(1);
    assert!(check(&spec, Set::ALL).is_err());
    let mut spec = Spec::default();
    spec.security.cap_add = vec!["NO_SUCH".into()];
    assert!(check(&spec, Set::ALL).is_err());
    let mut spec = Spec::default();
    spec.security.seccomp = Seccomp::Profile("{".into());
    assert!(check(&spec, Set::ALL).is_err());
}

#[test]
fn a_sysctl_of_the_host_is_refused_before_anything_is_made() {
    let told = |key: &str, change: &dyn Fn(&mut Spec)| {
        let mut spec = Spec::default();
        spec.security.sysctls.insert(key.into(), "1".into());
        change(&mut spec);
        check(&spec, Set::ALL).map_err(|e| format!("{e:?}"))
    };
    let own = |_: &mut Spec| {};
    let host_net = |spec: &mut Spec| spec.network = NetworkMode::Host;
    let host_ipc = |spec: &mut Spec| spec.security.ipc = crate::spec::Ipc::Host;
    let host_uts = |spec: &mut Spec| spec.security.uts = Sharing::Host;
    for key in [
        "kernel.shmall",
        "fs.mqueue.msg_max",
        "net.core.somaxconn",
        "kernel.domainname",
    ] {
        assert_eq!(told(key, &own), Ok(()), "{key}");
    }
    assert_eq!(told("net.core.somaxconn", &host_ipc), Ok(()));
    type Change<'a> = &'a dyn Fn(&mut Spec);
    let refused: [(&str, Change<'_>); 7] = [
        ("vm.swappiness", &own),
        ("kernel.panic", &own),
        ("net.ipv4/../x", &own),
        ("net.core.somaxconn", &host_net),
        ("kernel.shmall", &host_ipc),
        ("fs.mqueue.msg_max", &host_ipc),
        ("kernel.domainname", &host_uts),
    ];
    for (key, change) in refused {
        assert!(told(key, change).unwrap_err().contains(key), "{key}");
    }
    for key in ["", "..", "kernel..panic"] {
        assert!(told(key, &own).unwrap_err().contains("Malformed"), "{key}");
    }
}

#[test]
fn the_environment_is_what_all_have_under_what_was_asked_for() {
    let env = |asked: &[&str], tty: bool| {
        let mut record = record(Spec {
            tty,
            ..Spec::default()
        });
        record.resolved.env = asked.iter().map(|e| (*e).to_owned()).collect();
        environment::environment(&record, "/root")
    };
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(
        env(&["X=1"], false),
        [path, "HOSTNAME=web", "X=1", "HOME=/root"]
    );
    // A bare name takes away, and never brings what the engine has.
    assert_eq!(
        env(&["PATH", "HOME", "TERM=vt", "HOSTNAME=a"], true),
        ["HOSTNAME=a", "TERM=vt", "HOME=/root"]
    );
    assert_eq!(
        env(&["PATH=/bin", "HOME=/h"], true),
        ["PATH=/bin", "HOSTNAME=web", "TERM=xterm", "HOME=/h"]
    );
}

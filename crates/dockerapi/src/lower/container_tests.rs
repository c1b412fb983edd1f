//! Table tests of the create request's lowering.

use serde_json::{Value, json};
use weft_engine::Spec;
use weft_engine::spec::*;

use super::container;

fn lower(body: Value) -> Result<Spec, String> {
    container(serde_json::from_value(body).unwrap()).map_err(|error| error.message)
}

/// The body comes to `change` applied to a spec of the image alone.
fn check(body: Value, change: impl FnOnce(&mut Spec)) {
    let mut body = body;
    body["Image"] = json!("img");
    let mut expected = Spec {
        image: "img".into(),
        ..Spec::default()
    };
    change(&mut expected);
    assert_eq!(lower(body.clone()), Ok(expected), "{body}");
}

/// The body is refused with exactly these words.
fn refuse(body: Value, words: &str) {
    let mut body = body;
    body["Image"] = json!("img");
    assert_eq!(lower(body.clone()), Err(words.to_owned()), "{body}");
}

fn host(config: Value) -> Value {
    json!({ "HostConfig": config })
}

/// What the docker command (28.2) sends for a plain `docker run img`.
fn plain_docker_run() -> Value {
    serde_json::from_str(
        r#"{
        "Hostname": "", "Domainname": "", "User": "", "AttachStdin": false, "AttachStdout": true,
        "AttachStderr": true, "Tty": false, "OpenStdin": false, "StdinOnce": false, "Env": null,
        "Cmd": null, "Image": "img", "Volumes": {}, "WorkingDir": "", "Entrypoint": null,
        "OnBuild": null, "Labels": {},
        "HostConfig": {
            "Binds": null, "ContainerIDFile": "", "LogConfig": { "Type": "", "Config": {} },
            "NetworkMode": "default", "PortBindings": {},
            "RestartPolicy": { "Name": "no", "MaximumRetryCount": 0 }, "AutoRemove": false,
            "VolumeDriver": "", "VolumesFrom": null, "ConsoleSize": [0, 0], "CapAdd": null,
            "CapDrop": null, "CgroupnsMode": "", "Dns": [], "DnsOptions": [], "DnsSearch": [],
            "ExtraHosts": null, "GroupAdd": null, "IpcMode": "", "Cgroup": "", "Links": null,
            "OomScoreAdj": 0, "PidMode": "", "Privileged": false, "PublishAllPorts": false,
            "ReadonlyRootfs": false, "SecurityOpt": null, "UTSMode": "", "UsernsMode": "",
            "ShmSize": 0, "Isolation": "", "CpuShares": 0, "Memory": 0, "NanoCpus": 0,
            "CgroupParent": "", "BlkioWeight": 0, "BlkioWeightDevice": [],
            "BlkioDeviceReadBps": [], "BlkioDeviceWriteBps": [], "BlkioDeviceReadIOps": [],
            "BlkioDeviceWriteIOps": [], "CpuPeriod": 0, "CpuQuota": 0, "CpuRealtimePeriod": 0,
            "CpuRealtimeRuntime": 0, "CpusetCpus": "", "CpusetMems": "", "Devices": [],
            "DeviceCgroupRules": null, "DeviceRequests": null, "MemoryReservation": 0,
            "MemorySwap": 0, "MemorySwappiness": -1, "OomKillDisable": false, "PidsLimit": 0,
            "Ulimits": [], "CpuCount": 0, "CpuPercent": 0, "IOMaximumIOps": 0,
            "IOMaximumBandwidth": 0, "MaskedPaths": null, "ReadonlyPaths": null
        },
        "NetworkingConfig": { "EndpointsConfig": { "default": {
            "IPAMConfig": {}, "Links": null, "Aliases": null, "MacAddress": "",
            "DriverOpts": null, "GwPriority": 0, "NetworkID": "", "EndpointID": "",
            "Gateway": "", "IPAddress": "", "IPPrefixLen": 0, "IPv6Gateway": "",
            "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0, "DNSNames": null
        } } }
    }"#,
    )
    .unwrap()
}

#[test]
fn what_docker_run_sends_is_the_default() {
    check(plain_docker_run(), |spec| {
        spec.attached = AttachedStreams {
            stdin: false,
            stdout: true,
            stderr: true,
        };
    });
    check(json!({}), |_| {});
}

#[test]
fn the_portable_part() {
    check(
        json!({ "Cmd": ["a", "b"], "Entrypoint": "sh", "Env": ["X=1", "Y"], "User": "1:2",
            "WorkingDir": "/w", "Hostname": "h", "Labels": { "k": "v" }, "StopSignal": "SIGINT",
            "StopTimeout": -1, "Tty": true, "ExposedPorts": { "80/tcp": {}, "90-91/udp": null } }),
        |spec| {
            spec.cmd = Some(vec!["a".into(), "b".into()]);
            spec.entrypoint = Some(vec!["sh".into()]);
            spec.env = vec!["X=1".into(), "Y".into()];
            spec.user = Some("1:2".into());
            spec.cwd = Some("/w".into());
            spec.hostname = Some("h".into());
            spec.labels = [("k".into(), "v".into())].into();
            spec.stop_signal = Some("SIGINT".into());
            spec.stop_timeout_seconds = Some(-1);
            spec.tty = true;
            spec.exposed = vec!["80/tcp".into(), "90-91/udp".into()];
        },
    );
    check(json!({ "Healthcheck": { "Test": ["NONE"] } }), |spec| {
        spec.health = Some(weft_engine::spec::HealthSpec {
            test: vec!["NONE".into()],
            ..Default::default()
        });
    });
}

#[test]
fn everything_wrong_is_said_at_once() {
    refuse(
        json!({
            "Healthcheck": { "Test": ["HTTP"], "Odd": 1 }, "WorkingDir": "rel", "Gadget": 1,
            "HostConfig": { "Links": ["a:b"], "Memory": 5, "CgroupParent": "/x" }
        }),
        "not supported: Gadget, HostConfig.CgroupParent, HostConfig.Links, Healthcheck.Odd; \
         WorkingDir: 'rel' is not an absolute path; Memory: the minimum memory limit is 6MB; \
         Test in Healthcheck: 'HTTP' is not one of NONE, CMD, CMD-SHELL",
    );
    assert_eq!(
        lower(json!({})).unwrap_err(),
        "no image given: 'Image' is empty"
    );
}

#[test]
fn restart_policies() {
    let policy = |name, max| json!({ "RestartPolicy": { "Name": name, "MaximumRetryCount": max } });
    check(host(policy("always", 0)), |spec| {
        spec.restart = RestartPolicy::Always
    });
    check(host(policy("unless-stopped", 0)), |s| {
        s.restart = RestartPolicy::UnlessStopped
    });
    check(host(policy("on-failure", 3)), |s| {
        s.restart = RestartPolicy::OnFailure { max: 3 }
    });
    refuse(
        host(policy("always", 1)),
        "RestartPolicy: maximum retry count can only be used with 'on-failure'",
    );
    refuse(
        host(json!({ "AutoRemove": true, "RestartPolicy": { "Name": "always" } })),
        "can't create 'AutoRemove' container with restart policy",
    );
}

#[test]
fn ports() {
    let port = |host_ip, host_ports, container_port, protocol| PortSpec {
        host_ip,
        host_ports,
        container_port,
        protocol,
    };
    check(
        host(json!({ "PortBindings": {
            "80/tcp": [{ "HostIp": "", "HostPort": "8080" }, { "HostIp": "127.0.0.1" }],
            "53/udp": [{ "HostIp": "0.0.0.0", "HostPort": "5000-5010" }],
            "90": null
        } })),
        |spec| {
            spec.ports = vec![
                port(None, Some((5000, 5010)), 53, Protocol::Udp),
                port(None, Some((8080, 8080)), 80, Protocol::Tcp),
                port(Some("127.0.0.1".parse().unwrap()), None, 80, Protocol::Tcp),
            ];
        },
    );
    refuse(
        host(
            json!({ "PortBindings": { "0/tcp": [], "1/sctp": [], "2/tcp": [{ "HostPort": "x" }],
            "3/tcp": [{ "HostIp": "::" }], "4/tcp": [{ "HostPort": "9-8" }] } }),
        ),
        "PortBindings: invalid container port '0/tcp'; \
         PortBindings: '1/sctp': the protocol is neither tcp nor udp; \
         PortBindings '2/tcp': invalid host port 'x'; \
         PortBindings '3/tcp': publishing on the IPv6 address :: is not supported; \
         PortBindings '4/tcp': invalid host port '9-8'",
    );
}

#[test]
fn mounts() {
    let volume = |name: &str| MountSource::Volume {
        name: name.into(),
        no_copy: false,
        labels: Default::default(),
        subpath: String::new(),
    };
    let bind = |path: &str, create| MountSource::Bind {
        path: path.into(),
        propagation: String::new(),
        create,
        non_recursive: false,
    };
    let at = |source, target: &str, read_only| MountSpec {
        source,
        target: target.into(),
        read_only,
    };
    check(
        json!({ "Volumes": { "/anon": {}, "/v": {} }, "HostConfig": {
            "Binds": ["/h:/c:ro,z", "data:/v/"],
            "Mounts": [{ "Type": "bind", "Source": "/gone/..//m/.", "Target": "/n" }],
            "Tmpfs": { "/t": "size=64k,mode=700,exec,ro" } } }),
        |spec| {
            let tmpfs = MountSource::Tmpfs {
                size_bytes: Some(65_536),
                mode: Some(0o700),
                options: vec!["exec".into()],
            };
            spec.mounts = vec![
                at(bind("/h", true), "/c", true),
                at(volume("data"), "/v", false),
                at(bind("/m", false), "/n", false),
                at(tmpfs, "/t", true),
                at(volume(""), "/anon", false),
            ];
        },
    );
}

#[test]
fn wrong_mounts() {
    refuse(
        host(
            json!({ "Binds": ["a:b:c:d", ":/x", "/h:rel", "/h:/", "/h:/x/../y", "/h:/z:shiny",
            "/h:/z:ro,rw"] }),
        ),
        "Binds: invalid volume specification: 'a:b:c:d'; \
         Binds: invalid volume specification: ':/x'; \
         Binds: '/h:rel': invalid mount path: 'rel' must be absolute; \
         Binds: '/h:/': invalid mount path: the destination can't be '/'; \
         Binds: '/h:/x/../y': invalid mount path: '/x/../y' must not contain '..'; \
         Binds: '/h:/z:shiny': invalid mode: shiny; \
         Binds: '/h:/z:ro,rw': invalid mode: both ro and rw",
    );
    refuse(
        host(json!({ "Binds": ["a:/x", "b:/x/"] })),
        "Duplicate mount point: /x",
    );
    refuse(
        host(json!({ "Mounts": [
            { "Type": "npipe", "Target": "/a" },
            { "Type": "bind", "Source": "rel", "Target": "/b" },
            { "Type": "tmpfs", "Target": "/c", "BindOptions": {} },
            { "Type": "volume", "Target": "/d", "VolumeOptions": { "Subpath": "a/../b" } }
        ], "Tmpfs": { "/e": "size=50%", "/f": "bind" } })),
        "Mounts: '/a': mount type 'npipe' is not supported; \
         Mounts: invalid mount path: 'rel' must be absolute; \
         Mounts: '/c': BindOptions must not be given for type tmpfs; \
         Mounts: invalid volume-subpath 'a/../b': it must not contain '..'; \
         Tmpfs: '/e': invalid tmpfs option 'size=50%'; Tmpfs: '/f': invalid tmpfs option 'bind'",
    );
}

#[test]
fn networks() {
    let net = |name: &str| NetworkAttach {
        network: name.into(),
        ..NetworkAttach::default()
    };
    let mode = |name| host(json!({ "NetworkMode": name }));
    check(mode("bridge"), |_| {});
    check(mode("none"), |spec| spec.network = NetworkMode::None);
    check(mode("host"), |spec| spec.network = NetworkMode::Host);
    check(mode("container:abc"), |s| {
        s.network = NetworkMode::Container("abc".into())
    });
    check(mode("mine"), |spec| {
        spec.network = NetworkMode::Networks(vec![net("mine")])
    });
    check(
        json!({ "HostConfig": { "NetworkMode": "mine" }, "NetworkingConfig": { "EndpointsConfig": {
            "mine": { "Aliases": ["web"], "IPAMConfig": { "IPv4Address": "10.1.2.3" },
                "MacAddress": "02-42-AC-11-00-02" },
            "also": null } } }),
        |spec| {
            let mine = NetworkAttach {
                network: "mine".into(),
                aliases: vec!["web".into()],
                ip: Some("10.1.2.3".parse().unwrap()),
                mac: Some("02:42:ac:11:00:02".into()),
            };
            spec.network = NetworkMode::Networks(vec![mine, net("also")]);
        },
    );
    refuse(
        json!({ "NetworkingConfig": { "EndpointsConfig": { "default": {
            "Links": ["x"], "Aliases": ["a b"], "MacAddress": "01:00:00:00:00:00",
            "IPAMConfig": { "IPv4Address": "nope", "IPv6Address": "::1" } } } } }),
        "not supported: EndpointSettings.Links, IPAMConfig.IPv6Address; \
         IPAMConfig: invalid IPv4 address 'nope'; Aliases: 'a b' is not a host name; \
         MacAddress: '01:00:00:00:00:00' is not a valid MAC address",
    );
    refuse(
        json!({ "HostConfig": { "NetworkMode": "none" },
            "NetworkingConfig": { "EndpointsConfig": { "mine": {} } } }),
        "EndpointsConfig can't be used with the network mode 'none'",
    );
}

#[test]
fn names_and_addresses() {
    check(
        host(
            json!({ "Dns": ["1.1.1.1"], "DnsSearch": ["x.y"], "DnsOptions": ["ndots:2"],
            "ExtraHosts": ["a:10.0.0.1", "gw=host-gateway", "six:::1"] }),
        ),
        |spec| {
            spec.dns.servers = vec!["1.1.1.1".parse().unwrap()];
            spec.dns.search = vec!["x.y".into()];
            spec.dns.options = vec!["ndots:2".into()];
            spec.extra_hosts = vec![
                ("a".into(), "10.0.0.1".into()),
                ("gw".into(), "host-gateway".into()),
                ("six".into(), "::1".into()),
            ];
        },
    );
    refuse(
        host(json!({ "Dns": ["x"], "DnsSearch": ["a\nb"], "ExtraHosts": ["a\nb:1.1.1.1", "c"] })),
        "Dns: 'x' is not an address; DnsSearch, DnsOptions: 'a\\nb' is not one word; \
         ExtraHosts: 'a\\nb:1.1.1.1' is not name:address; ExtraHosts: 'c' is not name:address",
    );
}

#[test]
fn security() {
    check(
        host(
            json!({ "Privileged": true, "CapAdd": ["CAP_NET_ADMIN", "all"], "CapDrop": ["chown"],
            "ReadonlyRootfs": true, "UsernsMode": "host", "PidMode": "container:x",
            "IpcMode": "shareable", "UTSMode": "host", "CgroupnsMode": "private",
            "SecurityOpt": ["no-new-privileges:false", "seccomp=unconfined", "label=disable"],
            "MaskedPaths": [], "Sysctls": { "net.core.somaxconn": "1" } }),
        ),
        |spec| {
            spec.security = Security {
                privileged: true,
                cap_add: vec!["NET_ADMIN".into(), "ALL".into()],
                cap_drop: vec!["CHOWN".into()],
                read_only_rootfs: true,
                userns_host: true,
                pid: Sharing::Container("x".into()),
                ipc: Ipc::Shareable,
                uts: Sharing::Host,
                no_new_privileges: Some(false),
                seccomp: Seccomp::Unconfined,
                masked_paths: Some(vec![]),
                sysctls: [("net.core.somaxconn".into(), "1".into())].into(),
                ..Security::default()
            };
        },
    );
    refuse(
        host(
            json!({ "CapAdd": ["a b"], "PidMode": "x", "IpcMode": "some",
            "UTSMode": "container:a", "SecurityOpt": ["apparmor=x", "seccomp=[]", "seccomp={"] }),
        ),
        "not supported: HostConfig.PidMode 'x', HostConfig.IpcMode 'some', \
         HostConfig.UTSMode 'container:a', SecurityOpt 'apparmor=x'; \
         CapAdd: unknown capability 'a b'; \
         SecurityOpt: the seccomp profile is not a JSON object; \
         SecurityOpt: decoding seccomp profile: EOF while parsing an object at line 1 column 1",
    );
}

#[test]
fn limits() {
    check(
        host(
            json!({ "Memory": 67108864, "MemorySwap": -1, "NanoCpus": 500000000, "CpuShares": 2,
            "PidsLimit": -1, "CpusetCpus": "0-1,3", "BlkioWeight": 10, "OomScoreAdj": -5,
            "BlkioDeviceReadBps": [{ "Path": "/dev/a", "Rate": 5 }], "ShmSize": 1024,
            "Ulimits": [{ "Name": "nofile", "Soft": 5, "Hard": -1 }],
            "Devices": [{ "PathOnHost": "/dev/x", "PathInContainer": "", "CgroupPermissions": "r" }],
            "LogConfig": { "Type": "local", "Config": { "max-size": "1.5m", "max-file": "2" } } }),
        ),
        |spec| {
            spec.resources = Resources {
                memory_bytes: Some(64 << 20),
                memory_swap_bytes: Some(-1),
                nano_cpus: Some(500_000_000),
                cpu_shares: Some(2),
                pids_limit: Some(-1),
                cpuset_cpus: Some("0-1,3".into()),
                blkio_weight: Some(10),
                oom_score_adj: Some(-5),
                read_bps: vec![("/dev/a".into(), 5)],
                ulimits: vec![Ulimit {
                    name: "nofile".into(),
                    soft: 5,
                    hard: u64::MAX,
                }],
                ..Resources::default()
            };
            spec.devices = vec![DeviceSpec {
                host: "/dev/x".into(),
                container: "/dev/x".into(),
                permissions: "r".into(),
            }];
            spec.shm_bytes = Some(1024);
            spec.log.driver = "local".into();
            spec.log.max_size_bytes = 3 << 19;
            spec.log.max_files = 2;
        },
    );
    refuse(
        host(
            json!({ "Memory": -1, "MemorySwap": 5, "NanoCpus": 1, "CpuPeriod": 1000,
            "CpusetCpus": "a", "BlkioWeight": 5, "OomScoreAdj": 5000, "MemorySwappiness": 60,
            "Ulimits": [{ "Name": "x" }, { "Name": "core", "Soft": 2, "Hard": 1 }],
            "Devices": [{ "PathOnHost": "x" }, { "PathOnHost": "/dev/x", "PathInContainer": "/x" },
                { "PathOnHost": "/dev/x", "PathInContainer": "/dev/../x" }], "DeviceCgroupRules": ["b 8:* r", "c 1:3", "d 1:3 r", "c 1:+3 r",
                "c 1:3 rwx", "c 1:99999999999 r", "c 1:3 r\n"],
            "LogConfig": { "Type": "syslog", "Config": { "max-file": "0", "tag": "x" } } }),
        ),
        "not supported: HostConfig.MemorySwappiness (control groups v2 have no such setting), \
         HostConfig.LogConfig.Type 'syslog', log option 'tag=x'; \
         HostConfig.Memory: -1 is negative; \
         HostConfig.CpusetCpus: 'a' is not a list like 0-2,4; \
         BlkioWeight: must be within 10 and 1000; Ulimits: invalid ulimit type: 'x'; \
         Ulimits: core: the soft limit is above the hard limit; \
         OomScoreAdj: must be within -1000 and 1000; \
         MemorySwap: you should always set the Memory limit when using Memoryswap limit; \
         NanoCpus: the least is 0.01 CPUs; \
         NanoCpus and CpuPeriod/CpuQuota cannot both be set; \
         Devices: 'x' is not an absolute path; \
         --device /dev/x:/x: a device's place in the container is below /dev; \
         --device /dev/x:/dev/../x: a device's place in the container is below /dev; \
         DeviceCgroupRules: 'c 1:3' is no rule: it is written like 'c 1:3 rwm', with a, b or c, numbers or *, and some of rwm; \
         DeviceCgroupRules: 'd 1:3 r' is no rule: it is written like 'c 1:3 rwm', with a, b or c, numbers or *, and some of rwm; \
         DeviceCgroupRules: 'c 1:+3 r' is no rule: it is written like 'c 1:3 rwm', with a, b or c, numbers or *, and some of rwm; \
         DeviceCgroupRules: 'c 1:3 rwx' is no rule: it is written like 'c 1:3 rwm', with a, b or c, numbers or *, and some of rwm; \
         DeviceCgroupRules: 'c 1:99999999999 r' is no rule: it is written like 'c 1:3 rwm', with a, b or c, numbers or *, and some of rwm; \
         DeviceCgroupRules: 'c 1:3 r\\n' is no rule: it is written like 'c 1:3 rwm', with a, b or c, numbers or *, and some of rwm; \
         LogConfig max-file: '0' is not within 1..1000",
    );
}

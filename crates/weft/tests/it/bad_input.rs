//! Input nobody should send: each case gives one clear error and leaves nothing behind.

use std::io::Write;

use serde_json::json;
use weft_testkit::image::{self, Image};
use weft_testkit::tarball::Tarball;
use weft_testkit::wait::SOON;
use weft_testkit::{Weft, http, until};

use crate::{WEFT, idle, weft};

/// Nothing was made: no container, no image beside busybox, and the engine still works.
#[track_caller]
fn nothing_happened(weft: &Weft) {
    assert_eq!(weft.ok(&["ps", "--all", "--quiet"]), "");
    assert_eq!(weft.ok(&["images", "--quiet"]).lines().count(), 1);
    assert!(
        !weft.daemon_log().contains("panicked"),
        "{}",
        weft.daemon_log()
    );
    weft.weft(&["run", "--rm", "busybox", "true"]).code(0);
}

#[test]
fn layers_that_reach_out_of_the_root() {
    let Some(weft) = weft() else { return };
    let canary = weft.scratch().join("canary");
    let deep = "../".repeat(40);
    let outside = format!(
        "{deep}{}",
        canary.display().to_string().trim_start_matches('/')
    );
    let bad = [
        Tarball::new().file(&outside, 0o644, b"x"),
        Tarball::new().file(&canary.display().to_string(), 0o644, b"x"),
        Tarball::new()
            .symlink("out", &weft.scratch().display().to_string())
            .file("out/canary", 0o644, b"x"),
        Tarball::new().symlink("out", &deep).file(
            &format!("out/{}", canary.display()),
            0o644,
            b"x",
        ),
        Tarball::new().hardlink("shadow", "../../../../../../../../etc/shadow"),
        Tarball::new()
            .symlink("link", "/etc/shadow")
            .hardlink("shadow", "link"),
        Tarball::new()
            .symlink("d", "/etc")
            .file("d/.wh.passwd", 0o644, b""),
        Tarball::new().dir("..", 0o777).dir("/", 0o777),
        Tarball::new().file("a\0b/../../../etc/x", 0o644, b"x"),
    ];
    let passwd = std::fs::metadata("/etc/passwd").unwrap().len();
    for (index, tar) in bad.into_iter().enumerate() {
        let name = format!("bad:{index}");
        let archive = image::busybox_named(&name).layer(tar.finish()).archive();
        // Refused, or taken beneath the root: the host must not notice either way.
        let loaded = weft.weft_with_input(&["load"], &archive);
        assert!(!loaded.stderr.contains("panicked"), "{loaded}");
        if loaded.code == 0 {
            let shadow = weft.weft(&["run", "--rm", &name, "cat", "/shadow"]);
            assert!(!shadow.stdout.contains("root:"), "{shadow}");
            weft.ok(&["rmi", &name]);
        }
        assert!(!canary.exists(), "case {index} wrote outside");
        assert_eq!(std::fs::metadata("/etc/passwd").unwrap().len(), passwd);
    }
    nothing_happened(&weft);
}

#[test]
fn archives_that_are_none() {
    let Some(weft) = weft() else { return };
    let whole = image::busybox_named("cut:1").archive();
    let cases: [&[u8]; 5] = [
        b"not a tar at all",
        &[0; 10240],
        &whole[..whole.len() / 2],
        &whole[512..],
        &image::gzip(b"not a tar"),
    ];
    for (index, case) in cases.into_iter().enumerate() {
        let ran = weft.weft_with_input(&["load"], case);
        assert_ne!(ran.code, 0, "case {index}: {ran}");
        assert!(
            !ran.stderr.contains("panicked") && !ran.stderr.is_empty(),
            "{ran}"
        );
    }
    nothing_happened(&weft);
}

#[test]
fn absurd_image_configs() {
    let Some(weft) = weft() else { return };
    let cases = [
        (json!({ "User": "4294967296" }), "4294967296"),
        (json!({ "User": "-1" }), "-1"),
        (json!({ "User": "nobody-here" }), "nobody-here"),
        (json!({ "WorkingDir": "../../.." }), ""),
        (json!({ "WorkingDir": "/proc/self/fd/7" }), ""),
        (json!({ "StopSignal": "SIGNOTHING" }), "SIGNOTHING"),
        (json!({ "Volumes": { "/../../etc": {} } }), "/../../etc"),
        (json!({ "Volumes": { "": {} } }), "Volumes"),
        (json!({ "Env": ["NOEQUALS", "=x"] }), ""),
        (json!({ "ExposedPorts": { "99999/tcp": {} } }), "99999"),
        (json!({ "Cmd": [] }), "command"),
        (json!({ "Entrypoint": ["a".repeat(200_000)] }), ""),
    ];
    let layer = Tarball::new()
        .dir("etc/", 0o755)
        .file("etc/passwd", 0o644, b"root:x:0:0::/:/bin/sh\n")
        .finish();
    for (index, (mut config, word)) in cases.into_iter().enumerate() {
        let fields = config.as_object_mut().unwrap();
        fields.entry("Cmd").or_insert(json!(["/true"]));
        let name = format!("absurd:{index}");
        let archive = Image::new(&name, config.clone())
            .layer(layer.clone())
            .archive();
        let loaded = weft.weft_with_input(&["load"], &archive);
        // It may be refused when loaded or when run, by name either way; there is no /bin/true.
        let ran = if loaded.code == 0 {
            weft.weft(&["run", "--rm", &name])
        } else {
            loaded
        };
        assert_ne!(ran.code, 0, "{config}: {ran}");
        assert!(
            ran.stderr.contains(word) && !ran.stderr.contains("panicked"),
            "{config}: {ran}"
        );
        let _ = weft.weft(&["rmi", &name]);
    }
    nothing_happened(&weft);
}

#[test]
fn an_image_label_is_only_a_label() {
    let Some(weft) = weft() else { return };
    // CVE-2026-53488: labels that mean something to the engine must not come from an image.
    let labels = json!({ "Labels": { "weft.instance": "other", "containerd.io/restart.loguri": "binary:///bin/false" }, "Cmd": ["true"] });
    let archive = Image::new("labels:1", labels)
        .layer(
            Tarball::new()
                .file("true", 0o755, &std::fs::read("/bin/busybox").unwrap())
                .finish(),
        )
        .archive();
    weft.weft_with_input(&["load"], &archive).ok();
    weft.weft(&["run", "--name", "one", "labels:1", "/true"])
        .code(0);
    assert_eq!(
        weft.inspect("one")["Config"]["Labels"]["weft.instance"],
        "other"
    );
    weft.ok(&["rm", "one"]);
    weft.ok(&["rmi", "labels:1"]);
    nothing_happened(&weft);
}

#[test]
fn strange_and_overlong_names() {
    let Some(weft) = weft() else { return };
    let long = "x".repeat(5000);
    for name in [
        "", "-", "../x", "a/b", "a b", "ä", ".", "..", "a\nb", "%2e%2e", &long,
    ] {
        let ran = weft.weft(&["create", "--name", name, "busybox"]);
        assert!(ran.code != 0 || name.is_empty(), "{name:?}: {ran}");
        if ran.code == 0 {
            weft.ok(&["rm", ran.stdout.trim()]);
        }
        for args in [["volume", "create", name], ["network", "create", name]] {
            let ran = weft.weft(&args);
            let anonymous = name.is_empty() && args[0] == "volume";
            assert!(ran.code != 0 || anonymous, "{args:?}: {ran}");
        }
    }
    for image in [
        "",
        "x/UPPER",
        "a:b:c",
        "a@sha256:short",
        "a//b",
        "-x",
        "http://x/y",
        &long,
        "a:t@",
        "..",
        "host:99999/x",
    ] {
        weft.weft(&["pull", image]).fails_saying(&[]);
        assert_ne!(weft.weft(&["tag", "busybox", image]).code, 0, "{image:?}");
    }
    weft.weft(&["run", "--rm", "--hostname", &long, "busybox", "true"])
        .fails_saying(&["hostname"]);
    weft.weft(&["volume", "prune", "--all", "--force"]).ok();
    nothing_happened(&weft);
}

#[test]
fn contradictory_and_unknown_flags() {
    let Some(weft) = weft() else { return };
    let cases: [(&[&str], &str); 9] = [
        (&["--no-such-flag"], "no-such-flag"),
        (&["--memory", "lots"], "lots"),
        (&["--memory", "1"], "memory"),
        (&["--cpus=-1"], "cpus"),
        (&["--restart", "sometimes"], "sometimes"),
        (&["--rm", "--restart", "always"], "restart"),
        (&["--tmpfs", "/x:nonsense"], "nonsense"),
        (&["--mount", "type=wrong,target=/x"], "wrong"),
        (&["--security-opt", "magic=1"], "magic"),
    ];
    for (flags, word) in cases {
        let ran = weft.weft(&[&["run"][..], flags, &["busybox", "true"]].concat());
        assert_ne!(ran.code, 0, "{flags:?}: {ran}");
        assert!(ran.stderr.to_lowercase().contains(word), "{word:?}: {ran}");
        let ids = weft.ok(&["ps", "--all", "--quiet"]);
        assert_eq!(ids, "", "{flags:?} left a container");
    }
    nothing_happened(&weft);
}

#[test]
fn what_could_never_start_is_refused_at_create() {
    let Some(weft) = weft() else { return };
    let shareable = ["create", "--ipc", "shareable"];
    for (name, flags) in [
        ("mapped", &[][..]),
        ("bare", &["--userns", "host"]),
        ("guest", &["--network", "container:bare"]),
    ] {
        weft.ok(&[&shareable[..], &["--name", name], flags, &["busybox"]].concat());
    }
    for (flags, said) in [
        (&["--sysctl", "vm.swappiness=1"][..], "vm.swappiness"),
        (&["--sysctl", "kernel.panic=1"], "kernel.panic"),
        (
            &["--sysctl", "net.core.somaxconn=1", "--network", "host"],
            "net.core.somaxconn",
        ),
        (
            &["--sysctl", "kernel.shmall=1", "--ipc", "host"],
            "kernel.shmall",
        ),
        (&["--publish-all", "--expose", "1-65535"], "--network host"),
        (&["--ipc", "container:mapped"], "needs --network"),
        (
            &["--network", "none", "--ipc", "container:bare"],
            "has no user namespace; add --userns host",
        ),
        (
            &[
                "--network",
                "none",
                "--ipc",
                "container:mapped",
                "--privileged",
            ],
            "leave out --userns host",
        ),
        (
            &["--network", "container:bare", "--ipc", "container:mapped"],
            "the same container",
        ),
        // Whom it joins decides, whatever it asked for itself.
        (
            &["--network", "none", "--ipc", "container:guest"],
            "has no user namespace",
        ),
    ] {
        let create = [&["create"][..], flags, &["busybox", "true"]].concat();
        weft.weft(&create).fails_saying(&[said]);
    }
    assert_eq!(weft.ok(&["ps", "--all", "--quiet"]).lines().count(), 3);
    // What is a container's own is set; as many ports as that are too many to publish only.
    let run = [
        "run",
        "--rm",
        "--sysctl",
        "kernel.shmall=77",
        "--expose",
        "1-65535",
    ];
    let cat = ["busybox", "cat", "/proc/sys/kernel/shmall"];
    assert_eq!(weft.ok(&[&run[..], &cat].concat()), "77");
    let many = [
        "run",
        "--rm",
        "--publish-all",
        "--expose",
        "1-2000",
        "busybox",
    ];
    weft.ok(&[&many[..], &["true"]].concat());
}

#[test]
fn malformed_and_oversized_requests() {
    let Some(weft) = weft() else { return };
    let socket = weft.socket();
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{\"Image\": 7}",
        "{\"HostConfig\": {\"Memory\": \"x\"}}",
        "\"\\ud800\"",
    ] {
        let answer = weft.api("POST", "/containers/create", body);
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
        assert!(answer.body.contains("message"), "{answer:?}");
    }
    let unknown = weft.api(
        "POST",
        "/containers/create",
        "{\"Image\":\"busybox\",\"HostConfig\":{\"BlkioWeightNobodyKnows\":3}}",
    );
    assert!(
        unknown.status == 400 && unknown.body.contains("BlkioWeightNobodyKnows"),
        "{unknown:?}"
    );
    let deep = "[".repeat(100_000);
    assert_eq!(weft.api("POST", "/containers/create", &deep).status, 400);
    let huge = format!("{{\"Image\":\"{}\"}}", "x".repeat(64 << 20));
    let answer = weft.api("POST", "/containers/create", &huge);
    assert!(matches!(answer.status, 0 | 400 | 413), "{}", answer.status);
    for (request, expected) in [
        (
            "GET /nosuch HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            404,
        ),
        (
            "GET /v9.99/info HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            400,
        ),
        (
            "DELETE /info HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            404,
        ),
        (
            "GET /containers/%00/json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            404,
        ),
        (
            "GET /containers/..%2f..%2fetc/json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            404,
        ),
        ("complete nonsense\r\n\r\n", 400),
    ] {
        let answer = http::raw(&socket, request.as_bytes()).unwrap();
        let same =
            answer.status == expected || expected == 404 && matches!(answer.status, 400 | 405);
        assert!(same, "{request}: {answer:?}");
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "y".repeat(1 << 20));
    let answer = http::raw(&socket, long.as_bytes()).unwrap();
    assert!(
        matches!(answer.status, 0 | 400 | 404 | 414 | 431),
        "{}",
        answer.status
    );
    nothing_happened(&weft);
}

#[test]
fn clients_that_vanish_in_the_middle() {
    let Some(weft) = weft() else { return };
    let socket = weft.socket();
    let half =
        "POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{\"Image\":";
    for _ in 0..50 {
        let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        stream.write_all(half.as_bytes()).unwrap();
    }
    let half = "POST /images/load HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n";
    let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    stream.write_all(half.as_bytes()).unwrap();
    stream.write_all(&image::busybox()[..1 << 20]).unwrap();
    drop(stream);

    idle(&weft, "one");
    for args in [
        ["events"].as_slice(),
        &["stats", "one"],
        &["attach", "one"],
        &["logs", "--follow", "one"],
    ] {
        let mut client = weft.background(args);
        weft_testkit::wait::pause();
        assert!(client.running(), "{args:?}: {}", client.stderr());
        client.signal(rustix::process::Signal::KILL);
    }
    weft.ok(&["rm", "--force", "one"]);
    nothing_happened(&weft);
}

#[test]
fn a_full_disk() {
    if !weft_testkit::peer::root() {
        return;
    }
    let Some(disk) = SmallDisk::new(24 << 20) else {
        return;
    };
    let Some(weft) = Weft::with_data_dir(WEFT, disk.dir.path()) else {
        return;
    };
    let big = Tarball::new()
        .file("big", 0o644, &vec![7; 40 << 20])
        .finish();
    let big = image::busybox_named("big:1").layer(big).archive();
    weft.weft_with_input(&["load"], &big)
        .fails_saying(&["space"]);
    // What was half there is gone again: a small image fits.
    weft.weft_with_input(&["load"], image::busybox()).ok();
    let script = "dd if=/dev/zero of=/big bs=1M count=60 2>/dev/null; rm -f /big; echo alive";
    assert_eq!(
        weft.ok(&["run", "--rm", "busybox", "sh", "-c", script]),
        "alive"
    );
}

/// A tmpfs of a few megabytes; unmounted when dropped.
struct SmallDisk {
    dir: tempfile::TempDir,
}

impl SmallDisk {
    fn new(bytes: u64) -> Option<SmallDisk> {
        let dir = tempfile::Builder::new()
            .prefix("weft-small-")
            .tempdir()
            .unwrap();
        let mut mount = std::process::Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "weft-small"])
            .arg(dir.path());
        weft_testkit::command::run(mount, b"", weft_testkit::command::LIMIT).ok();
        Some(SmallDisk { dir })
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = || {
            let status = std::process::Command::new("umount")
                .arg(self.dir.path())
                .status();
            status.is_ok_and(|status| status.success())
        };
        if !std::thread::panicking() {
            until(SOON, "the small disk is free", unmounted);
        } else {
            let _ = std::process::Command::new("umount")
                .arg("--lazy")
                .arg(self.dir.path())
                .status();
        }
    }
}

#[test]
fn mistakes_are_told_once_and_in_the_words_of_who_made_them() {
    let Some(weft) = weft() else { return };
    let said = |args: &[&str]| {
        let ran = weft.weft(args);
        assert_ne!(ran.code, 0, "{ran}");
        ran.stderr
    };
    let digest = said(&["run", "busybox@sha256:abc"]);
    assert_eq!(digest.matches("lower-case hex").count(), 1, "{digest}");
    let closed = said(&["pull", "127.0.0.1:1/x"]);
    assert_eq!(closed.matches("127.0.0.1:1/x").count(), 1, "{closed}");
    let absent = said(&["run", "--rm", "busybox", "nosuch"]);
    let why = absent.matches("not found").count() + absent.matches("No such file").count();
    assert_eq!(why, 1, "{absent}");
    let barred = said(&["run", "--rm", "busybox", "/etc/notexecutable"]);
    let why = barred.to_lowercase();
    assert_eq!(why.matches("permission denied").count(), 1, "{barred}");
    for (flags, words) in [
        (["--volume", "a:b"], "--volume: 'a:b'"),
        (["--memory", "1k"], "--memory: "),
        (["--cpuset-cpus", "x"], "--cpuset-cpus: 'x'"),
        (["--security-opt", "x=y"], "--security-opt 'x=y'"),
        (["--cpus", "0.001"], "--cpus: "),
    ] {
        let refused = said(&[&["create"][..], &flags, &["busybox"]].concat());
        assert!(refused.contains(words), "{refused}");
    }
    let place = said(&["create", "--device", "/dev/null:/null", "busybox"]);
    assert!(place.contains("--device /dev/null:/null"), "{place}");
    let named = [
        "create",
        "--uts",
        "host",
        "--domainname",
        "there",
        "busybox",
    ];
    let named = said(&named);
    assert!(named.contains("--domainname and --uts host"), "{named}");
    let kernels = said(&["create", "-v", "/etc:/proc/sys", "busybox"]);
    assert!(
        kernels.contains("'/proc/sys'") && !kernels.contains("specification"),
        "{kernels}"
    );
    let directory = weft.scratch().display().to_string();
    for command in ["load --input", "import"] {
        let args: Vec<&str> = command.split(' ').chain([directory.as_str()]).collect();
        let said = said(&args);
        assert!(
            said.contains(&directory) && !said.contains("connection"),
            "{said}"
        );
    }
    let empty = said(&["run", "-e", "", "busybox", "true"]);
    assert!(empty.contains("invalid environment variable"), "{empty}");
    if let Some(ran) = weft.docker(&[
        "run",
        "-v",
        "/weft-none/../etc:/x",
        "busybox",
        "ls",
        "/x/passwd",
    ]) {
        ran.ok();
        assert!(!std::path::Path::new("/weft-none").exists());
    }
    weft.ok(&["rm", "-f", &weft.ok(&["ps", "-aq"])]);
    nothing_happened(&weft);
}

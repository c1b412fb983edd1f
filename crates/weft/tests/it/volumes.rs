//! Volumes, bind mounts and tmpfs: data in, data kept, ids as they are on disk.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::weft;

#[test]
fn a_named_volume_outlives_its_containers() {
    let Some(weft) = weft() else { return };
    weft.ok(&["volume", "create", "--label", "kind=data", "kept"]);
    weft.ok(&[
        "run",
        "--rm",
        "--volume",
        "kept:/data",
        "busybox",
        "sh",
        "-c",
        "echo here > /data/file",
    ]);
    assert_eq!(
        weft.ok(&[
            "run",
            "--rm",
            "--volume",
            "kept:/data:ro",
            "busybox",
            "cat",
            "/data/file"
        ]),
        "here"
    );
    let write = [
        "run",
        "--rm",
        "--volume",
        "kept:/data:ro",
        "busybox",
        "sh",
        "-c",
        "echo x > /data/file",
    ];
    weft.weft(&write).fails_saying(&["read-only"]);
    assert_eq!(
        weft.ok(&["volume", "ls", "--quiet", "--filter", "label=kind=data"]),
        "kept"
    );
    // Ids on disk are the container's own, whatever range it ran with.
    let file = weft.data_dir().join("volumes/kept/_data/file");
    let meta = fs::metadata(&file).unwrap();
    assert_eq!((meta.uid(), meta.gid()), (0, 0));
    weft.ok(&["volume", "rm", "kept"]);
    assert!(!file.exists());
}

#[test]
fn a_volume_in_use_stays() {
    let Some(weft) = weft() else { return };
    weft.ok(&[
        "run",
        "--detach",
        "--name",
        "user",
        "--volume",
        "used:/data",
        "busybox",
        "sleep",
        "3600",
    ]);
    weft.weft(&["volume", "rm", "used"])
        .fails_saying(&["used", "in use"]);
    weft.ok(&["volume", "create", "free"]);
    weft.ok(&["volume", "prune", "--all", "--force"]);
    assert_eq!(weft.ok(&["volume", "ls", "--quiet"]), "used");
}

#[test]
fn anonymous_volumes_go_with_their_container() {
    let Some(weft) = weft() else { return };
    weft.ok(&[
        "run",
        "--rm",
        "--volume",
        "/data",
        "busybox",
        "touch",
        "/data/file",
    ]);
    assert_eq!(weft.ok(&["volume", "ls", "--quiet"]), "");
    weft.ok(&[
        "run", "--name", "kept", "--volume", "/data", "busybox", "true",
    ]);
    assert_eq!(weft.ok(&["volume", "ls", "--quiet"]).lines().count(), 1);
    weft.ok(&["rm", "--volumes", "kept"]);
    assert_eq!(weft.ok(&["volume", "ls", "--quiet"]), "");
}

#[test]
fn a_new_volume_takes_over_what_the_image_has_there() {
    let Some(weft) = weft() else { return };
    let listing = weft.ok(&[
        "run",
        "--rm",
        "--volume",
        "etc:/etc",
        "busybox",
        "cat",
        "/etc/group",
    ]);
    assert!(listing.contains("loom"), "{listing}");
}

#[test]
fn binds_show_the_hosts_files_with_the_hosts_owners() {
    let Some(weft) = weft() else { return };
    let dir = weft.scratch().join("shared");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("in"), "from the host\n").unwrap();
    let bind = format!("{}:/shared", dir.display());
    let script = "cat /shared/in; stat -c %u:%g /shared/in; echo back > /shared/out; chown 1000:2000 /shared/out";
    let said = weft.ok(&[
        "run", "--rm", "--volume", &bind, "busybox", "sh", "-c", script,
    ]);
    assert_eq!(said, "from the host\n0:0");
    let meta = fs::metadata(dir.join("out")).unwrap();
    assert_eq!((meta.uid(), meta.gid()), (1000, 2000));

    let mount = format!("type=bind,source={},target=/shared,readonly", dir.display());
    let write = [
        "run",
        "--rm",
        "--mount",
        &mount,
        "busybox",
        "sh",
        "-c",
        "echo x > /shared/in",
    ];
    weft.weft(&write).fails_saying(&["read-only"]);
    let file = format!("{}:/etc/motd:ro", dir.join("in").display());
    assert_eq!(
        weft.ok(&[
            "run",
            "--rm",
            "--volume",
            &file,
            "busybox",
            "cat",
            "/etc/motd"
        ]),
        "from the host"
    );
}

#[test]
fn a_bind_of_nothing() {
    let Some(weft) = weft() else { return };
    let missing = weft.scratch().join("missing").display().to_string();
    let mount = format!("type=bind,source={missing},target=/data");
    weft.weft(&["run", "--rm", "--mount", &mount, "busybox", "true"])
        .fails_saying(&[&missing]);
    assert_eq!(weft.ok(&["ps", "--all", "--quiet"]), "");
    weft.weft(&[
        "run",
        "--rm",
        "--volume",
        "relative/path:/data",
        "busybox",
        "true",
    ])
    .fails_saying(&["relative/path"]);
}

#[test]
fn mount_targets_cannot_be_led_astray() {
    let Some(weft) = weft() else { return };
    // The image has a link where the mount should go: it is followed beneath the root only.
    let layer = weft_testkit::tarball::Tarball::new()
        .symlink("data", "/../../../../etc")
        .finish();
    let image = weft_testkit::image::busybox_named("astray:1")
        .layer(layer)
        .archive();
    weft.weft_with_input(&["load"], &image).ok();
    let dir = weft.scratch().join("shared");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("marker"), "").unwrap();
    let bind = format!("{}:/data", dir.display());
    let listing = weft.ok(&["run", "--rm", "--volume", &bind, "astray:1", "ls", "/etc"]);
    // With it what weft puts into /etc of every container.
    assert!(listing.lines().any(|name| name == "marker"), "{listing}");
    assert!(!std::path::Path::new("/etc/marker").exists());
}

#[test]
fn a_part_of_a_volume_is_mounted_and_nothing_outside_it() {
    let Some(weft) = weft() else { return };
    let script = "mkdir -p /v/a/b; echo in > /v/a/b/f; echo out > /v/f; \
        ln -s a /v/inner; ln -s /etc /v/absolute; ln -s ../.. /v/up";
    let fill = [
        "run", "--rm", "-v", "data:/v", "busybox", "sh", "-c", script,
    ];
    weft.ok(&fill);
    let mount = |path: &str| format!("type=volume,source=data,target=/p,volume-subpath={path}");
    let run = |path: &str, script: &str| {
        let mount = mount(path);
        weft.weft(&[
            "run", "--rm", "--mount", &mount, "busybox", "sh", "-c", script,
        ])
    };
    let seen = run("a/b", "cat /p/f; ls /p/..; echo more > /p/g")
        .ok()
        .to_owned();
    assert!(seen.starts_with("in\n"), "{seen}");
    let kept = weft.data_dir().join("volumes/data/_data");
    assert_eq!(fs::read_to_string(kept.join("a/b/g")).unwrap(), "more\n");
    let meta = fs::metadata(kept.join("a/b/g")).unwrap();
    assert_eq!((meta.uid(), meta.gid()), (0, 0));
    assert_eq!(run("inner/b", "cat /p/f").ok(), "in");
    assert_eq!(run("a/b/f", "cat /p").ok(), "in");
    run("missing", "true").fails_saying(&["volume-subpath 'missing'", "volume data", "make it"]);
    for path in ["absolute", "up", "up/data", "absolute/passwd"] {
        run(path, "true").fails_saying(&["leads out of the volume"]);
    }
    for path in ["/a", "a/../..", ".."] {
        run(path, "true").fails_saying(&["invalid volume-subpath"]);
    }
    assert_eq!(weft.ok(&["ps", "-aq"]), "");
}

#[test]
fn docker_mounts_a_part_of_a_volume() {
    let Some(weft) = weft() else { return };
    let fill = [
        "run",
        "--rm",
        "-v",
        "data:/v",
        "busybox",
        "sh",
        "-c",
        "mkdir /v/a; echo in > /v/a/f",
    ];
    weft.ok(&fill);
    let mount = "type=volume,src=data,dst=/p,volume-subpath=a";
    let create = [
        "create", "--name", "part", "--mount", mount, "busybox", "cat", "/p/f",
    ];
    let Some(made) = weft.docker(&create) else {
        return;
    };
    made.ok();
    let part = &weft.inspect("part")["HostConfig"]["Mounts"][0];
    assert_eq!(part["VolumeOptions"]["Subpath"], "a");
    // Of a container that does not run, too.
    let copied = weft.ok(&["cp", "part:/p/f", "-"]);
    assert!(copied.contains("in\n"), "{copied:?}");
    let started = weft.docker(&["start", "-a", "part"]).unwrap();
    assert_eq!(started.ok(), "in");
}

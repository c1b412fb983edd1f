//! What the layers of an image and a container's own amount to.

use serde_json::json;
use weft_testkit::Weft;
use weft_testkit::image::Image;
use weft_testkit::tarball::Tarball;

use crate::weft;

/// An image of `layers` above one with nothing but a static busybox, loaded as `name`.
#[track_caller]
fn load(weft: &Weft, name: &str, layers: Vec<Tarball>) {
    let binary = std::fs::read("/bin/busybox").unwrap();
    let mut base = Tarball::new()
        .dir("bin/", 0o755)
        .file("bin/busybox", 0o755, &binary);
    for applet in ["sh", "sleep", "mkdir", "touch", "stat", "cat", "chmod"] {
        base = base.symlink(&format!("bin/{applet}"), "busybox");
    }
    let config = json!({ "Env": ["PATH=/bin"], "Cmd": ["sleep", "3600"] });
    let mut image = Image::new(name, config).layer(base.finish());
    for layer in layers {
        image = image.layer(layer.finish());
    }
    weft.weft_with_input(&["load"], &image.archive()).ok();
}

#[test]
fn diff_tells_what_the_container_changed_and_nothing_else() {
    let Some(weft) = weft() else { return };
    // Neither /proc nor /dev nor /sys nor /etc: all that is mounted on has to be made.
    let links = Tarball::new()
        .dir("kept/", 0o755)
        .symlink("way", "kept/real");
    load(&weft, "bare:1", vec![links]);
    let file = weft.scratch().join("file");
    std::fs::write(&file, "x").unwrap();
    weft.ok(&[
        "run",
        "--detach",
        "--name",
        "box",
        "--volume",
        "data:/data/deep",
        "--volume",
        "other:/way/in",
        "--volume",
        &format!("{}:/kept/file", file.display()),
        "--tmpfs",
        "/run",
        "bare:1",
    ]);
    assert_eq!(weft.ok(&["diff", "box"]), "");
    weft.ok(&[
        "exec",
        "box",
        "sh",
        "-c",
        "touch /etc/own /data/deep/volume /run/tmpfs; mkdir /data/own; touch /kept/empty",
    ]);
    let expected = "A /data\nA /data/own\nC /etc\nA /etc/own\nC /kept\nA /kept/empty";
    assert_eq!(weft.ok(&["diff", "box"]), expected);
    if let Some(ran) = weft.docker(&["diff", "box"]) {
        assert_eq!(ran.ok(), expected);
    }
    // What is changed about a directory on the way is a change of its own.
    weft.ok(&[
        "run",
        "--name",
        "mode",
        "--volume",
        "data:/kept/in",
        "bare:1",
        "chmod",
        "700",
        "/kept",
    ]);
    assert_eq!(weft.ok(&["diff", "mode"]), "C /kept");
}

#[test]
fn a_directory_a_layer_only_implies_is_as_the_layers_below_have_it() {
    let Some(weft) = weft() else { return };
    let root = Tarball::new()
        .owned_dir("./", 0o711, (0, 5))
        .owned_dir("a/", 0o700, (1000, 2000))
        .dir("a/sticky/", 0o1777)
        .dir("gone/", 0o700)
        .dir("said/", 0o700)
        .symlink("link", "a");
    let implying = Tarball::new()
        .file("a/sticky/deep/file", 0o644, b"x")
        .file("a/sticky/other", 0o644, b"x")
        .file("said/file", 0o644, b"x")
        .dir("said/", 0o750)
        .file("new/file", 0o644, b"x");
    let hiding = Tarball::new()
        .file(".wh.gone", 0o644, b"")
        .file("a/top", 0o644, b"x");
    let again = Tarball::new().file("gone/file", 0o644, b"x");
    load(&weft, "implied:1", vec![root, implying, hiding, again]);
    weft.ok(&["run", "--detach", "--name", "box", "implied:1"]);
    let stat = |path: &str| weft.ok(&["exec", "box", "stat", "-c", "%a %u:%g", path]);
    for (path, expected) in [
        ("/", "711 0:5"),
        ("/a", "700 1000:2000"),
        ("/a/sticky", "1777 0:0"),
        ("/a/sticky/deep", "755 0:0"),
        ("/said", "750 0:0"),
        ("/new", "755 0:0"),
        // Deleted and implied since: nothing is said of this one.
        ("/gone", "755 0:0"),
    ] {
        assert_eq!(stat(path), expected, "{path}");
    }
    for file in [
        "/a/top",
        "/a/sticky/other",
        "/a/sticky/deep/file",
        "/gone/file",
    ] {
        assert_eq!(weft.ok(&["exec", "box", "cat", file]), "x");
    }
    // All of it is the image's, nothing the container's.
    assert_eq!(weft.ok(&["diff", "box"]), "");
}

/// A container is made with all its layers, or there is no such image any more.
#[test]
fn create_and_rmi_at_once_leave_a_whole_container_or_none() {
    let Some(weft) = weft() else { return };
    let (mut created, mut refused) = (0, 0);
    for round in 0..20 {
        let own = Tarball::new().file("own", 0o644, b"x");
        load(&weft, "race:1", vec![own]);
        let together = std::sync::Barrier::new(2);
        let (create, remove) = std::thread::scope(|scope| {
            let creating = scope.spawn(|| {
                together.wait();
                weft.weft(&[
                    "create", "--name", "box", "--pull", "never", "race:1", "cat", "/own",
                ])
            });
            together.wait();
            let remove = weft.weft(&["rmi", "race:1"]);
            (creating.join().unwrap(), remove)
        });
        if create.code == 0 {
            assert_eq!(weft.ok(&["start", "--attach", "box"]), "x", "{round}");
            remove.fails_saying(&["uses it"]);
            weft.ok(&["rm", "box"]);
            weft.ok(&["rmi", "race:1"]);
            created += 1;
        } else {
            create.fails_saying(&["no such image"]);
            remove.ok();
            refused += 1;
        }
    }
    println!("{created} were created, {refused} were not");
    assert_eq!(weft.ok(&["ps", "--all", "--quiet"]), "");
}

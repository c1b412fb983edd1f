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
    let expected = "A /data\nA /data/own\nA /etc\nA /etc/own\nC /kept\nA /kept/empty";
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

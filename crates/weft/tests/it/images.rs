//! Images: from real registries, from archives, to archives, and away again.

use std::fs;

use serde_json::Value;
use weft_testkit::image;
use weft_testkit::registry::{Access, Liar, response};
use weft_testkit::tarball::Tarball;
use weft_testkit::{Registry, Weft};

use crate::{WEFT, weft};

/// A configuration file for one registry.
fn configured(registry: &Registry, setting: &str) -> std::path::PathBuf {
    let path = registry.ca().with_file_name("weft.toml");
    fs::write(
        &path,
        format!("[registries.\"{}\"]\n{setting}\n", registry.host()),
    )
    .unwrap();
    path
}

#[test]
fn pull_from_a_plain_registry_on_loopback_and_run() {
    let Some(weft) = Weft::empty(WEFT) else {
        return;
    };
    let Some(registry) = Registry::start(Access::Plain).unwrap() else {
        return;
    };
    registry
        .push(image::busybox(), "library/busybox:1")
        .unwrap();
    let name = format!("{}/library/busybox:1", registry.host());
    weft.ok(&["pull", &name]);
    assert_eq!(weft.ok(&["run", "--rm", &name, "echo", "pulled"]), "pulled");
    let listing = weft.ok(&["images"]);
    assert!(
        listing.contains("library/busybox") && listing.contains(" 1 "),
        "{listing}"
    );
    // By digest, the same image.
    let image: Value = serde_json::from_str(&weft.ok(&["image", "inspect", &name])).unwrap();
    let digest = image[0]["RepoDigests"][0].as_str().unwrap().to_owned();
    weft.ok(&["rmi", &name]);
    weft.ok(&["pull", &digest]);
    assert_eq!(weft.ok(&["run", "--rm", &digest, "echo", "again"]), "again");
}

#[test]
fn run_pulls_what_is_missing() {
    let Some(weft) = Weft::empty(WEFT) else {
        return;
    };
    let Some(registry) = Registry::start(Access::Plain).unwrap() else {
        return;
    };
    registry.push(image::busybox(), "busybox:1").unwrap();
    let name = format!("{}/busybox:1", registry.host());
    let ran = weft.weft(&["run", "--rm", &name, "echo", "there"]);
    assert_eq!(ran.ok(), "there");
    weft.weft(&[
        "run",
        "--rm",
        "--pull",
        "never",
        &format!("{}/other:1", registry.host()),
        "true",
    ])
    .fails_saying(&["other"]);
}

#[test]
fn tls_needs_the_ca_or_a_word_that_it_may_be_insecure() {
    let Some(registry) = Registry::start(Access::Tls).unwrap() else {
        return;
    };
    registry.push(image::busybox(), "busybox:1").unwrap();
    let name = format!("{}/busybox:1", registry.host());
    let Some(weft) = Weft::empty(WEFT) else {
        return;
    };
    weft.weft(&["pull", &name]).fails_saying(&["certificate"]);
    drop(weft);
    for setting in [
        format!("ca = \"{}\"", registry.ca().display()),
        "insecure = true".to_owned(),
    ] {
        let config = configured(&registry, &setting).display().to_string();
        let Some(weft) = Weft::with_flags(WEFT, &["--config", &config]) else {
            return;
        };
        weft.ok(&["pull", &name]);
        assert_eq!(weft.ok(&["run", "--rm", &name, "echo", "pulled"]), "pulled");
    }
}

#[test]
fn a_password_comes_from_dockers_own_file() {
    let Some(registry) = Registry::start(Access::Password).unwrap() else {
        return;
    };
    registry.push(image::busybox(), "busybox:1").unwrap();
    let name = format!("{}/busybox:1", registry.host());
    let Some(weft) = Weft::empty(WEFT) else {
        return;
    };
    weft.weft(&["pull", &name]).fails_saying(&["credentials"]);
    let file = weft.scratch().join(".docker/config.json");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let keep = |auth: &str| {
        let text = format!(
            "{{\"auths\":{{\"{}\":{{\"auth\":\"{auth}\"}}}}}}",
            registry.host()
        );
        fs::write(&file, text).unwrap();
    };
    // weaver:wrong, then weaver:shuttle.
    keep("d2VhdmVyOndyb25n");
    weft.weft(&["pull", &name]).fails_saying(&["credentials"]);
    keep("d2VhdmVyOnNodXR0bGU=");
    weft.ok(&["pull", &name]);
    // What belongs to one registry is not told to another.
    let other = Liar::start(Box::new(|_| {
        response("401 Unauthorized", "text/plain", b"")
    }))
    .unwrap();
    weft.weft(&["pull", &format!("{}/x:1", other.host())])
        .fails_saying(&[]);
    assert!(
        other
            .asked()
            .iter()
            .all(|request| !request.to_lowercase().contains("authorization: basic"))
    );
}

#[test]
fn a_login_is_checked_before_it_is_kept() {
    let Some(registry) = Registry::start(Access::Password).unwrap() else {
        return;
    };
    let Some(weft) = Weft::empty(WEFT) else {
        return;
    };
    let host = registry.host();
    let file = weft.scratch().join(".docker/config.json");
    let login = ["login", "--username", "weaver", "--password-stdin", &host];
    weft.weft_with_input(&login, b"wrong\n")
        .fails_saying(&["log in to", &host]);
    assert!(!file.exists());
    weft.weft_with_input(&login, b"shuttle\n").ok();
    assert!(fs::read_to_string(&file).unwrap().contains(&host));
    weft.ok(&["logout", &host]);
    assert!(!fs::read_to_string(&file).unwrap().contains(&host));
}

#[test]
fn layers_whiteouts_and_metadata_are_as_the_archive_says() {
    let Some(weft) = weft() else { return };
    let lower = Tarball::new()
        .dir("d/", 0o2755)
        .file("d/gone", 0o644, b"x")
        .file("d/kept", 0o640, b"kept")
        .hardlink("d/hard", "d/kept")
        .symlink("d/soft", "kept")
        .dir("opaque/", 0o755)
        .file("opaque/old", 0o644, b"x")
        .owned_file("setuid", 0o4755, (1000, 2000), b"x")
        .finish();
    let upper = Tarball::new()
        .dir("d/", 0o2755)
        .file("d/.wh.gone", 0o644, b"")
        .file("opaque/.wh..wh..opq", 0o644, b"")
        .file("opaque/new", 0o644, b"x")
        .finish();
    let archive = image::busybox_named("layers:1")
        .layer(lower)
        .layer(upper)
        .archive();
    weft.weft_with_input(&["load"], &archive).ok();
    let script = "ls d opaque; cat d/hard d/soft; echo; stat -c '%a %u:%g' setuid d; stat -c %h d/kept; stat -c %Y d/kept";
    let said = weft.ok(&["run", "--rm", "layers:1", "sh", "-c", script]);
    let expected =
        "d:\nhard\nkept\nsoft\n\nopaque:\nnew\nkeptkept\n4755 1000:2000\n2755 0:0\n2\n1600000000";
    assert_eq!(said, expected);
}

#[test]
fn save_and_load_keep_the_identity() {
    let Some(weft) = weft() else { return };
    let id = weft.ok(&["images", "--quiet", "--no-trunc", "busybox"]);
    weft.ok(&["tag", "busybox", "other/name:2"]);
    let file = weft.scratch().join("saved.tar").display().to_string();
    weft.ok(&["save", "--output", &file, "busybox:latest", "other/name:2"]);
    weft.ok(&["rmi", "--force", "busybox:latest", "other/name:2"]);
    assert_eq!(weft.ok(&["images", "--quiet"]), "");
    let loaded = weft.ok(&["load", "--input", &file]);
    assert!(
        loaded.contains("busybox:latest") && loaded.contains("other/name:2"),
        "{loaded}"
    );
    assert_eq!(
        weft.ok(&["images", "--quiet", "--no-trunc", "other/name:2"]),
        id
    );

    // skopeo reads what weft wrote.
    let Some(skopeo) = weft_testkit::peer("skopeo") else {
        return;
    };
    let mut inspect = std::process::Command::new(skopeo);
    inspect.args([
        "inspect",
        "--config",
        &format!("docker-archive:{file}:other/name:2"),
    ]);
    let config = weft_testkit::command::run(inspect, b"", weft_testkit::command::LIMIT);
    assert!(config.ok().contains("rootfs"), "{config}");
}

#[test]
fn import_makes_an_image_of_a_tree() {
    let Some(weft) = weft() else { return };
    weft.ok(&["run", "--name", "source", "busybox", "true"]);
    let tree = weft_testkit::tarball::Tarball::new()
        .dir("bin/", 0o755)
        .file("bin/busybox", 0o755, &fs::read("/bin/busybox").unwrap())
        .symlink("bin/echo", "busybox")
        .finish();
    let import = [
        "import",
        "--change",
        "ENV A=b",
        "--change",
        "CMD [\"/bin/echo\", \"imported\"]",
        "-",
        "imported:1",
    ];
    weft.weft_with_input(&import, &tree).ok();
    assert_eq!(weft.ok(&["run", "--rm", "imported:1"]), "imported");
    let image: Value = serde_json::from_str(&weft.ok(&["image", "inspect", "imported:1"])).unwrap();
    assert!(image[0]["Config"]["Env"].to_string().contains("A=b"));
    let foreign = ["import", "--platform", "linux/arm/v7", "-", "foreign:1"];
    weft.weft_with_input(&foreign, &tree).ok();
    let image: Value = serde_json::from_str(&weft.ok(&["image", "inspect", "foreign:1"])).unwrap();
    assert_eq!(image[0]["Architecture"], "arm");
    assert_eq!(image[0]["Variant"], "v7");
}

#[test]
fn images_in_use_stay_and_unused_content_goes() {
    let Some(weft) = weft() else { return };
    weft.ok(&["create", "--name", "user", "busybox"]);
    weft.weft(&["rmi", "busybox"])
        .fails_saying(&["busybox", "uses it"]);
    weft.ok(&["rm", "user"]);
    let removed = weft.ok(&["rmi", "busybox"]);
    assert!(
        removed.contains("Untagged: busybox:latest") && removed.contains("Deleted: sha256:"),
        "{removed}"
    );
    weft.ok(&["image", "prune", "--all", "--force"]);
    let layers = weft.data_dir().join("images/layers");
    let left = fs::read_dir(layers)
        .map(|entries| entries.count())
        .unwrap_or_default();
    assert_eq!(left, 0);
    weft.weft(&["rmi", "busybox"])
        .fails_saying(&["no such image", "busybox"]);
}

#[test]
fn a_registry_and_weft_agree_on_every_byte() {
    let Some(weft) = weft() else { return };
    let Some(registry) = Registry::start(Access::Plain).unwrap() else {
        return;
    };
    // A bigger image of several layers, so that they come in parallel.
    let mut big = image::busybox_named("big:1");
    for layer in 0..6 {
        let mut tar = Tarball::new().dir(&format!("d{layer}/"), 0o755);
        for file in 0..300 {
            tar = tar.file(
                &format!("d{layer}/f{file}"),
                0o644,
                format!("{layer}-{file}\n").repeat(50).as_bytes(),
            );
        }
        big = big.layer(tar.finish());
    }
    registry.push(&big.archive(), "big:1").unwrap();
    let name = format!("{}/big:1", registry.host());
    weft.ok(&["pull", &name]);
    let sums = "cd / && find d0 d1 d2 d3 d4 d5 -type f | sort | xargs sha256sum | sha256sum";
    let pulled = weft.ok(&["run", "--rm", &name, "sh", "-c", sums]);
    weft.weft_with_input(&["load"], &big.archive()).ok();
    assert_eq!(weft.ok(&["run", "--rm", "big:1", "sh", "-c", sums]), pulled);
}

//! Pruning: what may go goes, the rest stays, and what is said to be freed was freed.

use serde_json::{Value, json};
use weft_testkit::Weft;
use weft_testkit::image::Image;
use weft_testkit::tarball::Tarball;

use crate::{idle, weft};

/// Loads an image with one layer of a file of `size` bytes.
#[track_caller]
fn load(weft: &Weft, name: &str, label: &str, size: usize) {
    let config = json!({ "Labels": { label: "yes" }, "Cmd": ["true"] });
    let content: Vec<u8> = name.bytes().cycle().take(size).collect();
    let layer = Tarball::new().file("big", 0o644, &content).finish();
    let image = Image::new(name, config).layer(layer);
    weft.weft_with_input(&["load"], &image.archive()).ok();
}

#[track_caller]
fn prune(weft: &Weft, what: &str, filters: &Value) -> Value {
    let text = filters.to_string();
    let mut query = String::new();
    for byte in text.bytes() {
        query.push_str(&format!("%{byte:02x}"));
    }
    let answer = weft.api("POST", &format!("/{what}/prune?filters={query}"), "");
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_str(&answer.body).unwrap()
}

fn reclaimed(answer: &Value) -> u64 {
    answer["SpaceReclaimed"].as_u64().unwrap()
}

/// Bytes on disk below the data directory.
fn used(weft: &Weft) -> u64 {
    // A file that is still on its way to the disk may take one block more when it is there.
    let synced = std::process::Command::new("sync")
        .arg("--file-system")
        .arg(weft.data_dir())
        .status();
    assert!(synced.unwrap().success());
    let run = std::process::Command::new("du")
        .args(["--summarize", "--block-size=1"])
        .arg(weft.data_dir())
        .output()
        .unwrap();
    let text = String::from_utf8(run.stdout).unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

#[track_caller]
fn close(said: u64, freed: u64) {
    // Records and directories of weft's own are not counted.
    assert!(
        said <= freed && freed - said < 128 << 10,
        "said {said}, freed {freed}"
    );
}

#[test]
fn what_is_said_to_be_freed_was_freed() {
    const SIZE: usize = 4 << 20;
    let Some(weft) = weft() else { return };
    idle(&weft, "kept");
    weft.ok(&[
        "run",
        "--name",
        "ended",
        "--volume",
        "/data",
        "busybox",
        "sh",
        "-c",
        "head -c 2000000 /dev/urandom > /file; head -c 3000000 /dev/urandom > /data/file; \
         ln /data/file /data/again",
    ]);
    load(&weft, "big:1", "a", SIZE);
    let freed = |what: &str, filters: Value, at_least: u64| {
        let before = used(&weft);
        let said = reclaimed(&prune(&weft, what, &filters));
        assert!(said >= at_least, "{what}: {said}");
        close(said, before - used(&weft));
    };
    freed("containers", json!({}), 2_000_000);
    freed("volumes", json!({}), 3_000_000);
    freed("images", json!({ "dangling": ["false"] }), SIZE as u64);
    // Nothing is left to go.
    for what in ["containers", "volumes", "images"] {
        assert_eq!(reclaimed(&prune(&weft, what, &json!({}))), 0, "{what}");
    }
    // And all at once, as people read it: an image takes its archive and its files.
    load(&weft, "big:2", "a", SIZE);
    let said = weft.ok(&["system", "prune", "--all", "--force"]);
    assert!(said.contains("Total reclaimed space: 8."), "{said}");
    if weft_testkit::peer("docker").is_some() {
        load(&weft, "big:3", "a", SIZE);
        let ran = weft
            .docker(&["system", "prune", "--all", "--force"])
            .unwrap();
        assert!(ran.ok().contains("Total reclaimed space: 8."), "{ran}");
    }
    assert_eq!(weft.ok(&["exec", "kept", "echo", "lives"]), "lives");
}

#[test]
fn labels_choose_what_goes_and_what_stays() {
    let Some(weft) = weft() else { return };
    for (name, label) in [("one", "a=1"), ("two", "b=1"), ("plain", "c=1")] {
        weft.ok(&["run", "--name", name, "--label", label, "busybox", "true"]);
        weft.ok(&["volume", "create", "--label", label, name]);
        weft.ok(&["network", "create", "--label", label, name]);
    }
    let without = |what: &str, key: &str, filters: Value| {
        let mut gone: Vec<String> = prune(&weft, what, &filters)[key]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap().to_owned())
            .collect();
        gone.sort();
        gone
    };
    let not = |mut filters: Value| {
        filters["label!"] = json!(["a=1", "b"]);
        filters
    };
    assert_eq!(
        without("volumes", "VolumesDeleted", not(json!({ "all": ["true"] }))),
        ["plain"]
    );
    assert_eq!(
        without("networks", "NetworksDeleted", not(json!({}))),
        ["plain"]
    );
    assert_eq!(
        without("containers", "ContainersDeleted", not(json!({}))).len(),
        1
    );
    assert_eq!(
        weft.ok(&["ps", "--all", "--format", "{{.Names}}"]),
        "two\none"
    );
    // By the commands, too; a value that differs is no match.
    weft.ok(&[
        "container",
        "prune",
        "--force",
        "--filter",
        "label!=b=2",
        "--filter",
        "label=b",
    ]);
    assert_eq!(weft.ok(&["ps", "--all", "--format", "{{.Names}}"]), "one");
    if let Some(ran) = weft.docker(&[
        "volume", "prune", "--all", "--force", "--filter", "label!=a",
    ]) {
        assert!(ran.ok().contains("two\n"), "{ran}");
        assert_eq!(weft.ok(&["volume", "ls", "--quiet"]), "one");
    }
}

#[test]
fn images_a_filter_spares_are_spared() {
    let Some(weft) = weft() else { return };
    // Nameless, since another took the name.
    load(&weft, "x:1", "spared", 1000);
    load(&weft, "x:1", "going", 2000);
    load(&weft, "x:1", "named", 3000);
    let count = || weft.ok(&["images", "--quiet", "--all"]).lines().count();
    assert_eq!(count(), 4, "{}", weft.ok(&["images", "--all"]));
    prune(&weft, "images", &json!({ "label!": ["spared"] }));
    assert_eq!(count(), 3);
    prune(&weft, "images", &json!({ "label": ["spared"] }));
    assert_eq!(count(), 2);
    prune(
        &weft,
        "images",
        &json!({ "dangling": ["false"], "label!": ["named"] }),
    );
    assert_eq!(weft.ok(&["images", "--format", "{{.Repository}}"]), "x");
}

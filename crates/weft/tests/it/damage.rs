//! Files a power cut left empty or half written: what belongs to one container costs that container
//! at most, and the engine starts and says so.

use std::fs;
use std::path::{Path, PathBuf};

use weft_testkit::Weft;

use crate::{idle, weft};

/// Every file of ours with state in it, below `dir`; root filesystems are the containers' own.
fn state_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![dir.to_path_buf()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let (path, name) = (
                entry.path(),
                entry.file_name().to_string_lossy().into_owned(),
            );
            if path.is_dir() {
                if !["fs", "upper", "work", "_data", "blobs"].contains(&name.as_str()) {
                    todo.push(path);
                }
            } else if name.ends_with(".json") {
                found.push(path);
            }
        }
    }
    // A container's record last: with it goes what only it knows of.
    found.sort_by_key(|path| (path.ends_with("container.json"), path.clone()));
    found
}

/// Starts the daemon and checks that it works: images are there and a new container runs.
#[track_caller]
fn works(weft: &mut Weft, after: &str) {
    // As after a reboot, when the store looks through all it has.
    fs::write(weft.data_dir().join("images/boot"), "another boot").unwrap();
    weft.start_daemon();
    let ran = weft.weft(&["run", "--rm", "busybox", "echo", "alive"]);
    assert_eq!(ran.stdout, "alive\n", "after {after}: {ran}");
    weft.ok(&["ps", "--all"]);
    let log = weft.daemon_log();
    assert!(!log.contains("panicked"), "after {after}: {log}");
}

#[test]
fn a_damaged_file_costs_its_container_at_most() {
    let Some(mut weft) = weft() else { return };
    idle(&weft, "running");
    weft.ok(&["network", "create", "red"]);
    weft.ok(&["volume", "create", "kept"]);
    weft.ok(&[
        "run",
        "--name",
        "ended",
        "--network",
        "red",
        "--volume",
        "kept:/data",
        "busybox",
        "true",
    ]);
    // The names of all images and networks: losing these is told, not glossed over.
    let vital = |path: &Path| {
        path.ends_with("images/index.json")
            || path.parent().is_some_and(|dir| dir.ends_with("networks"))
    };
    let files: Vec<PathBuf> = state_files(&weft.data_dir())
        .into_iter()
        .filter(|path| !vital(path))
        .collect();
    assert!(files.len() >= 4, "{files:?}");
    for path in files {
        // It may be gone together with what was damaged before.
        let Ok(whole) = fs::read(&path) else { continue };
        for part in [0, whole.len() / 2] {
            weft.kill_daemon();
            if !path.exists() {
                weft.start_daemon();
                continue;
            }
            println!("{} cut to {part} bytes", path.display());
            fs::write(&path, &whole[..part]).unwrap();
            works(
                &mut weft,
                &format!("{} was cut to {part} bytes", path.display()),
            );
            // It may have been set aside: then it stays away.
            weft.kill_daemon();
            if path.exists() {
                fs::write(&path, &whole).unwrap();
            }
            weft.start_daemon();
        }
    }
}

#[test]
fn a_damaged_index_is_named_and_not_overwritten() {
    let Some(mut weft) = weft() else { return };
    let index = weft.data_dir().join("images/index.json");
    let whole = fs::read(&index).unwrap();
    weft.kill_daemon();
    fs::write(&index, &whole[..whole.len() / 2]).unwrap();
    let ran = weft_testkit::command::run(weft.daemon_command(), b"", weft_testkit::wait::SOON);
    ran.fails_saying(&["index.json", "damaged"]);
    assert_eq!(fs::read(&index).unwrap(), &whole[..whole.len() / 2]);
    fs::write(&index, &whole).unwrap();
    works(&mut weft, "the index was put back");
}

#[test]
fn what_an_unreadable_record_is_about_is_left_alone() {
    let Some(mut weft) = weft() else { return };
    let id = idle(&weft, "one");
    weft.ok(&["exec", "one", "sh", "-c", "echo precious > /file"]);
    let pid = weft.inspect("one")["State"]["Pid"].clone();
    let record = weft
        .data_dir()
        .join("containers")
        .join(id)
        .join("container.json");
    let whole = fs::read(&record).unwrap();
    weft.kill_daemon();
    fs::write(&record, &whole[..whole.len() / 2]).unwrap();
    weft.start_daemon();
    assert_eq!(weft.ok(&["ps", "--all", "--quiet"]), "");
    weft.kill_daemon();
    fs::write(&record, &whole).unwrap();
    weft.start_daemon();
    // Nothing of it was taken away meanwhile: it runs on, with its files and its network.
    assert_eq!(weft.inspect("one")["State"]["Pid"], pid);
    assert_eq!(weft.ok(&["exec", "one", "cat", "/file"]), "precious");
    weft.ok(&["exec", "one", "ip", "link", "show", "eth0"]);
}

#[test]
fn what_an_unreadable_record_may_need_is_kept_until_it_is_removed() {
    let Some(mut weft) = weft() else { return };
    let id = weft.ok(&[
        "run", "--detach", "--name", "one", "--volume", "/data", "busybox", "sleep", "3600",
    ]);
    let short = &id[..12];
    let before = weft.inspect("one");
    let volume = before["Mounts"][0]["Name"].as_str().unwrap().to_owned();
    let range = |pid: &serde_json::Value| {
        let map = fs::read_to_string(format!("/proc/{pid}/uid_map")).unwrap();
        map.split_whitespace().nth(1).unwrap().to_owned()
    };
    let taken = range(&before["State"]["Pid"]);
    weft.kill_daemon();
    let stray = weft.data_dir().join("containers/lost+found");
    fs::create_dir(&stray).unwrap();
    let record = weft
        .data_dir()
        .join(format!("containers/{id}/container.json"));
    fs::write(&record, "{").unwrap();
    weft.start_daemon();
    // As many as a new daemon would have given the same ids to.
    for index in 0..6 {
        let name = format!("other{index}");
        idle(&weft, &name);
        assert_ne!(range(&weft.inspect(&name)["State"]["Pid"]), taken, "{name}");
        weft.ok(&["rm", "--force", &name]);
    }
    let told = ["unreadable", short, "container.json", "rm --force"];
    weft.weft(&["volume", "prune", "--all", "--force"])
        .fails_saying(&told);
    weft.weft(&["volume", "rm", &volume]).fails_saying(&told);
    weft.weft(&["network", "prune", "--force"])
        .fails_saying(&told);
    weft.weft(&["inspect", short]).fails_saying(&told);
    let info = weft.weft(&["info"]);
    assert!(format!("{info}").contains("is unreadable"), "{info}");
    idle(&weft, "whole");
    let usage: serde_json::Value =
        serde_json::from_str(&weft.api("GET", "/system/df", "").body).unwrap();
    let counted = usage["Containers"].as_array().unwrap();
    assert_eq!(counted.len(), 1, "{usage}");
    assert_eq!(counted[0]["Names"][0], "/whole");
    assert_eq!(usage["Volumes"][0]["Name"], volume.as_str());
    weft.ok(&["rm", "--force", "whole"]);
    weft.weft(&["rmi", "busybox"]).fails_saying(&["busybox"]);
    weft.ok(&["image", "prune", "--all", "--force"]);
    weft.ok(&["image", "inspect", "busybox"]);

    weft.weft(&["rm", short]).fails_saying(&[short, "force"]);
    weft.ok(&["rm", "--force", short]);
    weft.weft(&["rm", short])
        .fails_saying(&["No such container"]);
    weft.ok(&["volume", "prune", "--force"]);
    assert_eq!(weft.ok(&["volume", "ls", "--quiet"]), "");
    weft.ok(&["rmi", "busybox"]);
    assert!(stray.exists());
}

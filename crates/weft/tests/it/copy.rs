//! Files in and out of containers, running and not, by weft's own command and by docker's.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use weft_testkit::command::{Background, LIMIT, run};
use weft_testkit::tarball::Tarball;
use weft_testkit::{Ran, Weft, until, wait::SOON};

use crate::{idle, shell, weft};

/// One of the two commands that copy.
#[derive(Clone, Copy)]
struct Tool<'a> {
    weft: &'a Weft,
    docker: bool,
}

impl Tool<'_> {
    fn command(self, args: &[&str]) -> std::process::Command {
        if self.docker {
            self.weft.docker_command(args).unwrap()
        } else {
            self.weft.command(args)
        }
    }

    #[track_caller]
    fn cp(self, args: &[&str]) -> Ran {
        let args: Vec<&str> = ["cp"].iter().chain(args).copied().collect();
        run(self.command(&args), b"", LIMIT)
    }

    #[track_caller]
    fn ok(self, from: &str, to: &str) {
        self.cp(&[from, to]).ok();
    }

    /// A directory of its own, emptied.
    fn dir(self, name: &str) -> PathBuf {
        let kind = if self.docker { "docker" } else { "weft" };
        let dir = self.weft.scratch().join(format!("{name}-{kind}"));
        fs::create_dir_all(&dir).unwrap();
        dir
    }
}

fn tools(weft: &Weft) -> Vec<Tool<'_>> {
    let mut tools = vec![Tool {
        weft,
        docker: false,
    }];
    if weft_testkit::peer("docker").is_some() {
        tools.push(Tool { weft, docker: true });
    }
    tools
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A tree with what trees have, to copy in.
fn tree(dir: &Path) -> PathBuf {
    let tree = dir.join("tree");
    fs::create_dir_all(tree.join("sub/deep")).unwrap();
    fs::write(tree.join("sub/deep/file"), "content").unwrap();
    fs::set_permissions(tree.join("sub"), fs::Permissions::from_mode(0o750)).unwrap();
    fs::write(tree.join("run"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(tree.join("run"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("sub/deep/file", tree.join("link")).unwrap();
    fs::write(tree.join("x".repeat(150)), "long").unwrap();
    tree
}

#[test]
fn in_and_out_while_it_runs_is_paused_and_stopped() {
    let Some(weft) = weft() else { return };
    idle(&weft, "box");
    for state in ["running", "paused", "stopped"] {
        match state {
            "paused" => drop(weft.ok(&["pause", "box"])),
            "stopped" => {
                weft.ok(&["unpause", "box"]);
                weft.ok(&["kill", "box"]);
                weft.ok(&["wait", "box"]);
            }
            _ => {}
        }
        for tool in tools(&weft) {
            let dir = tool.dir(state);
            let tree = tree(&dir);
            let there = format!("box:/srv-{state}-{}", tool.docker);
            // A directory that is not there gets the name; one that is gets the tree in it.
            tool.ok(text(&tree), &there);
            tool.ok(text(&tree), &there);
            let back = dir.join("back");
            tool.ok(&there, text(&back));
            let file = |name: &str| back.join(name);
            assert_eq!(
                fs::read_to_string(file("sub/deep/file")).unwrap(),
                "content"
            );
            assert_eq!(
                fs::read_to_string(file("tree/sub/deep/file")).unwrap(),
                "content"
            );
            assert_eq!(
                fs::read_link(file("link")).unwrap(),
                Path::new("sub/deep/file")
            );
            let mode = |name: &str| fs::metadata(file(name)).unwrap().mode() & 0o777;
            assert_eq!((mode("sub"), mode("run")), (0o750, 0o755), "{state}");
            assert_eq!(fs::read_to_string(file(&"x".repeat(150))).unwrap(), "long");
            // One file, over one that is there, and its contents in a directory.
            tool.ok(text(&tree.join("run")), &format!("{there}/sub/deep/file"));
            tool.ok(&format!("{there}/sub/deep/file"), text(&dir.join("one")));
            assert_eq!(fs::read_to_string(dir.join("one")).unwrap(), "#!/bin/sh\n");
            tool.ok(&format!("{there}/sub/."), text(&tool.dir("contents")));
            assert!(tool.dir("contents").join("deep/file").is_file());
        }
    }
    weft.ok(&["start", "box"]);
    assert_eq!(
        weft.ok(&["exec", "box", "cat", "/srv-stopped-false/sub/deep/file"]),
        "#!/bin/sh"
    );
}

#[test]
fn owners_are_the_containers() {
    let Some(weft) = weft() else { return };
    idle(&weft, "root");
    weft.ok(&[
        "run", "--detach", "--name", "user", "--user", "weaver", "busybox", "sleep", "3600",
    ]);
    let dir = weft.scratch().join("owned");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("file"), "x").unwrap();
    std::os::unix::fs::chown(dir.join("file"), Some(1000), Some(2000)).unwrap();
    let stat = |name: &str, path: &str| weft.ok(&["exec", name, "stat", "-c", "%u:%g", path]);
    let file = format!("{}", dir.join("file").display());
    for stopped in [false, true] {
        for tool in tools(&weft) {
            if stopped {
                weft.ok(&["kill", "root"]);
                weft.ok(&["wait", "root"]);
            }
            let path = format!("/tmp/{stopped}-{}", tool.docker);
            tool.cp(&["-a", &file, &format!("root:{path}")]).ok();
            let back = tool.dir("back").join(format!("file-{stopped}"));
            tool.cp(&["-a", &format!("root:{path}"), text(&back)]).ok();
            let meta = fs::metadata(&back).unwrap();
            // Docker's command gives what it copies out to who called it, whatever it is told.
            let expected = if tool.docker { (0, 0) } else { (1000, 2000) };
            assert_eq!((meta.uid(), meta.gid()), expected);
            if stopped {
                weft.ok(&["start", "root"]);
            }
            assert_eq!(stat("root", &path), "1000:2000");
            // What has a user of its own gives all to it.
            tool.cp(&["-a", &file, &format!("user:{path}")]).ok();
            assert_eq!(stat("user", &path), "1000:1000");
        }
    }
    // What the container makes is whose it is.
    weft.ok(&["exec", "user", "touch", "/tmp/made"]);
    let made = dir.join("made");
    weft.ok(&["cp", "--archive", "user:/tmp/made", text(&made)]);
    assert_eq!(fs::metadata(&made).unwrap().uid(), 1000);
}

#[test]
fn volumes_binds_and_tmpfs_are_seen() {
    let Some(weft) = weft() else { return };
    let shared = weft.scratch().join("shared");
    fs::create_dir(&shared).unwrap();
    let bind = format!("{}:/bind", shared.display());
    weft.ok(&[
        "create",
        "--name",
        "box",
        "--volume",
        "data:/data",
        "--volume",
        &bind,
        "--volume",
        "fixed:/fixed:ro",
        "--tmpfs",
        "/tmpfs",
        "busybox",
        "sleep",
        "3600",
    ]);
    let file = weft.scratch().join("file");
    fs::write(&file, "content\n").unwrap();
    let volume = weft.data_dir().join("volumes/data/_data");
    for running in [false, true] {
        if running {
            weft.ok(&["start", "box"]);
            weft.ok(&["cp", text(&file), "box:/tmpfs/file"]);
            assert_eq!(weft.ok(&["exec", "box", "cat", "/tmpfs/file"]), "content");
        }
        for tool in tools(&weft) {
            let name = format!("{running}-{}", tool.docker);
            tool.ok(text(&file), &format!("box:/data/{name}"));
            tool.ok(text(&file), &format!("box:/bind/{name}"));
            let meta = fs::metadata(volume.join(&name)).unwrap();
            assert_eq!((meta.uid(), meta.size()), (0, 8));
            assert!(shared.join(&name).is_file());
            let back = tool.dir("back").join(&name);
            tool.ok(&format!("box:/data/{name}"), text(&back));
            assert_eq!(fs::read_to_string(&back).unwrap(), "content\n");
            tool.cp(&[text(&file), "box:/fixed/file"])
                .fails_saying(&["mounted volume is marked read-only"]);
        }
    }
    // The volume's place in the layers has nothing of it.
    assert!(!weft.ok(&["diff", "box"]).contains("/data/"));
}

#[test]
fn a_read_only_root_stays_as_it_is() {
    let Some(weft) = weft() else { return };
    weft.ok(&[
        "run",
        "--detach",
        "--name",
        "box",
        "--read-only",
        "--volume",
        "data:/data",
        "busybox",
        "sleep",
        "3600",
    ]);
    let file = weft.scratch().join("file");
    fs::write(&file, "x").unwrap();
    for running in [true, false] {
        if !running {
            weft.ok(&["kill", "box"]);
            weft.ok(&["wait", "box"]);
        }
        for tool in tools(&weft) {
            tool.cp(&[text(&file), "box:/tmp/file"])
                .fails_saying(&["container rootfs is marked read-only"]);
            tool.ok(text(&file), "box:/data/file");
            tool.ok("box:/etc/passwd", text(&tool.dir("out")));
        }
    }
    weft.ok(&["rm", "box"]);
}

#[test]
fn links_are_followed_when_asked_and_never_out() {
    let Some(weft) = weft() else { return };
    idle(&weft, "box");
    weft.ok(&[
        "exec",
        "box",
        "sh",
        "-c",
        "mkdir /real; echo in > /real/file; ln -s real/file /link; ln -s /link /chain; \
         ln -s /real /dir; ln -s ../../../../../../etc/passwd /up; ln -s /proc/1/root/etc /magic",
    ]);
    for tool in tools(&weft) {
        let dir = tool.dir("links");
        tool.ok("box:/link", text(&dir));
        assert_eq!(
            fs::read_link(dir.join("link")).unwrap(),
            Path::new("real/file")
        );
        let followed = tool.dir("followed");
        tool.cp(&["-L", "box:/chain", text(&followed)]).ok();
        assert_eq!(fs::read_to_string(followed.join("chain")).unwrap(), "in\n");
        tool.cp(&["-L", "box:/up", text(&followed)]).ok();
        assert!(
            fs::read_to_string(followed.join("up"))
                .unwrap()
                .contains("weaver")
        );
        // The parts of a path before the last are always followed, in the container.
        tool.ok("box:/dir/file", text(&dir));
        assert_eq!(fs::read_to_string(dir.join("file")).unwrap(), "in\n");
        tool.cp(&["box:/magic/hostname", text(&dir)]).code(1);
        // What a link in the container leads to is written.
        let new = dir.join("new");
        fs::write(&new, format!("new-{}\n", tool.docker)).unwrap();
        tool.ok(text(&new), "box:/chain");
        assert_eq!(
            weft.ok(&["exec", "box", "cat", "/real/file"]),
            format!("new-{}", tool.docker)
        );
        tool.ok(text(&new), "box:/dir");
        assert_eq!(
            weft.ok(&["exec", "box", "cat", "/real/new"]),
            format!("new-{}", tool.docker)
        );
        weft.ok(&["exec", "box", "sh", "-c", "echo in > /real/file"]);
        // Here, too.
        let link = dir.join("here");
        symlink("new", &link).unwrap();
        tool.cp(&["-L", text(&link), "box:/tmp/followed"]).ok();
        weft.ok(&["exec", "box", "test", "!", "-L", "/tmp/followed"]);
    }
}

#[test]
fn streams_on_both_sides() {
    let Some(weft) = weft() else { return };
    idle(&weft, "box");
    for tool in tools(&weft) {
        let dir = tool.dir("streams");
        let path = dir.join("etc.tar");
        let mut command = tool.command(&["cp", "box:/etc", "-"]);
        command.stdout(Stdio::from(File::create(&path).unwrap()));
        assert!(command.status().unwrap().success());
        let names: Vec<String> = tar_names(&path);
        assert!(names.contains(&"etc/passwd".to_owned()), "{names:?}");
        let to = format!("/tmp/in-{}", tool.docker);
        weft.ok(&["exec", "box", "mkdir", &to]);
        let mut command = tool.command(&["cp", "-", &format!("box:{to}")]);
        command.stdin(Stdio::from(File::open(&path).unwrap()));
        assert!(command.status().unwrap().success());
        let passwd = format!("{to}/etc/passwd");
        assert_eq!(
            weft.ok(&["exec", "box", "cat", &passwd]),
            weft.ok(&["exec", "box", "cat", "/etc/passwd"])
        );
        // No archive, and one whose names lead out.
        let command = tool.command(&["cp", "-", &format!("box:{to}")]);
        run(command, &[b'x'; 4096], LIMIT).fails_saying(&["archive is malformed"]);
        let evil = Tarball::new().file("../../evil", 0o644, b"x");
        let command = tool.command(&["cp", "-", &format!("box:{to}")]);
        run(command, &evil.finish(), LIMIT).fails_saying(&["leads out"]);
    }
}

fn tar_names(path: &Path) -> Vec<String> {
    let listed = std::process::Command::new("tar")
        .arg("-tf")
        .arg(path)
        .output()
        .unwrap();
    assert!(listed.status.success());
    let names = String::from_utf8(listed.stdout).unwrap();
    names.lines().map(str::to_owned).collect()
}

#[test]
fn what_cannot_be_copied_is_said() {
    let Some(weft) = weft() else { return };
    idle(&weft, "box");
    let file = weft.scratch().join("file");
    fs::write(&file, "x").unwrap();
    for tool in tools(&weft) {
        let out = tool.dir("out");
        tool.cp(&["box:/nowhere", text(&out)])
            .fails_saying(&["could not find the file /nowhere in container box"]);
        tool.cp(&["nobody:/etc", text(&out)])
            .fails_saying(&["no such container: nobody"]);
        tool.cp(&[text(&file), "box:/nowhere/deep/"]).code(1);
        tool.cp(&["box:/proc/version", text(&out)])
            .fails_saying(&["file system of the kernel"]);
        tool.cp(&[text(&file), "box:/proc/sys/kernel/core_pattern"])
            .code(1);
        // A directory does not take a file's place, nor a file a directory's.
        tool.cp(&[text(&out), "box:/etc/passwd"])
            .fails_saying(&["cannot copy"]);
        let clash = tool.dir("clash");
        fs::create_dir_all(clash.join("passwd")).unwrap();
        tool.cp(&[&format!("{}/.", clash.display()), "box:/etc"])
            .fails_saying(&["cannot overwrite non-directory"]);
    }
    let put = |path: &str| {
        let path = format!("/containers/box/archive?{path}");
        weft.api("PUT", &path, "").status
    };
    assert_eq!(put("path=/etc/passwd"), 400);
    assert_eq!(put("path=/nowhere"), 404);
    assert_eq!(put(""), 400);
    assert_eq!(weft.api("GET", "/containers/box/archive", "").status, 400);
}

/// CVE-2018-15664: the container swaps a directory for a link to the host's while it is copied.
#[test]
fn a_container_that_swaps_links_gets_and_gives_nothing_of_the_hosts() {
    let Some(weft) = weft() else { return };
    let outside = weft.scratch().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "the host's").unwrap();
    // The same path exists in the container, as a directory of its own.
    let script = format!(
        "mkdir -p {out} /flip/real /flip/x; echo own > {out}/own; echo real > /flip/real/secret; \
         rmdir /flip/x; touch /ready; while :; do ln -sfn {out} /flip/x; ln -sfn /flip/real /flip/x; \
         rm /flip/x; mkdir /flip/x; rmdir /flip/x; done",
        out = outside.display()
    );
    shell(&weft, "box", &script);
    until(SOON, "it swaps", || {
        weft.weft(&["exec", "box", "test", "-f", "/ready"]).code == 0
    });
    let file = weft.scratch().join("planted");
    fs::write(&file, "planted").unwrap();
    for tool in tools(&weft) {
        let (mut came, mut went) = (0, 0);
        for round in 0..40 {
            let back = tool.dir(&format!("back{round}"));
            came += u32::from(tool.cp(&["box:/flip/x/secret", text(&back)]).code == 0);
            assert_ne!(
                fs::read_to_string(back.join("secret")).unwrap_or_default(),
                "the host's"
            );
            drop(tool.cp(&["-L", "box:/flip/x", text(&back)]));
            went += u32::from(tool.cp(&[text(&file), "box:/flip/x/"]).code == 0);
        }
        println!("{came} came out, {went} went in");
    }
    let names: Vec<_> = fs::read_dir(&outside)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["secret"]);
}

#[test]
fn much_is_copied_in_little_memory() {
    let Some(weft) = weft() else { return };
    idle(&weft, "box");
    let big = weft.scratch().join("big");
    // Sparse here; what is copied is all of it.
    File::create(&big).unwrap().set_len(1 << 30).unwrap();
    let peak = || {
        let path = format!("/proc/{}/status", weft.daemon_pid().as_raw_nonzero());
        let status = fs::read_to_string(path).unwrap();
        let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
        let number = line.split_whitespace().nth(1).unwrap();
        number.parse::<u64>().unwrap()
    };
    let before = peak();
    weft.ok(&["cp", text(&big), "box:/big"]);
    weft.ok(&["cp", "box:/big", text(&weft.scratch().join("back"))]);
    let grown = peak() - before;
    assert!(grown < 32 << 10, "{grown} KiB more");
    assert_eq!(
        fs::metadata(weft.scratch().join("back")).unwrap().len(),
        1 << 30
    );
}

#[test]
fn a_client_that_vanishes_leaves_nothing() {
    let Some(weft) = weft() else { return };
    idle(&weft, "box");
    weft.ok(&[
        "exec",
        "box",
        "sh",
        "-c",
        "head -c 50000000 /dev/zero > /big",
    ]);
    for stopped in [false, true] {
        if stopped {
            weft.ok(&["kill", "box"]);
            weft.ok(&["wait", "box"]);
        }
        // One that stops reading, one that stops sending.
        let mut reader = weft.command(&["cp", "box:/big", "-"]);
        reader.stdin(Stdio::null());
        let (end, pipe) = std::io::pipe().unwrap();
        reader.stdout(pipe);
        let mut reader = reader.spawn().unwrap();
        let mut writer = Background::start({
            let mut command = weft.command(&["cp", "-", "box:/tmp"]);
            command.stdin(Stdio::piped());
            command
        });
        let threads = || copy_threads(&weft);
        let expected = if stopped { 1 } else { 2 };
        until(SOON, "they copy", || threads() >= expected);
        reader.kill().unwrap();
        reader.wait().unwrap();
        drop(end);
        writer.signal(rustix::process::Signal::KILL);
        drop(writer.stdin());
        drop(writer);
        until(SOON, "the copies end", || threads() == 0);
    }
    assert!(
        !fs::read_to_string("/proc/mounts")
            .unwrap()
            .contains(weft.data_dir().to_str().unwrap())
    );
    weft.ok(&["start", "box"]);
}

pub fn copy_threads(weft: &Weft) -> usize {
    let tasks = format!("/proc/{}/task", weft.daemon_pid().as_raw_nonzero());
    let names = fs::read_dir(tasks)
        .unwrap()
        .map(|task| fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default());
    names.filter(|name| name.trim() == "weft-files").count()
}

/// Neither a start nor a removal waits for a client that does not read.
#[test]
fn a_stalled_copy_gives_way() {
    let Some(weft) = weft() else { return };
    idle(&weft, "box");
    weft.ok(&[
        "exec",
        "box",
        "sh",
        "-c",
        "head -c 50000000 /dev/zero > /big",
    ]);
    let stall = || {
        let (end, pipe) = std::io::pipe().unwrap();
        let mut command = weft.command(&["cp", "box:/big", "-"]);
        command.stdin(Stdio::null()).stdout(pipe);
        let child = command.spawn().unwrap();
        until(SOON, "it copies", || copy_threads(&weft) == 1);
        (end, child)
    };
    let (end, mut child) = stall();
    weft.ok(&["restart", "--time", "0", "box"]);
    drop(end);
    assert!(!child.wait().unwrap().success());
    let (end, mut child) = stall();
    weft.ok(&["rm", "--force", "box"]);
    drop(end);
    assert!(!child.wait().unwrap().success());
}

/// What is mounted on a file stays: the kernel would take it away with the name.
#[test]
fn a_file_that_is_bound_stays_bound() {
    let Some(weft) = weft() else { return };
    let host = weft.scratch().join("host");
    fs::write(&host, "the host's\n").unwrap();
    let bind = format!("{}:/bound", host.display());
    weft.ok(&[
        "run", "--detach", "--name", "box", "--volume", &bind, "busybox", "sleep", "3600",
    ]);
    let new = weft.scratch().join("new");
    fs::write(&new, "new\n").unwrap();
    for tool in tools(&weft) {
        for path in ["/bound", "/etc/hosts"] {
            tool.cp(&[text(&new), &format!("box:{path}")])
                .fails_saying(&["busy"]);
        }
        tool.ok("box:/bound", text(&tool.dir("out")));
    }
    assert_eq!(weft.ok(&["exec", "box", "cat", "/bound"]), "the host's");
    weft.ok(&["exec", "box", "sh", "-c", "echo written > /bound"]);
    assert_eq!(fs::read_to_string(&host).unwrap(), "written\n");
}

/// What takes a directory's place removes the directory, and never what is mounted there.
#[test]
fn a_volume_in_the_way_of_a_file_keeps_its_files() {
    let Some(weft) = weft() else { return };
    weft.ok(&[
        "run",
        "--detach",
        "--name",
        "box",
        "--volume",
        "top:/top",
        "--volume",
        "deep:/plain/deep",
        "busybox",
        "sh",
        "-c",
        "touch /top/file /plain/deep/file; exec sleep 3600",
    ]);
    let file = |volume: &str| weft.data_dir().join(format!("volumes/{volume}/_data/file"));
    until(SOON, "it has written", || file("deep").exists());
    for state in ["running", "stopped"] {
        if state == "stopped" {
            weft.ok(&["kill", "box"]);
            weft.ok(&["wait", "box"]);
        }
        for name in ["top", "plain"] {
            let tar = Tarball::new().file(name, 0o644, b"x").finish();
            let head = format!(
                "PUT /containers/box/archive?path=/ HTTP/1.1\r\nHost: weft\r\n\
                 Content-Length: {}\r\nConnection: close\r\n\r\n",
                tar.len()
            );
            let request = [head.as_bytes(), &tar].concat();
            let answer = weft_testkit::http::raw(&weft.socket(), &request).unwrap();
            assert_eq!(answer.status, 500, "{state} {name}: {}", answer.body);
        }
        assert!(file("top").exists() && file("deep").exists(), "{state}");
    }
}

#[test]
fn a_pipe_stays_a_pipe() {
    use std::os::unix::fs::FileTypeExt;
    let Some(weft) = weft() else { return };
    idle(&weft, "box");
    weft.ok(&["exec", "box", "busybox", "mkfifo", "-m", "640", "/tmp/pipe"]);
    for tool in tools(&weft) {
        let dir = tool.dir("pipe");
        tool.ok("box:/tmp/pipe", dir.to_str().unwrap());
        let meta = fs::symlink_metadata(dir.join("pipe")).unwrap();
        assert!(meta.file_type().is_fifo());
        assert_eq!(meta.permissions().mode() & 0o777, 0o640);
    }
}

#[test]
fn a_missing_container_is_not_a_missing_path() {
    let Some(weft) = weft() else { return };
    let file = weft.scratch().join("file");
    fs::write(&file, "x").unwrap();
    let file = file.to_str().unwrap();
    for target in ["nobody:/tmp/", "nobody:/tmp/x"] {
        weft.weft(&["cp", file, target])
            .fails_saying(&["No such container: nobody"]);
    }
    weft.weft(&["cp", "nobody:/x", "."])
        .fails_saying(&["No such container: nobody"]);
}

#[test]
fn who_sends_much_hears_why_it_is_refused() {
    let Some(weft) = weft() else { return };
    weft.ok(&[
        "run",
        "--detach",
        "--name",
        "frozen",
        "--read-only",
        "busybox",
        "sleep",
        "3600",
    ]);
    // More than a socket holds, so that the answer comes while it is sent.
    let big = weft.scratch().join("big");
    File::create(&big).unwrap().set_len(64 << 20).unwrap();
    for tool in tools(&weft) {
        tool.cp(&[big.to_str().unwrap(), "frozen:/etc"])
            .fails_saying(&["read-only"]);
    }
}

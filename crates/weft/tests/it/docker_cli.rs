//! The real docker command on weft's socket: what a Docker user types works unchanged.

use std::process::Stdio;

use weft_testkit::command::Background;
use weft_testkit::tarball::Tarball;
use weft_testkit::wait::SOON;
use weft_testkit::{Terminal, Weft, image, until};

use crate::{WEB, weft};

/// An engine and the docker command for it.
struct Docker(Weft);

impl Docker {
    fn new() -> Option<Docker> {
        weft_testkit::peer("docker")?;
        weft().map(Docker)
    }

    #[track_caller]
    fn ran(&self, args: &[&str]) -> weft_testkit::Ran {
        self.0.docker(args).expect("docker was there a moment ago")
    }

    #[track_caller]
    fn ok(&self, args: &[&str]) -> String {
        self.ran(args).ok().to_owned()
    }
}

#[test]
fn version_info_and_ping() {
    let Some(docker) = Docker::new() else { return };
    let version = docker.ok(&["version"]);
    assert!(
        version.contains("Server:") && version.contains("weft"),
        "{version}"
    );
    let info = docker.ok(&["info"]);
    assert!(info.contains("Storage Driver: overlay"), "{info}");
}

#[test]
fn run_with_all_its_streams() {
    let Some(docker) = Docker::new() else { return };
    assert_eq!(
        docker.ok(&["run", "--rm", "busybox", "echo", "hello"]),
        "hello"
    );
    docker
        .ran(&["run", "--rm", "busybox", "sh", "-c", "exit 7"])
        .code(7);
    docker
        .ran(&["run", "--rm", "busybox", "no-such-command"])
        .code(127);
    let command = docker
        .0
        .docker_command(&["run", "--rm", "-i", "busybox", "tr", "a-z", "A-Z"])
        .unwrap();
    let ran = weft_testkit::command::run(command, b"typed\n", weft_testkit::command::LIMIT);
    assert_eq!(ran.ok(), "TYPED");
    let ran = docker.ran(&[
        "run",
        "--rm",
        "busybox",
        "sh",
        "-c",
        "echo out; echo err >&2",
    ]);
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str()),
        ("out\n", "err\n")
    );
    assert_eq!(docker.ok(&["ps", "--all", "--quiet"]), "");
}

#[test]
fn a_terminal() {
    let Some(docker) = Docker::new() else { return };
    let command = docker
        .0
        .docker_command(&["run", "--rm", "-it", "busybox", "sh"])
        .unwrap();
    let mut terminal = Terminal::start(&command).unwrap();
    terminal.shows("# ");
    terminal.types("stty size; exit 5\n");
    terminal.shows("24 80");
    assert_eq!(terminal.ends(), 5);
}

#[test]
fn the_life_of_a_container() {
    let Some(docker) = Docker::new() else { return };
    let id = docker.ok(&[
        "create", "--name", "one", "--label", "a=b", "busybox", "sleep", "3600",
    ]);
    assert_eq!(id.len(), 64);
    docker.ok(&["start", "one"]);
    assert!(docker.ok(&["ps"]).contains("one"));
    assert_eq!(
        docker.ok(&["inspect", "--format", "{{.State.Status}}", "one"]),
        "running"
    );
    assert_eq!(
        docker.ok(&["exec", "--env", "A=1", "one", "sh", "-c", "echo $A"]),
        "1"
    );
    docker.ran(&["exec", "one", "sh", "-c", "exit 9"]).code(9);
    for mistake in [["--workdir", "/no/such/dir"], ["--user", "nobody-here"]] {
        docker
            .ran(&["exec", mistake[0], mistake[1], "one", "true"])
            .code(126)
            .fails_saying(&[mistake[1]]);
    }
    assert!(docker.ok(&["top", "one"]).contains("sleep"));
    assert!(docker.ok(&["stats", "--no-stream", "one"]).contains("one"));
    docker.ok(&["pause", "one"]);
    docker.ok(&["unpause", "one"]);
    docker.ok(&["rename", "one", "two"]);
    docker.ok(&["restart", "--time", "0", "two"]);
    docker.ok(&["kill", "two"]);
    assert_eq!(docker.ok(&["wait", "two"]), "137");
    assert!(
        docker
            .ok(&["ps", "--all", "--filter", "status=exited"])
            .contains("two")
    );
    docker.ok(&["rm", "two"]);
    docker.ran(&["inspect", "two"]).fails_saying(&["no such"]);
}

#[test]
fn logs_and_attach() {
    let Some(docker) = Docker::new() else { return };
    docker.ok(&[
        "run",
        "--detach",
        "--name",
        "one",
        "busybox",
        "sh",
        "-c",
        "echo first; while ! test -f /go; do echo tick; sleep 0.02; done; echo last; exit 3",
    ]);
    until(SOON, "it says the first line", || {
        docker.ok(&["logs", "one"]).starts_with("first")
    });
    let start = |args: &[&str]| {
        let mut command = docker.0.docker_command(args).unwrap();
        command.stdin(Stdio::null());
        Background::start(command)
    };
    let follow = start(&["logs", "--follow", "--timestamps", "one"]);
    follow.says("first");
    let attach = start(&["attach", "--no-stdin", "one"]);
    let events = start(&["events", "--since", "1h", "--filter", "container=one"]);
    // It sees what is said from now on, so it is there.
    attach.says("tick");
    docker.ok(&["exec", "one", "touch", "/go"]);
    assert!(follow.finish(SOON).ok().contains("last"));
    let attached = attach.finish(SOON);
    assert_eq!(attached.code, 3, "{attached}");
    events.says("die");
    assert_eq!(docker.ok(&["logs", "--tail", "1", "one"]), "last");
}

#[test]
fn networks_volumes_and_ports() {
    let Some(docker) = Docker::new() else { return };
    docker.ok(&["network", "create", "--subnet", "10.98.3.0/24", "red"]);
    docker.ok(&["volume", "create", "data"]);
    let volume = ["127.0.0.1::8080", "--volume", "data:/www"];
    let server = ["busybox", "httpd", "-f", "-p", "8080", "-h", "/www"];
    docker.ok(&[&WEB[..], &volume, &server].concat());
    docker.ok(&["exec", "web", "sh", "-c", "echo page > /www/index.html"]);
    let fetched = docker.ok(&[
        "run",
        "--rm",
        "--network",
        "red",
        "busybox",
        "timeout",
        "5",
        "wget",
        "-qO-",
        "http://web:8080/",
    ]);
    assert_eq!(fetched, "page");
    assert!(
        docker
            .ok(&["port", "web"])
            .starts_with("8080/tcp -> 127.0.0.1:")
    );
    assert!(
        docker
            .ok(&["network", "inspect", "red"])
            .contains("10.98.3.")
    );
    assert!(docker.ok(&["volume", "ls"]).contains("data"));
    docker.ok(&["rm", "--force", "web"]);
    docker.ok(&["network", "rm", "red"]);
    docker.ok(&["volume", "rm", "data"]);
}

#[test]
fn images() {
    let Some(docker) = Docker::new() else { return };
    assert!(docker.ok(&["images"]).contains("busybox"));
    docker.ok(&["tag", "busybox", "mine:1"]);
    let file = docker.0.scratch().join("mine.tar").display().to_string();
    docker.ok(&["save", "--output", &file, "mine:1"]);
    docker.ok(&["rmi", "mine:1"]);
    assert!(docker.ok(&["load", "--input", &file]).contains("mine:1"));
    assert!(
        docker
            .ok(&["image", "inspect", "mine:1"])
            .contains("mine:1")
    );
    assert!(docker.ok(&["history", "mine:1"]).contains("IMAGE"));
    docker
        .ran(&["run", "--rm", "--pull", "never", "nosuch:1", "true"])
        .fails_saying(&["nosuch"]);
    docker.ok(&["system", "df"]);
    docker.ok(&["system", "prune", "--all", "--force"]);
    assert_eq!(docker.ok(&["images", "--quiet"]), "");
}

#[test]
fn pull_shows_progress_and_runs() {
    use weft_testkit::registry::{Access, Registry};
    let Some(docker) = Docker::new() else { return };
    let Some(registry) = Registry::start(Access::Plain).unwrap() else {
        return;
    };
    registry.push(image::busybox(), "busybox:1").unwrap();
    let name = format!("{}/busybox:1", registry.host());
    let pulled = docker.ok(&["pull", &name]);
    assert!(
        pulled.contains("Digest: sha256:") && pulled.contains("Status: Downloaded newer image"),
        "{pulled}"
    );
    assert!(docker.ok(&["pull", &name]).contains("Image is up to date"));
    assert_eq!(docker.ok(&["run", "--rm", &name, "echo", "x"]), "x");
}

/// Lines of words, without the ages, which go on while they are asked for.
fn words(text: &str) -> Vec<String> {
    let ages = ["second", "seconds", "Less than a second", "About a minute"];
    text.lines()
        .map(|line| {
            let cells = line
                .split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty());
            let timeless = |cell: &&str| {
                !ages
                    .iter()
                    .any(|age| cell.trim_end_matches(" ago").ends_with(age))
            };
            cells.filter(timeless).collect::<Vec<_>>().join("|")
        })
        .collect()
}

#[test]
fn disk_usage_is_told_alike() {
    let Some(docker) = Docker::new() else { return };
    let more = Tarball::new().file("more", 0o644, &[b'x'; 5000]).finish();
    let more = image::busybox_named("more:1").layer(more).archive();
    docker.0.weft_with_input(&["load"], &more).ok();
    docker.ok(&["tag", "more:1", "more:2"]);
    docker.ok(&["volume", "create", "idle"]);
    let script = "head -c 4000 /dev/zero > /f; head -c 3000 /dev/zero > /data/f";
    docker.ok(&[
        "run",
        "--name",
        "writer",
        "-v",
        "used:/data",
        "busybox",
        "sh",
        "-c",
        script,
    ]);
    let theirs = docker.ok(&["system", "df", "--verbose"]);
    assert_eq!(words(&docker.0.ok(&["system", "df", "-v"])), words(&theirs));
    for line in ["used|1|", "idle|0|0B"] {
        assert!(
            words(&theirs).iter().any(|l| l.starts_with(line)),
            "{theirs}"
        );
    }
    // What two images have is shared, and no image's own.
    let busybox = words(&theirs)
        .into_iter()
        .find(|l| l.starts_with("busybox|"));
    let busybox = busybox.unwrap();
    let cells: Vec<&str> = busybox.split('|').collect();
    let own = &cells[cells.len() - 3..];
    assert_ne!(own[0], "0B", "{theirs}");
    assert_eq!(own[1..], ["0B", "1"], "{theirs}");
    let theirs = docker.ok(&["system", "df"]);
    assert_eq!(
        words(&docker.0.ok(&["system", "df"]))[2..],
        words(&theirs)[2..]
    );
}

#[test]
fn the_list_tells_sizes_when_asked() {
    let Some(docker) = Docker::new() else { return };
    let script = "head -c 4000 /dev/zero > /f";
    docker.ok(&["run", "--name", "writer", "busybox", "sh", "-c", script]);
    for line in [
        docker.ok(&["ps", "--all", "--size"]),
        docker.0.ok(&["ps", "--all", "--size"]),
    ] {
        assert!(line.contains("4.1kB (virtual "), "{line}");
    }
    let plain = docker.0.api("GET", "/containers/json?all=1", "");
    assert!(!plain.body.contains("SizeRw"), "{}", plain.body);
}

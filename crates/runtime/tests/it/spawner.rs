//! Spawner, monitors and containers as processes of their own: what survives what.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use weft_runtime::monitor::record::{FailureKind, RootfsRecord, Streams};
use weft_runtime::monitor::wire::{Frame, Wants};
use weft_runtime::spawner::{Fds, Monitor, SpawnError};
use weft_sys::namespace::{Kind, kind_of};

use bed::{Bed, Got, Peer, kill, start_spawner, wait_gone};

mod bed;

#[test]
fn a_container_runs_is_logged_and_leaves_an_exit_record() {
    let bed = Bed::new();
    let container = bed.container(&["sh", "-c", "echo hello; echo oops >&2; exit 3"], |_| {});
    let (spawned, peer) = bed.run_attached(&container);
    let got = peer.all();
    assert_eq!(
        (&got.stdout[..], &got.stderr[..]),
        (&b"hello\n"[..], &b"oops\n"[..])
    );
    assert_eq!(got.welcome, Some(spawned));
    let record = container.exit_record().unwrap();
    assert_eq!(got.exit.as_ref(), Some(&record));
    assert_eq!(
        (record.code, record.signal, record.pid),
        (3, None, spawned.pid)
    );
    let log = String::from_utf8(container.log()).unwrap();
    assert_eq!(
        log.lines().collect::<BTreeSet<_>>(),
        BTreeSet::from(["hello", "oops"])
    );
    wait_gone(spawned.monitor_pid);
    assert_eq!(
        std::fs::read_dir(&container.request.run_dir)
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn fifty_megabytes_arrive_whole_and_the_log_keeps_its_bound() {
    let bed = Bed::new();
    let script = "head -c 25000000 /dev/zero; head -c 25000000 /dev/zero >&2";
    let container = bed.container(&["sh", "-c", script], |_| {});
    let (_, peer) = bed.run_attached(&container);
    let got = peer.all();
    assert_eq!(
        (got.stdout.len(), got.stderr.len()),
        (25_000_000, 25_000_000)
    );
    assert!(got.exit.is_some());
    let files = std::fs::read_dir(&container.request.dir)
        .unwrap()
        .map(Result::unwrap);
    let log = files.filter(|file| file.file_name().as_encoded_bytes().starts_with(b"log"));
    let sizes: Vec<_> = log.map(|file| file.metadata().unwrap().len()).collect();
    assert_eq!(sizes.len(), 3);
    assert!(sizes.iter().all(|size| *size <= 1 << 20), "{sizes:?}");
}

#[test]
fn stdin_goes_in_and_ends() {
    let bed = Bed::new();
    let mut container = bed.container(&["cat"], |_| {});
    container.request.streams.stdin = true;
    let (_, mut peer) = bed.run_attached(&container);
    peer.send(&Frame::Stdin(b"there and back\n"));
    let mut got = Got::default();
    peer.read(&mut got, |got| got.stdout == b"there and back\n");
    peer.send(&Frame::StdinEof);
    assert_eq!(peer.all().exit.unwrap().code, 0);
}

#[test]
fn without_stdin_it_is_a_null_device_that_cannot_be_changed() {
    let bed = Bed::new();
    let script = "cat; test -c /proc/self/fd/0 && echo device; chmod 600 /proc/self/fd/0; echo $?";
    let mut container = bed.container(&["sh", "-c", script], |_| {});
    container.request.rootfs = RootfsRecord::Directory;
    let (_, peer) = bed.run_attached(&container);
    let got = peer.all();
    assert!(
        got.stdout.starts_with(b"device\n"),
        "{:?}",
        String::from_utf8_lossy(&got.stdout)
    );
    assert_ne!(got.stdout, b"device\n0\n");
    use std::os::unix::fs::PermissionsExt;
    let host = std::fs::metadata("/dev/null").unwrap().permissions().mode();
    assert_eq!(host & 0o777, 0o666);
}

#[test]
fn a_terminal_has_the_size_it_was_given_and_is_told_of_changes() {
    let bed = Bed::new();
    let script = "stty size; read line; stty size; test -t 0 && test -t 1 && echo tty";
    let mut container = bed.container(&["sh", "-c", script], |config| {
        config["process"]["terminal"] = true.into();
    });
    container.request.streams = Streams {
        terminal: true,
        stdin: true,
        rows: 11,
        cols: 22,
        ..Streams::default()
    };
    let (_, mut peer) = bed.run_attached(&container);
    let mut got = Got::default();
    peer.read(&mut got, |got| got.stdout.ends_with(b"\n"));
    assert_eq!(got.stdout, b"11 22\r\n");
    peer.send(&Frame::Resize { rows: 33, cols: 44 });
    peer.send(&Frame::Stdin(b"go\n"));
    let got = peer.all();
    assert_eq!(
        String::from_utf8_lossy(&got.stdout),
        "go\r\n33 44\r\ntty\r\n"
    );
    assert_eq!(got.exit.unwrap().code, 0);
}

#[test]
fn a_container_notices_neither_the_spawners_nor_the_daemons_end() {
    let mut bed = Bed::new();
    let mut container = bed.container(&["sh", "-c", "read line; echo got $line; exit 9"], |_| {});
    container.request.streams.stdin = true;
    let spawned = bed.run(&container, Fds::default()).unwrap();

    let spawner = bed.handle.pid().unwrap();
    kill_process(Pid::from_raw(spawner.cast_signed()).unwrap(), Signal::KILL).unwrap();
    wait_gone_pid(spawner);
    // The next daemon: what the first one knew is gone with it.
    bed.handle = start_spawner();

    let mut peer = container.connect(Wants::ALL);
    let mut got = Got::default();
    peer.read(&mut got, |got| got.welcome.is_some());
    assert_eq!(got.welcome, Some(spawned));
    peer.send(&Frame::Stdin(b"this\n"));
    let got = peer.all();
    assert_eq!(got.stdout, b"got this\n");
    assert_eq!(got.exit, container.exit_record());
    assert_eq!(got.exit.unwrap().code, 9);
    assert_eq!(container.log(), b"got this\n");
}

#[test]
fn a_spawner_without_requests_holds_little_of_its_program() {
    let bed = Bed::new();
    for _ in 0..2 {
        bed.handle.netns().unwrap();
        let spawner = bed.handle.pid().unwrap();
        let program_kib = || {
            let status = std::fs::read_to_string(format!("/proc/{spawner}/status")).unwrap();
            let line = status.lines().find(|line| line.starts_with("RssFile:"));
            let words = line.unwrap().split_whitespace().nth(1);
            words.unwrap().parse::<u64>().unwrap()
        };
        let began = Instant::now();
        while program_kib() > 1500 {
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "{} KiB of its program",
                program_kib()
            );
            bed::pause();
        }
    }
}

#[test]
fn a_killed_spawner_is_replaced_on_the_next_request() {
    let bed = Bed::new();
    let first = bed.handle.pid().unwrap();
    for _ in 0..3 {
        let spawner = bed.handle.pid().unwrap();
        kill_process(Pid::from_raw(spawner.cast_signed()).unwrap(), Signal::KILL).unwrap();
        bed.handle.netns().unwrap();
    }
    assert_ne!(bed.handle.pid().unwrap(), first);
    let container = bed.container(&["true"], |_| {});
    let (_, peer) = bed.run_attached(&container);
    assert_eq!(peer.all().exit.unwrap().code, 0);
}

#[test]
fn requests_in_flight_when_the_spawner_is_killed_are_answered_one_way_or_the_other() {
    let bed = Bed::new();
    let done = AtomicBool::new(false);
    let (mut ran, mut died) = (0, 0);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let (mut ran, mut died) = (0, 0);
                    while !done.load(Ordering::Relaxed) {
                        let container = bed.container(&["true"], |_| {});
                        match bed.run(&container, Fds::default()) {
                            Ok(spawned) => {
                                wait_gone(spawned.monitor_pid);
                                assert_eq!(container.exit_record().unwrap().code, 0);
                                ran += 1;
                            }
                            Err(SpawnError::Died { .. }) => died += 1,
                            Err(error) => panic!("{error}"),
                        }
                    }
                    (ran, died)
                })
            })
            .collect();
        for _ in 0..20 {
            // It takes requests again before it is killed again.
            bed.handle.netns().unwrap();
            let spawner = bed.handle.pid().unwrap();
            // A number that was reaped meanwhile is nobody's: the handle starts no other so soon.
            let _ = kill_process(Pid::from_raw(spawner.cast_signed()).unwrap(), Signal::KILL);
        }
        done.store(true, Ordering::Relaxed);
        for thread in threads {
            let (more_ran, more_died) = thread.join().unwrap();
            ran += more_ran;
            died += more_died;
        }
    });
    println!("{ran} ran, {died} died");
    assert!(died <= 20 * 4);
    let container = bed.container(&["true"], |_| {});
    let (_, peer) = bed.run_attached(&container);
    assert_eq!(peer.all().exit.unwrap().code, 0);
}

#[test]
fn a_monitor_ordered_ahead_outlives_the_spawner_and_runs_what_it_is_told() {
    let bed = Bed::new();
    let spawner = bed.handle.pid().unwrap();
    let ordered = bed.handle.monitor_ahead();
    let monitor = only_child(spawner);
    kill_process(Pid::from_raw(spawner.cast_signed()).unwrap(), Signal::KILL).unwrap();
    wait_gone_pid(spawner);
    assert_eq!(runs(&bed, ordered), monitor);
}

#[test]
fn an_ordered_monitor_that_died_is_replaced() {
    let bed = Bed::new();
    let ordered = bed.handle.monitor();
    let monitor = only_child(bed.handle.pid().unwrap());
    kill(monitor);
    wait_gone(monitor);
    runs(&bed, ordered);
}

#[test]
fn a_monitor_nobody_wants_ends() {
    let bed = Bed::new();
    let ordered = bed.handle.monitor();
    let monitor = only_child(bed.handle.pid().unwrap());
    drop(ordered);
    wait_gone(monitor);
}

#[test]
fn an_order_that_died_with_the_spawner_is_placed_again() {
    let bed = Bed::new();
    let spawner = Pid::from_raw(bed.handle.pid().unwrap().cast_signed()).unwrap();
    kill_process(spawner, Signal::STOP).unwrap();
    let ordered = bed.handle.monitor();
    kill_process(spawner, Signal::KILL).unwrap();
    runs(&bed, ordered);
}

/// Has what was ordered run a container to its end; answers with the monitor that did.
fn runs(bed: &Bed, ordered: Monitor) -> i32 {
    let container = bed.container(&["true"], |_| {});
    let spawned = ordered.run(&container.request, Fds::default()).unwrap();
    wait_gone(spawned.monitor_pid);
    assert_eq!(container.exit_record().unwrap().code, 0);
    spawned.monitor_pid
}

/// Waits for the process that the spawner forks.
fn only_child(spawner: u32) -> i32 {
    let path = format!("/proc/{spawner}/task/{spawner}/children");
    loop {
        if let Ok(pid) = std::fs::read_to_string(&path).unwrap().trim().parse() {
            return pid;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_spawner_that_hangs_is_killed_with_its_handle() {
    let handle = start_spawner();
    let pid = handle.pid().unwrap();
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::STOP).unwrap();
    drop(handle);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn the_spawner_ends_with_its_handle() {
    let handle = start_spawner();
    let pid = handle.pid().unwrap();
    drop(handle);
    wait_gone_pid(pid);
}

fn wait_gone_pid(pid: u32) {
    wait_gone(pid.cast_signed());
}

#[test]
fn the_spawner_cannot_be_looked_into_and_runs_from_a_sealed_copy() {
    let handle = start_spawner();
    let pid = handle.pid().unwrap();
    handle.netns().unwrap();
    let exe = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    assert!(exe.to_string_lossy().starts_with("/memfd:weft"), "{exe:?}");
    // Root may look; that the process is not dumpable shows in whom its files belong to.
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains("Umask:\t0077"), "{status}");
    let own = std::fs::read_link("/proc/self/ns/mnt").unwrap();
    assert_ne!(
        std::fs::read_link(format!("/proc/{pid}/ns/mnt")).unwrap(),
        own
    );
}

#[test]
fn execs_join_the_container_and_end_on_their_own() {
    let bed = Bed::new();
    let mut container = bed.container(&["cat"], |_| {});
    container.request.streams.stdin = true;
    let (init, mut peer) = bed.run_attached(&container);
    let (exec_peer, theirs) = Peer::handed_over(Wants::ALL);
    let fds = Fds {
        attach: vec![theirs],
        ..Fds::default()
    };
    let script = "read pid rest < /proc/1/stat; echo $pid $rest | head -c 7; exit 5";
    let (spec, spawned) = bed
        .exec(&container, init, &["sh", "-c", script], fds)
        .unwrap();
    let got = exec_peer.all();
    assert_eq!(String::from_utf8_lossy(&got.stdout), "1 (cat)");
    assert_eq!(got.exit.unwrap().code, 5);
    wait_gone(spawned.monitor_pid);
    let left: Vec<_> = std::fs::read_dir(&spec.run_dir)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(left.len(), 1, "only the exit record is left: {left:?}");

    let missing = bed
        .exec(&container, init, &["nothing"], Fds::default())
        .unwrap_err();
    assert_eq!(missing.kind(), FailureKind::NotFound, "{missing}");

    let mut other = init;
    other.start_ticks += 1;
    let error = bed
        .exec(&container, other, &["true"], Fds::default())
        .unwrap_err();
    assert_eq!(error.kind(), FailureKind::NotRunning, "{error}");

    peer.send(&Frame::StdinEof);
    assert!(peer.all().exit.is_some());
    wait_gone(init.monitor_pid);
    let error = bed
        .exec(&container, init, &["true"], Fds::default())
        .unwrap_err();
    assert_eq!(error.kind(), FailureKind::NotRunning, "{error}");
}

#[test]
fn what_cannot_be_run_says_why() {
    let bed = Bed::new();
    for (args, kind, code) in [
        (&["nothing-like-that"][..], FailureKind::NotFound, 127),
        (&["/bin/nothing"][..], FailureKind::NotFound, 127),
        (&["/bin/data"][..], FailureKind::NotExecutable, 126),
        (&["/tmp"][..], FailureKind::NotExecutable, 126),
    ] {
        let container = bed.container(args, |_| {});
        let error = bed.run(&container, Fds::default()).unwrap_err();
        assert_eq!(error.kind(), kind, "{args:?}: {error}");
        assert!(error.to_string().contains(args[0]), "{error}");
        let record = container.exit_record().unwrap();
        assert_eq!((record.code, record.pid), (code, 0));
        assert_eq!(record.error.as_deref(), Some(&*error.to_string()));
        assert_eq!(
            std::fs::read_dir(&container.request.run_dir)
                .unwrap()
                .count(),
            0
        );
    }
    let container = bed.container(&["true"], |_| {});
    std::fs::write(container.request.dir.join("config.json"), "{").unwrap();
    let error = bed.run(&container, Fds::default()).unwrap_err();
    assert!(error.to_string().contains("config.json"), "{error}");
    let mut container = bed.container(&["true"], |_| {});
    container.request.run_dir = "/nowhere".into();
    let error = bed.run(&container, Fds::default()).unwrap_err();
    assert!(error.to_string().contains("/nowhere"), "{error}");
}

#[test]
fn one_monitor_at_a_time_serves_a_container() {
    let bed = Bed::new();
    let mut container = bed.container(&["cat"], |_| {});
    container.request.streams.stdin = true;
    let (_, mut peer) = bed.run_attached(&container);
    let error = bed.run(&container, Fds::default()).unwrap_err();
    assert!(error.to_string().contains("another monitor"), "{error}");
    // The one that runs is not harmed.
    peer.send(&Frame::StdinEof);
    assert_eq!(peer.all().exit, container.exit_record());
    // And can be started again at once.
    let (_, mut peer) = bed.run_attached(&container);
    peer.send(&Frame::StdinEof);
    assert_eq!(peer.all().exit.unwrap().code, 0);
}

#[test]
fn namespaces_come_as_descriptors_and_a_container_can_join_them() {
    let bed = Bed::new();
    let net = bed.handle.netns().unwrap();
    assert_eq!(kind_of(&net).unwrap(), Some(Kind::Network));
    let base = 0x1000_0000;
    let sandbox = bed.handle.sandbox(base, 65_536).unwrap();
    assert_eq!(kind_of(&sandbox.user).unwrap(), Some(Kind::User));
    assert_eq!(kind_of(&sandbox.net).unwrap(), Some(Kind::Network));

    let layer = bed.dir.path().join("rootfs");
    let mut container = bed.container(
        &[
            "sh",
            "-c",
            "cat /proc/self/uid_map; id -u; \
         echo again > /dev/stdout; echo new > /tmp/file; cat /tmp/file; \
         ip link show lo | grep -o UP,LOWER_UP",
        ],
        |config| {
            let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
            namespaces.push(json!({ "type": "user" }));
            let map = json!([{ "containerID": 0, "hostID": base, "size": 65_536 }]);
            config["linux"]["uidMappings"] = map.clone();
            config["linux"]["gidMappings"] = map;
        },
    );
    let (upper, work) = (bed.dir.path().join("upper"), bed.dir.path().join("work"));
    std::fs::create_dir(&upper).unwrap();
    std::fs::create_dir(&work).unwrap();
    let lower = vec![layer];
    container.request.rootfs = RootfsRecord::Overlay { lower, upper, work };
    container.request.id_base = base;
    let (peer, theirs) = Peer::handed_over(Wants::ALL);
    let fds = Fds {
        attach: vec![theirs],
        join: vec![(Kind::User, sandbox.user), (Kind::Network, sandbox.net)],
    };
    bed.run(&container, fds).unwrap();
    let got = peer.all();
    let text = String::from_utf8_lossy(&[got.stdout, got.stderr].concat()).into_owned();
    let words: Vec<_> = text.split_whitespace().collect();
    assert_eq!(
        words,
        [
            "0",
            "268435456",
            "65536",
            "0",
            "again",
            "new",
            "UP,LOWER_UP"
        ],
        "{text}"
    );
}

#[test]
fn a_hundred_at_once() {
    let bed = Bed::new();
    let containers: Vec<_> = (0..100)
        .map(|_| {
            let mut container = bed.container(&["cat"], |_| {});
            container.request.streams.stdin = true;
            container
        })
        .collect();
    let mut running = Vec::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = containers
            .chunks(10)
            .map(|chunk| {
                let bed = &bed;
                scope.spawn(move || {
                    chunk
                        .iter()
                        .map(|container| bed.run_attached(container))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .for_each(|thread| running.extend(thread.join().unwrap()));
    });
    let pids: BTreeSet<_> = running.iter().map(|(spawned, _)| spawned.pid).collect();
    assert_eq!(pids.len(), 100);
    for (number, (_, peer)) in running.iter_mut().enumerate() {
        peer.send(&Frame::Stdin(format!("{number}").as_bytes()));
        peer.send(&Frame::StdinEof);
    }
    for (number, (spawned, peer)) in running.into_iter().enumerate() {
        let got = peer.all();
        assert_eq!(got.stdout, number.to_string().as_bytes());
        assert_eq!(got.exit.unwrap().code, 0);
        wait_gone(spawned.monitor_pid);
    }
}

#[test]
fn nothing_is_left_behind() {
    let mounts = || std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let before = mounts();
    let dir;
    let monitor;
    {
        let bed = Bed::new();
        let container = bed.container(&["sleep", "1000"], |_| {});
        let spawned = bed.run(&container, Fds::default()).unwrap();
        monitor = spawned.monitor_pid;
        let peer = container.connect(Wants::EXIT);
        kill(spawned.pid);
        let exit = peer.all().exit.unwrap();
        assert_eq!((exit.code, exit.signal), (137, Some(9)));
        wait_gone(monitor);
        dir = bed.dir.path().to_owned();
        let names = |dir| {
            std::fs::read_dir(dir)
                .unwrap()
                .map(|e| e.unwrap().file_name())
        };
        let kept: BTreeSet<_> = names(&container.request.dir).collect();
        let expected = ["config.json", "exit.json", "log"].map(Into::into);
        assert_eq!(kept, BTreeSet::from(expected));
        assert_eq!(names(&container.request.run_dir).count(), 0);
    }
    assert_eq!(mounts(), before);
    assert!(!dir.exists());
    assert!(!std::path::Path::new(&format!("/proc/{monitor}")).exists());
}

#[test]
fn a_monitor_costs_less_than_half_a_mebibyte() {
    let bed = Bed::new();
    let mut running = Vec::new();
    for _ in 0..20 {
        let script = "head -c 300000 /dev/zero; echo >&2; exec sleep 1000";
        let container = bed.container(&["sh", "-c", script], |_| {});
        let spawned = bed.run(&container, Fds::default()).unwrap();
        running.push((spawned, container));
    }
    let mean = || {
        let costs = running
            .iter()
            .map(|(spawned, _)| bed::proportional_kib(spawned.monitor_pid));
        costs.sum::<u64>() / running.len() as u64
    };
    // What launching took, and passing all that on, is given back in the first lull.
    let deadline = Instant::now() + Duration::from_secs(10);
    while mean() > 512 {
        assert!(Instant::now() < deadline, "{} KiB a monitor", mean());
        std::thread::yield_now();
    }
    running.iter().for_each(|(spawned, _)| kill(spawned.pid));
}

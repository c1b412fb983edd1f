//! The loop around a plain child process instead of a container.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::super::log::{Reader, Select};
use super::super::record::{self, ExitRecord, LogConfig};
use super::super::{socket, start_ticks};
use super::*;
use crate::monitor::wire::{Decoder, Wants};

/// A session around `sh -c script`, and where it lies.
struct Fixture {
    dir: tempfile::TempDir,
    session: JoinHandle<()>,
    // Reaped by the session; kept for its pid.
    _child: Child,
}

impl Fixture {
    fn start(script: &str, stdin: bool, stdin_once: bool, attach: Vec<OwnedFd>) -> Self {
        Self::limited(script, stdin, stdin_once, attach, None)
    }

    fn limited(
        script: &str,
        stdin: bool,
        stdin_once: bool,
        attach: Vec<OwnedFd>,
        timeout: Option<Duration>,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new("/bin/sh")
            .args(["-c", script])
            .stdin(if stdin { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let config = LogConfig {
            path: dir.path().join("log"),
            max_size: 1 << 20,
            max_files: 3,
        };
        let begun = Begun {
            spawned: Spawned {
                version: record::VERSION,
                monitor_pid: rustix::process::getpid().as_raw_pid(),
                pid,
                start_ticks: start_ticks(pid).unwrap(),
                started_at_ns: unix_ns(),
            },
            pidfd: pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()).unwrap(),
            streams: Ours {
                stdin: child.stdin.take().map(OwnedFd::from),
                stdout: child.stdout.take().map(OwnedFd::from),
                stderr: child.stderr.take().map(OwnedFd::from),
                terminal: None,
            },
            spent: Vec::new(),
            mounts: None,
            stdin_once,
            timeout,
            listener: Listener::bind(dir.path()).unwrap(),
            log: Some(Log::open(&config).unwrap()),
            exit: Keeper::new(dir.path()),
            oom: OomWatch::none(),
        };
        let session = Session::new(begun, attach).unwrap();
        let session = std::thread::spawn(move || session.run());
        Self {
            dir,
            session,
            _child: child,
        }
    }

    fn attach(&self, wants: Wants) -> Peer {
        Peer::hello(socket::connect(self.dir.path()).unwrap(), wants)
    }

    /// Waits for the session's end; answers its exit record.
    fn end(self) -> (ExitRecord, tempfile::TempDir) {
        self.session.join().unwrap();
        let record = std::fs::read(self.dir.path().join(record::EXIT_FILE)).unwrap();
        assert!(!self.dir.path().join("monitor.sock").exists());
        (ExitRecord::from_json(&record).unwrap(), self.dir)
    }
}

/// An attach client.
struct Peer {
    stream: UnixStream,
    decoder: Decoder,
}

/// All a client got.
#[derive(Default)]
struct Got {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    welcome: Option<Spawned>,
    exit: Option<ExitRecord>,
}

impl Peer {
    fn hello(stream: UnixStream, wants: Wants) -> Self {
        let mut peer = Self {
            stream,
            decoder: Decoder::default(),
        };
        let version = wire::VERSION;
        peer.send(&Frame::Hello { version, wants });
        peer
    }

    fn send(&mut self, frame: &Frame<'_>) {
        self.stream.write_all(&frame.to_vec()).unwrap();
    }

    /// Reads until `enough`, or to the end.
    fn read(&mut self, got: &mut Got, enough: impl Fn(&Got) -> bool) {
        while !enough(got) {
            let count = self.stream.read(self.decoder.space()).unwrap();
            if count == 0 {
                return;
            }
            self.decoder.filled(count);
            while let Some(frame) = self.decoder.next().unwrap() {
                match frame {
                    Frame::Stdout(bytes) => got.stdout.extend_from_slice(bytes),
                    Frame::Stderr(bytes) => got.stderr.extend_from_slice(bytes),
                    Frame::Welcome { spawned, .. } => {
                        got.welcome = Some(Spawned::from_json(spawned).unwrap());
                    }
                    Frame::Exit(record) => got.exit = Some(ExitRecord::from_json(record).unwrap()),
                    other => panic!("a monitor does not send {other:?}"),
                }
            }
        }
    }

    fn all(mut self) -> Got {
        let mut got = Got::default();
        self.read(&mut got, |_| false);
        got
    }
}

fn handed_over(wants: Wants) -> (Peer, OwnedFd) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (Peer::hello(ours, wants), theirs.into())
}

fn logged(dir: &tempfile::TempDir) -> Vec<u8> {
    let mut reader = Reader::open(&dir.path().join("log"), Select::default()).unwrap();
    let mut all = Vec::new();
    while let Some(line) = reader.next().unwrap() {
        all.extend_from_slice(line.bytes);
        if !line.partial {
            all.push(b'\n');
        }
    }
    all
}

#[test]
fn output_and_exit_reach_log_client_and_disk() {
    let (peer, theirs) = handed_over(Wants::ALL);
    let fixture = Fixture::start("echo out; echo err >&2; exit 7", false, false, vec![theirs]);
    let got = peer.all();
    assert_eq!(
        (&got.stdout[..], &got.stderr[..]),
        (&b"out\n"[..], &b"err\n"[..])
    );
    let (record, dir) = fixture.end();
    assert_eq!((record.code, record.signal), (7, None));
    assert!(record.finished_at_ns >= record.started_at_ns);
    assert_eq!(got.exit.as_ref(), Some(&record));
    assert_eq!(got.welcome.unwrap().pid, record.pid);
    let mut lines: Vec<_> = logged(&dir)
        .split(|b| *b == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    lines.sort();
    assert_eq!(lines, [&b""[..], b"err", b"out"]);
}

#[test]
fn a_signal_is_told_apart() {
    let fixture = Fixture::start("kill -TERM $$", false, false, vec![]);
    let (record, _dir) = fixture.end();
    assert_eq!((record.code, record.signal), (143, Some(15)));
}

#[test]
fn stdin_comes_back_and_ends() {
    let fixture = Fixture::start("cat; echo end", true, false, vec![]);
    let mut peer = fixture.attach(Wants::ALL);
    let sent: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
    let writer = {
        let mut stream = peer.stream.try_clone().unwrap();
        let sent = sent.clone();
        std::thread::spawn(move || {
            for part in sent.chunks(60_000) {
                stream.write_all(&Frame::Stdin(part).to_vec()).unwrap();
            }
            stream.write_all(&Frame::StdinEof.to_vec()).unwrap();
        })
    };
    let mut got = Got::default();
    peer.read(&mut got, |got| got.exit.is_some());
    writer.join().unwrap();
    assert!(got.stdout.strip_suffix(b"end\n") == Some(&sent[..]));
    assert_eq!(fixture.end().0.code, 0);
}

#[test]
fn stdin_once_ends_with_its_client_and_others_do_not_end_it() {
    let fixture = Fixture::start("cat", true, true, vec![]);
    let looker = Wants {
        stdin: false,
        ..Wants::ALL
    };
    let mut watching = fixture.attach(looker);
    watching.read(&mut Got::default(), |got| got.welcome.is_some());
    drop(fixture.attach(looker));
    let mut writing = fixture.attach(Wants::ALL);
    writing.send(&Frame::Stdin(b"hello"));
    let mut got = Got::default();
    writing.read(&mut got, |got| got.stdout == b"hello");
    drop(writing);
    let got = watching.all();
    assert_eq!(got.stdout, b"hello");
    assert_eq!(got.exit.unwrap(), fixture.end().0);
}

#[test]
fn a_stalled_client_holds_the_workload_back_and_a_vanished_one_does_not() {
    // Far more than the buffers between the two hold.
    let script = "head -c 20000000 /dev/zero; echo done >&2";
    let (stalled, theirs) = handed_over(Wants::ALL);
    let fixture = Fixture::start(script, false, false, vec![theirs]);
    let errors = Wants {
        stdin: false,
        stdout: false,
        ..Wants::ALL
    };
    let mut watching = fixture.attach(errors);
    let mut got = Got::default();
    watching.read(&mut got, |got| got.welcome.is_some());
    let limit = Some(Duration::from_millis(300));
    watching.stream.set_read_timeout(limit).unwrap();
    assert!(
        watching.stream.read(&mut [0]).is_err(),
        "the workload is held back"
    );
    watching.stream.set_read_timeout(None).unwrap();
    drop(stalled);
    let got = watching.all();
    assert_eq!(got.stderr, b"done\n");
    assert_eq!(fixture.end().0.code, 0);
}

#[test]
fn survivors_that_hold_the_output_do_not_hold_the_end() {
    let script = "sleep 1000 & echo $! >&2; echo kept; exit 3";
    let (peer, theirs) = handed_over(Wants::ALL);
    let fixture = Fixture::start(script, false, false, vec![theirs]);
    let got = peer.all();
    let survivor = String::from_utf8(got.stderr).unwrap();
    let pid = Pid::from_raw(survivor.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert_eq!(got.stdout, b"kept\n");
    assert_eq!(fixture.end().0.code, 3);
}

#[test]
fn nonsense_from_a_client_ends_only_that_client() {
    let fixture = Fixture::start("read line; echo $line", true, false, vec![]);
    let mut hostile = fixture.attach(Wants::ALL);
    hostile
        .stream
        .write_all(&[2, 0xff, 0xff, 0xff, 0xff, 1, 2, 3])
        .unwrap();
    assert!(hostile.all().exit.is_none());
    let mut peer = fixture.attach(Wants::ALL);
    peer.send(&Frame::Unknown(99));
    peer.send(&Frame::Resize { rows: 1, cols: 1 });
    peer.send(&Frame::Stdin(b"still here\n"));
    let got = peer.all();
    assert_eq!(got.stdout, b"still here\n");
    assert!(got.exit.is_some());
    fixture.end();
}

#[test]
fn more_clients_than_fit_wait_their_turn() {
    let fixture = Fixture::start("read line", true, false, vec![]);
    // The backlog takes 16 beyond those that are served.
    let mut peers: Vec<_> = (0..CLIENTS_MAX + 8)
        .map(|_| fixture.attach(Wants::EXIT))
        .collect();
    let mut first: Vec<_> = peers.drain(..8).collect();
    for peer in &mut first {
        peer.read(&mut Got::default(), |got| got.welcome.is_some());
    }
    drop(first);
    for peer in &mut peers {
        peer.read(&mut Got::default(), |got| got.welcome.is_some());
    }
    let mut last = peers.pop().unwrap();
    let wants = Wants::ALL;
    let version = wire::VERSION;
    last.send(&Frame::Hello { version, wants });
    last.send(&Frame::StdinEof);
    peers.push(last);
    for peer in peers {
        assert!(peer.all().exit.is_some());
    }
    fixture.end();
}

#[test]
fn what_runs_for_too_long_is_killed_with_its_children() {
    let script = "sleep 3600 & echo $!; wait";
    let limit = Some(Duration::from_millis(50));
    let fixture = Fixture::limited(script, false, false, vec![], limit);
    let peer = fixture.attach(Wants::ALL);
    let got = peer.all();
    let record = got.exit.unwrap();
    assert!(record.timed_out);
    assert_eq!(record.signal, Some(9));
    let (_, dir) = fixture.end();
    // The child may have been listened to before it could say its number.
    let log = std::fs::read_to_string(dir.path().join("log")).unwrap();
    let pid = log.split_whitespace().last();
    let pid = pid.and_then(|pid| Pid::from_raw(pid.parse().ok()?));
    if let Some(child) = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) {
        let limit = timespec(Duration::from_secs(30));
        let ended = poll(&mut [PollFd::new(&child, PollFlags::IN)], Some(&limit));
        assert_eq!(ended, Ok(1), "{log}");
    }
}

#[test]
fn what_ends_in_time_has_not_timed_out() {
    let limit = Some(Duration::from_secs(3600));
    let (record, _) = Fixture::limited("exit 3", false, false, vec![], limit).end();
    assert_eq!((record.timed_out, record.code), (false, 3));
}

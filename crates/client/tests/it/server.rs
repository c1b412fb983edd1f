//! A server on a unix socket that answers each request with the next line of its script, and
//! remembers what it was asked.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};

/// What has happened so far.
#[derive(Default)]
struct Seen {
    requests: Vec<String>,
    connections: usize,
    closed: usize,
}

/// The server; ends with its directory.
pub struct Script {
    directory: tempfile::TempDir,
    seen: Arc<(Mutex<Seen>, Condvar)>,
}

#[derive(Clone, Copy, PartialEq)]
enum After {
    Keep,
    Close,
    Echo,
}

impl Script {
    /// Answers in turn, on however many connections.
    pub fn new(answers: &[&str]) -> Script {
        Script::start(answers, After::Keep)
    }

    /// Closes the connection after each answer, without having said so.
    pub fn closing(answers: &[&str]) -> Script {
        Script::start(answers, After::Close)
    }

    /// Answers once, then sends back what it gets until the other side closes.
    pub fn echoing(answer: &str) -> Script {
        Script::start(&[answer], After::Echo)
    }

    fn start(answers: &[&str], after: After) -> Script {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("s")).unwrap();
        let seen = Arc::new((Mutex::new(Seen::default()), Condvar::new()));
        let answers: Arc<Mutex<Vec<String>>> = Arc::new(Mutex::new(
            answers.iter().rev().map(|a| (*a).to_owned()).collect(),
        ));
        let script = Script {
            directory,
            seen: seen.clone(),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, answers) = (seen.clone(), answers.clone());
                seen.0.lock().unwrap().connections += 1;
                std::thread::spawn(move || {
                    serve(stream.unwrap(), &seen, &answers, after);
                    seen.0.lock().unwrap().closed += 1;
                    seen.1.notify_all();
                });
            }
        });
        script
    }

    /// Where it listens.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("s")
    }

    /// Heads and bodies of the requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.seen.0.lock().unwrap().requests.clone()
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.seen.0.lock().unwrap().connections
    }

    /// Waits until so many connections are closed.
    pub fn wait_closed(&self, count: usize) {
        let seen = self.seen.0.lock().unwrap();
        drop(
            self.seen
                .1
                .wait_while(seen, |seen| seen.closed < count)
                .unwrap(),
        );
    }
}

fn serve(
    mut stream: UnixStream,
    seen: &(Mutex<Seen>, Condvar),
    answers: &Mutex<Vec<String>>,
    after: After,
) {
    while let Some(request) = read_request(&mut stream) {
        seen.0.lock().unwrap().requests.push(request);
        let Some(answer) = answers.lock().unwrap().pop() else {
            return;
        };
        stream.write_all(answer.as_bytes()).unwrap();
        match after {
            After::Keep => {}
            After::Close => return,
            After::Echo => {
                let mut input = stream.try_clone().unwrap();
                std::io::copy(&mut input, &mut stream).unwrap();
                return;
            }
        }
    }
}

/// A head and its body; `None` when the connection ends first.
fn read_request(stream: &mut UnixStream) -> Option<String> {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        text.push(byte[0]);
    }
    let head = String::from_utf8(text.clone()).unwrap().to_lowercase();
    if head.contains("transfer-encoding: chunked") {
        while !text.ends_with(b"\r\n0\r\n\r\n") && !text.ends_with(b"\r\n\r\n0\r\n\r\n") {
            if stream.read(&mut byte).ok()? == 0 {
                return None;
            }
            text.push(byte[0]);
        }
    } else if let Some(length) = head.split("content-length: ").nth(1) {
        let length: usize = length.lines().next().unwrap().trim().parse().unwrap();
        let mut body = vec![0; length];
        stream.read_exact(&mut body).ok()?;
        text.extend(body);
    }
    Some(String::from_utf8(text).unwrap())
}

//! What is written, what is kept, and what is lost.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::*;

fn entry(object: &str) -> Entry {
    Entry {
        time_ns: 1_800_000_000_000_000_005,
        user: "alice".into(),
        groups: vec!["dev".into()],
        source: Some("fd00::1".parse().unwrap()),
        verb: "delete".into(),
        object: object.into(),
        outcome: Outcome::Denied,
        code: 403,
        reason: "no rule".into(),
        agent: "kubectl".into(),
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    let parse = |line| serde_json::from_str(line).unwrap();
    text.lines().map(parse).collect()
}

#[test]
fn a_line_says_who_what_where_and_what_came_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    let audit = Audit::open(&path, Limits::default()).unwrap();
    audit.record(entry("/api/v1/namespaces/shop/pods/db"));
    let mut bare = entry("/version");
    bare.source = None;
    bare.groups.clear();
    bare.outcome = Outcome::Unauthenticated;
    audit.record(bare);
    drop(audit);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(
        text.lines().next().unwrap(),
        r#"{"version":1,"time":"2027-01-15T08:00:00.000000005Z","user":"alice","groups":["dev"],"source":"fd00::1","verb":"delete","object":"/api/v1/namespaces/shop/pods/db","outcome":"denied","code":403,"reason":"no rule","agent":"kubectl"}"#
    );
    let bare = &lines(&path)[1];
    assert_eq!(bare["outcome"], "unauthenticated");
    assert!(bare.get("source").is_none() && bare.get("groups").is_none());
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn a_request_cannot_write_lines_of_its_own_or_long_ones() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    let audit = Audit::open(&path, Limits::default()).unwrap();
    audit.record(entry("/x\n{\"user\":\"root\"}"));
    audit.record(entry(&"ä".repeat(LONGEST_FIELD)));
    let mut many = entry("/y");
    many.groups = (0..1000).map(|n| n.to_string()).collect();
    audit.record(many);
    drop(audit);
    let lines = lines(&path);
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["object"], "/x\n{\"user\":\"root\"}");
    assert_eq!(lines[1]["object"].as_str().unwrap().len(), LONGEST_FIELD);
    assert_eq!(lines[2]["groups"].as_array().unwrap().len(), MOST_GROUPS);
}

#[test]
fn files_are_bounded_in_size_and_number() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    for (files, expected) in [(3, 3), (1, 1)] {
        let limits = Limits {
            file_bytes: 1000,
            files,
        };
        let mut log = Files::open(&path, limits).unwrap();
        let line = [&[b'x'; 299][..], b"\n"].concat();
        for _ in 0..50 {
            log.append(&line).unwrap();
        }
        let sizes = fs::read_dir(dir.path())
            .unwrap()
            .map(|file| file.unwrap().metadata().unwrap().len());
        let sizes: Vec<u64> = sizes.collect();
        assert_eq!(sizes.len(), expected, "{sizes:?}");
        assert!(sizes.iter().all(|size| *size <= 900), "{sizes:?}");
        for entry in fs::read_dir(dir.path()).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }
}

#[test]
fn the_oldest_lines_go_first() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    let limits = Limits {
        file_bytes: 4,
        files: 2,
    };
    let mut log = Files::open(&path, limits).unwrap();
    for line in [b"aa\n", b"bb\n", b"cc\n"] {
        log.append(line).unwrap();
    }
    assert_eq!(fs::read(&path).unwrap(), b"cc\n");
    assert_eq!(fs::read(dir.path().join("audit.log.1")).unwrap(), b"bb\n");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn the_log_goes_on_after_a_restart_and_a_torn_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    let audit = Audit::open(&path, Limits::default()).unwrap();
    audit.record(entry("/a"));
    drop(audit);
    let whole = fs::read(&path).unwrap();
    let torn = [&whole[..], b"{\"version\":1,\"ti"].concat();
    fs::write(&path, torn).unwrap();
    let audit = Audit::open(&path, Limits::default()).unwrap();
    audit.record(entry("/b"));
    drop(audit);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    let last: Value = serde_json::from_str(lines[2]).unwrap();
    assert_eq!(last["object"], "/b");
}

#[test]
fn a_full_queue_loses_lines_and_says_how_many() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    // The writer is this test, so that nothing is taken out of the queue meanwhile.
    let (audit, receiver) = Audit::queue(2);
    for n in 0..5 {
        audit.record(entry(&n.to_string()));
    }
    let lost = Count {
        written: 0,
        dropped: 3,
    };
    assert_eq!(audit.count(), lost);
    let mut files = Files::open(&path, Limits::default()).unwrap();
    let first = receiver.recv().unwrap();
    write_some(&mut files, &first, &receiver, &audit.counters);
    audit.record(entry("later"));
    let first = receiver.recv().unwrap();
    write_some(&mut files, &first, &receiver, &audit.counters);
    let lines = lines(&path);
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0]["dropped"], 3);
    let objects: Vec<&Value> = lines[1..].iter().map(|line| &line["object"]).collect();
    assert_eq!(objects, ["0", "1", "later"]);
    let count = Count {
        written: 3,
        dropped: 3,
    };
    assert_eq!(audit.count(), count);
}

#[test]
fn what_a_full_disk_refuses_is_counted_and_told_later() {
    let dir = tempfile::tempdir().unwrap();
    let (audit, receiver) = Audit::queue(4);
    let mut full = Files::open(Path::new("/dev/full"), Limits::default()).unwrap();
    for n in 0..3 {
        audit.record(entry(&n.to_string()));
    }
    let first = receiver.recv().unwrap();
    write_some(&mut full, &first, &receiver, &audit.counters);
    assert_eq!(audit.count().dropped, 3);
    let path = dir.path().join("audit.log");
    let mut files = Files::open(&path, Limits::default()).unwrap();
    audit.record(entry("again"));
    let first = receiver.recv().unwrap();
    write_some(&mut files, &first, &receiver, &audit.counters);
    let lines = lines(&path);
    assert_eq!(lines[0]["dropped"], 3);
    assert_eq!(lines[1]["object"], "again");
}

#[test]
fn what_was_lost_last_is_told_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    let (audit, receiver) = Audit::queue(1);
    audit.record(entry("/a"));
    let first = receiver.recv().unwrap();
    let mut files = Files::open(&path, Limits::default()).unwrap();
    write_some(&mut files, &first, &receiver, &audit.counters);
    audit.counters.lose(7);
    let counters = Arc::clone(&audit.counters);
    drop(audit);
    write(files, &receiver, &counters);
    assert_eq!(lines(&path)[1]["dropped"], 7);
}

//! The log written and read back: bounds, tails, rotation under a reader's hands.

use std::os::fd::AsRawFd;

use super::*;
use proptest::prelude::*;

const T0: i64 = 1_700_000_000_000_000_000;

fn config(dir: &tempfile::TempDir, max_size: u64, max_files: u32) -> LogConfig {
    LogConfig {
        path: dir.path().join("log"),
        max_size,
        max_files,
    }
}

fn text(config: &LogConfig, select: Select) -> String {
    let mut reader = Reader::open(&config.path, select).unwrap();
    let mut text = String::new();
    while let Some(line) = reader.next().unwrap() {
        text.push_str(std::str::from_utf8(line.bytes).unwrap());
        if !line.partial {
            text.push('\n');
        }
    }
    assert_eq!(reader.damaged(), 0);
    text
}

fn tail(lines: u64) -> Select {
    Select {
        tail: Some(lines),
        ..Select::default()
    }
}

#[test]
fn what_was_written_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&dir, 0, 1);
    let mut log = Log::open(&config).unwrap();
    log.write(Stream::Stdout, b"one\ntwo\n\nhalf", T0);
    log.write(Stream::Stderr, b"error\n", T0 + 1);
    log.write(Stream::Stdout, b" and half\nno end", T0 + 2);
    let all = "one\ntwo\n\nhalferror\n and half\nno end";
    assert_eq!(text(&config, Select::default()), all);
    let only = |stdout, stderr| Select {
        stdout,
        stderr,
        ..Select::default()
    };
    assert_eq!(text(&config, only(false, true)), "error\n");
    assert_eq!(
        text(&config, only(true, false)),
        "one\ntwo\n\nhalf and half\nno end"
    );
    let since = Select {
        since_ns: Some(T0 + 1),
        ..Select::default()
    };
    assert_eq!(text(&config, since), "error\n and half\nno end");
    let until = Select {
        until_ns: Some(T0 + 1),
        ..Select::default()
    };
    assert_eq!(text(&config, until), "one\ntwo\n\nhalferror\n");
    for (lines, expected) in [(0, ""), (1, "no end"), (2, " and half\nno end")] {
        assert_eq!(text(&config, tail(lines)), expected, "{lines}");
    }
    assert_eq!(text(&config, tail(100)), all);
}

#[test]
fn a_log_that_is_not_there_has_no_records() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&dir, 0, 1);
    assert_eq!(text(&config, Select::default()), "");
    assert_eq!(text(&config, tail(3)), "");
}

#[test]
fn size_and_number_of_files_are_bounded_and_the_end_is_kept() {
    for (max_size, max_files) in [(1000, 1), (1000, 3), (100_000, 4)] {
        let dir = tempfile::tempdir().unwrap();
        let config = config(&dir, max_size, max_files);
        let mut log = Log::open(&config).unwrap();
        let mut all = String::new();
        for n in 0..20_000 {
            let line = format!("line {n}\n");
            all.push_str(&line);
            log.write(Stream::Stdout, line.as_bytes(), T0 + n);
        }
        let mut total = 0;
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let size = entry.unwrap().metadata().unwrap().len();
            assert!(size <= max_size, "{size}");
            total += size;
        }
        assert!(total <= max_size * u64::from(max_files));
        let kept = text(&config, Select::default());
        assert!(all.ends_with(&kept));
        assert!(kept.lines().count() as u64 * 60 > max_size * u64::from(max_files - 1));
        for lines in [0, 1, 5, 17, 100] {
            let kept: Vec<_> = kept.split_inclusive('\n').collect();
            let from = kept.len().saturating_sub(lines);
            let last = text(&config, tail(lines as u64));
            assert_eq!(last, kept[from..].concat(), "{lines}");
        }
    }
}

#[test]
fn one_large_read_rotates_too() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&dir, 4096, 2);
    let mut log = Log::open(&config).unwrap();
    let lines: String = (0..5000).map(|n| format!("{n}\n")).collect();
    log.write(Stream::Stdout, lines.as_bytes(), T0);
    let kept = text(&config, Select::default());
    assert!(lines.ends_with(&kept) && !kept.is_empty());
    assert!(std::fs::metadata(&config.path).unwrap().len() <= 4096);
}

#[test]
fn a_half_record_of_a_killed_writer_harms_only_itself() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&dir, 0, 1);
    Log::open(&config)
        .unwrap()
        .write(Stream::Stdout, b"whole\n", T0);
    let mut bytes = std::fs::read(&config.path).unwrap();
    bytes.extend_from_slice(b"2016-10-06T00:17:09.6697");
    std::fs::write(&config.path, &bytes).unwrap();
    assert_eq!(text(&config, Select::default()), "whole\n");
    assert_eq!(text(&config, tail(1)), "whole\n");
    Log::open(&config)
        .unwrap()
        .write(Stream::Stdout, b"after\n", T0);
    let mut reader = Reader::open(&config.path, Select::default()).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().bytes, b"whole");
    assert_eq!(reader.next().unwrap().unwrap().bytes, b"after");
    assert!(reader.next().unwrap().is_none());
    assert_eq!(reader.damaged(), 1);
}

#[test]
fn what_is_no_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&dir, 0, 1);
    std::os::unix::fs::symlink("/dev/null", &config.path).unwrap();
    assert!(Log::open(&config).is_err());
    std::fs::remove_file(&config.path).unwrap();
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &config.path, fifo, 0o600.into(), 0).unwrap();
    assert!(Log::open(&config).is_err());
    assert!(Reader::open(&config.path, Select::default()).is_err());
}

#[test]
fn a_follower_loses_nothing_to_rotation() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&dir, 500, 6);
    let mut log = Log::open(&config).unwrap();
    let mut follower = Follower::open(&config.path, Select::default()).unwrap();
    let (mut written, mut seen) = (0, 0);
    // Rotations happen between looks, several at once, never more than files are kept.
    for burst in [1, 0, 3, 7, 30, 2, 25, 1, 1, 40] {
        for _ in 0..burst {
            log.write(
                Stream::Stdout,
                format!("{written}\n").as_bytes(),
                T0 + written,
            );
            written += 1;
        }
        while let Some(line) = follower.next().unwrap() {
            assert_eq!(line.bytes, seen.to_string().as_bytes());
            seen += 1;
        }
        assert_eq!(seen, written, "after a burst of {burst}");
    }
}

#[test]
fn a_follower_is_woken_and_keeps_up_with_a_writer() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&dir, 64 * 1024, 1000);
    let mut follower = Follower::open(&config.path, Select::default()).unwrap();
    let writer = std::thread::spawn(move || {
        let mut log = Log::open(&config).unwrap();
        for n in 0..20_000_i64 {
            log.write(Stream::Stdout, format!("{n}\n").as_bytes(), T0 + n);
        }
    });
    let mut seen = 0_i64;
    while seen < 20_000 {
        while let Some(line) = follower.next().unwrap() {
            assert_eq!(line.bytes, seen.to_string().as_bytes());
            seen += 1;
        }
        if seen < 20_000 {
            use rustix::event::{PollFd, PollFlags, Timespec, poll};
            let mut fds = [PollFd::new(&follower, PollFlags::IN)];
            let limit = Timespec {
                tv_sec: 20,
                tv_nsec: 0,
            };
            assert_eq!(poll(&mut fds, Some(&limit)).unwrap(), 1, "woken at {seen}");
        }
    }
    writer.join().unwrap();
}

#[test]
fn a_full_disk_costs_lines_but_nothing_else_and_they_are_counted() {
    // A file system that is mounted nowhere.
    let disk = weft_sys::mount::Context::open(c"tmpfs").unwrap();
    disk.set(c"size", c"64k").unwrap();
    let disk = disk.mount(0).unwrap();
    let root = Path::new("/proc/self/fd").join(disk.as_raw_fd().to_string());
    let config = LogConfig {
        path: root.join("log"),
        max_size: 0,
        max_files: 1,
    };
    let mut log = Log::open(&config).unwrap();
    let block = root.join("block");
    std::fs::write(&block, vec![0; 60 * 1024]).unwrap();
    for n in 0..1000 {
        log.write(
            Stream::Stdout,
            format!("line {n} {}\n", "x".repeat(50)).as_bytes(),
            T0,
        );
    }
    std::fs::remove_file(&block).unwrap();
    log.write(Stream::Stdout, b"after\n", T0 + 1);
    let kept = text(&config, Select::default());
    let mut lines: Vec<_> = kept.lines().collect();
    assert_eq!(lines.pop(), Some("after"));
    let note = lines.pop().unwrap();
    let lost = 1000 - lines.len();
    assert!(
        note.starts_with(&format!("weft: {lost} log lines were lost here: ")),
        "{note}"
    );
    assert!(lost > 0);
    for (n, line) in lines.iter().enumerate() {
        assert!(line.starts_with(&format!("line {n} x")));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_bytes_in_any_pieces_come_back(
        pieces in proptest::collection::vec(
            (any::<bool>(), proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..200)),
            0..40),
        max_size in 300_u64..3000,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let config = config(&dir, max_size, 1000);
        let mut log = Log::open(&config).unwrap();
        let mut expected = [Vec::new(), Vec::new()];
        for (err, bytes) in &pieces {
            let stream = if *err { Stream::Stderr } else { Stream::Stdout };
            log.write(stream, bytes, T0);
            expected[usize::from(*err)].extend_from_slice(bytes);
        }
        let mut got = [Vec::new(), Vec::new()];
        let mut reader = Reader::open(&config.path, Select::default()).unwrap();
        while let Some(line) = reader.next().unwrap() {
            let out = &mut got[usize::from(line.stream == Stream::Stderr)];
            out.extend_from_slice(line.bytes);
            if !line.partial {
                out.push(b'\n');
            }
        }
        prop_assert_eq!(&got, &expected);
        let mut reader = Reader::open(&config.path, tail(10_000)).unwrap();
        let mut records = 0;
        while reader.next().unwrap().is_some() { records += 1; }
        let mut all = Reader::open(&config.path, Select::default()).unwrap();
        let mut total = 0;
        while all.next().unwrap().is_some() { total += 1; }
        prop_assert_eq!(records, total);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn damaged_files_are_read_to_their_end(
        pieces in proptest::collection::vec(prop_oneof![
            Just(b"2016-10-06T00:17:09.669794202Z stdout F whole\n".to_vec()),
            Just(b"2016-10-06T00:17:09.669794202Z stderr P part\n".to_vec()),
            Just(vec![b'x'; 300_000]),
            Just(vec![0; 70_000]),
            proptest::collection::vec(any::<u8>(), 0..50),
        ], 0..6),
        files in 1_u32..4,
        lines in 0_u64..5,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let config = config(&dir, 0, 1);
        for number in 0..files {
            let name = numbered(&"log".into(), number);
            std::fs::write(dir.path().join(name), pieces.concat()).unwrap();
        }
        for select in [Select::default(), tail(lines)] {
            let mut reader = Reader::open(&config.path, select).unwrap();
            let mut seen = 0;
            while let Some(line) = reader.next().unwrap() {
                seen += u64::from(!line.partial);
            }
            prop_assert!(select.tail.is_none_or(|lines| seen <= lines));
        }
    }
}

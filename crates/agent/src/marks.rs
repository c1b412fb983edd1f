//! What a worker must not forget of its pod, in the pod's directory: when it was taken up, that it
//! has failed, starts that came to nothing. Of all else it may begin anew.
//!
//! ```text
//!   <pods>/<uid>/began                    Unix nanoseconds
//!   <pods>/<uid>/failed                   reason, message
//!   <pods>/<uid>/stillborn/<container>    attempt, Unix nanoseconds, message
//! ```
//! Never: says what follows from it. What cannot be read is as if it had not been written.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use weft_api::assignment::Refusal;
use weft_stdx::file::{Durability, read_all_bounded, replace};

/// Of a message so much is kept.
const LARGEST: usize = 16 << 10;

/// A start that came to nothing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stillborn {
    pub attempt: u32,
    pub at_ns: i64,
    pub message: String,
}

/// The marks of one pod.
#[derive(Debug, Clone)]
pub(crate) struct Marks {
    directory: PathBuf,
}

impl Marks {
    pub fn new(all: &Path, uid: &str) -> Marks {
        Marks {
            directory: all.join(uid),
        }
    }

    /// When it was taken up: now, if it was not before.
    pub fn began(&self, now_ns: i64) -> i64 {
        let before = self.read("began");
        if let Some(before) = before.and_then(|text| text.trim().parse().ok()) {
            return before;
        }
        self.write("began", &now_ns.to_string());
        now_ns
    }

    /// It has failed, for good.
    pub fn fail(&self, why: &Refusal) {
        self.write("failed", &format!("{}\n{}", why.reason, why.message));
    }

    /// Why it has failed, if it has.
    pub fn failed(&self) -> Option<Refusal> {
        let text = self.read("failed")?;
        let (reason, message) = text.split_once('\n')?;
        Some(Refusal {
            reason: reason.to_owned(),
            message: message.to_owned(),
        })
    }

    /// A start of a container came to nothing.
    pub fn stillborn(&self, container: &str, one: &Stillborn) {
        let Stillborn {
            attempt,
            at_ns,
            message,
        } = one;
        let text = format!("{attempt}\n{at_ns}\n{message}");
        self.write(&format!("stillborn/{container}"), &text);
    }

    /// The last start of each container that came to nothing.
    pub fn all_stillborn(&self) -> BTreeMap<String, Stillborn> {
        let entries = fs::read_dir(self.directory.join("stillborn"));
        let names = entries.into_iter().flatten().flatten();
        let names = names.filter_map(|entry| entry.file_name().into_string().ok());
        let read = |name: String| {
            let text = self.read(&format!("stillborn/{name}"))?;
            let mut parts = text.splitn(3, '\n');
            let one = Stillborn {
                attempt: parts.next()?.parse().ok()?,
                at_ns: parts.next()?.parse().ok()?,
                message: parts.next()?.to_owned(),
            };
            Some((name, one))
        };
        names.filter_map(read).collect()
    }

    fn read(&self, name: &str) -> Option<String> {
        let file = File::open(self.directory.join(name)).ok()?;
        let bytes = read_all_bounded(file, LARGEST as u64).ok()?;
        String::from_utf8(bytes).ok()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.directory.join(name);
        let room = LARGEST.min(text.len());
        let end = (0..=room).rev().find(|at| text.is_char_boundary(*at));
        let text = &text.as_bytes()[..end.unwrap_or(0)];
        let written = match replace(&path, text, Durability::Process) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let above = path.parent().unwrap_or(&self.directory);
                fs::create_dir_all(above).and_then(|()| replace(&path, text, Durability::Process))
            }
            written => written,
        };
        if let Err(error) = written {
            tracing::warn!(%error, path = %path.display(), "could not be written down");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let marks = Marks::new(dir.path(), "u");
        assert_eq!(marks.failed(), None);
        assert!(marks.all_stillborn().is_empty());
        assert_eq!(marks.began(7), 7);
        assert_eq!(Marks::new(dir.path(), "u").began(8), 7);
        let why = Refusal {
            reason: "DeadlineExceeded".to_owned(),
            message: "it took\nlong".to_owned(),
        };
        marks.fail(&why);
        assert_eq!(marks.failed(), Some(why));
        let mut one = Stillborn {
            attempt: 3,
            at_ns: 12,
            message: "no\nsuch\nfile".to_owned(),
        };
        marks.stillborn("web", &one);
        assert_eq!(marks.all_stillborn()["web"], one);
        one.message = "ü".repeat(LARGEST);
        marks.stillborn("web", &one);
        let read = &marks.all_stillborn()["web"].message;
        assert!(read.len() > LARGEST - 40 && one.message.starts_with(read));
        fs::write(dir.path().join("u/stillborn/web"), "x\n1\n").unwrap();
        fs::write(dir.path().join("u/began"), "x").unwrap();
        assert!(marks.all_stillborn().is_empty());
        assert_eq!(marks.began(9), 9);
    }
}

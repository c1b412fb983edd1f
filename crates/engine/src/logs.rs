//! logs: what a container has written, and what it goes on to write.

use bytes::Bytes;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
pub use weft_runtime::monitor::log::Stream;
use weft_runtime::monitor::log::{Follower, LogLine, Reader, Select};

use crate::container::LogOptions;
use crate::container::handle::Progress;
use crate::engine::Engine;
use crate::error::{EngineError, Result};

/// One record of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// When it was read from the workload, unix nanoseconds.
    pub time_ns: i64,
    /// Which output it came from.
    pub stream: Stream,
    /// With its line feed, unless the workload had not written one.
    pub bytes: Bytes,
}

/// Records, oldest first; with `follow` until the container's run ends.
#[derive(Debug)]
pub struct LogStream {
    source: Source,
    until_ns: Option<i64>,
}

#[derive(Debug)]
enum Source {
    Past(Reader),
    Follow {
        log: AsyncFd<Follower>,
        progress: watch::Receiver<Progress>,
        last_look: bool,
    },
}

impl Engine {
    /// The container's log.
    ///
    /// # Errors
    /// It has none, or it can't be read.
    pub async fn logs(&self, reference: &str, options: LogOptions) -> Result<LogStream> {
        let container = self.find(reference)?;
        if !container.with(|r| r.spec.log.enabled) {
            return Err(EngineError::invalid(
                "configured logging driver does not support reading",
            ));
        }
        let path = self.inner.paths.log(&container.id);
        let select = Select {
            tail: options.tail.map(|n| n as u64),
            since_ns: options.since_ns,
            until_ns: options.until_ns,
            stdout: options.stdout,
            stderr: options.stderr,
        };
        let failed = |e: Box<dyn std::error::Error + Send + Sync>| {
            EngineError::internal(format!("read the log of container {reference}"), e)
        };
        let progress = container.progress();
        let source = if options.follow {
            let follower = self
                .blocking(move |_| Follower::open(&path, select))
                .await
                .map_err(|e| failed(e.into()))?;
            #[expect(
                deprecated,
                reason = "the successor is unsafe; a Follower owns its descriptor"
            )]
            let log = AsyncFd::new(follower).map_err(|e| failed(e.into()))?;
            Source::Follow {
                log,
                progress,
                last_look: false,
            }
        } else {
            let reader = self.blocking(move |_| Reader::open(&path, select)).await;
            Source::Past(reader.map_err(|e| failed(e.into()))?)
        };
        Ok(LogStream {
            source,
            until_ns: options.until_ns,
        })
    }
}

impl LogStream {
    /// The next record; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<LogEntry>> {
        match &mut self.source {
            Source::Past(reader) => turn(reader.next()),
            Source::Follow {
                log,
                progress,
                last_look,
            } => loop {
                if let Some(entry) = turn(log.get_mut().next()) {
                    return Some(entry);
                }
                let over = self
                    .until_ns
                    .is_some_and(|u| weft_stdx::clock::unix_ns() > u);
                if *last_look || over {
                    return None;
                }
                if !progress.borrow_and_update().up {
                    // It has ended: what it wrote last is in the file by now.
                    *last_look = true;
                    continue;
                }
                tokio::select! {
                    ready = log.readable() => match ready {
                        Ok(mut guard) => guard.clear_ready(),
                        Err(_) => return None,
                    },
                    changed = progress.changed() => if changed.is_err() {
                        *last_look = true;
                    },
                    () = until(self.until_ns) => {}
                }
            },
        }
    }
}

/// Completes at `until_ns`, never without one.
async fn until(until_ns: Option<i64>) {
    match until_ns {
        None => std::future::pending().await,
        Some(until) => {
            let left = u64::try_from(until - weft_stdx::clock::unix_ns()).unwrap_or(0);
            tokio::time::sleep(std::time::Duration::from_nanos(left)).await;
        }
    }
}

fn turn(
    read: std::result::Result<Option<LogLine<'_>>, weft_runtime::monitor::log::ReadError>,
) -> Option<Result<LogEntry>> {
    match read {
        Ok(None) => None,
        Ok(Some(line)) => {
            let mut bytes = Vec::with_capacity(line.bytes.len() + 1);
            bytes.extend_from_slice(line.bytes);
            if !line.partial {
                bytes.push(b'\n');
            }
            Some(Ok(LogEntry {
                time_ns: line.time_ns,
                stream: line.stream,
                bytes: bytes.into(),
            }))
        }
        Err(e) => Some(Err(EngineError::internal("read the log", e))),
    }
}

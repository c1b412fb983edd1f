//! Calls that stream a container's output or figures: attach, logs, stats.
//!
//! Decoding the multiplexed format is `stdcopy`'s.

use weft_api::docker::Stats;

use crate::error::ClientError;
use crate::hijack::Duplex;
use crate::request::Request;
use crate::stream::{Bytestream, JsonLines};
use crate::transport::Client;

/// Which streams of a container are attached to.
#[derive(Debug, Clone, Default)]
pub struct Attach {
    /// Write to its stdin.
    pub stdin: bool,
    /// Read its stdout.
    pub stdout: bool,
    /// Read its stderr.
    pub stderr: bool,
    /// What it said before, first.
    pub logs: bool,
    /// Keys that end the attachment, for the engine's information.
    pub detach_keys: Option<String>,
}

/// What `logs` answers with.
#[derive(Debug, Clone, Default)]
pub struct Logs {
    /// Lines of stdout.
    pub stdout: bool,
    /// Lines of stderr.
    pub stderr: bool,
    /// Go on as new lines come.
    pub follow: bool,
    /// An RFC 3339 time before each line.
    pub timestamps: bool,
    /// The extra attributes of each line.
    pub details: bool,
    /// Only lines since this Unix time (seconds, with a fraction).
    pub since: Option<String>,
    /// Only lines until this Unix time.
    pub until: Option<String>,
    /// Only the last so many lines (`all` for all).
    pub tail: Option<String>,
}

impl Client {
    /// Attaches to a container's streams.
    pub async fn attach_container(&self, id: &str, attach: &Attach) -> Result<Duplex, ClientError> {
        let request = Request::post(
            format!("attach to container {id}"),
            &["containers", id, "attach"],
        )
        .query("stream", "1")
        .flag("stdin", attach.stdin)
        .flag("stdout", attach.stdout)
        .flag("stderr", attach.stderr)
        .flag("logs", attach.logs)
        .query_opt("detachKeys", attach.detach_keys.as_deref());
        self.hijack(request).await
    }

    /// A container's log; multiplexed unless the container has a terminal, as the second part of
    /// the answer says (`None`: the engine does not say).
    pub async fn container_logs(
        &self,
        id: &str,
        logs: &Logs,
    ) -> Result<(Bytestream, Option<bool>), ClientError> {
        let request = Request::get(
            format!("read logs of container {id}"),
            &["containers", id, "logs"],
        )
        .flag("stdout", logs.stdout)
        .flag("stderr", logs.stderr)
        .flag("follow", logs.follow)
        .flag("timestamps", logs.timestamps)
        .flag("details", logs.details)
        .query_opt("since", logs.since.as_deref())
        .query_opt("until", logs.until.as_deref())
        .query_opt("tail", logs.tail.as_deref());
        let (head, bytes) = self.stream_with_head(request).await?;
        Ok((bytes, crate::hijack::is_multiplexed(&head.headers)))
    }

    /// Figures of a container, one sample per second; a single one when `once`.
    pub async fn container_stats(
        &self,
        id: &str,
        once: bool,
    ) -> Result<JsonLines<Stats>, ClientError> {
        let stream = if once { "0" } else { "1" };
        let request = Request::get(
            format!("read stats of container {id}"),
            &["containers", id, "stats"],
        )
        .query("stream", stream);
        self.lines(request).await
    }
}

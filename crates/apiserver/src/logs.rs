//! `pods/NAME/log`: what a container has written, as plain text.
//!
//! Never: reads a log; a node does.

use std::future::Future;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use weft_control::{Cause, Failure, Object, Reason};

use crate::answer::{self, Answer};
use crate::containers;
use crate::nodes::{Line, Log, Nodes, Wanted};
use crate::query::Query;

const SECOND_NS: i64 = 1_000_000_000;

/// What is asked of a log.
#[derive(Debug)]
struct Options {
    wanted: Wanted,
    previous: bool,
    timestamps: bool,
    limit_bytes: Option<u64>,
}

/// Answers with the log of a container of `pod`, until `ending`.
///
/// # Errors
/// The question is no good, or there is no such log.
pub(crate) async fn answer(
    nodes: &dyn Nodes,
    pod: &Object,
    query: &Query,
    ending: impl Future<Output = ()> + Send + 'static,
) -> Result<Answer, Failure> {
    let options = options(query, pod.meta().name())?;
    let chosen = containers::choose(pod, query.text("container"))?;
    if pod.text(&["spec", "nodeName"]).unwrap_or("").is_empty() {
        // It is on no node yet: an empty log, as upstream.
        return Ok(answer::whole(OK, TEXT, Bytes::new()));
    }
    let log = nodes.logs(chosen.logged(options.previous)?, options.wanted);
    let log = pieces(log.await?, &options);
    Ok(answer::stream(TEXT, log.take_until(ending)))
}

const OK: http::StatusCode = http::StatusCode::OK;
const TEXT: &str = "text/plain";

fn options(query: &Query, pod: &str) -> Result<Options, Failure> {
    let mut causes = Vec::new();
    let mut count = |name: &'static str, least: i64, why: &str| -> Result<Option<i64>, Failure> {
        let number = match query.text(name) {
            "" => None,
            _ => query.number(name)?,
        };
        if let Some(number) = number.filter(|number| *number < least) {
            causes.push(Cause::invalid(name, number, why));
        }
        Ok(number)
    };
    let positive = "must be greater than 0";
    let tail = count("tailLines", 0, "must be greater than or equal to 0")?;
    let limit = count("limitBytes", 1, positive)?;
    let seconds = count("sinceSeconds", 1, positive)?;
    let since = query.text("sinceTime");
    if seconds.is_some() && !since.is_empty() {
        let why = "at most one of `sinceTime` or `sinceSeconds` may be specified";
        causes.push(Cause::forbidden("sinceSeconds", why));
    }
    let from = query.text("stream");
    if !matches!(from, "" | "All" | "Stdout" | "Stderr") {
        causes.push(Cause::unsupported(
            "stream",
            from,
            &["All", "Stderr", "Stdout"],
        ));
    }
    if !matches!(from, "" | "All") && tail.is_some() {
        let why = "`tailLines` and specific `stream` are mutually exclusive for now";
        causes.push(Cause::forbidden("stream", why));
    }
    if !causes.is_empty() {
        let told: Vec<String> = causes.iter().map(ToString::to_string).collect();
        let told = match &told[..] {
            [one] => one.clone(),
            all => format!("[{}]", all.join(", ")),
        };
        let message = format!("PodLogOptions \"{pod}\" is invalid: {told}");
        let failure = Failure::new(Reason::Invalid, message);
        let mut failure = failure.about("", "PodLogOptions", pod);
        failure.about.causes = causes;
        return Err(failure);
    }
    Ok(Options {
        wanted: Wanted {
            follow: query.flag("follow"),
            tail: tail.and_then(|tail| usize::try_from(tail).ok()),
            since_ns: begin(seconds, since)?,
            stdout: from != "Stderr",
            stderr: from != "Stdout",
        },
        previous: query.flag("previous"),
        timestamps: query.flag("timestamps"),
        limit_bytes: limit.and_then(|limit| u64::try_from(limit).ok()),
    })
}

/// When it begins, in unix nanoseconds.
fn begin(seconds: Option<i64>, since: &str) -> Result<Option<i64>, Failure> {
    if let Some(seconds) = seconds {
        let now = i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX);
        return Ok(Some(now.saturating_sub(seconds.saturating_mul(SECOND_NS))));
    }
    if since.is_empty() {
        return Ok(None);
    }
    let at: Timestamp = since.parse().map_err(|_| {
        Failure::bad_request(format!("sinceTime: {since:?} is no time of RFC 3339"))
    })?;
    Ok(i64::try_from(at.as_nanosecond()).ok())
}

/// A log on its way.
struct Flow {
    log: Log,
    timestamps: bool,
    /// Bytes that may still go.
    left: u64,
    /// What comes next begins a line.
    is_new: bool,
}

fn pieces(log: Log, options: &Options) -> impl futures_util::Stream<Item = Bytes> + Send + use<> {
    let flow = Flow {
        log,
        timestamps: options.timestamps,
        left: options.limit_bytes.unwrap_or(u64::MAX),
        is_new: true,
    };
    stream::unfold(flow, |mut flow| async move {
        if flow.left == 0 {
            return None;
        }
        let line = match flow.log.recv().await? {
            Ok(line) => line,
            Err(failure) => {
                tracing::warn!(%failure, "a log broke off");
                return None;
            }
        };
        let piece = flow.piece(line);
        Some((piece, flow))
    })
}

impl Flow {
    fn piece(&mut self, line: Line) -> Bytes {
        let mut piece = line.bytes;
        let is_new = std::mem::replace(&mut self.is_new, piece.ends_with(b"\n"));
        if self.timestamps
            && is_new
            && let Ok(at) = Timestamp::from_nanosecond(line.time_ns.into())
        {
            let mut stamped = BytesMut::from(format!("{at:.9} ").as_bytes());
            stamped.extend_from_slice(&piece);
            piece = stamped.freeze();
        }
        let length = usize::try_from(self.left).unwrap_or(usize::MAX);
        piece.truncate(length);
        self.left -= piece.len() as u64;
        piece
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query::of(&format!("/?{text}").parse().unwrap())
    }

    #[test]
    fn options_that_cannot_be_meant_are_named() {
        for (text, message) in [
            (
                "tailLines=-1",
                "PodLogOptions \"p\" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                "limitBytes=0",
                "PodLogOptions \"p\" is invalid: limitBytes: Invalid value: 0: must be greater than 0",
            ),
            ("tailLines=x", "tailLines: \"x\" is no whole number"),
            ("sinceTime=now", "sinceTime: \"now\" is no time of RFC 3339"),
            (
                "sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z",
                "PodLogOptions \"p\" is invalid: sinceSeconds: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified",
            ),
        ] {
            assert_eq!(options(&query(text), "p").unwrap_err().message, message);
        }
        let found = options(
            &query("sinceTime=1970-01-01T00:00:01Z&tailLines=3&follow=true"),
            "p",
        );
        let found = found.unwrap().wanted;
        assert_eq!(
            (found.since_ns, found.tail, found.follow),
            (Some(SECOND_NS), Some(3), true)
        );
    }

    #[tokio::test]
    async fn times_stand_at_the_beginning_of_lines_and_the_limit_cuts() {
        let (lines, log) = tokio::sync::mpsc::channel(8);
        for text in ["one\n", "half", " two\n", "three\n"] {
            let bytes = Bytes::from_static(text.as_bytes());
            lines.send(Ok(Line { time_ns: 1, bytes })).await.unwrap();
        }
        drop(lines);
        let options = options(&query("timestamps=true&limitBytes=75"), "p").unwrap();
        let found: Vec<Bytes> = pieces(log, &options).collect().await;
        let at = "1970-01-01T00:00:00.000000001Z";
        let whole = format!("{at} one\n{at} half two\n");
        assert_eq!(found.concat(), whole.as_bytes()[..75.min(whole.len())]);
    }
}

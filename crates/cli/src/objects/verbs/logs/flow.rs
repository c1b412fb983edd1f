//! Logs on their way to our standard output: one after the other, or line by line as they come.
//!
//! Never: breaks a line of one with a line of another, unless it is longer than [`LINE_BYTES_MAX`].

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use weft_client::Request;
use weft_client::cluster::ApiError;

use crate::error::CliError;
use crate::objects::connect::Api;
use crate::printer::write_error;
use crate::terminal::output::Output;
use crate::tree::Outcome;

/// Most bytes of a line that wait for its end.
const LINE_BYTES_MAX: usize = 1 << 20;

/// A log that is asked for.
pub(super) struct Flow {
    /// How.
    pub(super) request: Request,
    /// What its lines begin with.
    pub(super) prefix: String,
}

/// All that are shown.
pub(super) struct Flows<'a> {
    pub(super) api: &'a Api,
    pub(super) all: Vec<Flow>,
    /// What fails is said, and ends nothing else.
    pub(super) ignores_errors: bool,
}

impl Flows<'_> {
    /// Each to its end.
    pub(super) async fn one_by_one(&self) -> Outcome {
        for flow in &self.all {
            self.judge(flow.show(self.api, !flow.prefix.is_empty()).await)?;
        }
        Ok(0)
    }

    /// All at once; there are no more than `--max-log-requests`.
    pub(super) async fn together(&self) -> Outcome {
        let flows = self.all.iter().map(|flow| flow.show(self.api, true));
        let mut flows: FuturesUnordered<_> = flows.collect();
        while let Some(ended) = flows.next().await {
            self.judge(ended)?;
        }
        Ok(0)
    }

    fn judge(&self, ended: Result<(), Stop>) -> Result<(), CliError> {
        match ended {
            Err(Stop::Log(error)) if self.ignores_errors => {
                self.api.printer.error(&error.into());
                Ok(())
            }
            // The next one is to be printed, too.
            Err(Stop::Log(ApiError::NotSent)) | Ok(()) => Ok(()),
            Err(Stop::Log(error)) => Err(error.into()),
            Err(Stop::Ours(error)) => Err(error),
        }
    }
}

/// Why a log is not shown to its end.
enum Stop {
    /// It is its own fault.
    Log(ApiError),
    /// Nothing can be shown.
    Ours(CliError),
}

impl Flow {
    async fn show(&self, api: &Api, by_line: bool) -> Result<(), Stop> {
        let mut bytes = api.cluster.bytes(&self.request).await.map_err(Stop::Log)?;
        let mut lines = Lines {
            prefix: self.prefix.as_bytes(),
            pending: Vec::new(),
            is_begun: false,
        };
        loop {
            let piece = bytes.next().await;
            let piece = piece.map_err(|error| Stop::Log(ApiError::Stream(error)))?;
            let Some(piece) = piece else { break };
            if by_line {
                put(&lines.take(&piece)).await?;
            } else {
                put(&piece).await?;
            }
        }
        put(&lines.rest()).await
    }
}

async fn put(bytes: &[u8]) -> Result<(), Stop> {
    let written = Output::Stdout.write_all(bytes).await;
    written.map_err(|error| Stop::Ours(write_error(&error)))
}

/// Bytes into whole lines, each with what it is to begin with.
struct Lines<'a> {
    prefix: &'a [u8],
    pending: Vec<u8>,
    /// A part of the line is out already.
    is_begun: bool,
}

impl Lines<'_> {
    /// The lines that are whole now.
    fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut whole = Vec::with_capacity(bytes.len() + self.pending.len());
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.pending.extend_from_slice(piece);
            let is_whole = piece.ends_with(b"\n");
            if is_whole || self.pending.len() > LINE_BYTES_MAX {
                self.give(&mut whole, !is_whole);
            }
        }
        whole
    }

    /// What had no end of its own.
    fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        if !self.pending.is_empty() {
            self.give(&mut rest, false);
        }
        rest
    }

    fn give(&mut self, out: &mut Vec<u8>, goes_on: bool) {
        if !self.is_begun {
            out.extend_from_slice(self.prefix);
        }
        out.append(&mut self.pending);
        self.is_begun = goes_on;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_whole() {
        let mut lines = Lines {
            prefix: b"[p] ",
            pending: Vec::new(),
            is_begun: false,
        };
        assert_eq!(lines.take(b"one\ntw"), b"[p] one\n");
        assert_eq!(lines.take(b"o\n\nend"), b"[p] two\n[p] \n");
        assert_eq!(lines.rest(), b"[p] end");
        let long = vec![b'x'; LINE_BYTES_MAX + 1];
        assert_eq!(lines.take(&long).len(), long.len() + 4);
        assert_eq!(lines.take(b"y\nz\n"), b"y\n[p] z\n");
    }
}

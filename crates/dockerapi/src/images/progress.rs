//! A pull's progress in Docker's words.
//!
//! Pure: told what the store says, it answers with the lines to send.

use std::collections::HashMap;

use weft_api::docker::{JsonMessage, ProgressDetail};
use weft_image::{Digest, LayerState, Progress};

/// Bytes between two lines about one layer: a fast download does not flood its client.
const STEP: u64 = 512 << 10;

/// What was said about each layer so far.
#[derive(Debug, Default)]
pub struct Lines {
    layers: HashMap<Digest, Told>,
    digest: Option<Digest>,
}

#[derive(Debug, Default)]
struct Told {
    size: u64,
    said: Option<(&'static str, u64)>,
}

impl Lines {
    /// The digest the name turned out to have.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The lines a step of progress is worth.
    pub fn step(&mut self, progress: Progress) -> Vec<JsonMessage> {
        match progress {
            Progress::Resolved { digest, layers } => {
                self.digest = Some(digest);
                let lines = layers
                    .iter()
                    .map(|(blob, _)| line(blob, "Pulling fs layer", None));
                let lines = lines.collect();
                self.layers.extend(
                    layers
                        .into_iter()
                        .map(|(blob, size)| (blob, Told { size, said: None })),
                );
                lines
            }
            Progress::Layer { blob, state } => self.layer(&blob, state).into_iter().collect(),
        }
    }

    fn layer(&mut self, blob: &Digest, state: LayerState) -> Option<JsonMessage> {
        let told = self.layers.entry(blob.clone()).or_default();
        let (status, done, detail) = match state {
            LayerState::Waiting => ("Waiting", 0, None),
            LayerState::Downloading { done, total } => {
                told.size = total;
                ("Downloading", done, Some((done, total)))
            }
            LayerState::Extracting => ("Extracting", told.size, Some((told.size, told.size))),
            LayerState::Done => ("Pull complete", told.size, None),
            LayerState::Exists => ("Already exists", told.size, None),
        };
        if told
            .said
            .is_some_and(|(last, at)| last == status && done < at + STEP)
        {
            return None;
        }
        told.said = Some((status, done));
        Some(line(blob, status, detail))
    }
}

fn line(blob: &Digest, status: &str, detail: Option<(u64, u64)>) -> JsonMessage {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let (current, total) = detail.unwrap_or_default();
    JsonMessage {
        id: blob
            .to_string()
            .split(':')
            .nth(1)
            .unwrap_or_default()
            .chars()
            .take(12)
            .collect(),
        status: status.into(),
        progress_detail: Some(ProgressDetail {
            current: number(current),
            total: number(total),
        }),
        ..JsonMessage::default()
    }
}

/// A line that is about the whole.
pub fn status(text: impl Into<String>) -> JsonMessage {
    JsonMessage {
        status: text.into(),
        ..JsonMessage::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_download_does_not_flood() {
        let blob = Digest::of(b"x");
        let mut lines = Lines::default();
        let resolved = Progress::Resolved {
            digest: Digest::of(b"m"),
            layers: vec![(blob.clone(), 10 << 20)],
        };
        assert_eq!(lines.step(resolved).len(), 1);
        let mut said = 0;
        for done in (0..=10_u64 << 20).step_by(4096) {
            let state = LayerState::Downloading {
                done,
                total: 10 << 20,
            };
            said += lines
                .step(Progress::Layer {
                    blob: blob.clone(),
                    state,
                })
                .len();
        }
        assert_eq!(said, 21);
        let done = lines.step(Progress::Layer {
            blob,
            state: LayerState::Done,
        });
        assert_eq!(done[0].status, "Pull complete");
        assert_eq!(done[0].id.len(), 12);
    }
}

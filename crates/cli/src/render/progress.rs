//! Progress of transfers: a bar per layer on a terminal, plain lines elsewhere.
//!
//! Owns what is drawn on stderr. What a transfer results in is returned, not printed.

use std::collections::HashMap;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use weft_api::docker::JsonMessage;
use weft_client::JsonLines;

use super::units;
use crate::error::CliError;
use crate::printer::Printer;

/// Bars drawn at most; further layers are counted in the summary line only.
const BARS_MAX: usize = 64;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Not at all.
    Nothing,
    /// As bars or lines, whatever suits stderr.
    Progress,
}

/// Follows a transfer to its end and answers with its last status. `told` gets the lines that are
/// results (load).
pub async fn follow(
    mut lines: JsonLines<JsonMessage>,
    printer: Printer,
    show: Show,
    mut told: impl FnMut(&str) -> Result<(), CliError>,
) -> Result<String, CliError> {
    let mut last = String::new();
    let mut view = View::new(printer, show);
    while let Some(message) = lines.next().await? {
        if let Some(error) = failure(&message) {
            view.finish();
            return Err(error);
        }
        if !message.stream.is_empty() {
            told(message.stream.trim_end_matches('\n'))?;
        } else {
            view.update(&message);
            last = message.status;
        }
    }
    view.finish();
    Ok(last)
}

fn failure(message: &JsonMessage) -> Option<CliError> {
    let text = match &message.error_detail {
        Some(detail) if !detail.message.is_empty() => &detail.message,
        _ if !message.error.is_empty() => &message.error,
        _ => return None,
    };
    let status = message
        .error_detail
        .as_ref()
        .and_then(|detail| u16::try_from(detail.code).ok())
        .unwrap_or(500);
    Some(CliError::from(weft_client::ClientError::Refused {
        what: String::new(),
        status,
        message: text.clone(),
    }))
}

enum View {
    Nothing,
    Lines {
        printer: Printer,
        last: HashMap<String, String>,
    },
    Bars {
        all: MultiProgress,
        bars: HashMap<String, ProgressBar>,
    },
}

impl View {
    fn new(printer: Printer, show: Show) -> View {
        match show {
            Show::Nothing => View::Nothing,
            Show::Progress if printer.err_is_terminal() => View::Bars {
                all: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(15)),
                bars: HashMap::new(),
            },
            Show::Progress => View::Lines {
                printer,
                last: HashMap::new(),
            },
        }
    }

    fn update(&mut self, message: &JsonMessage) {
        match self {
            View::Nothing => {}
            View::Lines { printer, last } => {
                // Only what is new: a transfer reports itself many times a second.
                if !message.id.is_empty()
                    && last
                        .insert(message.id.clone(), message.status.clone())
                        .as_ref()
                        == Some(&message.status)
                {
                    return;
                }
                printer.talk(&line(message));
            }
            View::Bars { all, bars } => {
                if message.id.is_empty() || is_heading(message) {
                    let _ = all.println(line(message));
                    return;
                }
                if bars.len() >= BARS_MAX && !bars.contains_key(&message.id) {
                    return;
                }
                let bar = bars
                    .entry(message.id.clone())
                    .or_insert_with(|| all.add(new_bar(&message.id)));
                draw(bar, message);
            }
        }
    }

    fn finish(&mut self) {
        if let View::Bars { bars, .. } = self {
            for bar in bars.values() {
                bar.abandon();
            }
        }
    }
}

/// `Pulling from library/busybox` has the tag for an id, and is no layer.
fn is_heading(message: &JsonMessage) -> bool {
    message.status.starts_with("Pulling from")
}

fn line(message: &JsonMessage) -> String {
    if message.id.is_empty() {
        message.status.clone()
    } else {
        format!("{}: {}", message.id, message.status)
    }
}

fn new_bar(id: &str) -> ProgressBar {
    let bar = ProgressBar::no_length();
    bar.set_style(
        ProgressStyle::with_template("{prefix}: {wide_msg}").expect("the template is a constant"),
    );
    bar.set_prefix(id.to_owned());
    bar
}

fn draw(bar: &ProgressBar, message: &JsonMessage) {
    let detail = message.progress_detail.clone().unwrap_or_default();
    let (current, total) = (
        u64::try_from(detail.current).unwrap_or_default(),
        u64::try_from(detail.total).unwrap_or_default(),
    );
    if current == 0 {
        bar.set_message(message.status.clone());
        return;
    }
    let done = units::size(current);
    const CELLS: u64 = 30;
    let text = match (current.min(total) * CELLS).checked_div(total) {
        Some(filled) => {
            let cells = |count| usize::try_from(count).unwrap_or_default();
            format!(
                "{:<12} [{}{}] {done}/{}",
                message.status,
                "=".repeat(cells(filled)),
                " ".repeat(cells(CELLS - filled)),
                units::size(total)
            )
        }
        None => format!("{:<12} {done}", message.status),
    };
    bar.set_message(text);
}

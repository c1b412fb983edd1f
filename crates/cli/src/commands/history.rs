//! `weft history`

use crate::render::listing::{Column, ListFlags, hidden, print, shown};
use crate::render::units;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// Longest instruction shown, in characters.
const CREATED_BY_CHARS: usize = 45;

/// The command.
pub const VERB: Entry = verb!("history", Args, "Show how an image was made");

/// Flags of `history`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show sizes and dates for people
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true",
        action = clap::ArgAction::Set
    )]
    human: bool,
    #[command(flatten)]
    list: ListFlags,
    /// Image to look at
    image: String,
}

const COLUMNS: &[Column] = &[
    shown("ID", "IMAGE"),
    shown("CreatedSince", "CREATED"),
    shown("CreatedBy", "CREATED BY"),
    shown("Size", "SIZE"),
    shown("Comment", "COMMENT"),
    hidden("CreatedAt", "CREATED AT"),
];

impl Args {
    /// Shows how the image was made.
    pub async fn run(self, session: &Session) -> Outcome {
        let engine = session.engine().await?;
        let history = engine.image_history(&self.image).await?;
        if self.list.output.is_some() {
            session.printer.json(&history)?;
            return Ok(0);
        }
        let now = units::now_seconds();
        let full = self.list.no_trunc;
        let rows: Vec<Vec<String>> = history
            .iter()
            .map(|step| {
                let size = u64::try_from(step.size).unwrap_or_default();
                let by = step.created_by.replace('\t', " ");
                let date = if self.human && self.list.format.is_none() {
                    String::new()
                } else {
                    units::local(step.created)
                };
                vec![
                    if full {
                        step.id.clone()
                    } else {
                        units::short_id(&step.id).to_owned()
                    },
                    if self.human {
                        units::ago(step.created, now)
                    } else {
                        date.clone()
                    },
                    if full {
                        by
                    } else {
                        units::ellipsis(&by, CREATED_BY_CHARS)
                    },
                    if self.human {
                        units::size_short(size)
                    } else {
                        size.to_string()
                    },
                    step.comment.clone(),
                    date,
                ]
            })
            .collect();
        print(session, &self.list, COLUMNS, "ID", &rows)?;
        Ok(0)
    }
}

//! `weft top`

use crate::render::table;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!(
    "top",
    Args,
    "Show the processes of a container, or what pods and nodes use: weft top pods"
);

/// Flags of `top`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "weft top CONTAINER [PS-OPTION]...")]
pub struct Args {
    /// Container to look at, and options as for ps(1)
    #[arg(value_name = "CONTAINER", required = true, trailing_var_arg = true)]
    container_and_options: Vec<String>,
}

impl Args {
    /// Shows the processes.
    pub async fn run(self, session: &Session) -> Outcome {
        let (container, options) = self
            .container_and_options
            .split_first()
            .expect("clap demands a container");
        let engine = session.engine().await?;
        let options = (!options.is_empty()).then(|| options.join(" "));
        let top = engine.top_container(container, options.as_deref()).await?;
        let heading: Vec<&str> = top.titles.iter().map(String::as_str).collect();
        let mut rows = top.processes;
        for row in &mut rows {
            row.resize(heading.len(), String::new());
        }
        let width = session.printer.width();
        session
            .printer
            .data(&table::layout(&heading, &rows, width))?;
        Ok(0)
    }
}

//! `weft top`

use crate::render::table;
use crate::session::Session;
use crate::tree::Outcome;

/// Flags of `top`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Container to look at
    container: String,
    /// Options as for ps(1)
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "PS-OPTIONS"
    )]
    options: Vec<String>,
}

impl Args {
    /// Shows the processes.
    pub async fn run(self, session: &Session) -> Outcome {
        let engine = session.engine().await?;
        let options = (!self.options.is_empty()).then(|| self.options.join(" "));
        let top = engine
            .top_container(&self.container, options.as_deref())
            .await?;
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

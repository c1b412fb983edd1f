//! Go's templates on the command line: docker's `--format`, kubectl's `-o go-template`.

use serde_json::Value;

pub use weft_template::Dialect;

use crate::error::CliError;

/// A parsed template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template(weft_template::Template);

/// Parses a template of docker's.
pub fn parse(source: &str) -> Result<Template, CliError> {
    Template::parse(source, Dialect::Docker)
}

impl Template {
    /// Parses a template.
    pub fn parse(source: &str, dialect: Dialect) -> Result<Template, CliError> {
        let parsed = weft_template::Template::parse(source, dialect);
        parsed
            .map(Template)
            .map_err(|error| CliError::usage(error.to_string()))
    }

    /// Applies the template to `value`.
    pub fn render(&self, value: &Value) -> Result<String, CliError> {
        let rendered = self.0.render(value);
        rendered.map_err(|error| CliError::new(error.to_string()))
    }
}

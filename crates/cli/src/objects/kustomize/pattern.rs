//! Which objects are meant: each field is a regular expression for the whole text.

use regex::Regex;

use super::id::Id;
use super::wire::Selector;
use crate::error::CliError;

/// One that was read.
pub struct Pattern {
    group: Option<Regex>,
    version: Option<Regex>,
    kind: Option<Regex>,
    name: Option<Regex>,
    namespace: Option<Regex>,
}

impl Pattern {
    /// Reads what `place` says.
    pub fn of(selector: &Selector, place: &str) -> Result<Pattern, CliError> {
        let one = |text: &str| {
            let whole = match text {
                "" => return Ok(None),
                text => format!("^(?:{text})$"),
            };
            let made = Regex::new(&whole).map(Some);
            made.map_err(|error| CliError::because(format!("read {place}: target"), &error))
        };
        Ok(Pattern {
            group: one(&selector.group)?,
            version: one(&selector.version)?,
            kind: one(&selector.kind)?,
            name: one(&selector.name)?,
            namespace: one(&selector.namespace)?,
        })
    }

    /// Whether an object that is called `id` is meant.
    pub fn fits(&self, id: &Id) -> bool {
        let fits = |pattern: &Option<Regex>, text: &str| {
            pattern
                .as_ref()
                .is_none_or(|pattern| pattern.is_match(text))
        };
        fits(&self.group, &id.group)
            && fits(&self.version, &id.version)
            && fits(&self.kind, &id.kind)
            && fits(&self.name, &id.name)
            && fits(&self.namespace, id.space())
    }
}

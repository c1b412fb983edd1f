//! What stands behind the question mark.

use weft_control::Failure;

/// The parameters, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn of(uri: &http::Uri) -> Query {
        let text = uri.query().unwrap_or_default();
        Query(
            form_urlencoded::parse(text.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    /// A parameter; empty where it is absent.
    pub(crate) fn text(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }

    /// All values of a parameter.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let found = self.0.iter().filter(move |(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A switch: absent and `false` are off, empty is on.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Failure> {
        match self.0.iter().find(|(key, _)| key == name) {
            None => Ok(false),
            Some((_, value)) => match value.as_str() {
                "" | "true" | "1" => Ok(true),
                "false" | "0" => Ok(false),
                other => Err(Failure::bad_request(format!(
                    "{name}: {other:?} is neither true nor false"
                ))),
            },
        }
    }

    /// A number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Failure> {
        match self.text(name) {
            "" => Ok(None),
            text => text
                .parse()
                .map(Some)
                .map_err(|_| Failure::bad_request(format!("{name}: {text:?} is no whole number"))),
        }
    }

    /// Whether nothing is to be changed.
    pub(crate) fn is_dry_run(&self) -> Result<bool, Failure> {
        let mut found = false;
        for value in self.all("dryRun") {
            if value != "All" {
                return Err(Failure::bad_request(format!(
                    "dryRun: {value:?} is not supported: All is"
                )));
            }
            found = true;
        }
        Ok(found)
    }
}

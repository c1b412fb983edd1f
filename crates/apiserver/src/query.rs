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

    /// The names of all parameters.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Whether it is said at all.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    /// A switch, as upstream reads it: absent, `false` and `0` are off, all else is on.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.said(name).unwrap_or(false)
    }

    /// A switch that may be left alone.
    pub(crate) fn said(&self, name: &str) -> Option<bool> {
        let (_, value) = self.0.iter().find(|(key, _)| key == name)?;
        Some(!(value == "0" || value.eq_ignore_ascii_case("false")))
    }

    /// A number.
    ///
    /// # Errors
    /// It is none: 400.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, Failure> {
        let Some((_, text)) = self.0.iter().find(|(key, _)| key == name) else {
            return Ok(None);
        };
        let number = text.parse().map(Some);
        number.map_err(|_| Failure::bad_request(format!("{name}: {text:?} is no whole number")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_and_numbers_are_read_as_upstream_does() {
        let query = Query::of(
            &"/?a&b=False&c=0&d=True&e=maybe&n=-3&m=x&o="
                .parse()
                .unwrap(),
        );
        for (name, is) in [
            ("a", true),
            ("b", false),
            ("c", false),
            ("d", true),
            ("e", true),
        ] {
            assert_eq!(
                (query.flag(name), query.said(name)),
                (is, Some(is)),
                "{name}"
            );
        }
        assert_eq!((query.flag("z"), query.said("z")), (false, None));
        assert_eq!(query.number("n").unwrap(), Some(-3));
        assert_eq!(query.number("z").unwrap(), None);
        for name in ["m", "o"] {
            assert!(query.number(name).is_err(), "{name}");
        }
    }
}

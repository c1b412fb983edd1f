//! Query strings: decoded once, then asked for typed values.
//!
//! A value that is not of its type is an error that names the parameter; unknown parameters
//! are left alone, as Docker leaves them (clients send empty ones for what they don't use).

use crate::error::ApiError;

/// The decoded pairs of a query string, in order. Bounded by the size of the request head.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes `a=b&c=d%20e`.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        let mut pairs = Vec::new();
        for part in text.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            pairs.push((decode(name, true)?, decode(value, true)?));
        }
        Ok(Self(pairs))
    }

    /// The first value of that name, when it is there and not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(n, v)| n == name && !v.is_empty())
            .map(|(_, v)| v.as_str())
    }

    /// Every value of that name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(n, v)| n == name && !v.is_empty())
            .map(|(_, v)| v.as_str())
    }

    /// A value that must be there.
    pub fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.text(name)
            .ok_or_else(|| ApiError::invalid(format!("query parameter '{name}' is required")))
    }

    /// A boolean; absent means `default`.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, ApiError> {
        match self.text(name) {
            None => Ok(default),
            Some("1" | "true" | "True" | "TRUE" | "t" | "yes") => Ok(true),
            Some("0" | "false" | "False" | "FALSE" | "f" | "no" | "none") => Ok(false),
            Some(other) => Err(bad(name, other, "a boolean")),
        }
    }

    /// A number; absent means `None`.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, ApiError> {
        self.text(name)
            .map(|text| {
                text.parse()
                    .map_err(|_| bad(name, text, "a number in range"))
            })
            .transpose()
    }

    /// Refuses parameters that change the meaning of a request and are not honoured.
    pub fn refuse(&self, names: &[&str]) -> Result<(), ApiError> {
        let found: Vec<&str> = names
            .iter()
            .copied()
            .filter(|name| self.text(name).is_some())
            .collect();
        match found.as_slice() {
            [] => Ok(()),
            some => Err(ApiError::invalid(format!(
                "not supported here: query parameter {}",
                some.join(", ")
            ))),
        }
    }
}

fn bad(name: &str, value: &str, wanted: &str) -> ApiError {
    let shown: String = value.chars().take(64).collect();
    ApiError::invalid(format!(
        "query parameter '{name}': '{shown}' is not {wanted}"
    ))
}

/// Undoes percent-encoding; in queries a plus is a space.
pub fn decode(text: &str, plus: bool) -> Result<String, ApiError> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' if plus => out.push(b' '),
            b'%' => {
                let mut digit = || bytes.next().and_then(|b| (b as char).to_digit(16));
                let (high, low) = (digit(), digit());
                let (Some(high), Some(low)) = (high, low) else {
                    return Err(ApiError::invalid("broken percent-encoding in the address"));
                };
                out.push((high * 16 + low) as u8);
            }
            other => out.push(other),
        }
    }
    match String::from_utf8(out) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(ApiError::invalid("the address is not UTF-8 text")),
    }
}

#[cfg(test)]
mod tests {
    use super::Query;

    #[test]
    fn typed_values() {
        let query = Query::parse("a=1&b=maybe&c=&d=x%20y+z&n=-3&n2=99999999999999999999").unwrap();
        assert!(query.flag("a", false).unwrap());
        assert!(query.flag("c", true).unwrap());
        assert_eq!(
            query.flag("b", false).unwrap_err().to_string(),
            "query parameter 'b': 'maybe' is not a boolean"
        );
        assert_eq!(query.text("d"), Some("x y z"));
        assert_eq!(query.number::<i64>("n").unwrap(), Some(-3));
        assert!(query.number::<u16>("n").is_err());
        assert!(query.number::<i64>("n2").is_err());
        assert!(query.required("e").is_err());
    }

    #[test]
    fn broken_encodings_are_errors() {
        for text in ["a=%", "a=%4", "a=%zz", "a=%ff", "a=%00"] {
            assert!(Query::parse(text).is_err(), "{text}");
        }
    }
}

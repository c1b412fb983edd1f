//! Flags that take several values at once, as kubectl reads them.
//!
//! Grammar: a line of CSV (RFC 4180): `a,"b,c"` is `a` and `b,c`; an empty text is no value at all.

use std::str::FromStr;

/// What one use of a flag gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values(Vec<String>);

/// What all uses of a flag give.
pub fn all(uses: &[Values]) -> Vec<String> {
    uses.iter().flat_map(|one| one.0.clone()).collect()
}

impl FromStr for Values {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Values, &'static str> {
        let mut values = Vec::new();
        let mut rest = Some(text).filter(|text| !text.is_empty());
        while let Some(text) = rest {
            let (value, after) = match text.strip_prefix('"') {
                Some(text) => quoted(text)?,
                None => bare(text)?,
            };
            values.push(value);
            rest = after;
        }
        Ok(Values(values))
    }
}

/// A value, and what follows its comma.
type Value<'a> = (String, Option<&'a str>);

fn bare(text: &str) -> Result<Value<'_>, &'static str> {
    let (value, after) = match text.split_once(',') {
        Some((value, after)) => (value, Some(after)),
        None => (text, None),
    };
    match value.contains('"') {
        true => Err("a quote is within a value: quote all of it, and write \"\" for the one"),
        false => Ok((value.to_owned(), after)),
    }
}

fn quoted(text: &str) -> Result<Value<'_>, &'static str> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"').ok_or("a quote does not end")?;
        value.push_str(before);
        if after.is_empty() {
            return Ok((value, None));
        }
        if let Some(after) = after.strip_prefix(',') {
            return Ok((value, Some(after)));
        }
        rest = after
            .strip_prefix('"')
            .ok_or("something stands between a quote and a comma")?;
        value.push('"');
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_a_line_of_csv() {
        for (text, values) in [
            ("", &[][..]),
            ("a", &["a"]),
            ("a,b", &["a", "b"]),
            ("a,", &["a", ""]),
            (",", &["", ""]),
            ("a=b=c", &["a=b=c"]),
            (r#""a,b",c"#, &["a,b", "c"]),
            (r#""a""b""#, &["a\"b"]),
            (r#""","a""#, &["", "a"]),
        ] {
            assert_eq!(all(&[text.parse().unwrap()]), values, "{text}");
        }
        for wrong in [r#"""#, r#"a"b"#, r#""a"b"#, r#""a"",b"#, r#"a,"b"#] {
            assert!(wrong.parse::<Values>().is_err(), "{wrong}");
        }
        let uses = ["a,b", "", "c"].map(|text| text.parse().unwrap());
        assert_eq!(all(&uses), ["a", "b", "c"]);
    }
}

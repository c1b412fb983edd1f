//! Owns reading `WWW-Authenticate` (RFC 9110, 11.6.1): which scheme, with which parameters.
//! Never answers one.

use std::collections::BTreeMap;

/// Longest header that is looked at.
const HEADER_MAX: usize = 8 << 10;

/// What a registry wants before it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User and password with each request (RFC 7617).
    Basic,
    /// A token from `realm` (distribution spec, token authentication).
    Bearer {
        realm: String,
        service: Option<String>,
    },
}

/// The best challenge in a header: bearer before basic; `None` if there is neither.
pub(super) fn parse(header: &str) -> Option<Challenge> {
    if header.len() > HEADER_MAX {
        return None;
    }
    let mut best = None;
    for (scheme, mut parameters) in challenges(header) {
        match scheme.to_ascii_lowercase().as_str() {
            "bearer" => {
                if let Some(realm) = parameters.remove("realm") {
                    return Some(Challenge::Bearer {
                        realm,
                        service: parameters.remove("service"),
                    });
                }
            }
            "basic" => best = Some(Challenge::Basic),
            _ => {}
        }
    }
    best
}

type Parameters = BTreeMap<String, String>;

fn challenges(header: &str) -> Vec<(String, Parameters)> {
    let mut found: Vec<(String, Parameters)> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let word_end = rest.find(|c: char| !is_token(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(word_end);
        if word.is_empty() {
            return found;
        }
        let Some(value) = after.trim_start().strip_prefix('=') else {
            found.push((word.to_owned(), Parameters::new()));
            rest = after;
            continue;
        };
        let (value, after) = value_of(value.trim_start());
        if let Some((_, parameters)) = found.last_mut() {
            parameters.insert(word.to_ascii_lowercase(), value);
        }
        rest = after;
    }
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/".contains(c)
}

/// A quoted string or a token, and what follows it.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_headers() {
        let bearer = |realm: &str, service: Option<&str>| {
            Some(Challenge::Bearer {
                realm: realm.to_owned(),
                service: service.map(str::to_owned),
            })
        };
        assert_eq!(
            parse(
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull""#
            ),
            bearer("https://auth.docker.io/token", Some("registry.docker.io"))
        );
        assert_eq!(
            parse(r#"Basic realm="a, b", Bearer realm="https://x/""#),
            bearer("https://x/", None)
        );
        assert_eq!(
            parse("bearer realm=https://x/t , service = y"),
            bearer("https://x/t", Some("y"))
        );
        assert_eq!(parse(r#"Basic realm="Registry""#), Some(Challenge::Basic));
        assert_eq!(parse("Negotiate"), None);
        assert_eq!(parse("Bearer"), None);
        assert_eq!(parse(r#"Bearer realm="open"#), bearer("open", None));
        assert_eq!(parse(&"Basic ".repeat(10_000)), None);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(header in ".{0,200}") {
            let _ = parse(&header);
        }
    }
}

//! Path patterns: literals, `{name}` for one segment, `{name*}` for one or more.
//!
//! Image names hold slashes, so a `{name*}` may be followed by literals.

use super::query::decode;

/// Values of a pattern's names, in pattern order, percent-decoded.
pub type Params = Vec<(&'static str, String)>;

/// Matches `path` (without version prefix and query) against `pattern`.
pub fn matches(pattern: &'static str, path: &str) -> Option<Params> {
    let pattern: Vec<&'static str> = pattern.strip_prefix('/')?.split('/').collect();
    let path: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let mut params = Params::new();
    let mut at = 0;
    for (index, part) in pattern.iter().enumerate() {
        let Some(name) = part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) else {
            if path.get(at) != Some(part) {
                return None;
            }
            at += 1;
            continue;
        };
        let (name, take) = match name.strip_suffix('*') {
            Some(name) => (
                name,
                path.len().checked_sub(at + pattern.len() - index - 1)?,
            ),
            None => (name, 1),
        };
        let value = path.get(at..at + take)?.join("/");
        if value.is_empty() {
            return None;
        }
        params.push((name, decode(&value, false).ok()?));
        at += take;
    }
    (at == path.len()).then_some(params)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        let one = |pattern, path| {
            matches(pattern, path).map(|p| p.into_iter().map(|(_, v)| v).collect::<Vec<_>>())
        };
        assert_eq!(one("/info", "/info"), Some(vec![]));
        assert_eq!(one("/info", "/info/x"), None);
        assert_eq!(one("/c/{id}/json", "/c/ab/json"), Some(vec!["ab".into()]));
        assert_eq!(one("/c/{id}/json", "/c//json"), None);
        assert_eq!(
            one("/i/{n*}/json", "/i/a.b:5/c/d:e/json"),
            Some(vec!["a.b:5/c/d:e".into()])
        );
        assert_eq!(one("/i/{n*}/json", "/i/json"), None);
        assert_eq!(one("/i/{n*}", "/i/a%2Fb"), Some(vec!["a/b".into()]));
        assert_eq!(one("/i/{n*}", "/i/"), None);
        assert_eq!(one("/i/{n*}", "i"), None);
        assert_eq!(one("/i/{n*}", ""), None);
    }
}

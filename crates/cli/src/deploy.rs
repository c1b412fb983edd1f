//! What `weft deploy` takes, told apart by what it holds: Knit's JSON, manifests, a compose file.
//!
//! Pure. Never: sends anything, or reads a file by itself.

pub mod compose;

use serde_json::Value;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One object with `name` and `image`, for `POST /deployments`.
    Knit,
    /// Documents with `apiVersion` and `kind`.
    Manifests,
    /// `services:` at the top.
    Compose,
}

impl Format {
    /// What these documents are.
    ///
    /// # Errors
    /// None of the three: why.
    pub fn of(documents: &[Value]) -> Result<Format, String> {
        let mut found = None;
        for document in documents.iter().filter(|document| !document.is_null()) {
            let has = |key: &str| document.get(key).is_some();
            let format = if has("kind") || has("apiVersion") {
                Format::Manifests
            } else if has("services") || has("include") {
                Format::Compose
            } else if has("image") {
                Format::Knit
            } else {
                return Err(
                    "it is none of what can be deployed: manifests have apiVersion and kind, compose files \
                     services, Knit's JSON name and image"
                        .to_owned(),
                );
            };
            match found {
                None => found = Some(format),
                Some(Format::Manifests) if format == Format::Manifests => {}
                Some(_) => {
                    return Err(
                        "it has several documents: only manifests may stand in one file".to_owned(),
                    );
                }
            }
        }
        found.ok_or_else(|| "it is empty".to_owned())
    }
}

/// `text` as a deployment may be called: a DNS label; nothing, where nothing of it is left.
pub fn dns_label(text: &str) -> Option<String> {
    let mut name = String::new();
    for letter in text.chars() {
        match letter.to_ascii_lowercase() {
            letter @ ('a'..='z' | '0'..='9') => name.push(letter),
            '-' | '_' | '.' | ' ' if !name.is_empty() && !name.ends_with('-') => name.push('-'),
            _ => {}
        }
    }
    name.truncate(63);
    let name = name.trim_end_matches('-');
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_it_is_shows_in_it() {
        let pod = json!({ "apiVersion": "v1", "kind": "Pod" });
        let knit = json!({ "name": "a", "image": "i" });
        let compose = json!({ "services": {} });
        for (documents, format) in [
            (vec![knit.clone()], Ok(Format::Knit)),
            (
                vec![pod.clone(), Value::Null, pod.clone()],
                Ok(Format::Manifests),
            ),
            (vec![compose.clone()], Ok(Format::Compose)),
            (vec![compose, pod], Err(())),
            (vec![knit.clone(), knit], Err(())),
            (vec![json!({ "name": "a" })], Err(())),
            (vec![json!([])], Err(())),
            (vec![], Err(())),
        ] {
            let found = Format::of(&documents).map_err(drop);
            assert_eq!(found, format, "{documents:?}");
        }
    }

    #[test]
    fn names_are_made_of_names() {
        for (text, name) in [
            ("My App_2.x", Some("my-app-2-x")),
            ("_-a-", Some("a")),
            ("äß", None),
        ] {
            assert_eq!(dns_label(text).as_deref(), name, "{text}");
        }
    }
}

//! What is copied and where to: places as they are typed. Pure.

use std::path::Path;

use crate::error::CliError;

/// One side of a copy.
#[derive(Debug, PartialEq)]
pub(super) enum Place<'a> {
    Here(&'a Path),
    Pod(Remote<'a>),
}

/// A path in a pod.
#[derive(Debug, PartialEq)]
pub(super) struct Remote<'a> {
    /// Nothing: where everything is.
    pub(super) namespace: Option<&'a str>,
    pub(super) pod: &'a str,
    pub(super) path: String,
}

impl<'a> Place<'a> {
    /// `pod/NAME:PATH`, `NAMESPACE/POD:PATH`, `POD:PATH`; what begins with `/` or `.` is here, colons
    /// or not.
    pub(super) fn parse(text: &'a str) -> Result<Place<'a>, CliError> {
        let here = || Ok(Place::Here(Path::new(text)));
        if text.is_empty() {
            return Err(CliError::usage("filepath can not be empty"));
        }
        if text.starts_with(['/', '.']) {
            return here();
        }
        let Some((name, path)) = text.split_once(':') else {
            return here();
        };
        let wrong = |why: &str| Err(CliError::usage(format!("{text}: {why}")));
        if path.is_empty() {
            return wrong("filepath can not be empty");
        }
        let (namespace, pod) = match name.split_once('/') {
            None => (None, name),
            Some(("pod" | "pods" | "po", pod)) => (None, pod),
            Some((namespace, pod)) => (Some(namespace), pod),
        };
        if pod.is_empty() || pod.contains('/') || namespace == Some("") {
            return wrong("a place in a pod is pod/NAME:PATH, NAMESPACE/POD:PATH or POD:PATH");
        }
        Ok(Place::Pod(Remote {
            namespace,
            pod,
            path: path.to_owned(),
        }))
    }
}

/// A path in a container: the directory it is in, and what it is called there.
#[derive(Debug, PartialEq)]
pub(super) struct Split {
    pub(super) directory: String,
    /// `.`: the directory itself.
    pub(super) name: String,
}

/// Parts `path` before its last step. What begins with a hyphen is never an option.
pub(super) fn split(path: &str) -> Split {
    let trimmed = path.trim_end_matches('/');
    let (directory, name) = match trimmed.rsplit_once('/') {
        _ if trimmed.is_empty() => ("/", "."),
        None => (".", trimmed),
        Some(("", name)) => ("/", name),
        Some((directory, name)) => (directory, name),
    };
    // What these are called, only the container knows.
    let (directory, name) = match name {
        "." if trimmed.is_empty() => ("/", "."),
        "." | ".." => (trimmed, "."),
        name => (directory, name),
    };
    let plain = |text: &str| match text.starts_with('-') {
        true => format!("./{text}"),
        false => text.to_owned(),
    };
    Split {
        directory: plain(directory),
        name: plain(name),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_apart() {
        let pod = |namespace, pod, path: &str| {
            Ok(Place::Pod(Remote {
                namespace,
                pod,
                path: path.to_owned(),
            }))
        };
        for (text, expected) in [
            ("web:/x", pod(None, "web", "/x")),
            ("pod/web:x", pod(None, "web", "x")),
            ("shop/web:/x:y", pod(Some("shop"), "web", "/x:y")),
            ("./web:/x", Ok(Place::Here(Path::new("./web:/x")))),
            ("/web:/x", Ok(Place::Here(Path::new("/web:/x")))),
            ("web", Ok(Place::Here(Path::new("web")))),
            ("", Err("filepath can not be empty")),
            ("web:", Err("web:: filepath can not be empty")),
            (
                "a/b/c:/x",
                Err("a/b/c:/x: a place in a pod is pod/NAME:PATH, NAMESPACE/POD:PATH or POD:PATH"),
            ),
        ] {
            let found = Place::parse(text).map_err(|error| error.message().to_owned());
            assert_eq!(found, expected.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn a_path_is_parted_before_its_last_step() {
        for (path, directory, name) in [
            ("/a/b/c", "/a/b", "c"),
            ("/a/", "/", "a"),
            ("/", "/", "."),
            ("a", ".", "a"),
            ("a/b", "a", "b"),
            ("/a/.", "/a/.", "."),
            ("..", "..", "."),
            (".", ".", "."),
            ("-a/-b", "./-a", "./-b"),
        ] {
            let expected = Split {
                directory: directory.to_owned(),
                name: name.to_owned(),
            };
            assert_eq!(split(path), expected, "{path}");
        }
    }
}

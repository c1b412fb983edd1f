//! Owns image references: Docker's grammar, its defaults and its wording of errors
//! (github.com/distribution/reference). Never resolves a reference and never does I/O.

use crate::digest::{Digest, DigestError};

/// The registry that familiar names belong to.
pub const DEFAULT_DOMAIN: &str = "docker.io";
const DEFAULT_TAG: &str = "latest";
/// Longest repository name, in bytes (`NameTotalLengthMax`).
const NAME_MAX: usize = 255;
/// Longest reference that is looked at at all: name, tag and sha512 digest with room to spare.
const TEXT_MAX: usize = 1024;

/// A parsed reference: always has a domain and a path, and a tag or a digest or both.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a string is not a reference, in Docker's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Does not match the grammar.
    #[error("invalid reference format")]
    Format,
    /// Upper case in the repository path.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    Lowercase(String),
    /// A name that could be taken for an image id.
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    LooksLikeId(String),
    /// Longer than [`NAME_MAX`].
    #[error("repository name must not be more than {NAME_MAX} characters")]
    NameTooLong,
    /// The part behind `@` is not a digest.
    #[error("invalid reference format: {0}")]
    Digest(DigestError),
}

impl Reference {
    /// Parses a reference as `docker pull` does: `busybox` is `docker.io/library/busybox:latest`.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() || text.len() > TEXT_MAX || !text.is_ascii() {
            return Err(ReferenceError::Format);
        }
        if is_id(text) {
            return Err(ReferenceError::LooksLikeId(text.to_owned()));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (
                rest,
                Some(Digest::parse(digest).map_err(ReferenceError::Digest)?),
            ),
            None => (text, None),
        };
        let (domain, rest) = split_domain(rest);
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        if path.bytes().any(|c| c.is_ascii_uppercase()) {
            return Err(ReferenceError::Lowercase(path.to_owned()));
        }
        if !is_domain(&domain) || !is_path(path) || !tag.is_none_or(is_tag) {
            return Err(ReferenceError::Format);
        }
        let official = domain == DEFAULT_DOMAIN && !path.contains('/');
        let path = if official {
            format!("library/{path}")
        } else {
            path.to_owned()
        };
        if domain.len() + 1 + path.len() > NAME_MAX {
            return Err(ReferenceError::NameTooLong);
        }
        let tag = match (tag, &digest) {
            (Some(tag), _) => Some(tag.to_owned()),
            (None, None) => Some(DEFAULT_TAG.to_owned()),
            (None, Some(_)) => None,
        };
        Ok(Self {
            domain,
            path,
            tag,
            digest,
        })
    }

    /// The registry's host, with port if it has one; `docker.io` for familiar names.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository below the registry, such as `library/busybox`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag; `latest` when neither tag nor digest was given.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest behind `@`.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// `docker.io/library/busybox`: domain and path.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// `busybox`: the repository as docker shows it.
    pub fn familiar_repository(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.repository();
        }
        self.path
            .strip_prefix("library/")
            .filter(|p| !p.contains('/'))
            .unwrap_or(&self.path)
            .to_owned()
    }

    /// Everything spelled out: `docker.io/library/busybox:latest`.
    pub fn canonical(&self) -> String {
        self.written(self.repository())
    }

    /// The same repository at another digest, without a tag.
    pub fn with_digest(&self, digest: &Digest) -> Self {
        Self {
            tag: None,
            digest: Some(digest.clone()),
            ..self.clone()
        }
    }

    /// The same repository and tag without a digest; `None` if there is no tag.
    pub fn tagged(&self) -> Option<Self> {
        self.tag.is_some().then(|| Self {
            digest: None,
            ..self.clone()
        })
    }

    fn written(&self, mut out: String) -> String {
        if let Some(tag) = &self.tag {
            out.push(':');
            out.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            out.push('@');
            out.push_str(&digest.to_string());
        }
        out
    }
}

/// Shows the familiar form: `busybox:latest`.
impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.written(self.familiar_repository()))
    }
}

impl std::fmt::Debug for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.canonical())
    }
}

impl std::str::FromStr for Reference {
    type Err = ReferenceError;
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text)
    }
}

fn is_id(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
}

/// The part before the first `/` is a domain if it could not be a path component.
fn split_domain(text: &str) -> (String, &str) {
    match text.split_once('/') {
        Some((first, rest))
            if first == "localhost"
                || first.contains(['.', ':'])
                || first.bytes().any(|c| c.is_ascii_uppercase()) =>
        {
            let domain = if first == "index.docker.io" {
                DEFAULT_DOMAIN
            } else {
                first
            };
            (domain.to_owned(), rest)
        }
        _ => (DEFAULT_DOMAIN.to_owned(), text),
    }
}

fn is_domain(text: &str) -> bool {
    let (host, port) = if text.starts_with('[') {
        match text.split_once(']') {
            Some((host, "")) => (&host[1..], None),
            Some((host, port)) if port.starts_with(':') => (&host[1..], Some(&port[1..])),
            _ => return false,
        }
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let port_fits = port.is_none_or(|p| {
        !p.is_empty() && p.bytes().all(|c| c.is_ascii_digit()) && p.parse::<u16>().is_ok()
    });
    if text.starts_with('[') {
        return port_fits && host.parse::<std::net::Ipv6Addr>().is_ok();
    }
    port_fits && host.split('.').all(is_domain_component)
}

fn is_domain_component(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
}

fn is_path(text: &str) -> bool {
    text.split('/').all(is_path_component)
}

/// `[a-z0-9]+` joined by one `.`, one or two `_`, or any number of `-`.
fn is_path_component(text: &str) -> bool {
    let word = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let bytes = text.as_bytes();
    if !(bytes.first().copied().is_some_and(word) && bytes.last().copied().is_some_and(word)) {
        return false;
    }
    let separators = bytes.split(|c| word(*c)).filter(|s| !s.is_empty());
    for separator in separators {
        let fits = matches!(separator, b"." | b"_" | b"__") || separator.iter().all(|c| *c == b'-');
        if !fits {
            return false;
        }
    }
    true
}

fn is_tag(text: &str) -> bool {
    let word = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|c| word(c) || c == b'.' || c == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> (String, String) {
        let reference = Reference::parse(text).expect(text);
        (reference.to_string(), reference.canonical())
    }

    #[test]
    fn familiar_names_get_dockers_defaults() {
        let hex = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        let table = [
            (
                "busybox",
                "busybox:latest",
                "docker.io/library/busybox:latest",
            ),
            (
                "busybox:1.36",
                "busybox:1.36",
                "docker.io/library/busybox:1.36",
            ),
            (
                "library/busybox",
                "busybox:latest",
                "docker.io/library/busybox:latest",
            ),
            (
                "docker.io/busybox",
                "busybox:latest",
                "docker.io/library/busybox:latest",
            ),
            ("index.docker.io/a/b", "a/b:latest", "docker.io/a/b:latest"),
            ("user/app", "user/app:latest", "docker.io/user/app:latest"),
            (
                "localhost/app",
                "localhost/app:latest",
                "localhost/app:latest",
            ),
            (
                "127.0.0.1:5000/a/b/c:t",
                "127.0.0.1:5000/a/b/c:t",
                "127.0.0.1:5000/a/b/c:t",
            ),
            (
                "[::1]:5000/app",
                "[::1]:5000/app:latest",
                "[::1]:5000/app:latest",
            ),
            ("Upper/app", "Upper/app:latest", "Upper/app:latest"),
            (
                "a--b__c.d_e",
                "a--b__c.d_e:latest",
                "docker.io/library/a--b__c.d_e:latest",
            ),
        ];
        for (text, familiar, canonical) in table {
            assert_eq!(
                shown(text),
                (familiar.to_owned(), canonical.to_owned()),
                "{text}"
            );
        }
        let digested = format!("quay.io/a/b@sha256:{hex}");
        assert_eq!(shown(&digested), (digested.clone(), digested.clone()));
        let both = format!("busybox:1@sha256:{hex}");
        assert_eq!(shown(&both).0, both);
        assert_eq!(
            Reference::parse(hex),
            Err(ReferenceError::LooksLikeId(hex.to_owned()))
        );
    }

    #[test]
    fn refuses_in_dockers_words() {
        let said = |text: &str| {
            Reference::parse(text)
                .map(|r| r.canonical())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            said("app/Big"),
            "invalid reference format: repository name (app/Big) must be lowercase"
        );
        assert_eq!(
            said("BusyBox"),
            "invalid reference format: repository name (BusyBox) must be lowercase"
        );
        assert_eq!(
            said(&format!("a{}", "b".repeat(260))),
            "repository name must not be more than 255 characters"
        );
        for bad in [
            "",
            ":",
            "/",
            "a/",
            "/a",
            "a//b",
            "a:",
            "a:-x",
            "a b",
            "a\nb",
            "-a",
            "a-",
            "a._b",
            "a___b",
            "a..b",
            "../a",
            "a/../b",
            "é",
            "a@",
            "a@sha256:zz",
            "http://a/b",
            "a:b:c",
            "h:99999/a",
            "h.:5000/a",
            "[::1/a",
            "[zz]:1/a",
            "a@sha256:00/../x",
            ".",
            "..",
        ] {
            assert!(Reference::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Reference::parse(&format!("a:{}", "t".repeat(129))).is_err());
        assert!(Reference::parse(&"a/".repeat(100_000)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn canonical_form_is_a_fixed_point(text in "[a-zA-Z0-9.:/@_\\-\\[\\]]{0,60}") {
            if let Ok(reference) = Reference::parse(&text) {
                let again = Reference::parse(&reference.canonical());
                proptest::prop_assert_eq!(again, Ok(reference.clone()));
                let familiar = Reference::parse(&reference.to_string());
                proptest::prop_assert_eq!(familiar, Ok(reference));
            }
        }

        #[test]
        fn parts_survive(path in "[a-z0-9]{1,8}(/[a-z0-9]{1,8}(-[a-z0-9]{1,4})?){1,3}", tag in "[A-Za-z0-9_][A-Za-z0-9_.-]{0,30}") {
            let reference = Reference::parse(&format!("r.example:5000/{path}:{tag}")).expect("valid");
            proptest::prop_assert_eq!(reference.path(), path);
            proptest::prop_assert_eq!(reference.tag(), Some(tag.as_str()));
        }
    }
}

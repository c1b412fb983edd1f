//! list, inspect, history.
//!
//! Searching registries is not offered.

use std::collections::BTreeMap;

use http::StatusCode;
use weft_engine::Engine;
use weft_engine::container::ListFilter;
use weft_image::Image;

use crate::error::ApiError;
use crate::raise;
use crate::transport::body::{self, Answer};
use crate::transport::call::Call;
use crate::transport::filters::Filters;

/// Lists images.
pub async fn list(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let filters = call.filters(&[
        "before",
        "dangling",
        "label",
        "label!",
        "reference",
        "since",
        "until",
    ])?;
    let (all, dangling) = (call.query().flag("all", false)?, filters.flag("dangling")?);
    call.query().flag("shared-size", false)?;
    call.query().flag("digests", false)?;
    let bounds = Bounds::new(&engine, &filters)?;
    let users = users(&engine)?;
    let lines: Vec<_> = engine
        .images()
        .list()
        .iter()
        // Docker's `all` adds intermediate images, of which there are none here.
        .filter(|image| all || !image.names.is_empty() || dangling != Some(false))
        .filter(|image| dangling.is_none_or(|wanted| is_dangling(image) == wanted))
        .filter(|image| filters.labels(&image.config.labels) && bounds.hold(image))
        .filter(|image| filters.any("reference", |pattern| has_name(image, pattern)))
        .map(|image| {
            let count = users.get(&image.id.to_string()).copied().unwrap_or(0);
            raise::image::summary(image, count)
        })
        .collect();
    Ok(body::json(StatusCode::OK, &lines))
}

/// How many containers are made from each image.
pub fn users(engine: &Engine) -> Result<BTreeMap<String, i64>, ApiError> {
    let mut users = BTreeMap::new();
    for view in engine.list(&ListFilter {
        all: true,
        ..ListFilter::default()
    })? {
        *users.entry(view.record.image_id).or_insert(0) += 1;
    }
    Ok(users)
}

fn is_dangling(image: &Image) -> bool {
    image.names.is_empty()
}

struct Bounds {
    before: Option<i64>,
    since: Option<i64>,
}

impl Bounds {
    fn new(engine: &Engine, filters: &Filters) -> Result<Self, ApiError> {
        let created = |name: &str| match filters.values(name) {
            [] => Ok(None),
            [one] => engine
                .image(one)
                .map(|image| Some(image.created))
                .map_err(ApiError::from),
            _ => Err(ApiError::invalid(format!(
                "filter '{name}' takes one value"
            ))),
        };
        let until =
            crate::prune::filter(&Filters::default().with("until", filters.values("until")))?;
        let until = until.until_ns.map(|ns| ns / 1_000_000_000);
        let before = created("before")?;
        Ok(Self {
            before: before.into_iter().chain(until).min(),
            since: created("since")?,
        })
    }

    fn hold(&self, image: &Image) -> bool {
        self.before.is_none_or(|at| image.created < at)
            && self.since.is_none_or(|at| image.created > at)
    }
}

/// Docker matches the familiar name as a path pattern, with and without its tag.
fn has_name(image: &Image, pattern: &str) -> bool {
    image
        .names
        .iter()
        .any(|name| glob(pattern, &name.to_string()) || glob(pattern, &name.familiar_repository()))
}

/// `*` and `?` within one path component, as Go's path.Match.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    // One row of the usual table: which prefixes of the text the pattern so far matches.
    let mut row = vec![false; text.len() + 1];
    row[0] = true;
    for part in pattern {
        let mut next = vec![false; text.len() + 1];
        for at in 0..=text.len() {
            let here = at > 0 && (*part == text[at - 1] || *part == b'?' && text[at - 1] != b'/');
            next[at] = match part {
                b'*' => row[at] || at > 0 && next[at - 1] && text[at - 1] != b'/',
                _ => here && row[at - 1],
            };
        }
        row = next;
    }
    row[text.len()]
}

/// Everything about one image.
pub async fn inspect(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let image = engine.image(call.param("name"))?;
    Ok(body::json(StatusCode::OK, &raise::image::inspect(&image)))
}

/// How it was made.
pub async fn history(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let image = engine.image(call.param("name"))?;
    Ok(body::json(StatusCode::OK, &raise::image::history(&image)))
}

/// Docker Hub's search is not offered.
pub async fn search(_engine: Engine, _call: Call) -> Result<Answer, ApiError> {
    Err(ApiError::invalid("searching a registry is not supported"))
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("busybox", "busybox", true),
            ("busy*", "busybox:1", true),
            ("*box:?", "busybox:1", true),
            ("*", "a/b", false),
            ("*/*", "a/b:1", true),
            ("bus", "busybox", false),
            ("", "", true),
            ("**", "abc", true),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
        assert!(
            !glob(&"*a".repeat(200), &"b".repeat(200)),
            "no exponential blow-up"
        );
    }
}

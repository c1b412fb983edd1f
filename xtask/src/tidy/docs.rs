//! Rules on documents: links between files lead somewhere, the changelog has its headings, the
//! architecture page stays readable.
//! Owns reading Markdown links; never fetches anything.

use std::path::Path;

use super::{Finding, Source};

const ARCHITECTURE_LINES_MAX: usize = 300;
/// The pages a visitor looks for.
const HOUSE: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "STYLE.md",
    "docs/benchmarks.md",
    "docs/glossary.md",
];

/// The document rules.
pub fn check(root: &Path, sources: &[Source]) -> Vec<Finding> {
    let mut found = missing(sources);
    for source in sources.iter().filter(|source| source.path.ends_with(".md")) {
        let dir = root
            .join(&source.path)
            .parent()
            .map(Path::to_path_buf)
            .unwrap_or_default();
        let exists = |target: &str| dir.join(target).exists();
        found.extend(broken_links(source, exists));
        found.extend(page(source));
    }
    found
}

fn missing(sources: &[Source]) -> Vec<Finding> {
    let there = |page: &&&str| !sources.iter().any(|source| source.path == **page);
    HOUSE
        .iter()
        .filter(there)
        .map(|page| Finding::new(*page, "a page of the house is missing"))
        .collect()
}

fn page(source: &Source) -> Vec<Finding> {
    let lines = source.text.lines().count();
    match source.path.as_str() {
        "ARCHITECTURE.md" if lines > ARCHITECTURE_LINES_MAX => {
            vec![Finding::new(
                &source.path,
                format!("{lines} lines; the limit is {ARCHITECTURE_LINES_MAX}"),
            )]
        }
        "CHANGELOG.md" if !source.text.contains("\n## [Unreleased]") => {
            vec![Finding::new(
                &source.path,
                "has no `## [Unreleased]` heading",
            )]
        }
        _ => Vec::new(),
    }
}

fn broken_links(source: &Source, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let mut found = Vec::new();
    for (number, line) in source.text.lines().enumerate() {
        for target in links(line) {
            let file = target.split('#').next().unwrap_or_default();
            let elsewhere =
                target.contains("://") || target.starts_with("mailto:") || file.is_empty();
            if !elsewhere && !exists(file) {
                found.push(Finding::new(
                    format!("{}:{}", source.path, number + 1),
                    format!("the link to {target} leads nowhere"),
                ));
            }
        }
    }
    found
}

fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn links_lead_somewhere() {
        let page = sample(
            "README.md",
            "[a](STYLE.md) [b](https://example.org/x) [c](#here)\n[d](gone.md#x)\n",
        );
        let found = broken_links(&page, |target| target == "STYLE.md");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "README.md:2");
    }

    #[test]
    fn the_changelog_has_its_heading_and_the_map_its_length() {
        assert_eq!(
            page(&sample("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n")),
            []
        );
        assert_eq!(page(&sample("CHANGELOG.md", "# Changelog\n")).len(), 1);
        assert_eq!(page(&sample("ARCHITECTURE.md", &"\n".repeat(301))).len(), 1);
    }

    #[test]
    fn the_house_pages_are_there() {
        let all: Vec<Source> = HOUSE.iter().map(|path| sample(path, "")).collect();
        assert_eq!(missing(&all), []);
        assert_eq!(missing(&all[1..]).len(), 1);
    }
}

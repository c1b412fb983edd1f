//! `weft api-resources` and `weft api-versions`

use crate::objects::connect::{Api, Connect};
use crate::objects::rows::Layout;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// `weft api-resources`
pub const RESOURCES: Entry = verb!(
    "api-resources",
    Resources,
    "List the kinds of objects a server has"
);
/// `weft api-versions`
pub const VERSIONS: Entry = verb!(
    "api-versions",
    Versions,
    "List the groups and versions of a server's kinds"
);

/// Flags of `api-resources`.
#[derive(Debug, clap::Args)]
pub struct Resources {
    /// Only this group's; empty: the core's
    #[arg(long, value_name = "GROUP")]
    api_group: Option<String>,
    /// Only those in namespaces, or only others
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    namespaced: Option<bool>,
    /// Only those that can all of this be done with
    #[arg(long, value_name = "VERB", value_delimiter = ',')]
    verbs: Vec<String>,
    /// Only those of these categories
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    categories: Vec<String>,
    /// By name or kind
    #[arg(long, value_name = "WHAT", value_parser = ["name", "kind"])]
    sort_by: Option<String>,
    /// No line with headings
    #[arg(long)]
    no_headers: bool,
    /// wide or name
    #[arg(short, long, value_name = "FORM", value_parser = ["wide", "name"])]
    output: Option<String>,
    #[command(flatten)]
    connect: Connect,
}

impl Resources {
    /// Lists kinds.
    pub async fn run(self, session: &Session) -> Outcome {
        let api = Api::open(&self.connect, session)?;
        let mut kinds: Vec<_> = api.kinds().await?.preferred().cloned().collect();
        kinds.retain(|kind| {
            self.api_group
                .as_ref()
                .is_none_or(|group| kind.group == *group)
                && self
                    .namespaced
                    .is_none_or(|wanted| kind.is_namespaced == wanted)
                && self.verbs.iter().all(|verb| kind.can(verb))
                && self
                    .categories
                    .iter()
                    .all(|name| kind.categories.contains(name))
        });
        kinds.sort_by_cached_key(|kind| match self.sort_by.as_deref() {
            Some("kind") => (kind.kind.clone(), String::new()),
            Some(_) => (kind.plural.clone(), String::new()),
            None => (kind.group.clone(), kind.plural.clone()),
        });
        if self.output.as_deref() == Some("name") {
            let names: Vec<String> = kinds.iter().map(|kind| kind.full_name() + "\n").collect();
            api.printer.data(&names.concat())?;
            return Ok(0);
        }
        let is_wide = self.output.is_some();
        let mut lines: Vec<Vec<String>> = Vec::new();
        if !self.no_headers {
            let wide: &[&str] = if is_wide {
                &["VERBS", "CATEGORIES"]
            } else {
                &[]
            };
            let heading = ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"];
            lines.push(
                heading
                    .iter()
                    .chain(wide)
                    .map(|word| (*word).to_owned())
                    .collect(),
            );
        }
        for kind in &kinds {
            let mut line = vec![
                kind.plural.clone(),
                kind.short.join(","),
                kind.api_version(),
                kind.is_namespaced.to_string(),
                kind.kind.clone(),
            ];
            if is_wide {
                let mut verbs = kind.verbs.clone();
                verbs.sort();
                line.extend([verbs.join(","), kind.categories.join(",")]);
            }
            lines.push(line);
        }
        api.printer.data(&Layout::default().render(&lines))?;
        Ok(0)
    }
}

/// Flags of `api-versions`.
#[derive(Debug, clap::Args)]
pub struct Versions {
    #[command(flatten)]
    connect: Connect,
}

impl Versions {
    /// Lists groups and versions.
    pub async fn run(self, session: &Session) -> Outcome {
        let api = Api::open(&self.connect, session)?;
        let mut versions: Vec<String> = api
            .kinds()
            .await?
            .iter()
            .map(|kind| kind.api_version())
            .collect();
        versions.sort();
        versions.dedup();
        api.printer.data(&(versions.join("\n") + "\n"))?;
        Ok(0)
    }
}

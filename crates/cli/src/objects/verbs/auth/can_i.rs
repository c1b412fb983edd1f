//! `weft auth can-i`: whether something may be done, and all that may be.

use serde_json::{Value, json};

use super::{list, review};
use crate::error::CliError;
use crate::objects::connect::{Api, Connect};
use crate::objects::rows::Layout;
use crate::session::Session;
use crate::tree::Outcome;

/// The group that answers.
const GROUP: &str = "authorization.k8s.io";

/// Flags of `can-i`.
#[derive(Debug, clap::Args)]
pub struct CanI {
    /// VERB TYPE[/NAME] [NAME], or VERB /PATH
    #[arg(value_name = "WORD", num_args = 0..=3)]
    words: Vec<String>,
    /// Tell all that may be done in the namespace
    #[arg(long)]
    list: bool,
    /// A subresource: log, scale
    #[arg(long, value_name = "NAME")]
    subresource: Option<String>,
    /// In all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Say nothing: the exit code tells
    #[arg(short, long)]
    quiet: bool,
    /// No line with headings
    #[arg(long)]
    no_headers: bool,
    #[command(flatten)]
    connect: Connect,
}

impl CanI {
    /// Asks; 1 is no.
    pub async fn run(self, session: &Session) -> Outcome {
        let api = Api::open(&self.connect, session)?;
        if self.list {
            return self.all(&api).await;
        }
        let [verb, what, name @ ..] = &self.words[..] else {
            return Err(CliError::usage(
                "you must specify two arguments: verb resource or verb resource/resourceName",
            ));
        };
        let spec = if what.starts_with('/') {
            json!({ "nonResourceAttributes": { "verb": verb, "path": what } })
        } else {
            let (kind, in_word) = what
                .split_once('/')
                .map_or((what.as_str(), ""), |(kind, name)| (kind, name));
            let name = name.first().map_or(in_word, String::as_str);
            let known = api.kinds().await?.find(kind);
            let (group, plural, version, is_namespaced) = match known {
                Some(kind) => (
                    kind.group.as_str(),
                    kind.plural.as_str(),
                    kind.version.as_str(),
                    kind.is_namespaced,
                ),
                None => {
                    if kind != "*" {
                        api.printer.talk(&format!(
                            "Warning: the server doesn't have a resource type '{kind}'\n"
                        ));
                    }
                    let (plural, group) = kind
                        .split_once('.')
                        .unwrap_or((kind, if kind == "*" { "*" } else { "" }));
                    (group, plural, "", true)
                }
            };
            let namespace = match is_namespaced && !self.all_namespaces {
                true => api.namespace.as_str(),
                false => "",
            };
            if !is_namespaced && known.is_some() && !self.all_namespaces {
                api.printer.talk(&format!(
                    "Warning: resource '{plural}' is not namespace scoped\n"
                ));
            }
            json!({ "resourceAttributes": {
                "verb": verb, "group": group, "version": version, "resource": plural,
                "subresource": self.subresource, "namespace": namespace, "name": name,
            } })
        };
        let answer = review(&api, GROUP, "SelfSubjectAccessReview", spec).await?;
        let status = &answer["status"];
        let is_allowed = status["allowed"] == true;
        if !self.quiet {
            let reason = status["reason"].as_str().filter(|text| !text.is_empty());
            api.printer.line(&match (is_allowed, reason) {
                (true, _) => "yes".to_owned(),
                (false, Some(reason)) => format!("no - {reason}"),
                (false, None) => "no".to_owned(),
            })?;
        }
        Ok(u8::from(!is_allowed))
    }

    async fn all(&self, api: &Api) -> Outcome {
        let spec = json!({ "namespace": api.namespace });
        let answer = review(api, GROUP, "SelfSubjectRulesReview", spec).await?;
        let status = &answer["status"];
        let mut lines: Vec<Vec<String>> = Vec::new();
        if !self.no_headers {
            lines.push(
                ["Resources", "Non-Resource URLs", "Resource Names", "Verbs"]
                    .map(str::to_owned)
                    .to_vec(),
            );
        }
        for rule in status["resourceRules"].as_array().into_iter().flatten() {
            let groups = rule["apiGroups"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str);
            let groups: Vec<&str> = groups.collect();
            for resource in rule["resources"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
            {
                for group in &groups {
                    let full = match *group {
                        "" => resource.to_owned(),
                        group => format!("{resource}.{group}"),
                    };
                    lines.push(vec![
                        full,
                        "[]".to_owned(),
                        list(&rule["resourceNames"]),
                        list(&rule["verbs"]),
                    ]);
                }
            }
        }
        for rule in status["nonResourceRules"].as_array().into_iter().flatten() {
            lines.push(vec![
                String::new(),
                list(&rule["nonResourceURLs"]),
                "[]".to_owned(),
                list(&rule["verbs"]),
            ]);
        }
        api.printer.data(&Layout::default().render(&lines))?;
        if status["incomplete"] == true {
            let why = status["evaluationError"].as_str().unwrap_or_default();
            api.printer
                .talk(&format!("warning: the list may be incomplete: {why}"));
        }
        Ok(0)
    }
}

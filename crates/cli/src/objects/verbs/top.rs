//! `weft top pods` and `weft top nodes`: what they use. `weft top CONTAINER` is docker's.

use serde_json::Value;
use weft_client::Request;
use weft_stdx::quantity::Quantity;

use crate::error::CliError;
use crate::objects::choose::{PAGE, Selectors, pages};
use crate::objects::connect::{Api, Connect};
use crate::objects::form::items;
use crate::objects::rows::Layout;
use crate::session::Session;
use crate::tree::{Entry, Outcome, noun, verb};

/// The noun.
pub const NOUN: Entry = noun!("top", &[NODES, PODS], "Show what nodes and pods use");

const NODES: Entry = verb!("nodes" | "node" | "no", Nodes, "Show what nodes use");
const PODS: Entry = verb!("pods" | "pod" | "po", Pods, "Show what pods use");

/// Words after `top` that mean objects.
pub const WORDS: [&str; 6] = ["node", "nodes", "no", "pod", "pods", "po"];

/// What both have.
#[derive(Debug, clap::Args)]
struct Usual {
    /// Name
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// No line with headings
    #[arg(long)]
    no_headers: bool,
    /// Most first: cpu or memory
    #[arg(long, value_name = "RESOURCE", value_parser = ["cpu", "memory"])]
    sort_by: Option<String>,
    /// Binary answers are not asked for: they say the same
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    use_protocol_buffers: Option<bool>,
    #[command(flatten)]
    connect: Connect,
}

/// Flags of `top nodes`.
#[derive(Debug, clap::Args)]
struct Nodes {
    /// Only what has these labels: k=v, k!=v, k, !k, k in (v,w), with commas between them
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
    /// Percent of what the machine has, not of what pods may have of it
    #[arg(long)]
    show_capacity: bool,
    #[command(flatten)]
    usual: Usual,
}

/// Flags of `top pods`.
#[derive(Debug, clap::Args)]
struct Pods {
    #[command(flatten)]
    selectors: Selectors,
    /// In all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Each container
    #[arg(long)]
    containers: bool,
    /// What all use together, too
    #[arg(long)]
    sum: bool,
    #[command(flatten)]
    usual: Usual,
}

/// Cores in thousandths, bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Used {
    cpu_m: i128,
    bytes: i128,
}

impl Used {
    fn of(usage: &Value) -> Used {
        let amount = |name: &str| Quantity::of(&usage[name]).unwrap_or(Quantity::ZERO);
        Used {
            cpu_m: amount("cpu").thousandths(),
            bytes: amount("memory").whole(),
        }
    }

    fn plus(self, other: Used) -> Used {
        Used {
            cpu_m: self.cpu_m + other.cpu_m,
            bytes: self.bytes + other.bytes,
        }
    }

    fn cells(self) -> [String; 2] {
        let mebi = self.bytes / (1024 * 1024);
        [format!("{}m", self.cpu_m), format!("{mebi}Mi")]
    }
}

/// A line: what stands before the figures, and they.
#[derive(Debug)]
struct Line {
    names: Vec<String>,
    used: Used,
    share: Option<[String; 2]>,
}

impl Usual {
    fn sort(&self, lines: &mut [Line]) {
        match self.sort_by.as_deref() {
            Some("cpu") => lines.sort_by_key(|line| std::cmp::Reverse(line.used.cpu_m)),
            Some(_) => lines.sort_by_key(|line| std::cmp::Reverse(line.used.bytes)),
            None => lines.sort_by(|a, b| a.names.cmp(&b.names)),
        }
    }

    fn show(
        &self,
        api: &Api,
        headings: &[&str],
        lines: &[Line],
        sum: bool,
    ) -> Result<(), CliError> {
        let mut table = Vec::new();
        if !self.no_headers {
            table.push(
                headings
                    .iter()
                    .map(|heading| (*heading).to_owned())
                    .collect(),
            );
        }
        for line in lines {
            let [cpu, memory] = line.used.cells();
            let mut cells = line.names.clone();
            match &line.share {
                Some([of_cpu, of_memory]) => {
                    cells.extend([cpu, of_cpu.clone(), memory, of_memory.clone()]);
                }
                None => cells.extend([cpu, memory]),
            }
            table.push(cells);
        }
        if sum {
            let before = headings.len() - 2;
            let all = lines
                .iter()
                .map(|line| line.used)
                .fold(Used::default(), Used::plus);
            let mut rule = vec![String::new(); before];
            rule.extend(["________".to_owned(), "________".to_owned()]);
            let mut cells = vec![String::new(); before];
            cells.extend(all.cells());
            table.extend([rule, cells]);
        }
        api.printer.data(&Layout::default().render(&table))?;
        Ok(())
    }
}

/// All that is measured at this place, or one of it.
async fn measured(api: &Api, request: Request, is_one: bool) -> Result<Vec<Value>, CliError> {
    if is_one {
        return Ok(vec![api.ask(&request).await?.json()?]);
    }
    let list = pages(request, PAGE, async |page| api.ask(page).await).await?;
    Ok(items(&list).into_iter().cloned().collect())
}

fn path<'a>(plural: &'a str, namespace: Option<&'a str>, name: Option<&'a str>) -> Vec<&'a str> {
    let mut path = vec!["apis", "metrics.k8s.io", "v1beta1"];
    if let Some(namespace) = namespace {
        path.extend(["namespaces", namespace]);
    }
    path.push(plural);
    path.extend(name);
    path
}

fn name(object: &Value, field: &str) -> String {
    object["metadata"][field]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

impl Pods {
    /// Shows what pods use.
    async fn run(self, session: &Session) -> Outcome {
        let api = Api::open(&self.usual.connect, session)?;
        let one = self.usual.name.as_deref();
        if one.is_some() && (!self.selectors.is_empty() || self.all_namespaces) {
            let message = "only one of NAME, --selector or --all-namespaces can be provided";
            return Err(CliError::usage(message));
        }
        let namespace = (!self.all_namespaces).then_some(api.namespace.as_str());
        let request = Request::get("measure pods", &path("pods", namespace, one));
        let request = self.selectors.on(request);
        if api.cluster.is_explaining() {
            return Ok(api.send(&request).await.map_or(0, |_| 0));
        }
        let mut lines = Vec::new();
        for pod in measured(&api, request, one.is_some()).await? {
            let mut names = Vec::new();
            if self.all_namespaces {
                names.push(name(&pod, "namespace"));
            }
            names.push(name(&pod, "name"));
            let containers = pod["containers"].as_array();
            let containers = containers.into_iter().flatten();
            if !self.containers {
                let used = containers.map(|one| Used::of(&one["usage"]));
                let used = used.fold(Used::default(), Used::plus);
                lines.push(Line {
                    names,
                    used,
                    share: None,
                });
                continue;
            }
            for container in containers {
                let mut names = names.clone();
                names.push(container["name"].as_str().unwrap_or_default().to_owned());
                lines.push(Line {
                    names,
                    used: Used::of(&container["usage"]),
                    share: None,
                });
            }
        }
        if lines.is_empty() {
            api.printer.talk(&match namespace {
                Some(namespace) => format!("No resources found in {namespace} namespace."),
                None => "No resources found".to_owned(),
            });
            return Ok(0);
        }
        self.usual.sort(&mut lines);
        let mut headings = Vec::new();
        if self.all_namespaces {
            headings.push("NAMESPACE");
        }
        headings.extend(match self.containers {
            true => vec!["POD", "NAME"],
            false => vec!["NAME"],
        });
        headings.extend(["CPU(cores)", "MEMORY(bytes)"]);
        self.usual.show(&api, &headings, &lines, self.sum)?;
        Ok(0)
    }
}

impl Nodes {
    /// Shows what nodes use.
    async fn run(self, session: &Session) -> Outcome {
        let api = Api::open(&self.usual.connect, session)?;
        let one = self.usual.name.as_deref();
        if one.is_some() && self.selector.is_some() {
            let message = "only one of NAME or --selector can be provided";
            return Err(CliError::usage(message));
        }
        let selected =
            |request: Request| request.query_opt("labelSelector", self.selector.as_deref());
        let request = selected(Request::get("measure nodes", &path("nodes", None, one)));
        if api.cluster.is_explaining() {
            return Ok(api.send(&request).await.map_or(0, |_| 0));
        }
        let mut at = vec!["api", "v1", "nodes"];
        at.extend(one);
        let known = selected(Request::get("get nodes", &at));
        let known = measured(&api, known, one.is_some()).await?;
        let found = measured(&api, request, one.is_some()).await?;
        let field = match self.show_capacity {
            true => "capacity",
            false => "allocatable",
        };
        let mut lines = Vec::new();
        for node in &known {
            let named = name(node, "name");
            let Some(metrics) = found.iter().find(|one| name(one, "name") == named) else {
                let unknown = || "<unknown>".to_owned();
                lines.push(Line {
                    names: vec![named, unknown(), unknown(), unknown(), unknown()],
                    used: Used::default(),
                    share: None,
                });
                continue;
            };
            let (used, has) = (
                Used::of(&metrics["usage"]),
                Used::of(&node["status"][field]),
            );
            let percent = |used: i128, has: i128| format!("{}%", used * 100 / has.max(1));
            lines.push(Line {
                names: vec![named],
                used,
                share: Some([
                    percent(used.cpu_m, has.cpu_m),
                    percent(used.bytes, has.bytes),
                ]),
            });
        }
        self.usual.sort(&mut lines);
        let headings = ["NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"];
        self.usual.show(&api, &headings, &lines, false)?;
        Ok(0)
    }
}

//! `weft logs` of pods: `pod/NAME`, or through what has pods.
//!
//! Owns which containers are asked, and how the lines of several come together.

mod flow;

use std::time::Duration;

use serde_json::Value;
use weft_client::Request;

use self::flow::{Flow, Flows};
use crate::error::CliError;
use crate::objects::connect::{Api, Connect, duration};
use crate::objects::pods::{self, Preference};
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!(
    "logs",
    Args,
    "Show the output of containers of pods: weft logs TYPE/NAME"
);

/// Lines of each container where a selector chooses the pods and nobody says how many.
const TAIL_OF_SELECTED: i64 = 10;

/// Flags of `logs`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Pod, or TYPE/NAME of what has pods; and the container
    #[arg(value_name = "POD", num_args = 0..=2)]
    words: Vec<String>,
    /// Container
    #[arg(short, long, value_name = "NAME")]
    container: Option<String>,
    /// All containers, those that ran before the others first
    #[arg(long)]
    all_containers: bool,
    /// All pods of what is named; each line says whose it is
    #[arg(long)]
    all_pods: bool,
    /// Pods with these labels
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
    /// Go on as new output comes
    #[arg(short, long)]
    follow: bool,
    /// The run before
    #[arg(short, long)]
    previous: bool,
    /// Begin each line with the pod and the container
    #[arg(long)]
    prefix: bool,
    /// Show when each line came
    #[arg(long)]
    timestamps: bool,
    /// Only what came for a while (5m)
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "since_time")]
    since: Option<Duration>,
    /// Only what came since a time (2026-01-02T13:23:37Z)
    #[arg(long, value_name = "TIME")]
    since_time: Option<String>,
    /// Only the last lines (-1: all) [default: all, 10 with a selector]
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    tail: Option<i64>,
    /// So many bytes at most of each container (0: all)
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    limit_bytes: i64,
    /// How many containers may be followed at once
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    max_log_requests: usize,
    /// Say what fails, and go on with the others
    #[arg(long)]
    ignore_errors: bool,
    /// How long to wait for the first pod
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "20s")]
    pod_running_timeout: Duration,
    /// Do not check the certificate of the node that has the log
    #[arg(long)]
    insecure_skip_tls_verify_backend: bool,
    #[command(flatten)]
    connect: Connect,
}

/// A container whose log is asked for.
#[derive(Debug, PartialEq)]
struct Source {
    namespace: String,
    pod: String,
    container: String,
}

impl Args {
    /// Shows the logs.
    pub async fn run(mut self, session: &Session) -> Outcome {
        self.checked()?;
        let api = Api::open(&self.connect, session)?;
        let mut sources = Vec::new();
        for pod in self.pods(&api).await? {
            sources.extend(self.sources(&api, &pod)?);
        }
        if sources.is_empty() {
            let namespace = &api.namespace;
            api.printer
                .talk(&format!("No resources found in {namespace} namespace."));
            return Ok(0);
        }
        let (count, most) = (sources.len(), self.max_log_requests);
        if self.follow && count > most {
            return Err(CliError::usage(format!(
                "you are attempting to follow {count} log streams, but maximum allowed concurrency is {most}"
            ))
            .hint(format!("--max-log-requests={count} allows it")));
        }
        let prefixes = self.prefix || self.all_pods;
        let flows = sources.iter().map(|source| Flow {
            request: self.request(source),
            prefix: match prefixes {
                true => format!("[pod/{}/{}] ", source.pod, source.container),
                false => String::new(),
            },
        });
        let flows = Flows {
            api: &api,
            all: flows.collect(),
            ignores_errors: self.ignore_errors,
        };
        match self.follow && count > 1 {
            true => flows.together().await,
            false => flows.one_by_one().await,
        }
    }

    fn checked(&mut self) -> Result<(), CliError> {
        let wrong = |text: &str| Err(CliError::usage(text));
        if let [_, container] = &self.words[..] {
            if self.container.is_some() {
                return wrong("only one of -c or an inline [CONTAINER] arg is allowed");
            }
            self.container = Some(container.clone());
        }
        match (self.words.first(), &self.selector) {
            (Some(_), Some(_)) => {
                return wrong("only a selector (-l) or a POD name is allowed");
            }
            (None, None) => return wrong("weft logs requires <POD>, or pods chosen with -l"),
            _ => {}
        }
        if let Some(container) = self.container.as_ref().filter(|_| self.all_containers) {
            return Err(CliError::usage(format!(
                "--all-containers=true should not be specified with container name {container}"
            )));
        }
        if self.limit_bytes < 0 {
            return wrong("--limit-bytes must be greater than 0");
        }
        if self.tail.is_some_and(|tail| tail < -1) {
            return wrong("--tail must be greater than or equal to -1");
        }
        if self.max_log_requests == 0 {
            return wrong("--max-log-requests must be greater than 0");
        }
        Ok(())
    }

    async fn pods(&self, api: &Api) -> Result<Vec<Value>, CliError> {
        let Some(word) = self.words.first() else {
            let selector = self.selector.as_deref().unwrap_or_default();
            return pods::chosen_by(api, &api.namespace, selector).await;
        };
        let object = pods::named(api, word).await?;
        if self.all_pods
            && let Some(selector) = pods::selector(&object)?
        {
            return pods::chosen_by(api, pods::place(&object).1, &selector).await;
        }
        let patience = self.pod_running_timeout;
        let (pod, count) = pods::one_of(api, object, Preference::Log, patience).await?;
        if count > 1 {
            let name = pods::place(&pod).0;
            api.printer
                .talk(&format!("Found {count} pods, using pod/{name}"));
        }
        Ok(vec![pod])
    }

    fn sources(&self, api: &Api, pod: &Value) -> Result<Vec<Source>, CliError> {
        let (name, namespace) = pods::place(pod);
        let source = |container: &Value| Source {
            namespace: namespace.to_owned(),
            pod: name.to_owned(),
            container: pods::name(container).to_owned(),
        };
        if !self.all_containers {
            let chosen = pods::container(pod, self.container.as_deref(), false, api.printer)?;
            return Ok(vec![source(chosen)]);
        }
        // Those that ran first have written first.
        let is_first = |one: &&Value| {
            pod["spec"]["initContainers"]
                .as_array()
                .is_some_and(|all| all.contains(one))
        };
        let (mut first, rest): (Vec<&Value>, Vec<&Value>) =
            pods::containers(pod).partition(is_first);
        first.extend(rest);
        Ok(first.into_iter().map(source).collect())
    }

    fn request(&self, source: &Source) -> Request {
        let Source {
            namespace,
            pod,
            container,
        } = source;
        let tail = match (self.tail, &self.selector) {
            (None, Some(_)) => Some(TAIL_OF_SELECTED),
            (tail, _) => tail.filter(|tail| *tail >= 0),
        };
        // Whole seconds: no less than was asked for.
        let since = self.since.filter(|since| !since.is_zero());
        let since = since.map(|since| since.as_nanos().div_ceil(1_000_000_000).to_string());
        let limit = (self.limit_bytes > 0).then(|| self.limit_bytes.to_string());
        let what = format!("get the log of pod/{pod}");
        Request::get(what, &pods::path(namespace, &[pod, "log"]))
            .query("container", container)
            .query_true("follow", self.follow)
            .query_true("previous", self.previous)
            .query_true("timestamps", self.timestamps)
            .query_opt("sinceSeconds", since.as_deref())
            .query_opt("sinceTime", self.since_time.as_deref())
            .query_opt("tailLines", tail.map(|tail| tail.to_string()).as_deref())
            .query_opt("limitBytes", limit.as_deref())
            .query_true(
                "insecureSkipTLSVerifyBackend",
                self.insecure_skip_tls_verify_backend,
            )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    fn args(line: &str) -> Args {
        let command = Args::augment_args(clap::Command::new("logs").no_binary_name(true));
        let matches = command.get_matches_from(line.split_whitespace());
        Args::from_arg_matches(&matches).unwrap()
    }

    #[test]
    fn what_is_asked_is_what_kubectl_asks() {
        let source = Source {
            namespace: "shop".to_owned(),
            pod: "web".to_owned(),
            container: "app".to_owned(),
        };
        for (line, query) in [
            ("pod/web", ""),
            (
                "pod/web -f -p --timestamps",
                "&follow=true&previous=true&timestamps=true",
            ),
            (
                "pod/web --since=1500ms --tail=0",
                "&sinceSeconds=2&tailLines=0",
            ),
            ("pod/web --tail=-1 --limit-bytes=9", "&limitBytes=9"),
            ("-l a=b", "&tailLines=10"),
            ("-l a=b --tail=-1", ""),
            (
                "pod/web --since-time=2026-01-01T00:00:00Z",
                "&sinceTime=2026-01-01T00:00:00Z",
            ),
        ] {
            assert_eq!(
                args(line).request(&source).target,
                format!("/api/v1/namespaces/shop/pods/web/log?container=app{query}"),
                "{line}"
            );
        }
    }

    #[test]
    fn what_cannot_be_meant_is_said() {
        for (line, why) in [
            ("", "weft logs requires <POD>, or pods chosen with -l"),
            (
                "web -l a=b",
                "only a selector (-l) or a POD name is allowed",
            ),
            (
                "web app -c app",
                "only one of -c or an inline [CONTAINER] arg is allowed",
            ),
            (
                "web --all-containers -c app",
                "--all-containers=true should not be specified with container name app",
            ),
            (
                "web --tail=-2",
                "--tail must be greater than or equal to -1",
            ),
            (
                "web --limit-bytes=-1",
                "--limit-bytes must be greater than 0",
            ),
        ] {
            assert_eq!(args(line).checked().unwrap_err().message(), why, "{line}");
        }
    }
}

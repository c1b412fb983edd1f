//! Deployments, jobs and cron jobs, from flags.

use serde_json::{Value, json};

use super::values::{self, Values};
use super::{Making, required};
use crate::error::CliError;
use crate::objects::choose;
use crate::objects::connect::Api;
use crate::objects::manifest::Sources;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// `weft create deployment`
pub const DEPLOYMENT: Entry = verb!(
    "deployment" | "deploy",
    Deployment,
    "Make a deployment of an image"
);
/// `weft create job`
pub const JOB: Entry = verb!("job", Job, "Make a job of an image or of a cron job");
/// `weft create cronjob`
pub const CRON_JOB: Entry = verb!("cronjob" | "cj", CronJob, "Make a cron job of an image");

/// Says of a job that it was made by hand.
const BY_HAND: &str = "cronjob.kubernetes.io/instantiate";

/// The name a container gets from its image.
fn container_name(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or_default();
    let bare = last.split(['@', ':']).next().unwrap_or_default();
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    bare.chars()
        .map(safe)
        .collect::<String>()
        .trim_matches('-')
        .to_owned()
}

fn container(name: String, image: &str, command: &[String]) -> Value {
    let mut container = json!({ "name": name, "image": image });
    if !command.is_empty() {
        container["command"] = json!(command);
    }
    container
}

#[derive(Debug, clap::Args)]
pub struct Deployment {
    /// Its name
    name: String,
    /// An image of it
    #[arg(long, value_name = "IMAGE")]
    image: Vec<Values>,
    /// How many pods there are to be
    #[arg(short, long, value_name = "COUNT", default_value_t = 1)]
    replicas: u32,
    /// The port it listens at (-1: none)
    #[arg(long, value_name = "PORT", default_value_t = -1)]
    port: i32,
    #[command(flatten)]
    making: Making,
    /// What is run instead of the image's command
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Deployment {
    pub async fn run(self, session: &Session) -> Outcome {
        let images = Some(values::all(&self.image)).filter(|images| !images.is_empty());
        let images = required("image", images)?;
        if images.len() > 1 && !self.command.is_empty() {
            return Err(CliError::new(
                "cannot specify multiple --image options and command",
            ));
        }
        let mut containers = Vec::new();
        for image in &images {
            let mut one = container(container_name(image), image, &self.command);
            if self.port >= 0 && containers.is_empty() {
                one["ports"] = json!([{ "containerPort": self.port }]);
            }
            containers.push(one);
        }
        let labels = json!({ "app": self.name });
        let object = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": { "name": self.name, "labels": labels },
            "spec": {
                "replicas": self.replicas,
                "selector": { "matchLabels": labels },
                "template": { "metadata": { "labels": labels }, "spec": { "containers": containers } },
            },
        });
        self.making.run(session, object).await
    }
}

#[derive(Debug, clap::Args)]
pub struct Job {
    /// Its name
    name: String,
    /// Its image
    #[arg(
        long,
        value_name = "IMAGE",
        default_value = "",
        hide_default_value = true
    )]
    image: String,
    /// The cron job that it is made of, at once: cronjob/NAME
    #[arg(
        long,
        value_name = "TYPE/NAME",
        default_value = "",
        hide_default_value = true
    )]
    from: String,
    #[command(flatten)]
    making: Making,
    /// What is run instead of the image's command
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Job {
    pub async fn run(self, session: &Session) -> Outcome {
        if self.image.is_empty() == self.from.is_empty() {
            return Err(CliError::new("either --image or --from must be specified"));
        }
        let object = if self.from.is_empty() {
            let container = container(self.name.clone(), &self.image, &self.command);
            json!({
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": { "name": self.name },
                "spec": { "template": { "spec": { "containers": [container], "restartPolicy": "Never" } } },
            })
        } else if self.command.is_empty() {
            let api = Api::open(&self.making.connect, session)?;
            of_cron_job(&self.name, &cron_job(&api, &self.from).await?)
        } else {
            return Err(CliError::new("cannot specify --from and command"));
        };
        self.making.run(session, object).await
    }
}

/// The cron job that `--from` names.
async fn cron_job(api: &Api, from: &str) -> Result<Value, CliError> {
    let wrong = match from.split('/').collect::<Vec<_>>()[..] {
        [kind, name] if !kind.is_empty() && !name.is_empty() => None,
        [_, _] => Some("arguments in resource/name form must have a single resource and name"),
        [_] => None,
        _ => Some("arguments in resource/name form may not have more than one slash"),
    };
    if let Some(why) = wrong {
        return Err(CliError::new(why));
    }
    let found = choose::targets(api, &[from.to_owned()], &Sources::default(), false).await?;
    let [target] = &*found else {
        return Err(CliError::new(format!(
            "--from {from:?} names several kinds"
        )));
    };
    if target.name.is_none() {
        return Err(CliError::new(
            "resource(s) were provided, but no name was specified",
        ));
    }
    if target.kind.kind != "CronJob" || target.kind.group != "batch" {
        let kind = &target.kind.kind;
        return Err(CliError::new(format!(
            "unknown object type {kind}: --from is of a cron job"
        )));
    }
    Ok(api.ask(&target.get()).await?.json()?)
}

/// What a cron job would make, made by hand.
fn of_cron_job(name: &str, from: &Value) -> Value {
    let template = &from["spec"]["jobTemplate"];
    let mut meta = json!({ "name": name, "annotations": { BY_HAND: "manual" } });
    for (key, text) in template["metadata"]["annotations"]
        .as_object()
        .into_iter()
        .flatten()
    {
        meta["annotations"][key] = text.clone();
    }
    if template["metadata"]["labels"].is_object() {
        meta["labels"] = template["metadata"]["labels"].clone();
    }
    meta["ownerReferences"] = json!([{
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "name": from["metadata"]["name"],
        "uid": from["metadata"]["uid"],
        "controller": true,
    }]);
    json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": template["spec"] })
}

#[derive(Debug, clap::Args)]
pub struct CronJob {
    /// Its name
    name: String,
    /// Its image
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// When it is run, as cron writes it
    #[arg(long, value_name = "TIMES")]
    schedule: Option<String>,
    /// What becomes of a pod that ends: OnFailure or Never [default: OnFailure]
    #[arg(
        long,
        value_name = "POLICY",
        default_value = "",
        hide_default_value = true
    )]
    restart: String,
    #[command(flatten)]
    making: Making,
    /// What is run instead of the image's command
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl CronJob {
    pub async fn run(self, session: &Session) -> Outcome {
        let image = required("image", self.image)?;
        let schedule = required("schedule", self.schedule)?;
        let restart = Some(self.restart.as_str()).filter(|policy| !policy.is_empty());
        let container = container(self.name.clone(), &image, &self.command);
        let pod = json!({
            "containers": [container],
            "restartPolicy": restart.unwrap_or("OnFailure"),
        });
        let object = json!({
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": { "name": self.name },
            "spec": {
                "schedule": schedule,
                "jobTemplate": {
                    "metadata": { "name": self.name },
                    "spec": { "template": { "metadata": {}, "spec": pod } },
                },
            },
        });
        self.making.run(session, object).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_has_what_its_cron_job_says_of_jobs() {
        let from = json!({
            "metadata": { "name": "tick", "uid": "u", "labels": { "own": "x" } },
            "spec": { "schedule": "* * * * *", "jobTemplate": {
                "metadata": { "name": "n", "labels": { "a": "b" }, "annotations": { "c": "d" } },
                "spec": { "backoffLimit": 3 },
            } },
        });
        let job = of_cron_job("now", &from);
        assert_eq!(
            job["metadata"],
            json!({
                "name": "now",
                "labels": { "a": "b" },
                "annotations": { "c": "d", BY_HAND: "manual" },
                "ownerReferences": [{
                    "apiVersion": "batch/v1", "kind": "CronJob", "name": "tick", "uid": "u",
                    "controller": true,
                }],
            })
        );
        assert_eq!(job["spec"], json!({ "backoffLimit": 3 }));
    }

    #[test]
    fn containers_are_called_as_their_images() {
        for (image, name) in [
            ("nginx", "nginx"),
            ("reg:5000/a/b:1", "b"),
            ("c@sha256:00", "c"),
            ("A_b/C.d_e:1", "c-d-e"),
        ] {
            assert_eq!(container_name(image), name, "{image}");
        }
    }
}

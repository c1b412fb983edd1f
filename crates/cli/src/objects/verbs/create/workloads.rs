//! Deployments, jobs, cron jobs and services, from flags.

use serde_json::{Value, json};

use super::Making;
use crate::error::CliError;
use crate::session::Session;
use crate::tree::{Entry, Outcome, noun, verb};

/// `weft create deployment`
pub const DEPLOYMENT: Entry = verb!(
    "deployment" | "deploy",
    Deployment,
    "Make a deployment of an image"
);
/// `weft create job`
pub const JOB: Entry = verb!("job", Job, "Make a job of an image");
/// `weft create cronjob`
pub const CRON_JOB: Entry = verb!("cronjob" | "cj", CronJob, "Make a cron job of an image");
/// `weft create service`
pub const SERVICE: Entry = noun!("service", &[CLUSTER_IP, NODE_PORT], "Make a service");
const CLUSTER_IP: Entry = verb!("clusterip", ClusterIp, "Make a service inside the cluster");
const NODE_PORT: Entry = verb!(
    "nodeport",
    NodePort,
    "Make a service on a port of each node"
);

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
    #[arg(long, value_name = "IMAGE", required = true, value_delimiter = ',')]
    image: Vec<String>,
    /// How many pods there are to be
    #[arg(short, long, value_name = "COUNT", default_value_t = 1)]
    replicas: u32,
    /// The port it listens at
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    #[command(flatten)]
    making: Making,
    /// What is run instead of the image's command
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Deployment {
    pub async fn run(self, session: &Session) -> Outcome {
        if self.image.len() > 1 && !self.command.is_empty() {
            return Err(CliError::usage(
                "cannot specify multiple --image options and command",
            ));
        }
        let mut containers = Vec::new();
        for image in &self.image {
            let mut one = container(container_name(image), image, &self.command);
            if let Some(port) = self.port.filter(|_| containers.is_empty()) {
                one["ports"] = json!([{ "containerPort": port }]);
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
    #[arg(long, value_name = "IMAGE")]
    image: String,
    #[command(flatten)]
    making: Making,
    /// What is run instead of the image's command
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Job {
    pub async fn run(self, session: &Session) -> Outcome {
        let container = container(self.name.clone(), &self.image, &self.command);
        let object = json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": { "name": self.name },
            "spec": { "template": { "spec": { "containers": [container], "restartPolicy": "Never" } } },
        });
        self.making.run(session, object).await
    }
}

#[derive(Debug, clap::Args)]
pub struct CronJob {
    /// Its name
    name: String,
    /// Its image
    #[arg(long, value_name = "IMAGE")]
    image: String,
    /// When it is run, as cron writes it
    #[arg(long, value_name = "TIMES")]
    schedule: String,
    /// What becomes of a pod that ends: OnFailure or Never
    #[arg(long, value_name = "POLICY", default_value = "OnFailure", value_parser = ["OnFailure", "Never"])]
    restart: String,
    #[command(flatten)]
    making: Making,
    /// What is run instead of the image's command
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl CronJob {
    pub async fn run(self, session: &Session) -> Outcome {
        let container = container(self.name.clone(), &self.image, &self.command);
        let pod = json!({ "containers": [container], "restartPolicy": self.restart });
        let object = json!({
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": { "name": self.name },
            "spec": {
                "schedule": self.schedule,
                "jobTemplate": {
                    "metadata": { "name": self.name },
                    "spec": { "template": { "spec": pod } },
                },
            },
        });
        self.making.run(session, object).await
    }
}

fn service(name: &str, kind: &str, tcp: &[String]) -> Result<Value, CliError> {
    let mut ports = Vec::new();
    for text in tcp {
        let (port, target) = text.split_once(':').unwrap_or((text, text));
        let wrong = || CliError::usage(format!("invalid port {text:?}: it is PORT[:TARGET]"));
        let port: u16 = port.parse().map_err(|_| wrong())?;
        let target: Value = match target.parse::<u16>() {
            Ok(number) => number.into(),
            Err(_) => target.into(),
        };
        let label = text.replace(':', "-");
        ports.push(json!({ "name": label, "port": port, "protocol": "TCP", "targetPort": target }));
    }
    let labels = json!({ "app": name });
    let mut object = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": name, "labels": labels },
        "spec": { "type": kind, "selector": labels },
    });
    if !ports.is_empty() {
        object["spec"]["ports"] = ports.into();
    }
    Ok(object)
}

#[derive(Debug, clap::Args)]
pub struct ClusterIp {
    /// Its name
    name: String,
    /// A port: PORT[:TARGET]
    #[arg(long, value_name = "PORT", value_delimiter = ',')]
    tcp: Vec<String>,
    /// Its address; None: it has none
    #[arg(long, value_name = "ADDRESS")]
    clusterip: Option<String>,
    #[command(flatten)]
    making: Making,
}

impl ClusterIp {
    pub async fn run(self, session: &Session) -> Outcome {
        if self.tcp.is_empty() && self.clusterip.as_deref() != Some("None") {
            return Err(CliError::usage(
                "at least one tcp port specifier must be provided",
            ));
        }
        let mut object = service(&self.name, "ClusterIP", &self.tcp)?;
        if let Some(address) = &self.clusterip {
            object["spec"]["clusterIP"] = address.as_str().into();
        }
        self.making.run(session, object).await
    }
}

#[derive(Debug, clap::Args)]
pub struct NodePort {
    /// Its name
    name: String,
    /// A port: PORT[:TARGET]
    #[arg(long, value_name = "PORT", required = true, value_delimiter = ',')]
    tcp: Vec<String>,
    /// The port of the nodes
    #[arg(long, value_name = "PORT")]
    node_port: Option<u16>,
    #[command(flatten)]
    making: Making,
}

impl NodePort {
    pub async fn run(self, session: &Session) -> Outcome {
        let mut object = service(&self.name, "NodePort", &self.tcp)?;
        if let Some(port) = self.node_port {
            object["spec"]["ports"][0]["nodePort"] = port.into();
        }
        self.making.run(session, object).await
    }
}

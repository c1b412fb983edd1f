//! Services and ingresses, from flags.

use serde_json::{Map, Value, json};
use weft_stdx::names;

use super::values::{self, Values};
use super::{Making, ingress, required};
use crate::error::CliError;
use crate::session::Session;
use crate::tree::{Entry, Outcome, noun, verb};

/// `weft create service`
pub const SERVICE: Entry = noun!(
    "service",
    &[CLUSTER_IP, NODE_PORT, LOAD_BALANCER, EXTERNAL_NAME],
    "Make a service"
)
.called("service", &["svc"]);
const CLUSTER_IP: Entry = verb!("clusterip", ClusterIp, "Make a service inside the cluster");
const NODE_PORT: Entry = verb!(
    "nodeport",
    NodePort,
    "Make a service on a port of each node"
);
const LOAD_BALANCER: Entry = verb!(
    "loadbalancer",
    LoadBalancer,
    "Make a service that a load balancer leads to"
);
const EXTERNAL_NAME: Entry = verb!(
    "externalname",
    ExternalName,
    "Make a service that is another name for a host"
);
/// `weft create ingress`
pub const INGRESS: Entry = verb!(
    "ingress" | "ing",
    Ingress,
    "Make an ingress: which hosts and paths lead to which services"
);

/// A port: `80`, `80:8080`, `80:http`.
fn port(text: &str) -> Result<Value, CliError> {
    let wrong = |why: &str| CliError::new(format!("invalid port {text:?}: {why}"));
    let (number, target) = text.split_once(':').unwrap_or((text, text));
    let number = number.parse::<u16>().ok().filter(|number| *number > 0);
    let number = number.ok_or_else(|| wrong("it is PORT[:TARGET], with a PORT of 1 to 65535"))?;
    let is_number = target.trim_start_matches('-').parse::<u64>().is_ok();
    let target: Value = match target.parse::<u16>() {
        Ok(port) if port > 0 => port.into(),
        _ if is_number => return Err(wrong("must be between 1 and 65535, inclusive")),
        _ => {
            ingress::port_name(target).map_err(wrong)?;
            target.into()
        }
    };
    let label = text.replace(':', "-");
    Ok(json!({ "name": label, "port": number, "protocol": "TCP", "targetPort": target }))
}

fn ports(tcp: &[Values]) -> Result<Vec<Value>, CliError> {
    values::all(tcp).iter().map(|text| port(text)).collect()
}

fn some_ports(tcp: &[Values]) -> Result<Vec<Value>, CliError> {
    match ports(tcp)? {
        ports if ports.is_empty() => Err(CliError::new(
            "at least one tcp port specifier must be provided",
        )),
        ports => Ok(ports),
    }
}

fn service(name: &str, kind: &str, ports: Vec<Value>) -> Value {
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
    object
}

#[derive(Debug, clap::Args)]
pub struct ClusterIp {
    /// Its name
    name: String,
    /// A port: PORT[:TARGET],...
    #[arg(long, value_name = "PORT")]
    tcp: Vec<Values>,
    /// Its address; None: it has none
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "",
        hide_default_value = true
    )]
    clusterip: String,
    #[command(flatten)]
    making: Making,
}

impl ClusterIp {
    pub async fn run(self, session: &Session) -> Outcome {
        let ports = match self.clusterip.as_str() {
            "None" => ports(&self.tcp)?,
            _ => some_ports(&self.tcp)?,
        };
        let mut object = service(&self.name, "ClusterIP", ports);
        if !self.clusterip.is_empty() {
            object["spec"]["clusterIP"] = self.clusterip.into();
        }
        self.making.run(session, object).await
    }
}

#[derive(Debug, clap::Args)]
pub struct NodePort {
    /// Its name
    name: String,
    /// A port: PORT[:TARGET],...
    #[arg(long, value_name = "PORT")]
    tcp: Vec<Values>,
    /// The port of the nodes (0: the server chooses one)
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    node_port: u16,
    #[command(flatten)]
    making: Making,
}

impl NodePort {
    pub async fn run(self, session: &Session) -> Outcome {
        let mut ports = some_ports(&self.tcp)?;
        if self.node_port > 0 {
            for port in &mut ports {
                port["nodePort"] = self.node_port.into();
            }
        }
        let object = service(&self.name, "NodePort", ports);
        self.making.run(session, object).await
    }
}

#[derive(Debug, clap::Args)]
pub struct LoadBalancer {
    /// Its name
    name: String,
    /// A port: PORT[:TARGET],...
    #[arg(long, value_name = "PORT")]
    tcp: Vec<Values>,
    #[command(flatten)]
    making: Making,
}

impl LoadBalancer {
    pub async fn run(self, session: &Session) -> Outcome {
        let object = service(&self.name, "LoadBalancer", some_ports(&self.tcp)?);
        self.making.run(session, object).await
    }
}

#[derive(Debug, clap::Args)]
pub struct ExternalName {
    /// Its name
    name: String,
    /// The host that it is a name for
    #[arg(long, value_name = "HOST")]
    external_name: Option<String>,
    /// A port: PORT[:TARGET],...
    #[arg(long, value_name = "PORT")]
    tcp: Vec<Values>,
    #[command(flatten)]
    making: Making,
}

impl ExternalName {
    pub async fn run(self, session: &Session) -> Outcome {
        let host = required("external-name", self.external_name)?;
        names::dns_subdomain(&host)
            .map_err(|why| CliError::new(format!("invalid service external name {host}: {why}")))?;
        let mut object = service(&self.name, "ExternalName", ports(&self.tcp)?);
        object["spec"]["externalName"] = host.into();
        self.making.run(session, object).await
    }
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "A path that ends with * means all below it, too, and any other means itself alone. \
                  ,tls asks for encryption with the certificate that the ingress class has, \
                  ,tls=SECRET with that of a secret: --rule 'shop.example/api*=api:8080,tls=shop-cert'"
)]
pub struct Ingress {
    /// Its name
    name: String,
    /// Its class
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    class: String,
    /// What leads where: [HOST]/PATH[*]=SERVICE:PORT[,tls[=SECRET]]
    #[arg(long, value_name = "RULE")]
    rule: Vec<String>,
    /// Where everything else leads: SERVICE:PORT
    #[arg(
        long,
        value_name = "SERVICE:PORT",
        default_value = "",
        hide_default_value = true
    )]
    default_backend: String,
    /// An annotation: KEY=TEXT
    #[arg(long, value_name = "KEY=TEXT")]
    annotation: Vec<String>,
    #[command(flatten)]
    making: Making,
}

impl Ingress {
    fn annotations(&self) -> Result<Map<String, Value>, CliError> {
        let pair = |text: &String| {
            let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
            let pair = pair.map(|(key, value)| (key.to_owned(), value.into()));
            pair.ok_or_else(|| {
                CliError::new(format!(
                    "annotation {text} is invalid and should be in format key=[value]"
                ))
            })
        };
        self.annotation.iter().map(pair).collect()
    }

    pub async fn run(self, session: &Session) -> Outcome {
        if self.rule.is_empty() && self.default_backend.is_empty() {
            return Err(CliError::new(
                "not enough information provided: every ingress has to either specify a default-backend (which catches all traffic) or a list of rules (which catch specific paths)",
            ));
        }
        let mut spec = ingress::spec(&self.rule).map_err(CliError::new)?;
        if !self.default_backend.is_empty() {
            spec["defaultBackend"] = ingress::backend(&self.default_backend).map_err(|why| {
                CliError::new(format!(
                    "default-backend should be in format servicename:serviceport: {why}"
                ))
            })?;
        }
        if !self.class.is_empty() {
            spec["ingressClassName"] = self.class.as_str().into();
        }
        let mut object = json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": { "name": self.name },
            "spec": spec,
        });
        let annotations = self.annotations()?;
        if !annotations.is_empty() {
            object["metadata"]["annotations"] = annotations.into();
        }
        self.making.run(session, object).await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_kubectls_or_refused() {
        for (text, name, target) in [
            ("80", "80", json!(80)),
            ("80:8080", "80-8080", json!(8080)),
            ("80:http", "80-http", json!("http")),
        ] {
            let port = port(text).unwrap();
            assert_eq!(port["name"], name);
            assert_eq!(port["targetPort"], target);
            assert_eq!(port["port"], 80);
        }
        for (text, why) in [
            ("", "it is PORT[:TARGET]"),
            ("a", "it is PORT[:TARGET]"),
            (":80", "it is PORT[:TARGET]"),
            ("0", "it is PORT[:TARGET]"),
            ("-1", "it is PORT[:TARGET]"),
            ("70000", "it is PORT[:TARGET]"),
            ("80:", "must contain at least one letter"),
            ("80:0", "must be between 1 and 65535"),
            ("80:-1", "must be between 1 and 65535"),
            ("80:70000", "must be between 1 and 65535"),
            ("80:HTTP", "must contain only alpha-numeric"),
            ("80:a_b", "must contain only alpha-numeric"),
            ("80:8080:1", "must contain only alpha-numeric"),
            ("80:abcdefghijklmnop", "must be no more than 15"),
        ] {
            let said = port(text).unwrap_err();
            assert!(said.message().contains(why), "{text}: {said}");
            assert!(said.message().starts_with("invalid port"), "{text}: {said}");
        }
    }
}

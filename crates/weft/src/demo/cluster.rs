//! The demo's second act: the same engine behind the Kubernetes API, as a cluster of one.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result};

use super::stage::Stage;
use super::{IMAGE, NAME};

/// The image as pods call it: one called `latest` is asked of a registry each time.
const TAGGED: &str = "weft-demo:1";
/// What is deployed: a page that says who shows it.
const PAGE: &str =
    "<h1>pod {{ .pod.name }} of node {{ .node.name }}, mood {{ env \\\"MOOD\\\" }}</h1>\\n";

/// What pods are told that find no node.
const WAITING: [&str; 4] = [
    "get",
    "pods",
    "-o",
    "jsonpath={.items[*].status.conditions[?(@.reason==\"Unschedulable\")].message}",
];

pub fn play(stage: &Stage) -> Result<()> {
    stage.say("A cluster of one machine: one description, and a page that is made for its pod.");
    stage.weft(&["tag", IMAGE, TAGGED])?;
    stage.end_engine_now()?;
    stage.start_server()?;
    let port = free_port()?;
    let file = stage.dir().join("web.json");
    let text = format!(
        "{{\n  \"name\": \"{NAME}\",\n  \"image\": \"{TAGGED}\",\n  \"env\": {{ \"MOOD\": \"sunny\" }},\n  \
         \"templates\": [{{ \"content\": \"{PAGE}\", \"destination\": \"/www/index.html\" }}],\n  \
         \"ports\": [{{ \"host_ip\": \"127.0.0.1\", \"host_port\": {port}, \"container_port\": 80 }}]\n}}\n"
    );
    std::fs::write(&file, &text).with_context(|| format!("write {}", file.display()))?;
    stage.show("cat web.json", &text);
    let file = file.to_string_lossy();
    stage.weft(&["deploy", &file, "--wait"])?;
    let address = format!("127.0.0.1:{port}");
    stage.fetch(&address)?;
    stage.weft(&["get", "deployments,pods,services", "-o", "wide"])?;
    stage.weft(&["logs", "deploy/web"])?;
    stage.weft(&["top", "pods"])?;

    stage.say("Two of them cannot have one port of the machine, and weft says so.");
    stage.weft(&["scale", "deployment/web", "--replicas=2"])?;
    stage.until("the second pod finds no node", &WAITING, |said| {
        !said.is_empty()
    })?;
    stage.weft(&["why", "deployment/web"])?;
    stage.weft(&["scale", "deployment/web", "--replicas=1"])?;

    stage.say("The server may die, too: what it ran goes on, and the next one knows it.");
    stage.kill_engine()?;
    stage.fetch(&address)?;
    stage.start_server()?;
    stage.weft(&["why", "deployment/web"])?;

    stage.say("And everything away again.");
    stage.weft(&["undeploy", NAME])?;
    let left = ["get", "pods", "-o", "name"];
    stage.until("its pods are gone", &left, str::is_empty)
}

/// One that nobody has now.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
    Ok(listener.local_addr()?.port())
}

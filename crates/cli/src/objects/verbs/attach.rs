//! `weft attach` to a container of a pod: `pod/NAME`, or through what has pods.

use weft_client::Request;

use super::exec::StreamFlags;
use crate::error::CliError;
use crate::objects::connect::{Api, Connect};
use crate::objects::pods;
use crate::objects::pods::channels::End;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!(
    "attach",
    Args,
    "Attach to a running container of a pod: weft attach TYPE/NAME"
);

/// Flags of `attach`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Pod, or TYPE/NAME of what has pods
    #[arg(value_name = "POD")]
    word: String,
    #[command(flatten)]
    streams: StreamFlags,
    #[command(flatten)]
    connect: Connect,
}

impl Args {
    /// Attaches until the container's process ends.
    pub async fn run(self, session: &Session) -> Outcome {
        let api = Api::open(&self.connect, session)?;
        let flags = &self.streams;
        let object = pods::named(&api, &self.word).await?;
        let pod = flags.pod(&api, object, "attach").await?;
        let (name, namespace) = pods::place(&pod);
        let chosen = pods::container(&pod, flags.container.as_deref(), flags.quiet, api.printer)?;
        let container = pods::name(chosen);
        // What has a terminal speaks as one, asked for or not.
        let tty = chosen["tty"] == true;
        if flags.tty && !tty && !flags.quiet {
            api.printer.talk(&format!(
                "weft: container {container} has no terminal: -t is left out"
            ));
        }
        let path = pods::path(namespace, &[name, "attach"]);
        let what = format!("attach to pod/{name}");
        let request = Request::get(what, &path).query("container", container);
        let staged = flags.process(&api, request, tty)?;
        if flags.stdin && !flags.quiet && !api.cluster.is_explaining() {
            api.printer.talk("Press enter if no prompt shows.\r");
        }
        let end = staged.run(&api).await?;
        let goes_on = pod["spec"]["restartPolicy"].as_str().unwrap_or("Always") == "Always";
        if flags.stdin && tty && goes_on && !flags.quiet {
            api.printer.talk(&format!(
                "The session has ended: `weft attach -it pod/{name} -c {container}` joins the next run."
            ));
        }
        match end {
            End::Exit(0) => Ok(0),
            End::Exit(code) => {
                if !flags.quiet {
                    api.printer
                        .talk(&format!("command terminated with exit code {code}"));
                }
                Err(CliError::silent(code))
            }
            End::Failed(error) => Err(error),
        }
    }
}

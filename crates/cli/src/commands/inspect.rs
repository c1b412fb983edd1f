//! `weft inspect`, and `inspect` below the nouns.

use serde_json::Value;
use weft_client::{Client, ClientError};

use crate::error::{CliError, EXIT_FAILED};
use crate::render::template;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// What kind of thing a name may be of, in the order of looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A container.
    Container,
    /// An image.
    Image,
    /// A network.
    Network,
    /// A volume.
    Volume,
}

impl Kind {
    const ALL: [Kind; 4] = [Kind::Container, Kind::Image, Kind::Network, Kind::Volume];

    fn word(self) -> &'static str {
        match self {
            Kind::Container => "container",
            Kind::Image => "image",
            Kind::Network => "network",
            Kind::Volume => "volume",
        }
    }

    async fn inspect(self, engine: &Client, name: &str, size: bool) -> Result<Value, ClientError> {
        match self {
            Kind::Container => engine.inspect_container_raw(name, size).await,
            Kind::Image => engine.inspect_image_raw(name).await,
            Kind::Network => engine.inspect_network_raw(name).await,
            Kind::Volume => engine.inspect_volume_raw(name).await,
        }
    }
}

/// Flags that every `inspect` has.
#[derive(Debug, clap::Args)]
pub struct InspectFlags {
    /// Format: json, or a Go template
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Names or ids
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

/// The command.
pub const VERB: Entry = verb!("inspect", Args, "Show everything about objects, as JSON");

/// Flags of `inspect`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only look for this kind of thing
    #[arg(long, value_name = "TYPE", value_parser = ["container", "image", "network", "volume"])]
    r#type: Option<String>,
    /// Show how much containers take up on disk
    #[arg(short, long)]
    size: bool,
    #[command(flatten)]
    flags: InspectFlags,
}

impl Args {
    /// Shows the things.
    pub async fn run(self, session: &Session) -> Outcome {
        let kinds: Vec<Kind> = Kind::ALL
            .into_iter()
            .filter(|kind| {
                self.r#type
                    .as_deref()
                    .is_none_or(|word| word == kind.word())
            })
            .collect();
        inspect(session, &self.flags, &kinds, self.size).await
    }
}

/// Flags of `container inspect`.
#[derive(Debug, clap::Args)]
pub struct ContainerArgs {
    /// Show how much they take up on disk
    #[arg(short, long)]
    size: bool,
    #[command(flatten)]
    flags: InspectFlags,
}

impl ContainerArgs {
    /// Shows the containers.
    pub async fn run(self, session: &Session) -> Outcome {
        inspect(session, &self.flags, &[Kind::Container], self.size).await
    }
}

macro_rules! of_one_kind {
    ($name:ident, $kind:ident, $doc:literal) => {
        #[doc = $doc]
        #[derive(Debug, clap::Args)]
        pub struct $name {
            #[command(flatten)]
            flags: InspectFlags,
        }

        impl $name {
            /// Shows the things.
            pub async fn run(self, session: &Session) -> Outcome {
                inspect(session, &self.flags, &[Kind::$kind], false).await
            }
        }
    };
}

of_one_kind!(ImageArgs, Image, "Flags of `image inspect`.");
of_one_kind!(NetworkArgs, Network, "Flags of `network inspect`.");
of_one_kind!(VolumeArgs, Volume, "Flags of `volume inspect`.");

async fn inspect(session: &Session, flags: &InspectFlags, kinds: &[Kind], size: bool) -> Outcome {
    let engine = session.engine().await?;
    let template = match flags.format.as_deref() {
        None | Some("json") => None,
        Some(format) => Some(template::parse(format)?),
    };
    let mut found = Vec::new();
    let mut code = 0;
    for name in &flags.names {
        match find(engine, name, kinds, size).await {
            Ok(value) => found.push(value),
            Err(error) if error.code() == 0 => return Ok(0),
            Err(error) => {
                session.printer.error(&error);
                code = EXIT_FAILED;
            }
        }
    }
    match (&template, flags.format.is_some()) {
        (Some(template), _) => {
            for value in &found {
                session.printer.line(&template.render(value)?)?;
            }
        }
        (None, true) => session.printer.line(&Value::Array(found).to_string())?,
        (None, false) => session.printer.json(&found)?,
    }
    Ok(code)
}

async fn find(engine: &Client, name: &str, kinds: &[Kind], size: bool) -> Result<Value, CliError> {
    let mut missing = None;
    for kind in kinds {
        match kind.inspect(engine, name, size).await {
            Ok(value) => return Ok(value),
            Err(error) if error.is_not_found() => missing = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    match missing {
        Some(error) if kinds.len() == 1 => Err(error.into()),
        _ => Err(CliError::new(format!("no such object: {name}"))),
    }
}

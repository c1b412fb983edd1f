//! runc's words.
//!
//! Never: a flag that has no effect. What runc has and weft does not do is not here, or is refused
//! by name.

mod plain;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Where state is kept unless told otherwise.
const ROOT: &str = "/run/weft/oci";

/// The container runtime of weft, with runc's command line.
#[derive(Debug, Parser)]
#[command(name = "weft oci", version, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    pub globals: Globals,
    #[command(subcommand)]
    pub command: Command,
}

/// Flags before the command.
#[derive(Args, Debug)]
pub struct Globals {
    /// Where the state of containers is kept; should be on tmpfs
    #[arg(long, default_value = ROOT)]
    pub root: PathBuf,
    /// Also write errors to this file
    #[arg(long)]
    pub log: Option<PathBuf>,
    /// Format of that file
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Refused: weft does not ask systemd for cgroups
    #[arg(long)]
    pub systemd_cgroup: bool,
}

impl Cli {
    /// Reads the words after `weft oci`. What runc's callers write, they get without clap: to build
    /// its command costs as much as the mounts. Everything else, help and mistakes are clap's.
    pub fn parse_words(words: &[OsString]) -> Result<Cli, clap::Error> {
        let argv = std::iter::once(OsString::from("weft oci")).chain(words.iter().cloned());
        plain::read(words).map_or_else(|| Cli::try_parse_from(argv), Ok)
    }
}

/// Formats of the log file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// logfmt
    Text,
    /// One object a line
    Json,
}

/// Formats of lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// Columns
    Table,
    /// An array
    Json,
}

/// Commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a container; its program does not run yet
    Create(CreateFlags),
    /// Run the program of a created container
    Start {
        /// The container
        id: String,
    },
    /// Create and start a container
    Run(RunFlags),
    /// Run a further process in a container
    Exec(ExecFlags),
    /// Print the state of a container as JSON
    State {
        /// The container
        id: String,
    },
    /// List containers
    List {
        /// table or json
        #[arg(short, long, value_enum, default_value_t = ListFormat::Table)]
        format: ListFormat,
        /// Ids only
        #[arg(short, long)]
        quiet: bool,
    },
    /// List the processes of a container by their host numbers
    Ps {
        /// table or json
        #[arg(short, long, value_enum, default_value_t = ListFormat::Table)]
        format: ListFormat,
        /// The container
        id: String,
    },
    /// Send a signal to a container's init
    Kill {
        /// To all processes of the container
        #[arg(short, long)]
        all: bool,
        /// The container
        id: String,
        /// By name or number
        #[arg(default_value = "SIGTERM")]
        signal: String,
    },
    /// Remove what a container leaves
    Delete {
        /// End it first if it runs; one that does not exist is no error
        #[arg(short, long)]
        force: bool,
        /// The container
        id: String,
    },
    /// Freeze a container
    Pause {
        /// The container
        id: String,
    },
    /// Thaw a container
    Resume {
        /// The container
        id: String,
    },
}

/// Flags of create.
#[derive(Args, Debug)]
pub struct CreateFlags {
    /// The container directory; the working directory by default
    #[arg(short, long)]
    pub bundle: Option<PathBuf>,
    /// A unix socket that gets the terminal's master
    #[arg(long)]
    pub console_socket: Option<PathBuf>,
    /// Write init's number there
    #[arg(long)]
    pub pid_file: Option<PathBuf>,
    /// Refused: weft always pivots
    #[arg(long)]
    pub no_pivot: bool,
    /// Pass this many descriptors on, from 3
    #[arg(long, default_value_t = 0)]
    pub preserve_fds: u32,
    /// A name for the container
    pub id: String,
}

/// Flags of run.
#[derive(Args, Debug)]
pub struct RunFlags {
    #[command(flatten)]
    pub create: CreateFlags,
    /// Do not wait for it
    #[arg(short, long)]
    pub detach: bool,
    /// Keep the container after its end
    #[arg(long)]
    pub keep: bool,
}

/// Flags of exec.
#[derive(Args, Debug)]
pub struct ExecFlags {
    /// A file with the process as JSON
    #[arg(short, long, conflicts_with_all = ["tty", "user", "cwd", "env", "cap", "no_new_privs"])]
    pub process: Option<PathBuf>,
    /// A unix socket that gets the terminal's master
    #[arg(long)]
    pub console_socket: Option<PathBuf>,
    /// Give it a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// UID[:GID]
    #[arg(short, long)]
    pub user: Option<String>,
    /// Supplementary groups
    #[arg(short = 'g', long, value_delimiter = ',')]
    pub additional_gids: Vec<u32>,
    /// Working directory in the container
    #[arg(long)]
    pub cwd: Option<PathBuf>,
    /// NAME=value
    #[arg(short, long)]
    pub env: Vec<String>,
    /// Do not wait for it
    #[arg(short, long)]
    pub detach: bool,
    /// Write its number there
    #[arg(long)]
    pub pid_file: Option<PathBuf>,
    /// Give it more capabilities
    #[arg(short, long)]
    pub cap: Vec<String>,
    /// Let it never gain privileges
    #[arg(long)]
    pub no_new_privs: bool,
    /// Also in a frozen container
    #[arg(long)]
    pub ignore_paused: bool,
    /// The container
    pub id: String,
    /// Program and arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<String>,
}

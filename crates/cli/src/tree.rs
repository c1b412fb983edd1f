//! The tree of commands: names, what they are for, and how to get from words to a running command.
//!
//! ```text
//!   argv ── first word known? ──▶ tree with that command only ──▶ parsed ──▶ run
//!                 │ no, or that fails, or help                       ▲
//!                 └──────────▶ whole tree (suggestions, help) ───────┘
//! ```
//! Definitions of flags are built for the chosen command only, and for `run` only the topics that
//! occur: starting fast is what it is measured by. What the commands do is in `commands`.

use std::ffi::OsString;
use std::mem::ManuallyDrop;

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::error::{CliError, from_clap};
use crate::printer::Printer;
use crate::session::Session;
use crate::settings::{Flags, Settings};

/// How a command ends: an exit code or an error.
pub type Outcome = Result<u8, CliError>;

/// One command of the tree.
#[derive(Clone, Copy)]
pub struct Entry {
    /// What is typed.
    pub name: &'static str,
    /// Other spellings.
    pub aliases: &'static [&'static str],
    /// One line for the list.
    pub about: &'static str,
    /// Adds flags, arguments or further commands.
    pub define: fn(Command) -> Command,
    /// The same for those with very many: adds at least what the words given ask for.
    pub quick: Option<fn(Command, &[OsString]) -> Command>,
    /// What it is.
    pub kind: Kind,
}

/// What an entry is.
#[derive(Clone, Copy)]
pub enum Kind {
    /// A command to run.
    Verb(fn(&ArgMatches, &Session) -> Outcome),
    /// A noun with commands below it.
    Noun(&'static [Entry]),
}

impl Entry {
    /// Whether it is typed so.
    pub fn is_called(&self, word: &str) -> bool {
        self.name == word || self.aliases.contains(&word)
    }

    /// The same command, as it is called below a noun.
    pub const fn called(self, name: &'static str, aliases: &'static [&'static str]) -> Self {
        Self {
            name,
            aliases,
            ..self
        }
    }
}

/// A verb: its type has `run(self, &Session) -> Outcome`, async.
macro_rules! verb {
    ($name:literal $(| $alias:literal)*, $args:ty, $about:literal) => {
        $crate::tree::Entry {
            name: $name,
            aliases: &[$($alias),*],
            about: $about,
            // The type's own documentation is for its reader, not for the command's user.
            define: |command| {
                let command = <$args as clap::Args>::augment_args(command).about($about);
                $crate::tree::with_any_values(command)
            },
            quick: None,
            kind: $crate::tree::Kind::Verb(|matches, session| {
                let args = <$args as clap::FromArgMatches>::from_arg_matches(matches)
                    .map_err(|error| $crate::error::from_clap(&error, concat!("weft ", $name)))?;
                $crate::tree::block_on(args.run(session))
            }),
        }
    };
}
pub(crate) use verb;

/// A noun, which does nothing without one of the commands below it.
macro_rules! noun {
    ($name:literal, $entries:expr, $about:literal) => {
        $crate::tree::Entry {
            name: $name,
            aliases: &[],
            about: $about,
            define: |command| {
                let command = command
                    .subcommand_required(true)
                    .arg_required_else_help(true);
                $crate::tree::add(command, $entries)
            },
            quick: None,
            kind: $crate::tree::Kind::Noun($entries),
        }
    };
}
pub(crate) use noun;

/// Runs a command's future on a runtime made for it.
pub fn block_on(future: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::because("start the event loop", &error))?;
    // Nothing that still runs matters afterwards: it ends with the process.
    ManuallyDrop::new(runtime).block_on(future)
}

/// Commands that are not of this crate: they are chosen before anything else is done.
const ELSEWHERE: &str = "\
Also:
  demo        Show what weft does, with no network needed
  engine      Run the engine in the foreground; other commands start it by themselves
  server      Run the engine and a control plane that kubectl can talk to
  kubeconfig  Print a kubeconfig for this machine's server
  system restore
              Make a server of a backup, where none runs
  oci         Run containers from OCI bundles, with runc's names and flags

`weft COMMAND --help` tells more about a command.";

/// Heading of the flags that every command has.
const GLOBAL: &str = "Global options";

/// The whole program's command, with the given entries.
pub fn root(entries: &[Entry]) -> Command {
    let root = Command::new("weft")
        .about("Runs containers on one machine")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_subcommand(false)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .max_term_width(100)
        // The last one counts, as with docker and kubectl.
        .args_override_self(true)
        .after_help(ELSEWHERE)
        .arg(option(
            "config",
            "FILE",
            "Configuration file [default: /etc/weft/weft.toml]",
        ))
        .arg(option(
            "data-dir",
            "DIR",
            "Directory of images, containers and volumes",
        ))
        .arg(option("run-dir", "DIR", "Directory of sockets"))
        .arg(option("host", "SOCKET", "The engine's socket (unix:///path)").short('H'))
        .arg(
            Arg::new("curl")
                .long("curl")
                .global(true)
                .action(ArgAction::SetTrue)
                .help_heading(GLOBAL)
                .help("Print the requests as curl commands instead of sending them"),
        );
    add(root, entries)
}

/// How many words an option of every command and its value are, if `word` is one.
pub fn is_global(word: &str) -> Option<usize> {
    let name = word.split_once('=').map_or(word, |(name, _)| name);
    match name {
        "--curl" => Some(1),
        "--config" | "--data-dir" | "--run-dir" | "--host" | "-H" if name == word => Some(2),
        "--config" | "--data-dir" | "--run-dir" | "--host" | "-H" => Some(1),
        _ => None,
    }
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name(value)
        .help(help)
        .help_heading(GLOBAL)
        .global(true)
}

/// Adds `entries` below `command`; their definitions are made when needed.
pub fn add(mut command: Command, entries: &[Entry]) -> Command {
    for entry in entries {
        let mut sub = Command::new(entry.name)
            .about(entry.about)
            .defer(entry.define);
        for alias in entry.aliases {
            sub = sub.alias(*alias);
        }
        command = command.subcommand(sub);
    }
    command
}

/// Parses `args` (without the program's name) against `entries` and runs what they say.
pub fn run(entries: &'static [Entry], args: &[OsString], printer: Printer) -> Outcome {
    let matches = match parse(entries, args) {
        Ok(matches) => ManuallyDrop::new(matches),
        Err(error) => return complain(&error, args, printer),
    };
    let flags = Flags {
        config: matches.get_one::<String>("config").map(Into::into),
        data_dir: matches.get_one::<String>("data-dir").map(Into::into),
        run_dir: matches.get_one::<String>("run-dir").map(Into::into),
        host: matches.get_one::<String>("host").cloned(),
        ..Flags::default()
    };
    let settings = Settings::resolve(&flags, &|name| std::env::var_os(name))?;
    let session = Session::new(settings, printer, matches.get_flag("curl"));
    // Its connections end with the process, too.
    let session = ManuallyDrop::new(session);
    let outcome = dispatch(entries, &matches, &session);
    session.warnings.over(outcome)
}

fn dispatch(entries: &'static [Entry], matches: &ArgMatches, session: &Session) -> Outcome {
    let (name, below) = matches.subcommand().expect("a subcommand is required");
    let entry = find(entries, name).expect("clap knows only our entries");
    match entry.kind {
        Kind::Verb(run) => run(below, session),
        Kind::Noun(entries) => dispatch(entries, below, session),
    }
}

fn find(entries: &'static [Entry], name: &str) -> Option<&'static Entry> {
    entries.iter().find(|entry| entry.is_called(name))
}

/// Parses with as little of the tree as possible.
pub fn parse(entries: &'static [Entry], args: &[OsString]) -> Result<ArgMatches, clap::Error> {
    let argv = || std::iter::once(OsString::from("weft")).chain(args.iter().cloned());
    let first = args.iter().find_map(|arg| {
        let text = arg.to_str()?;
        if text.starts_with('-') {
            None
        } else {
            find(entries, text)
        }
    });
    if let Some(entry) = first {
        let command = match entry.quick {
            Some(quick) => {
                let command = quick(Command::new(entry.name), args);
                root(&[]).subcommand(with_any_values(command))
            }
            None => root(std::slice::from_ref(entry)),
        };
        // To take a hundred flags apart again takes as long as to parse them.
        let mut command = ManuallyDrop::new(command);
        if let Ok(matches) = command.try_get_matches_from_mut(argv()) {
            return Ok(matches);
        }
    }
    let error = match root(entries).try_get_matches_from(argv()) {
        Ok(matches) => return Ok(matches),
        Err(error) => error,
    };
    // `--rm=true`: what docker takes, and rare enough to be looked at only now.
    if error.kind() == clap::error::ErrorKind::TooManyValues
        && let Ok(matches) = with_switch_values(root(entries)).try_get_matches_from(argv())
    {
        return Ok(matches);
    }
    Err(error)
}

/// What follows an option that wants a value is its value, as docker has it: `-e -x`, `-m -1`.
pub(crate) fn with_any_values(command: Command) -> Command {
    command.mut_args(|arg| {
        let wants = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
        if wants && !arg.is_positional() && !arg.is_require_equals_set() {
            return arg.allow_hyphen_values(true);
        }
        arg
    })
}

/// Lets every switch take `=true` or `=false`.
fn with_switch_values(mut command: Command) -> Command {
    command.build();
    let command = command.mut_args(|arg| {
        if !matches!(arg.get_action(), ArgAction::SetTrue) {
            return arg;
        }
        arg.action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .default_value("false")
            .value_parser(clap::value_parser!(bool))
    });
    command.mut_subcommands(with_switch_values)
}

/// Help and version are answers; everything else is wrong usage.
fn complain(error: &clap::Error, args: &[OsString], printer: Printer) -> Outcome {
    use clap::error::ErrorKind;
    match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            printer.data(&error.render().to_string())?;
            Ok(0)
        }
        _ => Err(from_clap(error, &command_name(args))),
    }
}

/// The words of `args` that are commands, for messages.
fn command_name(args: &[OsString]) -> String {
    let mut name = String::from("weft");
    let mut entries = crate::commands::entries(args);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let Some(text) = arg.to_str() else { break };
        match find(entries, text) {
            Some(entry) => {
                name.push(' ');
                name.push_str(entry.name);
                match entry.kind {
                    Kind::Noun(below) => entries = below,
                    Kind::Verb(_) => break,
                }
            }
            None if is_global(text) == Some(2) => drop(args.next()),
            None if text.starts_with('-') => {}
            None => break,
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;

    use super::*;
    use crate::commands::{ENTRIES, create, run};

    /// Help of a command and of all below it.
    fn help(path: &str, command: &mut Command, out: &mut String) {
        out.push_str(&format!("==== {path}\n{}\n", command.render_help()));
        for sub in command.get_subcommands_mut() {
            if sub.get_name() == "help" {
                continue;
            }
            let path = format!("{path} {}", sub.get_name());
            help(&path, sub, out);
        }
    }

    #[test]
    fn help_is_what_it_was() {
        let mut root = root(ENTRIES).term_width(100);
        root.build();
        let mut text = String::new();
        help("weft", &mut root, &mut text);
        for entry in crate::objects::verbs::AMBIGUOUS {
            let mut root = super::root(&[entry]).term_width(100);
            root.build();
            for sub in root
                .get_subcommands_mut()
                .filter(|sub| sub.get_name() == entry.name)
            {
                help(&format!("weft {} (objects)", entry.name), sub, &mut text);
            }
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/help.txt");
        if std::env::var_os("WEFT_UPDATE_TESTDATA").is_some() {
            std::fs::write(path, &text).unwrap();
        }
        let before = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            text == before,
            "help has changed: look at `git diff` after WEFT_UPDATE_TESTDATA=1 cargo test -p weft-cli"
        );
    }

    #[test]
    fn definitions_agree_with_themselves() {
        root(ENTRIES).debug_assert();
        for entry in crate::objects::verbs::AMBIGUOUS {
            root(&[entry]).debug_assert();
        }
    }

    #[test]
    fn a_value_may_begin_with_a_hyphen() {
        let args = ["run", "-e", "-A=1", "--init", "-d", "busybox", "-x"].map(OsString::from);
        let matches = parse(ENTRIES, &args).expect("docker takes it");
        let (_, run) = matches.subcommand().unwrap();
        assert!(run.get_flag("detach"));
        let env: Vec<&String> = run.get_many("env").unwrap().collect();
        assert_eq!(env, ["-A=1"]);
    }

    #[test]
    fn what_is_read_quickly_is_what_is_read_from_all_flags() {
        for line in [
            "run --rm --network none b true",
            "create -it --name x -m 5m --health-cmd y -v a:b --cap-add ALL --device /d b",
            "run -d -p 80:80 --pull=never --sig-proxy=false b --memory 5",
            "run -e --memory b",
            "run --memory",
            "run b",
            "create",
            "run --nope b",
        ] {
            let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            let argv = std::iter::once(OsString::from("weft")).chain(args.iter().cloned());
            let shown = |matches: Result<ArgMatches, clap::Error>| {
                let matches = matches.map_err(|error| error.render().to_string())?;
                let (name, below) = matches.subcommand().unwrap();
                let show = match name {
                    "run" => format!("{:?}", run::Args::from_arg_matches(below)),
                    _ => format!("{:?}", create::Args::from_arg_matches(below)),
                };
                Ok::<String, String>(show)
            };
            let quick = parse(ENTRIES, &args);
            let whole = root(ENTRIES).try_get_matches_from(argv);
            assert_eq!(shown(quick), shown(whole), "{line}");
        }
    }

    fn complaint(line: &str) -> String {
        let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let error = parse(ENTRIES, &args).expect_err(line);
        from_clap(&error, &command_name(&args)).render()
    }

    #[test]
    fn wrong_usage_is_one_line_and_what_to_do() {
        for (line, expect) in [
            (
                "--data-dir /x --run-dir=/y logs",
                "weft: weft logs requires <CONTAINER>\nhint: `weft logs --help` lists what there is\n",
            ),
            (
                "ps --nope",
                "weft: unknown flag or argument: --nope\nhint: `weft ps --help` lists what there is\n",
            ),
            (
                "network ls --fliter x=y",
                "weft: unknown flag or argument: --fliter\nhint: did you mean --filter?\nhint: `weft network ls --help` lists what there is\n",
            ),
            (
                "container pss",
                "weft: unknown command: weft container pss\nhint: did you mean ps?\nhint: `weft container --help` lists what there is\n",
            ),
            (
                "rm",
                "weft: weft rm requires <CONTAINER>...\nhint: `weft rm --help` lists what there is\n",
            ),
            (
                "run -m",
                "weft: flag needs an argument: --memory\nhint: `weft run --help` lists what there is\n",
            ),
            (
                "run --pids-limit many x",
                "weft: invalid argument \"many\" for \"--pids-limit\" flag: it is not a whole number\nhint: `weft run --help` lists what there is\n",
            ),
            (
                "run --env= x",
                "weft: invalid argument \"\" for \"--env\" flag: invalid environment variable: it has no name\nhint: `weft run --help` lists what there is\n",
            ),
            (
                "exec box",
                "weft: weft exec requires <CONTAINER> <COMMAND>...\nhint: `weft exec --help` lists what there is\n",
            ),
        ] {
            assert_eq!(complaint(line), expect, "{line}");
        }
    }

    #[test]
    fn switches_take_values_as_dockers_do() {
        let parsed = |line: &str| {
            let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            let matches = parse(ENTRIES, &args).unwrap();
            let (mut name, mut run) = matches.subcommand().unwrap();
            if name == "container" {
                (name, run) = run.subcommand().unwrap();
            }
            assert_eq!(name, "run");
            // What was not asked for is not even defined.
            let given = |flag| run.try_get_one::<bool>(flag).ok().flatten() == Some(&true);
            ["rm", "tty", "interactive", "detach"].map(given)
        };
        assert_eq!(parsed("run -it b"), [false, true, true, false]);
        assert_eq!(
            parsed("run --rm=true -t=false -di b"),
            [true, false, true, true]
        );
        assert_eq!(
            parsed("container run --rm b --rm=x"),
            [true, false, false, false]
        );
    }
}

//! `weft oci`: the runtime behind runc's command line, for runc's callers.
//!
//! Owns: runc's flags, exit codes, what is printed, and `--log`. One thread, no daemon.
//! Never: accepts a flag without doing what it says.

mod console;
mod flags;
mod list;
mod log;
mod process;

use std::error::Error;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use weft_runtime::launch::{Created, Running};
use weft_runtime::oci::{Bundle, Container, CreateOptions, Fresh, OciError, Root, protect};

use flags::{Cli, Command, CreateFlags, RunFlags};

/// What a command failed with: the runtime's error, or one of the command line's own.
type Failure = Box<dyn Error>;

/// Exit code of a failure that is not the workload's own, as runc's.
const FAILED: u8 = 1;
/// The program was not found, or cannot be executed.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;

/// Runs `weft oci`; `args` are the words after `oci`.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let cli = match Cli::parse_words(&args) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { FAILED } else { 0 });
        }
    };
    let log = log::Log::new(cli.globals.log.clone(), cli.globals.log_format);
    match dispatch(cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            log.error(&*error);
            ExitCode::from(code_of(&*error))
        }
    }
}

fn code_of(error: &(dyn Error + 'static)) -> u8 {
    match error.downcast_ref::<OciError>() {
        Some(OciError::Launch(error)) if error.is_not_found() => NOT_FOUND,
        Some(OciError::Launch(error)) if error.is_not_executable() => NOT_EXECUTABLE,
        _ => FAILED,
    }
}

fn dispatch(cli: Cli) -> Result<u8, Failure> {
    if cli.globals.systemd_cgroup {
        return Err("--systemd-cgroup: weft makes cgroups itself and does not ask systemd".into());
    }
    let root = Root::new(cli.globals.root);
    match cli.command {
        Command::Create(flags) => create(&root, flags).map(|()| 0),
        Command::Run(flags) => run(&root, flags),
        Command::Start { id } => {
            root.find(&id)?.start()?;
            Ok(0)
        }
        Command::Exec(flags) => process::exec(&root, flags),
        Command::State { id } => list::state(&root.find(&id)?).map(|()| 0),
        Command::List { format, quiet } => list::list(&root, format, quiet).map(|()| 0),
        Command::Ps { format, id } => list::ps(&root.find(&id)?, format).map(|()| 0),
        Command::Kill { all, id, signal } => {
            root.find(&id)?
                .kill(process::signal_number(&signal)?, all)?;
            Ok(0)
        }
        Command::Delete { force, id } => match root.find(&id) {
            Err(OciError::NotFound(_)) if force => Ok(0),
            found => {
                found?.delete(force)?;
                Ok(0)
            }
        },
        Command::Pause { id } => {
            root.find(&id)?.pause()?;
            Ok(0)
        }
        Command::Resume { id } => {
            root.find(&id)?.resume()?;
            Ok(0)
        }
    }
}

fn create(root: &Root, flags: CreateFlags) -> Result<(), Failure> {
    let bundle = open_bundle(&flags)?;
    match (bundle.terminal(), &flags.console_socket) {
        (true, None) => return Err("a container with a terminal needs --console-socket".into()),
        (false, Some(_)) => return Err("--console-socket: the container has no terminal".into()),
        _ => {}
    }
    let (container, created) = make(root, &flags, bundle, true)?.ready()?;
    if let Err(error) = hand_over(&flags.console_socket, &created) {
        container.remove()?;
        return Err(error);
    }
    Ok(())
}

fn run(root: &Root, flags: RunFlags) -> Result<u8, Failure> {
    let RunFlags {
        create: flags,
        detach,
        keep,
    } = flags;
    let bundle = open_bundle(&flags)?;
    let terminal = bundle.terminal();
    match (terminal, detach, flags.console_socket.is_some()) {
        (true, true, false) => {
            return Err("a detached container with a terminal needs --console-socket".into());
        }
        (false, _, true) => return Err("--console-socket: the container has no terminal".into()),
        _ => {}
    }
    let signals = if detach {
        None
    } else {
        Some(process::watch_signals()?)
    };
    let fresh = make(root, &flags, bundle, false)?;
    let (container, running) = if terminal {
        start(fresh, &flags.console_socket)?
    } else {
        fresh.run()?
    };
    let Some(signals) = signals else { return Ok(0) };
    let terminal = if flags.console_socket.is_some() {
        None
    } else {
        running.terminal
    };
    let code = process::accompany(&running.pidfd, terminal, &signals)?;
    if !keep {
        container.remove()?;
    }
    Ok(code)
}

/// Starts it once its terminal is where it belongs.
fn start(fresh: Fresh, socket: &Option<PathBuf>) -> Result<(Container, Running), Failure> {
    let (container, created) = fresh.ready()?;
    let started = match hand_over(socket, &created) {
        Ok(()) => created
            .start()
            .map_err(|error| OciError::from(error).into()),
        Err(error) => Err(error),
    };
    match started {
        Ok(running) => Ok((container, running)),
        Err(error) => {
            container.remove()?;
            Err(error)
        }
    }
}

fn open_bundle(flags: &CreateFlags) -> Result<Bundle, Failure> {
    if flags.no_pivot {
        return Err("--no-pivot: weft always leaves the host's root behind".into());
    }
    let bundle = Bundle::open(flags.bundle.as_deref().unwrap_or(Path::new(".")))?;
    if protect::joins_processes(&bundle.spec) {
        protect::protect()?;
    }
    Ok(bundle)
}

fn make(root: &Root, flags: &CreateFlags, bundle: Bundle, gate: bool) -> Result<Fresh, Failure> {
    let options = CreateOptions {
        gate,
        pid_file: flags.pid_file.clone(),
        preserve_fds: flags.preserve_fds,
    };
    Ok(root.create(&flags.id, bundle, &options)?)
}

fn hand_over(socket: &Option<PathBuf>, created: &Created) -> Result<(), Failure> {
    match (socket, &created.terminal) {
        (Some(path), Some(terminal)) => console::send(path, terminal),
        _ => Ok(()),
    }
}

/// Prints a line of what was asked for.
fn say(text: std::fmt::Arguments<'_>) -> Result<(), Failure> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

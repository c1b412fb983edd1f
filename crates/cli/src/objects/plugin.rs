//! Runs the program a kubeconfig names to say who one is.
//!
//! Owns its input, its time and its end. Never: keeps what it says; each command asks once.

use std::io::{ErrorKind, IsTerminal as _, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use weft_client::cluster::Access;
use weft_client::cluster::plugin::{Plugin, Terminal};

use crate::error::CliError;

/// How long it may take: somebody may be typing.
const ANSWER: Duration = Duration::from_secs(600);
/// Longest answer, in bytes.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Puts the proof in its place, if somebody is to be asked for it.
pub fn ask(access: &mut Access) -> Result<(), CliError> {
    let Some(plugin) = access.plugin.take() else {
        return Ok(());
    };
    let has_terminal = std::io::stdin().is_terminal();
    let is_interactive = match plugin.terminal {
        Terminal::Never => false,
        Terminal::IfAvailable => has_terminal,
        Terminal::Always if has_terminal => true,
        Terminal::Always => {
            let shown = plugin.command.display();
            return Err(CliError::new(format!(
                "ask {shown} who you are: it wants a terminal (interactiveMode: Always), and standard input is none"
            )));
        }
    };
    let mut command = Command::new(&plugin.command);
    command
        .args(&plugin.arguments)
        .envs(plugin.variables.iter().cloned())
        .env(
            "KUBERNETES_EXEC_INFO",
            plugin.question(access, is_interactive)?,
        )
        .stdin(match is_interactive {
            true => Stdio::inherit(),
            false => Stdio::null(),
        })
        .stdout(Stdio::piped());
    let answer = answer(&plugin, command, access.timeout.unwrap_or(ANSWER))?;
    let (proof, ends) = plugin.proof(&answer)?;
    if let Some(ends) = ends {
        current(&plugin, &ends)?;
    }
    access.proof = proof;
    Ok(())
}

/// What it prints until it ends well. What it says besides goes where our own words go.
fn answer(plugin: &Plugin, mut command: Command, limit: Duration) -> Result<Vec<u8>, CliError> {
    let failed = |why: String| {
        let shown = plugin.command.display();
        let error = CliError::new(format!("ask {shown} who you are: {why}"));
        match &plugin.hint {
            Some(hint) => error.hint(hint.clone()),
            None => error,
        }
    };
    let mut child = command.spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound => failed("there is no such program".to_owned()),
        _ => failed(error.to_string()),
    })?;
    let read = read(&mut child, limit);
    // It has closed its output, or is not waited for any longer.
    if !matches!(read, Some(Ok(_))) {
        let _ = child.kill();
    }
    let ended = child.wait().map_err(|error| failed(error.to_string()))?;
    let bytes = read
        .ok_or_else(|| {
            let seconds = limit.as_secs();
            failed(format!("no answer within {seconds} s, and it was ended"))
        })?
        .map_err(|error| failed(format!("read its answer: {error}")))?;
    // First, as it cannot end well once nobody reads.
    if bytes.len() as u64 > ANSWER_BYTES_MAX {
        return Err(failed("its answer is longer than 1 MiB".to_owned()));
    }
    if !ended.success() {
        return Err(failed(format!("it failed, {ended}")));
    }
    Ok(bytes)
}

/// All that it prints, and a byte more than it may; nothing once the time is over.
fn read(child: &mut Child, limit: Duration) -> Option<std::io::Result<Vec<u8>>> {
    let output = child.stdout.take()?;
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = output.take(ANSWER_BYTES_MAX + 1).read_to_end(&mut bytes);
        let _ = sender.send(read.map(|_| bytes));
    });
    receiver.recv_timeout(limit).ok()
}

fn current(plugin: &Plugin, ends: &str) -> Result<(), CliError> {
    let shown = plugin.command.display();
    let at: jiff::Timestamp = ends.parse().map_err(|error| {
        CliError::new(format!(
            "understand the answer of {shown}: expirationTimestamp {ends:?}: {error}"
        ))
    })?;
    match at > jiff::Timestamp::now() {
        true => Ok(()),
        false => Err(CliError::new(format!(
            "ask {shown} who you are: what it answered was good until {ends} only"
        ))),
    }
}

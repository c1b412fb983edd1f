//! Flags about the process: command, environment, user, terminal, labels.

use std::collections::BTreeMap;
use std::path::PathBuf;

use weft_api::docker::{ContainerCreateRequest, Words};

use super::topic::Topic;
use super::{invalid, values};
use crate::error::CliError;

/// Largest environment or label file read, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// What runs, and as whom.
#[derive(Debug, Default, clap::Args)]
pub struct ProcessFlags {
    /// Keep stdin open even if not attached
    #[arg(short, long)]
    pub interactive: bool,
    /// Allocate a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// Attach to stdin, stdout or stderr
    #[arg(short, long, value_name = "STREAM", value_parser = stream)]
    pub attach: Vec<String>,
    /// Set an environment variable
    #[arg(short, long, value_name = "KEY[=VALUE]", value_parser = variable)]
    pub env: Vec<String>,
    /// Read environment variables from a file
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,
    /// User or uid, with an optional group or gid
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// Additional groups to join
    #[arg(long, value_name = "GROUP")]
    pub group_add: Vec<String>,
    /// Working directory inside the container
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// Program to run instead of the image's entrypoint
    #[arg(long, value_name = "COMMAND")]
    pub entrypoint: Option<String>,
    /// Run an init that forwards signals and reaps processes
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub init: Option<bool>,
    /// The container's host name
    #[arg(short = 'h', long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// The container's domain name
    #[arg(long, value_name = "NAME")]
    pub domainname: Option<String>,
    /// Set meta data on the container
    #[arg(short, long, value_name = "KEY[=VALUE]")]
    pub label: Vec<String>,
    /// Read labels from a file
    #[arg(long, value_name = "FILE")]
    pub label_file: Vec<PathBuf>,
    /// Signal that stops the container
    #[arg(long, value_name = "SIGNAL")]
    pub stop_signal: Option<String>,
    /// Seconds between the stop signal and SIGKILL
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub stop_timeout: Option<i64>,
    /// How eagerly the kernel kills the container when memory runs out (-1000 to 1000)
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    pub oom_score_adj: Option<i64>,
}

impl Topic for ProcessFlags {
    const NAMES: &'static [&'static str] = &[
        "interactive",
        "i",
        "tty",
        "t",
        "attach",
        "a",
        "env",
        "e",
        "env-file",
        "user",
        "u",
        "group-add",
        "workdir",
        "w",
        "entrypoint",
        "init",
        "hostname",
        "h",
        "domainname",
        "label",
        "l",
        "label-file",
        "stop-signal",
        "stop-timeout",
        "oom-score-adj",
    ];
}

impl ProcessFlags {
    /// Which streams are attached: stdin, stdout, stderr.
    pub fn attached(&self, detach: bool) -> [bool; 3] {
        if detach {
            return [false; 3];
        }
        if self.attach.is_empty() {
            return [self.interactive, true, true];
        }
        ["stdin", "stdout", "stderr"]
            .map(|stream| self.attach.iter().any(|attached| attached == stream))
    }

    pub(super) fn lower(
        &self,
        detach: bool,
        body: &mut ContainerCreateRequest,
    ) -> Result<(), CliError> {
        let [stdin, stdout, stderr] = self.attached(detach);
        body.attach_stdin = stdin;
        body.attach_stdout = stdout;
        body.attach_stderr = stderr;
        body.open_stdin = self.interactive;
        body.stdin_once = self.interactive && stdin;
        body.tty = self.tty;
        body.env = environment(&self.env_file, &self.env)?;
        body.labels = labels(&self.label_file, &self.label)?;
        body.user = self.user.clone().unwrap_or_default();
        body.working_dir = self.workdir.clone().unwrap_or_default();
        body.hostname = self.hostname.clone().unwrap_or_default();
        body.domainname = self.domainname.clone().unwrap_or_default();
        body.stop_signal = self.stop_signal.clone().unwrap_or_default();
        body.stop_timeout = self.stop_timeout;
        body.entrypoint = self
            .entrypoint
            .as_ref()
            .map(|program| Words(vec![program.clone()]));
        let host = &mut body.host_config;
        host.group_add.clone_from(&self.group_add);
        host.oom_score_adj = self.oom_score_adj.unwrap_or_default();
        if !(-1000..=1000).contains(&host.oom_score_adj) {
            return Err(invalid(
                "invalid --oom-score-adj: the range is from -1000 to 1000",
            ));
        }
        host.init = self.init;
        Ok(())
    }
}

/// Variables of files and flags; a name without a value takes ours, in files only if we have it.
pub fn environment(files: &[PathBuf], flags: &[String]) -> Result<Vec<String>, CliError> {
    let mut all = Vec::new();
    for line in lines(files)? {
        let name = line.split('=').next().unwrap_or_default();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(invalid(format!(
                "invalid environment variable in a file: {line:?}"
            )));
        }
        if line.contains('=') {
            all.push(line);
        } else if let Some(value) = ours(&line) {
            all.push(format!("{line}={value}"));
        }
    }
    for variable in flags {
        match ours(variable) {
            Some(value) if !variable.contains('=') => all.push(format!("{variable}={value}")),
            _ => all.push(variable.clone()),
        }
    }
    Ok(all)
}

fn ours(name: &str) -> Option<String> {
    if name.contains('=') {
        return None;
    }
    std::env::var(name).ok()
}

/// Labels of files and flags.
pub fn labels(files: &[PathBuf], flags: &[String]) -> Result<BTreeMap<String, String>, CliError> {
    let mut all = values::pairs(&lines(files)?);
    all.extend(values::pairs(flags));
    Ok(all)
}

/// The lines of files that say something: not blank, not a comment.
fn lines(files: &[PathBuf]) -> Result<Vec<String>, CliError> {
    use std::io::Read as _;
    let mut all = Vec::new();
    for path in files {
        let tried = || format!("open {}", path.display());
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text))
            .map_err(|error| CliError::because(tried(), &error).exit(crate::error::EXIT_ENGINE))?;
        let text = text.trim_start_matches('\u{feff}');
        all.extend(
            text.lines()
                .map(str::trim_start)
                .filter(|line| !line.is_empty() && !line.starts_with('#'))
                .map(str::to_owned),
        );
    }
    Ok(all)
}

fn stream(text: &str) -> Result<String, String> {
    let lower = text.to_lowercase();
    match lower.as_str() {
        "stdin" | "stdout" | "stderr" => Ok(lower),
        _ => Err("valid streams are STDIN, STDOUT and STDERR".to_owned()),
    }
}

/// Checks `KEY[=VALUE]`.
pub fn variable(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("invalid environment variable: it has no name".to_owned());
    }
    if text.starts_with('=') {
        return Err(format!("invalid environment variable: {text}"));
    }
    Ok(text.to_owned())
}

//! `create` and `run` as containerd, podman and people write them, read without clap.
//!
//! Never: refuses anything. What it does not know it leaves to clap.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{Cli, Command, CreateFlags, Globals, LogFormat, ROOT, RunFlags};

/// What `words` say, if they are as plain as that.
pub(super) fn read(words: &[OsString]) -> Option<Cli> {
    let mut words = words.iter();
    let (mut root, mut log, mut log_format) = (None, None, None);
    let runs = loop {
        match words.next()?.to_str()? {
            "--root" if root.is_none() => root = Some(path(&mut words)?),
            "--log" if log.is_none() => log = Some(path(&mut words)?),
            "--log-format" if log_format.is_none() => {
                log_format = match words.next()?.to_str()? {
                    "text" => Some(LogFormat::Text),
                    "json" => Some(LogFormat::Json),
                    _ => return None,
                };
            }
            "create" => break false,
            "run" => break true,
            _ => return None,
        }
    };
    let mut flags = CreateFlags {
        bundle: None,
        console_socket: None,
        pid_file: None,
        no_pivot: false,
        preserve_fds: 0,
        id: String::new(),
    };
    let mut detach = false;
    let id = loop {
        match words.next()?.to_str()? {
            "--bundle" | "-b" if flags.bundle.is_none() => {
                flags.bundle = Some(path(&mut words)?);
            }
            "--pid-file" if flags.pid_file.is_none() => flags.pid_file = Some(path(&mut words)?),
            "--console-socket" if flags.console_socket.is_none() => {
                flags.console_socket = Some(path(&mut words)?);
            }
            "--detach" | "-d" if runs && !detach => detach = true,
            word if word.starts_with('-') || word.is_empty() => return None,
            id => break id,
        }
    };
    if words.next().is_some() {
        return None;
    }
    flags.id = id.to_owned();
    let command = if runs {
        Command::Run(RunFlags {
            create: flags,
            detach,
            keep: false,
        })
    } else {
        Command::Create(flags)
    };
    let globals = Globals {
        root: root.unwrap_or_else(|| ROOT.into()),
        log,
        log_format: log_format.unwrap_or(LogFormat::Text),
        systemd_cgroup: false,
    };
    Some(Cli { globals, command })
}

/// The value of an option: clap has an opinion on some.
fn path(words: &mut std::slice::Iter<'_, OsString>) -> Option<PathBuf> {
    let word = words.next()?;
    let text = word.to_str()?;
    let plain = !text.is_empty() && !text.starts_with('-');
    plain.then(|| word.into())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn it_is_what_clap_reads() {
        for line in [
            "run --bundle b id",
            "run id",
            "run -b b -d --pid-file p id",
            "--root /r --log l --log-format json create --bundle /b --pid-file p id",
            "--log-format text --root /r run id",
            "create --console-socket /s -b /b id",
        ] {
            let argv = std::iter::once(OsString::from("weft oci")).chain(words(line));
            let whole = Cli::try_parse_from(argv);
            let whole = whole.unwrap_or_else(|error| panic!("{line}: {error}"));
            let read = read(&words(line)).unwrap_or_else(|| panic!("{line} is not read"));
            assert_eq!(format!("{read:?}"), format!("{whole:?}"), "{line}");
        }
    }

    #[test]
    fn what_is_not_plain_is_left_to_clap() {
        for line in [
            "",
            "run",
            "run --help",
            "run --keep id",
            "run --bundle=b id",
            "run --bundle -x id",
            "run --bundle b --bundle c id",
            "run -d -d id",
            "run id more",
            "run -- id",
            "create -d id",
            "create --preserve-fds 1 id",
            "--log-format yaml run id",
            "--systemd-cgroup run id",
            "--root /r --root /s run id",
            "list -q",
            "exec id true",
        ] {
            assert!(read(&words(line)).is_none(), "{line}");
        }
    }
}

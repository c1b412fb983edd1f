//! Columns of `docker top`: the few of ps(1) that make sense for a container.
//!
//! ps itself is never run: an unknown column is refused by name.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use weft_engine::Process;

use crate::error::ApiError;

/// One column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Numeric user.
    User,
    /// Process id, on the host.
    Pid,
    /// Parent's process id.
    Ppid,
    /// Processor use, always 0 in one look.
    C,
    /// When it started.
    Stime,
    /// Terminal.
    Tty,
    /// Processor time used.
    Time,
    /// Command line.
    Cmd,
}

const FULL: [Column; 8] = [
    Column::User,
    Column::Pid,
    Column::Ppid,
    Column::C,
    Column::Stime,
    Column::Tty,
    Column::Time,
    Column::Cmd,
];

/// The columns `ps_args` asks for.
pub fn columns(text: &str) -> Result<Vec<Column>, ApiError> {
    let mut words = text.split_whitespace().peekable();
    let mut columns = Vec::new();
    while let Some(word) = words.next() {
        let list = match word {
            "-ef" | "-e" | "-f" | "aux" | "-aux" | "ax" | "-A" => continue,
            "-o" | "o" | "-eo" | "--format" => words.next().unwrap_or_default(),
            other => other.strip_prefix("-o").ok_or_else(|| refused(other))?,
        };
        for name in list.split(',') {
            columns.push(column(name).ok_or_else(|| refused(name))?);
        }
    }
    Ok(if columns.is_empty() {
        FULL.to_vec()
    } else {
        columns
    })
}

fn refused(word: &str) -> ApiError {
    ApiError::invalid(format!(
        "ps_args '{}' is not supported: use -ef, aux, or -o with \
         user,pid,ppid,c,stime,tty,time,cmd",
        word.escape_debug()
    ))
}

fn column(name: &str) -> Option<Column> {
    Some(match name.trim_end_matches('=') {
        "user" | "uid" | "euser" | "ruser" => Column::User,
        "pid" => Column::Pid,
        "ppid" => Column::Ppid,
        "c" | "pcpu" | "%cpu" => Column::C,
        "stime" | "start" | "lstart" => Column::Stime,
        "tty" | "tt" | "tname" => Column::Tty,
        "time" | "cputime" => Column::Time,
        "cmd" | "args" | "command" | "comm" => Column::Cmd,
        _ => return None,
    })
}

impl Column {
    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::User => "UID",
            Self::Pid => "PID",
            Self::Ppid => "PPID",
            Self::C => "C",
            Self::Stime => "STIME",
            Self::Tty => "TTY",
            Self::Time => "TIME",
            Self::Cmd => "CMD",
        }
    }

    /// What it shows of a process.
    pub fn value(self, process: &Process) -> String {
        let seconds = process.cpu_seconds;
        match self {
            Self::User => process.uid.to_string(),
            Self::Pid => process.pid.to_string(),
            Self::Ppid => process.ppid.to_string(),
            Self::C => "0".into(),
            Self::Stime => started(process.started_at_ns),
            Self::Tty => process.tty.clone(),
            Self::Time => {
                format!(
                    "{:02}:{:02}:{:02}",
                    seconds / 3600,
                    seconds / 60 % 60,
                    seconds % 60
                )
            }
            Self::Cmd => process.command.clone(),
        }
    }
}

fn started(unix_ns: i64) -> String {
    Timestamp::from_nanosecond(unix_ns.into())
        .map(|at| {
            at.to_zoned(TimeZone::system())
                .strftime("%H:%M")
                .to_string()
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Column, columns};

    #[test]
    fn asked_for_as_with_ps() {
        assert_eq!(columns("-ef").unwrap().len(), 8);
        assert_eq!(columns("aux").unwrap().len(), 8);
        assert_eq!(columns("-o pid,cmd").unwrap(), [Column::Pid, Column::Cmd]);
        assert_eq!(columns("-eo pid,comm").unwrap(), [Column::Pid, Column::Cmd]);
        assert_eq!(columns("-opid").unwrap(), [Column::Pid]);
        assert!(
            columns("-o pid,rss")
                .unwrap_err()
                .to_string()
                .contains("'rss'")
        );
        assert!(columns("--forest").is_err());
    }
}

//! `weft system restore` and `weft system check`: a server that does not run; one that does is asked.
//!
//! Root only: they read and write what the server has, without asking it. The other commands of
//! `weft system` are the command line's.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser;
use weft_cli::settings::{Flags, Settings};
use weft_daemon::server::{About, Restored, check, check_backup, restore};

/// Make a server of a backup, where none runs.
///
/// It goes on as the server that was backed up, with its authority: kubeconfigs stay valid. What
/// clients saw after the backup is gone, and they are told to look anew.
#[derive(Debug, Parser)]
#[command(name = "weft system restore")]
struct RestoreArgs {
    /// The backup. -: standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Move a server that is there aside, as server.before-… in the data directory
    #[arg(long)]
    force: bool,
    /// Keep so many of those that were moved aside, this one included, and remove the oldest
    /// [default: all]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    keep: Option<u16>,
    #[command(flatten)]
    common: Args,
}

/// Check what a server starts from, or a backup; a server that runs is asked.
///
/// Everything is read: the keyspace with all its sums, the authority, each secret with its key.
#[derive(Debug, Parser)]
#[command(name = "weft system check")]
struct CheckArgs {
    /// A backup to be checked instead. -: standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Kubeconfig file, to ask a server that runs
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    #[command(flatten)]
    common: Args,
}

#[derive(Debug, clap::Args)]
struct Args {
    /// Where the server keeps what it has
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// File with the key that secrets are sealed with, if it is not in the data directory
    #[arg(long, value_name = "FILE")]
    secrets_key: Option<PathBuf>,
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Whether these words after `system` are ours.
pub fn is_ours(word: Option<&OsString>) -> bool {
    word.is_some_and(|word| word == "restore" || word == "check")
}

/// `weft system restore`, `weft system check`
pub fn main(mut args: Vec<OsString>, at: usize) -> ExitCode {
    let word = args.remove(at);
    let run = || {
        if word == "restore" {
            parsed("weft system restore", args).map(|args| run_restore(args).map(done))
        } else {
            parsed("weft system check", args).map(run_check)
        }
    };
    match run() {
        Err(code) => code,
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            eprintln!("weft: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn done((): ()) -> ExitCode {
    ExitCode::SUCCESS
}

fn parsed<T: Parser>(name: &str, args: Vec<OsString>) -> Result<T, ExitCode> {
    let words = std::iter::once(OsString::from(name)).chain(args);
    T::try_parse_from(words).map_err(|error| {
        let _ = error.print();
        ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1))
    })
}

fn settings(args: Args) -> Result<Settings> {
    let flags = Flags {
        config: args.config,
        data_dir: args.data_dir,
        secrets_key: args.secrets_key,
        ..Flags::default()
    };
    Ok(Settings::resolve(&flags, &|name| std::env::var_os(name))?)
}

fn opened(file: &Path) -> Result<Box<dyn Read>> {
    if file == Path::new("-") {
        return Ok(Box::new(std::io::stdin().lock()));
    }
    let opened = File::open(file).with_context(|| format!("open {}", file.display()))?;
    Ok(Box::new(opened))
}

fn run_restore(args: RestoreArgs) -> Result<()> {
    let settings = settings(args.common)?;
    let data_dir = std::path::absolute(&settings.data_dir.value)?;
    let shown = args.file.display();
    let restored = restore(
        opened(&args.file)?,
        &data_dir,
        args.force,
        args.keep.map(usize::from),
    )
    .with_context(|| format!("restore {shown}"))?;
    let Restored {
        about,
        revision,
        before,
        aside,
        removed,
        unremoved,
    } = &restored;
    println!(
        "restored {} objects; the server goes on from revision {revision}",
        about.keyspace.items
    );
    if let Some(before) = before {
        println!("what was there is in {}, and stays", before.display());
    }
    if *aside > 1 {
        println!("{aside} servers were moved aside by now; --keep COUNT removes the oldest");
    }
    for path in removed {
        println!("removed {}, from an earlier restore", path.display());
    }
    for (path, error) in unremoved {
        eprintln!("warning: remove {}: {error}", path.display());
    }
    warn_of_key(about, &settings.secrets_key.value);
    Ok(())
}

/// A backup without the key of its secrets is half a backup, and root has the other half.
fn warn_of_key(about: &About, key: &Path) {
    if let Some(outside) = &about.key_outside {
        eprintln!(
            "warning: the key of the secrets, {}, is NOT in the backup: it was in {}; the server \
             starts once that file is in {} (--secrets-key)",
            about.key_id,
            outside.display(),
            key.display()
        );
    }
}

fn run_check(args: CheckArgs) -> Result<ExitCode> {
    let asking = asking(&args);
    let settings = settings(args.common)?;
    if let Some(file) = &args.file {
        let about = check_backup(opened(file)?);
        let about = about.with_context(|| format!("check {}", file.display()))?;
        let keyspace = about.keyspace;
        println!(
            "the backup is whole: {} objects at revision {}",
            keyspace.items, keyspace.revision
        );
        warn_of_key(&about, &settings.secrets_key.value);
        return Ok(ExitCode::SUCCESS);
    }
    let data_dir = std::path::absolute(&settings.data_dir.value)?;
    let checked = check(&data_dir, &settings.secrets_key.value).context("check the server")?;
    let Some(checked) = checked else {
        return Ok(weft_cli::main(asking));
    };
    println!(
        "the server is sound: revision {}, {} secrets that open",
        checked.revision, checked.secrets
    );
    Ok(ExitCode::SUCCESS)
}

/// The command line that asks a server that runs.
fn asking(args: &CheckArgs) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["system".into(), "check".into()];
    for (flag, path) in [
        ("--data-dir", &args.common.data_dir),
        ("--config", &args.common.config),
        ("--kubeconfig", &args.kubeconfig),
    ] {
        if let Some(path) = path {
            words.extend([flag.into(), path.into()]);
        }
    }
    words
}

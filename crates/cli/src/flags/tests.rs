//! Command lines, and what docker 28.2's own command sends or says for them.
//!
//! `testdata/docker-create.jsonl` was recorded from it: one command line per line, with the body of
//! its create request (empty members left out) or its error.

use std::ffi::OsString;

use clap::{Args as _, FromArgMatches as _};
use serde_json::Value;
use weft_api::docker::{ContainerCreateRequest, Words};

use super::ContainerFlags;
use crate::error::{CliError, from_clap};

const RECORDED: &str = include_str!("../../testdata/docker-create.jsonl");

#[derive(Debug, clap::Args)]
struct Run {
    #[arg(short, long)]
    detach: bool,
    #[arg(long)]
    detach_keys: Option<String>,
    #[command(flatten)]
    flags: ContainerFlags,
}

#[derive(Debug, clap::Args)]
struct Create {
    #[command(flatten)]
    flags: ContainerFlags,
}

fn lower(argv: &[String]) -> Result<ContainerCreateRequest, CliError> {
    let name = argv[0].clone();
    let command = clap::Command::new("weft").disable_help_flag(true);
    let words = argv.iter().map(OsString::from);
    let complain = |error: clap::Error| from_clap(&error, &format!("weft {name}"));
    if name == "run" {
        let matches = Run::augment_args(command).try_get_matches_from(words);
        let run = Run::from_arg_matches(&matches.map_err(complain)?).unwrap();
        run.flags.lower(run.detach)
    } else {
        let matches = Create::augment_args(command).try_get_matches_from(words);
        let create = Create::from_arg_matches(&matches.map_err(complain)?).unwrap();
        create.flags.lower(false)
    }
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// Takes away the ways of saying nothing.
fn normal(mut body: ContainerCreateRequest) -> ContainerCreateRequest {
    let host = &mut body.host_config;
    host.pids_limit = host.pids_limit.filter(|limit| *limit != 0);
    for mount in &mut host.mounts {
        if let Some(volume) = &mut mount.volume_options {
            volume.driver_config = volume
                .driver_config
                .take()
                .filter(|driver| *driver != Default::default());
        }
    }
    body
}

#[test]
fn requests_are_dockers() {
    for line in RECORDED.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let argv: Vec<String> = serde_json::from_value(case["argv"].clone()).unwrap();
        let ours = lower(&argv);
        match case.get("error").and_then(Value::as_str) {
            Some(error) => {
                let ours = ours.expect_err(&argv.join(" "));
                assert_eq!(ours.message(), error, "{argv:?}");
            }
            None => {
                let ours = ours.unwrap_or_else(|error| panic!("{argv:?}: {}", error.message()));
                let theirs = serde_json::from_value(case["body"].clone()).unwrap();
                assert_eq!(normal(ours), normal(theirs), "{argv:?}");
            }
        }
    }
}

fn error(line: &str) -> String {
    lower(&words(line)).expect_err(line).message().to_owned()
}

#[test]
fn ours_refuses_where_docker_leaves_it_to_the_engine() {
    for (line, message) in [
        (
            "create --restart foo b",
            "invalid restart policy: unknown policy 'foo'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
        ),
        (
            "create --restart always:3 b",
            "invalid restart policy: maximum retry count can only be used with 'on-failure'",
        ),
        ("create --ipc foo b", "--ipc: invalid IPC mode"),
        (
            "create --oom-score-adj 5000 b",
            "invalid --oom-score-adj: the range is from -1000 to 1000",
        ),
        (
            "create --gpus all b",
            "--gpus is docker's, and weft does not do it",
        ),
        (
            "create --network host --network n b",
            "conflicting options: cannot attach both user-defined and host networks",
        ),
        (
            "create --network a --network a b",
            "network \"a\" is specified multiple times",
        ),
        (
            "create --network name=a,ip=1.2.3.4 --ip 1.2.3.5 b",
            "conflicting options: cannot specify both --ip and the network's own",
        ),
        (
            "create --network host --ip 1.2.3.4 b",
            "conflicting options: addresses and names cannot be set with network \"host\"",
        ),
        (
            "create --env-file /nonexistent b",
            "open /nonexistent: No such file or directory (os error 2)",
        ),
    ] {
        assert_eq!(error(line), message, "{line}");
    }
}

#[test]
fn files_of_variables_and_labels() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let env = file(
        "env",
        "# comment\nA=1\nB= two words \n\nPATH\nNOT_SET_ANYWHERE\n",
    );
    let labels = file("labels", "# c\nx=1\ny\n");
    let line = format!(
        "create --env-file {env} -e Z=1 -e NOT_SET_ANYWHERE --label-file {labels} -l a=b b"
    );
    let body = lower(&words(&line)).unwrap();
    let path = format!("PATH={}", std::env::var("PATH").unwrap());
    assert_eq!(
        body.env,
        ["A=1", "B= two words ", &path, "Z=1", "NOT_SET_ANYWHERE"]
    );
    let labels: Vec<String> = body
        .labels
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    assert_eq!(labels, ["a=b", "x=1", "y="]);

    let bad = file("bad", "A B=1\n");
    assert_eq!(
        error(&format!("create --env-file {bad} b")),
        "invalid environment variable in a file: \"A B=1\""
    );
}

#[test]
fn relative_binds_become_absolute() {
    let body = lower(&words("create -v ./rel:/b -v ../up:/c:ro b")).unwrap();
    let here = std::env::current_dir().unwrap();
    let up = here.parent().unwrap();
    assert_eq!(
        body.host_config.binds,
        [
            format!("{}/rel:/b", here.display()),
            format!("{}/up:/c:ro", up.display())
        ]
    );
}

#[test]
fn the_command_keeps_its_own_flags() {
    let body = lower(&words("run --rm b --rm sh -c -x --name=y")).unwrap();
    let command = ["--rm", "sh", "-c", "-x", "--name=y"].map(str::to_owned);
    assert_eq!(body.cmd, Some(Words(command.to_vec())));
    assert!(body.host_config.auto_remove);
}

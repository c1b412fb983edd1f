//! `weft container …`: the same commands, below their noun, and those that only exist there.

use crate::tree::{Entry, Kind, add, verb};

/// The noun.
pub const NOUN: Entry = Entry {
    name: "container",
    aliases: &[],
    about: "Commands about containers",
    define: |command| {
        add(
            command
                .subcommand_required(true)
                .arg_required_else_help(true),
            ENTRIES,
        )
    },
    kind: Kind::Noun(ENTRIES),
};

const ENTRIES: &[Entry] = &[
    verb!("attach", attach, "Attach to a running container's streams"),
    verb!("cp", cp, "Copy files between a container and here"),
    verb!("create", create, "Create a container"),
    verb!(
        "diff",
        diff,
        "Show how a container's files differ from its image's"
    ),
    verb!("exec", exec, "Run a command in a running container"),
    verb!(
        "inspect",
        inspect::ContainerArgs,
        "Show everything about containers, as JSON"
    ),
    verb!("kill", kill, "Send a signal to running containers"),
    verb!("logs", logs, "Show the output of a container"),
    verb!("ls" | "list" | "ps", ps, "List containers"),
    verb!(
        "pause",
        pause::PauseArgs,
        "Freeze all processes of containers"
    ),
    verb!("port", port, "Show where a container's ports are published"),
    verb!(
        "prune",
        prune::ContainerArgs,
        "Remove all stopped containers"
    ),
    verb!("rename", rename, "Give a container another name"),
    verb!("restart", restart, "Restart containers"),
    verb!("rm" | "remove", rm, "Remove containers"),
    verb!("run", run, "Create and run a container from an image"),
    verb!("start", start, "Start stopped containers"),
    verb!("stats", stats, "Show resource usage, as it changes"),
    verb!("stop", stop, "Stop running containers"),
    verb!("top", top, "Show the processes of a container"),
    verb!(
        "unpause",
        pause::UnpauseArgs,
        "Thaw all processes of containers"
    ),
    verb!(
        "update",
        update,
        "Change limits and the restart policy of containers"
    ),
    verb!(
        "wait",
        wait,
        "Wait until containers stop, then print their exit codes"
    ),
];

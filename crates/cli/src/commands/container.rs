//! `weft container …`: the same commands, below their noun, and those that only exist there.

use super::{
    attach, cp, create, diff, exec, export, inspect, kill, logs, pause, port, prune, ps, rename,
    restart, rm, run, start, stats, stop, top, update, wait,
};
use crate::tree::{Entry, noun, verb};

/// The noun.
pub const NOUN: Entry = noun!("container", ENTRIES, "Commands about containers");

const ENTRIES: &[Entry] = &[
    attach::VERB,
    cp::VERB,
    create::VERB,
    diff::VERB,
    exec::VERB,
    export::VERB,
    verb!(
        "inspect",
        inspect::ContainerArgs,
        "Show everything about containers, as JSON"
    ),
    kill::VERB,
    logs::VERB,
    ps::VERB.called("ls", &["list", "ps"]),
    pause::PAUSE,
    port::VERB,
    verb!(
        "prune",
        prune::ContainerArgs,
        "Remove all stopped containers"
    ),
    rename::VERB,
    restart::VERB,
    rm::VERB.called("rm", &["remove"]),
    run::VERB,
    start::VERB,
    stats::VERB,
    stop::VERB,
    top::VERB,
    pause::UNPAUSE,
    update::VERB,
    wait::VERB,
];

//! `weft image …`: the same commands, below their noun, and those that only exist there.

use super::{history, images, import, inspect, load, prune, pull, rmi, save, tag};
use crate::tree::{Entry, noun, verb};

/// The noun.
pub const NOUN: Entry = noun!("image", ENTRIES, "Commands about images");

const ENTRIES: &[Entry] = &[
    history::VERB,
    import::VERB,
    verb!(
        "inspect",
        inspect::ImageArgs,
        "Show everything about images, as JSON"
    ),
    load::VERB,
    images::VERB.called("ls", &["list"]),
    verb!("prune", prune::ImageArgs, "Remove unused images"),
    pull::VERB,
    rmi::VERB.called("rm", &["remove"]),
    save::VERB,
    tag::VERB,
];

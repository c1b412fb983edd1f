//! `weft image …`: the same commands, below their noun, and those that only exist there.

use crate::tree::{Entry, Kind, add, verb};

/// The noun.
pub const NOUN: Entry = Entry {
    name: "image",
    aliases: &[],
    about: "Commands about images",
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
    verb!("history", history, "Show how an image was made"),
    verb!(
        "import",
        import,
        "Make an image of a root filesystem in a tar archive"
    ),
    verb!(
        "inspect",
        inspect::ImageArgs,
        "Show everything about images, as JSON"
    ),
    verb!("load", load, "Take in images from a tar archive"),
    verb!("ls" | "list", images, "List images"),
    verb!("prune", prune::ImageArgs, "Remove unused images"),
    verb!("pull", pull, "Fetch an image from a registry"),
    verb!("rm" | "remove", rmi, "Remove images"),
    verb!("save", save, "Write images to a tar archive"),
    verb!("tag", tag, "Give an image one more name"),
];

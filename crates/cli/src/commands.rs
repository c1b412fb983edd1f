//! All commands, one file each, and the tree they form.
//!
//! A command turns its flags into calls of the client and prints what comes back.

pub mod attach;
pub mod container;
pub mod cp;
pub mod create;
pub mod diff;
pub mod each;
pub mod events;
pub mod exec;
pub mod history;
pub mod image;
pub mod images;
pub mod import;
pub mod inspect;
pub mod kill;
pub mod load;
pub mod login;
pub mod logs;
pub mod network;
pub mod pause;
pub mod port;
pub mod prune;
pub mod ps;
pub mod pull;
pub mod rename;
pub mod restart;
pub mod rm;
pub mod rmi;
pub mod run;
pub mod save;
pub mod start;
pub mod stats;
pub mod stop;
pub mod system;
pub mod tag;
pub mod top;
pub mod update;
pub mod version;
pub mod volume;
pub mod wait;

use crate::tree::{Entry, verb};

/// The top of the tree.
pub const ENTRIES: &[Entry] = &[
    verb!("run", run, "Create and run a container from an image"),
    verb!("create", create, "Create a container"),
    verb!("start", start, "Start stopped containers"),
    verb!("stop", stop, "Stop running containers"),
    verb!("restart", restart, "Restart containers"),
    verb!("kill", kill, "Send a signal to running containers"),
    verb!("rm", rm, "Remove containers"),
    verb!("ps", ps, "List containers"),
    verb!("logs", logs, "Show the output of a container"),
    verb!("exec", exec, "Run a command in a running container"),
    verb!("attach", attach, "Attach to a running container's streams"),
    verb!("inspect", inspect, "Show everything about objects, as JSON"),
    verb!(
        "wait",
        wait,
        "Wait until containers stop, then print their exit codes"
    ),
    verb!(
        "pause",
        pause::PauseArgs,
        "Freeze all processes of containers"
    ),
    verb!(
        "unpause",
        pause::UnpauseArgs,
        "Thaw all processes of containers"
    ),
    verb!("stats", stats, "Show resource usage, as it changes"),
    verb!("top", top, "Show the processes of a container"),
    verb!("port", port, "Show where a container's ports are published"),
    verb!(
        "diff",
        diff,
        "Show how a container's files differ from its image's"
    ),
    verb!("cp", cp, "Copy files between a container and here"),
    verb!("rename", rename, "Give a container another name"),
    verb!(
        "update",
        update,
        "Change limits and the restart policy of containers"
    ),
    verb!("events", events, "Show what happens, as it happens"),
    verb!("pull", pull, "Fetch an image from a registry"),
    verb!("images", images, "List images"),
    verb!("rmi", rmi, "Remove images"),
    verb!("tag", tag, "Give an image one more name"),
    verb!("save", save, "Write images to a tar archive"),
    verb!("load", load, "Take in images from a tar archive"),
    verb!(
        "import",
        import,
        "Make an image of a root filesystem in a tar archive"
    ),
    verb!("history", history, "Show how an image was made"),
    verb!(
        "login",
        login::LoginArgs,
        "Store credentials for a registry"
    ),
    verb!(
        "logout",
        login::LogoutArgs,
        "Forget credentials for a registry"
    ),
    container::NOUN,
    image::NOUN,
    network::NOUN,
    volume::NOUN,
    system::NOUN,
    verb!(
        "info",
        system::InfoArgs,
        "Show what the engine says of itself"
    ),
    verb!("version", version, "Show versions of client and engine"),
];

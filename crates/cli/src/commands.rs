//! All commands, one file each, and the tree they form.
//!
//! A command turns its flags into calls of the client and prints what comes back.

pub mod attach;
pub mod container;
pub mod create;
pub mod each;
pub mod exec;
pub mod image;
pub mod images;
pub mod inspect;
pub mod kill;
pub mod load;
pub mod logs;
pub mod pause;
pub mod ps;
pub mod pull;
pub mod restart;
pub mod rm;
pub mod rmi;
pub mod run;
pub mod start;
pub mod stop;
pub mod version;
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
    verb!("pull", pull, "Fetch an image from a registry"),
    verb!("images", images, "List images"),
    verb!("rmi", rmi, "Remove images"),
    verb!("load", load, "Take in images from a tar archive"),
    container::NOUN,
    image::NOUN,
    verb!("version", version, "Show versions of client and engine"),
];

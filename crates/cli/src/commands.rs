//! All commands, one file each, and the tree they form.
//!
//! A command turns its flags into calls of the client and prints what comes back.

pub mod attach;
pub mod container;
pub mod cp;
pub mod create;
pub mod diff;
mod disk;
pub mod each;
pub mod events;
pub mod exec;
pub mod export;
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

use std::ffi::OsString;

use crate::objects::verbs;
use crate::tree::Entry;

/// The tree that a command line means: where a verb is kubectl's as well as docker's, what follows
/// it decides.
pub fn entries(args: &[OsString]) -> &'static [Entry] {
    verbs::meant(args).unwrap_or(ENTRIES)
}

/// The top of the tree.
pub const ENTRIES: &[Entry] = &[
    run::VERB,
    create::VERB,
    start::VERB,
    stop::VERB,
    restart::VERB,
    kill::VERB,
    rm::VERB,
    ps::VERB,
    logs::VERB,
    exec::VERB,
    attach::VERB,
    inspect::VERB,
    wait::VERB,
    pause::PAUSE,
    pause::UNPAUSE,
    stats::VERB,
    top::VERB,
    port::VERB,
    diff::VERB,
    cp::VERB,
    export::VERB,
    rename::VERB,
    update::VERB,
    events::VERB,
    pull::VERB,
    images::VERB,
    rmi::VERB,
    tag::VERB,
    save::VERB,
    load::VERB,
    import::VERB,
    history::VERB,
    login::LOGIN,
    login::LOGOUT,
    container::NOUN,
    image::NOUN,
    network::NOUN,
    volume::NOUN,
    system::NOUN,
    system::INFO,
    version::VERB,
    verbs::get::VERB,
    verbs::describe::VERB,
    verbs::apply::VERB,
    verbs::edit::VERB,
    verbs::patch::VERB,
    verbs::delete::VERB,
    verbs::deploy::VERB,
    verbs::undeploy::VERB,
    verbs::mark::LABEL,
    verbs::mark::ANNOTATE,
    verbs::scale::VERB,
    verbs::rollout::NOUN,
    verbs::cordon::CORDON,
    verbs::cordon::UNCORDON,
    verbs::drain::VERB,
    verbs::port_forward::VERB,
    verbs::why::VERB,
    verbs::explain::VERB,
    verbs::kustomize::VERB,
    verbs::resources::RESOURCES,
    verbs::resources::VERSIONS,
    verbs::auth::NOUN,
    verbs::token::NOUN,
    verbs::certificate::NOUN,
];

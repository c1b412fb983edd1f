//! The environment of a process: what every one has, under what image and user ask for.
//!
//! Never: the engine's own environment (CVE-2026-57231).

use crate::container::record::Record;

const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// PATH, HOSTNAME and HOME, then what was asked for; a bare name removes.
pub(super) fn environment(record: &Record, home: &str) -> Vec<String> {
    let hostname = &record.resolved.hostname;
    let mut env = vec![DEFAULT_PATH.to_owned(), format!("HOSTNAME={hostname}")];
    if record.spec.tty {
        env.push("TERM=xterm".into());
    }
    for entry in &record.resolved.env {
        put(&mut env, entry);
    }
    env.retain(|entry| entry.contains('='));
    if !env.iter().any(|entry| entry.starts_with("HOME=")) {
        env.push(format!("HOME={home}"));
    }
    env
}

/// Adds `entry`, or puts it in the place of the one with its name.
pub(crate) fn put(env: &mut Vec<String>, entry: &str) {
    let name = |entry: &str| entry.split('=').next().map(str::to_owned);
    match env.iter_mut().find(|e| name(e) == name(entry)) {
        Some(same) => entry.clone_into(same),
        None => env.push(entry.to_owned()),
    }
}

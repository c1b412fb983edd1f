//! What a keyspace of this process may keep.

use std::time::Duration;

/// How much history is kept: whichever bound is met first ends it; on disk, where that is put off
/// until a lull, at twice as much. What is now is always kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// For how long a change can be watched and read: at least so long, at most a fifth longer.
    pub history_age: Duration,
    /// Most revisions.
    pub history_revisions: usize,
    /// Most bytes of keys and values in them.
    pub history_bytes: usize,
    /// Called in a lull when much was forgotten: what can give its memory back to the system does.
    pub relieved: fn(),
}

impl Default for Options {
    /// Five minutes, as a Kubernetes API server asks of etcd; 100,000 revisions; 64 MiB.
    fn default() -> Options {
        Options {
            history_age: Duration::from_secs(5 * 60),
            history_revisions: 100_000,
            history_bytes: 64 << 20,
            relieved: || {},
        }
    }
}

//! What happened, for those who ask later and those who listen.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use tokio::sync::broadcast;
use weft_stdx::clock;

/// How many past events are kept for `events --since`.
const PAST_MAX: usize = 1024;
/// How far a listener may fall behind before it misses some, and is told so.
const BEHIND_MAX: usize = 1024;

/// One event, in Docker's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Unix nanoseconds.
    pub time_ns: i64,
    /// `container`, `image`, `network` or `volume`.
    pub kind: &'static str,
    /// `create`, `start`, `die`, `exec_create: sh` ….
    pub action: String,
    /// Id or name of what it is about.
    pub id: String,
    /// Name, image, exit code, labels ….
    pub attributes: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(crate) struct Events {
    past: Mutex<VecDeque<Event>>,
    now: broadcast::Sender<Event>,
}

impl Events {
    pub fn new() -> Self {
        Self {
            past: Mutex::new(VecDeque::new()),
            now: broadcast::channel(BEHIND_MAX).0,
        }
    }

    pub fn emit(
        &self,
        kind: &'static str,
        action: &str,
        id: &str,
        attributes: BTreeMap<String, String>,
    ) {
        let event = Event {
            time_ns: clock::unix_ns(),
            kind,
            action: action.to_owned(),
            id: id.to_owned(),
            attributes,
        };
        let mut past = self.past.lock().expect("no holder panics");
        if past.len() == PAST_MAX {
            past.pop_front();
        }
        past.push_back(event.clone());
        // Sent under the lock, so that a listener sees each event once: past or new. Nobody
        // listening is no error.
        let _ = self.now.send(event);
    }

    pub fn listen(&self, since_ns: Option<i64>) -> (Vec<Event>, broadcast::Receiver<Event>) {
        let past = self.past.lock().expect("no holder panics");
        let receiver = self.now.subscribe();
        let old = match since_ns {
            Some(since) => past
                .iter()
                .filter(|e| e.time_ns >= since)
                .cloned()
                .collect(),
            None => Vec::new(),
        };
        (old, receiver)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_is_bounded_and_listeners_miss_nothing() {
        let events = Events::new();
        for i in 0..PAST_MAX + 5 {
            events.emit("container", "start", &i.to_string(), BTreeMap::new());
        }
        let (past, mut new) = events.listen(Some(0));
        assert_eq!(past.len(), PAST_MAX);
        assert_eq!(past[0].id, "5");
        events.emit("container", "die", "x", BTreeMap::new());
        assert_eq!(new.try_recv().unwrap().action, "die");
        assert!(events.listen(None).0.is_empty());
    }
}

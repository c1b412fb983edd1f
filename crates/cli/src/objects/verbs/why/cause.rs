//! What was seen, what it means, and the chain from one to the other. Values only.

use jiff::Timestamp;
use serde_json::{Value, json};

/// An object with what belongs to it.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// With its `kind` and `apiVersion`.
    pub(super) object: Value,
    /// What happened to it, oldest first.
    pub(super) events: Vec<Value>,
    /// What it owns or chooses, that runs for it.
    pub(super) below: Vec<Seen>,
    /// What else it depends on: nodes, slices, classes.
    pub(super) beside: Vec<Value>,
}

/// How it is with an object. The worse is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// As it should be.
    Well,
    /// Not yet, and nothing is wrong so far.
    Waiting,
    /// Something is wrong.
    Wrong,
}

/// One step of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    /// How far below the object that was asked for.
    pub(super) depth: usize,
    /// `pod/web-1`, `container app`, `event`
    pub(super) object: String,
    /// What is with it.
    pub(super) says: String,
}

/// What was found out about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) state: State,
    /// Part of a sentence, with the object's name in it: `pod web-1 waits for …`.
    pub(super) says: String,
    /// The innermost part of it, for who stands above.
    pub(super) cause: String,
    /// What to do, if anything.
    pub(super) next: String,
    /// From this object down.
    pub(super) chain: Vec<Link>,
}

impl Finding {
    /// One without a chain yet.
    pub(super) fn new(state: State, says: impl Into<String>, next: impl Into<String>) -> Finding {
        let says = says.into();
        Finding {
            state,
            cause: says.clone(),
            says,
            next: next.into(),
            chain: Vec::new(),
        }
    }

    pub(super) fn well(says: impl Into<String>) -> Finding {
        Finding::new(State::Well, says, "")
    }

    pub(super) fn waiting(says: impl Into<String>, next: impl Into<String>) -> Finding {
        Finding::new(State::Waiting, says, next)
    }

    pub(super) fn wrong(says: impl Into<String>, next: impl Into<String>) -> Finding {
        Finding::new(State::Wrong, says, next)
    }

    /// With a step before all others, which go one deeper.
    #[must_use]
    pub(super) fn under(mut self, object: impl Into<String>, says: impl Into<String>) -> Finding {
        for link in &mut self.chain {
            link.depth += 1;
        }
        let first = Link {
            depth: 0,
            object: object.into(),
            says: says.into(),
        };
        self.chain.insert(0, first);
        self
    }

    /// With a step at the end.
    #[must_use]
    pub(super) fn then(mut self, object: impl Into<String>, says: impl Into<String>) -> Finding {
        let depth = self.chain.iter().map(|link| link.depth + 1).max();
        self.chain.push(Link {
            depth: depth.unwrap_or(0),
            object: object.into(),
            says: says.into(),
        });
        self
    }

    /// The sentence: its first letter as at the beginning, a full stop at its end.
    pub(super) fn sentence(&self) -> String {
        let text = self.says.trim_end_matches(['.', '\n']);
        format!("{text}.")
    }

    /// As a value for programs.
    pub(super) fn value(&self, object: &str) -> Value {
        let chain = self.chain.iter();
        let chain: Vec<Value> = chain
            .map(|link| json!({ "depth": link.depth, "object": link.object, "says": link.says }))
            .collect();
        let state = match self.state {
            State::Well => "Well",
            State::Waiting => "Waiting",
            State::Wrong => "Wrong",
        };
        json!({
            "object": object,
            "state": state,
            "sentence": self.sentence(),
            "next": self.next,
            "chain": chain,
        })
    }
}

/// The worst of several, the first of those that are as bad.
pub(super) fn worst(all: impl IntoIterator<Item = Finding>) -> Option<Finding> {
    let mut found: Option<Finding> = None;
    for one in all {
        if found.as_ref().is_none_or(|worst| one.state > worst.state) {
            found = Some(one);
        }
    }
    found
}

/// Text of a field; empty where there is none.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Number of a field; 0 where there is none.
pub(super) fn int(value: &Value, pointer: &str) -> i64 {
    value.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

/// Entries of a list; none where there is none.
pub(super) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    let found = value.pointer(pointer).and_then(Value::as_array);
    found.map_or(&[], Vec::as_slice)
}

/// What an object is called.
pub(super) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// `pod web`: a kind in small letters, and the name.
pub(super) fn called(object: &Value) -> String {
    let kind = match text(object, "/kind") {
        "PersistentVolumeClaim" => "claim".to_owned(),
        "PersistentVolume" => "volume".to_owned(),
        "HorizontalPodAutoscaler" => "autoscaler".to_owned(),
        kind => kind.to_lowercase(),
    };
    format!("{kind} {}", name(object))
}

/// `pod/web`, as it is typed.
pub(super) fn typed(object: &Value) -> String {
    let kind = text(object, "/kind").to_lowercase();
    format!("{kind}/{}", name(object))
}

/// A condition of an object.
pub(super) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let mut all = list(object, "/status/conditions").iter();
    all.find(|one| text(one, "/type") == kind)
}

/// Whether a condition is there and says so.
pub(super) fn is(object: &Value, kind: &str, status: &str) -> bool {
    condition(object, kind).is_some_and(|one| text(one, "/status") == status)
}

/// How long ago a time was: `5m`; empty where it is none.
pub(super) fn ago(time: &str, now: Timestamp) -> String {
    let Ok(time) = time.parse::<Timestamp>() else {
        return String::new();
    };
    weft_stdx::age::age(now.duration_since(time).as_secs().max(0))
}

/// The last event with one of these reasons.
pub(super) fn event<'a>(seen: &'a Seen, reasons: &[&str]) -> Option<&'a Value> {
    let mut all = seen.events.iter().rev();
    all.find(|one| reasons.contains(&text(one, "/reason")))
}

/// `1 pod`, `2 pods`
pub(super) fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}

//! A set of fields (`FieldsV1`; sigs.k8s.io/structured-merge-diff, "fieldpath").

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::{Map, Value};

/// Deepest set that is read.
const DEEPEST: usize = 128;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// A field's name.
    Field(String),
    /// An element of a list, by its keys: JSON.
    Item(String),
    /// An element of a set, by its value: JSON.
    Value(String),
    /// An element by its place; nobody makes these any more.
    Index(String),
}

impl Step {
    fn name(&self) -> String {
        match self {
            Step::Field(name) => format!("f:{name}"),
            Step::Item(keys) => format!("k:{keys}"),
            Step::Value(value) => format!("v:{value}"),
            Step::Index(at) => format!("i:{at}"),
        }
    }

    fn of(name: &str) -> Option<Step> {
        let json = |text: &str| {
            let value: Value = serde_json::from_str(text).ok()?;
            Some(value.to_string())
        };
        let (kind, rest) = name.split_at_checked(2)?;
        Some(match kind {
            "f:" => Step::Field(rest.to_owned()),
            "k:" => Step::Item(json(rest)?),
            "v:" => Step::Value(json(rest)?),
            "i:" => Step::Index(rest.to_owned()),
            _ => return None,
        })
    }

    /// As messages show it: `.name`, `[name="a"]`.
    fn told(&self) -> String {
        match self {
            Step::Field(name) => format!(".{name}"),
            Step::Item(keys) => {
                let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
                let keys: Vec<String> = keys
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                format!("[{}]", keys.join(","))
            }
            Step::Value(value) => format!("[={value}]"),
            Step::Index(at) => format!("[{at}]"),
        }
    }
}

/// A set of fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Set {
    /// Whether what is here is in it itself.
    pub(crate) here: bool,
    /// What is below; none of it is empty.
    pub(crate) below: BTreeMap<Step, Set>,
}

impl Set {
    /// What is here, alone.
    pub(crate) fn itself() -> Set {
        Set {
            here: true,
            below: BTreeMap::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.here && self.below.is_empty()
    }

    /// Puts `set` at `step`, if there is anything in it.
    pub(crate) fn put(&mut self, step: Step, set: Set) {
        if set.is_empty() {
            return;
        }
        match self.below.entry(step) {
            Entry::Vacant(free) => {
                free.insert(set);
            }
            Entry::Occupied(mut taken) => taken.get_mut().unite(&set),
        }
    }

    pub(crate) fn unite(&mut self, other: &Set) {
        self.here |= other.here;
        for (step, set) in &other.below {
            self.below.entry(step.clone()).or_default().unite(set);
        }
    }

    pub(crate) fn subtract(&mut self, other: &Set) {
        self.here &= !other.here;
        for (step, set) in &other.below {
            if let Some(own) = self.below.get_mut(step) {
                own.subtract(set);
                if own.is_empty() {
                    self.below.remove(step);
                }
            }
        }
    }

    /// As [`Self::subtract`], and also without what holds anything of `other`.
    pub(crate) fn subtract_with_holders(&mut self, other: &Set) {
        self.here &= other.is_empty();
        for (step, set) in &other.below {
            if let Some(own) = self.below.get_mut(step) {
                own.subtract_with_holders(set);
                if own.is_empty() {
                    self.below.remove(step);
                }
            }
        }
    }

    /// What is in both.
    #[must_use]
    pub(crate) fn common(&self, other: &Set) -> Set {
        let mut common = Set {
            here: self.here && other.here,
            ..Set::default()
        };
        for (step, set) in &self.below {
            if let Some(other) = other.below.get(step) {
                common.put(step.clone(), set.common(other));
            }
        }
        common
    }

    /// Takes out the field at a path of names, with all that is below it.
    pub(crate) fn take_out(&mut self, path: &[&str]) {
        let Some((first, rest)) = path.split_first() else {
            *self = Set::default();
            return;
        };
        let step = Step::Field((*first).to_owned());
        if let Some(set) = self.below.get_mut(&step) {
            set.take_out(rest);
            if set.is_empty() {
                self.below.remove(&step);
            }
        }
    }

    /// All paths, as messages show them.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.add_paths("", &mut paths);
        paths
    }

    fn add_paths(&self, before: &str, paths: &mut Vec<String>) {
        if self.here {
            paths.push(before.to_owned());
        }
        for (step, set) in &self.below {
            set.add_paths(&format!("{before}{}", step.told()), paths);
        }
    }

    /// As `FieldsV1`.
    pub(crate) fn write(&self) -> Value {
        let mut map = Map::new();
        for (step, set) in &self.below {
            let mut value = set.write();
            // A field alone is an empty map; "." says so only where there is more below.
            if let (true, Some(value)) = (set.here && !set.below.is_empty(), value.as_object_mut())
            {
                value.insert(".".to_owned(), Map::new().into());
            }
            map.insert(step.name(), value);
        }
        map.into()
    }

    /// From `FieldsV1`; nothing, where it is none.
    pub(crate) fn read(value: &Value) -> Option<Set> {
        read(value, DEEPEST)
    }
}

fn read(value: &Value, depth: usize) -> Option<Set> {
    let depth = depth.checked_sub(1)?;
    let mut set = Set::default();
    for (name, value) in value.as_object()? {
        if name == "." {
            set.here = true;
            continue;
        }
        let mut below = read(value, depth)?;
        below.here |= below.below.is_empty();
        set.below.insert(Step::of(name)?, below);
    }
    Some(set)
}

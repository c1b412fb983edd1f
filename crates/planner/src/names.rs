//! Texts that are kept once, so that comparing two is comparing two addresses.
//! Never keeps for long what nobody holds any more.

use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Below this many texts nothing is swept.
const SWEEP_MIN: usize = 1024;

/// A text of one [`Names`]; those of different ones are never equal.
#[derive(Clone)]
pub(crate) struct Name(Arc<str>);

impl Name {
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).cast::<u8>().addr().hash(state);
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The texts of one cluster. Bound: twice what was held at the last sweep, or [`SWEEP_MIN`].
#[derive(Debug, Default)]
pub(crate) struct Names {
    texts: HashSet<Arc<str>>,
    /// At this many it is time to sweep.
    full: usize,
}

impl Names {
    pub(crate) fn of(&mut self, text: &str) -> Name {
        if let Some(found) = self.find(text) {
            return found;
        }
        if self.texts.len() >= self.full.max(SWEEP_MIN) {
            self.texts.retain(|text| Arc::strong_count(text) > 1);
            self.full = self.texts.len() * 2;
        }
        let kept: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&kept));
        Name(kept)
    }

    pub(crate) fn find(&self, text: &str) -> Option<Name> {
        self.texts.get(text).map(|kept| Name(Arc::clone(kept)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_once_and_while_somebody_holds_it() {
        let mut names = Names::default();
        let held = names.of("held");
        assert_eq!(names.of("held"), held);
        assert_ne!(names.of("other"), held);
        for number in 0..SWEEP_MIN * 4 {
            names.of(&number.to_string());
        }
        assert!(names.texts.len() <= SWEEP_MIN, "{}", names.texts.len());
        assert_eq!(names.of("held"), held);
        assert_eq!(names.find("0"), None);
    }
}

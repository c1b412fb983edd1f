//! The label keys of pods that anybody's selector asks about. What nobody asks about, such as the name
//! that a StatefulSet or the index that a Job gives each of its pods, makes no other shape of it: all
//! of them are seen by one ranking.
//! Never forgets a key: rankings were made without the labels that were not asked about.

use std::collections::HashSet;
use std::sync::Arc;

use crate::labels::Selector;
use crate::pod::{PodTerm, Shape};

/// With more keys than this, all labels are looked at.
const KEYS_MAX: usize = 1 << 10;

/// Label keys. Bound: [`KEYS_MAX`].
#[derive(Debug, Default)]
pub(crate) struct Asked {
    keys: HashSet<String>,
    is_full: bool,
    /// Grows when more is asked about, which no ranking outlives.
    pub(crate) version: u64,
}

impl Asked {
    /// Takes up what a shape asks about.
    pub(crate) fn note(&mut self, shape: &Shape) {
        let terms = [&shape.affinity, &shape.anti_affinity].into_iter();
        let terms = terms.flat_map(|some| {
            let preferred = some.preferred.iter().map(|(_, term)| term);
            some.required.iter().chain(preferred)
        });
        for term in terms {
            self.note_term(term);
        }
        for spread in &shape.spreads {
            self.note_selector(spread.selector.as_ref());
            self.note_keys(&spread.match_label_keys);
        }
    }

    /// The shape without labels that nobody asks about.
    pub(crate) fn narrowed(&self, shape: &Arc<Shape>) -> Arc<Shape> {
        let is_asked = |key: &String| self.is_full || self.keys.contains(key);
        if shape.labels.keys().all(is_asked) {
            return Arc::clone(shape);
        }
        let mut narrowed = Shape::clone(shape);
        narrowed.labels.retain(|key, _| is_asked(key));
        Arc::new(narrowed)
    }

    fn note_term(&mut self, term: &PodTerm) {
        self.note_selector(term.selector.as_ref());
        self.note_keys(&term.match_label_keys);
        self.note_keys(&term.mismatch_label_keys);
    }

    fn note_selector(&mut self, selector: Option<&Selector>) {
        let requirements = selector.map(|selector| &selector.requirements);
        for requirement in requirements.into_iter().flatten() {
            self.note_key(&requirement.key);
        }
    }

    fn note_keys(&mut self, keys: &[String]) {
        keys.iter().for_each(|key| self.note_key(key));
    }

    fn note_key(&mut self, key: &str) {
        if self.is_full || self.keys.contains(key) {
            return;
        }
        self.version += 1;
        match self.keys.len() < KEYS_MAX {
            true => drop(self.keys.insert(key.to_owned())),
            false => self.is_full = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::Spread;

    #[test]
    fn labels_count_once_they_are_asked_about() {
        let asking = |key: String| Shape {
            spreads: vec![Spread {
                selector: Some(Selector::labels([(&*key, "x")])),
                ..Spread::default()
            }],
            ..Shape::default()
        };
        let labels = ["app", "pod-index"].map(|key| (key.to_owned(), "x".to_owned()));
        let shape = Arc::new(Shape {
            labels: labels.into(),
            ..Shape::default()
        });
        let mut asked = Asked::default();
        assert!(asked.narrowed(&shape).labels.is_empty());
        asked.note(&asking("app".to_owned()));
        asked.note(&asking("app".to_owned()));
        assert_eq!(asked.version, 1);
        assert_eq!(asked.narrowed(&shape).labels.len(), 1);
        for number in 0..KEYS_MAX * 2 {
            asked.note(&asking(number.to_string()));
        }
        assert_eq!(
            (asked.keys.len(), asked.version),
            (KEYS_MAX, KEYS_MAX as u64 + 1)
        );
        assert_eq!(asked.narrowed(&shape).labels.len(), 2);
    }
}

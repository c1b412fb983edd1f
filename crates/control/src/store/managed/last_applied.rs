//! What kubectl applied last on its own side: an annotation it compares with, until it applies on
//! the server, and again when it goes back.

use serde_json::{Map, Value};

use super::super::meta::ANNOTATIONS_MAX;
use super::{Entry, owned};
use crate::fields::{self, Set};
use crate::kind::Kind;
use crate::object::Object;

/// The manager of configurations kubectl applies, and where it keeps them.
const KUBECTL: &str = "kubectl";
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What kubectl named when it applied on its own side: on its way here it has no rival there.
pub(super) fn own_by_client(kind: &Kind, live: &Object, own: &Entry) -> Set {
    let last = live.text(&["metadata", "annotations", ANNOTATION]);
    let last = last.filter(|_| own.manager == KUBECTL);
    let last = last.and_then(|last| serde_json::from_str(last).ok());
    last.map_or_else(Set::default, |last| owned(fields::of(kind.schema(), &last)))
}

/// Where kubectl's own configuration is written down in `new`, it is from now on `config`, which
/// was applied: what kubectl leaves out when it goes back to its own side is known there. Whoever
/// does not want that applies under another name.
pub(super) fn renew(config: &Object, new: &mut Object, own: &Entry) {
    let last = new.text(&["metadata", "annotations", ANNOTATION]);
    if own.manager != KUBECTL || !own.subresource.is_empty() || last.is_none_or(str::is_empty) {
        return;
    }
    let mut config = config.clone();
    if let Some(map) = annotations_of(&mut config) {
        map.remove(ANNOTATION);
    }
    let Ok(mut text) = serde_json::to_string(&config.0) else {
        return;
    };
    text.push('\n');
    let Some(map) = annotations_of(new) else {
        return;
    };
    map.remove(ANNOTATION);
    let texts = map
        .iter()
        .map(|(name, value)| name.len() + value.as_str().map_or(0, str::len));
    // What is too long is not written down: kubectl does without.
    if texts.sum::<usize>() + ANNOTATION.len() + text.len() <= ANNOTATIONS_MAX {
        map.insert(ANNOTATION.to_owned(), text.into());
    }
}

fn annotations_of(object: &mut Object) -> Option<&mut Map<String, Value>> {
    let annotations = object.0.get_mut("metadata")?.get_mut("annotations")?;
    annotations.as_object_mut()
}

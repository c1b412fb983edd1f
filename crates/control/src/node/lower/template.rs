//! What a pod's templates may show: what they name, and no more.

use weft_api::assignment::{FileValue, Shown, Template, Texts};

use super::super::refer::{Found, Held, held_by_map, held_by_secret};
use super::env;
use crate::object::Object;
use crate::templates;

pub(super) fn shown(found: &Found) -> Shown {
    let mut config_maps = Texts::new();
    for (name, key) in &found.named.keys {
        let Some(map) = found.config_maps.get(name) else {
            continue;
        };
        let texts = config_maps.entry(name.clone()).or_default();
        if let Some(held) = held_by_map(map).get(&**key) {
            let is_text = matches!(held, Held::Text(_));
            texts.insert(key.clone(), env::text(held).filter(|_| is_text));
        }
    }
    let mut secrets = Texts::new();
    for (name, key) in &found.named.secrets {
        let Some(secret) = found.secrets.get(name) else {
            continue;
        };
        let texts = secrets.entry(name.clone()).or_default();
        let held = held_by_secret(secret).into_iter();
        let held = held.filter(|(of, _)| key.as_ref().is_none_or(|key| key == of));
        texts.extend(held.map(|(key, held)| (key.to_owned(), env::text(&held))));
    }
    Shown {
        config_maps,
        secrets,
        node_labels: found.node_labels.clone(),
    }
}

/// A file of a config map: the value itself, or what its node makes of it.
pub(super) fn value(map: &Object, key: &str, held: &Held<'_>) -> Result<FileValue, String> {
    let marks = templates::marks(map).map_err(|wrong| {
        let wrong = wrong.into_iter().map(|(name, why)| format!("{name} {why}"));
        let wrong: Vec<String> = wrong.collect();
        let name = map.meta().name();
        format!("configmap {name:?}, annotations: {}", wrong.join(", "))
    })?;
    Ok(match (held, marks) {
        (Held::Text(text), Some(marks)) => FileValue::Template(Box::new(Template {
            map: map.meta().name().to_owned(),
            key: key.to_owned(),
            text: (*text).to_owned(),
            left: marks.left,
            right: marks.right,
            change: marks.change,
            splay_ms: marks.splay_ms,
        })),
        (Held::Text(text), None) => FileValue::Text((*text).to_owned()),
        (Held::Base64(text), _) => FileValue::Binary((*text).to_owned()),
    })
}

/// Variables are set before a container is there: nothing could be rendered for it, or anew.
pub(super) fn no_variable(map: &Object) -> Result<(), String> {
    match templates::marks(map) {
        Ok(None) => Ok(()),
        _ => Err(format!(
            "configmap {:?} holds templates, which are rendered into files only: mount it as a \
             volume, or take the variable from a configmap without templates",
            map.meta().name()
        )),
    }
}

//! `metrics.k8s.io`: what nodes and pods use, for `kubectl top`.

use http::StatusCode;
use serde_json::json;
use weft_control::{Failure, Reason, usage};

use crate::answer::Answer;
use crate::objects::Asked;

/// Answers with what is measured.
///
/// # Errors
/// Nobody measures, or there is nothing of this name.
pub(crate) async fn answer(asked: &Asked<'_>) -> Result<Answer, Failure> {
    let target = asked.target;
    let of = (&*target.kind, &*target.namespace);
    let mut options = asked.list_options()?;
    // All of it is one piece.
    (options.limit, options.token) = (0, None);
    let items = usage::list(asked.store, asked.meter, of, &options).await?;
    if target.name.is_empty() {
        return asked.shape.list(&json!({}), items);
    }
    let Some(item) = items.first() else {
        let about = match &*target.namespace {
            "" => target.name.clone(),
            namespace => format!("{namespace}/{}", target.name),
        };
        let what = target.kind.kind.to_ascii_lowercase();
        let message = format!("{what}.metrics.k8s.io {about:?} not found");
        let (group, plural) = (&*target.kind.group, &*target.kind.plural);
        let failure = Failure::new(Reason::NotFound, message);
        return Err(failure.about(group, plural, &target.name));
    };
    asked.shape.one(StatusCode::OK, item)
}

//! `weft apply --force`: deletes what cannot be changed into what is applied, and makes it anew.
//!
//! ```text
//!   apply ─► refused as invalid ─► delete, wait until it is gone ─► apply ─► refused? what was there again
//! ```

use serde_json::Value;
use weft_client::Request;
use weft_client::cluster::ApiError;

use super::Args;
use crate::error::CliError;
use crate::objects::choose::Target;
use crate::objects::connect::Api;
use crate::objects::manifest::Manifest;
use crate::objects::verbs::wait;
use crate::objects::write::DryRun;

/// Whether the server says that an object cannot become what was sent.
pub(super) fn is_invalid(error: &ApiError) -> bool {
    error.refusal().is_some_and(|refusal| refusal.code == 422)
}

impl Args {
    /// Puts what `manifest` says in the place of `before`.
    pub(super) async fn anew(
        &self,
        api: &Api,
        target: &Target,
        manifest: &Manifest,
        before: &Value,
    ) -> Result<Value, CliError> {
        // Whoever made another of that name meanwhile keeps it.
        let uid = before["metadata"]["uid"].as_str().unwrap_or_default();
        let body = self.deletion.options(true, DryRun::None, Some(uid));
        let request = Request::delete(format!("delete {}", target.label()), &target.path(None));
        match api.send(&request.json(&body)).await {
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => {}
        }
        wait::until_gone(api, target, uid, Some(self.timeout)).await?;
        let refused = match self.send(api, target, manifest).await {
            Ok(object) => return Ok(object),
            Err(error) => manifest.while_trying("applying", error),
        };
        Err(match restore(api, target, before).await {
            Ok(()) => refused.hint(format!("{} is what it was, made anew", target.label())),
            Err(error) => refused.hint(format!(
                "{} is deleted, and could not be made as it was: {}",
                target.label(),
                error.message()
            )),
        })
    }
}

/// Makes an object that was deleted as it was.
async fn restore(api: &Api, target: &Target, before: &Value) -> Result<(), CliError> {
    let mut object = before.clone();
    let of_the_server = [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "generation",
        "managedFields",
    ];
    if let Some(meta) = object["metadata"].as_object_mut() {
        meta.retain(|key, _| !of_the_server.contains(&key.as_str()));
    }
    let mut of_kind = target.clone();
    of_kind.name = None;
    let what = format!("make {} as it was", target.label());
    let request = Request::post(what, &of_kind.path(None)).json(&object);
    api.send(&request).await?;
    Ok(())
}

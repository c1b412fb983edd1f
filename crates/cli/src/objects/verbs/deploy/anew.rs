//! A job cannot become another one: it goes, and is made anew.

use std::time::Duration;

use serde_json::Value;
use weft_client::cluster::ApiError;

use super::kept;
use crate::error::CliError;
use crate::objects::choose::Target;
use crate::objects::connect::Api;
use crate::objects::verbs::wait;
use crate::objects::write::DryRun;

/// Whether that is why it was refused.
pub(super) fn is_meant(error: &ApiError, before: &Value) -> bool {
    before["kind"] == "Job" && error.refusal().is_some_and(|refusal| refusal.code == 422)
}

/// Takes the old one away.
pub(super) async fn run(
    api: &Api,
    target: &Target,
    before: &Value,
    dry_run: DryRun,
    timeout: Duration,
) -> Result<(), CliError> {
    kept::delete(api, target, before, dry_run).await?;
    if dry_run == DryRun::None {
        let uid = before["metadata"]["uid"].as_str().unwrap_or_default();
        wait::until_gone(api, target, uid, Some(timeout)).await?;
    }
    Ok(())
}

//! Filters of the prune requests.
//!
//! What they select is the engine's to find.

use jiff::Timestamp;
use weft_engine::PruneFilter;

use crate::error::ApiError;
use crate::transport::filters::Filters;
use crate::transport::moment;

/// `label`, `label!` and `until`.
pub fn filter(filters: &Filters) -> Result<PruneFilter, ApiError> {
    let until_ns = match filters.values("until") {
        [] => None,
        [text] => {
            let at = moment::parse("until", text, Timestamp::now())?;
            Some(i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX))
        }
        _ => return Err(ApiError::invalid("filter 'until' takes one value")),
    };
    Ok(PruneFilter {
        until_ns,
        labels: filters.values("label").to_vec(),
        not_labels: filters.values("label!").to_vec(),
        all: false,
    })
}

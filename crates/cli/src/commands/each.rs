//! One operation on several named things.
//!
//! Owns what docker does with lists of names: go on after a failure, print the name on success, in
//! order, and fail in the end if any failed.

use futures_util::StreamExt as _;
use weft_client::ClientError;

use crate::error::{CliError, EXIT_FAILED};
use crate::session::Session;
use crate::tree::Outcome;

/// Operations under way at the same time.
const CONCURRENT_MAX: usize = 16;

/// Does `operation` on all `names`. An error whose code is 0 is said, and no failure.
pub async fn each<'a, F>(
    session: &Session,
    names: &'a [String],
    operation: impl Fn(&'a str) -> F,
) -> Outcome
where
    F: Future<Output = Result<(), CliError>>,
{
    let operations = names.iter().map(|name| {
        let done = operation(name);
        async move { (name, done.await) }
    });
    let mut results = futures_util::stream::iter(operations).buffered(CONCURRENT_MAX);
    let mut code = 0;
    while let Some((name, result)) = results.next().await {
        match result {
            Ok(()) if session.is_explaining() => {}
            Ok(()) => session.printer.line(name)?,
            Err(error) => {
                session.printer.error(&error);
                if error.code() != 0 {
                    code = EXIT_FAILED;
                }
            }
        }
    }
    Ok(code)
}

/// What `--force` makes of a removal: what is not there is as good as removed.
pub fn unless_missing(force: bool, removed: Result<(), ClientError>) -> Result<(), CliError> {
    match removed {
        Err(error) if force && error.is_not_found() => Err(CliError::silent(0)),
        removed => Ok(removed?),
    }
}

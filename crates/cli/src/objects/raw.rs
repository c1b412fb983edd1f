//! `--raw`: a path of the server, asked for as it is.

use weft_client::cluster::ApiError;
use weft_client::{Method, Request};

use super::connect::Api;
use crate::error::CliError;
use crate::tree::Outcome;

/// Sends `body` to `path`, and shows what the server answers.
pub async fn send(api: &Api, method: Method, path: &str, body: Option<Vec<u8>>) -> Outcome {
    let is_path = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_path {
        return Err(CliError::usage(format!(
            "--raw {path:?}: a path begins with /, and has no blanks: /api/v1/namespaces"
        )));
    }
    let what = format!("{} {path}", method.as_str().to_lowercase());
    let mut request = Request::as_it_is(method, what, path);
    if let Some(body) = body {
        let is_json = body.trim_ascii_start().starts_with(b"{");
        let media = match is_json {
            true => "application/json",
            false => "application/yaml",
        };
        request = request.body(media, body);
    }
    match api.send(&request).await {
        Ok(answer) => api.printer.bytes(&answer.bytes)?,
        Err(ApiError::NotSent) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(0)
}

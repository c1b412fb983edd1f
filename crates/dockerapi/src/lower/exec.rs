//! The exec create request.
//!
//! Whether its user and directory exist is found when it starts.

use weft_api::docker::ExecConfig;
use weft_engine::container::ExecOptions;

use super::{Refusals, container::some};
use crate::error::ApiError;

/// Lowers the body of `POST /containers/{id}/exec`.
pub fn exec(body: ExecConfig) -> Result<ExecOptions, ApiError> {
    let mut no = Refusals::default();
    no.rest("", &body.rest);
    if body.cmd.is_empty() {
        no.invalid("No exec command specified");
    }
    if body.cmd.first().is_some_and(String::is_empty) {
        no.invalid("the command's first word is empty: it has to name a program");
    }
    for entry in body
        .env
        .iter()
        .filter(|e| e.is_empty() || e.starts_with('='))
    {
        no.invalid(format!("Env: invalid environment variable: '{entry}'"));
    }
    if !body.working_dir.is_empty() && !body.working_dir.starts_with('/') {
        no.invalid(format!(
            "WorkingDir: '{}' is not an absolute path",
            body.working_dir
        ));
    }
    if !body.detach_keys.is_empty()
        && crate::transport::hijack::detach_keys(&body.detach_keys).is_none()
    {
        no.invalid(format!(
            "DetachKeys: '{}' is not understood",
            body.detach_keys.escape_debug()
        ));
    }
    no.check()?;
    Ok(ExecOptions {
        args: body.cmd,
        env: body.env,
        cwd: some(body.working_dir),
        user: some(body.user),
        tty: body.tty,
        attach_stdin: body.attach_stdin,
        attach_stdout: body.attach_stdout,
        attach_stderr: body.attach_stderr,
        privileged: body.privileged,
        detach_keys: some(body.detach_keys),
        timeout: None,
    })
}

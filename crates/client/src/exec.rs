//! Calls about commands run inside a running container.
//!
//! The bytes they exchange come as a [`Duplex`].

use weft_api::docker::{ExecConfig, ExecInspect, ExecStartConfig, IdResponse};

use crate::error::ClientError;
use crate::hijack::Duplex;
use crate::request::Request;
use crate::transport::Client;

impl Client {
    /// Prepares a command in a container and answers with its id.
    pub async fn create_exec(
        &self,
        container: &str,
        body: &ExecConfig,
    ) -> Result<IdResponse, ClientError> {
        let request = Request::post(
            format!("create exec in container {container}"),
            &["containers", container, "exec"],
        );
        self.json(request.json(body)).await
    }

    /// Starts a prepared command and attaches to it.
    pub async fn start_exec(
        &self,
        id: &str,
        body: &ExecStartConfig,
    ) -> Result<Duplex, ClientError> {
        self.hijack(start(id).json(body)).await
    }

    /// Starts a prepared command and leaves it alone.
    pub async fn start_exec_detached(
        &self,
        id: &str,
        body: &ExecStartConfig,
    ) -> Result<(), ClientError> {
        self.done(start(id).json(body)).await
    }

    /// Sets the size of a command's terminal.
    pub async fn resize_exec(&self, id: &str, rows: u16, columns: u16) -> Result<(), ClientError> {
        let request = Request::post(format!("resize exec {id}"), &["exec", id, "resize"])
            .query("h", &rows.to_string())
            .query("w", &columns.to_string());
        self.done(request).await
    }

    /// How a command is doing.
    pub async fn inspect_exec(&self, id: &str) -> Result<ExecInspect, ClientError> {
        let request = Request::get(format!("inspect exec {id}"), &["exec", id, "json"]);
        self.json(request).await
    }
}

fn start(id: &str) -> Request {
    Request::post(format!("start exec {id}"), &["exec", id, "start"])
}

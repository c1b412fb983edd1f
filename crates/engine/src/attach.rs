//! attach and resize: a container's streams.

use crate::container::AttachOptions;
use crate::container::record::Status;
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::session::Attached;

impl Engine {
    /// A session with the container's streams; before a start, it begins with that start.
    ///
    /// # Errors
    /// No such container, it is being removed, or too many sessions wait for its start.
    pub async fn attach(&self, reference: &str, options: AttachOptions) -> Result<Attached> {
        let container = self.find(reference)?;
        let failed = |e| EngineError::internal(format!("attach to container {reference}"), e);
        // Nobody starts it between the look and the wait for its start; one that is up is not
        // held up by an operation that takes its time.
        let _operation = match container.state().status {
            Status::Running | Status::Paused => None,
            _ => Some(container.operation.lock().await),
        };
        match container.state().status {
            Status::Running | Status::Paused => {
                let socket = self.inner.paths.monitor_socket(&container.id);
                Attached::connect(&socket, options).await.map_err(failed)
            }
            Status::Removing | Status::Dead => Err(EngineError::conflict(format!(
                "container {reference} is being removed"
            ))),
            Status::Created | Status::Exited | Status::Restarting => {
                let (session, theirs) = Attached::pair(options).await.map_err(failed)?;
                if !container.add_pending(theirs) {
                    return Err(EngineError::new(
                        crate::ErrorCode::Exhausted,
                        format!("too many sessions wait for container {reference} to start"),
                    ));
                }
                Ok(session)
            }
        }
    }

    /// The terminal's new size.
    ///
    /// # Errors
    /// It does not run.
    pub async fn resize(&self, reference: &str, rows: u16, cols: u16) -> Result<()> {
        let container = self.find(reference)?;
        if !container.state().status.is_up() {
            return Err(EngineError::conflict(format!(
                "Container {reference} is not running"
            )));
        }
        let socket = self.inner.paths.monitor_socket(&container.id);
        resize(&socket, rows, cols)
            .await
            .map_err(|e| EngineError::internal(format!("resize container {reference}"), e))
    }
}

pub(crate) async fn resize(socket: &std::path::Path, rows: u16, cols: u16) -> std::io::Result<()> {
    let (_reader, mut writer) = Attached::connect(socket, AttachOptions::default())
        .await?
        .split();
    writer.resize(rows, cols).await
}

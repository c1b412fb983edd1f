//! attach and resize: a container's streams.

use std::time::Duration;

use crate::container::handle::Container;
use crate::container::record::Status;
use crate::container::{AttachOptions, Outcome};
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::session::{Attached, Recorded};

/// How long a monitor that listens no longer may take until its container's end is known.
const END_WAIT: Duration = Duration::from_secs(30);

/// How long a start waits for the session it was asked to wait for.
const SESSION_WAIT: Duration = Duration::from_secs(5);

impl Engine {
    /// A session with the container's streams; before a start, it begins with that start.
    ///
    /// # Errors
    /// No such container, it is paused, has just ended or is between two runs, it is being
    /// removed, or too many sessions wait for its start.
    pub async fn attach(&self, reference: &str, options: AttachOptions) -> Result<Attached> {
        let container = self.find(reference)?;
        // Nobody starts it between the look and the wait for its start; one that is up is not
        // held up by an operation that takes its time.
        let _operation = match container.state().status {
            Status::Running | Status::Paused => None,
            _ => Some(container.operation.lock().await),
        };
        let recorded = end_of_run(&container);
        let session = match container.state().status {
            Status::Running => self.attach_running(&container, options).await,
            Status::Paused => Err(EngineError::conflict(format!(
                "container {reference} is paused, unpause the container before attach"
            ))),
            Status::Restarting => Err(EngineError::conflict(format!(
                "container {reference} is restarting, wait until the container is running"
            ))),
            Status::Removing | Status::Dead => Err(EngineError::conflict(format!(
                "container {reference} is being removed"
            ))),
            Status::Created | Status::Exited => {
                let (session, theirs) = Attached::pair(options)
                    .await
                    .map_err(|e| failed(reference, e))?;
                if !container.add_pending(theirs) {
                    return Err(EngineError::new(
                        crate::ErrorCode::Exhausted,
                        format!("too many sessions wait for container {reference} to start"),
                    ));
                }
                Ok(session)
            }
        }?;
        self.emit(&container, "attach", &[]);
        Ok(session.ends_after(recorded))
    }

    /// Starts a container as soon as a session waits for that: attaching and starting can be asked for
    /// at once, and nothing of the output is missed.
    ///
    /// # Errors
    /// Nobody attaches; those of [`Engine::start`].
    pub async fn start_attached(&self, reference: &str) -> Result<Outcome> {
        let container = self.find(reference)?;
        let attached = tokio::time::timeout(SESSION_WAIT, container.attached());
        attached.await.map_err(|_| {
            EngineError::conflict(format!(
                "container {reference} was not started: nobody has attached to it"
            ))
        })?;
        self.start(&container.id).await
    }

    /// A client has left its session by the detach keys.
    pub fn detached(&self, id: &str) {
        if let Ok(container) = self.find(id) {
            self.emit(&container, "detach", &[]);
        }
    }

    async fn attach_running(
        &self,
        container: &Container,
        options: AttachOptions,
    ) -> Result<Attached> {
        let socket = self.inner.paths.monitor_socket(&container.id);
        let error = match Attached::connect(&socket, options).await {
            Ok(session) => return Ok(session),
            Err(error) => error,
        };
        // Its monitor has said good-bye: the end is on its way through the engine.
        if is_gone(&error) && self.wait_end(container, Some(END_WAIT)).await {
            return Err(EngineError::conflict(format!(
                "container {} is not running: it ended a moment ago; start it first",
                container.with(|r| r.name.clone())
            )));
        }
        Err(failed(&container.id, error))
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
            .map_err(|e| EngineError::internal(format!("resize container {reference}"), e))?;
        let size = [("height", rows.to_string()), ("width", cols.to_string())];
        self.emit(&container, "resize", &size);
        Ok(())
    }
}

/// Seen once the run that is going on, or the next one, has ended and is recorded.
pub(crate) fn end_of_run(container: &Container) -> Recorded {
    let mut progress = container.progress();
    let before = progress.borrow_and_update().exits;
    Recorded::when(async move {
        let _ = progress
            .wait_for(|now| now.exits > before || now.removed)
            .await;
    })
}

fn is_gone(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, NotFound};
    matches!(
        error.kind(),
        NotFound | ConnectionRefused | ConnectionReset | BrokenPipe
    )
}

fn failed(reference: &str, error: std::io::Error) -> EngineError {
    EngineError::internal(format!("attach to container {reference}"), error)
}

pub(crate) async fn resize(socket: &std::path::Path, rows: u16, cols: u16) -> std::io::Result<()> {
    let (_reader, mut writer) = Attached::connect(socket, AttachOptions::default())
        .await?
        .split();
    writer.resize(rows, cols).await
}

//! rm, rename, wait: the end of a container's life, and watching for it.

use std::sync::Arc;

use weft_image::Snapshotter;

use crate::container::handle::Container;
use crate::container::record::{Record, Status};
use crate::container::{Ended, RemoveOptions, StopOptions, WaitCondition};
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::names;

impl Engine {
    /// Removes a container. Never relies on creation having finished.
    ///
    /// # Errors
    /// It runs and `force` is not set, or something of it can't be removed: it is then `dead`, and
    /// removing again goes on.
    pub async fn remove(&self, reference: &str, options: RemoveOptions) -> Result<()> {
        let container = match self.find(reference) {
            Err(error) => match self.inner.unreadable.find(reference) {
                Some(id) => return self.remove_unreadable(&id, options).await,
                None => return Err(error),
            },
            Ok(container) => container,
        };
        let _operation = container.operation.lock().await;
        if self.find(&container.id).is_err() {
            return Err(EngineError::no_container(reference));
        }
        let status = container.state().status;
        if status == Status::Restarting {
            self.stop_locked(&container, &StopOptions::default())
                .await?;
        }
        if status.is_up() {
            if !options.force {
                let hint = if status == Status::Paused {
                    "Unpause and then stop"
                } else {
                    "Stop"
                };
                return Err(EngineError::conflict(format!(
                    "cannot remove container \"{reference}\": container is {}: {hint} the container before removing or force remove",
                    status.as_str()
                )));
            }
            self.save(&container, |r| r.state.stopped_by_user = true)?;
            self.kill_all(&container).await?;
            self.wait_end(&container, Some(std::time::Duration::from_secs(30)))
                .await;
        }
        // An end that is being seen to is seen to first.
        drop(container.life.lock().await);
        let removing = |r: &mut Record| {
            r.state.status = Status::Removing;
            r.state.remove_volumes |= options.volumes;
        };
        if container.with(|r| r.spec.auto_remove && r.state.started_at_ns != 0) {
            // What the disk says of such a one leads to its removal in any case (adopt.rs).
            container.note(removing);
        } else {
            self.save(&container, removing)?;
        }
        let volumes = container.state().remove_volumes;
        let _files = container.copies.end(std::time::Duration::ZERO).await?;
        let target = Arc::clone(&container);
        let removed = self
            .blocking(move |engine| engine.erase(&target, volumes))
            .await;
        if let Err(error) = removed {
            let text = error.to_string();
            let _ = self.save(&container, |r| {
                r.state.status = Status::Dead;
                r.state.error = text;
            });
            return Err(error);
        }
        self.inner.containers.remove(&container.id);
        self.inner.execs.forget(&container.id);
        self.emit(&container, "destroy", &[]);
        container.report(|p| {
            p.up = false;
            p.removed = true;
        });
        Ok(())
    }

    fn erase(&self, container: &Container, volumes: bool) -> Result<()> {
        self.release_run(&container.id);
        let mut errors = Vec::new();
        if volumes {
            for used in container.with(|r| r.volumes.clone()) {
                if used.anonymous
                    && let Err(e) = self.erase_volume(&used.name)
                {
                    errors.push(chain(&e));
                }
            }
        }
        errors.extend(self.discard(&container.id));
        if errors.is_empty() {
            return Ok(());
        }
        Err(EngineError::new(
            crate::ErrorCode::Internal,
            format!("remove container {}: {}", container.id, errors.join("; ")),
        ))
    }

    /// Removes what lies on disk for `id`, whatever of it is there; answers what failed.
    pub(crate) fn discard(&self, id: &str) -> Vec<String> {
        let mut errors = Vec::new();
        if let Err(e) = self.inner.images.snapshots().remove(id) {
            errors.push(chain(&e));
        }
        // The record goes last: as long as it is there, removal can be asked for again.
        if errors.is_empty()
            && let Err(e) = self.inner.trash.put(&self.inner.paths.container(id))
        {
            errors.push(chain(&e));
        }
        errors
    }

    /// Gives a container another name.
    ///
    /// # Errors
    /// The name is taken or none.
    pub async fn rename(&self, reference: &str, new_name: &str) -> Result<()> {
        let container = self.find(reference)?;
        let _operation = container.operation.lock().await;
        let new_name = new_name.strip_prefix('/').unwrap_or(new_name);
        names::check(new_name)?;
        let old_name = container.with(|r| r.name.clone());
        if new_name == old_name {
            return Err(EngineError::invalid(
                "Renaming a container with the same name as its current name",
            ));
        }
        self.inner.containers.reserve(new_name, &container.id)?;
        let saved = self.save(&container, |r| {
            r.name = new_name.to_owned();
            crate::network::rename_in(r);
        });
        if let Err(error) = saved {
            self.inner.containers.release_name(new_name);
            return Err(error);
        }
        self.inner.containers.release_name(&old_name);
        self.emit(&container, "rename", &[("oldName", old_name)]);
        self.name_on_networks(&container).await
    }

    /// How a container ends. The future does not borrow the engine: faces send their headers first.
    ///
    /// # Errors
    /// No such container.
    pub fn wait(
        &self,
        reference: &str,
        condition: WaitCondition,
    ) -> Result<impl Future<Output = Ended> + Send + 'static> {
        let container = self.find(reference)?;
        let mut progress = container.progress();
        let first = progress.borrow().clone();
        Ok(async move {
            loop {
                let now = progress.borrow_and_update().clone();
                let over = match condition {
                    WaitCondition::NotRunning => !now.up,
                    WaitCondition::NextExit => now.exits > first.exits,
                    WaitCondition::Removed => now.removed,
                };
                if over || now.removed {
                    return now.last.unwrap_or(Ended {
                        code: 0,
                        error: None,
                    });
                }
                if progress.changed().await.is_err() {
                    let last = progress.borrow().last.clone();
                    return last.unwrap_or(Ended {
                        code: 0,
                        error: None,
                    });
                }
            }
        })
    }
}

/// An error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(c) = cause {
        text.push_str(": ");
        text.push_str(&c.to_string());
        cause = c.source();
    }
    text
}

//! Calls about containers: their life, their lists, their files.
//!
//! Streams of their output are in `streams`, commands run in them in `exec`.

use http::Method;
use weft_api::docker::{
    ContainerCreateRequest, ContainerCreateResponse, ContainerInspect, ContainerSummary,
    ContainerUpdateRequest, ContainerUpdateResponse, ContainersPruneResponse, FilesystemChange,
    TopResponse, WaitResponse,
};

use crate::error::ClientError;
use crate::request::{Filters, Request};
use crate::stream::Bytestream;
use crate::transport::{Client, Upload};

/// In the answer of an engine that has started the container as it was asked to.
const STARTED: &str = "weft-started";

/// What `list_containers` shows.
#[derive(Debug, Clone, Default)]
pub struct ListContainers {
    /// Stopped ones too.
    pub all: bool,
    /// At most so many, newest first.
    pub limit: Option<u32>,
    /// With sizes, which cost a walk over the files.
    pub size: bool,
    /// Which ones.
    pub filters: Filters,
}

/// What a container's end is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitCondition {
    /// It does not run (now or later).
    NotRunning,
    /// It stops the next time.
    NextExit,
    /// It is gone.
    Removed,
}

impl WaitCondition {
    fn as_str(self) -> &'static str {
        match self {
            WaitCondition::NotRunning => "not-running",
            WaitCondition::NextExit => "next-exit",
            WaitCondition::Removed => "removed",
        }
    }
}

/// How a container is removed.
#[derive(Debug, Clone, Copy, Default)]
pub struct RemoveContainer {
    /// Kill it first.
    pub force: bool,
    /// Its anonymous volumes too.
    pub volumes: bool,
}

fn post(id: &str, verb: &str) -> Request {
    Request::post(format!("{verb} container {id}"), &["containers", id, verb])
}

impl Client {
    /// Creates a container.
    pub async fn create_container(
        &self,
        name: Option<&str>,
        platform: Option<&str>,
        body: &ContainerCreateRequest,
    ) -> Result<ContainerCreateResponse, ClientError> {
        self.json(create_request(name, platform, body)).await
    }

    /// Starts a created or stopped container.
    pub async fn start_container(
        &self,
        id: &str,
        detach_keys: Option<&str>,
    ) -> Result<(), ClientError> {
        let request = post(id, "start").query_opt("detachKeys", detach_keys);
        self.done(request).await
    }

    /// Stops a container: its stop signal, then SIGKILL after `grace_seconds`.
    pub async fn stop_container(
        &self,
        id: &str,
        signal: Option<&str>,
        grace_seconds: Option<i64>,
    ) -> Result<(), ClientError> {
        self.done(with_grace(post(id, "stop"), signal, grace_seconds))
            .await
    }

    /// Stops and starts a container.
    pub async fn restart_container(
        &self,
        id: &str,
        signal: Option<&str>,
        grace_seconds: Option<i64>,
    ) -> Result<(), ClientError> {
        self.done(with_grace(post(id, "restart"), signal, grace_seconds))
            .await
    }

    /// Sends a signal to a container's first process.
    pub async fn kill_container(&self, id: &str, signal: &str) -> Result<(), ClientError> {
        self.done(post(id, "kill").query("signal", signal)).await
    }

    /// Freezes a container.
    pub async fn pause_container(&self, id: &str) -> Result<(), ClientError> {
        self.done(post(id, "pause")).await
    }

    /// Thaws a container.
    pub async fn unpause_container(&self, id: &str) -> Result<(), ClientError> {
        self.done(post(id, "unpause")).await
    }

    /// Gives a container another name.
    pub async fn rename_container(&self, id: &str, name: &str) -> Result<(), ClientError> {
        self.done(post(id, "rename").query("name", name)).await
    }

    /// Sets the size of a container's terminal.
    pub async fn resize_container(
        &self,
        id: &str,
        rows: u16,
        columns: u16,
    ) -> Result<(), ClientError> {
        let request = post(id, "resize")
            .query("h", &rows.to_string())
            .query("w", &columns.to_string());
        self.done(request).await
    }

    /// Waits for the end of a container and answers with its exit code.
    pub async fn wait_container(
        &self,
        id: &str,
        condition: WaitCondition,
    ) -> Result<WaitResponse, ClientError> {
        let mut stream = self.wait_stream(id, condition).await?;
        crate::stream::one_json(&mut stream).await
    }

    /// Starts waiting: once this returns the engine waits, whatever happens to the container.
    /// The stream holds one [`WaitResponse`].
    pub async fn wait_stream(
        &self,
        id: &str,
        condition: WaitCondition,
    ) -> Result<Bytestream, ClientError> {
        self.stream(post(id, "wait").query("condition", condition.as_str()))
            .await
    }

    /// As [`Self::wait_stream`], and starts the container once somebody, this client most likely, has
    /// attached to it: once this returns it runs.
    pub async fn start_attached(
        &self,
        id: &str,
        condition: WaitCondition,
    ) -> Result<Bytestream, ClientError> {
        let request = Request::post(format!("start container {id}"), &["containers", id, "wait"])
            .query("condition", condition.as_str())
            .query("start", "attached");
        let (head, waiting) = self.stream_with_head(request).await?;
        if !head.headers.contains_key(STARTED) {
            // An engine that does not know this.
            self.start_container(id, None).await?;
        }
        Ok(waiting)
    }

    /// Removes a container.
    pub async fn remove_container(
        &self,
        id: &str,
        how: RemoveContainer,
    ) -> Result<(), ClientError> {
        let request = Request::delete(format!("remove container {id}"), &["containers", id])
            .flag("force", how.force)
            .flag("v", how.volumes);
        self.done(request).await
    }

    /// Lists containers.
    pub async fn list_containers(
        &self,
        what: &ListContainers,
    ) -> Result<Vec<ContainerSummary>, ClientError> {
        let limit = what.limit.map(|limit| limit.to_string());
        let request = Request::get("list containers", &["containers", "json"])
            .flag("all", what.all)
            .query_opt("limit", limit.as_deref())
            .flag("size", what.size)
            .filters(&what.filters);
        self.json(request).await
    }

    /// Everything about one container.
    pub async fn inspect_container(&self, id: &str) -> Result<ContainerInspect, ClientError> {
        self.json(inspect_request(id, false)).await
    }

    /// Everything about one container, as the engine's own JSON.
    pub async fn inspect_container_raw(
        &self,
        id: &str,
        size: bool,
    ) -> Result<serde_json::Value, ClientError> {
        self.json(inspect_request(id, size)).await
    }

    /// The processes of a container; `ps_args` as for ps(1).
    pub async fn top_container(
        &self,
        id: &str,
        ps_args: Option<&str>,
    ) -> Result<TopResponse, ClientError> {
        let request = Request::get(
            format!("list processes of container {id}"),
            &["containers", id, "top"],
        )
        .query_opt("ps_args", ps_args);
        self.json(request).await
    }

    /// How a container's files differ from its image's.
    pub async fn container_changes(
        &self,
        id: &str,
    ) -> Result<Option<Vec<FilesystemChange>>, ClientError> {
        let request = Request::get(
            format!("list changes of container {id}"),
            &["containers", id, "changes"],
        );
        self.json(request).await
    }

    /// Changes limits and the restart policy of a container.
    pub async fn update_container(
        &self,
        id: &str,
        body: &ContainerUpdateRequest,
    ) -> Result<ContainerUpdateResponse, ClientError> {
        self.json(post(id, "update").json(body)).await
    }

    /// Removes all stopped containers that pass `filters`.
    pub async fn prune_containers(
        &self,
        filters: &Filters,
    ) -> Result<ContainersPruneResponse, ClientError> {
        let request = Request::post("prune containers", &["containers", "prune"]).filters(filters);
        self.json(request).await
    }

    /// What stands at `path` in a container: the raw header, base64 of
    /// [`weft_api::docker::PathStat`] as JSON.
    pub async fn stat_path(&self, id: &str, path: &str) -> Result<String, ClientError> {
        let request = Request::new(
            Method::HEAD,
            format!("look at {path} in container {id}"),
            &["containers", id, "archive"],
        )
        .query("path", path);
        let head = match self.head(request.clone()).await {
            Ok(head) => head,
            // An answer to HEAD has no body to carry the engine's words.
            Err(ClientError::Refused {
                what, status: 404, ..
            }) => {
                return Err(ClientError::Refused {
                    message: format!("could not find the file {path} in container {id}"),
                    what,
                    status: 404,
                });
            }
            Err(ClientError::Refused { .. }) => {
                let mut with_words = request.clone();
                with_words.method = Method::GET;
                self.head(with_words).await?
            }
            Err(error) => return Err(error),
        };
        path_stat_header(&head, &request.what)
    }

    /// The file or directory at `path` as a tar archive, and the header about it (see
    /// [`Client::stat_path`]).
    pub async fn download_archive(
        &self,
        id: &str,
        path: &str,
    ) -> Result<(String, Bytestream), ClientError> {
        let request = Request::get(
            format!("copy {path} from container {id}"),
            &["containers", id, "archive"],
        )
        .query("path", path);
        let what = request.what.clone();
        let (head, bytes) = self.stream_with_head(request).await?;
        Ok((path_stat_header(&head, &what)?, bytes))
    }

    /// The root filesystem of a container as a tar archive.
    pub async fn export_container(&self, id: &str) -> Result<Bytestream, ClientError> {
        let request = Request::get(
            format!("export container {id}"),
            &["containers", id, "export"],
        );
        self.stream(request).await
    }

    /// Unpacks a tar archive into the directory `path` of a container.
    pub async fn upload_archive(
        &self,
        id: &str,
        path: &str,
        keep_owners: bool,
        archive: Upload,
    ) -> Result<(), ClientError> {
        let request = Request::new(
            Method::PUT,
            format!("copy to {path} in container {id}"),
            &["containers", id, "archive"],
        )
        .query("path", path)
        .query("noOverwriteDirNonDir", "true")
        .flag("copyUIDGID", keep_owners)
        .header("content-type", "application/x-tar");
        let mut answer = self.upload(request, archive).await?;
        answer.collect(64 << 10).await?;
        Ok(())
    }
}

/// The request behind [`Client::create_container`].
pub fn create_request(
    name: Option<&str>,
    platform: Option<&str>,
    body: &ContainerCreateRequest,
) -> Request {
    Request::post("create container", &["containers", "create"])
        .query_opt("name", name)
        .query_opt("platform", platform)
        .json(body)
}

fn inspect_request(id: &str, size: bool) -> Request {
    Request::get(
        format!("inspect container {id}"),
        &["containers", id, "json"],
    )
    .flag("size", size)
}

fn with_grace(request: Request, signal: Option<&str>, grace_seconds: Option<i64>) -> Request {
    let grace = grace_seconds.map(|seconds| seconds.to_string());
    request
        .query_opt("signal", signal)
        .query_opt("t", grace.as_deref())
}

fn path_stat_header(head: &http::response::Parts, what: &str) -> Result<String, ClientError> {
    head.headers
        .get("x-docker-container-path-stat")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned)
        .ok_or_else(|| ClientError::Protocol {
            what: what.to_owned(),
            why: "the answer lacks the header X-Docker-Container-Path-Stat".to_owned(),
        })
}

//! Calls about images.
//!
//! Reading image references is the engine's business: names go over as they are.

use weft_api::docker::{
    ImageDeleted, ImageHistory, ImageSummary, ImagesPruneResponse, JsonMessage,
};

use crate::error::ClientError;
use crate::request::{Filters, Request};
use crate::stream::{Bytestream, JsonLines};
use crate::transport::{Client, Upload};

/// Header with base64url of [`weft_api::docker::AuthConfig`] as JSON.
const REGISTRY_AUTH: &str = "x-registry-auth";

/// What is pulled.
#[derive(Debug, Clone, Default)]
pub struct Pull {
    /// Name without tag or digest.
    pub name: String,
    /// Tag or digest; all tags when absent.
    pub tag: Option<String>,
    /// `os/arch[/variant]`.
    pub platform: Option<String>,
    /// Ready-made value of the header with the credentials.
    pub auth: Option<String>,
}

/// What an imported archive becomes.
#[derive(Debug, Clone, Default)]
pub struct Import {
    /// Name without tag.
    pub repo: Option<String>,
    /// Tag.
    pub tag: Option<String>,
    /// Comment in its history.
    pub message: Option<String>,
    /// Dockerfile instructions applied to its configuration.
    pub changes: Vec<String>,
    /// `os/arch[/variant]`.
    pub platform: Option<String>,
}

impl Client {
    /// Pulls an image; the stream tells the progress and ends with an error if it failed.
    pub async fn pull_image(&self, pull: &Pull) -> Result<JsonLines<JsonMessage>, ClientError> {
        let mut request = Request::post(format!("pull image {}", pull.name), &["images", "create"])
            .query("fromImage", &pull.name)
            .query_opt("tag", pull.tag.as_deref())
            .query_opt("platform", pull.platform.as_deref());
        if let Some(auth) = &pull.auth {
            request = request.header(REGISTRY_AUTH, auth);
        }
        self.lines(request).await
    }

    /// Lists images.
    pub async fn list_images(
        &self,
        all: bool,
        filters: &Filters,
    ) -> Result<Vec<ImageSummary>, ClientError> {
        let request = Request::get("list images", &["images", "json"])
            .flag("all", all)
            .filters(filters);
        self.json(request).await
    }

    /// Everything about one image, as the engine's own JSON.
    pub async fn inspect_image_raw(&self, name: &str) -> Result<serde_json::Value, ClientError> {
        let request = Request::get(format!("inspect image {name}"), &["images", name, "json"]);
        self.json(request).await
    }

    /// How an image was made.
    pub async fn image_history(&self, name: &str) -> Result<Vec<ImageHistory>, ClientError> {
        let request = Request::get(
            format!("read history of image {name}"),
            &["images", name, "history"],
        );
        self.json(request).await
    }

    /// Removes a name of an image, and the image with its last name.
    pub async fn remove_image(
        &self,
        name: &str,
        force: bool,
        no_prune: bool,
    ) -> Result<Vec<ImageDeleted>, ClientError> {
        let request = Request::delete(format!("remove image {name}"), &["images", name])
            .flag("force", force)
            .flag("noprune", no_prune);
        self.json(request).await
    }

    /// Gives an image one more name.
    pub async fn tag_image(
        &self,
        name: &str,
        repo: &str,
        tag: Option<&str>,
    ) -> Result<(), ClientError> {
        let request = Request::post(format!("tag image {name}"), &["images", name, "tag"])
            .query("repo", repo)
            .query_opt("tag", tag);
        self.done(request).await
    }

    /// Images as a tar archive.
    pub async fn save_images(&self, names: &[String]) -> Result<Bytestream, ClientError> {
        let mut request = Request::get("save images", &["images", "get"]);
        for name in names {
            request = request.query("names", name);
        }
        self.stream(request).await
    }

    /// Takes in the images of a tar archive.
    pub async fn load_images(
        &self,
        quiet: bool,
        archive: Upload,
    ) -> Result<JsonLines<JsonMessage>, ClientError> {
        let request = Request::post("load images", &["images", "load"])
            .query("quiet", if quiet { "1" } else { "0" })
            .header("content-type", "application/x-tar");
        Ok(JsonLines::new(self.upload(request, archive).await?))
    }

    /// Makes an image of a root filesystem in a tar archive.
    pub async fn import_image(
        &self,
        import: &Import,
        archive: Upload,
    ) -> Result<JsonLines<JsonMessage>, ClientError> {
        let mut request = Request::post("import image", &["images", "create"])
            .query("fromSrc", "-")
            .query_opt("repo", import.repo.as_deref())
            .query_opt("tag", import.tag.as_deref())
            .query_opt("message", import.message.as_deref())
            .query_opt("platform", import.platform.as_deref())
            .header("content-type", "application/x-tar");
        for change in &import.changes {
            request = request.query("changes", change);
        }
        Ok(JsonLines::new(self.upload(request, archive).await?))
    }

    /// Removes unused images that pass `filters`.
    pub async fn prune_images(
        &self,
        filters: &Filters,
    ) -> Result<ImagesPruneResponse, ClientError> {
        let request = Request::post("prune images", &["images", "prune"]).filters(filters);
        self.json(request).await
    }
}

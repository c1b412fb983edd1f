//! Images as the faces see them: what containers use is known here, so removal goes through here.

use std::collections::{BTreeMap, HashSet};
use std::io::{Read, Write};

use weft_image::{
    ArchiveError, Changes, Credentials, Digest, ErrorKind, Image, Loaded, Mounts, Platform,
    Progress, PullOptions, Reclaimed, Reference, RemoveOptions, Removed, Snapshotter,
};

use crate::container::record::Record;
use crate::engine::Engine;
use crate::error::{EngineError, ErrorCode, Result};

impl Engine {
    /// The image `text` names.
    ///
    /// # Errors
    /// None here ("No such image"), or more than one.
    pub fn image(&self, text: &str) -> Result<Image> {
        let found = self.inner.images.find(text).map_err(|e| {
            EngineError::caused(code(e.kind()), format!("find the image {text}"), e)
        })?;
        found.ok_or_else(|| EngineError::new(ErrorCode::NotFound, format!("No such image: {text}")))
    }

    /// Fetches an image from its registry.
    ///
    /// # Errors
    /// The name or platform is none, the registry refuses or can't be reached, what it sent is
    /// not what it said.
    pub async fn pull_image(
        &self,
        name: &str,
        platform: Option<&str>,
        auth: Option<Credentials>,
        progress: impl Fn(Progress) + Send + Sync,
    ) -> Result<Image> {
        let reference = parse(name)?;
        let platform = platform
            .map(Platform::parse)
            .transpose()
            .map_err(|e| EngineError::caused(ErrorCode::Invalid, "read the platform", e))?;
        let image = self
            .inner
            .images
            .pull(&reference, PullOptions { platform, auth }, &progress)
            .await
            .map_err(|e| EngineError::told(code(e.kind()), &e))?;
        self.image_event("pull", &reference.to_string());
        Ok(image)
    }

    /// Whether the registry at `server` takes `credentials`. Nothing is stored.
    ///
    /// # Errors
    /// It refuses them, or can't be reached.
    pub async fn login(&self, server: &str, credentials: Credentials) -> Result<()> {
        let what = || {
            format!(
                "log in to {}",
                if server.is_empty() {
                    "docker.io"
                } else {
                    server
                }
            )
        };
        self.inner
            .images
            .login(server, credentials)
            .await
            .map_err(|e| {
                let code = if e.kind() == ErrorKind::Denied {
                    ErrorCode::Unauthenticated
                } else {
                    code(e.kind())
                };
                EngineError::caused(code, what(), e)
            })
    }

    /// Gives an image a further name.
    ///
    /// # Errors
    /// No such image, or the name is none.
    pub fn tag_image(&self, source: &str, name: &str) -> Result<()> {
        let image = self.image(source)?;
        let reference = parse(name)?;
        self.inner.images.tag(&image, &reference).map_err(|e| {
            EngineError::caused(code(e.kind()), format!("tag {source} as {name}"), e)
        })?;
        self.named_image_event("tag", &image.id.to_string(), &reference.to_string());
        Ok(())
    }

    /// Takes a name off an image; with its last name goes the image.
    ///
    /// # Errors
    /// No such image, or a container uses it.
    pub async fn remove_image(&self, text: &str, force: bool) -> Result<Vec<Removed>> {
        let text = text.to_owned();
        let removed = self
            .blocking(move |engine| engine.remove_image_blocking(&text, force))
            .await?;
        self.tell_removed(&removed);
        Ok(removed)
    }

    /// Removes images nobody uses with all their names, then what no image needs.
    pub(crate) fn discard_images(&self, images: &[Digest]) -> Result<(Vec<Removed>, Reclaimed)> {
        let discarded = self.inner.images.discard(images);
        let (removed, reclaimed) = discarded
            .map_err(|e| EngineError::caused(code(e.kind()), "remove unused images", e))?;
        self.tell_removed(&removed);
        Ok((removed, reclaimed))
    }

    fn tell_removed(&self, removed: &[Removed]) {
        for one in removed {
            match one {
                Removed::Untagged(name) => self.image_event("untag", name),
                Removed::Deleted(id) => self.image_event("delete", &id.to_string()),
            }
        }
    }

    fn remove_image_blocking(&self, text: &str, force: bool) -> Result<Vec<Removed>> {
        let user = |image: &Image| self.image_user(image, force);
        let options = RemoveOptions {
            force,
            in_use: &user,
        };
        self.inner
            .images
            .remove(text, options)
            .map_err(|e| EngineError::caused(code(e.kind()), format!("remove the image {text}"), e))
    }

    /// Why `image` must stay: a stopped container keeps it too, unless forced; a running one always.
    fn image_user(&self, image: &Image, force: bool) -> Option<String> {
        let id = image.id.to_string();
        self.inner.containers.all().into_iter().find_map(|c| {
            c.with(|r| {
                let uses = r.image_id == id && (r.state.status.is_up() || !force);
                uses.then(|| format!("{} container {}", r.state.status.as_str(), &r.id[..12]))
            })
        })
    }

    /// Writes the named images as an archive.
    ///
    /// # Errors
    /// No such image, or `out` refuses.
    pub fn save_images(&self, names: &[String], out: impl Write) -> Result<()> {
        self.inner
            .images
            .save(names, out)
            .map_err(|e| archive_failed("save images", e))
    }

    /// Reads images from an archive.
    ///
    /// # Errors
    /// It is none, or holds what its digests don't say.
    pub fn load_images(&self, archive: impl Read + Send) -> Result<Vec<Loaded>> {
        let loaded = self
            .inner
            .images
            .load(archive)
            .map_err(|e| archive_failed("load images", e))?;
        for one in &loaded {
            self.image_event("load", &one.image.id.to_string());
        }
        Ok(loaded)
    }

    /// Makes an image of one layer from a tarball of a root filesystem.
    ///
    /// # Errors
    /// It is no tarball, a change is none, the name is none.
    pub fn import_image(
        &self,
        tarball: impl Read + Send,
        changes: &[String],
        message: &str,
        platform: Option<Platform>,
        name: Option<&str>,
    ) -> Result<Image> {
        let reference = name.map(parse).transpose()?;
        let changes = Changes::parse(changes).map_err(|e| archive_failed("read the changes", e))?;
        let image = self
            .inner
            .images
            .import(tarball, &changes, message, platform, reference.as_ref())
            .map_err(|e| archive_failed("import an image", e))?;
        self.image_event("import", &image.id.to_string());
        Ok(image)
    }

    pub(crate) fn images_in_use(&self) -> HashSet<Digest> {
        let parse = |r: &Record| r.image_id.parse().ok();
        self.inner
            .containers
            .all()
            .iter()
            .filter_map(|c| c.with(parse))
            .collect()
    }

    pub(crate) fn image_event(&self, action: &str, id: &str) {
        self.named_image_event(action, id, id);
    }

    fn named_image_event(&self, action: &str, id: &str, name: &str) {
        let attributes = BTreeMap::from([("name".to_owned(), name.to_owned())]);
        self.inner.events.emit("image", action, id, attributes);
    }

    /// The mounts that make up a container's root.
    pub(crate) fn rootfs(&self, record: &Record) -> Result<Mounts> {
        self.inner
            .images
            .snapshots()
            .mounts(&record.id)
            .map_err(|e| {
                EngineError::caused(
                    code(e.kind()),
                    format!("find the root filesystem of container {}", record.name),
                    e,
                )
            })
    }
}

fn parse(name: &str) -> Result<Reference> {
    Reference::parse(name).map_err(|e| EngineError::new(ErrorCode::Invalid, e.to_string()))
}

fn archive_failed(what: &str, error: ArchiveError) -> EngineError {
    EngineError::caused(code(error.kind()), what, error)
}

pub(crate) fn code(kind: ErrorKind) -> ErrorCode {
    match kind {
        ErrorKind::NotFound => ErrorCode::NotFound,
        ErrorKind::Denied => ErrorCode::Forbidden,
        ErrorKind::Invalid | ErrorKind::Corrupt => ErrorCode::Invalid,
        ErrorKind::Conflict => ErrorCode::Conflict,
        ErrorKind::Unavailable => ErrorCode::Unavailable,
        ErrorKind::Exhausted => ErrorCode::Exhausted,
        ErrorKind::Internal => ErrorCode::Internal,
    }
}

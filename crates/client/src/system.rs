//! Calls about the engine as a whole.
//!
//! Nothing here is about one container.

use weft_api::docker::{AuthConfig, AuthResponse, DiskUsage, Event, SystemInfo, Version};

use crate::error::ClientError;
use crate::request::{Filters, Request};
use crate::stream::JsonLines;
use crate::transport::Client;

impl Client {
    /// Whether the engine answers at all.
    pub async fn ping(&self) -> Result<(), ClientError> {
        self.done(Request::get("ping the engine", &["_ping"])).await
    }

    /// Versions of the engine and its parts.
    pub async fn version(&self) -> Result<Version, ClientError> {
        self.json(Request::get("ask the engine's version", &["version"]))
            .await
    }

    /// What the engine says of itself and its machine.
    pub async fn info(&self) -> Result<SystemInfo, ClientError> {
        self.json(Request::get("ask the engine about itself", &["info"]))
            .await
    }

    /// What takes up how much disk.
    pub async fn disk_usage(&self) -> Result<DiskUsage, ClientError> {
        self.json(Request::get("measure disk usage", &["system", "df"]))
            .await
    }

    /// What happens, as it happens. Times are Unix seconds, with a fraction.
    pub async fn events(
        &self,
        since: Option<&str>,
        until: Option<&str>,
        filters: &Filters,
    ) -> Result<JsonLines<Event>, ClientError> {
        let request = Request::get("watch events", &["events"])
            .query_opt("since", since)
            .query_opt("until", until)
            .filters(filters);
        self.lines(request).await
    }

    /// Whether a registry accepts these credentials.
    pub async fn login(&self, credentials: &AuthConfig) -> Result<AuthResponse, ClientError> {
        let request = Request::post(
            format!("log in to {}", credentials.serveraddress),
            &["auth"],
        );
        self.json(request.json(credentials)).await
    }
}

//! Calls about networks and volumes.
//!
//! What a container gets at creation is part of its create request, not of these.

use weft_api::docker::{
    NetworkConnectRequest, NetworkCreateRequest, NetworkCreateResponse, NetworkDisconnectRequest,
    NetworkInspect, NetworksPruneResponse, Volume, VolumeCreateRequest, VolumeList,
    VolumesPruneResponse,
};

use crate::error::ClientError;
use crate::request::{Filters, Request};
use crate::transport::Client;

impl Client {
    /// Makes a network.
    pub async fn create_network(
        &self,
        body: &NetworkCreateRequest,
    ) -> Result<NetworkCreateResponse, ClientError> {
        let request = Request::post(
            format!("create network {}", body.name),
            &["networks", "create"],
        );
        self.json(request.json(body)).await
    }

    /// Lists networks.
    pub async fn list_networks(
        &self,
        filters: &Filters,
    ) -> Result<Vec<NetworkInspect>, ClientError> {
        let request = Request::get("list networks", &["networks"]).filters(filters);
        self.json(request).await
    }

    /// Everything about one network, as the engine's own JSON.
    pub async fn inspect_network_raw(&self, name: &str) -> Result<serde_json::Value, ClientError> {
        let request = Request::get(format!("inspect network {name}"), &["networks", name]);
        self.json(request).await
    }

    /// Removes a network.
    pub async fn remove_network(&self, name: &str) -> Result<(), ClientError> {
        let request = Request::delete(format!("remove network {name}"), &["networks", name]);
        self.done(request).await
    }

    /// Puts a container into a network.
    pub async fn connect_network(
        &self,
        network: &str,
        body: &NetworkConnectRequest,
    ) -> Result<(), ClientError> {
        let request = Request::post(
            format!("connect {} to network {network}", body.container),
            &["networks", network, "connect"],
        );
        self.done(request.json(body)).await
    }

    /// Takes a container out of a network.
    pub async fn disconnect_network(
        &self,
        network: &str,
        body: &NetworkDisconnectRequest,
    ) -> Result<(), ClientError> {
        let request = Request::post(
            format!("disconnect {} from network {network}", body.container),
            &["networks", network, "disconnect"],
        );
        self.done(request.json(body)).await
    }

    /// Removes unused networks that pass `filters`.
    pub async fn prune_networks(
        &self,
        filters: &Filters,
    ) -> Result<NetworksPruneResponse, ClientError> {
        let request = Request::post("prune networks", &["networks", "prune"]).filters(filters);
        self.json(request).await
    }

    /// Makes a volume.
    pub async fn create_volume(&self, body: &VolumeCreateRequest) -> Result<Volume, ClientError> {
        let request = Request::post("create volume", &["volumes", "create"]);
        self.json(request.json(body)).await
    }

    /// Lists volumes.
    pub async fn list_volumes(&self, filters: &Filters) -> Result<VolumeList, ClientError> {
        let request = Request::get("list volumes", &["volumes"]).filters(filters);
        self.json(request).await
    }

    /// Everything about one volume, as the engine's own JSON.
    pub async fn inspect_volume_raw(&self, name: &str) -> Result<serde_json::Value, ClientError> {
        let request = Request::get(format!("inspect volume {name}"), &["volumes", name]);
        self.json(request).await
    }

    /// Removes a volume and its data.
    pub async fn remove_volume(&self, name: &str, force: bool) -> Result<(), ClientError> {
        let request = Request::delete(format!("remove volume {name}"), &["volumes", name])
            .flag("force", force);
        self.done(request).await
    }

    /// Removes unused volumes that pass `filters`.
    pub async fn prune_volumes(
        &self,
        filters: &Filters,
    ) -> Result<VolumesPruneResponse, ClientError> {
        let request = Request::post("prune volumes", &["volumes", "prune"]).filters(filters);
        self.json(request).await
    }
}

//! `/networks`.
//!
//! `host` and `none` are no networks of the engine's: they are shown here because Docker's
//! clients expect them, and refused by name where something would be done to them.

use std::collections::BTreeMap;

use http::StatusCode;
use weft_api::ErrorCode;
use weft_api::docker::{
    Ipam, IpamConfig, NetworkConnectRequest, NetworkContainer, NetworkCreateRequest,
    NetworkCreateResponse, NetworkDisconnectRequest, NetworkInspect, NetworksPruneResponse,
};
use weft_engine::{Engine, NetworkSpec, NetworkView};

use crate::error::ApiError;
use crate::lower::{self, Refusals};
use crate::raise::time::rfc3339;
use crate::transport::body::{self, Answer};
use crate::transport::call::Call;
use crate::transport::filters::Filters;

/// The modes Docker shows as networks: name, driver, id (the name's bytes, padded).
const MODES: [(&str, &str); 2] = [("host", "host"), ("none", "null")];

fn mode_id(name: &str) -> String {
    use std::fmt::Write;
    let mut id = String::new();
    for byte in name.bytes() {
        let _ = write!(id, "{byte:02x}");
    }
    format!("{id:0<64}")
}

fn modes() -> impl Iterator<Item = NetworkInspect> {
    MODES.into_iter().map(|(name, driver)| NetworkInspect {
        name: name.into(),
        id: mode_id(name),
        created: crate::raise::time::NEVER.into(),
        scope: "local".into(),
        driver: driver.into(),
        enable_ipv4: true,
        ipam: Ipam {
            driver: "default".into(),
            ..Ipam::default()
        },
        ..NetworkInspect::default()
    })
}

fn raise(view: &NetworkView) -> NetworkInspect {
    let network = &view.network;
    let mut options = network.options.clone();
    options.insert(
        "com.docker.network.bridge.name".into(),
        network.bridge.clone(),
    );
    options.insert(
        "com.docker.network.driver.mtu".into(),
        network.mtu.to_string(),
    );
    NetworkInspect {
        name: network.name.clone(),
        id: network.id.clone(),
        created: rfc3339(network.created_ns),
        scope: "local".into(),
        driver: "bridge".into(),
        enable_ipv4: true,
        ipam: Ipam {
            driver: "default".into(),
            config: vec![IpamConfig {
                subnet: network.subnet.to_string(),
                gateway: network.gateway.to_string(),
                ..IpamConfig::default()
            }],
            options: None,
        },
        internal: network.internal,
        containers: containers(view),
        options,
        labels: network.labels.clone(),
        ..NetworkInspect::default()
    }
}

fn containers(view: &NetworkView) -> BTreeMap<String, NetworkContainer> {
    let line = |(id, name, place): &(String, String, weft_engine::container::AttachmentRecord)| {
        let address = place.address.map(|ip| format!("{ip}/{}", place.prefix_len));
        let line = NetworkContainer {
            name: name.clone(),
            endpoint_id: place.endpoint_id.clone(),
            mac_address: place.mac.clone(),
            ipv4_address: address.unwrap_or_default(),
            ipv6_address: String::new(),
        };
        (id.clone(), line)
    };
    view.containers.iter().map(line).collect()
}

/// Lists networks, without the containers on them, as Docker does.
pub async fn list(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let filters = call.filters(&["dangling", "driver", "id", "label", "name", "scope", "type"])?;
    let dangling = filters.flag("dangling")?;
    let mut lines: Vec<NetworkInspect> = engine.networks().iter().map(raise).collect();
    lines.extend(modes());
    lines.retain(|network| matches(&filters, dangling, network));
    for network in &mut lines {
        network.containers.clear();
    }
    Ok(body::json(StatusCode::OK, &lines))
}

fn matches(filters: &Filters, dangling: Option<bool>, network: &NetworkInspect) -> bool {
    let built_in = matches!(network.name.as_str(), "bridge" | "host" | "none");
    filters.any("name", |part| network.name.contains(part))
        && filters.any("id", |part| network.id.starts_with(part))
        && filters.any("driver", |driver| network.driver == driver)
        && filters.any("scope", |scope| scope == "local")
        && filters.any("type", |kind| (kind == "builtin") == built_in)
        && filters.labels(&network.labels)
        && dangling.is_none_or(|wanted| (!built_in && network.containers.is_empty()) == wanted)
}

/// One network, with the containers on it.
pub async fn inspect(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let id = call.param("id");
    call.query().flag("verbose", false)?;
    if let Some(mode) = modes().find(|mode| mode.name == id || mode.id == id) {
        return Ok(body::json(StatusCode::OK, &mode));
    }
    Ok(body::json(
        StatusCode::OK,
        &raise(&engine.inspect_network(id)?),
    ))
}

/// Makes a network.
pub async fn create(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let request: NetworkCreateRequest = call.json().await?;
    let wish = lower::network_create(&request)?;
    if MODES.iter().any(|(name, _)| *name == request.name) {
        return Err(ApiError::new(
            ErrorCode::Forbidden,
            format!(
                "operation is not permitted on predefined {} network",
                request.name
            ),
        ));
    }
    let subnet = match &wish.subnet {
        Some(text) => Some(text.parse().map_err(|error| {
            ApiError::invalid(format!("IPAM: subnet '{}': {error}", text.escape_debug()))
        })?),
        None => None,
    };
    let spec = NetworkSpec {
        name: request.name,
        subnet,
        gateway: wish.gateway,
        internal: request.internal,
        labels: request.labels,
        ..NetworkSpec::default()
    };
    let id = engine.create_network(spec).await?;
    let answer = NetworkCreateResponse {
        id,
        warning: String::new(),
    };
    Ok(body::json(StatusCode::CREATED, &answer))
}

/// Removes a network.
pub async fn remove(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    refuse_mode(call.param("id"))?;
    engine.remove_network(call.param("id")).await?;
    Ok(body::empty(StatusCode::NO_CONTENT))
}

fn refuse_mode(name: &str) -> Result<(), ApiError> {
    if modes().any(|mode| mode.name == name || mode.id == name) {
        return Err(ApiError::new(
            ErrorCode::Forbidden,
            format!("{name} is a pre-defined network and cannot be changed"),
        ));
    }
    Ok(())
}

/// Puts a container onto a network.
pub async fn connect(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let id = call.param("id").to_owned();
    refuse_mode(&id)?;
    let request: NetworkConnectRequest = call.json().await?;
    let mut no = Refusals::default();
    no.rest("", &request.rest);
    no.check()?;
    let attach = lower::endpoint(&id, &request.endpoint_config.unwrap_or_default())?;
    engine.connect(&id, &request.container, attach).await?;
    Ok(body::empty(StatusCode::OK))
}

/// Takes a container off a network. Doing it by force is no different: it needs only the ids.
pub async fn disconnect(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let id = call.param("id").to_owned();
    refuse_mode(&id)?;
    let request: NetworkDisconnectRequest = call.json().await?;
    let mut no = Refusals::default();
    no.rest("", &request.rest);
    no.check()?;
    engine.disconnect(&id, &request.container).await?;
    Ok(body::empty(StatusCode::OK))
}

/// Removes networks nobody is on.
pub async fn prune(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let filters = call.filters(&["label", "label!", "until"])?;
    let networks_deleted = engine
        .prune_networks(&crate::prune::filter(&filters)?)
        .await?;
    Ok(body::json(
        StatusCode::OK,
        &NetworksPruneResponse { networks_deleted },
    ))
}

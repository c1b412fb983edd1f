//! `/_ping`, `/version`, `/info`, `/system/df`, `/auth`: the engine as a whole.
//!
//! Nothing here is about one container.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::StatusCode;
use weft_api::docker::{
    API_VERSION, AuthConfig, AuthResponse, BuildPruneResponse, ComponentVersion, DiskUsage,
    ImageSummary, MIN_API_VERSION, PlatformName, PluginsInfo, RuntimeInfo, SwarmInfo, SystemInfo,
    Version,
};
use weft_engine::Engine;
use weft_engine::container::ListFilter;
use weft_image::{Digest, Image, Layer};

use crate::error::ApiError;
use crate::raise;
use crate::transport::body::{self, Answer};
use crate::transport::call::Call;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Answers that it is here; the version is in the headers every answer has.
pub async fn ping(_engine: Engine, _call: Call) -> Result<Answer, ApiError> {
    let mut answer = body::with_type(
        StatusCode::OK,
        "text/plain; charset=utf-8",
        Bytes::from("OK"),
    );
    let headers = answer.headers_mut();
    headers.insert(
        "Cache-Control",
        http::HeaderValue::from_static("no-cache, no-store"),
    );
    headers.insert("Pragma", http::HeaderValue::from_static("no-cache"));
    Ok(answer)
}

/// Versions of the engine and its API.
pub async fn version(engine: Engine, _call: Call) -> Result<Answer, ApiError> {
    let info = engine.info();
    let details = [
        ("ApiVersion", API_VERSION),
        ("MinAPIVersion", MIN_API_VERSION),
        ("Os", "linux"),
        ("Arch", weft_api::docker::architecture()),
        ("KernelVersion", &info.kernel),
        ("GoVersion", "none"),
        ("Experimental", "false"),
    ];
    let details: BTreeMap<String, String> = details
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let answer = Version {
        platform: PlatformName {
            name: "weft".into(),
        },
        components: vec![ComponentVersion {
            name: "Engine".into(),
            version: VERSION.into(),
            details,
        }],
        version: VERSION.into(),
        api_version: API_VERSION.into(),
        min_api_version: MIN_API_VERSION.into(),
        os: "linux".into(),
        arch: weft_api::docker::architecture().into(),
        kernel_version: info.kernel,
        ..Version::default()
    };
    Ok(body::json(StatusCode::OK, &answer))
}

/// The engine and its machine.
pub async fn info(engine: Engine, _call: Call) -> Result<Answer, ApiError> {
    let info = engine.info();
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let has = |controller: &str| info.controllers.iter().any(|c| c == controller);
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
    let runtime = RuntimeInfo {
        path: "weft oci".into(),
    };
    let answer = SystemInfo {
        id: info.instance.clone(),
        containers: count(info.containers),
        containers_running: count(info.running),
        containers_paused: count(info.paused),
        containers_stopped: count(info.stopped),
        images: count(info.images),
        driver: "overlay2".into(),
        driver_status: vec![["Unpacked layers".into(), "overlayfs".into()]],
        docker_root_dir: info.data_dir,
        plugins: PluginsInfo {
            volume: words(&["local"]),
            network: words(&["bridge", "host", "null"]),
            authorization: None,
            log: words(&["json-file", "local", "none"]),
        },
        memory_limit: has("memory"),
        swap_limit: has("memory"),
        cpu_cfs_period: has("cpu"),
        cpu_cfs_quota: has("cpu"),
        cpu_shares: has("cpu"),
        cpu_set: has("cpuset"),
        pids_limit: has("pids"),
        ipv4_forwarding: true,
        system_time: jiff::Timestamp::now().to_string(),
        logging_driver: "json-file".into(),
        cgroup_driver: "cgroupfs".into(),
        cgroup_version: "2".into(),
        kernel_version: info.kernel,
        operating_system: info.os,
        os_type: "linux".into(),
        architecture: info.machine,
        ncpu: count(info.cpus),
        mem_total: i64::try_from(info.memory_bytes).unwrap_or(i64::MAX),
        index_server_address: "https://index.docker.io/v1/".into(),
        name: info.hostname,
        labels: vec![format!("weft.instance={}", info.instance)],
        server_version: VERSION.into(),
        runtimes: [("weft".to_owned(), runtime)].into(),
        default_runtime: "weft".into(),
        swarm: SwarmInfo {
            local_node_state: "inactive".into(),
            ..SwarmInfo::default()
        },
        live_restore_enabled: true,
        security_options: words(&[
            "name=seccomp,profile=builtin",
            "name=userns",
            "name=cgroupns",
        ]),
        warnings: info.warnings,
        ..SystemInfo::default()
    };
    Ok(body::json(StatusCode::OK, &answer))
}

/// What takes disk space. `type` narrows it to some of image, container, volume, build-cache.
pub async fn disk_usage(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let types: Vec<&str> = call.query().all("type").collect();
    for name in &types {
        if !["image", "container", "volume", "build-cache"].contains(name) {
            return Err(ApiError::invalid(format!("unknown object type: '{name}'")));
        }
    }
    let wants = |name: &str| types.is_empty() || types.contains(&name);
    let mut usage = DiskUsage::default();
    if wants("image") {
        (usage.images, usage.layers_size) = images(&engine)?;
    }
    if wants("container") {
        let volumes = raise::container::volume_paths(&engine)?;
        let now = jiff::Timestamp::now();
        for view in engine.list(&ListFilter {
            all: true,
            ..ListFilter::default()
        })? {
            let mut line = raise::container::summary(&view, &volumes, now);
            crate::sizes::fill(&engine, &view, &mut line).await;
            usage.containers.push(line);
        }
    }
    if wants("volume") {
        for view in engine.volumes() {
            let bytes = engine.volume_bytes(&view.volume.path).await;
            usage
                .volumes
                .push(crate::volumes::raise(&view, Some(bytes)));
        }
    }
    Ok(body::json(StatusCode::OK, &usage))
}

/// Every image with what it shares with others, and what all their layers take up.
fn images(engine: &Engine) -> Result<(Vec<ImageSummary>, i64), ApiError> {
    let bytes = |size: u64| i64::try_from(size).unwrap_or(i64::MAX);
    let users = crate::images::list::users(engine)?;
    let images = engine.images().list();
    // A layer's size, and in how many images it is.
    let mut layers: BTreeMap<&Digest, (u64, usize)> = BTreeMap::new();
    for image in &images {
        for layer in &image.layers {
            let known = layers.entry(&layer.diff_id);
            known.or_insert((layer.unpacked_size, 0)).1 += 1;
        }
    }
    let line = |image: &Image| {
        let count = users.get(&image.id.to_string()).copied().unwrap_or(0);
        let shared = |layer: &Layer| layers.get(&layer.diff_id).is_some_and(|(_, n)| *n > 1);
        let shared = image.layers.iter().filter(|layer| shared(layer));
        ImageSummary {
            shared_size: bytes(shared.map(|layer| layer.unpacked_size).sum()),
            ..raise::image::summary(image, count)
        }
    };
    let all = bytes(layers.values().map(|(size, _)| size).sum());
    Ok((images.iter().map(line).collect(), all))
}

/// Checks credentials against their registry.
pub async fn auth(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let request: AuthConfig = call.json().await?;
    let server = request.serveraddress.clone();
    let credentials = crate::images::auth::lower(request)?
        .ok_or_else(|| ApiError::invalid("a login needs a user name and a password, or a token"))?;
    engine.login(&server, credentials).await?;
    let answer = AuthResponse {
        status: "Login Succeeded".to_owned(),
        identity_token: String::new(),
    };
    Ok(body::json(StatusCode::OK, &answer))
}

/// There is no build cache, so there is nothing to prune in it.
pub async fn build_prune(_engine: Engine, _call: Call) -> Result<Answer, ApiError> {
    Ok(body::json(StatusCode::OK, &BuildPruneResponse::default()))
}

/// There are no plugins.
pub async fn plugins(_engine: Engine, _call: Call) -> Result<Answer, ApiError> {
    Ok(body::json(StatusCode::OK, &Vec::<String>::new()))
}

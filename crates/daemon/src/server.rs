//! The control plane's part of `weft server`: keyspace, identity and API, wired together.
//!
//! Never: decides; it gives each part what it needs of the others.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::pki_types::CertificateDer;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use weft_apiserver::{Nodes, Server, Sessions};
use weft_control::controllers::{Controllers, local_class};
use weft_control::kinds::system_priority_classes;
use weft_control::store::WriteOptions;
use weft_control::{Failure, Kind, Kinds, Object, Reason, Store};
use weft_identity::audit::{Audit, Limits};
use weft_identity::authority::{self, Authority, Grant};
use weft_identity::kubeconfig::ADDRESS;
use weft_identity::rotation::{self, Serving};
use weft_keyspace::Local;
use weft_stdx::clock::unix_s;
use weft_stdx::file::{Durability, replace};

mod api_service;
mod away;
mod backup;
mod defaults;
mod deployments;
mod door;
mod pod_tokens;
mod restore;
mod roles;
mod rules;
mod secrets;
mod standard;
mod token_secrets;
mod upkeep;
mod within;

use crate::here::Here;
use crate::node::{NETWORK, Running};
pub(crate) use away::come_back;
pub use backup::About;
use door::Door;
use pod_tokens::PodTokens;
pub use restore::{Checked, Restored, check, check_backup, restore};
use rules::Follower;
use secrets::Sealer;
use standard::Standard;
use token_secrets::TokenSecrets;
use upkeep::Keeper;
use within::Within;

/// Namespaces that are always there.
const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];
/// How long a server's certificate is good for: it is renewed long before.
const SERVER_CERTIFICATE_S: i64 = 90 * 24 * 3600;

/// Pause of what is kept in order after a watch broke.
const PAUSE: Duration = Duration::from_secs(1);

/// In whose name tokens are made, and whom they are for.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// Where it is written who did what.
const AUDIT: &str = "server/audit.log";
/// The same of those who were let in nowhere, and how much of it is kept.
const STRANGERS: &str = "server/audit-unauthenticated.log";
const STRANGERS_KEPT: Limits = Limits {
    file_bytes: 5 << 20,
    files: 2,
};
/// Where the keyspace is.
const KEYSPACE: &str = "server/keyspace.redb";

/// What a server needs to know besides what its engine does.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to serve the Kubernetes API.
    pub listen: SocketAddr,
    /// Where to serve `/deployments` without TLS, to whoever reaches it; nothing: nowhere.
    pub deployments: Option<SocketAddr>,
    /// The file with the key that secrets are sealed with.
    pub secrets_key: PathBuf,
    /// Pods run on this machine; nothing: they do not.
    pub node: Option<crate::node::Config>,
}

/// A control plane that is ready to be served.
#[derive(Debug)]
pub(crate) struct Control {
    server: Server,
    listener: TcpListener,
    plain: Option<TcpListener>,
    within: Option<Within>,
    authority: Arc<Authority>,
    serving: Arc<Serving>,
    names: Vec<String>,
    follower: Follower,
    standard: Standard,
    token_secrets: TokenSecrets,
    controllers: Controllers,
}

impl Control {
    /// Opens what is in `data_dir`, made on the first start, and listens.
    pub(crate) async fn open(
        data_dir: &Path,
        config: &Config,
        engine: &weft_engine::Engine,
    ) -> Result<Control> {
        let listen = config.listen;
        let authority = Authority::open_or_create(&data_dir.join(authority::DIRECTORY), unix_s())
            .context("open the certificate authority")?;
        let authority = Arc::new(authority);
        let keyspace = Arc::new(keyspace(data_dir)?);
        let (store, sealer) = sealed(Arc::<Local>::clone(&keyspace), &config.secrets_key).await?;
        let controllers = Controllers::begin(&store)
            .await
            .context("read the definitions of kinds")?;
        make_what_is_always_there(&store, config.node.is_some()).await?;
        let standard = Standard::new(&store, authority.root_pem())
            .context("there are no kinds of service accounts and config maps")?;
        standard
            .ensure()
            .await
            .context("make what each namespace has")?;
        let token_secrets = TokenSecrets::new(&store, &authority)
            .context("there are no kinds of secrets and service accounts")?;
        let follower = Follower::new(&store).context("there are no kinds of roles and bindings")?;
        let rules = follower.begin().await.context("read roles and bindings")?;
        let audit = audit_of(&data_dir.join(AUDIT), Limits::default())?;
        let strangers = audit_of(&data_dir.join(STRANGERS), STRANGERS_KEPT)?;
        let (listener, address) = listen_at(listen, data_dir).await?;
        let plain = deployments::listen(config.deployments, &store).await?;
        let (reached, within) = within::open(engine, NETWORK, address)?;
        api_service::ensure(&store, reached, address)
            .await
            .context("make the API's own service")?;
        let names = names(listen);
        let (serving, tls) = tls(&authority, &names)?;
        let server = Server {
            store: store.clone(),
            upkeep: Arc::new(Keeper::new(keyspace, store.clone(), sealer, data_dir)),
            gate: Arc::new(Door::new(Arc::clone(&authority), rules, store)),
            audit: Arc::new(audit),
            strangers: Arc::new(strangers),
            exchanges: Arc::default(),
            nodes: nodes(engine, config),
            meter: None,
            sessions: Sessions::default(),
            pages: Arc::default(),
            metrics: Arc::default(),
            keyspace_file: data_dir.join(KEYSPACE).into(),
            tls: Arc::new(tls),
        };
        Ok(Control {
            server,
            listener,
            plain,
            within,
            authority,
            serving,
            names,
            follower,
            standard,
            token_secrets,
            controllers,
        })
    }

    /// Serves until `shutdown` completes; what runs pods on this machine, if anything does, is told
    /// what to run.
    pub(crate) async fn serve(
        self,
        node: Option<Running>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<()> {
        let address = self.listener.local_addr().context("read the own address")?;
        tracing::info!(%address, "serving the Kubernetes API");
        // Each has a task of its own: what one of them has to look through keeps nobody waiting.
        let mut kept = JoinSet::new();
        let (follower, standard, secrets) = (self.follower, self.standard, self.token_secrets);
        let mut controllers = self.controllers;
        let meter = node.as_ref().map(Running::meter);
        let server = Server {
            meter: meter.clone(),
            ..self.server
        };
        kept.spawn(async move { follower.follow().await });
        kept.spawn(async move { standard.follow().await });
        kept.spawn(async move { secrets.follow().await });
        kept.spawn(async move { controllers.run(meter.as_deref()).await });
        let store = server.store.clone();
        let tokens = Arc::new(PodTokens::new(&self.authority));
        let running = async {
            match node {
                Some(node) => node.serve(&store, tokens).await,
                None => std::future::pending().await,
            }
        };
        let renewing = renew(&self.authority, &self.serving, &self.names);
        let plain = deployments::serve(server.clone(), self.plain);
        let within = within::serve(server.clone(), self.within);
        tokio::select! {
            served = weft_apiserver::serve(server, self.listener, shutdown) => {
                served.context("serve the Kubernetes API")
            }
            renewed = renewing => renewed,
            broke = plain => broke,
            broke = within => broke,
            ended = running => ended,
            Some(ended) = kept.join_next() => match ended {
                Ok(never) => match never {},
                Err(error) => Err(error).context("keep what is stored in order"),
            },
        }
    }
}

/// How the server shows who it is.
fn tls(authority: &Authority, names: &[String]) -> Result<(Arc<Serving>, rustls::ServerConfig)> {
    let pair = certificate(authority, names)?;
    let serving = Arc::new(Serving::new(&pair).context("use the server's certificate")?);
    let trust = authority.trust();
    let mut tls =
        rotation::server_config(&trust, Arc::clone(&serving), unix_s).context("set up TLS")?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((serving, tls))
}

/// What runs pods: this machine, if it is to.
fn nodes(engine: &weft_engine::Engine, config: &Config) -> Option<Arc<dyn Nodes>> {
    config.node.as_ref()?;
    Some(Arc::new(Here::new(engine.clone())))
}

/// Listens, and writes down where.
async fn listen_at(listen: SocketAddr, data_dir: &Path) -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("listen at {listen}; --listen names another address"))?;
    let address = listener.local_addr().context("read the own address")?;
    let told = data_dir.join(ADDRESS);
    let line = format!("{address}\n");
    replace(&told, line.as_bytes(), Durability::Process)
        .with_context(|| format!("write {}", told.display()))?;
    Ok((listener, address))
}

/// Gives memory back after a busy time.
fn relieve() {
    weft_sys::memory::trim_heap();
    if let Err(error) = weft_sys::memory::trim_program() {
        tracing::debug!(%error, "could not let go of the program's pages");
    }
}

/// The keyspace in `data_dir`.
fn keyspace(data_dir: &Path) -> Result<Local> {
    let options = weft_keyspace::Options {
        relieved: relieve,
        ..weft_keyspace::Options::default()
    };
    let path = data_dir.join(KEYSPACE);
    let opened = tokio::task::block_in_place(|| weft_keyspace::embedded(&path, options));
    opened.map_err(Into::into)
}

/// The objects in `keyspace`, with the key that some of them are sealed with.
async fn sealed(keyspace: Arc<Local>, key: &Path) -> Result<(Store, Arc<Sealer>)> {
    let store = Store::new(keyspace, Kinds::built_in());
    let count = store.sealed().await.context("look for what is sealed")?;
    let sealer = tokio::task::block_in_place(|| Sealer::open(key, count))?;
    let sealer = Arc::new(sealer);
    let store = store.with_seal(Arc::<Sealer>::clone(&sealer));
    secrets::check(&store, key).await?;
    sealer.settle(&store).await?;
    Ok((store, sealer))
}

fn audit_of(path: &Path, limits: Limits) -> Result<Audit> {
    Audit::open(path, limits).with_context(|| format!("open the audit log {}", path.display()))
}

/// What has to be there before anybody writes: addresses of services, namespaces, classes.
async fn make_what_is_always_there(store: &Store, runs_pods: bool) -> Result<()> {
    let claimed = store.claim_services().await;
    claimed.context("give services their addresses")?;
    make_namespaces(store).await?;
    make_priority_classes(store).await?;
    // Volumes of this class are made where pods run.
    match runs_pods {
        true => make_storage_class(store).await,
        false => Ok(()),
    }
}

async fn make_namespaces(store: &Store) -> Result<()> {
    let kinds = store.kinds();
    let kind = kinds.find("", "v1", "namespaces");
    let kind = kind.context("there is no kind of namespaces")?;
    for name in NAMESPACES {
        let mut namespace = Object::default();
        namespace.set_meta("name", Some(json!(name)));
        make(store, kind, namespace).await?;
    }
    Ok(())
}

async fn make_priority_classes(store: &Store) -> Result<()> {
    let kinds = store.kinds();
    let kind = kinds.find("scheduling.k8s.io", "v1", "priorityclasses");
    let kind = kind.context("there is no kind of priority classes")?;
    for class in system_priority_classes() {
        make(store, kind, class).await?;
    }
    Ok(())
}

async fn make_storage_class(store: &Store) -> Result<()> {
    let kinds = store.kinds();
    let kind = kinds.find("storage.k8s.io", "v1", "storageclasses");
    let kind = kind.context("there is no kind of storage classes")?;
    make(store, kind, local_class()).await
}

/// Makes an object that is in no namespace, unless it is there.
async fn make(store: &Store, kind: &Kind, object: Object) -> Result<()> {
    let name = object.meta().name().to_owned();
    let options = WriteOptions::default();
    match store.create(kind, "", object, &options).await {
        Err(failure) if failure.reason != Reason::AlreadyExists => {
            Err(failure).with_context(|| format!("make {} {name}", kind.resource()))
        }
        _ => Ok(()),
    }
}

/// Another may have been first, and the namespace may be gone by now, or going.
fn unless_raced(failure: Failure) -> Result<(), Failure> {
    match failure.reason {
        Reason::AlreadyExists | Reason::Conflict | Reason::NotFound | Reason::Forbidden => Ok(()),
        _ => Err(failure),
    }
}

/// What clients call this server.
fn names(listen: SocketAddr) -> Vec<String> {
    let mut names = vec![
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "kubernetes".to_owned(),
        "kubernetes.default".to_owned(),
        "kubernetes.default.svc".to_owned(),
        "kubernetes.default.svc.cluster.local".to_owned(),
        api_service::ADDRESS.to_owned(),
    ];
    let address = listen.ip();
    if !address.is_unspecified() && !names.contains(&address.to_string()) {
        names.push(address.to_string());
    }
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy().to_ascii_lowercase();
    if !host.is_empty() && !names.contains(&host) {
        names.push(host);
    }
    names
}

fn certificate(authority: &Authority, names: &[String]) -> Result<weft_identity::authority::Pair> {
    let grant = Grant::Server {
        names: names.to_vec(),
    };
    let made = authority.issue(&grant, SERVER_CERTIFICATE_S, unix_s());
    let mut pair = made.context("make the server's certificate")?;
    // The root goes along: who has only its hash finds it there (`weft certificate request`).
    let root = CertificateDer::from(authority.root_der().to_vec());
    pair.certificate.chain.push(root);
    Ok(pair)
}

/// Gives the server a new certificate in time, for ever.
async fn renew(authority: &Authority, serving: &Serving, names: &[String]) -> Result<()> {
    loop {
        let left = serving.due_s().saturating_sub(unix_s());
        let left = Duration::from_secs(u64::try_from(left).unwrap_or(0));
        tokio::time::sleep(left).await;
        serving
            .swap(&certificate(authority, names)?)
            .context("use the server's new certificate")?;
    }
}

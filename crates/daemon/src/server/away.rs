//! A control plane that cannot be opened: its keyspace is damaged, a key is missing, its address is
//! taken. Where pods run, that is no reason to end: the agent runs on by its ledger, and the control
//! plane is tried again until it opens.
//!
//! Never: changes anything of what cannot be opened.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use weft_identity::authority::{self, Authority};
use weft_stdx::clock::unix_s;

use super::{Config, Control};

/// Pause before the control plane is tried again; it doubles.
const FIRST: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST: Duration = Duration::from_secs(30);
/// What clients are told, whoever they are: the log has the rest.
const CLOSED: &str = "the control plane of this server cannot be opened now, and is tried again; its \
                      pods run on: see the log of weft server";

/// Tries again until it opens; `None`: `shutdown` came first.
pub(crate) async fn come_back(
    data_dir: &Path,
    config: &Config,
    engine: &weft_engine::Engine,
    why: anyhow::Error,
    shutdown: impl Future<Output = ()>,
) -> Option<Control> {
    let mut told = format!("{why:#}");
    tell(&told);
    let mut pause = FIRST;
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        // Its address is free again before it is tried.
        tokio::select! {
            () = &mut shutdown => return None,
            () = tell_clients(data_dir, config, pause) => {}
        }
        match Control::open(data_dir, config, engine).await {
            Ok(control) => {
                tracing::info!("the control plane is back");
                return Some(control);
            }
            Err(error) => {
                let now = format!("{error:#}");
                if now != told {
                    tell(&now);
                    told = now;
                }
            }
        }
        pause = (pause * 2).min(LONGEST);
    }
}

/// Answers clients for as long as `pause`, where that can be done.
async fn tell_clients(data_dir: &Path, config: &Config, pause: Duration) {
    let over = tokio::time::sleep(pause);
    match door(data_dir, config).await {
        Ok((tls, listener)) => weft_apiserver::closed(tls, listener, CLOSED, over).await,
        Err(error) => {
            tracing::debug!(
                error = format!("{error:#}"),
                "clients cannot be told that the control plane is away"
            );
            over.await;
        }
    }
}

async fn door(
    data_dir: &Path,
    config: &Config,
) -> anyhow::Result<(Arc<rustls::ServerConfig>, TcpListener)> {
    let directory = data_dir.join(authority::DIRECTORY);
    let authority = Authority::open_or_create(&directory, unix_s())?;
    let (_, tls) = super::tls(&authority, &super::names(config.listen))?;
    Ok((Arc::new(tls), TcpListener::bind(config.listen).await?))
}

fn tell(why: &str) {
    tracing::error!(
        why,
        "the control plane cannot be opened: pods run on as the ledger says, and it is tried again"
    );
}

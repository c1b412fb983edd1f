//! A control plane that cannot be opened: its keyspace is damaged, a key is missing, its address is
//! taken. Where pods run, that is no reason to end: the agent runs on by its ledger, and the control
//! plane is tried again until it opens.
//!
//! Never: changes anything of what cannot be opened.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use super::{Config, Control};

/// Pause before the control plane is tried again; it doubles.
const FIRST: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST: Duration = Duration::from_secs(30);

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
        tokio::select! {
            () = &mut shutdown => return None,
            () = tokio::time::sleep(pause) => {}
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

fn tell(why: &str) {
    tracing::error!(
        why,
        "the control plane cannot be opened: pods run on as the ledger says, and it is tried again"
    );
}

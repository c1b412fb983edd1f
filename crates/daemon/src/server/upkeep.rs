//! What is done to this server as a whole, for those who may do everything.
//!
//! Never: asks who they are.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use weft_apiserver::{Answering, Upkeep};
use weft_control::{Failure, Store};
use weft_identity::authority;
use weft_keyspace::Local;

use super::backup::{self, Source};
use super::secrets::Sealer;

/// Keeps this server.
#[derive(Debug)]
pub(super) struct Keeper {
    keyspace: Arc<Local>,
    store: Store,
    sealer: Arc<Sealer>,
    data_dir: PathBuf,
}

impl Keeper {
    pub(super) fn new(
        keyspace: Arc<Local>,
        store: Store,
        sealer: Arc<Sealer>,
        data_dir: &Path,
    ) -> Keeper {
        Keeper {
            keyspace,
            store,
            sealer,
            data_dir: data_dir.to_owned(),
        }
    }
}

impl Upkeep for Keeper {
    fn backup(&self, to: &mut dyn Write) -> io::Result<()> {
        // The key opens what is in the snapshot: it is not rotated in between.
        let _still = self.sealer.hold();
        let key = self.sealer.path();
        let source = Source {
            keyspace: &self.keyspace,
            authority: &self.data_dir.join(authority::DIRECTORY),
            key,
            is_key_outside: key != self.data_dir.join(backup::KEY_FILE),
            key_id: &self.sealer.newest(),
        };
        backup::write(&source, to)
    }

    fn rotate_key(&self) -> Answering<'_, Value> {
        Box::pin(async move {
            // It goes on when whoever asked hangs up: half of it helps nobody.
            let (store, sealer) = (self.store.clone(), Arc::clone(&self.sealer));
            let done = tokio::spawn(async move {
                let secrets = sealer.rotate(&store).await?;
                Ok(json!({ "key": sealer.newest(), "secrets": secrets }))
            });
            done.await.map_err(Failure::internal)?
        })
    }

    fn check(&self) -> Answering<'_, Value> {
        Box::pin(async move {
            self.store.check_sealed().await?;
            Ok(json!({
                "revision": self.store.revision().await?.0,
                "secrets": self.store.sealed().await?,
                "key": self.sealer.newest(),
            }))
        })
    }
}

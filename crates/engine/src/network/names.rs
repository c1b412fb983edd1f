//! What a container is called on its networks.

use crate::container::handle::Container;
use crate::container::record::Record;
use crate::engine::Engine;
use crate::error::{EngineError, Result};

/// The names of a container on a network where it has these aliases, its own first.
pub(super) fn of(record: &Record, aliases: &[String]) -> Vec<String> {
    let mut names = vec![record.name.clone()];
    let others = aliases.iter().map(String::as_str);
    for name in others.chain([&record.id[..12], &record.resolved.hostname]) {
        if !names.iter().any(|n| n == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// Brings what a record says of names on networks to the container's name.
pub(crate) fn rename_in(record: &mut Record) {
    let mut attachments = std::mem::take(&mut record.attachments);
    for made in attachments.iter_mut().filter(|a| a.resolver.is_some()) {
        made.names = of(record, &made.aliases);
    }
    record.attachments = attachments;
}

impl Engine {
    /// Has the name servers of a container's networks know it by its name of now.
    ///
    /// # Errors
    /// When it cannot be recorded; the next engine tries again.
    pub(crate) async fn name_on_networks(&self, container: &Container) -> Result<()> {
        let record = container.record();
        self.blocking(move |engine| {
            for made in &record.attachments {
                let names = of(&record, &made.aliases);
                engine
                    .inner
                    .network
                    .set_names(&record.id, &made.network_id, names)
                    .map_err(|e| {
                        let what = format!(
                            "have network {} know container {} by its name",
                            made.network, record.name
                        );
                        EngineError::internal(what, e)
                    })?;
            }
            Ok(())
        })
        .await
    }
}

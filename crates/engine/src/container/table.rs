//! All containers in memory, found by id, id prefix or name.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use super::handle::Container;
use crate::error::{EngineError, ErrorCode, Result};

#[derive(Debug, Default)]
pub(crate) struct Table {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_id: HashMap<String, Arc<Container>>,
    /// A name is taken from the moment a create reserves it.
    ids_by_name: HashMap<String, String>,
}

impl Table {
    /// Takes `name` for `id`, before anything is made.
    ///
    /// # Errors
    /// Conflict when another container has it.
    pub fn reserve(&self, name: &str, id: &str) -> Result<()> {
        let mut inner = self.inner.write().expect("no holder panics");
        if let Some(owner) = inner.ids_by_name.get(name) {
            return Err(EngineError::conflict(format!(
                "Conflict. The container name \"/{name}\" is already in use by container \"{owner}\". \
                 You have to remove (or rename) that container to be able to reuse that name."
            )));
        }
        inner.ids_by_name.insert(name.to_owned(), id.to_owned());
        Ok(())
    }

    pub fn release_name(&self, name: &str) {
        self.inner
            .write()
            .expect("no holder panics")
            .ids_by_name
            .remove(name);
    }

    pub fn insert(&self, container: Arc<Container>) {
        let name = container.with(|r| r.name.clone());
        let mut inner = self.inner.write().expect("no holder panics");
        inner.ids_by_name.insert(name, container.id.clone());
        inner.by_id.insert(container.id.clone(), container);
    }

    pub fn remove(&self, id: &str) {
        let mut inner = self.inner.write().expect("no holder panics");
        if inner.by_id.remove(id).is_some() {
            inner.ids_by_name.retain(|_, owner| owner != id);
        }
    }

    /// The container `reference` names: id, then name, then unique id prefix.
    ///
    /// # Errors
    /// None, or more than one.
    pub fn find(&self, reference: &str) -> Result<Arc<Container>> {
        let inner = self.inner.read().expect("no holder panics");
        let bare = reference.strip_prefix('/').unwrap_or(reference);
        if let Some(c) = inner.by_id.get(bare) {
            return Ok(Arc::clone(c));
        }
        if let Some(c) = inner
            .ids_by_name
            .get(bare)
            .and_then(|id| inner.by_id.get(id))
        {
            return Ok(Arc::clone(c));
        }
        let hex = !bare.is_empty() && bare.bytes().all(|b| b.is_ascii_hexdigit());
        let mut matches = inner
            .by_id
            .values()
            .filter(|c| hex && c.id.starts_with(bare));
        match (matches.next(), matches.next()) {
            (Some(c), None) => Ok(Arc::clone(c)),
            (Some(_), Some(_)) => Err(EngineError::new(
                ErrorCode::Invalid,
                format!("multiple IDs found with provided prefix: {bare}"),
            )),
            _ => Err(EngineError::no_container(reference)),
        }
    }

    /// All, newest first.
    pub fn all(&self) -> Vec<Arc<Container>> {
        let inner = self.inner.read().expect("no holder panics");
        let mut all: Vec<(i64, Arc<Container>)> = inner
            .by_id
            .values()
            .map(|c| (c.with(|r| r.created_at_ns), Arc::clone(c)))
            .collect();
        all.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| b.1.id.cmp(&a.1.id)));
        all.into_iter().map(|(_, c)| c).collect()
    }
}

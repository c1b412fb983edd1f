//! Services: where addresses lead that are nobody's own.

use weft_network::{Services, Unserved};

use crate::engine::Engine;
use crate::error::{EngineError, Result};

impl Engine {
    /// Serves exactly these services; answers what of them cannot be served.
    ///
    /// # Errors
    /// The kernel refuses.
    pub async fn set_services(&self, services: Services) -> Result<Vec<Unserved>> {
        let set = self.blocking(move |engine| engine.inner.network.set_services(&services));
        set.await
            .map_err(|error| EngineError::internal("serve services", error))
    }
}

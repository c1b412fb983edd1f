//! The last question before an object is stored. Never: answers it.

use std::fmt;
use std::sync::Arc;

use crate::failure::Failure;
use crate::object::Object;

type Ask = dyn Fn(Option<&Object>, &Object) -> Result<(), Failure> + Send + Sync;

/// Whether an object may become what it would become: the last question before it is stored, so
/// that no kind of patch goes around it.
#[derive(Clone)]
pub struct Admit(Arc<Ask>);

impl Admit {
    /// Asks this, of the object as it was, if it was, and as it would be.
    pub fn by(
        ask: impl Fn(Option<&Object>, &Object) -> Result<(), Failure> + Send + Sync + 'static,
    ) -> Admit {
        Admit(Arc::new(ask))
    }

    pub(super) fn ask(&self, old: Option<&Object>, new: &Object) -> Result<(), Failure> {
        (self.0)(old, new)
    }
}

impl fmt::Debug for Admit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Admit")
    }
}

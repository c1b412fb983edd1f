//! What an object takes from objects of another kind when it is made: they are read here, and
//! what they mean is the kind's own.

use std::sync::Arc;

use super::{ListOptions, Store, record};
use crate::failure::{Failure, Reason};
use crate::kind::Kind;
use crate::object::Object;

impl Store {
    /// Lets `new` take what it takes from others; `old` is what was there.
    ///
    /// # Errors
    /// They do not allow it.
    pub(super) async fn resolve(
        &self,
        kind: &Kind,
        old: Option<&Object>,
        new: &mut Object,
    ) -> Result<(), Failure> {
        let wanted = kind.resolve.as_ref();
        let Some(resolve) = wanted.filter(|resolve| old.is_none() || resolve.is_for_changes) else {
            return Ok(());
        };
        let kinds = self.kinds();
        let Some(from) = kinds.at(resolve.group, resolve.plural) else {
            return Ok(());
        };
        let listed = self.list(from, "", &ListOptions::default()).await?;
        let others = listed.items.iter().map(|item| record::read(item));
        let others: Vec<Arc<Object>> = others.collect::<Result<_, _>>()?;
        (resolve.with)(new, &others).map_err(|why| {
            let name = new.meta().name();
            let message = format!("{} {name:?} is forbidden: {why}", kind.resource());
            Failure::new(Reason::Forbidden, message).about(&kind.group, &kind.plural, name)
        })
    }
}

//! Images: policies, and what is said where there is none.

use weft_api::assignment::Pull;

use super::Bed;
use crate::{Driver, ImageError};

/// Nobody listens there.
const ABSENT: &str = "127.0.0.1:1/no/such:image";

pub(super) async fn policies<D: Driver>(bed: &Bed<'_, D>) {
    let mut ids = Vec::new();
    for pull in [Pull::Never, Pull::IfNotPresent, Pull::IfNotPresent] {
        let found = bed.driver.image(bed.image, pull, &[]).await;
        let (id, was_fetched) = found.unwrap_or_else(|why| panic!("{pull:?}: {why}"));
        assert!(!was_fetched, "it is here");
        ids.push(id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "one image has one id");
    let never = bed.driver.image(ABSENT, Pull::Never, &[]).await;
    assert!(
        matches!(&never, Err(ImageError::NeverPulled(name)) if name == ABSENT),
        "{never:?}"
    );
    for pull in [Pull::IfNotPresent, Pull::Always] {
        let absent = bed.driver.image(ABSENT, pull, &[]).await;
        assert!(matches!(absent, Err(ImageError::Pull(_))), "{absent:?}");
        let wrong = bed.driver.image("No Such/Name", pull, &[]).await;
        assert!(
            matches!(&wrong, Err(ImageError::Name(name, _)) if name == "No Such/Name"),
            "{wrong:?}"
        );
    }
}

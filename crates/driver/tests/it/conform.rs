//! The fake does what the suite beside the trait asks, as far as it can.

use std::path::Path;
use std::time::Duration;

use weft_driver::conformance::{self, Bed};
use weft_driver::fake::{Fake, World};

const IMAGE: &str = "busybox:latest";

#[tokio::test(start_paused = true)]
async fn the_fake_conforms_and_again_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    for step in [Duration::ZERO, Duration::from_millis(3)] {
        let world = World::new(IMAGE);
        world.set_step(step);
        for (key, script) in conformance::scripts() {
            world.script(key, script);
        }
        let driver = world.driver();
        conformance::all(&bed(&driver, directory.path())).await;
        let left = conformance::leave(&bed(&driver, directory.path())).await;
        drop(driver);
        let driver = world.driver();
        conformance::find_again(&bed(&driver, directory.path()), left).await;
        assert_eq!(world.wrongs(), [""; 0]);
    }
}

fn bed<'a>(driver: &'a Fake, directory: &'a Path) -> Bed<'a, Fake> {
    Bed {
        driver,
        image: IMAGE,
        directory,
        runs: false,
    }
}

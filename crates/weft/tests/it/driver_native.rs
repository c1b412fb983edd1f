//! The native driver does what every driver has to do, with real processes.

use std::future::Future;
use std::path::Path;

use weft_driver::conformance::{self, Bed};
use weft_drivers::Native;
use weft_engine::{Config, Engine, NetworkSpec, RegistryConfig, SpawnerConfig};
use weft_runtime::spawner::Program;
use weft_testkit::wait::{SOON, until};
use weft_testkit::{image, leftovers, peer};

const IMAGE: &str = "busybox:latest";

#[test]
fn native_conforms_and_again_after_a_restart() {
    if !peer::root() {
        return;
    }
    let dir = tempfile::Builder::new().prefix("weft-t").tempdir().unwrap();
    let instance = format!("weft-c{}", std::process::id());
    let left = alone(async {
        let engine = open(dir.path(), &instance).await;
        let loaded = tokio::task::block_in_place(|| engine.load_images(image::busybox()));
        loaded.unwrap();
        let native = driver(&engine).await;
        let bed = bed(&native, dir.path());
        conformance::all(&bed).await;
        conformance::leave(&bed).await
    });
    alone(async {
        let engine = open(dir.path(), &instance).await;
        let native = driver(&engine).await;
        conformance::find_again(&bed(&native, dir.path()), left).await;
        engine.remove_network("pods").await.unwrap();
        engine.close().await;
    });
    until(SOON, "nothing is left", || {
        leftovers::of(&instance, "weft0", dir.path()).is_empty()
    });
}

/// Runs it where nothing runs on that it has begun.
fn alone<T>(doing: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(doing)
}

async fn open(dir: &Path, instance: &str) -> Engine {
    let config = Config {
        instance: instance.to_owned(),
        data_dir: dir.join("data"),
        run_dir: dir.join("run"),
        spawner: SpawnerConfig {
            program: Program::Path(env!("CARGO_BIN_EXE_weft").into()),
            ..SpawnerConfig::own()
        },
        sandboxes: true,
        registries: RegistryConfig::default(),
    };
    std::fs::create_dir_all(&config.run_dir).unwrap();
    Engine::open(config).await.unwrap()
}

async fn driver(engine: &Engine) -> Native {
    let network = NetworkSpec {
        name: "pods".to_owned(),
        ..NetworkSpec::default()
    };
    Native::new(engine.clone(), network).await.unwrap()
}

fn bed<'a>(driver: &'a Native, directory: &'a Path) -> Bed<'a, Native> {
    Bed {
        driver,
        image: IMAGE,
        directory,
        runs: true,
    }
}

//! Tests of pulling from a real registry: plain, with TLS, with a password.

use std::sync::Mutex;
use std::time::Duration;

use weft_image::registry::Timeouts;
use weft_image::{
    Credentials, ErrorKind, Image, LayerState, Platform, Progress, PullError, PullOptions,
    RegistryConfig, RegistrySettings, Store,
};
use weft_testkit::registry::{Access, Registry};

use crate::sample::{busybox_with, gzip, reference, store, tree};

pub fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("runtime")
}

pub fn config() -> RegistryConfig {
    RegistryConfig {
        docker_config: Some("/nonexistent/config.json".into()),
        timeouts: Timeouts {
            connect: Duration::from_secs(5),
            idle: Duration::from_secs(2),
        },
        ..RegistryConfig::default()
    }
}

pub fn store_with(config: RegistryConfig) -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = Store::open(&dir.path().join("images"), config).expect("opens");
    (dir, store)
}

pub fn pull(store: &Store, name: &str, options: PullOptions) -> Result<Image, PullError> {
    runtime().block_on(store.pull(&reference(name), options, &|_| {}))
}

/// The whole chain of an error, as a user sees it.
pub fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}

/// A registry with busybox in it, and the image as it was pushed.
fn filled(access: Access) -> Option<(Registry, Image)> {
    let registry = Registry::start(access).expect("starts")?;
    let (_dir, source) = store();
    let image = busybox_with(&source, "busybox:1", gzip);
    let mut archive = Vec::new();
    source
        .save(&["busybox:1".to_owned()], &mut archive)
        .expect("saves");
    registry.push(&archive, "some/busybox:1").expect("pushes");
    Some((registry, image))
}

#[test]
fn a_pull_brings_the_same_image_and_the_next_brings_nothing() {
    let Some((mut registry, pushed)) = filled(Access::Plain) else {
        return;
    };
    let (dir, store) = store_with(config());
    let name = format!("{}/some/busybox:1", registry.host());
    let seen = Mutex::new(Vec::new());
    let note = |progress| seen.lock().expect("no panics").push(progress);
    let runtime = runtime();
    let image = runtime.block_on(store.pull(&reference(&name), PullOptions::default(), &note));
    let image = image.map_err(|e| told(&e)).expect("pulls");
    assert_eq!(image.config.diff_ids, pushed.config.diff_ids);
    assert_eq!(image.config.cmd, ["sh"]);
    assert_eq!(image.names, [reference(&name)]);
    let progress = std::mem::take(&mut *seen.lock().expect("no panics"));
    assert!(matches!(&progress[0], Progress::Resolved { layers, .. } if layers.len() == 2));
    let done = |p: &&Progress| {
        matches!(
            p,
            Progress::Layer {
                state: LayerState::Done,
                ..
            }
        )
    };
    assert_eq!(progress.iter().filter(done).count(), 2, "{progress:?}");
    let top = dir
        .path()
        .join("images/layers")
        .join(image.layers[1].diff_id.hex())
        .join("fs");
    assert_eq!(tree(&top), ["etc", "etc/gone", "etc/hello"]);
    assert_eq!(
        tree(&dir.path().join("images/ingest")),
        Vec::<String>::new()
    );

    let again = runtime.block_on(store.pull(&reference(&name), PullOptions::default(), &note));
    assert_eq!(again.expect("pulls"), image);
    let exists = |p: &&Progress| {
        matches!(
            p,
            Progress::Layer {
                state: LayerState::Exists,
                ..
            }
        )
    };
    assert_eq!(
        seen.lock()
            .expect("no panics")
            .iter()
            .filter(exists)
            .count(),
        2
    );

    let by_digest = &image.digests[0];
    let pinned = pull(&store, by_digest, PullOptions::default()).expect("pulls by digest");
    assert_eq!(pinned.id, image.id);
    assert_eq!(pinned.names.len(), 2);

    let missing = pull(
        &store,
        &format!("{}/some/busybox:nope", registry.host()),
        PullOptions::default(),
    );
    let missing = missing.expect_err("no such tag");
    assert_eq!(missing.kind(), ErrorKind::NotFound, "{}", told(&missing));
    assert!(
        told(&missing).contains("some/busybox:nope not found at registry"),
        "{}",
        told(&missing)
    );

    let other = Platform::parse("linux/s390x").expect("parses");
    let options = PullOptions {
        platform: Some(other),
        auth: None,
    };
    let error = pull(&store, &name, options).expect_err("not for that");
    assert!(
        matches!(error, PullError::Platform { .. }),
        "{}",
        told(&error)
    );

    registry.stop();
    let error = pull(&store, &name, PullOptions::default()).expect_err("down");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", told(&error));
    assert!(
        told(&error).contains("cannot reach registry"),
        "{}",
        told(&error)
    );
}

#[test]
fn a_registry_with_its_own_certificate_needs_its_ca() {
    let Some((registry, pushed)) = filled(Access::Tls) else {
        return;
    };
    let name = format!("{}/some/busybox:1", registry.host());
    let with = |settings: RegistrySettings| {
        let mut config = config();
        config.registries.insert(registry.host(), settings);
        store_with(config)
    };
    let (_dir, store) = with(RegistrySettings {
        ca: Some(registry.ca()),
        ..Default::default()
    });
    let image = pull(&store, &name, PullOptions::default())
        .map_err(|e| told(&e))
        .expect("pulls");
    assert_eq!(image.config.diff_ids, pushed.config.diff_ids);

    let Some(other) = Registry::start(Access::Tls).expect("starts") else {
        return;
    };
    let (_dir, store) = with(RegistrySettings {
        ca: Some(other.ca()),
        ..Default::default()
    });
    let error = pull(&store, &name, PullOptions::default()).expect_err("a stranger's certificate");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(told(&error).contains("certificate"), "{}", told(&error));

    let (_dir, store) = with(RegistrySettings {
        ca: Some("/nonexistent".into()),
        ..Default::default()
    });
    let error = pull(&store, &name, PullOptions::default()).expect_err("no such file");
    assert!(told(&error).contains("/nonexistent"), "{}", told(&error));

    let (_dir, store) = with(RegistrySettings {
        insecure: true,
        ..Default::default()
    });
    pull(&store, &name, PullOptions::default())
        .map_err(|e| told(&e))
        .expect("pulls");
}

#[test]
fn passwords_open_and_wrong_ones_do_not() {
    let Some((registry, _)) = filled(Access::Password) else {
        return;
    };
    let name = format!("{}/some/busybox:1", registry.host());
    let with = |username: &str, password: &str| PullOptions {
        platform: None,
        auth: Some(Credentials {
            username: username.to_owned(),
            password: password.to_owned(),
            identity_token: None,
        }),
    };
    let (dir, store) = store_with(config());
    let before = tree(dir.path());
    for options in [
        PullOptions::default(),
        with("weaver", "wrong"),
        with("nobody", "shuttle"),
    ] {
        let error = pull(&store, &name, options).expect_err("denied");
        assert_eq!(error.kind(), ErrorKind::Denied, "{}", told(&error));
        assert!(!told(&error).contains("shuttle"), "{}", told(&error));
        assert_eq!(tree(dir.path()), before);
    }
    pull(&store, &name, with("weaver", "shuttle"))
        .map_err(|e| told(&e))
        .expect("pulls");

    let file = dir.path().join("config.json");
    // d2VhdmVyOnNodXR0bGU= is weaver:shuttle
    let json = format!(
        r#"{{"auths":{{"{}":{{"auth":"d2VhdmVyOnNodXR0bGU="}}}}}}"#,
        registry.host()
    );
    std::fs::write(&file, json).expect("writes");
    let (_dir, second) = store_with(RegistryConfig {
        docker_config: Some(file.clone()),
        ..config()
    });
    pull(&second, &name, PullOptions::default())
        .map_err(|e| told(&e))
        .expect("pulls");

    std::fs::write(&file, r#"{"credsStore":"desktop"}"#).expect("writes");
    let (_dir, third) = store_with(RegistryConfig {
        docker_config: Some(file.clone()),
        ..config()
    });
    let error = pull(&third, &name, PullOptions::default()).expect_err("denied");
    assert!(
        told(&error).contains("docker-credential-desktop"),
        "{}",
        told(&error)
    );
    std::fs::write(&file, "{").expect("writes");
    let (_dir, fourth) = store_with(RegistryConfig {
        docker_config: Some(file),
        ..config()
    });
    let error = pull(&fourth, &name, PullOptions::default()).expect_err("unreadable");
    assert!(told(&error).contains("config.json"), "{}", told(&error));
}

#[test]
fn a_mirror_is_asked_first_and_the_registry_when_it_fails() {
    let Some((registry, pushed)) = filled(Access::Plain) else {
        return;
    };
    let mut mirrored = config();
    let mirrors = vec![format!("http://{}", registry.host())];
    let settings = RegistrySettings {
        mirrors,
        ..Default::default()
    };
    mirrored
        .registries
        .insert("mirrored.invalid".to_owned(), settings);
    let (_dir, store) = store_with(mirrored);
    let image = pull(
        &store,
        "mirrored.invalid/some/busybox:1",
        PullOptions::default(),
    );
    let image = image.map_err(|e| told(&e)).expect("pulls");
    assert_eq!(image.config.diff_ids, pushed.config.diff_ids);
    assert!(image.digests[0].starts_with("mirrored.invalid/some/busybox@"));

    let mut broken = config();
    let mirrors = vec!["http://127.0.0.1:1".to_owned()];
    broken.registries.insert(
        registry.host(),
        RegistrySettings {
            mirrors,
            ..Default::default()
        },
    );
    let (_dir, store) = store_with(broken);
    let name = format!("{}/some/busybox:1", registry.host());
    pull(&store, &name, PullOptions::default())
        .map_err(|e| told(&e))
        .expect("pulls");
}

#[test]
fn removal_after_a_pull_leaves_nothing() {
    let Some((registry, _)) = filled(Access::Plain) else {
        return;
    };
    let (dir, store) = store_with(config());
    let before = tree(dir.path());
    let name = format!("{}/some/busybox:1", registry.host());
    let image = pull(&store, &name, PullOptions::default()).expect("pulls");
    let options = weft_image::RemoveOptions {
        force: false,
        in_use: &|_| None,
    };
    store
        .remove(&image.id.to_string(), options)
        .expect("removes");
    store.discard(&[]).expect("collects");
    let left: Vec<_> = tree(dir.path())
        .into_iter()
        .filter(|p| !before.contains(p))
        .collect();
    assert_eq!(left, ["images/index.json"]);
}

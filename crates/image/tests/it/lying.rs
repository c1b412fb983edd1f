//! Tests of registries that lie, break, hang, or send us elsewhere.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use weft_image::registry::Timeouts;
use weft_image::{Credentials, ErrorKind, PullOptions, RegistryConfig, Store};

use crate::liar::{INDEX, Liar, MANIFEST, Said, Sample, ranged, say};
use crate::pulling::{config, pull, runtime, store_with, told};
use crate::sample::{Tar, busybox_layers, reference, tree};

fn sample() -> Sample {
    Sample::new(&busybox_layers())
}

fn options() -> PullOptions {
    PullOptions {
        platform: None,
        auth: Some(Credentials {
            username: "weaver".to_owned(),
            password: "shuttle".to_owned(),
            identity_token: None,
        }),
    }
}

/// Pulls and expects failure: nothing visible, nothing but partial downloads left.
fn fails(store: &Store, dir: &tempfile::TempDir, liar: &Liar) -> (ErrorKind, String) {
    let name = format!("{}/a/b:c", liar.host());
    let error = pull(store, &name, options()).expect_err("the registry lies");
    assert!(store.list().is_empty());
    let left = tree(&dir.path().join("images/ingest"));
    assert!(
        left.iter().all(|name| name.starts_with("partial-")),
        "{left:?}"
    );
    (error.kind(), told(&error))
}

fn pulls(store: &Store, liar: &Liar) {
    let name = format!("{}/a/b:c", liar.host());
    let image = pull(store, &name, options())
        .map_err(|e| told(&e))
        .expect("pulls");
    assert_eq!(image.layers.len(), 2);
}

#[test]
fn a_wrong_last_byte_is_noticed_and_not_kept() {
    let sample = sample();
    let honest = Arc::new(AtomicUsize::new(0));
    let (truth, digest, mode) = (sample.clone(), sample.layer(1), honest.clone());
    let liar = Liar::start(move |asked| {
        let mut said = truth.answer(asked);
        if asked.path.ends_with(&digest) && mode.load(Ordering::SeqCst) == 0 {
            *said.body.last_mut().expect("not empty") ^= 1;
        }
        said
    });
    let (dir, store) = store_with(config());
    let (kind, said) = fails(&store, &dir, &liar);
    assert_eq!(kind, ErrorKind::Corrupt, "{said}");
    assert!(said.contains(&sample.layer(1)), "{said}");
    honest.store(1, Ordering::SeqCst);
    pulls(&store, &liar);
}

#[test]
fn a_layer_that_is_not_its_diff_id_is_refused() {
    let honest = sample();
    let mut swapped = Sample::new(&[
        busybox_layers()[0].clone(),
        Tar::new().file("evil", "x").end(),
    ]);
    swapped.config = honest.config.clone();
    let text = String::from_utf8(swapped.manifest.clone()).expect("json");
    let mut manifest: serde_json::Value = serde_json::from_str(&text).expect("json");
    manifest["config"]["digest"] = weft_image::Digest::of(&honest.config).to_string().into();
    manifest["config"]["size"] = honest.config.len().into();
    swapped.manifest = manifest.to_string().into_bytes();
    let liar = Liar::start(move |asked| swapped.answer(asked));
    let (dir, store) = store_with(config());
    let (kind, said) = fails(&store, &dir, &liar);
    assert_eq!(kind, ErrorKind::Corrupt, "{said}");
    assert!(said.contains("diff id"), "{said}");
}

#[test]
fn broken_connections_are_taken_up_where_they_broke() {
    for ignores_ranges in [false, true] {
        let sample = sample();
        let (truth, digest) = (sample.clone(), sample.layer(0));
        let liar = Liar::start(move |asked| {
            let said = truth.answer(asked);
            if !asked.path.ends_with(&digest) {
                return said;
            }
            if ignores_ranges {
                let whole = &truth.layers[0];
                return say(200, whole.clone()).cut((asked.from() + 300_000).min(whole.len()));
            }
            said.cut(300_000)
        });
        let (_dir, store) = store_with(config());
        pulls(&store, &liar);
        let froms: Vec<usize> = liar
            .asked()
            .iter()
            .filter(|asked| asked.path.ends_with(&sample.layer(0)))
            .map(super::liar::Asked::from)
            .collect();
        assert!(
            froms.len() > 1 && froms.windows(2).all(|pair| pair[0] < pair[1]),
            "{froms:?}"
        );
    }
}

#[test]
fn a_later_pull_goes_on_where_an_earlier_failed() {
    let sample = sample();
    let broken = Arc::new(AtomicUsize::new(1));
    let (truth, digest, mode) = (sample.clone(), sample.layer(0), broken.clone());
    let liar = Liar::start(move |asked| {
        if asked.path.ends_with(&digest) && mode.load(Ordering::SeqCst) == 1 {
            if asked.from() == 0 {
                truth.answer(asked).cut(200_000)
            } else {
                say(403, "no more")
            }
        } else {
            truth.answer(asked)
        }
    });
    let (dir, store) = store_with(config());
    let (kind, said) = fails(&store, &dir, &liar);
    assert_eq!(kind, ErrorKind::Denied, "{said}");
    broken.store(0, Ordering::SeqCst);
    pulls(&store, &liar);
    let last = liar
        .asked()
        .into_iter()
        .rfind(|a| a.path.ends_with(&sample.layer(0)));
    assert_eq!(last.expect("asked").from(), 200_000);

    // What is left of a download may be torn: found out, and begun anew.
    let (dir, store) = store_with(config());
    let hex = sample.layer(0);
    let hex = hex.split(':').nth(1).expect("hex");
    let partial = dir
        .path()
        .join(format!("images/ingest/partial-sha256-{hex}"));
    std::fs::write(&partial, vec![0; 100_000]).expect("writes");
    pulls(&store, &liar);
    assert!(!partial.exists());
}

#[test]
fn sizes_that_lie_are_noticed() {
    for more in [true, false] {
        let sample = sample();
        let truth = sample.clone();
        let digest = sample.layer(1);
        let liar = Liar::start(move |asked| {
            let mut said = truth.answer(asked);
            if asked.path.ends_with(&digest) {
                if more {
                    said.body.extend([0; 100]);
                } else {
                    said.body.pop();
                }
            }
            said
        });
        let (dir, store) = store_with(config());
        let (kind, said) = fails(&store, &dir, &liar);
        assert!(
            matches!(kind, ErrorKind::Corrupt | ErrorKind::Unavailable),
            "{said}"
        );
    }
}

#[test]
fn documents_that_lie_are_refused() {
    let truth = sample();
    let huge = vec![b' '; 5 << 20];
    let mut ambiguous: serde_json::Value = serde_json::from_slice(&truth.manifest).expect("json");
    ambiguous["manifests"] = serde_json::json!([]);
    let foreign = serde_json::json!({"schemaVersion": 2, "manifests": [
        {"mediaType": MANIFEST, "digest": truth.layer(0), "size": 10,
         "platform": {"os": "windows", "architecture": "amd64"}}]});
    let old = r#"{"schemaVersion":1,"fsLayers":[]}"#;
    let lying_digest = say(200, truth.manifest.clone())
        .header("Content-Type", MANIFEST)
        .header("Docker-Content-Digest", truth.layer(0));
    let json = |body: Vec<u8>, media: &str| say(200, body).header("Content-Type", media);
    let table: Vec<(Said, ErrorKind, &str)> = vec![
        (json(huge, MANIFEST), ErrorKind::Exhausted, "larger than"),
        (
            json(ambiguous.to_string().into(), MANIFEST),
            ErrorKind::Corrupt,
            "ambiguous",
        ),
        (
            json(foreign.to_string().into(), INDEX),
            ErrorKind::NotFound,
            "windows/amd64",
        ),
        (
            json(
                old.into(),
                "application/vnd.docker.distribution.manifest.v1+json",
            ),
            ErrorKind::Corrupt,
            "schema 1",
        ),
        (
            json(b"<html>".to_vec(), "text/html"),
            ErrorKind::Corrupt,
            "JSON",
        ),
        (
            json(truth.manifest.clone(), "text/html"),
            ErrorKind::Corrupt,
            "text/html",
        ),
        (lying_digest, ErrorKind::Corrupt, "digest"),
        (
            say(418, r#"{"errors":[{"message":"a\u001b[31mteapot"}]}"#),
            ErrorKind::Unavailable,
            "a[31mteapot",
        ),
    ];
    for (said, kind, word) in table {
        let liar = Liar::start(move |_| said.clone());
        let (dir, store) = store_with(config());
        let (got, text) = fails(&store, &dir, &liar);
        assert_eq!(got, kind, "{text}");
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn overload_is_waited_out() {
    for status in [429, 500, 503] {
        let truth = sample();
        let failures = AtomicUsize::new(2);
        let liar = Liar::start(move |asked| {
            let left =
                failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
            if left.is_ok() {
                say(status, "").header("Retry-After", 0)
            } else {
                truth.answer(asked)
            }
        });
        let (_dir, store) = store_with(config());
        pulls(&store, &liar);
    }
}

#[test]
fn a_registry_that_hangs_is_given_up() {
    let quick = RegistryConfig {
        timeouts: Timeouts {
            connect: Duration::from_secs(5),
            idle: Duration::from_millis(100),
        },
        ..config()
    };
    let truth = sample();
    let liar = Liar::start(move |asked| {
        let said = truth.answer(asked);
        let half = said.body.len() / 2;
        if asked.path.contains("/blobs/") && said.body.len() > 10_000 {
            if asked.from() == 0 {
                said.cut(half).hang()
            } else {
                said.cut(0).hang()
            }
        } else {
            said
        }
    });
    let (dir, store) = store_with(quick);
    let (kind, said) = fails(&store, &dir, &liar);
    assert_eq!(kind, ErrorKind::Unavailable, "{said}");
}

const BASIC: &str = "Basic d2VhdmVyOnNodXR0bGU=";

#[test]
fn credentials_stay_with_their_registry() {
    let truth = sample();
    let elsewhere = {
        let truth = truth.clone();
        Liar::start(move |asked| {
            let digest = truth.layer(0);
            if asked.path == "/protected" {
                return say(401, "").header("WWW-Authenticate", "Basic realm=\"x\"");
            }
            if asked.path.ends_with(&digest) {
                ranged(asked, &truth.layers[0])
            } else {
                say(404, "")
            }
        })
    };
    let target = elsewhere.host();
    let protect = Arc::new(AtomicUsize::new(0));
    let mode = protect.clone();
    let home = Liar::start(move |asked| {
        if asked.header("authorization") != Some(BASIC) {
            return say(401, "").header("WWW-Authenticate", "Basic realm=\"home\"");
        }
        let digest = truth.layer(0);
        if asked.path.ends_with(&digest) {
            let path = if mode.load(Ordering::SeqCst) == 0 {
                format!("/x/{digest}")
            } else {
                "/protected".to_owned()
            };
            return say(307, "").header("Location", format!("http://{target}{path}"));
        }
        truth.answer(asked)
    });
    protect.store(1, Ordering::SeqCst);
    let (dir, store) = store_with(config());
    let (kind, said) = fails(&store, &dir, &home);
    assert_eq!(kind, ErrorKind::Denied, "{said}");
    protect.store(0, Ordering::SeqCst);
    pulls(&store, &home);
    assert!(
        home.asked()
            .iter()
            .any(|asked| asked.header("authorization").is_some())
    );
    assert!(!elsewhere.asked().is_empty());
    for asked in elsewhere.asked() {
        assert_eq!(asked.header("authorization"), None, "{asked:?}");
    }
}

#[test]
fn nobody_sends_us_where_we_should_not_go() {
    for to in [
        "http://169.254.169.254/latest/meta-data",
        "https://169.254.169.254/",
        "http://[fe80::1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://0.0.0.0/",
        "file:///etc/passwd",
        "http://user:pass@127.0.0.1:1/",
        "gopher://127.0.0.1/",
    ] {
        let liar = Liar::start(move |_| say(302, "").header("Location", to));
        let (dir, store) = store_with(config());
        let (kind, said) = fails(&store, &dir, &liar);
        assert_eq!(kind, ErrorKind::Invalid, "{to}: {said}");
        let challenge = format!("Bearer realm=\"{to}\",service=\"x\"");
        let liar = Liar::start(move |_| say(401, "").header("WWW-Authenticate", &challenge));
        let (_, said) = fails(&store, &dir, &liar);
        assert!(said.contains("sends us"), "{to}: {said}");
    }
    let endless = Liar::start(|asked| say(302, "").header("Location", format!("{}x", asked.path)));
    let (dir, store) = store_with(config());
    let (kind, said) = fails(&store, &dir, &endless);
    assert_eq!(kind, ErrorKind::Corrupt, "{said}");
    assert!(endless.asked().len() < 20);
}

#[test]
fn tokens_are_fetched_once_and_used() {
    let truth = sample();
    let own = Arc::new(Mutex::new(String::new()));
    let host = own.clone();
    let liar = Liar::start(move |asked| {
        let host = host.lock().expect("no panics").clone();
        if asked.path.starts_with("/token?") {
            let right = asked.header("authorization") == Some(BASIC)
                && asked.path.contains("service=reg")
                && asked.path.contains("scope=repository%3Aa%2Fb%3Apull");
            return if right {
                say(200, r#"{"token":"sesame","expires_in":300}"#)
            } else {
                say(401, "")
            };
        }
        if asked.header("authorization") != Some("Bearer sesame") {
            let challenge =
                format!("Bearer realm=\"http://{host}/token\",service=\"reg\",scope=\"x\"");
            return say(401, "").header("WWW-Authenticate", challenge);
        }
        truth.answer(asked)
    });
    *own.lock().expect("no panics") = liar.host();
    let (dir, store) = store_with(config());
    pulls(&store, &liar);
    assert_eq!(liar.count("/token"), 1);
    drop(dir);
    for answer in ["", "{}", r#"{"token":"a\nb"}"#, "[1]"] {
        let liar = Liar::start(move |asked| {
            if asked.path.starts_with("/token") {
                return say(200, answer);
            }
            let host = asked.header("host").unwrap_or_default();
            say(401, "").header(
                "WWW-Authenticate",
                format!("Bearer realm=\"http://{host}/token\""),
            )
        });
        let (dir, store) = store_with(config());
        let (kind, said) = fails(&store, &dir, &liar);
        assert_eq!(kind, ErrorKind::Corrupt, "{said}");
    }
}

#[test]
fn concurrent_pulls_share_one_download() {
    let truth = sample();
    let (first, second) = (truth.layer(0), truth.layer(1));
    let liar = Liar::start(move |asked| truth.answer(asked));
    let (_dir, store) = store_with(config());
    let name = reference(&format!("{}/a/b:c", liar.host()));
    runtime().block_on(async {
        let pulls = (0..8).map(|_| store.pull(&name, options(), &|_| {}));
        let images = futures_util::future::try_join_all(pulls)
            .await
            .map_err(|e| told(&e));
        assert_eq!(images.expect("all pull").len(), 8);
    });
    assert_eq!((liar.count(&first), liar.count(&second)), (1, 1));
}

#[test]
fn pulls_stopped_at_any_point_leave_no_part_visible() {
    let truth = sample();
    let served = Arc::new(AtomicUsize::new(usize::MAX));
    let (limit, answer) = (served.clone(), truth.clone());
    // Each request counts; when the count is used up, everything hangs until the pull is dropped.
    let liar = Liar::start(move |asked| {
        let said = answer.answer(asked);
        let left = limit.load(Ordering::SeqCst);
        if left == usize::MAX {
            return said;
        }
        if left == 0 {
            return said.cut(0).hang();
        }
        limit.store(left - 1, Ordering::SeqCst);
        let cut = said.body.len() * (left % 7) / 7;
        if left == 1 {
            said.cut(cut).hang()
        } else {
            said
        }
    });
    let (dir, store) = store_with(config());
    let before = tree(dir.path());
    let name = reference(&format!("{}/a/b:c", liar.host()));
    let runtime = runtime();
    for round in 0..24 {
        served.store(round % 8, Ordering::SeqCst);
        let (asked, wanted) = (liar.asked().len(), round % 8);
        runtime.block_on(async {
            let pull = store.pull(&name, options(), &|_| {});
            tokio::pin!(pull);
            loop {
                tokio::select! {
                    result = &mut pull => break drop(result),
                    () = liar.heard.notified() => {
                        if liar.asked().len() - asked > wanted {
                            break;
                        }
                    }
                }
            }
        });
        let whole = store.list();
        assert!(whole.iter().all(|image| image.layers.len() == 2));
    }
    served.store(usize::MAX, Ordering::SeqCst);
    pulls(&store, &liar);
    let all: Vec<String> = store
        .list()
        .iter()
        .map(|image| image.id.to_string())
        .collect();
    for id in all {
        let options = weft_image::RemoveOptions {
            force: true,
            in_use: &|_| None,
        };
        store.remove(&id, options).expect("removes");
    }
    drop(runtime);
    store.discard(&[]).expect("collects");
    let left: Vec<_> = tree(dir.path())
        .into_iter()
        .filter(|p| !before.contains(p))
        .collect();
    assert_eq!(left, ["images/index.json"]);
}

/// A small filesystem that goes with the test.
struct Small(tempfile::TempDir);

impl Small {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "weft-test"])
            .arg(dir.path())
            .status();
        assert!(mounted.expect("mount").success());
        Self(dir)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount")
            .arg(self.0.path())
            .status();
        assert!(
            unmounted.is_ok_and(|status| status.success()),
            "umount {:?}",
            self.0.path()
        );
    }
}

#[test]
fn a_full_disk_is_told_and_leaves_what_was_there() {
    let small = Small::new();
    let store = Store::open(&small.0.path().join("images"), config()).expect("opens");
    let tiny = Sample::new(&[
        Tar::new().file("a", "x").end(),
        Tar::new().file("b", "x").end(),
    ]);
    let liar = Liar::start(move |asked| tiny.answer(asked));
    pulls(&store, &liar);
    let truth = sample();
    let big = Liar::start(move |asked| truth.answer(asked));
    let error = pull(&store, &format!("{}/a/b:c", big.host()), options()).expect_err("too big");
    assert_eq!(error.kind(), ErrorKind::Exhausted, "{}", told(&error));
    assert_eq!(store.list().len(), 1);
    store.discard(&[]).expect("collects on a full disk");
    drop(store);
    let store = Store::open(&small.0.path().join("images"), config()).expect("opens again");
    assert_eq!(store.list().len(), 1);
    drop(store);
}

//! Registries that are down, refuse, or lie: one clear error, and nothing of the image remains.

use std::fs;

use serde_json::json;
use weft_testkit::image::{self, digest, gzip};
use weft_testkit::registry::{Access, Liar, Lie, response};
use weft_testkit::tarball::Tarball;
use weft_testkit::{Registry, Weft};

use crate::WEFT;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A well-formed image whose parts a test may falsify before they are served.
struct Served {
    config: Vec<u8>,
    layer: Vec<u8>,
    manifest: Vec<u8>,
}

impl Served {
    fn new(tar: &[u8]) -> Served {
        let layer = gzip(tar);
        let config = json!({
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
            "os": "linux",
            "config": {},
            "rootfs": { "type": "layers", "diff_ids": [digest(tar)] },
        });
        Served::of(config.to_string().into_bytes(), layer)
    }

    fn of(config: Vec<u8>, layer: Vec<u8>) -> Served {
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": { "mediaType": CONFIG, "digest": digest(&config), "size": config.len() },
            "layers": [{ "mediaType": LAYER, "digest": digest(&layer), "size": layer.len() }],
        });
        Served {
            config,
            layer,
            manifest: manifest.to_string().into_bytes(),
        }
    }

    /// Answers every request with these parts; `layer` is what is sent for the layer.
    fn lie(self, layer: Vec<u8>) -> Lie {
        let (config_digest, layer_digest) = (digest(&self.config), digest(&self.layer));
        Box::new(move |path| match path {
            "/v2/" => response("200 OK", "application/json", b"{}"),
            path if path.contains("/manifests/") => response("200 OK", MANIFEST, &self.manifest),
            path if path.ends_with(&config_digest) => response("200 OK", CONFIG, &self.config),
            path if path.ends_with(&layer_digest) => layer.clone(),
            _ => response("404 Not Found", "application/json", b"{\"errors\":[]}"),
        })
    }
}

/// The pull fails, says why, and leaves no image and no layer.
#[track_caller]
fn refused(weft: &Weft, lie: Lie, words: &[&str]) {
    let liar = Liar::start(lie).unwrap();
    let name = format!("{}/lie:1", liar.host());
    weft.weft(&["pull", &name]).fails_saying(words);
    assert_eq!(weft.ok(&["images", "--quiet"]), "");
    assert_ne!(
        weft.weft(&["run", "--rm", "--pull", "never", &name, "true"])
            .code,
        0
    );
    for part in ["layers", "tmp"] {
        let dir = weft.data_dir().join("images").join(part);
        let left: Vec<_> = fs::read_dir(dir)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        assert!(left.is_empty(), "{part}: {left:?}");
    }
}

fn tar() -> Vec<u8> {
    Tarball::new().file("f", 0o644, b"content").finish()
}

#[test]
fn bytes_that_are_not_what_was_promised() {
    let Some(weft) = Weft::empty(WEFT) else {
        return;
    };
    let served = Served::new(&tar());
    let mut changed = served.layer.clone();
    *changed.last_mut().unwrap() ^= 1;
    let body = response("200 OK", "application/octet-stream", &changed);
    refused(&weft, served.lie(body), &["digest"]);

    let served = Served::new(&tar());
    let longer = [served.layer.as_slice(), b"more"].concat();
    let body = response("200 OK", "application/octet-stream", &longer);
    refused(&weft, served.lie(body), &["announced"]);
}

#[test]
fn a_layer_that_is_not_the_one_the_config_names() {
    let Some(weft) = Weft::empty(WEFT) else {
        return;
    };
    let other = Tarball::new().file("other", 0o644, b"content").finish();
    let config = Served::new(&other).config;
    let served = Served::of(config, gzip(&tar()));
    let body = response("200 OK", "application/octet-stream", &served.layer);
    refused(&weft, served.lie(body), &["diff"]);
}

#[test]
fn a_download_that_always_breaks_off() {
    let Some(weft) = Weft::empty(WEFT) else {
        return;
    };
    let served = Served::new(&tar());
    let whole = response("200 OK", "application/octet-stream", &served.layer);
    let half = whole[..whole.len() - served.layer.len() / 2].to_vec();
    refused(&weft, served.lie(half), &["lie"]);
}

#[test]
fn answers_that_are_no_manifests() {
    let Some(weft) = Weft::empty(WEFT) else {
        return;
    };
    for body in [
        "",
        "not json",
        "[]",
        "{\"schemaVersion\":1}",
        "{\"schemaVersion\":2,\"layers\":[],\"manifests\":[]}",
    ] {
        refused(
            &weft,
            Box::new(move |_| response("200 OK", MANIFEST, body.as_bytes())),
            &["manifest"],
        );
    }
    let huge = "[".repeat(8 << 20);
    refused(
        &weft,
        Box::new(move |_| response("200 OK", MANIFEST, huge.as_bytes())),
        &["larger"],
    );
    let path = "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x\",\"digest\":\"sha256:../../../../etc/passwd\",\"size\":1},\"layers\":[]}";
    refused(
        &weft,
        Box::new(move |_| response("200 OK", MANIFEST, path.as_bytes())),
        &["digest"],
    );
}

#[test]
fn a_registry_that_fails_refuses_or_speaks_no_http() {
    let Some(weft) = Weft::empty(WEFT) else {
        return;
    };
    refused(
        &weft,
        Box::new(|_| response("500 Internal Server Error", "text/plain", b"broken")),
        &["500"],
    );
    refused(
        &weft,
        Box::new(|_| {
            response(
                "404 Not Found",
                "application/json",
                b"{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\"}]}",
            )
        }),
        &["not found"],
    );
    refused(
        &weft,
        Box::new(|_| response("403 Forbidden", "application/json", b"{}")),
        &["denies"],
    );
    refused(
        &weft,
        Box::new(|_| b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        &["lie"],
    );
}

#[test]
fn a_registry_that_is_down_or_unknown() {
    let Some(weft) = Weft::empty(WEFT) else {
        return;
    };
    let Some(mut registry) = Registry::start(Access::Plain).unwrap() else {
        return;
    };
    registry.push(image::busybox(), "busybox:1").unwrap();
    let name = format!("{}/busybox:1", registry.host());
    weft.weft(&["pull", &format!("{}/nosuch:1", registry.host())])
        .fails_saying(&["nosuch"]);
    weft.weft(&["pull", &format!("{}/busybox:nosuch", registry.host())])
        .fails_saying(&["nosuch"]);
    registry.stop();
    weft.weft(&["pull", &name])
        .fails_saying(&[&registry.host()]);
    weft.weft(&["run", "--rm", &name, "true"])
        .fails_saying(&[&registry.host()]);
    assert_eq!(weft.ok(&["ps", "--all", "--quiet"]), "");
    weft.weft(&["pull", "no-such-host.invalid/x:1"])
        .fails_saying(&["no-such-host.invalid"]);
}

#[test]
fn credentials_do_not_follow_a_redirect() {
    let Some(weft) = Weft::empty(WEFT) else {
        return;
    };
    let thief = Liar::start(Box::new(|_| response("200 OK", "text/plain", b"thanks"))).unwrap();
    let target = thief.host();
    let served = Served::new(&tar());
    let redirect = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{target}/blob\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    refused(&weft, served.lie(redirect.into_bytes()), &["lie"]);
    assert!(
        thief
            .asked()
            .iter()
            .all(|line| !line.to_lowercase().contains("authorization"))
    );
}

//! `weft server` and kube-rs: reflectors through kill -9, cut connections and compaction, and
//! applications on the server.
//!
//! ```text
//!   writers ────────────────────────────► server (killed, started again)
//!   reflectors ──► wire (cut, mended) ──►
//! ```
#![allow(clippy::unwrap_used)]

pub(crate) mod client;
mod reflector;
mod writers;

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, WatchParams};
use kube::core::WatchEvent;
use kube::runtime::watcher;
use kube::{Api, Error};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::task::block_in_place;
use weft_testkit::{Weft, until};

use self::client::{Wire, client};
use self::reflector::{Maps, Reflector, named, revision};
use self::writers::{Done, Writers};
use crate::server_line::server;

const PATIENCE: Duration = Duration::from_secs(120);
const WRITERS: usize = 3;
/// Breaks, and what is acknowledged between two of them.
const ROUNDS: usize = 6;
const BETWEEN: usize = 40;
/// More than a server keeps of what was (64 MiB), in objects of this size.
const FORGETTING: usize = 70;
const LARGE: usize = 1 << 20;

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(4).enable_all().build().unwrap()
}

async fn listed(maps: &Api<ConfigMap>) -> Maps {
    let list = maps.list(&ListParams::default()).await.unwrap();
    named(list.iter())
}

fn settle(reflectors: &[Reflector], now: &Maps) {
    for reflector in reflectors {
        until(PATIENCE, "the same as a list", || reflector.state() == *now);
        assert_eq!(reflector.told().mistakes, [""; 0]);
    }
}

#[test]
fn reflectors_miss_nothing_through_kill_9_cuts_and_compaction() {
    let Some((mut weft, caller)) = server() else {
        return;
    };
    runtime().block_on(async {
        let address = weft.address().parse().unwrap();
        let direct: Api<ConfigMap> = Api::default_namespaced(client(&caller, address));
        let wire = Wire::lay(address).await;
        let reflectors = [
            watcher::Config::default(),
            watcher::Config::default().page_size(5),
            watcher::Config::default().streaming_lists(),
        ]
        .map(|config| {
            let client = client(&caller, wire.address);
            Reflector::start(Api::default_namespaced(client), config)
        });
        for reflector in &reflectors {
            reflector.store.wait_until_ready().await.unwrap();
        }
        let done = through_breaks(&mut weft, &direct, &wire).await;
        assert!(done.conflicts > 0);
        settle_in_place(&reflectors, &listed(&direct).await);
        for reflector in &reflectors {
            let told = reflector.told();
            // It went on where it was: nothing was listed again, so all must have been told.
            assert_eq!(told.beginnings, 1);
            let missed: Vec<_> = done.changes.difference(&told.changes).collect();
            assert!(missed.is_empty(), "changes not told: {missed:?}");
            let missed: Vec<_> = done.gone.difference(&told.gone).collect();
            assert!(missed.is_empty(), "deletions not told: {missed:?}");
        }
        through_compaction(&direct, &wire, &reflectors).await;
    });
}

fn settle_in_place(reflectors: &[Reflector], now: &Maps) {
    block_in_place(|| settle(reflectors, now));
}

/// Writers go on while the server is killed and connections are cut. Gives what was acknowledged.
async fn through_breaks(weft: &mut Weft, direct: &Api<ConfigMap>, wire: &Wire) -> Done {
    let writers = Writers::start(direct, WRITERS);
    let more = |count: usize| {
        let before = writers.done().count();
        until(PATIENCE, "more is written", || {
            writers.done().count() >= before + count
        });
    };
    block_in_place(|| {
        for round in 0..ROUNDS {
            more(BETWEEN);
            if round % 2 == 0 {
                weft.kill_daemon();
                weft.start_daemon();
            } else {
                wire.cut();
                more(BETWEEN);
                wire.mend();
            }
        }
        more(BETWEEN);
    });
    writers.end().await
}

/// Makes the server forget what was before.
async fn forget(maps: &Api<ConfigMap>) {
    for count in 0..FORGETTING {
        let large = count.to_string() + &"x".repeat(LARGE - 100);
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "large" }, "data": { "a": large },
        });
        let params = PatchParams::apply("filler");
        let patched = maps.patch("large", &params, &Patch::Apply(&map)).await;
        patched.unwrap();
    }
    let params = DeleteParams::default();
    maps.delete("large", &params).await.unwrap();
}

/// What a watch of what is forgotten is told.
async fn refused(maps: &Api<ConfigMap>, after: u64) -> u16 {
    let params = WatchParams::default();
    // kube-rs lists anew for an event; for an answer it would ask the same again and again.
    let events = maps.watch(&params, &after.to_string()).await.unwrap();
    let first = std::pin::pin!(events).next().await;
    match first {
        Some(Ok(WatchEvent::Error(status))) => status.code,
        other => panic!("a watch of what is forgotten: {other:?}"),
    }
}

/// While nobody listens the server forgets what reflectors have seen last: they begin anew.
async fn through_compaction(direct: &Api<ConfigMap>, wire: &Wire, reflectors: &[Reflector]) {
    let before = listed(direct).await;
    let (victim, _) = before.first_key_value().unwrap();
    wire.cut();
    direct
        .delete(victim, &DeleteParams::default())
        .await
        .unwrap();
    forget(direct).await;
    let newest = before.values().max().unwrap();
    assert_eq!(refused(direct, *newest).await, 410);
    wire.mend();
    settle_in_place(reflectors, &listed(direct).await);
    for reflector in reflectors {
        assert_eq!(reflector.told().beginnings, 2);
    }
    // And they go on from there.
    let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "last" } });
    let params = PatchParams::apply("writer");
    let last = direct.patch("last", &params, &Patch::Apply(&map)).await;
    settle_in_place(reflectors, &listed(direct).await);
    let last = revision(&last.unwrap());
    for reflector in reflectors {
        let told = reflector.told();
        assert!(told.beginnings == 2 && told.changes.contains(&last));
    }
}

#[test]
fn kube_rs_applies_on_the_server_and_is_told_of_conflicts() {
    let Some((mut weft, caller)) = server() else {
        return;
    };
    runtime().block_on(async {
        let address = weft.address().parse().unwrap();
        let maps: Api<ConfigMap> = Api::default_namespaced(client(&caller, address));
        let maps = &maps;
        let apply = async |manager: &str, colour: &str, force: bool| {
            let map = json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": { "name": "settings" }, "data": { "colour": colour },
            });
            let mut params = PatchParams::apply(manager);
            params.force = force;
            maps.patch("settings", &params, &Patch::Apply(map)).await
        };
        let is_refused = async |manager: &str, colour: &str| {
            let Err(Error::Api(refused)) = apply(manager, colour, false).await else {
                panic!("the field is owned by another one");
            };
            assert_eq!((refused.code, &*refused.reason), (409, "Conflict"));
            let cause = &refused.details.unwrap().causes[0];
            assert_eq!(
                (&*cause.reason, &*cause.field),
                ("FieldManagerConflict", ".data.colour")
            );
            cause.message.clone()
        };
        apply("one", "red", false).await.unwrap();
        // Two that want the same own it together.
        apply("two", "red", false).await.unwrap();
        assert!(is_refused("two", "blue").await.contains("\"one\""));
        // Who owns what outlives the server, and what it forgets of the past.
        block_in_place(|| {
            weft.kill_daemon();
            weft.start_daemon();
        });
        forget(maps).await;
        assert!(is_refused("two", "blue").await.contains("\"one\""));
        let forced = apply("two", "blue", true).await.unwrap();
        assert_eq!(forced.data.unwrap()["colour"], "blue");
        assert!(is_refused("one", "red").await.contains("\"two\""));
        // Of many at once nobody gets what another one has, and nobody is told anything else.
        let names: Vec<String> = (0..20).map(|n| format!("m{n}")).collect();
        join_all(names.iter().map(|name| is_refused(name, name))).await;
        let now = maps.get("settings").await.unwrap();
        assert_eq!(now.data.unwrap()["colour"], "blue");
    });
}

//! Addresses and ports of services: giving them out, each to one service.
//!
//! What a service has is a key of its own, `claims/addresses/10.96.0.7` or `claims/node-ports/30080`,
//! committed together with the service: two of them cannot have the same, whoever writes, and what
//! is deleted lets go of it. A claim whose service is gone, or has it no more, counts for nothing.
//! Never: routes anything.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use weft_keyspace::{Change, Commit, CommitError, Expect, Guard, Item, Range, Revision, Span};

use super::{ListOptions, Store, WriteOptions, invalid, record, unreadable};
use crate::failure::{Cause, Failure};
use crate::kind::Kind;
use crate::object::Object;

const ALL: &str = "claims/";
const ADDRESSES: &str = "claims/addresses/";
const PORTS: &str = "claims/node-ports/";

/// Addresses of services: 10.96.0.0/16.
const FIRST: u32 = 0x0a60_0000;
const SIZE: u32 = 1 << 16;
/// The same, as text.
pub const RANGE: &str = "10.96.0.0/16";
/// The first of them are left to those who ask for one (Kubernetes' KEP-3070).
const ASKED_FOR: u32 = 256;
const PORT_FIRST: u32 = 30_000;
const PORT_COUNT: u32 = 2768;
/// As with addresses (KEP-3668).
const PORTS_ASKED_FOR: u32 = 86;
/// Random ones that are tried before all are looked through.
const TRIES: usize = 16;

/// Whether objects of this kind are given something.
pub(super) fn is_given(kind: &Kind) -> bool {
    kind.group.is_empty() && kind.plural == "services"
}

/// Whether a key is a claim.
pub(super) fn is_claim(key: &[u8]) -> bool {
    key.starts_with(ALL.as_bytes())
}

/// What a service has.
fn claims_of(service: &Object) -> BTreeSet<String> {
    let mut claims = BTreeSet::new();
    let addresses = service
        .at(&["spec", "clusterIPs"])
        .and_then(Value::as_array);
    let first = service.at(&["spec", "clusterIP"]);
    for address in addresses.into_iter().flatten().chain(first) {
        if let Some(address) = address.as_str().and_then(in_range) {
            claims.insert(format!("{ADDRESSES}{address}"));
        }
    }
    let ports = service.at(&["spec", "ports"]).and_then(Value::as_array);
    let numbers = ports.into_iter().flatten().map(|port| &port["nodePort"]);
    let health = service.at(&["spec", "healthCheckNodePort"]);
    for number in numbers.chain(health).filter_map(Value::as_u64) {
        if number != 0 {
            claims.insert(format!("{PORTS}{number}"));
        }
    }
    claims
}

/// An address that can be given to a service; the first and the last of the range are nobody's.
fn in_range(text: &str) -> Option<Ipv4Addr> {
    let address: Ipv4Addr = text.parse().ok()?;
    let offset = u32::from(address).wrapping_sub(FIRST);
    (1..SIZE - 1).contains(&offset).then_some(address)
}

/// In whose name a claim is.
fn owner(namespace: &str, name: &str) -> Bytes {
    format!("{namespace}/{name}").into()
}

fn text<'a>(spec: &'a Map<String, Value>, field: &str) -> &'a str {
    spec.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// What goes with a service's own change.
#[derive(Debug, Default)]
pub(super) struct Claims {
    pub(super) guards: Vec<Guard>,
    pub(super) changes: Vec<Change>,
}

impl Store {
    /// Gives a service what it has not asked for by number, and looks whether what it asked for can
    /// be had. Nothing is taken yet: that is done by the commit.
    pub(super) async fn allot(
        &self,
        kind: &Kind,
        old: Option<&Object>,
        service: &mut Object,
    ) -> Result<(), Failure> {
        if !is_given(kind) {
            return Ok(());
        }
        let had = old.map(claims_of).unwrap_or_default();
        let name = service.meta().name().to_owned();
        let refuse = |cause| Err(invalid(kind, &name, vec![cause]));
        let me = owner(service.meta().namespace(), &name);
        for (key, cause) in asked(service) {
            let cause = match cause {
                Asked::Never(cause) => return refuse(cause),
                Asked::IfFree(cause) => cause,
            };
            if !had.contains(&key) && self.holder(&key, &me).await?.is_taken() {
                return refuse(cause);
            }
        }
        let Some(Value::Object(spec)) = service.0.get_mut("spec") else {
            return Ok(());
        };
        let is_alias = text(spec, "type") == "ExternalName";
        if !is_alias && text(spec, "clusterIP").is_empty() {
            let (from, count) = (FIRST, SIZE - 1);
            let used = BTreeSet::new();
            let number = self.free(ADDRESSES, (from, count), ASKED_FOR, &used);
            let number = number.await?.ok_or_else(|| full("a serviceIP"))?;
            let address = Ipv4Addr::from(number).to_string();
            spec.insert("clusterIPs".to_owned(), json!([address]));
            spec.insert("clusterIP".to_owned(), address.into());
        }
        self.allot_ports(spec).await
    }

    async fn allot_ports(&self, spec: &mut Map<String, Value>) -> Result<(), Failure> {
        let kind = text(spec, "type").to_owned();
        let shares = spec.get("allocateLoadBalancerNodePorts") != Some(&Value::Bool(false));
        let is_balanced = kind == "LoadBalancer";
        let is_local = text(spec, "externalTrafficPolicy") == "Local";
        let mut used = BTreeSet::new();
        // Ports of the same number and other protocols share one.
        let mut by_port: BTreeMap<i64, BTreeMap<String, u32>> = BTreeMap::new();
        let number = |value: Option<&Value>| value.and_then(Value::as_i64).unwrap_or(0);
        let mut health = number(spec.get("healthCheckNodePort"));
        if let Some(Value::Array(ports)) = spec.get_mut("ports") {
            let all = ports.iter_mut().filter_map(Value::as_object_mut);
            let mut all: Vec<_> = all.collect();
            for port in &all {
                if let Ok(node @ 1..) = u32::try_from(number(port.get("nodePort"))) {
                    used.insert(node);
                    let protocol = text(port, "protocol").to_owned();
                    let of = by_port.entry(number(port.get("port"))).or_default();
                    of.insert(protocol, node);
                }
            }
            let gives = kind == "NodePort" || (is_balanced && shares);
            for port in all.iter_mut().filter(|_| gives) {
                if number(port.get("nodePort")) != 0 {
                    continue;
                }
                let protocol = text(port, "protocol").to_owned();
                let of = by_port.entry(number(port.get("port"))).or_default();
                let shared = of.values().next().copied();
                let node = match shared.filter(|_| !of.contains_key(&protocol)) {
                    Some(node) => node,
                    None => self.free_port(&used).await?,
                };
                used.insert(node);
                of.insert(protocol, node);
                port.insert("nodePort".to_owned(), node.into());
            }
        }
        if is_balanced && is_local && health == 0 {
            health = self.free_port(&used).await?.into();
            spec.insert("healthCheckNodePort".to_owned(), health.into());
        }
        Ok(())
    }

    async fn free_port(&self, used: &BTreeSet<u32>) -> Result<u32, Failure> {
        let range = (PORT_FIRST, PORT_COUNT);
        let found = self.free(PORTS, range, PORTS_ASKED_FOR, used).await?;
        found.ok_or_else(|| full("a nodePort"))
    }

    /// One of `count` numbers from `first` on that nobody has: a random one of those behind the
    /// first `asked_for`, and of these only if there is no other.
    async fn free(
        &self,
        prefix: &str,
        (first, count): (u32, u32),
        asked_for: u32,
        used: &BTreeSet<u32>,
    ) -> Result<Option<u32>, Failure> {
        let written = |number: u32| match prefix {
            ADDRESSES => format!("{prefix}{}", Ipv4Addr::from(number)),
            _ => format!("{prefix}{number}"),
        };
        for _ in 0..TRIES {
            let number = first + asked_for + random_below(count - asked_for);
            if !used.contains(&number) && !self.holder(&written(number), b"").await?.is_taken() {
                return Ok(Some(number));
            }
        }
        let range = Range {
            span: Span::prefix(prefix.to_owned()),
            at: None,
            limit: None,
        };
        let taken = self.keyspace.range(range).await.map_err(unreadable)?;
        let taken: BTreeSet<Bytes> = taken.items.iter().map(|item| item.key.clone()).collect();
        // The first address of all is the range's own.
        let lowest = u32::from(prefix == ADDRESSES);
        let is_free =
            |number: &u32| !used.contains(number) && !taken.contains(written(*number).as_bytes());
        let behind = first + asked_for..first + count;
        Ok(behind
            .chain(first + lowest..first + asked_for)
            .find(is_free))
    }

    /// Who has what a claim is about, besides `me`.
    async fn holder(&self, key: &str, me: &[u8]) -> Result<Holder, Failure> {
        let range = Range {
            span: Span::key(key.to_owned()),
            at: None,
            limit: Some(1),
        };
        let found = self.keyspace.range(range).await.map_err(unreadable)?;
        let Some(claim) = found.items.into_iter().next() else {
            return Ok(Holder::Nobody);
        };
        let is_mine = claim.value == me;
        let kinds = self.kinds();
        let named = std::str::from_utf8(&claim.value).ok();
        let named = named.and_then(|named| named.split_once('/'));
        if let (Some(kind), Some((namespace, name))) = (kinds.at("", "services"), named)
            && !is_mine
            && let Some(item) = self.stored(kind, namespace, name).await?
            // What cannot be read may have it.
            && record::read(&item).map_or(true, |service| claims_of(&service).contains(key))
        {
            return Ok(Holder::Another(claim));
        }
        Ok(Holder::Former(claim))
    }

    /// What a service takes, and lets go of, when it becomes `new`, or goes.
    pub(super) async fn claims(
        &self,
        kind: &Kind,
        key: &[u8],
        new: Option<&Object>,
    ) -> Result<Claims, CommitError> {
        let mut claims = Claims::default();
        if !is_given(kind) {
            return Ok(claims);
        }
        let failed = |failure: Failure| CommitError::Closed(failure.message.into());
        let place = std::str::from_utf8(key).unwrap_or_default();
        let mut steps = place.rsplit('/');
        let name = steps.next().unwrap_or_default();
        let namespace = steps.next().unwrap_or_default();
        let me = owner(namespace, name);
        let old = self.stored(kind, namespace, name).await.map_err(failed)?;
        let had = old.and_then(|old| record::read(&old).ok());
        let had = had.map(|old| claims_of(&old)).unwrap_or_default();
        let wanted = new.map(claims_of).unwrap_or_default();
        for key in wanted.difference(&had) {
            let expect = match self.holder(key, &me).await.map_err(failed)? {
                Holder::Nobody => Expect::Absent,
                Holder::Former(claim) => Expect::Modified(claim.modified),
                Holder::Another(claim) => return Err(taken(key, claim)),
            };
            let key = Bytes::from(key.clone());
            claims.guards.push(Guard {
                key: key.clone(),
                expect,
            });
            claims.changes.push(Change::Put {
                key,
                value: me.clone(),
                lease: None,
            });
        }
        for key in had.difference(&wanted) {
            // One that became somebody else's before claims were kept is not let go of.
            if let Holder::Former(claim) = self.holder(key, &me).await.map_err(failed)?
                && claim.value == me
            {
                let key = Bytes::from(key.clone());
                claims.changes.push(Change::Delete { key });
            }
        }
        Ok(claims)
    }

    /// Gives services that were stored before claims were kept what they lack, and what they have to
    /// them. To be called once, before anybody writes.
    ///
    /// # Errors
    /// The keyspace cannot be read or written.
    pub async fn claim_services(&self) -> Result<(), Failure> {
        let kinds = self.kinds();
        let Some(kind) = kinds.at("", "services") else {
            return Ok(());
        };
        let listed = self.list(kind, "", &ListOptions::default()).await?;
        for item in &listed.items {
            let service = super::object(item)?;
            let (namespace, name) = (service.meta().namespace(), service.meta().name());
            let me = owner(namespace, name);
            for key in claims_of(&service) {
                if !matches!(self.holder(&key, &me).await?, Holder::Nobody) {
                    continue;
                }
                let put = Change::Put {
                    key: key.into(),
                    value: me.clone(),
                    lease: None,
                };
                let commit = Commit {
                    guards: Vec::new(),
                    changes: vec![put],
                };
                self.keyspace
                    .commit(commit)
                    .await
                    .map_err(super::write::unwritten)?;
            }
            let is_alias = service.text(&["spec", "type"]) == Some("ExternalName");
            let address = service.text(&["spec", "clusterIP"]).unwrap_or_default();
            if !is_alias && address.is_empty() {
                let same = |old: &Object| Ok(old.clone());
                let options = WriteOptions::default();
                let way = super::write::Way::Update;
                self.change(kind, namespace, name, &options, way, same)
                    .await?;
            }
        }
        Ok(())
    }
}

/// Who has something.
enum Holder {
    Nobody,
    /// Whoever has the claim has no use for it, or asks for it.
    Former(Arc<Item>),
    Another(Arc<Item>),
}

impl Holder {
    fn is_taken(&self) -> bool {
        matches!(self, Holder::Another(_))
    }
}

fn taken(key: &str, claim: Arc<Item>) -> CommitError {
    CommitError::Conflict {
        key: key.to_owned().into(),
        revision: claim.modified.max(Revision(0)),
        found: Some(claim),
    }
}

/// What becomes of something that was asked for.
enum Asked {
    /// It cannot be had.
    Never(Cause),
    /// It can if it is free; this is said if it is not.
    IfFree(Cause),
}

/// What a service asks for by number.
fn asked(service: &Object) -> Vec<(String, Asked)> {
    let mut asked = Vec::new();
    let addresses = service
        .at(&["spec", "clusterIPs"])
        .and_then(Value::as_array);
    for address in addresses.into_iter().flatten().filter_map(Value::as_str) {
        if address.is_empty() || address == "None" {
            continue;
        }
        let failed = |why: &str| {
            let value = format_args!("[]string{{{address:?}}}").to_string();
            let why = format!("failed to allocate IP {address}: {why}");
            Cause::invalid("spec.clusterIPs", Plain(value), &why)
        };
        asked.push(match in_range(address) {
            Some(address) => (
                format!("{ADDRESSES}{address}"),
                Asked::IfFree(failed("provided IP is already allocated")),
            ),
            None => {
                let why = format!(
                    "the provided IP ({address}) is not in the valid range. The range of valid IPs is {RANGE}"
                );
                (String::new(), Asked::Never(failed(&why)))
            }
        });
    }
    const TAKEN: &str = "provided port is already allocated";
    let ports = service.at(&["spec", "ports"]).and_then(Value::as_array);
    for (index, port) in ports.into_iter().flatten().enumerate() {
        if let Some(number @ 1..) = port["nodePort"].as_u64() {
            let cause = Cause::invalid(format!("spec.ports[{index}].nodePort"), number, TAKEN);
            asked.push((format!("{PORTS}{number}"), Asked::IfFree(cause)));
        }
    }
    let health = service.at(&["spec", "healthCheckNodePort"]);
    if let Some(number @ 1..) = health.and_then(Value::as_u64) {
        let cause = Cause::invalid("spec.healthCheckNodePort", number, TAKEN);
        asked.push((format!("{PORTS}{number}"), Asked::IfFree(cause)));
    }
    asked
}

/// Shown as it is.
struct Plain(String);

impl std::fmt::Debug for Plain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn full(what: &str) -> Failure {
    Failure::internal(format!("failed to allocate {what}: range is full"))
}

fn random_below(below: u32) -> u32 {
    let hex = weft_stdx::id::random_hex(4);
    u32::from_str_radix(&hex, 16).unwrap_or(0) % below
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Kinds;

    #[tokio::test]
    async fn services_from_before_claims_keep_what_they_have_and_get_what_they_lack() {
        let options = weft_keyspace::Options::default();
        let keyspace = Arc::new(weft_keyspace::memory(options));
        let store = Store::new(keyspace, Kinds::built_in());
        let kinds = store.kinds();
        let kind = kinds.find("", "v1", "services").unwrap();
        for (name, spec) in [
            (
                "has",
                json!({ "clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"], "type": "ClusterIP", "ports": [{ "port": 80, "protocol": "TCP", "targetPort": 80 }] }),
            ),
            (
                "lacks",
                json!({ "type": "ClusterIP", "ports": [{ "port": 80, "protocol": "TCP", "targetPort": 80 }] }),
            ),
        ] {
            let value = json!({
                "apiVersion": "v1", "kind": "Service", "spec": spec,
                "metadata": { "name": name, "namespace": "default", "uid": "u" },
            });
            let put = Change::Put {
                key: format!("objects/core/services/default/{name}").into(),
                value: value.to_string().into(),
                lease: None,
            };
            let commit = Commit {
                guards: Vec::new(),
                changes: vec![put],
            };
            store.keyspace.commit(commit).await.unwrap();
        }
        store.claim_services().await.unwrap();
        store.claim_services().await.unwrap();
        let key = format!("{ADDRESSES}10.96.0.7");
        assert!(store.holder(&key, b"").await.unwrap().is_taken());
        let lacks = store.get(kind, "default", "lacks").await.unwrap();
        let claims = claims_of(&super::super::object(&lacks).unwrap());
        assert_eq!(claims.len(), 1);
        for key in claims {
            assert!(store.holder(&key, b"").await.unwrap().is_taken());
        }
    }
}

//! The zone of services: which names there are, and what they say. Pure.
//!
//! ```text
//!  web.default.svc.cluster.local             A     its virtual addresses, or those of its hosts
//!  _http._tcp.web.default.svc.cluster.local  SRV   port and name of the service, or of each host
//!  db-0.web.default.svc.cluster.local        A     one host
//!  10-44-16-9.default.pod.cluster.local      A     10.44.16.9, of a network with services
//! ```
//!
//! Never: names of containers on user networks; sockets.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, OnceLock};

use hickory_proto::rr::rdata::{A, CNAME, NS, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::answer::TTL;
use crate::services::{Service, ServiceHost, ServicePort, Services};

/// The version of the layout, as clients may ask for it.
const LAYOUT: &str = "1.1.0";
/// Aliases followed one after the other.
const MOST_ALIASES: usize = 8;

/// The zone as it is now.
#[derive(Debug, Default)]
pub(crate) struct Names {
    services: Arc<Services>,
    /// Made when somebody asks.
    index: OnceLock<Index>,
}

#[derive(Debug, Default)]
struct Index {
    /// Names that are there because others end with them.
    inner: HashSet<String>,
    /// Without the zone.
    addresses: HashMap<Ipv4Addr, Vec<String>>,
}

/// What the zone says.
#[derive(Debug, PartialEq)]
pub(crate) enum Found {
    /// The name is none of ours.
    Elsewhere,
    /// There is no such name.
    Unknown,
    /// It has these records of the kind, perhaps none, and others that go with them.
    Records(Vec<Record>, Vec<Record>),
    /// These aliases lead to a name elsewhere.
    Alias(Vec<Record>, Name),
}

impl Names {
    pub(crate) fn new(services: Arc<Services>) -> Names {
        Names {
            services,
            index: OnceLock::new(),
        }
    }

    /// Whether a network's containers have the zone.
    pub(crate) fn is_for(&self, id: &str, name: &str) -> bool {
        let mut networks = self.services.networks.iter();
        let is = |network: &String| network == id || network.eq_ignore_ascii_case(name);
        !self.services.zone.is_empty() && networks.any(is)
    }

    /// What is known of `name`; `is_near` says which addresses are those of pods.
    pub(crate) fn find(
        &self,
        name: &Name,
        kind: RecordType,
        is_near: impl Fn(Ipv4Addr) -> bool,
    ) -> Found {
        let (mut name, mut aliases) = (name.clone(), Vec::new());
        for _ in 0..MOST_ALIASES {
            let text = plain(&name);
            let Some(within) = self.within(&text) else {
                return match aliases.is_empty() {
                    true => Found::Elsewhere,
                    false => Found::Alias(aliases, name),
                };
            };
            let service = self.services.table.get(within);
            if let Some(alias) = service.and_then(|service| service.alias.as_deref()) {
                let Ok(target) = Name::from_ascii(format!("{}.", alias.trim_end_matches('.')))
                else {
                    return Found::Unknown;
                };
                aliases.push(record(&name, RData::CNAME(CNAME(target.clone()))));
                if kind == RecordType::CNAME {
                    return Found::Records(aliases, Vec::new());
                }
                name = target;
                continue;
            }
            return match self.records(&name, within, kind, &is_near) {
                // An alias is something, wherever it leads.
                None if aliases.is_empty() => Found::Unknown,
                found => {
                    let (records, others) = found.unwrap_or_default();
                    aliases.extend(records);
                    Found::Records(aliases, others)
                }
            };
        }
        Found::Records(aliases, Vec::new())
    }

    /// The names of an address; `None` when it is none of ours.
    pub(crate) fn reverse(&self, name: &Name, address: Ipv4Addr) -> Option<Found> {
        let names = self.index().addresses.get(&address);
        let Some(names) = names else {
            let range = self.services.range;
            let ours = range.is_some_and(|range| range.contains(address));
            return ours.then_some(Found::Unknown);
        };
        let targets = names.iter().filter_map(|within| self.full(within));
        let records = targets.map(|target| record(name, RData::PTR(PTR(target))));
        Some(Found::Records(records.collect(), Vec::new()))
    }

    /// What goes with an answer that there is nothing: for how long that may be remembered.
    pub(crate) fn authority(&self) -> Option<Record> {
        const SERIAL: u32 = 1;
        let zone = self.full("")?;
        let soa = SOA::new(
            self.full("ns.dns")?,
            self.full("hostmaster")?,
            SERIAL,
            7200,
            1800,
            86_400,
            TTL,
        );
        Some(record(&zone, RData::SOA(soa)))
    }

    /// A name without the zone it ends with; of the zone's own, nothing is left.
    fn within<'a>(&self, text: &'a str) -> Option<&'a str> {
        let rest = text.strip_suffix(&self.services.zone.to_ascii_lowercase())?;
        match rest {
            "" => Some(""),
            _ => rest.strip_suffix('.'),
        }
    }

    fn full(&self, within: &str) -> Option<Name> {
        let dot = if within.is_empty() { "" } else { "." };
        Name::from_ascii(format!("{within}{dot}{}.", self.services.zone)).ok()
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| Index::of(&self.services))
    }

    /// Records of the kind and those that go with them; `None` when there is no such name.
    fn records(
        &self,
        name: &Name,
        within: &str,
        kind: RecordType,
        is_near: impl Fn(Ipv4Addr) -> bool,
    ) -> Option<Sections> {
        match within {
            "" => {
                return Some(match kind {
                    RecordType::SOA => (self.authority().into_iter().collect(), Vec::new()),
                    RecordType::NS => of(name, [RData::NS(NS(self.full("ns.dns")?))]),
                    _ => Sections::default(),
                });
            }
            "dns-version" => {
                let text = || RData::TXT(TXT::new(vec![LAYOUT.to_owned()]));
                return Some(of(name, (kind == RecordType::TXT).then(text)));
            }
            _ => {}
        }
        if let Some(service) = self.services.table.get(within) {
            return Some(match kind {
                RecordType::SRV => self.locations(name, within, service, &service.ports),
                _ => addresses(name, kind, addresses_of(service)),
            });
        }
        if let Some((first, rest)) = within.split_once('.') {
            if let Some(service) = self.services.table.get(rest) {
                return below_service(name, kind, first, service);
            }
            match rest.split_once('.') {
                Some((namespace, "pod")) if !namespace.is_empty() => {
                    let address: Ipv4Addr = first.replace('-', ".").parse().ok()?;
                    return is_near(address).then(|| addresses(name, kind, vec![address]));
                }
                Some((protocol, host)) if first.starts_with('_') => {
                    if let Some(service) = self.services.table.get(host) {
                        return self.port(name, kind, (first, protocol), (host, service));
                    }
                }
                _ => {}
            }
        }
        let is_inner =
            within == "pod" || within.ends_with(".pod") || self.index().inner.contains(within);
        is_inner.then(Sections::default)
    }

    /// `_http._tcp` of a service.
    fn port(
        &self,
        name: &Name,
        kind: RecordType,
        (port, protocol): (&str, &str),
        (host, service): (&str, &Service),
    ) -> Option<Sections> {
        let is_meant = |found: &&ServicePort| {
            found.name.as_deref() == port.strip_prefix('_')
                && protocol.strip_prefix('_') == Some(&found.protocol.to_string())
        };
        let found: Vec<ServicePort> = service.ports.iter().filter(is_meant).cloned().collect();
        (!found.is_empty()).then(|| match kind {
            RecordType::SRV | RecordType::ANY => self.locations(name, host, service, &found),
            _ => Sections::default(),
        })
    }

    /// Where ports of a service are, by name, and the addresses of those names.
    fn locations(
        &self,
        name: &Name,
        within: &str,
        service: &Service,
        ports: &[ServicePort],
    ) -> Sections {
        let (mut records, mut others) = (Vec::new(), Vec::new());
        let mut add = |within: &str, port: u16, address: Ipv4Addr| {
            let Some(target) = self.full(within) else {
                return;
            };
            let location = record(name, RData::SRV(SRV::new(0, 100, port, target.clone())));
            if !records.contains(&location) {
                records.push(location);
            }
            let address = record(&target, RData::A(A(address)));
            if !others.contains(&address) {
                others.push(address);
            }
        };
        for port in ports {
            for address in &service.addresses {
                add(within, port.port, *address);
            }
            if !service.addresses.is_empty() {
                continue;
            }
            for endpoint in &port.endpoints {
                let of = |host: &&ServiceHost| host.address == endpoint.address;
                if let Some(host) = service.hosts.iter().find(of) {
                    let own = format!("{}.{within}", label(host));
                    add(&own, endpoint.port, endpoint.address);
                }
            }
        }
        (records, others)
    }
}

impl Index {
    fn of(services: &Services) -> Index {
        let mut index = Index::default();
        for (within, service) in &services.table {
            let mut rest = within.as_str();
            while let Some((_, behind)) = rest.split_once('.') {
                index.inner.insert(behind.to_owned());
                rest = behind;
            }
            let own = service.addresses.iter().map(|a| (*a, within.clone()));
            let hosts = service
                .hosts
                .iter()
                .filter(|_| service.addresses.is_empty());
            let hosts = hosts.map(|host| (host.address, format!("{}.{within}", label(host))));
            for (address, name) in own.chain(hosts) {
                index.addresses.entry(address).or_default().push(name);
            }
        }
        index
    }
}

/// Answers, and what goes with them.
type Sections = (Vec<Record>, Vec<Record>);

fn of(name: &Name, data: impl IntoIterator<Item = RData>) -> Sections {
    let records = data.into_iter().map(|data| record(name, data));
    (records.collect(), Vec::new())
}

fn addresses(name: &Name, kind: RecordType, found: Vec<Ipv4Addr>) -> Sections {
    match kind {
        RecordType::A | RecordType::ANY => {
            of(name, found.into_iter().map(|address| RData::A(A(address))))
        }
        // The name exists, but has no such record.
        _ => Sections::default(),
    }
}

/// A host of a service, or a protocol of its ports.
fn below_service(
    name: &Name,
    kind: RecordType,
    first: &str,
    service: &Service,
) -> Option<Sections> {
    let hosts = service.hosts.iter().filter(|host| label(host) == first);
    let found: Vec<Ipv4Addr> = hosts.map(|host| host.address).collect();
    if !found.is_empty() {
        return Some(addresses(name, kind, found));
    }
    let is_protocol = |port: &ServicePort| {
        port.name.is_some() && first.strip_prefix('_') == Some(&port.protocol.to_string())
    };
    let is_there = service.ports.iter().any(is_protocol);
    is_there.then(Sections::default)
}

/// A name in lower case, without the dot at its end.
fn plain(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

/// A host's own name, or its address in the form of one.
fn label(host: &ServiceHost) -> String {
    match &host.name {
        Some(name) => name.to_ascii_lowercase(),
        None => host.address.to_string().replace('.', "-"),
    }
}

fn addresses_of(service: &Service) -> Vec<Ipv4Addr> {
    if !service.addresses.is_empty() {
        return service.addresses.clone();
    }
    let mut addresses: Vec<Ipv4Addr> = service.hosts.iter().map(|host| host.address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    // Whoever takes the first takes another one the next time.
    if let Some(turn) = turn().checked_rem(addresses.len()) {
        addresses.rotate_left(turn);
    }
    addresses
}

fn turn() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static TURN: AtomicUsize = AtomicUsize::new(0);
    TURN.fetch_add(1, Ordering::Relaxed)
}

fn record(name: &Name, data: RData) -> Record {
    Record::from_rdata(name.clone(), TTL, data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::Protocol;
    use crate::services::ServiceEndpoint;

    fn names() -> Names {
        let ip = |last| Ipv4Addr::new(10, 44, 16, last);
        let port = |endpoints: &[u8]| ServicePort {
            name: Some("http".into()),
            protocol: Protocol::Tcp,
            port: 80,
            node_port: None,
            endpoints: endpoints
                .iter()
                .map(|last| ServiceEndpoint {
                    address: ip(*last),
                    port: 8080,
                    is_ready: true,
                    is_local: true,
                })
                .collect(),
        };
        let host = |last, name: Option<&str>| ServiceHost {
            address: ip(last),
            name: name.map(String::from),
        };
        let web = Service {
            addresses: vec![Ipv4Addr::new(10, 96, 0, 7)],
            ports: vec![port(&[2])],
            ..Service::default()
        };
        let db = Service {
            ports: vec![port(&[2, 3])],
            hosts: vec![host(2, Some("db-0")), host(3, None)],
            ..Service::default()
        };
        let alias = |to: &str| Service {
            alias: Some(to.into()),
            ..Service::default()
        };
        let table = [
            ("web.default.svc", web),
            ("db.data.svc", db),
            ("none.data.svc", Service::default()),
            ("out.default.svc", alias("example.org")),
            ("in.default.svc", alias("web.default.svc.cluster.local.")),
        ];
        Names::new(Arc::new(Services {
            range: Some("10.96.0.0/16".parse().unwrap()),
            networks: ["pods".to_owned()].into(),
            zone: "cluster.local".into(),
            table: table
                .map(|(name, service)| (name.to_owned(), service))
                .into(),
        }))
    }

    fn ask(name: &str, kind: RecordType) -> Found {
        let near = |ip: Ipv4Addr| ip.octets()[..3] == [10, 44, 16];
        names().find(&Name::from_ascii(name).unwrap(), kind, near)
    }

    fn texts(found: Found) -> Option<Vec<String>> {
        let Found::Records(mut records, _) = found else {
            return None;
        };
        records.sort_by_key(|record| record.data.to_string());
        Some(
            records
                .iter()
                .map(|record| record.data.to_string())
                .collect(),
        )
    }

    #[test]
    fn names_say_what_they_should() {
        use RecordType as T;
        let none: [&str; 0] = [];
        for (name, kind, wanted) in [
            ("web.default.svc.cluster.local.", T::A, &["10.96.0.7"][..]),
            ("Web.Default.SVC.cluster.LOCAL.", T::A, &["10.96.0.7"]),
            ("web.default.svc.cluster.local.", T::AAAA, &none),
            (
                "db.data.svc.cluster.local.",
                T::A,
                &["10.44.16.2", "10.44.16.3"],
            ),
            ("db-0.db.data.svc.cluster.local.", T::A, &["10.44.16.2"]),
            (
                "10-44-16-3.db.data.svc.cluster.local.",
                T::A,
                &["10.44.16.3"],
            ),
            ("none.data.svc.cluster.local.", T::A, &none),
            (
                "_http._tcp.web.default.svc.cluster.local.",
                T::SRV,
                &["0 100 80 web.default.svc.cluster.local."],
            ),
            ("_tcp.web.default.svc.cluster.local.", T::SRV, &none),
            (
                "_http._tcp.db.data.svc.cluster.local.",
                T::SRV,
                &[
                    "0 100 8080 10-44-16-3.db.data.svc.cluster.local.",
                    "0 100 8080 db-0.db.data.svc.cluster.local.",
                ],
            ),
            (
                "10-44-16-9.default.pod.cluster.local.",
                T::A,
                &["10.44.16.9"],
            ),
            ("default.svc.cluster.local.", T::A, &none),
            ("svc.cluster.local.", T::A, &none),
            ("cluster.local.", T::A, &none),
            ("dns-version.cluster.local.", T::TXT, &["1.1.0"]),
            (
                "in.default.svc.cluster.local.",
                T::A,
                &["10.96.0.7", "web.default.svc.cluster.local."],
            ),
        ] {
            assert_eq!(
                texts(ask(name, kind)).as_deref(),
                Some(&wanted.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>()[..]),
                "{name}"
            );
        }
    }

    #[test]
    fn what_is_not_there_is_told_from_what_is_elsewhere() {
        for name in [
            "nobody.default.svc.cluster.local.",
            "web.nobody.svc.cluster.local.",
            "x.web.default.svc.cluster.local.",
            "_ftp._tcp.web.default.svc.cluster.local.",
            "_http._udp.web.default.svc.cluster.local.",
            "1-2-3-4.default.pod.cluster.local.",
            "a-b.default.pod.cluster.local.",
            "web.cluster.local.",
        ] {
            assert_eq!(ask(name, RecordType::A), Found::Unknown, "{name}");
        }
        for name in ["example.org.", "notcluster.local.", "local."] {
            assert_eq!(ask(name, RecordType::A), Found::Elsewhere, "{name}");
        }
        let out = ask("out.default.svc.cluster.local.", RecordType::A);
        assert!(matches!(out, Found::Alias(aliases, target)
            if aliases.len() == 1 && target.to_ascii() == "example.org."));
    }
}

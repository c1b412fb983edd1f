//! From a query to an answer, or to the decision to ask somebody else. Pure but for the lookup.
//!
//! Never: sockets.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, PTR};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use super::directory::{Directory, Place};
use super::zone::Found;

/// Seconds an answer may be kept: containers come and go.
pub(super) const TTL: u32 = 5;
/// Largest UDP answer that is not fragmented on the way (DNS flag day 2020).
pub(crate) const LARGEST_UDP: u16 = 1232;

/// What a network's name server knows.
#[derive(Debug, Clone)]
pub(crate) struct Zone {
    pub(crate) directory: Arc<Directory>,
    pub(crate) network: String,
    pub(crate) place: Place,
}

/// What to do with a query.
#[derive(Debug)]
pub(crate) enum Decision {
    /// Send this.
    Answer(Message),
    /// Ask a resolver of the machine; the query is kept to answer with a failure.
    Forward(Message),
    /// Ask one for another name, and put its answer behind this one.
    Follow { begun: Message, query: Vec<u8> },
    /// It is no query.
    Ignore,
}

/// Decides about the bytes of a query.
pub(crate) fn decide(zone: &Zone, bytes: &[u8]) -> Decision {
    let Ok(query) = Message::from_vec(bytes) else {
        return match bytes {
            // At least a header that says it is a query.
            [high, low, flags, ..] if bytes.len() >= 12 && flags & 0x80 == 0 => {
                let id = u16::from_be_bytes([*high, *low]);
                let error = ResponseCode::FormErr;
                Decision::Answer(Message::error_msg(id, OpCode::Query, error))
            }
            _ => Decision::Ignore,
        };
    };
    if query.metadata.message_type != MessageType::Query {
        return Decision::Ignore;
    }
    if query.metadata.op_code != OpCode::Query {
        return Decision::Answer(failure(&query, ResponseCode::NotImp));
    }
    let [question] = query.queries.as_slice() else {
        return Decision::Answer(failure(&query, ResponseCode::FormErr));
    };
    if question.query_class() != DNSClass::IN {
        return Decision::Answer(failure(&query, ResponseCode::Refused));
    }
    let name = question.name().clone();
    let kind = question.query_type();
    if let Some(decision) = of_services(zone, &query, &name, kind) {
        return decision;
    }
    if kind == RecordType::PTR
        && let Some(address) = reverse(&name)
        && zone.place.subnet.contains(address)
    {
        let known = zone.directory.name(&zone.network, address);
        let target =
            known.and_then(|known| Name::from_ascii(format!("{known}.{}.", zone.place.name)).ok());
        return Decision::Answer(match target {
            Some(target) => success(&query, vec![record(name, RData::PTR(PTR(target)))]),
            None => failure(&query, ResponseCode::NXDomain),
        });
    }
    let text = name.to_ascii().trim_end_matches('.').to_ascii_lowercase();
    if let Some(addresses) = zone.addresses(&text) {
        let answers = match kind {
            RecordType::A | RecordType::ANY => addresses
                .into_iter()
                .map(|address| record(name.clone(), RData::A(A(address))))
                .collect(),
            // The name exists, but has no such record.
            _ => Vec::new(),
        };
        return Decision::Answer(success(&query, answers));
    }
    if zone.place.internal || !text.contains('.') {
        return Decision::Answer(failure(&query, ResponseCode::NXDomain));
    }
    Decision::Forward(query)
}

/// What the zone of services says, if the network has it and it says anything.
fn of_services(zone: &Zone, query: &Message, name: &Name, kind: RecordType) -> Option<Decision> {
    let services = zone.directory.services(&zone.network, &zone.place.name)?;
    let address = match kind {
        RecordType::PTR => reverse(name),
        _ => None,
    };
    let found = match address {
        Some(address) => services.reverse(name, address)?,
        None => services.find(name, kind, |address| {
            zone.directory.serves(&services, address)
        }),
    };
    Some(Decision::Answer(match found {
        Found::Elsewhere => return None,
        Found::Unknown => {
            let mut message = failure(query, ResponseCode::NXDomain);
            message.metadata.authoritative = true;
            message.authorities.extend(services.authority());
            message
        }
        Found::Records(records, others) => {
            let mut message = success(query, records);
            if message.answers.is_empty() {
                message.authorities.extend(services.authority());
            }
            message.additionals.extend(others);
            message
        }
        Found::Alias(aliases, target) => {
            let begun = success(query, aliases);
            if zone.place.internal {
                return Some(Decision::Answer(begun));
            }
            let mut asked = Message::query();
            asked.metadata.id = query.metadata.id;
            asked.metadata.recursion_desired = true;
            asked.add_query(hickory_proto::op::Query::query(target, kind));
            return match asked.to_vec() {
                Ok(query) => Some(Decision::Follow { begun, query }),
                Err(_) => Some(Decision::Answer(begun)),
            };
        }
    }))
}

/// An answer that was begun with what a resolver says behind it.
pub(crate) fn finish(mut begun: Message, answer: Option<&[u8]>) -> Message {
    begun.metadata.authoritative = false;
    match answer.map(Message::from_vec) {
        Some(Ok(answer)) => {
            begun.metadata.response_code = answer.metadata.response_code;
            begun.metadata.truncation |= answer.metadata.truncation;
            begun.answers.extend(answer.answers);
            begun.authorities = answer.authorities;
        }
        _ => {
            begun.metadata.response_code = ResponseCode::ServFail;
            begun.answers.clear();
        }
    }
    begun
}

impl Zone {
    /// The resolvers the container at `address` asks instead of the machine's.
    pub(crate) fn upstreams(&self, address: Ipv4Addr) -> Vec<IpAddr> {
        self.directory.upstreams(&self.network, address)
    }

    /// The addresses of `name`, or of `name` within a name that ends with the network's.
    fn addresses(&self, text: &str) -> Option<Vec<Ipv4Addr>> {
        let of = |name: &str| self.directory.addresses(&self.network, name);
        of(text).or_else(|| {
            let within = text.strip_suffix(self.place.name.as_str())?;
            of(within.strip_suffix('.')?)
        })
    }
}

/// The address a reverse name asks for (RFC 1035 §3.5).
fn reverse(name: &Name) -> Option<Ipv4Addr> {
    let text = name.to_ascii().to_ascii_lowercase();
    let digits = text.trim_end_matches('.').strip_suffix(".in-addr.arpa")?;
    let mut octets = [0u8; 4];
    let mut parts = digits.split('.');
    for octet in octets.iter_mut().rev() {
        *octet = parts.next()?.parse().ok()?;
    }
    parts.next().is_none().then(|| octets.into())
}

fn record(name: Name, data: RData) -> Record {
    Record::from_rdata(name, TTL, data)
}

fn reply(query: &Message, code: ResponseCode) -> Message {
    let mut message = Message::response(query.metadata.id, query.metadata.op_code);
    message.metadata = Metadata::response_from_request(&query.metadata);
    message.metadata.recursion_available = true;
    message.metadata.response_code = code;
    message.add_queries(query.queries.iter().cloned());
    if query.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(LARGEST_UDP);
        message.set_edns(edns);
    }
    message
}

fn success(query: &Message, answers: Vec<Record>) -> Message {
    let mut message = reply(query, ResponseCode::NoError);
    message.metadata.authoritative = true;
    message.answers = answers;
    message
}

/// An answer that there is none.
pub(crate) fn failure(query: &Message, code: ResponseCode) -> Message {
    reply(query, code)
}

/// The bytes of an answer of at most `limit`; cut down to "ask again by TCP" beyond.
pub(crate) fn encode(message: &Message, limit: usize) -> Option<Vec<u8>> {
    let bytes = message.to_vec().ok()?;
    if bytes.len() <= limit {
        return Some(bytes);
    }
    message.truncate().to_vec().ok()
}

/// The largest UDP answer the sender of this query takes.
pub(crate) fn udp_limit(query: &[u8]) -> usize {
    let asked = Message::from_vec(query).map_or(512, |query| query.max_payload());
    usize::from(asked.min(LARGEST_UDP))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Network;
    use crate::{Attachment, Mac};
    use hickory_proto::op::Query;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn zone(internal: bool) -> Zone {
        let directory = Arc::new(Directory::default());
        let subnet: crate::Subnet = "10.44.16.0/24".parse().unwrap();
        directory.add_zone(&Network {
            id: "id".into(),
            name: "red".into(),
            subnet,
            gateway: subnet.nth(1).unwrap(),
            bridge: "wf-id".into(),
            mtu: 1500,
            internal,
            is_default: false,
            is_movable: false,
            labels: BTreeMap::new(),
            options: BTreeMap::new(),
            created_ns: 0,
            endpoints: Vec::new(),
        });
        for (last, names) in [(2, ["web", "all"]), (3, ["DB", "all"])] {
            directory.add(&Attachment {
                container: format!("c{last}"),
                network_id: "id".into(),
                network: "red".into(),
                endpoint_id: String::new(),
                interface: "eth0".into(),
                address: subnet.nth(last).unwrap(),
                prefix_len: 24,
                gateway: None,
                resolver: None,
                mac: Mac([2, 0, 0, 0, 0, 1]),
                names: names.map(String::from).to_vec(),
                upstreams: Vec::new(),
                ports: Vec::new(),
            });
        }
        let place = directory.places()["id"].clone();
        Zone {
            directory,
            network: "id".into(),
            place,
        }
    }

    fn ask(zone: &Zone, name: &str, kind: RecordType) -> Decision {
        let mut query = Message::query();
        query.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        decide(zone, &query.to_vec().unwrap())
    }

    fn answer(zone: &Zone, name: &str, kind: RecordType) -> (ResponseCode, Vec<String>) {
        match ask(zone, name, kind) {
            Decision::Answer(message) => (
                message.metadata.response_code,
                message.answers.iter().map(|r| r.data.to_string()).collect(),
            ),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn names_have_their_addresses_whatever_their_case() {
        let zone = zone(false);
        let found = |names: &[&str]| {
            (
                ResponseCode::NoError,
                names.iter().map(|n| n.to_string()).collect(),
            )
        };
        assert_eq!(answer(&zone, "web.", RecordType::A), found(&["10.44.16.2"]));
        assert_eq!(answer(&zone, "db.", RecordType::A), found(&["10.44.16.3"]));
        assert_eq!(
            answer(&zone, "Web.Red.", RecordType::A),
            found(&["10.44.16.2"])
        );
        // A name without an IPv6 address is still a name.
        assert_eq!(answer(&zone, "web.", RecordType::AAAA), found(&[]));
        let reverse = "3.16.44.10.in-addr.arpa.";
        assert_eq!(
            answer(&zone, reverse, RecordType::PTR),
            found(&["DB.red."].map(|_| "db.red."))
        );
    }

    #[test]
    fn a_shared_name_has_every_address_in_turn() {
        let zone = zone(false);
        let first = answer(&zone, "all.", RecordType::A).1;
        let second = answer(&zone, "all.", RecordType::A).1;
        assert_eq!(first.len(), 2);
        assert_eq!(first[0], second[1]);
        assert_eq!(first[1], second[0]);
    }

    #[test]
    fn what_is_unknown_is_denied_or_asked_elsewhere() {
        let zone = zone(false);
        let denied = (ResponseCode::NXDomain, Vec::new());
        assert_eq!(answer(&zone, "nobody.", RecordType::A), denied);
        assert_eq!(
            answer(&zone, "9.16.44.10.in-addr.arpa.", RecordType::PTR),
            denied
        );
        let elsewhere = |name, kind| matches!(ask(&zone, name, kind), Decision::Forward(_));
        assert!(elsewhere("example.org.", RecordType::A));
        assert!(elsewhere("9.9.9.9.in-addr.arpa.", RecordType::PTR));
        let internal = self::zone(true);
        assert_eq!(answer(&internal, "example.org.", RecordType::A), denied);
    }

    #[test]
    fn an_answer_too_large_asks_for_tcp() {
        let zone = zone(false);
        let Decision::Answer(mut message) = ask(&zone, "all.", RecordType::A) else {
            panic!("it is known");
        };
        for _ in 0..50 {
            message.answers.push(message.answers[0].clone());
        }
        let cut = Message::from_vec(&encode(&message, 512).unwrap()).unwrap();
        assert!(cut.metadata.truncation && cut.answers.is_empty());
        let whole = Message::from_vec(&encode(&message, 65535).unwrap()).unwrap();
        assert_eq!(whole.answers.len(), 52);
    }

    proptest! {
        #[test]
        fn any_bytes_are_decided_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = decide(&zone(false), &bytes);
            let _ = udp_limit(&bytes);
        }
    }
}

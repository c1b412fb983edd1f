//! Ports of the host.

use crate::pod::Port;

const ALL: &str = "0.0.0.0";

/// Whether one of the wanted is taken.
pub(crate) fn conflict(wanted: &[Port], taken: &[Port]) -> bool {
    wanted
        .iter()
        .any(|one| taken.iter().any(|other| meet(one, other)))
}

fn meet(one: &Port, other: &Port) -> bool {
    let is_all = |port: &Port| port.ip.is_empty() || port.ip == ALL;
    one.port == other.port
        && one.protocol == other.protocol
        && (is_all(one) || is_all(other) || one.ip == other.ip)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::Protocol;

    #[test]
    fn ports_meet_by_number_protocol_and_address() {
        let port = |ip: &str, protocol, port| Port {
            ip: ip.to_owned(),
            protocol,
            port,
        };
        use Protocol::*;
        let taken = [port("127.0.0.1", Tcp, 80), port("", Udp, 53)];
        for (wanted, expected) in [
            (port("127.0.0.1", Tcp, 80), true),
            (port("127.0.0.2", Tcp, 80), false),
            (port("127.0.0.1", Udp, 80), false),
            (port("127.0.0.1", Tcp, 81), false),
            (port("", Tcp, 80), true),
            (port("0.0.0.0", Tcp, 80), true),
            (port("10.0.0.1", Udp, 53), true),
            (port("10.0.0.1", Sctp, 53), false),
        ] {
            assert_eq!(
                conflict(std::slice::from_ref(&wanted), &taken),
                expected,
                "{wanted:?}"
            );
        }
        assert!(!conflict(&[], &taken));
    }
}

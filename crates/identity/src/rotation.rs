//! Certificates that are replaced before they are over.
//!
//! Owns: when one is due, the server's certificate that can be swapped under running
//! connections, and the TLS both need.
//! Never: signs, or waits.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{PrivateKeyDer, UnixTime, pem::PemObject};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;

use crate::authority::{Pair, Trust};

/// When a certificate is due: after two thirds of its life, so that a server that is away for a
/// third of it comes back in time.
pub fn due_s(not_before_s: i64, not_after_s: i64) -> i64 {
    let life = not_after_s.saturating_sub(not_before_s).max(0);
    not_before_s.saturating_add(life - life / 3)
}

/// Whether to replace it now.
pub fn is_due(not_before_s: i64, not_after_s: i64, now_s: i64) -> bool {
    now_s >= due_s(not_before_s, not_after_s)
}

/// The certificate a server shows to whoever connects next.
#[derive(Debug)]
pub struct Serving {
    shown: RwLock<Shown>,
}

#[derive(Debug)]
struct Shown {
    key: Arc<CertifiedKey>,
    not_before_s: i64,
    not_after_s: i64,
}

impl Serving {
    /// Begins with `pair`.
    ///
    /// # Errors
    /// When key and certificate do not fit.
    pub fn new(pair: &Pair) -> Result<Serving, rustls::Error> {
        let shown = RwLock::new(shown(pair)?);
        Ok(Serving { shown })
    }

    /// Shows `pair` from now on. Connections that exist stay as they are.
    ///
    /// # Errors
    /// When key and certificate do not fit: the old one stays.
    pub fn swap(&self, pair: &Pair) -> Result<(), rustls::Error> {
        let new = shown(pair)?;
        *self.shown.write().expect("nothing panics under this lock") = new;
        Ok(())
    }

    /// When to call [`Serving::swap`].
    pub fn due_s(&self) -> i64 {
        let shown = self.shown.read().expect("nothing panics under this lock");
        due_s(shown.not_before_s, shown.not_after_s)
    }
}

fn shown(pair: &Pair) -> Result<Shown, rustls::Error> {
    let refused = |error| rustls::Error::General(format!("the server's key: {error}"));
    let key = PrivateKeyDer::from_pem_slice(pair.key_pem.as_bytes()).map_err(refused)?;
    let key = aws_lc_rs::sign::any_supported_type(&key)?;
    let key = CertifiedKey::new(pair.certificate.chain.clone(), key);
    key.keys_match()?;
    Ok(Shown {
        key: Arc::new(key),
        not_before_s: pair.certificate.not_before_s,
        not_after_s: pair.certificate.not_after_s,
    })
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.shown.read().ok()?.key))
    }
}

/// Where a handshake takes the time from.
#[derive(Debug)]
struct Clock(fn() -> i64);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from((self.0)()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// TLS 1.2 and 1.3 with the certificate of `serving`. Clients may show a certificate; one that
/// `trust` does not believe ends the handshake. Who it says they are is `trust`'s to tell.
///
/// `now_s` is the clock, `stdx::clock::unix_s` outside of tests. Application protocols are for the
/// caller to name.
///
/// # Errors
/// When the provider cannot do TLS.
pub fn server_config(
    trust: &Trust,
    serving: Arc<Serving>,
    now_s: fn() -> i64,
) -> Result<ServerConfig, rustls::Error> {
    let builder = ServerConfig::builder_with_details(provider(), Arc::new(Clock(now_s)))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(trust.verifier());
    Ok(builder.with_cert_resolver(serving))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::tests::{NOW, authority, user};
    use crate::authority::{Authority, CERTIFICATE_LIFE_S, Grant};
    use crate::subject::Kind;
    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};

    #[test]
    fn a_certificate_is_due_after_two_thirds_of_its_life() {
        assert_eq!(due_s(1000, 1300), 1200);
        assert!(!is_due(1000, 1300, 1199) && is_due(1000, 1300, 1200));
        assert_eq!(due_s(10, 10), 10);
        assert_eq!(due_s(10, 5), 10);
        assert!(is_due(0, i64::MAX, i64::MAX));
        assert_eq!(due_s(NOW, NOW + 1), NOW + 1);
    }

    fn server_pair(authority: &Authority, name: &str) -> Pair {
        let names = vec![name.to_owned()];
        let grant = Grant::Server { names };
        authority.issue(&grant, CERTIFICATE_LIFE_S, NOW).unwrap()
    }

    fn client(authority: &Authority, shows: Option<&Pair>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from(authority.root_der().to_vec());
        roots.add(root).unwrap();
        let builder = ClientConfig::builder_with_details(provider(), Arc::new(Clock(|| NOW)))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        match shows {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let key = PrivateKeyDer::from_pem_slice(pair.key_pem.as_bytes()).unwrap();
                let chain = pair.certificate.chain.clone();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        }
    }

    /// Shakes hands in memory.
    fn connect(
        server: &Arc<ServerConfig>,
        client: ClientConfig,
        name: &'static str,
    ) -> Result<ServerConnection, rustls::Error> {
        let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
        let name = ServerName::try_from(name).unwrap();
        let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
        while server.is_handshaking() || client.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut &wire[..]).unwrap();
            server.process_new_packets()?;
            let mut wire = Vec::new();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut &wire[..]).unwrap();
            client.process_new_packets()?;
        }
        Ok(server)
    }

    fn config(authority: &Authority, now_s: fn() -> i64) -> (Arc<Serving>, Arc<ServerConfig>) {
        let serving = Serving::new(&server_pair(authority, "one.example")).unwrap();
        let serving = Arc::new(serving);
        let config = server_config(&authority.trust(), Arc::clone(&serving), now_s);
        (serving, Arc::new(config.unwrap()))
    }

    #[test]
    fn clients_come_with_or_without_a_certificate() {
        let authority = authority();
        let (_, server) = config(&authority, || NOW);
        let bare = connect(&server, client(&authority, None), "one.example").unwrap();
        assert_eq!(bare.peer_certificates(), None);
        let node = Grant::Node { name: "n1".into() };
        for (grant, kind) in [(user("alice", &[]), Kind::User), (node, Kind::Node)] {
            let pair = authority.issue(&grant, CERTIFICATE_LIFE_S, NOW).unwrap();
            let known = client(&authority, Some(&pair));
            let known = connect(&server, known, "one.example").unwrap();
            let shown = &known.peer_certificates().unwrap()[0];
            let subject = authority.trust().subject(shown, NOW).unwrap();
            assert_eq!(subject.kind, kind);
        }
    }

    #[test]
    fn a_bad_certificate_ends_the_handshake() {
        let (ours, theirs) = (authority(), authority());
        let grant = user("alice", &[]);
        let foreign = theirs.issue(&grant, CERTIFICATE_LIFE_S, NOW).unwrap();
        let own = ours.issue(&grant, CERTIFICATE_LIFE_S, NOW).unwrap();
        let answering = server_pair(&ours, "two.example");
        let refused = |pair: &Pair, now: fn() -> i64| {
            let (_, server) = config(&ours, now);
            let outcome = connect(&server, client(&ours, Some(pair)), "one.example");
            outcome.unwrap_err().to_string()
        };
        assert!(refused(&foreign, || NOW).contains("UnknownIssuer"));
        assert!(refused(&own, || NOW + 8 * 86_400).contains("expired"));
        assert!(refused(&own, || NOW - 86_400).contains("not valid yet"));
        let answered = refused(&answering, || NOW);
        assert!(answered.contains("invalid peer certificate"), "{answered}");
    }

    #[test]
    fn a_swapped_certificate_is_shown_to_the_next_client() {
        let authority = authority();
        let (serving, server) = config(&authority, || NOW);
        let due = serving.due_s();
        assert!(due > NOW && due < NOW + CERTIFICATE_LIFE_S);
        let connects = |name| connect(&server, client(&authority, None), name).is_ok();
        assert!(connects("one.example") && !connects("two.example"));
        let next = server_pair(&authority, "two.example");
        serving.swap(&next).unwrap();
        assert!(!connects("one.example") && connects("two.example"));
        // A pair that does not fit changes nothing.
        let mut wrong = server_pair(&authority, "three.example");
        wrong.certificate = next.certificate.clone();
        assert!(serving.swap(&wrong).is_err());
        wrong.key_pem = String::from("no key").into();
        assert!(serving.swap(&wrong).is_err());
        assert!(connects("two.example"));
    }
}

//! A kubeconfig: where the API is, whose certificate to expect, and who one is.
//!
//! Owns: its text. Every value is quoted as JSON does it, which is YAML, so that none of them can
//! become anything but a value.
//! Never: writes over a file of somebody's; the caller says where it goes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::authority::Pair;

/// Where, below its data directory, a server says where it listens (`ADDRESS:PORT`): whoever makes
/// a kubeconfig on its machine need not be told.
pub const ADDRESS: &str = "server/address";

/// How somebody proves who they are.
#[derive(Clone, Copy, Debug)]
pub enum Credentials<'a> {
    /// By a certificate and its key.
    Certificate(&'a Pair),
    /// By a bearer token.
    Token(&'a str),
}

/// What goes into a kubeconfig.
#[derive(Clone, Copy, Debug)]
pub struct Kubeconfig<'a> {
    /// What the cluster is called.
    pub cluster: &'a str,
    /// `https://` and where it is.
    pub server: &'a str,
    /// The name its certificate is to have, if not the host.
    pub server_name: Option<&'a str>,
    /// The root that the server's certificate leads to.
    pub root_pem: &'a str,
    /// The user's name.
    pub user: &'a str,
    /// Where commands without `--namespace` work.
    pub namespace: Option<&'a str>,
    /// The proof.
    pub credentials: Credentials<'a>,
}

/// Why there is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{}\" is no address of an API server: it begins with https:// and names a host", weft_stdx::name::shown(.0))]
pub struct NoServer(pub String);

impl Kubeconfig<'_> {
    /// The file's text: secret, as it holds the key or the token.
    ///
    /// # Errors
    /// For a server that is not reached over TLS: the token would be readable on the way.
    pub fn to_yaml(&self) -> Result<Zeroizing<String>, NoServer> {
        let host = self.server.strip_prefix("https://").unwrap_or_default();
        let printable = |c: char| c.is_ascii_graphic();
        if host.is_empty() || host.starts_with('/') || !host.chars().all(printable) {
            return Err(NoServer(self.server.to_owned()));
        }
        // Nothing is left behind by growing.
        let mut out = Zeroizing::new(String::with_capacity(64 * 1024));
        let cluster = quoted(self.cluster);
        let user = quoted(self.user);
        let context = quoted(&format!("{}@{}", self.user, self.cluster));
        out.push_str("apiVersion: v1\nkind: Config\nclusters:\n- name: ");
        line(&mut out, &cluster);
        out.push_str("  cluster:\n    server: ");
        line(&mut out, &quoted(self.server));
        if let Some(name) = self.server_name {
            out.push_str("    tls-server-name: ");
            line(&mut out, &quoted(name));
        }
        out.push_str("    certificate-authority-data: ");
        line(&mut out, &STANDARD.encode(self.root_pem));
        out.push_str("users:\n- name: ");
        line(&mut out, &user);
        out.push_str("  user:\n");
        self.prove(&mut out);
        out.push_str("contexts:\n- name: ");
        line(&mut out, &context);
        out.push_str("  context:\n    cluster: ");
        line(&mut out, &cluster);
        out.push_str("    user: ");
        line(&mut out, &user);
        if let Some(namespace) = self.namespace {
            out.push_str("    namespace: ");
            line(&mut out, &quoted(namespace));
        }
        out.push_str("current-context: ");
        line(&mut out, &context);
        Ok(out)
    }

    fn prove(&self, out: &mut String) {
        match self.credentials {
            Credentials::Certificate(pair) => {
                out.push_str("    client-certificate-data: ");
                line(out, &STANDARD.encode(&pair.certificate.chain_pem));
                out.push_str("    client-key-data: ");
                let key = Zeroizing::new(STANDARD.encode(pair.key_pem.as_bytes()));
                line(out, &key);
            }
            Credentials::Token(token) => {
                out.push_str("    token: ");
                line(out, &Zeroizing::new(quoted(token)));
            }
        }
    }
}

fn line(out: &mut String, value: &str) {
    out.push_str(value);
    out.push('\n');
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::tests::{NOW, authority, user};

    fn config<'a>(credentials: Credentials<'a>, root_pem: &'a str) -> Kubeconfig<'a> {
        Kubeconfig {
            cluster: "weft",
            server: "https://127.0.0.1:6443",
            server_name: None,
            root_pem,
            user: "alice",
            namespace: Some("shop"),
            credentials,
        }
    }

    #[test]
    fn a_token_gives_exactly_this() {
        let text = config(Credentials::Token("t.o.k"), "PEM")
            .to_yaml()
            .unwrap();
        let expected = "\
apiVersion: v1
kind: Config
clusters:
- name: \"weft\"
  cluster:
    server: \"https://127.0.0.1:6443\"
    certificate-authority-data: UEVN
users:
- name: \"alice\"
  user:
    token: \"t.o.k\"
contexts:
- name: \"alice@weft\"
  context:
    cluster: \"weft\"
    user: \"alice\"
    namespace: \"shop\"
current-context: \"alice@weft\"
";
        assert_eq!(text.as_str(), expected);
    }

    #[test]
    fn a_certificate_goes_in_with_its_key_and_chain() {
        let authority = authority();
        let pair = authority.issue(&user("alice", &[]), 60, NOW).unwrap();
        let config = config(Credentials::Certificate(&pair), authority.root_pem());
        let text = config.to_yaml().unwrap();
        let decoded = |key: &str| {
            let at = text.find(key).unwrap() + key.len();
            let value = text[at..].lines().next().unwrap();
            String::from_utf8(STANDARD.decode(value).unwrap()).unwrap()
        };
        let chain = decoded("client-certificate-data: ");
        assert_eq!(chain, pair.certificate.chain_pem);
        assert_eq!(decoded("client-key-data: "), *pair.key_pem);
        let root = decoded("certificate-authority-data: ");
        assert_eq!(root, authority.root_pem());
        assert!(!text.contains("token"));
    }

    #[test]
    fn no_name_becomes_anything_else() {
        let evil = "a\"\n    token: x: {b}\u{1}";
        let mut config = config(Credentials::Token("t"), "PEM");
        config.user = evil;
        config.namespace = None;
        let text = config.to_yaml().unwrap();
        let quoted = r#"- name: "a\"\n    token: x: {b}\u0001""#;
        assert!(text.lines().any(|line| line == quoted), "{text:?}");
        assert_eq!(text.lines().count(), 17);
        assert!(!text.contains("namespace"));
    }

    #[test]
    fn a_server_is_reached_over_tls() {
        for server in [
            "",
            "https://",
            "http://a",
            "a:6443",
            "https:///x",
            "https://a\nb",
        ] {
            let mut config = config(Credentials::Token("t"), "PEM");
            config.server = server;
            let refused = config.to_yaml().map(drop);
            assert_eq!(refused, Err(NoServer(server.to_owned())));
        }
    }
}

//! A server of one answer: it tells its client who that is.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;
use weft_identity::authority::{Authority, Grant, Pair, Trust};
use weft_identity::kubeconfig::{Credentials, Kubeconfig};
use weft_identity::rotation::{Serving, server_config};
use weft_stdx::clock::unix_s;
use weft_testkit::peer::peer;

const LIFE_S: i64 = 3600;

struct Cluster {
    dir: TempDir,
    authority: Authority,
    address: SocketAddr,
}

impl Cluster {
    fn start() -> Cluster {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::create(&dir.path().join("authority"), unix_s()).unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let pair = authority.issue(&Grant::Server { names }, LIFE_S, unix_s());
        let serving = Arc::new(Serving::new(&pair.unwrap()).unwrap());
        let trust = authority.trust();
        let mut config = server_config(&trust, serving, unix_s).unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // It ends with the process; what fails is seen by the client.
        thread::spawn(move || serve(&listener, &Arc::new(config), &trust));
        Cluster {
            dir,
            authority,
            address,
        }
    }

    fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    fn pair(&self, grant: &Grant) -> Pair {
        self.authority.issue(grant, LIFE_S, unix_s()).unwrap()
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn kubeconfig(&self, credentials: Credentials<'_>) -> PathBuf {
        self.kubeconfig_with(self.authority.root_pem(), credentials)
    }

    fn kubeconfig_with(&self, root_pem: &str, credentials: Credentials<'_>) -> PathBuf {
        let config = Kubeconfig {
            cluster: "weft",
            server: &self.url(),
            server_name: None,
            root_pem,
            user: "alice \"the\" first",
            namespace: Some("shop"),
            credentials,
        };
        self.file("kubeconfig", &config.to_yaml().unwrap())
    }
}

fn serve(listener: &TcpListener, config: &Arc<ServerConfig>, trust: &Trust) {
    for stream in listener.incoming() {
        let connection = ServerConnection::new(Arc::clone(config)).unwrap();
        let mut stream = StreamOwned::new(connection, stream.unwrap());
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
            head.push(byte[0]);
        }
        let shown = stream.conn.peer_certificates();
        let who = match shown.and_then(<[_]>::first) {
            None => "nobody".to_owned(),
            Some(der) => match trust.subject(der, unix_s()) {
                Ok(subject) => format!("{} {}", subject.kind.name(), subject.user),
                Err(refused) => refused.to_string(),
            },
        };
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let token = head
            .lines()
            .find_map(|line| line.strip_prefix("authorization: "));
        let body = format!("{who} {}", token.unwrap_or("without a token"));
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        let _ = stream.write_all(answer.as_bytes());
        stream.conn.send_close_notify();
        let _ = stream.flush();
    }
}

fn run(program: &str, args: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(args).env_remove("KUBECONFIG");
    command.env_remove("HTTPS_PROXY").env_remove("https_proxy");
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(&[&out[..], err].concat()).into_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn kubectl_uses_the_kubeconfig_and_is_known_by_its_certificate() {
    let Some(kubectl) = peer("kubectl") else {
        return;
    };
    let kubectl = text(&kubectl);
    let cluster = Cluster::start();
    let groups = vec![
        "dev".to_owned(),
        "ops".to_owned(),
        "system:masters".to_owned(),
    ];
    let alice = cluster.pair(&Grant::User {
        user: "alice".into(),
        groups,
    });
    let config = cluster.kubeconfig(Credentials::Certificate(&alice));
    let get = ["--kubeconfig", text(&config), "get", "--raw", "/who"];
    let answer = said(&run(kubectl, &get));
    assert_eq!(answer, "user alice without a token");
    let view = [
        "--kubeconfig",
        text(&config),
        "config",
        "view",
        "--minify",
        "-o",
    ];
    let user = [
        &view[..],
        &["jsonpath={.users[0].name}/{.contexts[0].context.namespace}"],
    ]
    .concat();
    assert_eq!(said(&run(kubectl, &user)), "alice \"the\" first/shop");

    let config = cluster.kubeconfig(Credentials::Token("a.b.c"));
    let get = ["--kubeconfig", text(&config), "get", "--raw", "/who"];
    assert_eq!(said(&run(kubectl, &get)), "nobody bearer a.b.c");
}

#[test]
fn kubectl_notices_another_cluster() {
    let Some(kubectl) = peer("kubectl") else {
        return;
    };
    let (ours, theirs) = (Cluster::start(), Cluster::start());
    let grant = Grant::User {
        user: "alice".into(),
        groups: vec![],
    };
    let foreign = theirs.pair(&grant);
    let config = ours.kubeconfig(Credentials::Certificate(&foreign));
    let get = ["--kubeconfig", text(&config), "get", "--raw", "/who"];
    let refused = run(text(&kubectl), &get);
    assert!(!refused.status.success(), "{}", said(&refused));
    assert!(said(&refused).contains("tls:"), "{}", said(&refused));
    let own = ours.pair(&grant);
    let own = Credentials::Certificate(&own);
    let config = ours.kubeconfig_with(theirs.authority.root_pem(), own);
    let get = ["--kubeconfig", text(&config), "get", "--raw", "/who"];
    let refused = run(text(&kubectl), &get);
    assert!(said(&refused).contains("x509"), "{}", said(&refused));
}

#[test]
fn openssl_finds_nothing_wrong_with_any_certificate() {
    let Some(openssl) = peer("openssl") else {
        return;
    };
    let cluster = Cluster::start();
    let root = cluster.file("root.pem", cluster.authority.root_pem());
    // As kubeadm's documentation has people find it.
    let pem = said(&run(
        text(&openssl),
        &["x509", "-pubkey", "-noout", "-in", text(&root)],
    ));
    let (pem, der) = (
        cluster.file("root.pub", &pem),
        root.with_extension("pub.der"),
    );
    let to_der = [
        "pkey",
        "-pubin",
        "-outform",
        "DER",
        "-in",
        text(&pem),
        "-out",
        text(&der),
    ];
    said(&run(text(&openssl), &to_der));
    let print = said(&run(text(&openssl), &["dgst", "-sha256", "-r", text(&der)]));
    let hash = format!("sha256:{}", print.split(' ').next().unwrap_or_default());
    assert_eq!(hash, cluster.authority.root_hash());
    let names = vec!["weft.example".to_owned(), "10.96.0.1".to_owned()];
    let grants = [
        (Grant::Server { names }, "sslserver"),
        (
            Grant::User {
                user: "alice".into(),
                groups: vec!["a".into(), "b".into()],
            },
            "sslclient",
        ),
        (Grant::Node { name: "n1".into() }, "sslclient"),
        (
            Grant::Workload {
                namespace: "shop".into(),
                account: "db".into(),
            },
            "sslclient",
        ),
    ];
    for (grant, purpose) in grants {
        let pair = cluster.pair(&grant);
        let chain = cluster.file("chain.pem", &pair.certificate.chain_pem);
        let (root, chain) = (text(&root), text(&chain));
        let verify = |purpose: &str| {
            let args = ["verify", "-x509_strict", "-purpose", purpose];
            let files = ["-CAfile", root, "-untrusted", chain, chain];
            run(text(&openssl), &[&args[..], &files].concat())
        };
        let good = verify(purpose);
        assert!(good.status.success(), "{grant:?}: {}", said(&good));
        let other = match purpose {
            "sslserver" => "sslclient",
            _ => "sslserver",
        };
        assert!(!verify(other).status.success(), "{grant:?}");
    }
}

#[test]
fn a_request_made_by_openssl_is_signed_and_used_by_curl() {
    let (Some(openssl), Some(curl)) = (peer("openssl"), peer("curl")) else {
        return;
    };
    let cluster = Cluster::start();
    let key = cluster.dir.path().join("key.pem");
    let made = [
        "req",
        "-new",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=alice",
        "-keyout",
    ];
    let csr = run(text(&openssl), &[&made[..], &[text(&key)]].concat());
    let csr = String::from_utf8(csr.stdout).unwrap();
    let grant = Grant::User {
        user: "alice".into(),
        groups: vec![],
    };
    let signed = cluster.authority.sign(&csr, &grant, LIFE_S, unix_s());
    let chain = cluster.file("chain.pem", &signed.unwrap().chain_pem);
    let root = cluster.file("root.pem", cluster.authority.root_pem());
    let trust = ["-sS", "--noproxy", "*", "--cacert", text(&root)];
    let show = ["--cert", text(&chain), "--key", text(&key), &cluster.url()];
    let answer = run(text(&curl), &[&trust[..], &show].concat());
    assert_eq!(said(&answer), "user alice without a token");
}

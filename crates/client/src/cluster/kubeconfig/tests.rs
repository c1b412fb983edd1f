//! Kubeconfigs as people have them, and what is wrong with some.
#![allow(clippy::unwrap_used)]

use super::*;

const CONFIG: &str = "
apiVersion: v1
kind: Config
current-context: b
clusters:
- name: one
  cluster: { server: 'https://127.0.0.1:6443/', certificate-authority: ca.crt }
- name: two
  cluster: { server: 'https://[::1]/base', insecure-skip-tls-verify: true }
users:
- name: first
  user: { token: abc }
- name: second
  user: { client-certificate-data: QQ==, client-key-data: Qg== }
- name: third
  user: { exec: { command: x } }
- name: fourth
  user: { token: def }
- name: fifth
  user: { token: ghi, as: ann, as-groups: [a, b], as-uid: u, as-user-extra: { x.y/Z%: [1, 2] } }
- name: sixth
  user: { token: ghi, as-groups: [a] }
contexts:
- name: a
  context: { cluster: one, user: first, namespace: shop }
- name: b
  context: { cluster: two, user: second }
- name: c
  context: { cluster: one, user: third }
";

fn file() -> Vec<File> {
    vec![File::parse(Path::new("/k/config"), CONFIG).unwrap()]
}

fn named(context: &str) -> Overrides {
    Overrides {
        context: Some(context.to_owned()),
        ..Overrides::default()
    }
}

#[test]
fn a_context_leads_to_a_server_and_a_user() {
    let access = Access::resolve(&file(), &Overrides::default()).unwrap();
    assert_eq!((access.host.as_str(), access.port), ("::1", 443));
    assert_eq!(
        (access.prefix.as_str(), access.namespace.as_str()),
        ("/base", "default")
    );
    assert!(matches!(access.trust, Trust::Anybody));
    let Proof::Certificate(certificate, _) = &access.proof else {
        panic!("{access:?}")
    };
    assert_eq!(certificate.bytes().unwrap().as_slice(), b"A");
    let access = Access::resolve(&file(), &named("a")).unwrap();
    assert_eq!(
        (access.server.as_str(), access.namespace.as_str()),
        ("https://127.0.0.1:6443", "shop")
    );
    let Trust::Roots(Material::File(path)) = &access.trust else {
        panic!("{access:?}")
    };
    assert_eq!(path, Path::new("/k/ca.crt"));
    assert!(!format!("{access:?}").contains("abc"), "{access:?}");
}

#[test]
fn the_first_file_wins_and_flags_go_before_all() {
    let mut files = file();
    let first = "current-context: a\nclusters: [{name: one, cluster: {server: 'https://x:1', \
                     insecure-skip-tls-verify: true}}]";
    files.insert(0, File::parse(Path::new("/other"), first).unwrap());
    let access = Access::resolve(&files, &Overrides::default()).unwrap();
    assert_eq!(access.server, "https://x:1");
    let mut flags = named("a");
    flags.user = Some("fourth".to_owned());
    flags.namespace = Some("n".to_owned());
    let access = Access::resolve(&file(), &flags).unwrap();
    let Proof::Token(token, Some(Material::Inside { nth, .. })) = &access.proof else {
        panic!("{access:?}")
    };
    assert_eq!(
        (token.as_str(), *nth, access.namespace.as_str()),
        ("def", 2, "n")
    );
}

#[test]
fn who_acts_as_somebody_else_says_so() {
    let headers = |user: &str, acting: Acting| {
        let mut flags = named("a");
        flags.user = Some(user.to_owned());
        flags.acting = acting;
        Access::resolve(&file(), &flags).map(|access| access.acting.headers())
    };
    let told = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let whole = [
        told("impersonate-user", "ann"),
        told("impersonate-group", "a"),
        told("impersonate-group", "b"),
        told("impersonate-uid", "u"),
        told("impersonate-extra-x.y%2FZ%25", "1"),
        told("impersonate-extra-x.y%2FZ%25", "2"),
    ];
    assert_eq!(headers("fifth", Acting::default()).unwrap(), whole);
    let flags = Acting {
        user: Some("bob".to_owned()),
        groups: vec!["c".to_owned()],
        ..Acting::default()
    };
    let mut other = whole[3..].to_vec();
    other.splice(
        0..0,
        [
            told("impersonate-user", "bob"),
            told("impersonate-group", "c"),
        ],
    );
    assert_eq!(headers("fifth", flags.clone()).unwrap(), other);
    assert_eq!(headers("fourth", flags).unwrap(), other[..2]);
    assert_eq!(headers("fourth", Acting::default()).unwrap(), []);
    let error = headers("sixth", Acting::default()).unwrap_err();
    assert!(error.to_string().contains("no user"), "{error}");
}

#[test]
fn all_certificates_are_found() {
    let held = file()[0].certificates().unwrap();
    let told: Vec<String> = held
        .iter()
        .map(|held| {
            format!(
                "{} {} {:?} {:?}",
                held.of, held.name, held.certificate, held.key
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "cluster one \"/k/ca.crt\" None",
            "user second client-certificate-data in /k/config Some(client-key-data in /k/config)",
        ]
    );
}

#[test]
fn what_is_not_honoured_is_refused_by_name() {
    for (flags, words) in [
        (named("c"), "apiVersion"),
        (named("nope"), "it has a, b, c"),
        (
            Overrides {
                server: Some("http://x".to_owned()),
                ..named("a")
            },
            "https://",
        ),
    ] {
        let error = Access::resolve(&file(), &flags).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let error = Access::resolve(&[], &Overrides::default()).unwrap_err();
    assert!(error.to_string().contains("neither a flag"), "{error}");
    assert!(File::parse(Path::new("x"), "kind: Pod").is_err());
    assert!(File::parse(Path::new("x"), "[a").is_err());
}

#[test]
fn passwords_and_plugins_are_taken_where_nothing_else_is() {
    let text = |more: &str| {
        let text = format!(
            "clusters: [{{name: a, cluster: {{server: https://h, insecure-skip-tls-verify: true}}}}]\n\
             users: [{{name: a, user: {{{more}}}}}]\n\
             contexts: [{{name: a, context: {{cluster: a, user: a}}}}]\ncurrent-context: a\n"
        );
        let files = [File::parse(Path::new("/k/config"), &text).unwrap()];
        Access::resolve(&files, &Overrides::default())
    };
    let exec = "exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: x}";
    let access = text("username: ann, password: p").unwrap();
    let Proof::Password(name, password) = &access.proof else {
        panic!("{access:?}")
    };
    assert_eq!((&**name, password.as_str()), ("ann", "p"));
    assert!(text("username: 'a:b'").is_err());
    assert!(text("auth-provider: {name: gcp}").is_err());
    assert!(text(exec).unwrap().plugin.is_some());
    let access = text(&format!("token: t, {exec}")).unwrap();
    assert!(access.plugin.is_none(), "{access:?}");
    assert!(matches!(access.proof, Proof::Token(..)));
}

//! `weft certificate`: from a token to a kubeconfig, and what becomes of that, with the real kubectl.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;
use weft_identity::authority::{Authority, DIRECTORY, Grant, Pair};
use weft_identity::kubeconfig::{Credentials, Kubeconfig};
use weft_stdx::clock::unix_s;
use weft_testkit::wait::SOON;
use weft_testkit::{Background, Ran, Weft, peer};

const DAY_S: i64 = 86_400;

fn server() -> Option<Weft> {
    for program in ["kubectl", "openssl"] {
        peer(program)?;
    }
    Weft::server(crate::WEFT)
}

/// `weft <line>` as somebody who has nothing but what the line says.
fn stranger(weft: &Weft, line: &str) -> Ran {
    Background::start(strangers(weft, line)).finish(SOON)
}

fn strangers(weft: &Weft, line: &str) -> Command {
    let home = weft.scratch().join("home");
    fs::create_dir_all(&home).unwrap();
    let mut command = Command::new(weft.program());
    command.arg("--data-dir").arg(home.join("none"));
    command.args(line.split_whitespace());
    command.env("HOME", &home).env_remove("KUBECONFIG");
    command.env_remove("WEFT_CONFIG").current_dir(home);
    command
}

/// The same on the server's machine, as root.
fn root(weft: &Weft, line: &str) -> Ran {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut command = weft.command(&words);
    command.env_remove("KUBECONFIG");
    command.env("HOME", weft.scratch().join("nobody"));
    command.env("WEFT_LISTEN", weft.address());
    Background::start(command).finish(SOON)
}

fn whoami(kubeconfig: &Path) -> String {
    let mut command = Command::new(peer("kubectl").unwrap());
    command.arg("--kubeconfig").arg(kubeconfig);
    command.args(["auth", "whoami", "-o", "jsonpath={.status.userInfo}"]);
    let said = Background::start(command).finish(SOON);
    let who: Value = serde_json::from_str(said.ok()).unwrap();
    format!("{} {}", who["username"], who["groups"])
}

/// The line that whoever got a token is told to run, without where it goes.
fn line(made: &Ran) -> String {
    let told = made
        .stderr
        .lines()
        .find(|line| line.contains("weft certificate request"));
    let told = told.unwrap_or_else(|| panic!("{}", made.stderr)).trim();
    let line = told.strip_prefix("weft ").unwrap();
    line.strip_suffix(" KUBECONFIG").unwrap().to_owned()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn names(directory: &Path) -> Vec<String> {
    let all = fs::read_dir(directory).unwrap();
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    let mut all: Vec<String> = all.map(|entry| name(entry.unwrap())).collect();
    all.sort();
    all
}

fn authority(weft: &Weft) -> Authority {
    Authority::open(&weft.data_dir().join(DIRECTORY)).unwrap()
}

/// A certificate of `ann` that is good from a week before its end.
fn of_ann(authority: &Authority, end_s: i64) -> Pair {
    let grant = Grant::User {
        user: "ann".into(),
        groups: vec!["devs".into()],
    };
    authority
        .issue(&grant, 7 * DAY_S, end_s - 7 * DAY_S)
        .unwrap()
}

fn kubeconfig(weft: &Weft, name: &str, pair: &Pair) -> PathBuf {
    let (server, authority) = (format!("https://{}", weft.address()), authority(weft));
    let config = Kubeconfig {
        cluster: "weft",
        server: &server,
        server_name: None,
        root_pem: authority.root_pem(),
        user: "ann",
        namespace: None,
        credentials: Credentials::Certificate(pair),
    };
    let path = weft.scratch().join(name);
    fs::write(&path, config.to_yaml().unwrap().as_bytes()).unwrap();
    path
}

fn used(weft: &Weft) -> String {
    let words = [
        "get",
        "bootstraptokens",
        "-o",
        "jsonpath={.items[*].status.used}",
    ];
    weft.kubectl(&words, "").unwrap().ok().to_owned()
}

#[test]
fn the_line_of_a_token_makes_a_kubeconfig() {
    let Some(weft) = server() else { return };
    let made = root(&weft, "token create --for ann --group devs");
    let token = made.ok().trim().to_owned();
    let line = line(&made);
    assert!(
        line.contains(&token) && line.contains(" --ca-hash sha256:"),
        "{line}"
    );
    let directory = weft.scratch().join("mine");
    fs::create_dir(&directory).unwrap();
    let path = directory.join("config");
    let shown = path.display();
    let told = stranger(&weft, &format!("{line} {shown}"));
    told.ok();
    assert!(told.stderr.contains("ann (devs)"), "{}", told.stderr);
    assert_eq!(
        (mode(&path), names(&directory)),
        (0o600, vec!["config".to_owned()])
    );
    assert_eq!(whoami(&path), "\"ann\" [\"devs\",\"system:authenticated\"]");
    let before = fs::read(&path).unwrap();
    // What is there stays, and a token is good once.
    stranger(&weft, &format!("{line} {shown}")).fails_saying(&["there already", "--force"]);
    stranger(&weft, &format!("{line} --force {shown}"))
        .fails_saying(&["used up", "weft token create"]);
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(names(&directory), ["config"]);
    // What is in it, and that it is good.
    let shown = stranger(&weft, &format!("certificate show {shown}"));
    for words in ["user ann", "Groups:       devs", "CA hash:      sha256:"] {
        assert!(shown.ok().contains(words), "{words}: {}", shown.stdout);
    }
    let checked = stranger(
        &weft,
        &format!("certificate check --kubeconfig {}", path.display()),
    );
    assert!(
        checked.ok().contains("ok   server: takes us for ann"),
        "{}",
        checked.stdout
    );
    stranger(
        &weft,
        &format!("certificate check --within 200h {}", path.display()),
    )
    .code(1);
}

#[test]
fn a_token_goes_to_the_server_that_is_meant_alone() {
    let (Some(weft), Some(other)) = (server(), Weft::server(crate::WEFT)) else {
        return;
    };
    let made = root(&weft, "token create --for ann");
    let line = line(&made);
    let (hash, theirs) = (authority(&weft).root_hash(), authority(&other).root_hash());
    let path = weft.scratch().join("config");
    let ask = |line: &str| stranger(&weft, &format!("{line} {}", path.display()));
    ask(&line.replace(&hash, &theirs)).fails_saying(&["not the one that is meant", "was not sent"]);
    ask(&line.replace(weft.address(), other.address()))
        .fails_saying(&["not the one that is meant"]);
    // Nor by the authority of another.
    let ca = weft.scratch().join("theirs.pem");
    fs::write(&ca, authority(&other).root_pem()).unwrap();
    let by_file = format!("--certificate-authority {}", ca.display());
    let line_by_file = line.replace(&format!("--ca-hash {hash}"), &by_file);
    ask(&line_by_file).fails_saying(&["UnknownIssuer"]);
    ask(&line.replace(&format!("--ca-hash {hash}"), "")).fails_saying(&["--ca-hash"]);
    for wrong in ["sha256:", "sha1:abc", &hash[..60], "x"] {
        ask(&line.replace(&hash, wrong))
            .code(125)
            .fails_saying(&["--ca-hash", "64"]);
    }
    let token = made.ok().trim();
    ask(&line.replace(token, "abcdef")).fails_saying(&["no token"]);
    ask(&line.replace(&format!("--token {token}"), ""))
        .code(125)
        .fails_saying(&["--token"]);
    ask(&line.replace(token, "aaaaaa.0123456789abcdef")).fails_saying(&["not one of this cluster"]);
    // There is no place for what it would buy.
    stranger(&weft, &format!("{line} /proc/none/config"))
        .fails_saying(&["write /proc/none/config"]);
    stranger(&weft, &format!("{line} {}/config", ca.display())).fails_saying(&["Not a directory"]);
    stranger(&weft, &format!("{line} --directory {}", ca.display()))
        .fails_saying(&["there already"]);
    assert_eq!((used(&weft).as_str(), path.exists()), ("0", false));
    ask(&line).ok();
    assert_eq!(used(&weft), "1");
}

#[test]
fn files_are_made_and_renewed() {
    let Some(weft) = server() else { return };
    let made = root(&weft, "token create --for ann --group devs --uses 2");
    let place = weft.scratch().join("pki");
    let told = stranger(
        &weft,
        &format!("{} --directory {}", line(&made), place.display()),
    );
    told.ok();
    assert_eq!(names(&place), ["ca.crt", "client.crt", "client.key"]);
    assert_eq!(mode(&place), 0o700);
    assert_eq!(mode(&place.join("client.key")), 0o600);
    let read = |name: &str| fs::read_to_string(place.join(name)).unwrap();
    let (key, before) = (read("client.key"), read("client.crt"));
    // As it was told.
    let renewal = told.stderr.split('`').nth(1).unwrap();
    let renewal = renewal.strip_prefix("weft ").unwrap();
    stranger(&weft, &format!("{renewal} --within 1h")).ok();
    assert_eq!(read("client.crt"), before, "there was time");
    stranger(&weft, &format!("{renewal} --new-key")).fails_saying(&["two files"]);
    stranger(&weft, renewal).ok();
    assert_ne!(read("client.crt"), before);
    assert_eq!(read("client.key"), key);
    assert_eq!(names(&place), ["ca.crt", "client.crt", "client.key"]);
    let mut verify = Command::new(peer("openssl").unwrap());
    verify
        .args(["verify", "-purpose", "sslclient", "-CAfile"])
        .arg(place.join("ca.crt"));
    let leaf = place.join("client.crt");
    verify.arg("-untrusted").arg(&leaf).arg(&leaf);
    Background::start(verify).finish(SOON).ok();
    let flags = renewal.replace("certificate renew", "auth whoami");
    assert!(
        stranger(&weft, &flags)
            .ok()
            .contains("[devs system:authenticated]")
    );
    // Both in one file: both are there afterwards.
    let both = weft.scratch().join("both.pem");
    fs::write(&both, format!("{before}{key}")).unwrap();
    let both = both.to_str().unwrap();
    let line = renewal
        .replace(leaf.to_str().unwrap(), both)
        .replace(place.join("client.key").to_str().unwrap(), both);
    stranger(&weft, &line).ok();
    let after = fs::read_to_string(both).unwrap();
    assert!(after.contains(key.trim()) && !after.contains(&before));
}

#[test]
fn renewing_changes_nothing_else() {
    let Some(weft) = server() else { return };
    let pair = of_ann(&authority(&weft), unix_s() + DAY_S);
    let real = kubeconfig(&weft, "real", &pair);
    let text = fs::read_to_string(&real).unwrap();
    let text = format!("# mine\n{text}preferences: {{}} # the end\n");
    fs::write(&real, &text).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    rustix::fs::chown(&real, Some(rustix::fs::Uid::from_raw(12)), None).unwrap();
    let link = weft.scratch().join("link");
    symlink(&real, &link).unwrap();
    let renew = |flags: &str| {
        stranger(
            &weft,
            &format!("certificate renew --kubeconfig {} {flags}", link.display()),
        )
    };
    renew("--within 12h").ok();
    assert_eq!(fs::read_to_string(&real).unwrap(), text);
    for (flags, changed) in [("--within 48h", 1), ("--new-key", 2)] {
        let before = fs::read_to_string(&real).unwrap();
        renew(flags).ok();
        let after = fs::read_to_string(&real).unwrap();
        let lines = before.lines().zip(after.lines());
        let other = lines.filter(|(before, after)| before != after).count();
        assert_eq!(
            (other, after.lines().count()),
            (changed, before.lines().count())
        );
        let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(&real).unwrap());
        assert_eq!((mode(&real), owner), (0o640, 12));
        assert!(link.is_symlink());
        assert_eq!(whoami(&link), "\"ann\" [\"devs\",\"system:authenticated\"]");
    }
    // A year is not exchanged for a week.
    let year = weft.kubeconfig("bob", "people");
    let before = fs::read(&year).unwrap();
    let renew = format!("certificate renew --kubeconfig {}", year.display());
    stranger(&weft, &renew).fails_saying(&["would end at", "--force"]);
    assert_eq!(fs::read(&year).unwrap(), before);
    stranger(&weft, &format!("{renew} --force")).ok();
    assert_eq!(
        whoami(&year),
        "\"bob\" [\"people\",\"system:authenticated\"]"
    );
    root(&weft, "certificate renew").fails_saying(&["needs none"]);
    stranger(&weft, "certificate renew").fails_saying(&["weft kubeconfig"]);
}

#[test]
fn bad_certificates_are_told_from_good_ones() {
    let (Some(weft), Some(other)) = (server(), Weft::server(crate::WEFT)) else {
        return;
    };
    let (ours, now) = (authority(&weft), unix_s());
    let good = of_ann(&ours, now + DAY_S);
    let mut misfit = of_ann(&ours, now + DAY_S);
    misfit.key_pem = good.key_pem.clone();
    for (name, pair, check, renew) in [
        (
            "expired",
            &of_ann(&ours, now - DAY_S),
            "bad  user ann: expired",
            "it has ended",
        ),
        (
            "early",
            &of_ann(&ours, now + 30 * DAY_S),
            "bad  user ann: not valid before",
            "not valid before",
        ),
        (
            "misfit",
            &misfit,
            "is another certificate's key",
            "is another certificate's key",
        ),
        (
            "foreign",
            &of_ann(&authority(&other), now + DAY_S),
            "signed by another authority",
            "",
        ),
    ] {
        let path = kubeconfig(&weft, name, pair);
        let before = fs::read(&path).unwrap();
        let of = format!("--kubeconfig {}", path.display());
        let checked = stranger(&weft, &format!("certificate check {of}"));
        checked.code(1);
        assert!(
            checked.stdout.contains(check),
            "{name}: {}{}",
            checked.stdout,
            checked.stderr
        );
        stranger(&weft, &format!("certificate renew {of}")).fails_saying(&[renew]);
        assert_eq!(fs::read(&path).unwrap(), before, "{name}");
        // Whatever else is asked with it, what to do is said.
        let told = stranger(&weft, &format!("get configmaps {of}"));
        told.fails_saying(&["hint:", "weft certificate check"]);
    }
    let path = kubeconfig(&weft, "good", &good);
    let all = format!("certificate check {}", path.display());
    stranger(&weft, &all).ok();
    // Files that are none, or broken.
    let broken = weft.scratch().join("broken");
    for (text, words) in [
        ("", "no certificate in it"),
        ("hello", "it is no map"),
        ("kind: Pod", "kind is not Config"),
        (
            "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
            "certificate 1",
        ),
        (
            "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n",
            "no certificate",
        ),
        (
            "users: [{name: a, user: {client-certificate: /nonexistent}}]",
            "/nonexistent",
        ),
        (
            "users: [{name: a, user: {client-certificate-data: '*'}}]",
            "client-certificate-data",
        ),
    ] {
        fs::write(&broken, text).unwrap();
        for verb in ["list", "show", "check"] {
            stranger(&weft, &format!("certificate {verb} {}", broken.display()))
                .fails_saying(&[words]);
        }
    }
    stranger(&weft, "certificate show /nonexistent").fails_saying(&["/nonexistent"]);
}

#[test]
fn root_sees_what_the_server_has() {
    let Some(mut weft) = server() else { return };
    let listed = root(&weft, "certificate list");
    let first: Vec<&str> = listed
        .ok()
        .lines()
        .map(|line| line.split("   ").next().unwrap())
        .collect();
    for name in [
        "root authority",
        "user authority",
        "node authority",
        "server",
    ] {
        assert!(first.contains(&name), "{}", listed.stdout);
    }
    let shown = root(&weft, "certificate show -o json");
    let shown: Value = serde_json::from_str(shown.ok()).unwrap();
    let all = shown["certificates"].as_array().unwrap();
    let server = all.iter().find(|one| one["name"] == "server").unwrap();
    let names = server["names"].as_array().unwrap();
    let host = weft.address().split(':').next().unwrap();
    assert!(names.iter().any(|name| name == host), "{server}");
    assert_eq!(all[0]["publicKeyHash"], authority(&weft).root_hash());
    assert!(!shown.to_string().contains("PRIVATE"));
    assert!(
        root(&weft, "certificate check")
            .ok()
            .contains("takes us for admin")
    );
    let explained = root(&weft, "--curl certificate list");
    assert!(
        explained.ok().starts_with("openssl s_client -connect"),
        "{}",
        explained.stdout
    );
    // Of a server that does not run, what is in files.
    weft.stop_daemon().code(0);
    let listed = root(&weft, "certificate list");
    assert_eq!(listed.ok().lines().count(), 6, "{}", listed.stdout);
    assert!(listed.stderr.contains("Warning: ask"), "{}", listed.stderr);
    root(&weft, "certificate check").code(1);
}

#[test]
fn who_is_killed_while_asking_leaves_no_half() {
    let Some(weft) = server() else { return };
    let ca = weft.scratch().join("ca.pem");
    fs::write(&ca, authority(&weft).root_pem()).unwrap();
    let (file, directory) = (weft.scratch().join("config"), weft.scratch().join("pki"));
    fs::write(&file, "mine").unwrap();
    // Somebody takes the connection and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    for place in [
        format!("--force {}", file.display()),
        format!("--directory {}", directory.display()),
    ] {
        let asking = format!(
            "certificate request --server https://{address} --token abcdef.0123456789abcdef --certificate-authority {} {place}",
            ca.display()
        );
        let asking = Background::start(strangers(&weft, &asking));
        let (mut stream, _) = silent.accept().unwrap();
        // The first byte of its handshake.
        stream.read_exact(&mut [0]).unwrap();
        asking.signal(Signal::KILL);
        asking.finish(SOON);
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
        assert!(!directory.exists());
    }
}

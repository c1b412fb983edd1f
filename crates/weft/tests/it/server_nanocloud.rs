//! `weft server`: Nanocloud's paths, with the lines of `docs/reference/nanocloud.md` as they stand there.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use weft_identity::authority::{Authority, DIRECTORY, Grant};
use weft_stdx::clock::unix_s;
use weft_testkit::wait::SOON;
use weft_testkit::{Background, Ran, Weft, peer, until};

const GUIDE: &str = include_str!("../../../../docs/reference/nanocloud.md");
const EXCHANGE: &str = "/v1/serviceaccounts/token";
const CERTIFICATES: &str = "/apis/nanocloud.io/v1/certificates";
const DEVICES: &str = "/apis/nanocloud.io/v1/namespaces/default/devices";
/// Of a key, in hex.
const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b";

/// A server with a directory of who talks to it.
struct World {
    weft: Weft,
    place: PathBuf,
}

impl World {
    fn new() -> Option<World> {
        for program in ["kubectl", "curl", "openssl", "bash"] {
            peer(program)?;
        }
        let weft = Weft::server(crate::WEFT)?;
        let place = weft.scratch().join("client");
        fs::create_dir(&place).unwrap();
        let authority = Authority::open(&weft.data_dir().join(DIRECTORY)).unwrap();
        let groups = vec!["system:masters".to_owned()];
        let user = "admin".to_owned();
        let admin = authority
            .issue(&Grant::User { user, groups }, 3600, unix_s())
            .unwrap();
        fs::write(place.join("ca.crt"), authority.root_pem()).unwrap();
        fs::write(place.join("admin.crt"), &admin.certificate.chain_pem).unwrap();
        fs::write(place.join("admin.key"), admin.key_pem.as_bytes()).unwrap();
        Some(World { weft, place })
    }

    /// Runs lines of bash as a client has them.
    fn shell(&self, lines: &str, token: &str) -> Ran {
        let mut bash = Command::new(peer("bash").unwrap());
        bash.args(["-euo", "pipefail", "-c", lines])
            .current_dir(&self.place);
        bash.env("SERVER", format!("https://{}", self.weft.address()));
        bash.env("TOKEN", token).env("HASH", HASH);
        Background::start(bash).finish(SOON)
    }

    fn read(&self, name: &str) -> Value {
        let text = fs::read_to_string(self.place.join(name)).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{name}: {text}"))
    }

    /// One request as `who` (`--cert …`, or a header): code and body.
    fn ask(&self, method: &str, path: &str, who: &[&str], body: &str) -> (String, Value) {
        let mut curl = Command::new(peer("curl").unwrap());
        curl.args([
            "--silent",
            "--cacert",
            "ca.crt",
            "--write-out",
            "\n%{http_code}",
        ]);
        curl.args(["--request", method])
            .args(who)
            .current_dir(&self.place);
        if !body.is_empty() {
            curl.args(["--header", "Content-Type: application/json", "--data", body]);
        }
        curl.arg(format!("https://{}{path}", self.weft.address()));
        let said = Background::start(curl).finish(SOON);
        let (body, code) = said.ok().rsplit_once('\n').unwrap();
        (
            code.to_owned(),
            serde_json::from_str(body).unwrap_or_default(),
        )
    }

    fn kubectl(&self, line: &str) -> Ran {
        let words: Vec<&str> = line.split_whitespace().collect();
        self.weft.kubectl(&words, "").unwrap()
    }

    fn token(&self, flags: &str) -> String {
        let line = format!("token create --group people {flags}");
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut command = self.weft.command(&words);
        command.env(
            "KUBECONFIG",
            self.weft.kubeconfig("admin", "system:masters"),
        );
        Background::start(command)
            .finish(SOON)
            .ok()
            .trim()
            .to_owned()
    }

    fn exchange(&self, token: &str) -> (String, Value) {
        let body = json!({ "singleUseToken": token }).to_string();
        self.ask("POST", EXCHANGE, &[], &body)
    }

    /// The body of a request for a certificate, for a new key.
    fn request(&self, subject: &str) -> String {
        let line = format!(
            "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout other.key -subj {subject} 2>/dev/null"
        );
        let csr = self.shell(&line, "").ok().to_owned();
        json!({ "spec": { "csr": csr } }).to_string()
    }

    fn user(&self, who: &[&str]) -> String {
        let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
        let (code, said) = self.ask("POST", path, who, "{}");
        format!("{code} {}", said["status"]["userInfo"]["username"])
    }
}

/// The lines of the guide's section.
fn lines(heading: &str) -> &'static str {
    let section = GUIDE.split(heading).nth(1).unwrap();
    let block = section.split("```sh\n").nth(1).unwrap();
    block.split("```").next().unwrap()
}

const CLIENT: [&str; 4] = ["--cert", "client.crt", "--key", "client.key"];
const DEVICE: [&str; 4] = ["--cert", "device.crt", "--key", "device.key"];
const ADMIN: [&str; 4] = ["--cert", "admin.crt", "--key", "admin.key"];

#[test]
fn a_single_use_token_leads_to_a_certificate() {
    let Some(world) = World::new() else { return };
    let token = world.token("--for ann");
    world
        .shell(lines("## A certificate for a single-use token"), &token)
        .ok();
    assert_eq!(world.read("kinds.json")["kind"], "APIResourceList");
    assert_eq!(world.user(&CLIENT), "201 \"ann\"");
    let told = world.read("token.json");
    let time = |field: &str| -> jiff::Timestamp { told[field].as_str().unwrap().parse().unwrap() };
    assert_eq!(
        time("expiresAt").duration_since(time("issuedAt")).as_secs(),
        600
    );
    let issued = world.read("certificate.json");
    assert!(
        issued["status"]["caBundle"]
            .as_str()
            .unwrap()
            .contains("BEGIN CERTIFICATE")
    );
    // Once is once, and it is told why not to who had it.
    let (code, said) = world.exchange(&token);
    assert_eq!(
        (code.as_str(), &said["reason"]),
        ("410", &json!("Expired")),
        "{said}"
    );
    assert!(
        said["message"].as_str().unwrap().contains("used up"),
        "{said}"
    );
    // The bearer token buys certificates for this name, and opens nothing.
    let bearer = format!("Authorization: Bearer {}", told["token"].as_str().unwrap());
    let who = ["--header", bearer.as_str()];
    let (code, said) = world.ask("POST", CERTIFICATES, &who, &world.request("/CN=ann"));
    assert_eq!(code, "201", "{said}");
    let (code, said) = world.ask("POST", CERTIFICATES, &who, &world.request("/CN=bob"));
    assert_eq!(code, "403", "{said}");
    let (code, said) = world.ask("POST", CERTIFICATES, &who, "{}");
    assert_eq!(code, "422", "{said}");
    let as_root = [
        "--header",
        bearer.as_str(),
        "--header",
        "Impersonate-User: root",
    ];
    assert_eq!(
        world
            .ask("POST", CERTIFICATES, &as_root, &world.request("/CN=root"))
            .0,
        "403"
    );
    for (method, path) in [
        ("GET", "/api"),
        ("GET", "/api/v1/namespaces"),
        ("GET", CERTIFICATES),
        ("GET", DEVICES),
        ("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews"),
        (
            "POST",
            "/apis/nanocloud.io/v1/namespaces/default/devices/certificates",
        ),
        ("GET", "/metrics"),
    ] {
        let body = if method == "POST" { "{}" } else { "" };
        assert_eq!(
            world.ask(method, path, &who, body).0,
            "401",
            "{method} {path}"
        );
    }
    // An account's token of that audience does not buy one either.
    let made = world.kubectl("create token default --audience nanocloud.io/certificate");
    let account = format!("Authorization: Bearer {}", made.ok().trim());
    let who = ["--header", account.as_str()];
    assert_eq!(
        world.ask("POST", CERTIFICATES, &who, &world.request("/")).0,
        "403"
    );
    let audit = fs::read_to_string(world.weft.data_dir().join("server/audit.log")).unwrap();
    assert!(!audit.contains(&token[7..]) && !audit.contains(told["token"].as_str().unwrap()));
    assert!(audit.contains(EXCHANGE), "{audit}");
}

#[test]
fn what_is_no_token_is_told_from_what_was_one() {
    let Some(world) = World::new() else { return };
    let token = world.token("--for ann --uses 2");
    let (id, secret) = token.split_once('.').unwrap();
    let forged = format!("{id}.{}", secret.chars().rev().collect::<String>());
    let told: Vec<(String, Value)> = ["zzzzzz.0123456789abcdef", &forged]
        .iter()
        .map(|text| world.exchange(text))
        .map(|(code, said)| (code, said["message"].clone()))
        .collect();
    assert_eq!((told[0].0.as_str(), &told[0]), ("404", &told[1]));
    for body in ["", "{}", "[]", "{\"singleUseToken\":\"x\"}"] {
        assert_eq!(world.ask("POST", EXCHANGE, &[], body).0, "400", "{body}");
    }
    for method in ["GET", "PUT", "DELETE"] {
        assert_eq!(world.ask(method, EXCHANGE, &[], "").0, "405", "{method}");
    }
    assert_eq!(world.ask("POST", "/v1/serviceaccounts", &[], "{}").0, "401");
    // None of this was a use of it; of three at once two have one.
    let shown = format!("{{\"singleUseToken\":\"{token}\"}}");
    let line = format!(
        "for n in 1 2 3; do curl -s --cacert ca.crt -o /dev/null -w '%{{http_code}}\\n' -d '{shown}' $SERVER{EXCHANGE} & done; wait"
    );
    let codes = world.shell(&line, "").ok().to_owned();
    let mut codes: Vec<&str> = codes.lines().collect();
    codes.sort_unstable();
    assert_eq!(codes, ["200", "200", "410"]);
    let short = world.token("--for ann --ttl 1s --uses 100");
    until(Duration::from_secs(60), "the token to expire", || {
        let (code, said) = world.exchange(&short);
        code == "410"
            && said["message"]
                .as_str()
                .unwrap_or_default()
                .contains("expired")
    });
    let revoked = world.token("--for ann");
    world
        .kubectl(&format!("delete bootstraptoken {}", &revoked[..6]))
        .ok();
    until(
        Duration::from_secs(60),
        "the address to be let in again",
        || world.exchange(&revoked).0 == "404",
    );
}

#[test]
fn a_device_has_a_certificate_as_long_as_it_is_known() {
    let Some(world) = World::new() else { return };
    let path = format!("{DEVICES}/certificates");
    let own = format!("{DEVICES}/device-{HASH}");
    let subject = format!("/CN=device:{HASH}");
    // There is no device yet.
    let (code, said) = world.ask("POST", &path, &ADMIN, &world.request(&subject));
    assert_eq!(code, "404", "{said}");
    world.shell(lines("## A device"), "").ok();
    let itself = world.read("itself.json");
    assert_eq!(
        itself["spec"]["certificateSubject"],
        format!("device:{HASH}")
    );
    let ends = itself["status"]["certificateExpiresAt"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        ends,
        world.read("issued.json")["status"]["expirationTimestamp"]
            .as_str()
            .unwrap()
    );
    assert_eq!(world.user(&DEVICE), format!("201 \"device:{HASH}\""));
    world
        .kubectl("auth can-i create devices.nanocloud.io/certificates")
        .ok();
    assert!(
        world
            .kubectl("get --raw /apis/nanocloud.io/v1")
            .ok()
            .contains("devices/certificates")
    );
    // Itself and nothing else.
    world.ask("POST", DEVICES, &ADMIN, r#"{"spec":{"hash":"other"}}"#);
    for (method, path, body, expected) in [
        ("GET", own.as_str(), "", "200"),
        ("GET", DEVICES, "", "403"),
        (
            "GET",
            "/apis/nanocloud.io/v1/namespaces/default/devices/device-other",
            "",
            "403",
        ),
        ("DELETE", own.as_str(), "", "403"),
        ("GET", "/api/v1/namespaces/default/secrets", "", "403"),
        (
            "POST",
            path.as_str(),
            &world.request("/CN=device:other"),
            "403",
        ),
        ("POST", path.as_str(), &world.request(&subject), "201"),
        ("POST", CERTIFICATES, &world.request(&subject), "201"),
        ("POST", CERTIFICATES, &world.request("/CN=root"), "403"),
    ] {
        let (code, said) = world.ask(method, path, &DEVICE, body);
        assert_eq!(code, expected, "{method} {path}: {said}");
    }
    let (_, seen) = world.ask("GET", &own, &DEVICE, "");
    assert!(seen["status"]["lastSeen"].is_string(), "{seen}");
    // Requests that are none, and who may not.
    for (body, expected) in [
        (world.request("/CN=root"), "422"),
        (world.request("/CN=device:"), "422"),
        (world.request("/"), "422"),
        ("{}".to_owned(), "422"),
        (json!({ "spec": { "csr": "x" } }).to_string(), "422"),
        (
            json!({ "kind": "Device", "spec": { "hash": "x" } }).to_string(),
            "400",
        ),
    ] {
        let (code, said) = world.ask("POST", &path, &ADMIN, &body);
        assert_eq!(code, expected, "{body}: {said}");
    }
    for method in ["GET", "PUT", "PATCH", "DELETE"] {
        assert_eq!(world.ask(method, &path, &ADMIN, "").0, "405", "{method}");
    }
    assert_eq!(
        world.ask("POST", &path, &[], &world.request(&subject)).0,
        "401"
    );
    let bob = world.weft.kubeconfig("bob", "people");
    let review = format!(
        "--kubeconfig {} auth can-i create devices.nanocloud.io/certificates",
        bob.display()
    );
    assert_eq!(world.kubectl(&review).stdout.trim(), "no");
    // What was deleted is known no more, nor is what comes in its place.
    let watch = format!("{own}?watch=1");
    let watching = world.watch(&format!(
        "{DEVICES}?watch=1&fieldSelector=metadata.name=device-{HASH}"
    ));
    assert_eq!(world.ask("GET", &watch, &DEVICE, "").0, "403");
    world.kubectl(&format!("delete device device-{HASH}")).ok();
    watching.finish(SOON);
    assert_eq!(world.user(&DEVICE), "401 null");
    let body = json!({ "spec": { "hash": HASH } }).to_string();
    assert_eq!(world.ask("POST", DEVICES, &ADMIN, &body).0, "201");
    assert_eq!(world.user(&DEVICE), "401 null");
    let (code, said) = world.ask("POST", CERTIFICATES, &DEVICE, &world.request(&subject));
    assert_eq!(code, "401", "{said}");
}

impl World {
    /// A watch by the device, which a role lets list devices for this.
    fn watch(&self, path: &str) -> Background {
        self.kubectl("create role seeing --verb=get,list,watch --resource=devices.nanocloud.io")
            .ok();
        self.kubectl("create rolebinding seeing --role=seeing --group=system:devices:default")
            .ok();
        let list = "-o /dev/null -w %{http_code}";
        let line = format!(
            "curl -s --cacert ca.crt --cert device.crt --key device.key {list} $SERVER{DEVICES}"
        );
        until(SOON, "the device may list", || {
            self.shell(&line, "").stdout == "200"
        });
        let mut curl = Command::new(peer("curl").unwrap());
        curl.args(["--silent", "--no-buffer", "--cacert", "ca.crt"])
            .args(DEVICE);
        curl.arg(format!("https://{}{path}", self.weft.address()))
            .current_dir(&self.place);
        let watching = Background::start(curl);
        watching.says("ADDED");
        self.kubectl("delete rolebinding seeing").ok();
        let gone = || self.shell(&line, "").stdout == "403";
        until(SOON, "the device may list no longer", gone);
        watching
    }
}

#[test]
fn the_guide_tells_which_paths_there_are() {
    let Some(world) = World::new() else { return };
    let bundles = "/apis/nanocloud.io/v1/namespaces/default/bundles";
    let bundle = json!({ "spec": { "service": "kafka" } }).to_string();
    let kafka = |rest: &str| format!("{bundles}/kafka{rest}");
    for (method, path, body, expected) in [
        ("GET", "/apis/nanocloud.io/v1", "", "200"),
        ("GET", "/api/v1", "", "200"),
        ("POST", bundles, bundle.as_str(), "201"),
        ("GET", bundles, "", "200"),
        ("GET", &kafka(""), "", "200"),
        ("POST", &kafka("/actions/start"), "", "404"),
        ("POST", &kafka("/actions/stop"), "", "404"),
        ("POST", &kafka("/actions/restart"), "", "404"),
        ("POST", &kafka("/actions/uninstall"), "", "404"),
        ("GET", &kafka("/backups/latest"), "", "404"),
        ("POST", &kafka("/exportProfile"), "", "405"),
        ("DELETE", &kafka(""), "", "200"),
        ("GET", DEVICES, "", "200"),
        ("POST", "/v1/setup", "", "404"),
        ("POST", "/v1/ca", "", "404"),
        ("GET", "/v1/networkpolicies/debug", "", "404"),
        ("GET", "/v1/openapi.json", "", "404"),
        ("GET", "/openapi/v3", "", "200"),
        ("GET", "/metrics", "", "200"),
    ] {
        let (code, said) = world.ask(method, path, &ADMIN, body);
        assert_eq!(code, expected, "{method} {path}: {said}");
    }
}

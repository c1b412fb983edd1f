//! Debian's own packages, installed into trees by debootstrap, and images made of them.
//!
//! Owns what is made once per build directory and kept. Never changes what is in a package; what an
//! image leaves out is what its program never reads.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::json;
use weft_testkit::image::Image;
use weft_testkit::tarball::Tarball;
use weft_testkit::{command, peer};

/// debootstrap downloads and unpacks some two hundred packages.
const BOOTSTRAP_MAX: Duration = Duration::from_secs(900);

/// What all is kept as.
const TREE: &str = "debian.tar";
const NGINX: &str = "debian-nginx.tar";
const POSTGRES: &str = "debian-postgres.tar";

/// What no server reads: half of what the packages bring.
const UNREAD: &[&str] = &[
    "./dev/*",
    "./proc/*",
    "./sys/*",
    "./usr/share/doc",
    "./usr/share/i18n",
    "./usr/share/info",
    "./usr/share/locale",
    "./usr/share/man",
    "./usr/share/perl*",
    "./usr/lib/*/libperl*",
    "./usr/lib/*/perl",
    "./var/cache/*",
    "./var/lib/apt",
    "./var/log/*",
    // PostgreSQL's compiler, which it does without, and the database that installing it made.
    "./usr/lib/*/libLLVM*",
    "./usr/lib/*/libz3.*",
    "./usr/lib/postgresql/*/lib/bitcode",
    "./usr/lib/postgresql/*/lib/llvmjit*",
    "./etc/postgresql/*",
    "./var/lib/postgresql/*",
];

/// What is in the tree for PostgreSQL alone.
const OF_POSTGRES: &[&str] = &[
    "./usr/lib/*/libicu*",
    "./usr/lib/postgresql",
    "./usr/share/postgresql*",
];

/// Serves one directory, as the image of the same name does everywhere.
const SITE: &str = "\
server {
    listen 80;
    root /usr/share/nginx/html;
}
";

/// Makes a database with the password it is given, unless there is one, and serves it.
const START_POSTGRES: &str = "\
#!/bin/sh
set -eu
install -d -o postgres -g postgres -m 700 \"$PGDATA\" /run/postgresql
if ! test -s \"$PGDATA/PG_VERSION\"; then
    install -o postgres -m 600 /dev/null /run/word
    printf '%s\\n' \"$POSTGRES_PASSWORD\" > /run/word
    setpriv --reuid postgres --regid postgres --init-groups \\
        initdb -D \"$PGDATA\" -A scram-sha-256 --pwfile /run/word --locale C.UTF-8
    echo 'host all all all scram-sha-256' >> \"$PGDATA/pg_hba.conf\"
    rm /run/word
fi
exec setpriv --reuid postgres --regid postgres --init-groups \\
    postgres -D \"$PGDATA\" -c 'listen_addresses=*' -c unix_socket_directories=/run/postgresql
";

/// Debian's smallest tree as a tar.
pub(crate) fn tree() -> Option<PathBuf> {
    kept(TREE, || {
        bootstrap(&[], |root, dir| {
            let made = dir.join(TREE);
            pack(root, &made, &[]);
            keep(&made);
        });
    })
}

/// An archive with the image `nginx:1`: Debian's nginx, told and stopped as the image of the same name
/// everywhere.
pub(crate) fn nginx() -> Option<PathBuf> {
    kept(NGINX, servers)
}

/// An archive with the image `postgres:1`: Debian's PostgreSQL.
pub(crate) fn postgres() -> Option<PathBuf> {
    kept(POSTGRES, servers)
}

/// Where something is kept, made if need be; `None`, said aloud, where it cannot be.
#[track_caller]
fn kept(name: &str, make: impl FnOnce()) -> Option<PathBuf> {
    static MAKING: Mutex<()> = Mutex::new(());
    peer::peer("debootstrap")?;
    if !peer::root() {
        return None;
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _others_wait = MAKING.lock().expect("who made it before did not fail");
    if !path.exists() {
        make();
    }
    Some(path)
}

/// Puts what is whole in its place.
fn keep(made: &Path) {
    let name = made.file_name().expect("it has a name");
    fs::rename(made, Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)).expect("keep it");
}

/// Both images of servers, of one tree.
fn servers() {
    bootstrap(&["nginx-light", "postgresql"], |root, dir| {
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let save = |name: &str, image: Image, left_out: &[&str], more: Tarball| {
            let tar = dir.join("layer.tar");
            pack(root, &tar, left_out);
            let layer = fs::read(&tar).expect("read the layer");
            let image = image.layer(layer).layer(more.finish());
            fs::write(dir.join(name), image.archive()).expect("write the image");
            keep(&dir.join(name));
        };
        // SIGTERM would cut off whoever is being answered.
        let nginx = json!({ "Env": [path], "Cmd": ["nginx", "-g", "daemon off;"], "StopSignal": "SIGQUIT" });
        let site = Tarball::new()
            .file("etc/nginx/sites-available/default", 0o644, SITE.as_bytes())
            .dir("var/log/nginx/", 0o755)
            .symlink("var/log/nginx/access.log", "/dev/stdout")
            .symlink("var/log/nginx/error.log", "/dev/stderr");
        let left_out = [UNREAD, OF_POSTGRES].concat();
        save(NGINX, Image::new("nginx:1", nginx), &left_out, site);
        // What is in /usr/bin chooses between versions, by a program in Perl.
        let versions = fs::read_dir(root.join("usr/lib/postgresql")).expect("it is installed");
        let version = versions.flatten().next().expect("there is a version");
        let programs = format!("/usr/lib/postgresql/{}/bin:", version.file_name().display());
        let path = path.replace('=', &format!("={programs}"));
        let data = "PGDATA=/var/lib/postgresql/data";
        let postgres =
            json!({ "Env": [path, data], "Cmd": ["start-postgres"], "StopSignal": "SIGINT" });
        let start = Tarball::new().file(
            "usr/local/bin/start-postgres",
            0o755,
            START_POSTGRES.as_bytes(),
        );
        save(POSTGRES, Image::new("postgres:1", postgres), UNREAD, start);
    });
}

/// Hands over a tree with these packages, and the directory it is in.
fn bootstrap(include: &[&str], with: impl FnOnce(&Path, &Path)) {
    let dir = tempfile::Builder::new()
        .prefix("weft-debian-")
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .expect("make a directory for the tree");
    let root = dir.path().join("root");
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let suite = release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .unwrap_or("stable");
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.arg("--variant=minbase");
    if !include.is_empty() {
        debootstrap.arg(format!("--include={}", include.join(",")));
    }
    debootstrap.arg(suite).arg(&root).env_remove("TMPDIR");
    command::run(debootstrap, b"", BOOTSTRAP_MAX).ok();
    with(&root, dir.path());
}

/// A tree as a tar.
fn pack(root: &Path, to: &Path, left_out: &[&str]) {
    let mut tar = Command::new("tar");
    tar.args(["--numeric-owner", "--xattrs"]);
    tar.args(left_out.iter().map(|path| format!("--exclude={path}")));
    tar.arg("-C").arg(root).arg("-cf").arg(to).arg(".");
    command::run(tar, b"", BOOTSTRAP_MAX).ok();
}

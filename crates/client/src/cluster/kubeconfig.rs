//! Kubeconfig: several files make one, flags go before it, and out comes one way in.
//!
//! Owns what of the format is honoured. Never: reads the environment, or takes a part of a chosen
//! entry that it does not act on: such are refused by name.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;

use super::acting::Acting;
use super::error::ApiError;
use super::plugin::Plugin;

/// What flags say.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--context`
    pub context: Option<String>,
    /// `--cluster`
    pub cluster: Option<String>,
    /// `--user`
    pub user: Option<String>,
    /// `--server`
    pub server: Option<String>,
    /// `--tls-server-name`
    pub server_name: Option<String>,
    /// `--namespace`
    pub namespace: Option<String>,
    /// `--token`
    pub token: Option<String>,
    /// `--username`
    pub username: Option<String>,
    /// `--password`
    pub password: Option<String>,
    /// `--certificate-authority`
    pub authority: Option<PathBuf>,
    /// `--client-certificate`
    pub certificate: Option<PathBuf>,
    /// `--client-key`
    pub key: Option<PathBuf>,
    /// `--insecure-skip-tls-verify`
    pub insecure: bool,
    /// `--request-timeout`
    pub timeout: Option<Duration>,
    /// `--as`, `--as-group`, `--as-uid`
    pub acting: Acting,
}

/// Where bytes are.
#[derive(Clone)]
pub enum Material {
    /// In a file of their own.
    File(PathBuf),
    /// In a kubeconfig, behind a key; the how many-th of that key.
    Inside {
        /// The kubeconfig.
        file: PathBuf,
        /// The key.
        key: &'static str,
        /// Counted from 1.
        nth: usize,
        /// They themselves.
        bytes: Zeroizing<Vec<u8>>,
    },
    /// From a plugin; in no file.
    Given {
        /// The variable that stands for them in a command line.
        name: &'static str,
        /// They themselves.
        bytes: Zeroizing<Vec<u8>>,
    },
}

impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Material::File(path) => path.fmt(f),
            Material::Inside { file, key, .. } => write!(f, "{key} in {}", file.display()),
            Material::Given { name, .. } => write!(f, "{name} of the plugin"),
        }
    }
}

impl Material {
    /// The bytes, read now.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn bytes(&self) -> Result<Zeroizing<Vec<u8>>, ApiError> {
        match self {
            Material::Inside { bytes, .. } | Material::Given { bytes, .. } => Ok(bytes.clone()),
            Material::File(path) => std::fs::read(path)
                .map(Zeroizing::new)
                .map_err(|error| unusable(&format!("read {}", path.display()), &error)),
        }
    }
}

/// How the server is told from others.
#[derive(Debug, Clone)]
pub enum Trust {
    /// By these roots.
    Roots(Material),
    /// Not at all.
    Anybody,
}

/// How we prove who we are.
#[derive(Clone)]
pub enum Proof {
    /// Not.
    Nothing,
    /// By a certificate and its key.
    Certificate(Material, Material),
    /// By a token, with the file it was in if it has one.
    Token(Zeroizing<String>, Option<Material>),
    /// By a name and a password.
    Password(String, Zeroizing<String>),
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Proof::Nothing => "Nothing",
            Proof::Certificate(..) => "Certificate",
            Proof::Token(..) => "Token",
            Proof::Password(..) => "Password",
        })
    }
}

/// One way in.
#[derive(Debug, Clone)]
pub struct Access {
    /// `https://host:port`, with a path perhaps, no slash at its end.
    pub server: String,
    /// The host, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// What goes before every path.
    pub prefix: String,
    /// The name its certificate is to have, if not the host.
    pub server_name: Option<String>,
    /// How the server is told.
    pub trust: Trust,
    /// How we are.
    pub proof: Proof,
    /// Who is to be asked for the proof, which is nothing so far.
    pub plugin: Option<Box<Plugin>>,
    /// The namespace of commands that name none.
    pub namespace: String,
    /// The user's name in the kubeconfig.
    pub user: String,
    /// As whom we ask.
    pub acting: Acting,
    /// How long an answer may take.
    pub timeout: Option<Duration>,
}

/// A certificate of a kubeconfig.
#[derive(Debug)]
pub struct Held {
    /// `user`: who asks; `cluster`: what the server is told by.
    pub of: &'static str,
    /// The name of that entry.
    pub name: String,
    /// The certificates.
    pub certificate: Material,
    /// The key of the first of them.
    pub key: Option<Material>,
}

/// A kubeconfig that was read.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    value: Value,
}

pub(super) fn unusable(tried: &str, why: &dyn std::fmt::Display) -> ApiError {
    ApiError::Credentials {
        tried: tried.to_owned(),
        why: why.to_string(),
    }
}

impl File {
    /// Reads the text of a kubeconfig at `path`.
    ///
    /// # Errors
    /// It is no kubeconfig.
    pub fn parse(path: &Path, text: &str) -> Result<File, ApiError> {
        let tried = format!("read kubeconfig {}", path.display());
        let value: Value =
            serde_saphyr::from_str(text).map_err(|error| unusable(&tried, &error))?;
        if !value.is_object() && !value.is_null() {
            return Err(unusable(&tried, &"it is no map"));
        }
        if value.get("kind").is_some_and(|kind| kind != "Config") {
            return Err(unusable(&tried, &"its kind is not Config"));
        }
        let path = path.to_owned();
        Ok(File { path, value })
    }

    /// All certificates it has, whoever they are used by.
    ///
    /// # Errors
    /// One that stands in it is not base64.
    pub fn certificates(&self) -> Result<Vec<Held>, ApiError> {
        let mut found = Vec::new();
        for (list, inner) in [("clusters", "cluster"), ("users", "user")] {
            for (at, whole) in self.entries(list).enumerate() {
                let entry = Entry {
                    file: self,
                    list,
                    inner,
                    at,
                    value: &whole[inner],
                };
                let (certificate, key) = match inner {
                    "cluster" => (entry.authority()?, None),
                    _ => (entry.certificate()?, entry.key()?),
                };
                found.extend(certificate.map(|certificate| Held {
                    of: inner,
                    name: whole["name"].as_str().unwrap_or_default().to_owned(),
                    certificate,
                    key,
                }));
            }
        }
        Ok(found)
    }

    fn entries(&self, list: &str) -> impl Iterator<Item = &Value> {
        self.value[list].as_array().into_iter().flatten()
    }

    /// How often `key` stands before entry `at`.
    fn nth(&self, list: &str, inner: &str, at: usize, key: &str) -> usize {
        let before = self.entries(list).take(at);
        1 + before
            .filter(|entry| entry[inner].get(key).is_some())
            .count()
    }
}

/// An entry of a list, with the file it is in.
pub(super) struct Entry<'a> {
    file: &'a File,
    list: &'static str,
    inner: &'static str,
    at: usize,
    pub(super) value: &'a Value,
}

fn find<'a>(
    files: &'a [File],
    list: &'static str,
    inner: &'static str,
    name: &str,
) -> Result<Entry<'a>, ApiError> {
    for file in files {
        let at = file.entries(list).position(|entry| entry["name"] == name);
        if let Some(at) = at {
            return Ok(Entry {
                file,
                list,
                inner,
                at,
                value: &file.value[list][at][inner],
            });
        }
    }
    let known: Vec<&str> = files
        .iter()
        .flat_map(|file| file.entries(list))
        .filter_map(|entry| entry["name"].as_str())
        .collect();
    let known = match known.is_empty() {
        true => "it has none".to_owned(),
        false => format!("it has {}", known.join(", ")),
    };
    Err(unusable(
        &format!("find {inner} {name:?} in the kubeconfig"),
        &known,
    ))
}

impl Entry<'_> {
    pub(super) fn text(&self, key: &str) -> Option<String> {
        let text = self.value.get(key)?.as_str()?;
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Bytes in a file, which is looked for beside the kubeconfig, or inside of it, which wins.
    fn material(
        &self,
        data: &'static str,
        file: &'static str,
    ) -> Result<Option<Material>, ApiError> {
        if let Some(text) = self.text(data) {
            let place = format!("read {data} of {}", self.file.path.display());
            let bytes = STANDARD
                .decode(text)
                .map_err(|error| unusable(&place, &error))?;
            return Ok(Some(Material::Inside {
                file: self.file.path.clone(),
                key: data,
                nth: self.file.nth(self.list, self.inner, self.at, data),
                bytes: Zeroizing::new(bytes),
            }));
        }
        Ok(self.text(file).map(|path| {
            let base = self.file.path.parent().unwrap_or(Path::new(""));
            Material::File(base.join(path))
        }))
    }

    fn authority(&self) -> Result<Option<Material>, ApiError> {
        self.material("certificate-authority-data", "certificate-authority")
    }

    fn certificate(&self) -> Result<Option<Material>, ApiError> {
        self.material("client-certificate-data", "client-certificate")
    }

    fn key(&self) -> Result<Option<Material>, ApiError> {
        self.material("client-key-data", "client-key")
    }

    fn refuse(&self, keys: &[&str]) -> Result<(), ApiError> {
        let Some(key) = keys.iter().find(|key| self.value.get(**key).is_some()) else {
            return Ok(());
        };
        let tried = format!("use {} in {}", self.inner, self.file.path.display());
        Err(unusable(&tried, &format!("weft does not do {key}")))
    }
}

impl Access {
    /// What `files` say, the first of them first, where `flags` say nothing.
    ///
    /// # Errors
    /// An entry that is named is not there, or holds what is not honoured.
    pub fn resolve(files: &[File], flags: &Overrides) -> Result<Access, ApiError> {
        let named = files
            .iter()
            .find_map(|file| file.value["current-context"].as_str());
        let named = flags
            .context
            .as_deref()
            .or(named)
            .filter(|name| !name.is_empty());
        let context = match named {
            Some(name) => Some(find(files, "contexts", "context", name)?),
            None => None,
        };
        let of_context = |key| context.as_ref().and_then(|context| context.text(key));
        let cluster = match flags.cluster.clone().or_else(|| of_context("cluster")) {
            Some(name) => Some(find(files, "clusters", "cluster", &name)?),
            None => None,
        };
        let user_name = flags.user.clone().or_else(|| of_context("user"));
        let user = match &user_name {
            Some(name) => Some(find(files, "users", "user", name)?),
            None => None,
        };
        let of_cluster = |key| cluster.as_ref().and_then(|cluster| cluster.text(key));
        let server = flags.server.clone().or_else(|| of_cluster("server"));
        let server = server.ok_or_else(|| {
            unusable(
                "find the server",
                &"neither a flag nor a kubeconfig names one",
            )
        })?;
        let (host, port, prefix) = address(&server)?;
        let namespace = flags.namespace.clone().or_else(|| of_context("namespace"));
        let acting = Acting::of(user.as_ref(), &flags.acting)?;
        let proof = proof(user.as_ref(), flags)?;
        // As with kubectl, what stands there is taken before anybody is asked.
        let exec = user.as_ref().filter(|_| matches!(proof, Proof::Nothing));
        let exec = exec.and_then(|user| Some((user, user.value.get("exec")?)));
        let cluster_value = cluster
            .as_ref()
            .map_or(&Value::Null, |cluster| cluster.value);
        let plugin = exec.map(|(user, exec)| Plugin::of(&user.file.path, exec, cluster_value));
        Ok(Access {
            server: server.trim_end_matches('/').to_owned(),
            host,
            port,
            prefix,
            server_name: flags
                .server_name
                .clone()
                .or_else(|| of_cluster("tls-server-name")),
            trust: trust(cluster.as_ref(), flags)?,
            proof,
            plugin: plugin.transpose()?.map(Box::new),
            acting,
            namespace: namespace.unwrap_or_else(|| "default".to_owned()),
            user: user_name.unwrap_or_default(),
            timeout: flags.timeout,
        })
    }
}

fn trust(cluster: Option<&Entry<'_>>, flags: &Overrides) -> Result<Trust, ApiError> {
    if let Some(cluster) = cluster {
        cluster.refuse(&["proxy-url"])?;
    }
    if flags.insecure {
        return Ok(Trust::Anybody);
    }
    if let Some(path) = &flags.authority {
        return Ok(Trust::Roots(Material::File(path.clone())));
    }
    match cluster {
        Some(cluster) if cluster.value["insecure-skip-tls-verify"] == true => Ok(Trust::Anybody),
        Some(cluster) => match cluster.authority()? {
            Some(roots) => Ok(Trust::Roots(roots)),
            None => Err(no_roots()),
        },
        None => Err(no_roots()),
    }
}

fn no_roots() -> ApiError {
    unusable(
        "tell the server from others",
        &"no certificate authority is named: --certificate-authority or a kubeconfig does",
    )
}

fn proof(user: Option<&Entry<'_>>, flags: &Overrides) -> Result<Proof, ApiError> {
    if let Some(token) = &flags.token {
        return Ok(Proof::Token(Zeroizing::new(token.clone()), None));
    }
    if let Some(name) = &flags.username {
        return by_password(name.clone(), flags.password.clone());
    }
    let file = |flag: &Option<PathBuf>| flag.clone().map(Material::File);
    let certificate = match (file(&flags.certificate), user) {
        (None, Some(user)) => user.certificate()?,
        (flag, _) => flag,
    };
    let key = match (file(&flags.key), user) {
        (None, Some(user)) => user.key()?,
        (flag, _) => flag,
    };
    match (certificate, key) {
        (Some(certificate), Some(key)) => return Ok(Proof::Certificate(certificate, key)),
        (Some(_), None) => return Err(unusable("use a client certificate", &"it has no key")),
        (None, Some(_)) => return Err(unusable("use a client key", &"it has no certificate")),
        (None, None) => {}
    }
    let Some(user) = user else {
        return Ok(Proof::Nothing);
    };
    user.refuse(&["auth-provider"])?;
    if let Some(Material::File(path)) = user.material("token", "tokenFile").ok().flatten() {
        let file = Material::File(path);
        let bytes = file.bytes()?;
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        return Ok(Proof::Token(Zeroizing::new(text), Some(file)));
    }
    Ok(match user.text("token") {
        Some(token) => {
            let inside = Material::Inside {
                file: user.file.path.clone(),
                key: "token",
                nth: user.file.nth("users", "user", user.at, "token"),
                bytes: Zeroizing::default(),
            };
            Proof::Token(Zeroizing::new(token), Some(inside))
        }
        None => match user.text("username") {
            Some(name) => by_password(name, user.text("password"))?,
            None => Proof::Nothing,
        },
    })
}

fn by_password(name: String, password: Option<String>) -> Result<Proof, ApiError> {
    match name.contains(':') {
        true => Err(unusable("use a username", &"there is a colon in it")),
        false => Ok(Proof::Password(
            name,
            Zeroizing::new(password.unwrap_or_default()),
        )),
    }
}

/// Host, port and path of an address.
fn address(server: &str) -> Result<(String, u16, String), ApiError> {
    let wrong = |why: &str| unusable(&format!("use the server {server:?}"), &why);
    let rest = server
        .strip_prefix("https://")
        .ok_or_else(|| wrong("its address does not begin with https://"))?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let odd = |c: char| !c.is_ascii_graphic() || "\"'\\?#@".contains(c);
    if authority.is_empty() || rest.contains(odd) {
        return Err(wrong("it is no address like https://host:6443"));
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            let port = port.parse().map_err(|_| wrong("its port is no number"))?;
            (host, port)
        }
        _ => (authority, 443),
    };
    let host = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    Ok((host, port, path.trim_end_matches('/').to_owned()))
}

#[cfg(test)]
mod tests;

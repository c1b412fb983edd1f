//! What a path means.

use std::sync::Arc;

use weft_control::{Kind, Kinds, kinds};

use crate::devices;

/// What is put into a pod that runs, to look around.
pub(crate) const DEBUG: &str = "ephemeralcontainers";

/// A path that is about objects.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) kind: Arc<Kind>,
    /// Empty: all, or the kind is in none.
    pub(crate) namespace: String,
    /// Empty: all of them.
    pub(crate) name: String,
    /// `status`; empty: the object itself.
    pub(crate) subresource: String,
}

impl Target {
    /// Whether it is about objects of this group and plural.
    pub(crate) fn is_of(&self, group: &str, plural: &str) -> bool {
        self.kind.group == group && self.kind.plural == plural
    }

    /// Nothing: the path is about no object, or none of a kind there is.
    pub(crate) fn of(kinds: &Kinds, path: &str) -> Option<Target> {
        let mut parts = path.strip_prefix('/')?.split('/');
        let (group, version) = match parts.next()? {
            "api" => ("", parts.next()?),
            "apis" => (parts.next()?, parts.next()?),
            _ => return None,
        };
        let mut rest: Vec<&str> = parts.collect();
        // What stands behind a proxy is not ours.
        match rest[..] {
            ["namespaces", _, _, _, "proxy", ..] => rest.truncate(5),
            ["nodes", _, "proxy", ..] => rest.truncate(3),
            _ => {}
        }
        let rest: Vec<String> = rest.into_iter().map(decode).collect::<Option<_>>()?;
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        let (namespace, plural, name, subresource) = match rest[..] {
            // The namespace itself, unless it is followed by a kind.
            ["namespaces", name, sub @ ("status" | "finalize")] if group.is_empty() => {
                ("", "namespaces", name, sub)
            }
            ["namespaces", namespace, plural] => (namespace, plural, "", ""),
            ["namespaces", namespace, plural, name] => (namespace, plural, name, ""),
            ["namespaces", namespace, plural, name, sub] => (namespace, plural, name, sub),
            [plural] => ("", plural, "", ""),
            [plural, name] => ("", plural, name, ""),
            [plural, name, sub] => ("", plural, name, sub),
            _ => return None,
        };
        let kind = kinds.find(group, version, plural)?;
        // A device's name is never this: they are asked for beside the devices, as Nanocloud has it.
        let is_asking = (group, plural) == devices::KIND && name == devices::CERTIFICATES;
        let is_asking = is_asking && subresource.is_empty() && !namespace.is_empty();
        let (name, subresource) = match is_asking {
            true => ("", name),
            false => (name, subresource),
        };
        let fits = match kind.is_namespaced {
            // An object is in a namespace; a list may be of all.
            true => !namespace.is_empty() || name.is_empty(),
            false => namespace.is_empty(),
        };
        // What is put into pods is changed by rules of its own.
        let kind = match (group, plural, subresource) {
            ("", "pods", DEBUG) => kinds::debugged_pod(),
            _ => kind,
        };
        fits.then(|| Target {
            kind: Arc::clone(kind),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subresource: subresource.to_owned(),
        })
    }
}

/// Undoes percent-encoding of one step of a path; nothing where it is broken, or empty.
pub(crate) fn decode(step: &str) -> Option<String> {
    if !step.contains('%') {
        return (!step.is_empty()).then(|| step.to_owned());
    }
    let mut bytes = Vec::with_capacity(step.len());
    let mut rest = step.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
                u8::try_from(high? << 4 | low?).ok()?
            }
            other => other,
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_place() {
        let kinds = Kinds::built_in();
        let place = |path: &str| {
            Target::of(&kinds, path).map(|t| {
                let plural = t.kind.plural.to_string();
                [plural, t.namespace, t.name, t.subresource].join(" ")
            })
        };
        for (path, expected) in [
            ("/api/v1/configmaps", Some("configmaps   ")),
            ("/api/v1/namespaces/a/configmaps", Some("configmaps a  ")),
            ("/api/v1/namespaces/%61/configmaps", Some("configmaps a  ")),
            ("/api/v1/namespaces/%+1/configmaps", None),
            ("/api/v1/namespaces/a/configmaps/b", Some("configmaps a b ")),
            ("/api/v1/namespaces", Some("namespaces   ")),
            ("/api/v1/namespaces/a", Some("namespaces  a ")),
            ("/api/v1/namespaces/a/status", Some("namespaces  a status")),
            (
                "/api/v1/namespaces/a%2Eb/configmaps",
                Some("configmaps a.b  "),
            ),
            (
                "/apis/nanocloud.io/v1/namespaces/a/devices/certificates",
                Some("devices a  certificates"),
            ),
            (
                "/apis/nanocloud.io/v1/namespaces/a/devices/device-1",
                Some("devices a device-1 "),
            ),
            (
                "/api/v1/namespaces/a/pods/http:b:80/proxy/c//d/",
                Some("pods a http:b:80 proxy"),
            ),
            ("/api/v1/nodes/b/proxy/", Some("nodes  b proxy")),
            ("/api/v1/namespaces/a/pods/b/log", Some("pods a b log")),
            ("/api/v1/namespaces/a/pods/b/log/c", None),
            ("/apis/nanocloud.io/v1/devices/certificates", None),
            ("/api/v1/configmaps/b", None),
            ("/api/v1/namespaces/a/namespaces", None),
            ("/api/v1/namespaces//configmaps", None),
            ("/api/v1/namespaces/a/configmaps/", None),
            ("/api/v2/configmaps", None),
            ("/apis/v1/configmaps", None),
            ("/api/v1/namespaces/a/nothings", None),
            ("/api/v1/namespaces/%zz/configmaps", None),
        ] {
            assert_eq!(place(path).as_deref(), expected, "{path}");
        }
    }
}

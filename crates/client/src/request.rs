//! Requests as values: method, path, query, headers and body, built without a connection.
//!
//! Owns escaping and the curl rendering. Never does I/O.

use std::path::Path;

use bytes::Bytes;
use http::Method;
use serde::Serialize;

/// One request to the Engine API.
#[derive(Debug, Clone)]
pub struct Request {
    /// What the request is for, in words: goes into errors.
    pub what: String,
    /// HTTP method.
    pub method: Method,
    /// Path with its query, already escaped.
    pub target: String,
    /// Extra headers.
    pub headers: Vec<(&'static str, String)>,
    /// Body held in memory; streamed bodies are given to the transport apart.
    pub body: Option<Bytes>,
    has_query: bool,
}

impl Request {
    /// A request whose path is made of `segments`, each escaped; only below `/images` may a
    /// segment (an image's name) hold slashes of its own.
    pub fn new(method: Method, what: impl Into<String>, segments: &[&str]) -> Request {
        let slashes = segments.first() == Some(&"images");
        let mut target = String::with_capacity(64);
        for segment in segments {
            target.push('/');
            escape(segment, slashes, &mut target);
        }
        Request {
            what: what.into(),
            method,
            target,
            headers: Vec::new(),
            body: None,
            has_query: false,
        }
    }

    /// A request whose path is escaped already, with a query perhaps.
    pub fn as_it_is(method: Method, what: impl Into<String>, target: &str) -> Request {
        let mut request = Request::new(method, what, &[]);
        request.has_query = target.contains('?');
        target.clone_into(&mut request.target);
        request
    }

    /// A GET.
    pub fn get(what: impl Into<String>, segments: &[&str]) -> Request {
        Request::new(Method::GET, what, segments)
    }

    /// A POST.
    pub fn post(what: impl Into<String>, segments: &[&str]) -> Request {
        Request::new(Method::POST, what, segments)
    }

    /// A DELETE.
    pub fn delete(what: impl Into<String>, segments: &[&str]) -> Request {
        Request::new(Method::DELETE, what, segments)
    }

    /// Adds `key=value`.
    #[must_use]
    pub fn query(mut self, key: &str, value: &str) -> Request {
        self.target.push(if self.has_query { '&' } else { '?' });
        self.has_query = true;
        escape(key, true, &mut self.target);
        self.target.push('=');
        escape(value, true, &mut self.target);
        self
    }

    /// Adds `key=value` when there is a value.
    #[must_use]
    pub fn query_opt(self, key: &str, value: Option<&str>) -> Request {
        match value {
            Some(value) => self.query(key, value),
            None => self,
        }
    }

    /// Adds `key=1` when set: how docker spells booleans.
    #[must_use]
    pub fn flag(self, key: &str, set: bool) -> Request {
        if set { self.query(key, "1") } else { self }
    }

    /// Adds `key=true` when set: how Kubernetes spells booleans.
    #[must_use]
    pub fn query_true(self, key: &str, set: bool) -> Request {
        if set { self.query(key, "true") } else { self }
    }

    /// Adds docker's `filters` parameter unless it is empty.
    #[must_use]
    pub fn filters(self, filters: &Filters) -> Request {
        if filters.0.is_empty() {
            return self;
        }
        let json = serde_json::to_string(&filters.0).expect("maps of strings always encode");
        self.query("filters", &json)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Request {
        self.headers.push((name, value.into()));
        self
    }

    /// Sets a JSON body.
    #[must_use]
    pub fn json<T: Serialize + ?Sized>(mut self, body: &T) -> Request {
        let bytes = serde_json::to_vec(body).expect("api types have string keys only");
        self.body = Some(Bytes::from(bytes));
        self.header("content-type", "application/json")
    }

    /// Sets a body of a media type.
    #[must_use]
    pub fn body(mut self, media: &str, body: impl Into<Bytes>) -> Request {
        self.body = Some(body.into());
        self.header("content-type", media)
    }

    /// The same request as a command line for a shell.
    ///
    /// `$NAME` in the path stays as it is, so that several lines can build on each other.
    pub fn curl(&self, socket: &Path) -> String {
        let socket = quote(&socket.to_string_lossy());
        self.curl_to(&format!("--unix-socket {socket}"), "http://weft")
    }

    /// The same with `options`, ready for a shell, to what is served at `base`.
    pub(crate) fn curl_to(&self, options: &str, base: &str) -> String {
        let mut line = format!("curl -sS {options}");
        if self.method != Method::GET {
            line.push_str(" -X ");
            line.push_str(self.method.as_str());
        }
        for (name, value) in &self.headers {
            line.push_str(" -H ");
            line.push_str(&quote(&format!("{name}: {value}")));
        }
        if let Some(body) = &self.body {
            line.push_str(if body.contains(&b'\n') {
                " --data-binary "
            } else {
                " -d "
            });
            line.push_str(&quote(&String::from_utf8_lossy(body)));
        }
        let target = self.target.replace("%24ID", "$ID");
        if target.contains("$ID") {
            line.push_str(&format!(" \"{base}{target}\""));
        } else {
            line.push(' ');
            line.push_str(&quote(&format!("{base}{target}")));
        }
        line
    }
}

/// Docker's filter map: key to any number of values.
#[derive(Debug, Clone, Default)]
pub struct Filters(std::collections::BTreeMap<String, Vec<String>>);

impl Filters {
    /// Adds one value.
    pub fn add(&mut self, key: &str, value: &str) {
        self.0
            .entry(key.to_owned())
            .or_default()
            .push(value.to_owned());
    }

    /// Whether nothing is filtered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Percent-escapes everything but RFC 3986's unreserved characters, `:` and, when asked, `/`.
fn escape(text: &str, slashes: bool, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in text.as_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => {
                out.push(char::from(byte));
            }
            b'/' if slashes => out.push('/'),
            _ => {
                out.push('%');
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
}

/// Quotes for a POSIX shell when needed.
pub(crate) fn quote(text: &str) -> String {
    let plain = !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._/:=@%+,".contains(&b));
    if plain {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_escaped() {
        let mut filters = Filters::default();
        filters.add("label", "a=b c");
        let request = Request::get("x", &["containers", "a b?&"])
            .query("signal", "RT+1")
            .flag("all", true)
            .flag("size", false)
            .filters(&filters);
        assert_eq!(
            Request::get("x", &["containers", "../a"]).target,
            "/containers/..%2Fa"
        );
        assert_eq!(
            Request::get("x", &["images", "a/b:1", "json"]).target,
            "/images/a/b:1/json"
        );
        assert_eq!(
            request.target,
            "/containers/a%20b%3F%26?signal=RT%2B1&all=1&filters=%7B%22label%22:%5B%22a%3Db%20c%22%5D%7D"
        );
    }

    #[test]
    fn curl_lines_can_be_pasted() {
        let request = Request::post("create", &["containers", "create"])
            .json(&serde_json::json!({"Cmd": ["echo", "it's"]}));
        assert_eq!(
            request.curl(Path::new("/run/weft/engine.sock")),
            r#"curl -sS --unix-socket /run/weft/engine.sock -X POST -H 'content-type: application/json' -d '{"Cmd":["echo","it'\''s"]}' http://weft/containers/create"#
        );
        let start = Request::post("start", &["containers", "$ID", "start"]);
        assert_eq!(
            start.curl(Path::new("/s")),
            r#"curl -sS --unix-socket /s -X POST "http://weft/containers/$ID/start""#
        );
    }
}

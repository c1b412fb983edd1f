//! Rules of an ingress, as they are typed.
//!
//! ```text
//!   shop.example/api*=api:8080,tls=cert
//!   ─host──────┘└path┘ └backend┘ └secret
//! ```
//! Owns the grammar, and that rules which contradict one another are refused. Never: which services
//! and secrets there are.

use serde_json::{Map, Value, json};
use weft_stdx::names;

/// Longest name of a port (RFC 6335).
const PORT_NAME_MAX: usize = 15;

/// One rule.
#[derive(Debug, PartialEq, Eq)]
struct Rule<'a> {
    /// Any host, where it is empty.
    host: &'a str,
    path: &'a str,
    /// What is below the path is meant as well.
    is_prefix: bool,
    backend: &'a str,
    /// Encryption is asked for; with the certificate of this secret, if one is named.
    tls: Option<&'a str>,
}

/// The fields `rules` and `tls` of an ingress.
pub fn spec(rules: &[String]) -> Result<Value, String> {
    let mut hosts: Vec<(&str, Vec<Value>)> = Vec::new();
    let mut encrypted = Encrypted::default();
    for text in rules {
        let wrong = |why: &str| {
            format!(
                "rule {text} is invalid and should be in format host/path=svcname:svcport[,tls[=secret]]: {why}"
            )
        };
        let rule = Rule::parse(text).map_err(|why| wrong(&why))?;
        let path = rule.path().map_err(|why| wrong(&why))?;
        match hosts.iter_mut().find(|(host, _)| *host == rule.host) {
            Some((_, paths)) => paths.push(path),
            None => hosts.push((rule.host, vec![path])),
        }
        encrypted.add(&rule).map_err(|why| wrong(&why))?;
    }
    let rules = hosts.into_iter().map(|(host, paths)| {
        let mut rule = json!({ "http": { "paths": paths } });
        if !host.is_empty() {
            rule["host"] = host.into();
        }
        rule
    });
    let rules: Vec<Value> = rules.collect();
    let mut spec = Map::new();
    if !rules.is_empty() {
        spec.insert("rules".to_owned(), rules.into());
    }
    let tls = encrypted.into_value();
    if !tls.is_empty() {
        spec.insert("tls".to_owned(), tls.into());
    }
    Ok(spec.into())
}

impl<'a> Rule<'a> {
    fn parse(text: &'a str) -> Result<Rule<'a>, String> {
        let (place, rest) = text.split_once('=').ok_or("it has no =")?;
        let slash = place.find('/').ok_or("it has no path; / means all")?;
        let (host, path) = place.split_at(slash);
        let name = host.strip_prefix("*.").unwrap_or(host);
        if !host.is_empty() {
            names::dns_subdomain(name).map_err(|why| format!("host {host:?}: {why}"))?;
        }
        if path.contains(',') {
            return Err("its path has a comma".to_owned());
        }
        let (backend, how) = match rest.split_once(',') {
            Some((backend, how)) => (backend, Some(how)),
            None => (rest, None),
        };
        let tls = how.map(|how| match how {
            "tls" | "tls=" => Ok(""),
            how => match how.strip_prefix("tls=") {
                Some(secret) => names::dns_subdomain(secret)
                    .map(|()| secret)
                    .map_err(|why| format!("secret {secret:?}: {why}")),
                None => Err(format!("{how:?} is neither tls nor tls=SECRET")),
            },
        });
        Ok(Rule {
            host,
            path: path.strip_suffix('*').unwrap_or(path),
            is_prefix: path.ends_with('*'),
            backend,
            tls: tls.transpose()?,
        })
    }

    fn path(&self) -> Result<Value, String> {
        let how = match self.is_prefix {
            true => "Prefix",
            false => "Exact",
        };
        Ok(json!({ "path": self.path, "pathType": how, "backend": backend(self.backend)? }))
    }
}

/// Who is encrypted with which secret's certificate; none: with the ingress class's own.
#[derive(Default)]
struct Encrypted<'a>(Vec<(&'a str, Vec<&'a str>)>);

impl<'a> Encrypted<'a> {
    fn add(&mut self, rule: &Rule<'a>) -> Result<(), String> {
        let (host, Some(secret)) = (rule.host, rule.tls) else {
            return Ok(());
        };
        if host.is_empty() && secret.is_empty() {
            return Err("tls without a host is to name a secret".to_owned());
        }
        let before = self.0.iter().find(|(_, hosts)| hosts.contains(&host));
        match before {
            Some((known, _)) if *known == secret || secret.is_empty() => return Ok(()),
            Some(_) => return Err("another rule has another secret for its host".to_owned()),
            None => {}
        }
        match self.0.iter_mut().find(|(known, _)| *known == secret) {
            Some((_, hosts)) => hosts.push(host),
            None => self.0.push((secret, vec![host])),
        }
        Ok(())
    }

    fn into_value(self) -> Vec<Value> {
        let one = |(secret, hosts): (&str, Vec<&str>)| {
            let hosts: Vec<&str> = hosts.into_iter().filter(|host| !host.is_empty()).collect();
            let mut one = Map::new();
            if !hosts.is_empty() {
                one.insert("hosts".to_owned(), hosts.into());
            }
            if !secret.is_empty() {
                one.insert("secretName".to_owned(), secret.into());
            }
            one.into()
        };
        self.0.into_iter().map(one).collect()
    }
}

/// `SERVICE:PORT`
pub fn backend(text: &str) -> Result<Value, String> {
    let (service, port) = text
        .split_once(':')
        .ok_or_else(|| format!("{text:?} is no SERVICE:PORT"))?;
    names::dns_1035(service).map_err(|why| format!("service {service:?}: {why}"))?;
    let wrong = |why: &str| format!("port {port:?}: {why}");
    let is_number = !port.is_empty() && port.chars().all(|c| c.is_ascii_digit());
    let port = match port.parse::<u16>() {
        Ok(number) if is_number && number > 0 => json!({ "number": number }),
        _ if is_number => return Err(wrong("must be between 1 and 65535, inclusive")),
        _ => {
            port_name(port).map_err(wrong)?;
            json!({ "name": port })
        }
    };
    Ok(json!({ "service": { "name": service, "port": port } }))
}

/// Why `name` is no name of a port (RFC 6335, section 5.1).
pub fn port_name(name: &str) -> Result<(), &'static str> {
    let is_known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.len() > PORT_NAME_MAX {
        return Err("must be no more than 15 characters");
    }
    if !name.chars().all(is_known) {
        return Err("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
    }
    if !name.chars().any(|c| c.is_ascii_lowercase()) {
        return Err("must contain at least one letter (a-z)");
    }
    if name.starts_with('-') || name.ends_with('-') || name.contains("--") {
        return Err("must not contain consecutive hyphens, nor begin or end with a hyphen");
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn made(rules: &[&str]) -> Result<Value, String> {
        let rules: Vec<String> = rules.iter().map(|rule| (*rule).to_owned()).collect();
        spec(&rules)
    }

    #[test]
    fn rules_are_read() {
        let rule = |text| Rule::parse(text).unwrap();
        let plain = Rule {
            host: "a.b",
            path: "/c",
            is_prefix: false,
            backend: "s:80",
            tls: None,
        };
        assert_eq!(rule("a.b/c=s:80"), plain);
        assert_eq!(
            rule("*.a.b/*=s:http,tls=x.y"),
            Rule {
                host: "*.a.b",
                path: "/",
                is_prefix: true,
                backend: "s:http",
                tls: Some("x.y"),
            }
        );
        assert_eq!(rule("/a*b/ä c=s:80,tls").path, "/a*b/ä c");
        assert_eq!(rule("a/b**=s:80,tls=").path, "/b*");
        assert_eq!(rule("a/b=s:80,tls=").tls, Some(""));
    }

    #[test]
    fn hosts_and_secrets_come_together() {
        let found = made(&[
            "b/x=s:80,tls=one",
            "a/x=s:http,tls=one",
            "b/y*=s:80,tls",
            "/z=s:80",
            "c/x=s:80,tls",
            "d/x=s:80,tls",
        ])
        .unwrap();
        let path = |path: &str, how: &str, port: Value| {
            json!({ "path": path, "pathType": how,
                "backend": { "service": { "name": "s", "port": port } } })
        };
        let number = || json!({ "number": 80 });
        let one = || json!({ "paths": [path("/x", "Exact", number())] });
        assert_eq!(
            found,
            json!({
                "rules": [
                    { "host": "b", "http": { "paths": [
                        path("/x", "Exact", number()), path("/y", "Prefix", number())] } },
                    { "host": "a", "http": { "paths": [path("/x", "Exact", json!({ "name": "http" }))] } },
                    { "http": { "paths": [path("/z", "Exact", number())] } },
                    { "host": "c", "http": one() },
                    { "host": "d", "http": one() },
                ],
                "tls": [{ "hosts": ["b", "a"], "secretName": "one" }, { "hosts": ["c", "d"] }],
            })
        );
        let found = made(&["/a=s:80,tls=x", "b/a=s:80,tls=x", "/c=s:80,tls=x"]).unwrap();
        assert_eq!(found["tls"], json!([{ "hosts": ["b"], "secretName": "x" }]));
        let found = made(&["/a=s:80,tls=x"]).unwrap();
        assert_eq!(found["tls"], json!([{ "secretName": "x" }]));
        assert_eq!(made(&[]).unwrap(), json!({}));
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for (rule, why) in [
            ("", "it has no ="),
            ("a", "it has no ="),
            ("a/b", "it has no ="),
            ("a=s:80", "it has no path"),
            ("=", "it has no path"),
            ("*=s:80", "it has no path"),
            ("A/b=s:80", "host \"A\": a lowercase RFC 1123 subdomain"),
            ("a b/b=s:80", "host \"a b\""),
            ("a:8/b=s:80", "host \"a:8\""),
            ("ä/b=s:80", "host \"ä\""),
            ("*/b=s:80", "host \"*\""),
            ("a.*/b=s:80", "host \"a.*\""),
            (" a/b=s:80", "host \" a\""),
            ("a/b,c=s:80", "its path has a comma"),
            ("a/b=s", "\"s\" is no SERVICE:PORT"),
            ("a/b=", "\"\" is no SERVICE:PORT"),
            ("a/b=:80", "service \"\""),
            ("a/b=S:80", "service \"S\""),
            ("a/b=s.t:80", "service \"s.t\""),
            ("a/b=c=s:80", "service \"c=s\""),
            ("a/b=s:", "port \"\""),
            ("a/b=s:0", "port \"0\": must be between 1 and 65535"),
            ("a/b=s:65536", "port \"65536\": must be between 1 and 65535"),
            ("a/b=s:99999999999999999999", "must be between 1 and 65535"),
            ("a/b=s:-1", "port \"-1\": must contain at least one letter"),
            ("a/b=s:+80", "port \"+80\""),
            ("a/b=s:80 ", "port \"80 \""),
            ("a/b=s:HTTP", "port \"HTTP\""),
            ("a/b=s:80:81", "port \"80:81\""),
            ("a/b=s:a--b", "must not contain consecutive hyphens"),
            ("a/b=s:80,", "\"\" is neither tls nor tls=SECRET"),
            ("a/b=s:80,tlsx", "\"tlsx\" is neither"),
            ("a/b=s:80,TLS=x", "\"TLS=x\" is neither"),
            ("a/b=s:80, tls=x", "\" tls=x\" is neither"),
            ("a/b=s:80,foo=x", "\"foo=x\" is neither"),
            ("a/b=s:80,tls=x,tls=y", "secret \"x,tls=y\""),
            ("a/b=s:80,tls=x=y", "secret \"x=y\""),
            ("a/b=s:80,tls=X_", "secret \"X_\""),
            ("/b=s:80,tls", "tls without a host is to name a secret"),
        ] {
            let said = made(&[rule]).unwrap_err();
            assert!(said.contains(why), "{rule}: {said}");
            let start = format!("rule {rule} is invalid and should be in format host/path=");
            assert!(said.starts_with(&start), "{rule}: {said}");
        }
        for two in [
            ["a/b=s:80,tls=x", "a/c=s:80,tls=y"],
            ["a/b=s:80,tls", "a/c=s:80,tls=y"],
            ["/b=s:80,tls=x", "/c=s:80,tls=y"],
        ] {
            let said = made(&two).unwrap_err();
            assert!(said.contains("another secret for its host"), "{said}");
        }
    }
}

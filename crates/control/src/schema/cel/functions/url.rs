//! Addresses of the web: `url('https://a.b/c').getHost()`.
//!
//! Owns: which texts are one, as Go's `url.ParseRequestURI` says: absolute, or a path.

use super::super::types::{BOOL, MAP, TEXT, URL};
use super::super::value::Val;
use super::super::{Fail, Run};
use super::{Function, Gives, global, member, wrong};

#[derive(Debug, PartialEq)]
pub(in crate::schema) struct Url {
    scheme: String,
    host: String,
    path: String,
    query: String,
}

pub(super) const ALL: &[Function] = &[
    global("url", &[TEXT], Gives::Is(URL), |run, on| {
        let url = read(run, &on[0])?;
        let url = url.ok_or_else(|| Fail::new("a string that is no URL"))?;
        Ok(Val::Url(url.into()))
    }),
    global("isURL", &[TEXT], Gives::Is(BOOL), |run, on| {
        Ok(Val::Bool(read(run, &on[0])?.is_some()))
    }),
    member("getScheme", &[URL], Gives::Is(TEXT), |run, on| {
        part(run, on, |url| &url.scheme)
    }),
    member("getHost", &[URL], Gives::Is(TEXT), |run, on| {
        part(run, on, |url| &url.host)
    }),
    member("getHostname", &[URL], Gives::Is(TEXT), |run, on| {
        part(run, on, |url| named(&url.host).0)
    }),
    member("getPort", &[URL], Gives::Is(TEXT), |run, on| {
        part(run, on, |url| named(&url.host).1)
    }),
    member("getEscapedPath", &[URL], Gives::Is(TEXT), |run, on| {
        part(run, on, |url| &url.path)
    }),
    member("getQuery", &[URL], Gives::Is(MAP), query),
];

fn read(run: &mut Run, value: &Val<'_>) -> Result<Option<Url>, Fail> {
    let Val::Text(text) = value else {
        return Ok(None);
    };
    run.spend_text(text.len() * 4)?;
    Ok(parse(text))
}

fn parse(text: &str) -> Option<Url> {
    let is_odd = |c: char| c.is_ascii_control() || c == ' ';
    if text.contains(is_odd) || !is_escaped(text) {
        return None;
    }
    let (scheme, rest) = match text.split_once(':') {
        _ if text.starts_with('/') => ("", text),
        Some((scheme, rest)) if is_scheme(scheme) => (scheme, rest),
        _ => return None,
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, path) = match rest.strip_prefix("//") {
        Some(rest) if !scheme.is_empty() => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            // A name and a password come before it.
            (host.rsplit_once('@').map_or(host, |(_, host)| host), path)
        }
        _ if rest.starts_with('/') => ("", rest),
        // `mailto:ann`: it has no path.
        _ => ("", ""),
    };
    if !is_host(host) || (scheme.is_empty() && path.is_empty()) {
        return None;
    }
    Some(Url {
        scheme: scheme.to_ascii_lowercase(),
        host: host.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
    })
}

fn is_scheme(scheme: &str) -> bool {
    let is_right = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(is_right)
}

/// Whether two digits follow each per cent sign.
fn is_escaped(text: &str) -> bool {
    let path = text.split('?').next().unwrap_or_default();
    path.split('%').skip(1).all(|after| {
        let digits = after.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

fn is_host(host: &str) -> bool {
    let (name, port) = named(host);
    let is_bracketed = host.starts_with('[');
    let is_right = |c: char| {
        c.is_alphanumeric()
            || matches!(c, '-' | '.' | '_' | '~' | '%' | '!' | '$' | '&' | '\'')
            || matches!(c, '(' | ')' | '*' | '+' | ',' | ';' | '=')
            || (is_bracketed && c == ':')
    };
    let rest = match is_bracketed {
        true => host.split_once(']').map(|(_, rest)| rest),
        false => Some(host.strip_prefix(name).unwrap_or_default()),
    };
    name.chars().all(is_right)
        && port.chars().all(|c| c.is_ascii_digit())
        && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

/// A host's name and port.
fn named(host: &str) -> (&str, &str) {
    if let Some((name, rest)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (name, rest.strip_prefix(':').unwrap_or_default());
    }
    host.split_once(':').unwrap_or((host, ""))
}

fn part<'a>(run: &mut Run, on: &[Val<'a>], of: fn(&Url) -> &str) -> Result<Val<'a>, Fail> {
    match &on[0] {
        Val::Url(url) => {
            let text = of(url);
            run.spend_text(text.len())?;
            Ok(Val::text(text))
        }
        _ => wrong(),
    }
}

fn query<'a>(run: &mut Run, on: &[Val<'a>]) -> Result<Val<'a>, Fail> {
    let Val::Url(url) = &on[0] else {
        return wrong();
    };
    run.spend(url.query.len() as u64)?;
    let mut made: Vec<(String, Vec<Val<'a>>)> = Vec::new();
    for pair in url.query.split('&').filter(|pair| !pair.is_empty()) {
        run.spend(made.len() as u64)?;
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (unescaped(name), Val::text(unescaped(value)));
        match made.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => made.push((name, vec![value])),
        }
    }
    let made = made.into_iter();
    let made = made.map(|(name, values)| (Val::text(name), Val::List(values.into())));
    Ok(Val::Map(made.collect()))
}

fn unescaped(text: &str) -> String {
    let mut made = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes().iter();
    while let Some(&byte) = bytes.next() {
        let digits = bytes.as_slice().get(..2).filter(|_| byte == b'%');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        made.push(match (byte, escaped) {
            (b'+', _) => b' ',
            (_, Some(escaped)) => {
                bytes.nth(1);
                escaped
            }
            (byte, None) => byte,
        });
    }
    String::from_utf8_lossy(&made).into_owned()
}

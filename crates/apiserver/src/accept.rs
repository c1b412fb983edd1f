//! What a client accepts (RFC 9110, 12.5.1), and what of that it is given.
//!
//! Owns: the order of preference, and the parameters Kubernetes' clients ask with: `as`, `g` and `v`
//! (what is made of objects), `stream`, `sv`, `pretty`. Never: makes it; protobuf is not written.

use std::cmp::Reverse;

use http::HeaderMap;
use http::header::ACCEPT;
use serde_json::Value;
use weft_control::{Failure, Reason};
use weft_stdx::yaml;

use crate::query::Query;

/// How JSON is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Json,
    /// For people.
    Pretty,
    Yaml,
}

/// What objects and what is said about them can be had in; what clients do not choose by is the
/// first.
pub(crate) const OBJECTS: [Encoding; 2] = [Encoding::Json, Encoding::Yaml];
/// The same of what goes on.
pub(crate) const STREAMS: [Encoding; 1] = [Encoding::Json];

impl Encoding {
    pub(crate) fn media(self) -> &'static str {
        match self {
            Encoding::Json | Encoding::Pretty => "application/json",
            Encoding::Yaml => "application/yaml",
        }
    }

    pub(crate) fn text(self, value: &Value) -> String {
        match self {
            Encoding::Json => value.to_string(),
            Encoding::Pretty => format!("{value:#}\n"),
            Encoding::Yaml => yaml::document(value),
        }
    }
}

/// One kind of answer somebody accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// `application/json`, `application/*`, `*/*`; in small letters.
    media: String,
    params: Vec<(String, String)>,
    /// In thousandths.
    weight: u16,
}

impl Range {
    /// Nothing: it means no answer.
    fn parse(text: &str) -> Option<Range> {
        let mut parts = split(text, ';').map(str::trim);
        let media = parts.next()?.to_ascii_lowercase();
        media.split_once('/').filter(|(kind, sub)| {
            let whole = !kind.is_empty() && !sub.is_empty();
            whole && (*kind != "*" || *sub == "*")
        })?;
        let (mut params, mut weight) = (Vec::new(), 1000);
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (name.trim(), unquoted(value.trim()));
            if name.eq_ignore_ascii_case("q") {
                weight = weight_of(&value);
            } else {
                params.push((name.to_owned(), value));
            }
        }
        let range = Range {
            media,
            params,
            weight,
        };
        (weight > 0).then_some(range)
    }

    /// How much of it is left open.
    fn openness(&self) -> usize {
        self.media.matches('*').count()
    }

    fn means(&self, media: &str) -> bool {
        self.media == "*/*"
            || self.media == media
            || self.media.strip_suffix('*').is_some_and(|kind| {
                // `application/`
                media.starts_with(kind)
            })
    }

    /// A parameter; empty where it is absent.
    pub(crate) fn param(&self, name: &str) -> &str {
        let found = self.params.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }

    /// Whether it asks for objects to be made into something else.
    pub(crate) fn converts(&self) -> bool {
        ["as", "g", "v"]
            .iter()
            .any(|name| self.params.iter().any(|(key, _)| key == name))
    }

    /// Whether it asks for what can be had in this encoding: the stream of a watch, general
    /// answers in the one version they have.
    fn fits(&self, encoding: Encoding) -> bool {
        let stream = self.param("stream");
        let streams = stream == "watch" && encoding != Encoding::Yaml;
        (stream.is_empty() || streams) && matches!(self.param("sv"), "" | "v1")
    }
}

/// Pieces of a text between separators that do not stand in quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |letter| {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ => return letter == separator && !is_quoted,
        }
        false
    })
}

fn unquoted(text: &str) -> String {
    let within = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    within.map_or_else(|| text.to_owned(), |text| text.replace('\\', ""))
}

/// `0.7`; what is none counts as 1, as upstream.
fn weight_of(text: &str) -> u16 {
    let weight: Option<f32> = text.parse().ok();
    let weight = weight.filter(|weight| (0.0..=1.0).contains(weight));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is from 0 to 1"
    )]
    weight.map_or(1000, |weight| (weight * 1000.0).round() as u16)
}

/// All that somebody accepts, what they prefer first.
#[derive(Clone, Debug)]
pub(crate) struct Accept(Vec<Range>);

impl Accept {
    pub(crate) fn of(head: &HeaderMap) -> Accept {
        let values = head.get_all(ACCEPT).iter();
        let texts: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
        let all = texts.join(",");
        let all = if all.trim().is_empty() { "*/*" } else { &all };
        let mut ranges: Vec<Range> = split(all, ',').filter_map(Range::parse).collect();
        ranges.sort_by_key(|range| (Reverse(range.weight), range.openness()));
        Accept(ranges)
    }

    /// Whether this media type will do.
    pub(crate) fn takes(&self, media: &str) -> bool {
        self.0.iter().any(|range| range.means(media))
    }

    /// The first that can be had, in which encoding, and what `wanted` says of it: nothing, if it
    /// cannot be had that way.
    ///
    /// # Errors
    /// There is none: 406.
    pub(crate) fn choose<T>(
        &self,
        query: &Query,
        offers: &[Encoding],
        wanted: impl Fn(&Range) -> Option<T>,
    ) -> Result<(Encoding, T), Failure> {
        for range in &self.0 {
            let mut offers = offers.iter().filter(|offer| range.means(offer.media()));
            let offer = offers.find(|offer| range.fits(**offer));
            if let Some((offer, wanted)) = offer.zip(wanted(range)) {
                let is_pretty = match query.text("pretty") {
                    "" => range.param("pretty") == "1",
                    said => matches!(said, "1" | "t" | "T" | "true" | "TRUE" | "True"),
                };
                return match (*offer, is_pretty) {
                    (Encoding::Json, true) => Ok((Encoding::Pretty, wanted)),
                    (offer, _) => Ok((offer, wanted)),
                };
            }
        }
        Err(not_acceptable(offers.iter().map(|offer| offer.media())))
    }

    /// The encoding of what is said about a request that failed: JSON where nothing else will do.
    pub(crate) fn encoding(&self, query: &Query) -> Encoding {
        let found = self.choose(query, &OBJECTS, |_| Some(()));
        found.map_or(Encoding::Json, |(encoding, ())| encoding)
    }
}

/// Nothing there is will do.
pub(crate) fn not_acceptable<'a>(offers: impl Iterator<Item = &'a str>) -> Failure {
    let offers = offers.collect::<Vec<_>>().join(", ");
    let message = format!("only the following media types are accepted: {offers}");
    Failure::new(Reason::NotAcceptable, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(text: &str) -> Accept {
        let mut head = HeaderMap::new();
        head.insert(ACCEPT, text.parse().unwrap());
        Accept::of(&head)
    }

    #[test]
    fn ranges_stand_in_the_order_of_preference() {
        for (text, order) in [
            ("a/b", "a/b"),
            ("a/b;q=0.2, c/d;q=0.9,e/f", "e/f c/d a/b"),
            ("*/*,a/*,A/B;x=y", "a/b a/* */*"),
            ("a/b;q=0,c/d", "c/d"),
            ("a/b;q=x,c/d;q=0.5", "a/b c/d"),
            ("a/b;q=7;q=0.001,c/d;q=NaN", "c/d a/b"),
            ("*/b,a,/,a/,,c/d", "c/d"),
            ("", "*/*"),
        ] {
            let found = accept(text).0;
            let found: Vec<&str> = found.iter().map(|range| range.media.as_str()).collect();
            assert_eq!(found.join(" "), order, "{text}");
        }
        assert_eq!(Accept::of(&HeaderMap::new()).0[0].media, "*/*");
    }

    #[test]
    fn parameters_are_read_as_they_are_quoted() {
        let found = accept(r#"a/b; as = Table ;g="x,y;\"z" ; bare,c/d"#).0;
        assert_eq!(found.len(), 2);
        for (name, value) in [("as", "Table"), ("g", "x,y;\"z"), ("bare", ""), ("v", "")] {
            assert_eq!(found[0].param(name), value, "{name}");
        }
        assert!(found[0].converts() && !found[1].converts());
    }

    #[test]
    fn what_can_be_had_is_chosen() {
        let (json, yaml, pretty) = (Encoding::Json, Encoding::Yaml, Encoding::Pretty);
        for (text, offers, expected) in [
            ("*/*", &OBJECTS[..], Some(json)),
            ("application/*", &OBJECTS, Some(json)),
            ("application/yaml", &OBJECTS, Some(yaml)),
            (
                "application/json;q=0.5,application/yaml",
                &OBJECTS,
                Some(yaml),
            ),
            ("application/yaml", &STREAMS, None),
            ("application/yaml,application/json", &STREAMS, Some(json)),
            ("application/vnd.kubernetes.protobuf", &OBJECTS, None),
            (
                "application/vnd.kubernetes.protobuf,application/json",
                &OBJECTS,
                Some(json),
            ),
            ("application/json;stream=watch", &STREAMS, Some(json)),
            ("application/json;stream=other", &OBJECTS, None),
            ("application/yaml;stream=watch", &OBJECTS, None),
            ("*/*;sv=v2", &OBJECTS, None),
            ("application/json;pretty=1", &OBJECTS, Some(pretty)),
            ("application/yaml;pretty=1", &OBJECTS, Some(yaml)),
            (
                "text/html,application/xml;q=0.9,*/*;q=0.8",
                &OBJECTS,
                Some(json),
            ),
            ("text/plain", &OBJECTS, None),
        ] {
            let found = accept(text).choose(&Query::default(), offers, |_| Some(()));
            let found = found.map(|(encoding, ())| encoding);
            assert_eq!(found.ok(), expected, "{text}");
        }
        let query = |text: &str| Query::of(&format!("/?pretty={text}").parse().unwrap());
        let all = accept("application/json;pretty=1");
        assert_eq!(all.encoding(&query("false")), json);
        assert_eq!(all.encoding(&query("x")), json);
        assert_eq!(accept("*/*").encoding(&query("true")), pretty);
        assert_eq!(accept("text/plain").encoding(&query("")), json);
    }
}

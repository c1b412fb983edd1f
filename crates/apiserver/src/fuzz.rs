//! Parsers of this crate for the fuzzer, with what must hold of what they take.

use http::{HeaderMap, HeaderName, HeaderValue};
use weft_api::spdy::{self, Reader};
use weft_identity::subject::{Kind, MASTERS, NODES};

use crate::accept::Accept;
use crate::bootstrap;
use crate::gate::Question;
use crate::impersonation::Wanted;
use crate::query::Query;

/// Lines `name: value` of a request's head: who asks as whom, with which bootstrap token,
/// and what they accept.
///
/// # Panics
/// Somebody would be more than they need the right for.
pub fn head(input: &[u8]) {
    let mut head = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n') {
        let Some(at) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let value = line[at + 1..].strip_prefix(b" ").unwrap_or(&line[at + 1..]);
        let name = HeaderName::from_bytes(&line[..at]);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            head.append(name, value);
        }
    }
    let _ = bootstrap::shown(&head);
    let _ = Accept::of(&head).encoding(&Query::default());
    let Ok(Some(wanted)) = Wanted::of(&head, 0) else {
        return;
    };
    let subject = &wanted.subject;
    assert!(!wanted.rights.is_empty());
    let is_node = subject.groups.iter().any(|group| group == NODES);
    assert_eq!(is_node, subject.kind == Kind::Node, "{wanted:?}");
    let is_master = subject.groups.iter().any(|group| group == MASTERS);
    let has_right = wanted.rights.iter().any(|right| {
        matches!(right, Question::Object { resource, name, .. } if resource == "groups" && name == MASTERS)
    });
    assert_eq!(is_master, has_right, "{wanted:?}");
}

/// What a client of forwarded ports sends, in pieces of any size.
///
/// # Panics
/// It would depend on the pieces what is understood.
pub fn spdy(input: &[u8]) {
    let understood = |size: usize| {
        let (mut reader, mut found) = (Reader::default(), Vec::new());
        for piece in input.chunks(size) {
            reader.push(piece);
            loop {
                match reader.next() {
                    Ok(Some(frame)) => found.push(frame),
                    Ok(None) => break,
                    Err(why) => return (found, Some(why)),
                }
            }
        }
        (found, None)
    };
    assert_eq!(understood(input.len().max(1)), understood(7));
}

/// A connection from its opening to its end.
pub fn spdy_seeds() -> Vec<Vec<u8>> {
    vec![spdy::conversation()]
}

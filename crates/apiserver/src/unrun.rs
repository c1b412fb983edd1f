//! Parts of pods, services and nodes that are nothing while no pod runs, and those that are not
//! there yet.
//!
//! Owns: which there are, the right each needs, and the one sentence that says why not. Never:
//! keeps anything.

use http::Method;
use weft_control::Failure;

use crate::answer::Answer;
use crate::objects::Asked;
use crate::target::{DEBUG, Target};

/// Plural, part, and what somebody wants to do with the object. They are all in the core's group.
const PARTS: [(&str, &str, &str); 9] = [
    ("nodes", "proxy", "reach"),
    ("pods", "attach", "attach to"),
    ("pods", DEBUG, "debug"),
    ("pods", "exec", "run a command in"),
    ("pods", "log", "read the log of"),
    ("pods", "portforward", "forward ports to"),
    ("pods", "proxy", "reach"),
    ("pods", "resize", "resize"),
    ("services", "proxy", "reach"),
];

/// A part of an object that would be served if pods ran.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unrun {
    plural: &'static str,
    part: &'static str,
    what: &'static str,
}

impl Unrun {
    pub(crate) fn of(target: &Target) -> Option<Unrun> {
        let mut parts = PARTS.into_iter();
        let (plural, part, what) = parts.find(|(plural, part, _)| {
            target.is_of("", plural) && target.subresource == *part && !target.name.is_empty()
        })?;
        Some(Unrun { plural, part, what })
    }

    /// Whether it is served once pods run.
    pub(crate) fn is_there(self, runs_pods: bool) -> bool {
        runs_pods && self.part == DEBUG
    }

    /// What is asked, as access is decided by; nothing: it is not done with this method.
    pub(crate) fn verb(self, method: &Method) -> Option<&'static str> {
        let by_method = match *method {
            Method::GET | Method::HEAD => Some("get"),
            Method::POST => Some("create"),
            Method::PUT => Some("update"),
            Method::PATCH => Some("patch"),
            Method::DELETE => Some("delete"),
            _ => None,
        };
        match (self.plural, self.part) {
            ("pods", "attach" | "exec" | "portforward") => {
                let streams = matches!(by_method, Some("get" | "create"));
                // A stream is created, by whatever method.
                streams.then_some("create")
            }
            ("pods", "proxy") => by_method.map(|_| "create"),
            ("pods", "log") => by_method.filter(|verb| *verb == "get"),
            ("pods", _) => by_method.filter(|verb| matches!(*verb, "get" | "update" | "patch")),
            _ => by_method,
        }
    }

    /// Says why not, about an object that is there.
    ///
    /// # Errors
    /// Always. 400, as upstream where a pod is on no node.
    pub(crate) async fn refuse(self, asked: &Asked<'_>) -> Result<Answer, Failure> {
        let target = asked.target;
        let (kind, name) = (&target.kind, &target.name);
        asked.store.get(kind, &target.namespace, name).await?;
        let (what, singular) = (self.what, &kind.singular);
        let why = match asked.runs_pods {
            true => "this server cannot do that yet",
            false => "pods are not run by this server yet",
        };
        let message = format!("cannot {what} {singular} {name:?}: {why}");
        Err(Failure::bad_request(message).about("", &kind.plural, name))
    }
}

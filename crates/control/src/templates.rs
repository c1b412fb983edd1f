//! What annotations make of a config map: templates, which are rendered for each pod on its node.
//!
//! Owns their names, values and what stands where one is left out. Never: reads a template.

use weft_api::assignment::Change;
use weft_api::docker::text::duration_ns;

use crate::object::Object;

/// `"true"`: every value is a template. All of them begin with it.
const MARK: &str = "nanocloud.io/template";
const MODE: &str = "nanocloud.io/template-change-mode";
const SIGNAL: &str = "nanocloud.io/template-change-signal";
const SPLAY: &str = "nanocloud.io/template-splay";
const LEFT: &str = "nanocloud.io/template-left-delimiter";
const RIGHT: &str = "nanocloud.io/template-right-delimiter";
/// Longest delimiter, in bytes.
const DELIMITER_MAX: usize = 8;
/// As Nomad's.
const SPLAY_MS: u64 = 5000;
const SIGNALS: &[&str] = &[
    "ABRT", "ALRM", "CONT", "HUP", "INT", "KILL", "PIPE", "PROF", "QUIT", "TERM", "TSTP", "TTIN",
    "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
];

/// How the templates of a config map are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Marks {
    pub left: String,
    pub right: String,
    pub change: Change,
    pub splay_ms: u64,
}

/// Whether a config map holds templates, and how they are meant; or each annotation that means
/// nothing, and why.
pub(crate) fn marks(map: &Object) -> Result<Option<Marks>, Vec<(String, String)>> {
    let meta = map.meta();
    let mut wrong = strangers(map);
    let is_template = match meta.annotation(MARK) {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            wrong.push((MARK, "must be \"true\" or \"false\"".to_owned()));
            false
        }
    };
    let signal = meta.annotation(SIGNAL).unwrap_or("SIGHUP");
    if !SIGNALS.contains(&signal.strip_prefix("SIG").unwrap_or(signal)) {
        wrong.push((SIGNAL, "must be the name of a signal, as SIGHUP".to_owned()));
    }
    let change = match meta.annotation(MODE) {
        None | Some("restart") => Change::Restart,
        Some("signal") => Change::Signal(signal.to_owned()),
        Some("noop") => Change::Nothing,
        Some(_) => {
            wrong.push((
                MODE,
                "must be \"noop\", \"signal\" or \"restart\"".to_owned(),
            ));
            Change::Restart
        }
    };
    if meta.annotation(SIGNAL).is_some() && !matches!(change, Change::Signal(_)) {
        wrong.push((SIGNAL, format!("means nothing without {MODE}: signal")));
    }
    let splay = meta.annotation(SPLAY).map(duration_ns);
    let splay_ms = match splay {
        None => SPLAY_MS,
        Some(Some(ns)) => u64::try_from(ns / 1_000_000).unwrap_or(SPLAY_MS),
        Some(None) => {
            let why = "must be a duration, as 0s, 1500ms or 1m30s".to_owned();
            wrong.push((SPLAY, why));
            SPLAY_MS
        }
    };
    let mut delimiter = |name, usual: &str| {
        let given = meta.annotation(name).unwrap_or(usual);
        let is_one = (2..=DELIMITER_MAX).contains(&given.len())
            && given
                .chars()
                .all(|c| c.is_ascii_punctuation() && !"\"'`".contains(c));
        if !is_one {
            let why = format!("must be 2 to {DELIMITER_MAX} punctuation marks without quotes");
            wrong.push((name, why));
        }
        given.to_owned()
    };
    let (left, right) = (delimiter(LEFT, "{{"), delimiter(RIGHT, "}}"));
    if left == right {
        wrong.push((RIGHT, "must differ from the left one".to_owned()));
    }
    if !wrong.is_empty() {
        let owned = wrong.into_iter().map(|(name, why)| (name.to_owned(), why));
        return Err(owned.collect());
    }
    Ok(is_template.then_some(Marks {
        left,
        right,
        change,
        splay_ms,
    }))
}

/// Annotations that begin as ours do and are none, or that nothing comes of.
fn strangers(map: &Object) -> Vec<(&str, String)> {
    let known = [MARK, MODE, SIGNAL, SPLAY, LEFT, RIGHT];
    let meta = map.meta();
    let ours = meta.map("annotations").map(|(name, _)| name);
    let ours = ours.filter(|name| {
        let rest = name.strip_prefix(MARK);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    });
    let wrong = ours.filter_map(|name| {
        if !known.contains(&name) {
            return Some((
                name,
                format!("is not known: there are {}", known.join(", ")),
            ));
        }
        let is_alone = name != MARK && meta.annotation(MARK).is_none();
        is_alone.then(|| (name, format!("means nothing without {MARK}: \"true\"")))
    });
    wrong.collect()
}

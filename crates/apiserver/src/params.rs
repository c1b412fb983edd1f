//! What stands behind the question mark, before anything is done: what contradicts itself, and what
//! is none of the values there are (`ValidateListOptions` and its kin upstream).
//!
//! Never: what parameters mean. `get` has none that could be wrong here.

use weft_control::store::{DeleteOptions, Propagation};
use weft_control::{Cause, Failure, Reason};

use crate::query::Query;

/// Longest name of a field manager.
pub(crate) const MANAGER_MAX: usize = 128;
const DRY_RUN: [&str; 1] = ["All"];
const VALIDATION: [&str; 4] = ["", "Ignore", "Strict", "Warn"];
const POLICIES: [&str; 4] = ["Foreground", "Background", "Orphan", "nil"];
const NEWER: &str = "NotOlderThan";

/// Whether a request with this verb says what can be meant. A patch may be an application.
///
/// # Errors
/// It does not: all that is wrong, 422.
pub(crate) fn check(verb: &str, query: &Query, is_apply: bool) -> Result<(), Failure> {
    match verb {
        "watch" => sound("ListOptions", watch(query)),
        "list" => sound("ListOptions", list(query)),
        "deletecollection" => sound("ListOptions", list(query)),
        "create" => sound("CreateOptions", write(query)),
        "update" => sound("UpdateOptions", write(query)),
        "patch" => sound("PatchOptions", patch(query, is_apply)),
        _ => Ok(()),
    }
}

/// Nothing is wrong with options of this kind.
fn sound(kind: &str, causes: Vec<Cause>) -> Result<(), Failure> {
    let told: Vec<String> = causes.iter().map(ToString::to_string).collect();
    let told = match &told[..] {
        [] => return Ok(()),
        [one] => one.clone(),
        all => format!("[{}]", all.join(", ")),
    };
    let message = format!("{kind}.meta.k8s.io \"\" is invalid: {told}");
    let failure = Failure::new(Reason::Invalid, message);
    let mut failure = failure.about("meta.k8s.io", kind, "");
    failure.about.causes = causes;
    Err(failure)
}

fn list(query: &Query) -> Vec<Cause> {
    let (mut causes, field) = (Vec::new(), "resourceVersionMatch");
    let how = query.text(field);
    if !how.is_empty() {
        if query.text("resourceVersion").is_empty() {
            let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            causes.push(Cause::forbidden(field, why));
        }
        if !query.text("continue").is_empty() {
            let why = "resourceVersionMatch is forbidden when continue is provided";
            causes.push(Cause::forbidden(field, why));
        }
        if !matches!(how, "Exact" | NEWER) {
            causes.push(Cause::unsupported(field, how, &["Exact", NEWER, ""]));
        }
        if how == "Exact" && query.text("resourceVersion") == "0" {
            let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            causes.push(Cause::forbidden(field, why));
        }
    }
    if query.has("sendInitialEvents") {
        let why = "sendInitialEvents is forbidden for list";
        causes.push(Cause::forbidden("sendInitialEvents", why));
    }
    causes
}

fn watch(query: &Query) -> Vec<Cause> {
    let (mut causes, field) = (Vec::new(), "resourceVersionMatch");
    let (how, says_initial) = (query.text(field), query.has("sendInitialEvents"));
    if says_initial && how != NEWER {
        let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        causes.push(Cause::forbidden(field, why));
    }
    if !how.is_empty() {
        if !says_initial {
            let why =
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            causes.push(Cause::forbidden(field, why));
        }
        if how != NEWER {
            causes.push(Cause::unsupported(field, how, &[NEWER]));
        }
        if !query.text("continue").is_empty() {
            let why = "resourceVersionMatch is forbidden when continue is provided";
            causes.push(Cause::forbidden(field, why));
        }
    }
    causes
}

fn patch(query: &Query, is_apply: bool) -> Vec<Cause> {
    let mut causes = Vec::new();
    if !is_apply && query.has("force") {
        let why = "may not be specified for non-apply patch";
        causes.push(Cause::forbidden("force", why));
    }
    if is_apply && query.text("fieldManager").is_empty() {
        let why = "is required for apply patch";
        causes.push(Cause::required("fieldManager", why));
    }
    causes.extend(write(query));
    causes
}

fn write(query: &Query) -> Vec<Cause> {
    let mut causes = manager(query.text("fieldManager"));
    causes.extend(dry_run(query.all("dryRun")));
    let validation = query.text("fieldValidation");
    if !VALIDATION.contains(&validation) {
        let field = "fieldValidation";
        causes.push(Cause::unsupported(field, validation, &VALIDATION));
    }
    causes
}

fn manager(name: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    if name.len() > MANAGER_MAX {
        causes.push(Cause {
            reason: "FieldValueTooLong",
            field: "fieldManager".to_owned(),
            message: format!("Too long: may not be more than {MANAGER_MAX} bytes"),
        });
    }
    // One is enough of a name that is none.
    let odd = name.char_indices().find(|(_, letter)| !is_print(*letter));
    if let Some((at, letter)) = odd {
        let why = format!(
            "invalid character U+{:04X} (at position {at})",
            letter as u32
        );
        causes.push(Cause::invalid("fieldManager", name, &why));
    }
    causes
}

/// Whether a character can be seen, or is a space. What only changes the one before it can.
fn is_print(letter: char) -> bool {
    format!("a{letter}").escape_debug().nth(1) == Some(letter)
        || matches!(letter, '"' | '\'' | '\\')
}

fn dry_run<'a>(said: impl Iterator<Item = &'a str>) -> Option<Cause> {
    let mut odd = said.filter(|one| !DRY_RUN.contains(one));
    odd.next()
        .map(|one| Cause::unsupported("dryRun", one, &DRY_RUN))
}

/// What a request to delete says, in its query or its body.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deletion<'a> {
    pub(crate) policy: Option<&'a str>,
    pub(crate) orphans: Option<bool>,
    pub(crate) grace_s: Option<i64>,
    pub(crate) dry_run: Vec<&'a str>,
}

impl Deletion<'_> {
    /// Lets `options` do it. What is not said is left as it is.
    ///
    /// # Errors
    /// It contradicts itself, or is none of what there is: 422.
    pub(crate) fn tell(&self, options: &mut DeleteOptions) -> Result<(), Failure> {
        let (mut causes, field) = (Vec::new(), "propagationPolicy");
        if let (Some(policy), Some(_)) = (self.policy, self.orphans) {
            let why = "orphanDependents and deletionPropagation cannot be both set";
            causes.push(Cause::invalid(field, policy, why));
        }
        match (self.policy.map(Propagation::of), self.orphans) {
            (Some(Some(policy)), _) => options.propagation = policy,
            (Some(None), _) => {
                let policy = self.policy.unwrap_or_default();
                causes.push(Cause::unsupported(field, policy, &POLICIES));
            }
            (None, Some(true)) => options.propagation = Propagation::Orphan,
            (None, Some(false)) => options.propagation = Propagation::Background,
            (None, None) => {}
        }
        causes.extend(dry_run(self.dry_run.iter().copied()));
        options.is_dry_run |= !self.dry_run.is_empty();
        if let Some(seconds) = self.grace_s {
            // Not at once, as upstream: that is what nobody has asked for.
            options.grace_s = Some(if seconds < 0 { 1 } else { seconds });
        }
        sound("DeleteOptions", causes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(verb: &str, query: &str, is_apply: bool) -> String {
        let query = Query::of(&format!("/?{query}").parse().unwrap());
        let failure = check(verb, &query, is_apply).err();
        failure.map_or_else(String::new, |failure| {
            assert_eq!(failure.reason, Reason::Invalid);
            let causes = failure.about.causes.iter();
            let causes: Vec<String> = causes.map(ToString::to_string).collect();
            causes.join("; ")
        })
    }

    #[test]
    fn lists_and_watches_do_not_contradict_themselves() {
        let matched = |why: &str| format!("resourceVersionMatch: Forbidden: {why}");
        let without =
            matched("resourceVersionMatch is forbidden unless resourceVersion is provided");
        let needed =
            matched("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
        let alone = matched(
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        );
        let goes_on = matched("resourceVersionMatch is forbidden when continue is provided");
        let zero = matched("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
        let on_list = "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list";
        let other = "resourceVersionMatch: Unsupported value: \"x\": supported values: \"Exact\", \"NotOlderThan\", \"\"";
        let exact = "resourceVersionMatch: Unsupported value: \"Exact\": supported values: \"NotOlderThan\"";
        for (verb, query, expected) in [
            ("list", "", String::new()),
            (
                "list",
                "resourceVersion=5&resourceVersionMatch=Exact",
                String::new(),
            ),
            (
                "list",
                "resourceVersion=0&resourceVersionMatch=NotOlderThan",
                String::new(),
            ),
            ("list", "limit=5&continue=x", String::new()),
            ("list", "resourceVersionMatch=Exact", without.clone()),
            ("list", "resourceVersion=0&resourceVersionMatch=Exact", zero),
            (
                "list",
                "resourceVersion=5&resourceVersionMatch=x",
                other.to_owned(),
            ),
            (
                "list",
                "resourceVersion=5&resourceVersionMatch=Exact&continue=x",
                goes_on.clone(),
            ),
            (
                "list",
                "resourceVersionMatch=Exact&continue=x",
                format!("{without}; {goes_on}"),
            ),
            ("deletecollection", "resourceVersionMatch=Exact", without),
            ("list", "sendInitialEvents=false", on_list.to_owned()),
            (
                "watch",
                "sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
                String::new(),
            ),
            ("watch", "sendInitialEvents=true", needed.clone()),
            (
                "watch",
                "sendInitialEvents=false&resourceVersion=5",
                needed.clone(),
            ),
            ("watch", "resourceVersionMatch=NotOlderThan", alone),
            (
                "watch",
                "sendInitialEvents=true&resourceVersionMatch=Exact",
                format!("{needed}; {exact}"),
            ),
            (
                "watch",
                "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&continue=x",
                goes_on,
            ),
            ("get", "resourceVersionMatch=Exact", String::new()),
        ] {
            assert_eq!(wrong(verb, query, false), expected, "{verb} {query}");
        }
    }

    #[test]
    fn writes_say_what_there_is() {
        let long = format!("fieldManager={}", "x".repeat(129));
        for (query, expected) in [
            (
                "fieldManager=a%20b-%C3%A9%22e%CC%81&dryRun=All&fieldValidation=Warn",
                "",
            ),
            (
                &*long,
                "fieldManager: Too long: may not be more than 128 bytes",
            ),
            (
                "fieldManager=a%07",
                "fieldManager: Invalid value: \"a\\u{7}\": invalid character U+0007 (at position 1)",
            ),
            (
                "fieldManager=%E2%80%8B",
                "fieldManager: Invalid value: \"\\u{200b}\": invalid character U+200B (at position 0)",
            ),
            (
                "dryRun=All&dryRun=Some",
                "dryRun: Unsupported value: \"Some\": supported values: \"All\"",
            ),
            (
                "dryRun=",
                "dryRun: Unsupported value: \"\": supported values: \"All\"",
            ),
            (
                "fieldValidation=strict",
                "fieldValidation: Unsupported value: \"strict\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"",
            ),
        ] {
            for verb in ["create", "update", "patch"] {
                assert_eq!(wrong(verb, query, false), expected, "{verb} {query}");
            }
        }
        let force = "force: Forbidden: may not be specified for non-apply patch";
        assert_eq!(wrong("patch", "force=false", false), force);
        assert_eq!(wrong("patch", "force=true&fieldManager=a", true), "");
        let required = "fieldManager: Required value: is required for apply patch";
        assert_eq!(wrong("patch", "force=true", true), required);
    }

    #[test]
    fn a_deletion_does_not_contradict_itself() {
        let told = |deletion: Deletion<'_>| {
            let mut options = DeleteOptions::default();
            let told = deletion.tell(&mut options);
            told.map(|()| options).map_err(|failure| failure.message)
        };
        let policy = |policy, orphans| Deletion {
            policy: Some(policy),
            orphans,
            ..Deletion::default()
        };
        assert_eq!(
            told(policy("Orphan", None)).unwrap().propagation,
            Propagation::Orphan
        );
        let both = told(policy("Orphan", Some(true))).unwrap_err();
        assert!(both.contains("orphanDependents and deletionPropagation cannot be both set"));
        let odd = told(policy("orphan", None)).unwrap_err();
        let known = "\"Foreground\", \"Background\", \"Orphan\", \"nil\"";
        assert_eq!(
            odd,
            format!(
                "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \"orphan\": supported values: {known}"
            )
        );
        let grace = |seconds| Deletion {
            grace_s: Some(seconds),
            ..Deletion::default()
        };
        assert_eq!(told(grace(-1)).unwrap().grace_s, Some(1));
        assert_eq!(told(grace(0)).unwrap().grace_s, Some(0));
    }
}

//! Rules for the pod templates of what makes pods.

use super::super::rules::{Mistakes, Spot, selectors};
use super::{Use, validate};

/// What a kind asks of its template.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Rules {
    /// Restart policies it can have.
    pub(in super::super) restart: &'static [&'static str],
    /// Whether its pods may have a deadline.
    pub(in super::super) deadline: bool,
}

impl Rules {
    /// Of what keeps pods running.
    pub(in super::super) const RUNNING: Rules = Rules {
        restart: &["Always"],
        deadline: false,
    };
    /// Of what runs pods to their end.
    pub(in super::super) const ENDING: Rules = Rules {
        restart: &["OnFailure", "Never"],
        deadline: true,
    };
}

/// The template that is the field `template` of `spec`; `given` are volumes its pods get besides.
pub(in super::super) fn template<'v>(
    mistakes: &mut Mistakes,
    spec: &Spot<'_, 'v>,
    rules: Rules,
    given: impl Iterator<Item = &'v str>,
) {
    let template = spec.at("template");
    let meta = template.at("metadata");
    mistakes.labels(&meta.at("labels"));
    mistakes.annotations(&meta.at("annotations"));
    let pod = template.at("spec");
    validate(mistakes, &pod, Use::Template, given);
    let restart = pod.at("restartPolicy");
    let is_known = matches!(restart.text(), "Always" | "OnFailure" | "Never");
    if is_known && !rules.restart.contains(&restart.text()) {
        mistakes.unsupported(&restart, rules.restart);
    }
    let deadline = pod.at("activeDeadlineSeconds");
    if !rules.deadline && deadline.is_some() {
        mistakes.forbidden(
            &deadline,
            "activeDeadlineSeconds in this kind is not Supported",
        );
    }
}

/// A selector that has to be there, to be what `old` had, and to match the template's labels. `kind` is what it is
/// called in messages.
pub(in super::super) fn selector(
    mistakes: &mut Mistakes,
    spec: &Spot<'_, '_>,
    old: Option<&Spot<'_, '_>>,
    kind: &str,
) {
    let selector = spec.at("selector");
    if let Some(old) = old {
        mistakes.same(&selector, &old.at("selector"));
    }
    if !selector.is_some() {
        mistakes.required(&selector, "");
        return;
    }
    mistakes.label_selector(&selector);
    if selectors::is_empty(&selector) {
        mistakes.invalid(&selector, &format!("empty selector is invalid for {kind}"));
        return;
    }
    matches_template(mistakes, spec);
}

/// The selector finds what the template makes.
pub(in super::super) fn matches_template(mistakes: &mut Mistakes, spec: &Spot<'_, '_>) {
    let template = spec.at("template");
    let meta = template.at("metadata");
    let labels = meta.at("labels");
    if !selectors::matches(&spec.at("selector"), &labels) {
        mistakes.invalid(&labels, "`selector` does not match template `labels`");
    }
}

//! Rules for what a job is to do.

use std::collections::BTreeSet;

use super::super::pod_spec::{self, Rules};
use super::super::rules::{Mistakes, Spot};
use crate::names;

/// Most pods at once of a job whose pods have numbers.
const INDEXED_AT_ONCE: i64 = 100_000;
/// Most rules of a policy.
const RULES: usize = 20;
/// Most exit codes of a rule.
const CODES: usize = 255;
/// Longest name of who manages a job.
const MANAGER: usize = 63;

/// All but selectors.
pub(in super::super) fn validate(mistakes: &mut Mistakes, spec: &Spot<'_, '_>) {
    for name in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        mistakes.not_negative(&spec.at(name));
    }
    let manager = spec.at("managedBy");
    mistakes.name(&manager, |name| match names::label_key(name) {
        _ if name.len() > MANAGER => Err("must be no more than 63 bytes"),
        Ok(()) if !name.contains('/') => {
            Err("must be a domain-prefixed path (such as \"acme.io/foo\")")
        }
        other => other,
    });
    indexes(mistakes, spec);
    let replacement = spec.at("podReplacementPolicy");
    let policy = spec.at("podFailurePolicy");
    if policy.is_some() {
        mistakes.one_of(&replacement, &["Failed"]);
        failures(mistakes, spec, &policy);
    } else {
        mistakes.one_of(&replacement, &["Failed", "TerminatingOrFailed"]);
    }
    pod_spec::template(mistakes, spec, Rules::ENDING, [].into_iter());
}

fn indexes(mistakes: &mut Mistakes, spec: &Spot<'_, '_>) {
    let (mode, completions) = (spec.at("completionMode"), spec.at("completions"));
    let (per_index, failed) = (spec.at("backoffLimitPerIndex"), spec.at("maxFailedIndexes"));
    let success = spec.at("successPolicy");
    mistakes.one_of(&mode, &["Indexed", "NonIndexed"]);
    if mode.text() == "Indexed" {
        if !completions.is_some() {
            mistakes.required(&completions, "when completion mode is Indexed");
        }
        let why = format!(
            "must be less than or equal to {INDEXED_AT_ONCE} when completion mode is Indexed"
        );
        if spec.at("parallelism").number() > Some(INDEXED_AT_ONCE) {
            mistakes.invalid(&spec.at("parallelism"), &why);
        }
    } else {
        for field in [&per_index, &success] {
            if field.is_some() {
                mistakes.invalid(field, "requires indexed completion mode");
            }
        }
    }
    if failed.is_some() {
        if !per_index.is_some() {
            mistakes.required(&per_index, "when maxFailedIndexes is specified");
        }
        if let (Some(most), Some(all)) = (failed.number(), completions.number())
            && most > all
        {
            mistakes.invalid(&failed, "must be less than or equal to completions");
        }
    }
    if success.is_some() {
        let rules = success.at("rules");
        mistakes.must_be(
            &rules,
            "at least one rules must be specified when the successPolicy is specified",
        );
        mistakes.at_most(&rules, RULES);
        for rule in rules.items() {
            let (which, count) = (rule.at("succeededIndexes"), rule.at("succeededCount"));
            if !which.is_some() && !count.is_some() {
                let why = "at least one of succeededCount or succeededIndexes must be specified";
                mistakes.required(&rule, why);
            }
            mistakes.within(
                &count,
                1..=completions.number().unwrap_or(i64::MAX).max(1),
                "must be at least 1 and not more than completions",
            );
            mistakes.name(&which, index_list);
        }
    }
}

/// `0,2-4`, rising.
fn index_list(text: &str) -> Result<(), &'static str> {
    const WRONG: &str = "must be increasing indexes separated by commas, like 0,2-4";
    let mut last = None;
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.parse::<u32>().map_err(|_| WRONG);
        let (from, to) = (number(from)?, number(to)?);
        if last.is_some_and(|last| from <= last) || to < from {
            return Err(WRONG);
        }
        last = Some(to);
    }
    Ok(())
}

fn failures(mistakes: &mut Mistakes, spec: &Spot<'_, '_>, policy: &Spot<'_, '_>) {
    let template = spec.at("template");
    let pod = template.at("spec");
    let restart = pod.at("restartPolicy");
    if restart.text() == "OnFailure" {
        let why = "only \"Never\" is supported when podFailurePolicy is specified";
        mistakes.invalid(&restart, why);
    }
    let lists = ["containers", "initContainers"];
    let names: BTreeSet<&str> = lists
        .iter()
        .flat_map(|list| {
            let list = pod.at(list);
            list.items()
                .map(|one| one.at("name").text())
                .collect::<Vec<_>>()
        })
        .collect();
    let rules = policy.at("rules");
    mistakes.at_most(&rules, RULES);
    for rule in rules.items() {
        let action = rule.at("action");
        let known = ["Count", "FailIndex", "FailJob", "Ignore"];
        mistakes.must_be_one_of(&action, &known);
        if action.text() == "FailIndex" && !spec.at("backoffLimitPerIndex").is_some() {
            mistakes.invalid(&action, "requires the backoffLimitPerIndex to be set");
        }
        let (codes, conditions) = (rule.at("onExitCodes"), rule.at("onPodConditions"));
        if codes.is_some() != conditions.is_empty() {
            let why = "specifying one of OnExitCodes and OnPodConditions is required";
            mistakes.invalid(&rule, why);
        }
        if codes.is_some() {
            exit_codes(mistakes, &codes, &names);
        }
        mistakes.at_most(&conditions, RULES);
        for condition in conditions.items() {
            mistakes.must_be_name(&condition.at("type"), names::label_key);
            mistakes.must_be_one_of(&condition.at("status"), &["False", "True", "Unknown"]);
        }
    }
}

fn exit_codes(mistakes: &mut Mistakes, codes: &Spot<'_, '_>, names: &BTreeSet<&str>) {
    let (operator, values) = (codes.at("operator"), codes.at("values"));
    mistakes.must_be_one_of(&operator, &["In", "NotIn"]);
    let container = codes.at("containerName");
    if container.is_some() && !names.contains(container.text()) {
        let why = "must be one of the container or initContainer names in the pod template";
        mistakes.invalid(&container, why);
    }
    mistakes.must_be(&values, "at least one value is required");
    mistakes.at_most(&values, CODES);
    let mut last = None;
    for value in values.items() {
        if operator.text() == "In" && value.number() == Some(0) {
            mistakes.invalid(&value, "must not be 0 for the In operator");
        }
        if value.number() == last {
            mistakes.duplicate(&value);
        } else if value.number() < last {
            mistakes.invalid(&values, "must be ordered");
            return;
        }
        last = value.number();
    }
}

/// Pods with numbers are hosts that are called so.
pub(super) fn host_names(mistakes: &mut Mistakes, meta: &Spot<'_, '_>, spec: &Spot<'_, '_>) {
    let name = meta.at("name");
    let completions = spec.at("completions").number().unwrap_or(0);
    if spec.at("completionMode").text() == "Indexed" && completions > 0 {
        let last = format!("{}-{}", name.text(), completions - 1);
        if let Err(why) = names::dns_label(&last) {
            let why = format!("will not able to create pod with invalid DNS label {last:?}: {why}");
            mistakes.invalid(&name, &why);
        }
    }
}

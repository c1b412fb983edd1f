//! What a job says of how its pods end: which failures count, and which successes are enough
//! (Kubernetes, "Jobs", pod failure policy and success policy).

use super::Indexes;

/// What becomes of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It counts as any.
    Count,
    /// It does not count.
    Ignore,
    /// Its number has failed for good.
    FailIndex,
    /// The job has failed.
    FailJob,
}

/// One rule about failures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What becomes of those that are meant.
    pub action: Action,
    /// Which are meant.
    pub when: When,
}

/// Which failures a rule means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// Those where a container exited so.
    Codes {
        /// This container; nothing: any.
        container: Option<String>,
        /// Whether with one of the codes, or with another than these.
        is_in: bool,
        /// The codes.
        codes: Vec<i64>,
    },
    /// Those where the pod has one of these conditions: type, status.
    Conditions(Vec<(String, String)>),
}

/// How a pod failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// `namespace/name` of the pod.
    pub pod: String,
    /// Containers that exited, and their codes.
    pub codes: Vec<(String, i64)>,
    /// Its conditions: type, status.
    pub conditions: Vec<(String, String)>,
}

/// What the first rule that means a failure says of it, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What becomes of it.
    pub action: Action,
    /// A sentence.
    pub why: String,
}

/// What the rules say of a failure; nothing: no rule means it, and it counts.
pub fn verdict(rules: &[Rule], failure: &Failure) -> Option<Verdict> {
    let pod = &failure.pod;
    let mut found = rules.iter().enumerate().filter_map(|(at, rule)| {
        let name = match rule.action {
            Action::Count => "Count",
            Action::Ignore => "Ignore",
            Action::FailIndex => "FailIndex",
            Action::FailJob => "FailJob",
        };
        let what = match &rule.when {
            When::Codes {
                container,
                is_in,
                codes,
            } => {
                // Who exited with 0 did not fail.
                let is_meant = |(name, code): &&(String, i64)| {
                    *code != 0
                        && container.as_ref().is_none_or(|meant| meant == name)
                        && codes.contains(code) == *is_in
                };
                let (container, code) = failure.codes.iter().find(is_meant)?;
                format!("Container {container} for pod {pod} failed with exit code {code}")
            }
            When::Conditions(meant) => {
                let (name, _) = failure.conditions.iter().find(|one| meant.contains(one))?;
                format!("Pod {pod} has condition {name}")
            }
        };
        Some(Verdict {
            action: rule.action,
            why: format!("{what} matching {name} rule at index {at}"),
        })
    });
    found.next()
}

/// One rule about successes: all of these numbers, or so many of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enough {
    /// These; nothing: any.
    pub of: Option<Indexes>,
    /// So many; nothing: all.
    pub count: Option<u32>,
}

/// The first rule for which these successes are enough.
pub fn enough(rules: &[Enough], succeeded: &Indexes) -> Option<usize> {
    rules.iter().position(|rule| {
        let (there, all) = match &rule.of {
            Some(of) => (of.shared(succeeded), of.count()),
            None => (succeeded.count(), u32::MAX),
        };
        there >= rule.count.unwrap_or(all)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(action: Action, container: Option<&str>, is_in: bool, codes: &[i64]) -> Rule {
        let when = When::Codes {
            container: container.map(str::to_owned),
            is_in,
            codes: codes.to_vec(),
        };
        Rule { action, when }
    }

    #[test]
    fn the_first_rule_that_means_a_failure_decides() {
        let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
        let evicted = Rule {
            action: Action::Ignore,
            when: When::Conditions(vec![pair("DisruptionTarget", "True")]),
        };
        let rules = [
            codes(Action::FailJob, Some("main"), true, &[42, 43]),
            evicted,
            codes(Action::FailIndex, None, false, &[1, 2]),
            codes(Action::Count, None, true, &[2]),
        ];
        let failure = |container: &str, code: i64, conditions: &[(&str, &str)]| Failure {
            pod: "a/p".to_owned(),
            codes: vec![(container.to_owned(), code)],
            conditions: conditions.iter().map(|(a, b)| pair(a, b)).collect(),
        };
        let disrupted = [("Ready", "False"), ("DisruptionTarget", "True")];
        for (failed, expected) in [
            (
                failure("main", 42, &disrupted),
                Some((
                    Action::FailJob,
                    "Container main for pod a/p failed with exit code 42 matching FailJob rule at index 0",
                )),
            ),
            (
                failure("side", 42, &disrupted),
                Some((
                    Action::Ignore,
                    "Pod a/p has condition DisruptionTarget matching Ignore rule at index 1",
                )),
            ),
            (
                failure("side", 42, &[("DisruptionTarget", "False")]),
                Some((
                    Action::FailIndex,
                    "Container side for pod a/p failed with exit code 42 matching FailIndex rule at index 2",
                )),
            ),
            (
                failure("side", 2, &[]),
                Some((
                    Action::Count,
                    "Container side for pod a/p failed with exit code 2 matching Count rule at index 3",
                )),
            ),
            (failure("main", 1, &[]), None),
            (failure("main", 0, &[]), None),
        ] {
            let found = verdict(&rules, &failed);
            let found = found
                .as_ref()
                .map(|found| (found.action, found.why.as_str()));
            assert_eq!(found, expected, "{failed:?}");
        }
    }

    #[test]
    fn what_is_enough_is_so_many_of_these() {
        let rule = |of: Option<&str>, count| Enough {
            of: of.map(|of| Indexes::parse(of, 10)),
            count,
        };
        let rules = [
            rule(Some("0,2"), None),
            rule(Some("3-5"), Some(2)),
            rule(None, Some(4)),
        ];
        for (succeeded, expected) in [
            ("", None),
            ("0", None),
            ("0,2", Some(0)),
            ("3", None),
            ("3,5", Some(1)),
            ("0,6-7", None),
            ("0,6-8", Some(2)),
        ] {
            assert_eq!(enough(&rules, &Indexes::parse(succeeded, 10)), expected);
        }
    }
}

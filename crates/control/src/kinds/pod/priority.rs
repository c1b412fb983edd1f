//! How important a pod is: its class says it; one that names none has the class that is for all,
//! if there is one.

use std::sync::Arc;

use serde_json::Value;

use crate::kind::Wanted;
use crate::kinds::rules::fill::{below, set_text, text};
use crate::object::Object;

const CLASS: &str = "priorityClassName";
const POLICY: &str = "preemptionPolicy";
/// Without a class.
const USUAL: (i64, &str) = (0, "PreemptLowerPriority");

/// The class that is named; that for all can only be found among all.
pub(super) fn wanted(pod: &Object) -> Wanted {
    match pod.text(&["spec", CLASS]) {
        None | Some("") => Wanted::All,
        Some(name) => Wanted::Named(name.to_owned()),
    }
}

/// Puts into `pod` what its class says.
pub(super) fn take(pod: &mut Object, classes: &[Arc<Object>]) -> Result<(), String> {
    let Some(spec) = below(&mut pod.0, "spec") else {
        return Ok(());
    };
    let named = text(spec, CLASS).to_owned();
    let class = match &*named {
        "" => for_all(classes),
        name => {
            let found = classes.iter().find(|class| class.meta().name() == name);
            let missing = || format!("no PriorityClass with name {name} was found");
            Some(found.ok_or_else(missing)?)
        }
    };
    let policy = class.and_then(|class| class.text(&[POLICY]));
    let policy = policy.unwrap_or(USUAL.1);
    let value = class.map_or(USUAL.0, |class| value(class));
    let said = spec.get("priority").and_then(Value::as_i64);
    if let Some(said) = said.filter(|said| *said != value) {
        return Err(told("integer value of priority", said, value));
    }
    let said = text(spec, POLICY);
    if !said.is_empty() && said != policy {
        return Err(told("string value of PreemptionPolicy", said, policy));
    }
    if let Some(class) = class {
        set_text(spec, CLASS, class.meta().name());
    }
    spec.insert("priority".to_owned(), value.into());
    set_text(spec, POLICY, policy);
    Ok(())
}

fn value(class: &Object) -> i64 {
    class.at(&["value"]).and_then(Value::as_i64).unwrap_or(0)
}

/// The class of pods that name none; of several, which one by one could not be made, the least.
fn for_all(classes: &[Arc<Object>]) -> Option<&Arc<Object>> {
    let is_for_all = |class: &&Arc<Object>| class.at(&["globalDefault"]) == Some(&true.into());
    let all = classes.iter().filter(is_for_all);
    all.min_by_key(|class| value(class))
}

fn told<T: std::fmt::Display>(what: &str, said: T, computed: T) -> String {
    format!(
        "the {what} ({said}) must not be provided in pod spec; priority admission controller \
         computed {computed} from the given PriorityClass name"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::object;

    #[test]
    fn a_class_says_how_important_a_pod_is() {
        let class = |name: &str, value: i64, policy: &str, is_for_all: bool| {
            Arc::new(object(json!({
                "metadata": { "name": name },
                "value": value,
                "preemptionPolicy": policy,
                "globalDefault": is_for_all,
            })))
        };
        let some = [class("high", 1000, "Never", false)];
        let usual = [
            class("high", 1000, "Never", false),
            class("usual", 7, "PreemptLowerPriority", true),
            class("more", 8, "PreemptLowerPriority", true),
        ];
        let lower = "PreemptLowerPriority";
        for (classes, given, wanted) in [
            (&some[..], json!({}), Ok((None, 0, lower))),
            (&usual, json!({}), Ok((Some("usual"), 7, lower))),
            (
                &usual,
                json!({ "priorityClassName": "high" }),
                Ok((Some("high"), 1000, "Never")),
            ),
            (
                &usual,
                json!({ "priorityClassName": "high", "priority": 1000, "preemptionPolicy": "Never" }),
                Ok((Some("high"), 1000, "Never")),
            ),
            (
                &some,
                json!({ "priorityClassName": "low" }),
                Err("no PriorityClass with name low was found"),
            ),
            (
                &some,
                json!({ "priority": 5 }),
                Err("the integer value of priority (5) must not be"),
            ),
            (
                &some,
                json!({ "priorityClassName": "high", "preemptionPolicy": lower }),
                Err("the string value of PreemptionPolicy (PreemptLowerPriority) must not be"),
            ),
        ] {
            let mut pod = object(json!({ "spec": given }));
            let found = take(&mut pod, classes);
            match wanted {
                Ok((class, priority, policy)) => {
                    assert_eq!(found, Ok(()), "{given}");
                    assert_eq!(pod.text(&["spec", CLASS]), class, "{given}");
                    assert_eq!(pod.0["spec"]["priority"], priority, "{given}");
                    assert_eq!(pod.0["spec"][POLICY], policy, "{given}");
                }
                Err(why) => assert!(found.unwrap_err().starts_with(why), "{given}"),
            }
        }
    }
}

//! What bounds others: quotas, disruption budgets and priority classes, from flags.

use serde_json::{Map, Value, json};
use weft_stdx::quantity::Quantity;
use weft_stdx::selector::Labels;

use super::Making;
use crate::error::CliError;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// `weft create quota`
pub const QUOTA: Entry = verb!(
    "quota" | "resourcequota",
    Quota,
    "Make a quota: how much a namespace may use in all"
);
/// `weft create poddisruptionbudget`
pub const DISRUPTION_BUDGET: Entry = verb!(
    "poddisruptionbudget" | "pdb",
    Budget,
    "Make a disruption budget: how many pods must stay when some are moved"
);
/// `weft create priorityclass`
pub const PRIORITY_CLASS: Entry = verb!(
    "priorityclass" | "pc",
    Priority,
    "Make a priority class: which pods go before which"
);

#[derive(Debug, clap::Args)]
pub struct Quota {
    /// Its name
    name: String,
    /// How much of what at most: KIND=AMOUNT,...
    #[arg(
        long,
        value_name = "KIND=AMOUNT",
        default_value = "",
        hide_default_value = true
    )]
    hard: String,
    /// Which pods count: those for which all of these hold (BestEffort, Terminating, ...)
    #[arg(
        long,
        value_name = "SCOPE,...",
        default_value = "",
        hide_default_value = true
    )]
    scopes: String,
    #[command(flatten)]
    making: Making,
}

impl Quota {
    pub async fn run(self, session: &Session) -> Outcome {
        let mut spec = Map::new();
        let hard = amounts(&self.hard).map_err(CliError::new)?;
        if !hard.is_empty() {
            spec.insert("hard".to_owned(), hard.into());
        }
        if !self.scopes.is_empty() {
            let scopes: Vec<&str> = self.scopes.split(',').collect();
            if scopes.contains(&"") {
                return Err(CliError::new("invalid resource quota scope \"\""));
            }
            spec.insert("scopes".to_owned(), scopes.into());
        }
        let object = json!({
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": { "name": self.name },
            "spec": spec,
        });
        self.making.run(session, object).await
    }
}

/// `cpu=1,memory=1Gi`, with the amounts as Kubernetes writes them.
fn amounts(text: &str) -> Result<Map<String, Value>, String> {
    let mut all = Map::new();
    if text.is_empty() {
        return Ok(all);
    }
    for term in text.split(',') {
        let pair = term
            .split_once('=')
            .filter(|(kind, amount)| !kind.is_empty() && !amount.contains('='));
        let (kind, amount) = pair.ok_or_else(|| {
            format!("Invalid argument syntax {term}, expected <resource>=<value>")
        })?;
        let wrong = |why: &str| format!("{kind}: {why}");
        if amount.trim() != amount {
            return Err(wrong("there are blanks around the amount"));
        }
        let amount = Quantity::parse(amount).map_err(wrong)?;
        all.insert(kind.to_owned(), amount.to_string().into());
    }
    Ok(all)
}

#[derive(Debug, clap::Args)]
pub struct Budget {
    /// Its name
    name: String,
    /// The pods it is about: k=v, k, !k, k in (v,w), k notin (v,w), with commas between them
    #[arg(
        long,
        value_name = "LABELS",
        default_value = "",
        hide_default_value = true
    )]
    selector: String,
    /// How many must stay: a number, or so many percent (50%)
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "",
        hide_default_value = true
    )]
    min_available: String,
    /// How many may be missing: a number, or so many percent (50%)
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "",
        hide_default_value = true
    )]
    max_unavailable: String,
    #[command(flatten)]
    making: Making,
}

impl Budget {
    fn spec(&self) -> Result<Value, String> {
        if self.selector.trim().is_empty() {
            return Err("a selector must be specified".to_owned());
        }
        let (least, most) = (&self.min_available, &self.max_unavailable);
        let (field, flag, count) = match (least.is_empty(), most.is_empty()) {
            (false, true) => ("minAvailable", "min-available", least),
            (true, false) => ("maxUnavailable", "max-unavailable", most),
            (true, true) => {
                return Err("one of min-available or max-unavailable must be specified".to_owned());
            }
            (false, false) => {
                return Err("min-available and max-unavailable cannot be both specified".to_owned());
            }
        };
        let count = share(count).ok_or_else(|| format!("invalid format specified for {flag}"))?;
        let selector = Labels::parse(&self.selector)
            .and_then(|labels| labels.to_value())
            .map_err(|why| {
                format!(
                    "couldn't parse the selector string {:?}: {why}",
                    self.selector
                )
            })?;
        Ok(json!({ "selector": selector, field: count }))
    }

    pub async fn run(self, session: &Session) -> Outcome {
        let object = json!({
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": { "name": self.name },
            "spec": self.spec().map_err(CliError::new)?,
        });
        self.making.run(session, object).await
    }
}

/// `5` or `50%`
fn share(text: &str) -> Option<Value> {
    let digits = text.strip_suffix('%').unwrap_or(text);
    if !digits.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let count: i32 = digits.parse().ok()?;
    match text.ends_with('%') {
        true => Some(text.into()),
        false => Some(count.into()),
    }
}

#[derive(Debug, clap::Args)]
pub struct Priority {
    /// Its name
    name: String,
    /// How far ahead its pods are: a larger number goes first
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    value: i32,
    /// Pods that name no class are of this one
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set)]
    global_default: bool,
    /// What it is for
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    description: String,
    /// Whether its pods push others out: PreemptLowerPriority or Never
    #[arg(long, value_name = "POLICY", default_value = "PreemptLowerPriority")]
    preemption_policy: String,
    #[command(flatten)]
    making: Making,
}

impl Priority {
    pub async fn run(self, session: &Session) -> Outcome {
        let mut object = json!({
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": { "name": self.name },
            "value": self.value,
            "preemptionPolicy": self.preemption_policy,
        });
        if self.global_default {
            object["globalDefault"] = true.into();
        }
        if !self.description.is_empty() {
            object["description"] = self.description.into();
        }
        self.making.run(session, object).await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_kubernetes_or_refused() {
        let found = amounts("cpu=0.5,memory=1024Mi,pods=2,cpu=1000m,count/x.y=1e3").unwrap();
        assert_eq!(
            json!(found),
            json!({ "cpu": "1", "memory": "1Gi", "pods": "2", "count/x.y": "1e3" })
        );
        assert!(amounts("").unwrap().is_empty());
        for (text, why) in [
            ("cpu", "Invalid argument syntax cpu, expected"),
            ("cpu=1,", "Invalid argument syntax , expected"),
            ("cpu=1=2", "Invalid argument syntax cpu=1=2, expected"),
            ("=1", "Invalid argument syntax =1, expected"),
            ("cpu=", "cpu: quantities must match"),
            ("cpu=x", "cpu: quantities must match"),
            ("cpu= 1", "cpu: there are blanks"),
        ] {
            let said = amounts(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }

    #[test]
    fn shares_are_counts_or_percents() {
        assert_eq!(share("5"), Some(json!(5)));
        assert_eq!(share("0"), Some(json!(0)));
        assert_eq!(share("50%"), Some(json!("50%")));
        for wrong in [
            "",
            "%",
            "x",
            "-1",
            "-5%",
            "1.5",
            "5%%",
            " 5",
            "+5",
            "99999999999",
        ] {
            assert_eq!(share(wrong), None, "{wrong}");
        }
    }
}

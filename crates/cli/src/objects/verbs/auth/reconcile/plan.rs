//! What is to be done with a role or a binding, so that it gives what a manifest says.
//!
//! Owns: the comparison, of values alone. What is there and not in the manifest stays, unless it is to
//! be removed; rules are compared by what they allow (`weft_identity::rbac::missing`), not by how they
//! are written.
//! Never: asks a server.

use serde_json::{Map, Value, json};
use weft_identity::rbac::{Rule, missing};

use super::super::list;
use super::wanted::{Marks, Rights, Selector, Subject, Wanted, marks};

/// By this an object is left alone, whatever it lacks.
const OPT_OUT: &str = "rbac.authorization.kubernetes.io/autoupdate";

/// What is taken away.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Removal {
    /// Rules that are not in the manifest.
    pub permissions: bool,
    /// Subjects that are not.
    pub subjects: bool,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Keep,
    Create,
    Update,
    /// The role that a binding gives cannot be changed.
    Recreate,
}

/// The step, and what becomes of the object by it.
#[derive(Debug)]
pub(super) struct Plan {
    pub step: Step,
    pub object: Value,
    /// Nothing is done, whatever the step.
    pub is_opted_out: bool,
    /// Titles, and what is told below them.
    changes: Vec<(&'static str, Vec<String>)>,
}

impl Plan {
    /// From what there is, if there is something, to what is wanted.
    ///
    /// # Errors
    /// What there is cannot be understood, or is too large.
    pub(super) fn of(
        wanted: &Wanted,
        before: Option<&Value>,
        removal: Removal,
    ) -> Result<Plan, String> {
        let Some(before) = before else {
            return Ok(Plan::create(wanted));
        };
        let meta = &before["metadata"];
        let mut plan = Plan {
            step: Step::Keep,
            object: before.clone(),
            is_opted_out: meta["annotations"][OPT_OUT] == "false",
            changes: Vec::new(),
        };
        let there = Rights::read(before)?;
        plan.mark("labels", &wanted.labels)?;
        plan.mark("annotations", &wanted.annotations)?;
        match (&wanted.rights, &there) {
            (
                Rights::Role { rules, selectors },
                Rights::Role {
                    rules: had,
                    selectors: had_selectors,
                },
            ) => {
                // The rules of an aggregated role are made of others' by the server.
                if selectors.is_none() {
                    let raw = &wanted.object["rules"];
                    plan.rules(had, rules, raw, removal.permissions)?;
                }
                plan.selectors(had_selectors.as_deref(), selectors.as_deref(), removal);
            }
            (
                Rights::Binding { role, subjects },
                Rights::Binding {
                    role: had_role,
                    subjects: had,
                },
            ) => {
                if role != had_role {
                    plan.step = Step::Recreate;
                    plan.object = wanted.object.clone();
                    return Ok(plan);
                }
                plan.subjects(had, subjects, removal.subjects);
            }
            _ => return Err("it is of another kind than was asked for".to_owned()),
        }
        Ok(plan)
    }

    fn create(wanted: &Wanted) -> Plan {
        let changes = match &wanted.rights {
            Rights::Role { rules, .. } => {
                ("missing rules added", rules.iter().map(shown).collect())
            }
            Rights::Binding { subjects, .. } => ("missing subjects added", texts(subjects)),
        };
        Plan {
            step: Step::Create,
            object: wanted.object.clone(),
            is_opted_out: false,
            changes: vec![changes],
        }
    }

    /// Labels or annotations that are missing. What is there keeps its value, as with kubectl.
    fn mark(&mut self, key: &str, wanted: &Marks) -> Result<(), String> {
        let had = marks(&self.object["metadata"][key], &format!("metadata.{key}"))?;
        if wanted.keys().all(|name| had.contains_key(name)) {
            return Ok(());
        }
        let all = wanted.iter().chain(&had);
        let all = all.map(|(name, value)| (name.clone(), value.as_str().into()));
        self.object["metadata"][key] = Value::Object(all.collect::<Map<_, _>>());
        self.step = Step::Update;
        Ok(())
    }

    fn rules(
        &mut self,
        had: &[Rule],
        wanted: &[Rule],
        raw: &Value,
        is_exact: bool,
    ) -> Result<(), String> {
        let told = |rules: &[Rule]| rules.iter().map(shown).collect();
        let lacking = missing(had, wanted).map_err(|error| error.to_string())?;
        self.changes.push(("missing rules added", told(&lacking)));
        if is_exact {
            let extra = missing(wanted, had).map_err(|error| error.to_string())?;
            self.changes.push(("extra rules removed", told(&extra)));
            if !lacking.is_empty() || !extra.is_empty() {
                self.object["rules"] = raw.clone();
                self.step = Step::Update;
            }
        } else if !lacking.is_empty() {
            append(&mut self.object["rules"], lacking.iter().map(written));
            self.step = Step::Update;
        }
        Ok(())
    }

    fn selectors(
        &mut self,
        had: Option<&[Selector]>,
        wanted: Option<&[Selector]>,
        removal: Removal,
    ) {
        let Some(wanted) = wanted else {
            // A role with rules of its own is wanted: it must not get others'.
            if had.is_some() {
                if let Some(object) = self.object.as_object_mut() {
                    object.remove("aggregationRule");
                }
                self.step = Step::Update;
            }
            return;
        };
        let (lacking, extra) = difference(had.unwrap_or_default(), wanted);
        let raw = |selectors: &[&Selector]| -> Vec<Value> {
            let all = selectors.iter();
            all.map(|selector| selector.object.clone()).collect()
        };
        if removal.permissions && !(lacking.is_empty() && extra.is_empty()) {
            let all: Vec<&Selector> = wanted.iter().collect();
            self.object["aggregationRule"] = json!({ "clusterRoleSelectors": raw(&all) });
            self.step = Step::Update;
        } else if !lacking.is_empty() {
            let list = &mut self.object["aggregationRule"]["clusterRoleSelectors"];
            append(list, raw(&lacking));
            self.step = Step::Update;
        }
    }

    fn subjects(&mut self, had: &[Subject], wanted: &[Subject], is_exact: bool) {
        let (lacking, extra) = difference(had, wanted);
        let raw = |subject: &&Subject| subject.object.clone();
        self.changes
            .push(("missing subjects added", texts(&lacking)));
        if is_exact {
            self.changes.push(("extra subjects removed", texts(&extra)));
            if !lacking.is_empty() || !extra.is_empty() {
                self.object["subjects"] = match wanted {
                    [] => Value::Null,
                    wanted => wanted.iter().map(|subject| raw(&subject)).collect(),
                };
                self.step = Step::Update;
            }
        } else if !lacking.is_empty() {
            append(&mut self.object["subjects"], lacking.iter().map(raw));
            self.step = Step::Update;
        }
    }

    /// What is told below the object, in kubectl's words.
    pub(super) fn details(&self) -> Vec<String> {
        let word = match self.step {
            Step::Keep => return Vec::new(),
            Step::Create => "create",
            Step::Update => "update",
            Step::Recreate => "recreate",
        };
        let caveat = match self.is_opted_out {
            true => format!(", but object opted out ({OPT_OUT}: false)"),
            false => String::new(),
        };
        let mut lines = vec![format!("\treconciliation required {word}{caveat}")];
        for (title, all) in self.changes.iter().filter(|(_, all)| !all.is_empty()) {
            lines.push(format!("\t{title}:"));
            lines.extend(all.iter().map(|one| format!("\t\t{one}")));
        }
        lines
    }
}

/// Adds to a list, which may not be there.
fn append(list: &mut Value, more: impl IntoIterator<Item = Value>) {
    match list {
        Value::Array(list) => list.extend(more),
        other => *other = more.into_iter().collect(),
    }
}

/// What of `wanted` is not in `had`, and what of `had` is not in `wanted`.
fn difference<'a, T: PartialEq>(had: &'a [T], wanted: &'a [T]) -> (Vec<&'a T>, Vec<&'a T>) {
    let lacking = wanted.iter().filter(|one| !had.contains(one));
    let extra = had.iter().filter(|one| !wanted.contains(one));
    (lacking.collect(), extra.collect())
}

fn texts<T: ToString>(all: &[T]) -> Vec<String> {
    all.iter().map(T::to_string).collect()
}

/// A rule as kubectl shows it.
fn shown(rule: &Rule) -> String {
    let list = |texts: &[String]| list(&json!(texts));
    format!(
        "{{Verbs:{} APIGroups:{} Resources:{} ResourceNames:{} NonResourceURLs:{}}}",
        list(&rule.verbs),
        list(&rule.groups),
        list(&rule.resources),
        list(&rule.names),
        list(&rule.paths),
    )
}

/// A rule as it is sent.
fn written(rule: &Rule) -> Value {
    let fields = [
        ("verbs", &rule.verbs),
        ("apiGroups", &rule.groups),
        ("resources", &rule.resources),
        ("resourceNames", &rule.names),
        ("nonResourceURLs", &rule.paths),
    ];
    let fields = fields.into_iter().filter(|(_, texts)| !texts.is_empty());
    let fields = fields.map(|(key, texts)| (key.to_owned(), json!(texts)));
    Value::Object(fields.collect())
}

#[cfg(test)]
mod tests;

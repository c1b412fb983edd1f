//! Labels, and what is asked of them: `matchLabels`, `matchExpressions`, a node selector's terms.
//! Never parses a selector's text.

use std::collections::BTreeMap;

use crate::names::{Name, Names};

/// How a requirement looks at a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// The label is there, with one of the values.
    In,
    /// The label is absent, or has none of the values.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is absent.
    DoesNotExist,
    /// The label is a number greater than the one value.
    Gt,
    /// The label is a number less than the one value.
    Lt,
}

/// What one label must be like.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requirement {
    /// Which label.
    pub key: String,
    /// How it is looked at.
    pub operator: Operator,
    /// What it is compared with.
    pub values: Vec<String>,
}

/// What labels must be like: all requirements hold. An empty one matches everything; where
/// Kubernetes has a null selector, which matches nothing, an Option stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Selector {
    /// `matchLabels` (as `In` with one value) and `matchExpressions`.
    pub requirements: Vec<Requirement>,
}

impl Selector {
    /// A selector of `matchLabels` alone.
    pub fn labels<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Selector {
        let one = |(key, value): (&str, &str)| Requirement {
            key: key.to_owned(),
            operator: Operator::In,
            values: vec![value.to_owned()],
        };
        Selector {
            requirements: pairs.into_iter().map(one).collect(),
        }
    }
}

/// Labels as they are looked up: few, so found by looking at each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Labels(Vec<(Name, Name)>);

impl Labels {
    pub(crate) fn lower(labels: &BTreeMap<String, String>, names: &mut Names) -> Labels {
        let pairs = labels.iter();
        Labels(
            pairs
                .map(|(key, value)| (names.of(key), names.of(value)))
                .collect(),
        )
    }

    pub(crate) fn find(&self, key: &Name) -> Option<&Name> {
        let found = self.0.iter().find(|(is, _)| is == key);
        found.map(|(_, value)| value)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A selector as it is applied.
#[derive(Clone, Debug, Default)]
pub(crate) struct Test(Vec<Check>);

#[derive(Clone, Debug)]
struct Check {
    key: Name,
    operator: Operator,
    values: Vec<Name>,
    /// Of `Gt` and `Lt`, whose value is a number.
    number: Option<i64>,
}

impl Test {
    pub(crate) fn lower(requirements: &[Requirement], names: &mut Names) -> Test {
        let mut checks = Vec::new();
        for requirement in requirements {
            let values = requirement.values.iter();
            checks.push(Check {
                key: names.of(&requirement.key),
                operator: requirement.operator,
                values: values.map(|value| names.of(value)).collect(),
                number: match &requirement.values[..] {
                    [one] => one.parse().ok(),
                    _ => None,
                },
            });
        }
        Test(checks)
    }

    /// Asks for one value, too (or for any but that).
    pub(crate) fn and(&mut self, key: &Name, operator: Operator, value: &Name) {
        self.0.push(Check {
            key: key.clone(),
            operator,
            values: vec![value.clone()],
            number: None,
        });
    }

    /// Whether it asks for nothing, and so matches everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn matches(&self, labels: &Labels) -> bool {
        self.matches_by(|key| labels.find(key))
    }

    pub(crate) fn matches_by<'a>(&self, find: impl Fn(&Name) -> Option<&'a Name>) -> bool {
        self.0.iter().all(|check| check.holds(find(&check.key)))
    }
}

impl Check {
    fn holds(&self, value: Option<&Name>) -> bool {
        let is_one = || value.is_some_and(|value| self.values.contains(value));
        let number = || value.and_then(|value| value.text().parse::<i64>().ok());
        match self.operator {
            Operator::In => is_one(),
            Operator::NotIn => !is_one(),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::Gt => matches!((number(), self.number), (Some(is), Some(than)) if is > than),
            Operator::Lt => matches!((number(), self.number), (Some(is), Some(than)) if is < than),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_look_at_labels_as_kubernetes_says() {
        let mut names = Names::default();
        let labels = [("app", "web"), ("cores", "8"), ("word", "x")];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let labels = Labels::lower(&labels.into(), &mut names);
        use Operator::*;
        for (key, operator, values, expected) in [
            ("app", In, &["db", "web"][..], true),
            ("app", In, &["db"], false),
            ("none", In, &["db"], false),
            ("app", NotIn, &["db"], true),
            ("app", NotIn, &["web"], false),
            ("none", NotIn, &["web"], true),
            ("app", Exists, &[], true),
            ("none", Exists, &[], false),
            ("app", DoesNotExist, &[], false),
            ("none", DoesNotExist, &[], true),
            ("cores", Gt, &["7"], true),
            ("cores", Gt, &["8"], false),
            ("cores", Lt, &["9"], true),
            ("cores", Lt, &["8"], false),
            ("cores", Gt, &["x"], false),
            ("cores", Gt, &["1", "2"], false),
            ("word", Gt, &["1"], false),
            ("none", Lt, &["1"], false),
        ] {
            let requirement = Requirement {
                key: key.to_owned(),
                operator,
                values: values.iter().map(|value| (*value).to_owned()).collect(),
            };
            let test = Test::lower(std::slice::from_ref(&requirement), &mut names);
            assert_eq!(test.matches(&labels), expected, "{requirement:?}");
        }
        assert!(Test::default().matches(&labels));
        let both = Selector::labels([("app", "web"), ("cores", "9")]);
        assert!(!Test::lower(&both.requirements, &mut names).matches(&labels));
    }
}

//! Which of the rights that rules give are among those that other rules give.
//!
//! Owns: taking rules apart into one verb on one thing, and what includes what. Both the server, which
//! lets nobody give what they do not have, and who brings a role up to date go by it.

use super::Rule;
use super::decide::path_matches;

/// Most combinations of verb, group, resource and name of rules that are compared.
pub(super) const MOST_COMBINATIONS: usize = 100_000;

/// It would take too long to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the role has more than {MOST_COMBINATIONS} combinations of verbs, groups, resources and names: split it"
)]
pub struct Large;

/// One thing a rule allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Atom<'a> {
    Resource {
        verb: &'a str,
        group: &'a str,
        resource: &'a str,
        name: Option<&'a str>,
    },
    Path {
        verb: &'a str,
        path: &'a str,
    },
}

/// What of `wanted` is not in `had`: a rule for each verb on each thing, in the order of `wanted`.
///
/// # Errors
/// It would take too long to compare.
pub fn missing(had: &[Rule], wanted: &[Rule]) -> Result<Vec<Rule>, Large> {
    Ok(beyond(had, wanted)?.map(Rule::from).collect())
}

/// The same, as it is found.
pub(super) fn beyond<'a>(
    had: &'a [Rule],
    wanted: &'a [Rule],
) -> Result<impl Iterator<Item = Atom<'a>>, Large> {
    // A whole rule that is had needs no taking apart.
    let new = || wanted.iter().filter(|rule| !had.contains(rule));
    let sizes = new().map(combinations);
    let sum = sizes.fold(0usize, usize::saturating_add);
    if sum.saturating_mul(had.len().max(1)) > MOST_COMBINATIONS * 100 || sum > MOST_COMBINATIONS {
        return Err(Large);
    }
    let atoms = new().flat_map(atoms);
    Ok(atoms.filter(move |atom| !had.iter().any(|rule| has(rule, *atom))))
}

fn combinations(rule: &Rule) -> usize {
    let resources = [
        rule.groups.len(),
        rule.resources.len(),
        rule.names.len().max(1),
    ];
    let resources = resources.into_iter().fold(1, usize::saturating_mul);
    let targets = resources.saturating_add(rule.paths.len());
    rule.verbs.len().saturating_mul(targets)
}

fn atoms(rule: &Rule) -> impl Iterator<Item = Atom<'_>> {
    let of = move |group, resource| {
        rule.verbs.iter().flat_map(move |verb| {
            let any = rule.names.is_empty().then_some(None);
            let names = rule.names.iter().map(|name| Some(name.as_str()));
            any.into_iter()
                .chain(names)
                .map(move |name| Atom::Resource {
                    verb,
                    group,
                    resource,
                    name,
                })
        })
    };
    let resources = rule.groups.iter().flat_map(move |group| {
        let resources = rule.resources.iter();
        resources.flat_map(move |resource| of(group.as_str(), resource.as_str()))
    });
    let paths = rule.paths.iter().flat_map(|path| {
        let verbs = rule.verbs.iter();
        verbs.map(move |verb| Atom::Path { verb, path })
    });
    resources.chain(paths)
}

/// Whether a rule includes it. A star is only included in a star.
fn has(rule: &Rule, atom: Atom<'_>) -> bool {
    let one_of = |had: &[String], wanted: &str| had.iter().any(|one| one == "*" || one == wanted);
    match atom {
        Atom::Path { verb, path } => {
            one_of(&rule.verbs, verb) && rule.paths.iter().any(|had| path_matches(had, path))
        }
        Atom::Resource {
            verb,
            group,
            resource,
            name,
        } => {
            let sub = resource.split_once('/').map(|(_, sub)| sub);
            let within = |had: &String| {
                had == "*"
                    || had == resource
                    || had.strip_prefix("*/").is_some_and(|had| sub == Some(had))
            };
            let named = |name: &str| rule.names.iter().any(|had| had == name);
            one_of(&rule.verbs, verb)
                && one_of(&rule.groups, group)
                && rule.resources.iter().any(within)
                && (rule.names.is_empty() || name.is_some_and(named))
        }
    }
}

impl From<Atom<'_>> for Rule {
    fn from(atom: Atom<'_>) -> Rule {
        let one = |text: &str| vec![text.to_owned()];
        match atom {
            Atom::Path { verb, path } => Rule {
                verbs: one(verb),
                paths: one(path),
                ..Rule::default()
            },
            Atom::Resource {
                verb,
                group,
                resource,
                name,
            } => Rule {
                verbs: one(verb),
                groups: one(group),
                resources: one(resource),
                names: name.map(one).unwrap_or_default(),
                paths: Vec::new(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Binding, Request, Role, RoleRef, Rules, Target, Who, decide};
    use super::*;

    /// `VERBS GROUPS RESOURCES [NAMES]`, or `VERBS /PATHS`, with commas; `-` is the first group.
    fn rule(text: &str) -> Rule {
        let list = |text: &str| text.split(',').map(|one| one.replace('-', "")).collect();
        let words: Vec<&str> = text.split(' ').collect();
        match words[..] {
            [verbs, paths] => Rule {
                verbs: list(verbs),
                paths: list(paths),
                ..Rule::default()
            },
            [verbs, groups, resources, ref names @ ..] => Rule {
                verbs: list(verbs),
                groups: list(groups),
                resources: list(resources),
                names: names.first().map(|names| list(names)).unwrap_or_default(),
                paths: Vec::new(),
            },
            _ => panic!("{text:?} is no rule"),
        }
    }

    fn rules(text: &str) -> Vec<Rule> {
        let texts = text.split("; ").filter(|text| !text.is_empty());
        texts.map(rule).collect()
    }

    #[test]
    fn what_is_missing_is_told_one_by_one_and_nothing_else() {
        for (had, wanted, expected) in [
            ("", "get - pods", "get - pods"),
            ("get - pods", "", ""),
            ("get - pods", "get - pods", ""),
            (
                "get - pods",
                "get,list -,apps pods,jobs",
                "list - pods; get - jobs; list - jobs; get apps pods; list apps pods; get apps jobs; list apps jobs",
            ),
            // Two rules together give no more than each of them.
            ("get - pods; list - jobs", "get,list - pods", "list - pods"),
            ("get - pods; list - pods", "get,list - pods", ""),
            // A star includes all, and only a star includes it.
            ("* - pods", "get,* - pods", ""),
            ("get,list,watch - pods", "* - pods", "* - pods"),
            ("get * pods", "get -,apps,* pods", ""),
            ("get - pods", "get * pods", "get * pods"),
            ("get - *", "get - pods,pods/log,*/log,*", ""),
            ("get - pods,pods/log", "get - *", "get - *"),
            ("* * *", "get - pods; * * *; get - pods a", ""),
            ("* * *", "get /a", "get /a"),
            ("get *", "get - pods", "get - pods"),
            // Subresources are resources of their own.
            ("get - pods", "get - pods/log", "get - pods/log"),
            ("get - pods/log", "get - pods", "get - pods"),
            (
                "get - */log",
                "get - pods/log,jobs/log,*/log,pods",
                "get - pods",
            ),
            ("get - pods/log", "get - */log", "get - */log"),
            ("get - pods/*", "get - pods/log", "get - pods/log"),
            // Without names all of them are meant.
            ("get - pods", "get - pods a,b", ""),
            ("get - pods a", "get - pods", "get - pods"),
            (
                "get - pods a,b",
                "get,list - pods b,c",
                "get - pods c; list - pods b; list - pods c",
            ),
            ("get - pods *", "get - pods a", "get - pods a"),
            ("get - pods a", "get - pods *", "get - pods *"),
            // Paths.
            ("get /a/*", "get /a/b,/a/,/a/b/*,/a/*", ""),
            ("get /a/*", "get,post /a,/a/b", "get /a; post /a; post /a/b"),
            ("get /a/*", "get /a*,*,/*", "get /a*; get *; get /*"),
            ("get /a", "get /a/,/a/*,/ab", "get /a/; get /a/*; get /ab"),
            ("get *", "get /a,/b/*,*", ""),
            ("get /a**", "get /a*,/ab,/b", "get /b"),
            ("* /a", "get,* /a", ""),
        ] {
            let found = missing(&rules(had), &rules(wanted));
            assert_eq!(found, Ok(rules(expected)), "{had:?} {wanted:?}");
        }
    }

    #[test]
    fn what_takes_too_long_is_refused() {
        let many: Vec<String> = (0..400).map(|n| n.to_string()).collect();
        let wide = Rule {
            verbs: many.clone(),
            groups: many.clone(),
            resources: many,
            ..Rule::default()
        };
        assert_eq!(missing(&[], std::slice::from_ref(&wide)), Err(Large));
        assert_eq!(
            missing(std::slice::from_ref(&wide), std::slice::from_ref(&wide)),
            Ok(vec![])
        );
        assert_eq!(missing(&[wide], &rules("get /a")), Ok(rules("get /a")));
    }

    /// The same numbers in each run.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, sides: usize) -> usize {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (self.0 >> 33) as usize % sides
        }

        fn some(&mut self, of: &[&str], most: usize) -> Vec<String> {
            let count = self.below(most + 1);
            (0..count)
                .map(|_| of[self.below(of.len())].to_owned())
                .collect()
        }

        fn rules(&mut self) -> Vec<Rule> {
            let count = self.below(4);
            let mut rule = || Rule {
                verbs: self.some(&["get", "list", "create", "*"], 2),
                groups: self.some(&["", "apps", "*"], 2),
                resources: self.some(&["pods", "pods/log", "jobs", "*/log", "*"], 2),
                names: self.some(&["a", "b"], 2),
                paths: self.some(&["/a", "/a/*", "/a*", "/a/b", "*", "/a**"], 2),
            };
            (0..count).map(|_| rule()).collect()
        }
    }

    /// Whether each thing that could be asked is allowed.
    fn allowed(rules: &[Rule]) -> Vec<bool> {
        let role = Role {
            namespace: None,
            name: "r".into(),
            rules: rules.to_vec(),
        };
        let binding = Binding {
            namespace: None,
            name: "b".into(),
            role: RoleRef::Cluster("r".into()),
            who: vec![Who::User("u".into())],
        };
        let held = Rules::new(vec![role], vec![binding]);
        let mut targets = Vec::new();
        for path in ["/", "/a", "/a/", "/a/b", "/ab", "/b"] {
            targets.push(Target::Path(path));
        }
        for (group, resource) in [("", "pods"), ("apps", "pods"), ("x", "jobs"), ("", "jobs")] {
            for subresource in ["", "log", "x"] {
                for name in [None, Some("a"), Some("b"), Some("c")] {
                    targets.push(Target::Resource {
                        group,
                        resource,
                        subresource,
                        namespace: None,
                        name,
                        on_node: None,
                    });
                }
            }
        }
        let asked = targets.iter().flat_map(|target| {
            ["get", "list", "create", "delete"].map(|verb| {
                let request = Request {
                    user: "u",
                    groups: &[],
                    verb,
                    target: *target,
                };
                decide(&held, &request).is_allowed()
            })
        });
        asked.collect()
    }

    #[test]
    fn with_what_was_missing_as_much_is_allowed_as_by_both_and_no_more() {
        let mut dice = Dice(1);
        let mut found = 0;
        for _ in 0..3000 {
            let (had, wanted) = (dice.rules(), dice.rules());
            let missing = missing(&had, &wanted).expect("there are few");
            found += usize::from(!missing.is_empty());
            let together = |more: &[Rule]| allowed(&[&had[..], more].concat());
            assert_eq!(together(&missing), together(&wanted), "{had:?} {wanted:?}");
            // What is missing is wanted, and none of it is had.
            let alone = super::missing(&wanted, &missing);
            assert_eq!(alone, Ok(vec![]), "{had:?} {wanted:?}");
            let again = super::missing(&[&had[..], &missing].concat(), &wanted);
            assert_eq!(again, Ok(vec![]), "{had:?} {wanted:?}");
            if missing.is_empty() {
                assert_eq!(together(&wanted), allowed(&had), "{had:?} {wanted:?}");
            }
        }
        assert!(found > 500, "{found}");
    }
}

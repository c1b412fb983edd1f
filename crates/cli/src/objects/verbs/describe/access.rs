//! Who may do what: accounts, roles, bindings.

use serde_json::Value;

use super::page::Page;
use super::related::Related;
use super::value::{list, text, texts};

/// Resource, group, name and URL of a rule that has no more than one of each.
type Subject = [Option<String>; 4];

pub(super) fn account(object: &Value, related: &Related, page: &mut Page) {
    let meta = &object["metadata"];
    page.field(0, "Name", text(&meta["name"]));
    page.field(0, "Namespace", text(&meta["namespace"]));
    page.labels("Labels", &meta["labels"]);
    page.annotations("Annotations", &meta["annotations"]);
    let secrets = related.of("secrets");
    let name = |one: &Value| text(&one["name"]);
    let is_token = |secret: &&Value| {
        let notes = &secret["metadata"]["annotations"];
        secret["type"] == "kubernetes.io/service-account-token"
            && notes["kubernetes.io/service-account.name"] == meta["name"]
            && notes["kubernetes.io/service-account.uid"] == meta["uid"]
    };
    let tokens = secrets.iter().filter(is_token);
    let is_missing = |name: &str| {
        let is_it = |secret: &Value| secret["metadata"]["name"] == name;
        related.failure("secrets").is_none() && !secrets.iter().any(is_it)
    };
    let named = |field: &str| {
        list(&object[field])
            .iter()
            .map(name)
            .collect::<Vec<String>>()
    };
    for (title, names) in [
        ("Image pull secrets:", named("imagePullSecrets")),
        ("Mountable secrets: ", named("secrets")),
        (
            "Tokens:            ",
            tokens.map(|token| name(&token["metadata"])).collect(),
        ),
    ] {
        if names.is_empty() {
            page.line(0, format_args!("{title}\t<none>"));
        }
        for (at, name) in names.iter().enumerate() {
            let title = if at == 0 {
                title
            } else {
                "                   "
            };
            let note = if is_missing(name) { " (not found)" } else { "" };
            page.line(0, format_args!("{title}\t{name}{note}"));
        }
    }
}

pub(super) fn role(object: &Value, page: &mut Page) {
    head(object, page);
    page.line(0, "PolicyRule:");
    page.line(1, "Resources\tNon-Resource URLs\tResource Names\tVerbs");
    page.line(1, "---------\t-----------------\t--------------\t-----");
    for ([resource, group, name, url], verbs) in rules(&object["rules"]) {
        let (url, name) = (url.unwrap_or_default(), name.unwrap_or_default());
        let what = combined(&resource.unwrap_or_default(), &group.unwrap_or_default());
        let verbs = verbs.join(" ");
        page.line(1, format_args!("{what}\t[{url}]\t[{name}]\t[{verbs}]"));
    }
}

/// `deployments.apps/scale`
fn combined(resource: &str, group: &str) -> String {
    let (resource, below) = match resource.split_once('/') {
        Some((resource, below)) => (resource, format!("/{below}")),
        None => (resource, String::new()),
    };
    let dot = if group.is_empty() { "" } else { "." };
    format!("{resource}{dot}{group}{below}")
}

/// Rules taken apart, each with all that may be done to its one thing.
fn rules(rules: &Value) -> Vec<(Subject, Vec<String>)> {
    let mut found: Vec<(Subject, Vec<String>)> = Vec::new();
    let each = |values: &Value| match texts(values) {
        none if none.is_empty() => vec![None],
        values => values.into_iter().map(Some).collect(),
    };
    let mut add = |subject: Subject, verb: String| {
        // Of URLs kubectl makes a line for each verb.
        let same = found
            .iter_mut()
            .find(|(known, _)| *known == subject && subject[3].is_none());
        match same {
            Some((_, verbs)) if verbs.contains(&verb) => {}
            Some((_, verbs)) => verbs.push(verb),
            None => found.push((subject, vec![verb])),
        }
    };
    for rule in list(rules) {
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                for verb in texts(&rule["verbs"]) {
                    for name in each(&rule["resourceNames"]) {
                        add(
                            [Some(resource.clone()), Some(group.clone()), name, None],
                            verb.clone(),
                        );
                    }
                }
            }
        }
        for url in texts(&rule["nonResourceURLs"]) {
            for verb in texts(&rule["verbs"]) {
                add([None, None, None, Some(url.clone())], verb);
            }
        }
    }
    found.sort_by_cached_key(in_order);
    found
}

/// What kubectl sorts rules by: the text Go has for one.
fn in_order((subject, verbs): &(Subject, Vec<String>)) -> String {
    let [resource, group, name, url] = subject.each_ref().map(|it| it.as_deref().unwrap_or(""));
    format!(
        "[{}],[{group}],[{resource}],[{name}],[{url}]",
        verbs.join(" ")
    )
}

pub(super) fn binding(object: &Value, page: &mut Page) {
    head(object, page);
    page.line(0, "Role:");
    page.field(1, "Kind", text(&object["roleRef"]["kind"]));
    page.field(1, "Name", text(&object["roleRef"]["name"]));
    page.line(0, "Subjects:");
    page.line(1, "Kind\tName\tNamespace");
    page.line(1, "----\t----\t---------");
    for subject in list(&object["subjects"]) {
        let [kind, name, namespace] =
            ["kind", "name", "namespace"].map(|field| text(&subject[field]));
        page.line(1, format_args!("{kind}\t{name}\t{namespace}"));
    }
}

fn head(object: &Value, page: &mut Page) {
    let meta = &object["metadata"];
    page.field(0, "Name", text(&meta["name"]));
    page.labels("Labels", &meta["labels"]);
    page.annotations("Annotations", &meta["annotations"]);
}

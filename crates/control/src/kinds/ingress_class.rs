//! IngressClass: who serves ingresses.

use k8s_openapi::api::networking::v1::IngressClass;

use super::rules::fill::{below, set_text};
use super::rules::{Mistakes, Spot};
use super::{document, text};
use crate::failure::Cause;
use crate::kind::{Column, Generation, Kind};
use crate::names;
use crate::object::Object;

const CONTROLLER_MAX: usize = 250;

pub(super) fn kind() -> Kind {
    Kind {
        is_namespaced: false,
        document: document::<IngressClass>(),
        default,
        validate,
        columns: vec![
            Column::name(),
            Column::text("Controller", "Who serves them.", |class| {
                text(class, &["spec", "controller"])
            }),
            Column::text("Parameters", "What it is told.", |class| {
                parameters(class).into()
            }),
            Column::age(),
        ],
        generation: Generation::Content,
        ..Kind::of(
            "networking.k8s.io",
            "v1",
            "IngressClass",
            "ingressclasses",
            "ingressclass",
        )
    }
}

fn default(object: &mut Object) {
    let spec = below(&mut object.0, "spec");
    if let Some(parameters) = spec.and_then(|spec| below(spec, "parameters")) {
        set_text(parameters, "scope", "Cluster");
    }
}

fn validate(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let mut mistakes = Mistakes::default();
    mistakes.spec(object, old, spec);
    mistakes.into_causes()
}

fn spec(mistakes: &mut Mistakes, spec: &Spot<'_, '_>, old: Option<&Spot<'_, '_>>) {
    let controller = spec.at("controller");
    mistakes.no_longer(&controller, CONTROLLER_MAX);
    mistakes.must_be_name(&controller, domain_path);
    if let Some(old) = old {
        mistakes.same(&controller, &old.at("controller"));
    }
    let parameters = spec.at("parameters");
    if !parameters.is_some() {
        return;
    }
    for name in ["kind", "name"] {
        mistakes.must_be_name(&parameters.at(name), names::path_segment);
    }
    mistakes.name(&parameters.at("apiGroup"), names::dns_subdomain);
    let (scope, namespace) = (parameters.at("scope"), parameters.at("namespace"));
    mistakes.must_be_one_of(&scope, &["Cluster", "Namespace"]);
    if scope.text() == "Namespace" {
        let why = "`parameters.scope` is set to 'Namespace'";
        mistakes.must_be(&namespace, why);
        mistakes.name(&namespace, names::dns_label);
    } else if namespace.is_some() {
        mistakes.forbidden(&namespace, "`parameters.scope` is set to 'Cluster'");
    }
}

/// Why `text` is not like `acme.io/foo`.
fn domain_path(text: &str) -> Result<(), &'static str> {
    let why = "must be a domain-prefixed path (such as \"acme.io/foo\")";
    let (domain, path) = text.split_once('/').ok_or(why)?;
    names::dns_subdomain(domain).map_err(|_| why)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&byte);
    (!path.is_empty() && path.bytes().all(plain))
        .then_some(())
        .ok_or(why)
}

fn parameters(class: &Object) -> String {
    let spec = Spot::of(class, "spec");
    let parameters = spec.at("parameters");
    if !parameters.is_some() {
        return "<none>".to_owned();
    }
    let part = |name| parameters.at(name).text();
    match part("apiGroup") {
        "" => format!("{}/{}", part("kind"), part("name")),
        group => format!("{}.{group}/{}", part("kind"), part("name")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::kinds::testing::{defaulted, refuses, refuses_change, shows};

    #[test]
    fn it_is_filled_in_checked_and_shown() {
        let base = json!({
            "metadata": { "name": "web" },
            "spec": { "controller": "a.io/b", "parameters": { "apiGroup": "g.io", "kind": "K", "name": "n" } },
        });
        let spec = |spec: Value| json!({ "spec": spec });
        let with = |parameters: Value| json!({ "spec": { "parameters": parameters } });
        refuses(
            &kind(),
            &base,
            &[
                (
                    spec(json!({ "controller": "" })),
                    &["spec.controller: Required value"],
                ),
                (
                    spec(json!({ "controller": "b" })),
                    &["spec.controller: Invalid value: \"b\": must be a domain-prefixed path"],
                ),
                (
                    spec(json!({ "controller": "a.io/" })),
                    &["spec.controller: Invalid value"],
                ),
                (
                    spec(json!({ "controller": format!("a.io/{}", "b".repeat(250)) })),
                    &["spec.controller: Invalid value"],
                ),
                (
                    with(json!({ "kind": "", "name": "a/b", "apiGroup": "A" })),
                    &[
                        "spec.parameters.kind: Required",
                        "spec.parameters.name: Invalid",
                        "spec.parameters.apiGroup: Invalid",
                    ],
                ),
                (
                    with(json!({ "scope": "All" })),
                    &[
                        "spec.parameters.scope: Unsupported value: \"All\": supported values: \"Cluster\", \"Namespace\"",
                    ],
                ),
                (
                    with(json!({ "scope": "Namespace" })),
                    &[
                        "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'",
                    ],
                ),
                (
                    with(json!({ "scope": "Namespace", "namespace": "A" })),
                    &["spec.parameters.namespace: Invalid"],
                ),
                (
                    with(json!({ "namespace": "a" })),
                    &[
                        "spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'",
                    ],
                ),
            ],
        );
        refuses_change(
            &kind(),
            &base,
            &[(
                spec(json!({ "controller": "a.io/c" })),
                &["spec.controller: Invalid value: \"a.io/c\": field is immutable"],
            )],
        );
        assert_eq!(
            defaulted(&kind(), base.clone())["spec"]["parameters"]["scope"],
            "Cluster"
        );
        shows(
            &kind(),
            base,
            &[
                ("NAME", "web"),
                ("CONTROLLER", "a.io/b"),
                ("PARAMETERS", "K.g.io/n"),
            ],
        );
        let bare = json!({ "metadata": { "name": "x" }, "spec": { "controller": "a.io/b" } });
        shows(
            &kind(),
            bare,
            &[
                ("NAME", "x"),
                ("CONTROLLER", "a.io/b"),
                ("PARAMETERS", "<none>"),
            ],
        );
    }
}

//! IngressClass: who serves ingresses.

use k8s_openapi::api::networking::v1::IngressClass;

use super::rules::fill::{below, set_text};
use super::{document, spot::Spot, text};
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
    let spec = Spot::of(object, "spec");
    let mut causes = Vec::new();
    let controller = spec.field("controller");
    if controller.text().len() > CONTROLLER_MAX {
        let why = format!("may not be more than {CONTROLLER_MAX} bytes");
        causes.push(controller.invalid(&why));
    }
    causes.extend(controller.needed_shaped(domain_path));
    if let Some(old) = old {
        let before = Spot::of(old, "spec").field("controller");
        causes.extend(controller.unchanged(&before));
    }
    let parameters = spec.field("parameters");
    if !parameters.is_there() {
        return causes;
    }
    for name in ["kind", "name"] {
        causes.extend(parameters.field(name).needed_shaped(names::path_segment));
    }
    causes.extend(parameters.field("apiGroup").shaped(names::dns_subdomain));
    let (scope, namespace) = (parameters.field("scope"), parameters.field("namespace"));
    causes.extend(scope.needed_of(&["Cluster", "Namespace"]));
    if scope.text() == "Namespace" {
        let why = "`parameters.scope` is set to 'Namespace'";
        causes.extend(namespace.needed(why));
        causes.extend(namespace.shaped(names::dns_label));
    } else if namespace.is_there() {
        causes.push(namespace.forbidden("`parameters.scope` is set to 'Cluster'"));
    }
    causes
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
    let parameters = Spot::of(class, "spec").field("parameters");
    if !parameters.is_there() {
        return "<none>".to_owned();
    }
    let part = |name| parameters.field(name).text();
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

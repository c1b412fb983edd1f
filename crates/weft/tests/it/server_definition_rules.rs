//! `weft server`: rules of definitions that are expressions, with the real kubectl.
#![allow(clippy::unwrap_used)]

use weft_testkit::{Ran, Weft};

use crate::server_kubectl::{self, apply};

const DEFINITION: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: crontabs.stable.example.com }
spec:
  group: stable.example.com
  scope: Namespaced
  names: { plural: crontabs, singular: crontab, kind: CronTab }
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: { specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas }
    schema:
      openAPIV3Schema:
        type: object
        x-kubernetes-validations:
        - { rule: "self.metadata.name != 'root'", message: choose another name }
        properties:
          spec:
            type: object
            x-kubernetes-validations:
            - rule: self.minReplicas <= self.replicas && self.replicas <= self.maxReplicas
              messageExpression: >-
                'replicas should be in ' + string(self.minReplicas) + '..' + string(self.maxReplicas)
            - rule: "!has(self.jobs) || self.jobs.all(j, j.image.startsWith('reg.example.com/'))"
              message: images come from reg.example.com
              reason: FieldValueForbidden
              fieldPath: .jobs
            properties:
              minReplicas: { type: integer, default: 1 }
              maxReplicas: { type: integer, default: 5 }
              replicas: { type: integer }
              class:
                type: string
                x-kubernetes-validations:
                - { rule: self == oldSelf, message: class is immutable }
              memory:
                x-kubernetes-int-or-string: true
                x-kubernetes-validations:
                - rule: type(self) == int || quantity(self).isLessThan(quantity('4Gi'))
                  message: memory is less than 4Gi
              jobs:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items:
                  type: object
                  required: [name, image]
                  properties:
                    name: { type: string }
                    image: { type: string }
                    priority:
                      type: integer
                      x-kubernetes-validations:
                      - { rule: self >= oldSelf, message: priorities only rise }
          status:
            type: object
            x-kubernetes-validations:
            - { rule: self.replicas >= 0, message: replicas cannot be negative }
            properties:
              replicas: { type: integer }
"#;

const OBJECT: &str = "
apiVersion: stable.example.com/v1
kind: CronTab
metadata: { name: tab }
spec:
  replicas: 3
  class: fast
  memory: 1Gi
  jobs:
  - { name: a, image: reg.example.com/a, priority: 5 }
  - { name: b, image: reg.example.com/b }
";

fn patch(weft: &Weft, more: &[&str], patch: &str) -> Ran {
    let words = ["patch", "crontab", "tab", "--type", "merge", "-p", patch];
    weft.kubectl(&[&words, more].concat(), "").unwrap()
}

/// A server with the definition.
fn server() -> Option<Weft> {
    let weft = server_kubectl::server()?;
    apply(&weft, DEFINITION).ok();
    let wait = "wait --for=condition=Established --timeout=60s crd/crontabs.stable.example.com";
    let words: Vec<&str> = wait.split_whitespace().collect();
    weft.kubectl(&words, "").unwrap().ok();
    Some(weft)
}

#[test]
fn objects_keep_the_rules_of_their_definition() {
    let Some(weft) = server() else { return };
    apply(&weft, OBJECT).ok();

    let invalid = "The CronTab \"tab\" is invalid: ";
    for (from, to, why) in [
        (
            "replicas: 3",
            "replicas: 9",
            "spec: Invalid value: \"object\": replicas should be in 1..5",
        ),
        (
            "reg.example.com/b",
            "elsewhere.com/b",
            "spec.jobs: Forbidden: images come from reg.example.com",
        ),
        (
            "memory: 1Gi",
            "memory: 8Gi",
            "spec.memory: Invalid value: \"\": memory is less than 4Gi",
        ),
        (
            "memory: 1Gi",
            "memory: much",
            "spec.memory: Invalid value: \"\": rule evaluation error: quantities must match",
        ),
        (
            "class: fast",
            "class: slow",
            "spec.class: Invalid value: \"string\": class is immutable",
        ),
        (
            "priority: 5",
            "priority: 4",
            "spec.jobs[0].priority: Invalid value: \"integer\": priorities only rise",
        ),
    ] {
        let told = apply(&weft, &OBJECT.replace(from, to));
        told.fails_saying(&[&format!("{invalid}{why}")]);
    }
    let root = OBJECT.replace("name: tab", "name: root");
    let wanted =
        "The CronTab \"root\" is invalid: <nil>: Invalid value: \"object\": choose another";
    apply(&weft, &root).fails_saying(&[wanted]);

    // What the rules allow: another order, a rise, a number.
    let allowed = OBJECT.replace("priority: 5", "priority: 6");
    apply(&weft, &allowed.replace("memory: 1Gi", "memory: 7")).ok();
    let scaled = weft.kubectl(&["scale", "crontab", "tab", "--replicas", "6"], "");
    scaled.unwrap().fails_saying(&["should be in 1..5"]);
    let status = ["--subresource", "status"];
    patch(&weft, &status, r#"{"status":{"replicas":-1}}"#)
        .fails_saying(&["status: Invalid value: \"object\": replicas cannot be negative"]);
    patch(&weft, &status, r#"{"status":{"replicas":2}}"#).ok();

    // A stricter definition leaves alone what nobody changes.
    apply(
        &weft,
        &DEFINITION.replace("type(self) == int || ", "type(self) != int && "),
    )
    .ok();
    patch(&weft, &[], r#"{"metadata":{"labels":{"a":"b"}}}"#).ok();
    patch(&weft, &[], r#"{"spec":{"memory":8}}"#).fails_saying(&["memory is less than 4Gi"]);
}

#[test]
fn rules_that_cannot_be_kept_are_refused_with_their_definition() {
    let Some(weft) = server() else { return };
    let at = "spec.versions[0].schema.openAPIV3Schema";
    for (from, to, why) in [
        (
            "self == oldSelf",
            "self.reverse() == oldSelf",
            ".properties[spec].properties[class].x-kubernetes-validations[0].rule: Invalid value: \
             \"self.reverse() == oldSelf\": undeclared reference to 'reverse'",
        ),
        (
            "self.replicas >= 0",
            "self.replica >= 0",
            ".properties[status].x-kubernetes-validations[0].rule: Invalid value: \
             \"self.replica >= 0\": undefined field 'replica'",
        ),
        (
            "x-kubernetes-list-type: map\n                x-kubernetes-list-map-keys: [name]\n",
            "maxItems: 5\n",
            ".properties[spec].properties[jobs].items.properties[priority]\
             .x-kubernetes-validations[0].rule",
        ),
    ] {
        let told = apply(&weft, &DEFINITION.replace(from, to));
        told.fails_saying(&[&format!("{at}{why}")]);
    }
}

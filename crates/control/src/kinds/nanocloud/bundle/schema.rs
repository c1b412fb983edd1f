//! What a bundle may hold.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use crate::kinds::schema_of;

/// Its schema.
pub(super) fn bundle() -> Value {
    let parts = json!({ "spec": spec(), "status": status() });
    let about = "A service of the catalogue, with its options.";
    schema_of::<ObjectMeta>("Bundle", about, parts, &["spec"])
}

fn words(about: &str) -> Value {
    json!({ "type": "string", "description": about })
}

fn switch(about: &str) -> Value {
    json!({ "type": "boolean", "description": about })
}

fn number(about: &str) -> Value {
    json!({ "type": "integer", "format": "int32", "description": about })
}

fn time(about: &str) -> Value {
    json!({ "type": "string", "format": "date-time", "description": about })
}

fn object(about: &str, required: &[&str], properties: Value) -> Value {
    json!({
        "type": "object",
        "description": about,
        "required": required,
        "properties": properties,
    })
}

fn list(about: &str, items: Value) -> Value {
    json!({ "type": "array", "description": about, "items": items })
}

fn spec() -> Value {
    let snapshot = json!({
        "source": words("URI of the archive."),
        "mediaType": words("What it is: application/x-tar."),
    });
    let profile = json!({
        "type": words("Baseline, RuntimeDefault or Localhost."),
        "localhostProfile": words("Name of the profile of this machine, for Localhost."),
    });
    let security = json!({
        "allowPrivileged": switch("Whether its containers may be privileged."),
        "extraCapabilities": list("Capabilities besides the usual ones.", words("CAP_NAME or NAME.")),
        "seccompProfile": object("Which system calls it may make.", &["type"], profile),
    });
    let options = json!({
        "type": "object",
        "description": "What the service is told.",
        "additionalProperties": { "type": "string" },
    });
    let fields = json!({
        "service": words("The catalogue's name of it."),
        "namespace": words("Where it runs: the bundle's own namespace."),
        "options": options,
        "key": words("Key of its profile, wrapped."),
        "snapshot": object("Where its data comes from.", &["source"], snapshot),
        "start": switch("Whether it is started."),
        "update": switch("Whether its image is pulled anew."),
        "security": object("What it may do.", &[], security),
        "runtime": object("What its containers get.", &[], runtime()),
    });
    object("What is wanted.", &["service"], fields)
}

fn runtime() -> Value {
    let reference = |about: &str| {
        let fields =
            json!({ "name": words("Its name."), "optional": switch("Whether it may be missing.") });
        object(about, &["name"], fields)
    };
    let env = json!({
        "prefix": words("Put before each name."),
        "configMapRef": reference("All of a ConfigMap."),
        "secretRef": reference("All of a Secret."),
    });
    let items = || {
        let fields = json!({
            "key": words("Which one."),
            "path": words("Its file."),
            "mode": number("Its permissions."),
        });
        list(
            "Which keys, as which files.",
            object("A key.", &["key", "path"], fields),
        )
    };
    let source = |about: &str, name: &str| {
        let mut fields = json!({
            "items": items(),
            "defaultMode": number("Permissions of its files."),
            "optional": switch("Whether it may be missing."),
        });
        fields[name] = words("Its name.");
        object(about, &[name], fields)
    };
    let volume = json!({
        "name": words("What mounts call it."),
        "configMap": source("Files of a ConfigMap.", "name"),
        "secret": source("Files of a Secret.", "secretName"),
    });
    let mount = json!({
        "name": words("Which volume."),
        "mountPath": words("Where."),
        "subPath": words("Which part of it."),
        "readOnly": switch("Whether it can only be read."),
    });
    json!({
        "envFrom": list("Where variables come from.", object("A source.", &[], env)),
        "volumes": list("Volumes it has.", object("A volume.", &["name"], volume)),
        "volumeMounts": list("Where they are.", object("A mount.", &["name", "mountPath"], mount)),
    })
}

fn status() -> Value {
    let condition = json!({
        "type": words("Ready, Bound, SecretsProvisioned or ProfilePrepared."),
        "status": words("TRUE, FALSE or UNKNOWN."),
        "reason": words("Why, in one word."),
        "message": words("Why."),
        "lastTransitionTime": time("Since when."),
    });
    let workload = json!({
        "name": words("Its name."),
        "namespace": words("Its namespace."),
        "uid": words("Its id."),
    });
    let binding = json!({
        "binding_id": words("Which binding."),
        "service": words("Whose."),
        "command": list("What was run.", words("A word.")),
        "attempts": number("How often."),
        "status": words("PENDING, RUNNING, SUCCEEDED, FAILED or TIMED_OUT."),
        "last_started_at": time("When it began last."),
        "last_finished_at": time("When it ended last."),
        "duration_ms": json!({ "type": "integer", "format": "int64", "description": "How long it took." }),
        "exit_code": number("How it ended."),
        "message": words("What was wrong."),
        "stdout": words("What it said."),
        "stderr": words("What it complained of."),
        "event_id": words("The event that tells of it."),
    });
    let fields = json!({
        "observedGeneration": { "type": "integer", "format": "int64", "description": "Which version this is about." },
        "phase": words("PENDING, VALIDATING, RENDERING, APPLYING, READY, FAILED or DELETING."),
        "conditions": list("What holds.", object("A condition.", &["type", "status"], condition)),
        "workload": object("What runs it.", &[], workload),
        "lastReconciledTime": time("When it was looked at last."),
        "bindingHistory": list("Bindings that were made.", object("A binding.", &["binding_id"], binding)),
    });
    object("What is.", &[], fields)
}

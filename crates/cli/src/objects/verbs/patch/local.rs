//! Patching without a server: `--local` and `--dry-run=client`.

use serde_json::Value;

use crate::error::CliError;
use crate::objects::form::label;
use crate::objects::kustomize;

/// `object` with a patch of the type that is called `kind`.
pub(super) fn patched(object: &Value, kind: &str, patch: &Value) -> Result<Value, CliError> {
    let label = label(object);
    let tried = format!("patch {label}");
    let mut after = object.clone();
    match kind {
        "json" => {
            let operations: json_patch::Patch = serde_json::from_value(patch.clone())
                .map_err(|error| CliError::because(&tried, &error))?;
            json_patch::patch(&mut after, &operations)
                .map_err(|error| CliError::because(&tried, &error))?;
        }
        "merge" => json_patch::merge(&mut after, patch),
        _ if !kustomize::is_known(object) => {
            return Err(CliError::new(format!(
                "{tried}: strategic merge patch is not supported for this kind here, specify --type=merge"
            )));
        }
        _ => kustomize::merge(&mut after, patch)
            .map_err(|error| CliError::because(&tried, &error))?,
    }
    match after["kind"].is_string() && after["metadata"]["name"].is_string() {
        true => Ok(after),
        false => Err(CliError::new(format!(
            "{tried}: it leaves no object with kind and name"
        ))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_type_of_patch_does_what_it_does_in_the_server() {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p", "labels": { "a": "1" } },
            "spec": { "containers": [{ "name": "c", "image": "old" }] },
        });
        let containers = json!({ "spec": { "containers": [{ "name": "d", "image": "new" }] } });
        let names = |after: &Value| {
            let all = after["spec"]["containers"].as_array().unwrap().iter();
            all.map(|one| one["name"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        let merged = patched(&pod, "strategic", &containers).unwrap();
        assert_eq!(names(&merged).len(), 2, "{merged}");
        let replaced = patched(&pod, "merge", &containers).unwrap();
        assert_eq!(names(&replaced), ["d"]);
        let test = json!([{ "op": "replace", "path": "/metadata/labels/a", "value": "2" }]);
        let changed = patched(&pod, "json", &test).unwrap();
        assert_eq!(changed["metadata"]["labels"]["a"], "2");
        for (kind, patch) in [
            (
                "json",
                json!([{ "op": "test", "path": "/metadata/name", "value": "x" }]),
            ),
            ("json", json!([{ "op": "remove", "path": "/nope" }])),
            ("json", json!({ "op": "remove" })),
            ("merge", json!({ "metadata": null })),
            ("merge", json!(3)),
            ("strategic", json!({ "$patch": "delete" })),
            ("strategic", json!({ "$patch": "nope" })),
        ] {
            assert!(patched(&pod, kind, &patch).is_err(), "{kind} {patch}");
        }
        let own =
            json!({ "apiVersion": "example.com/v1", "kind": "A", "metadata": { "name": "a" } });
        assert!(patched(&own, "strategic", &json!({})).is_err());
    }
}

//! Seccomp profiles in Docker's JSON form, turned into the runtime spec's.
//! Docker's has conditions (`includes`, `excludes`); they are decided here.

use serde_json::{Map, Value, json};
use weft_runtime::capabilities::Set;

/// What Docker's form names a machine like ours.
#[cfg(target_arch = "x86_64")]
const ARCH: (&str, &str) = ("amd64", "SCMP_ARCH_X86_64");
#[cfg(target_arch = "aarch64")]
const ARCH: (&str, &str) = ("arm64", "SCMP_ARCH_AARCH64");

/// The spec's form of the profile `text` for a process with `caps` on a kernel `(major, minor)`.
///
/// # Errors
/// A sentence: not JSON, or a member that is none.
pub(crate) fn from_docker(text: &str, caps: Set, kernel: (u32, u32)) -> Result<Value, String> {
    let profile: Value = serde_json::from_str(text).map_err(|e| format!("it is not JSON: {e}"))?;
    let Value::Object(profile) = profile else {
        return Err("it is not a JSON object".into());
    };
    let mut out = Map::new();
    for (key, value) in &profile {
        match key.as_str() {
            "defaultAction" | "defaultErrnoRet" | "flags" | "listenerPath" | "listenerMetadata" => {
                out.insert(key.clone(), value.clone());
            }
            "architectures" => {
                out.insert(key.clone(), value.clone());
            }
            // Only the native ABI: foreign ones reach the kernel by other numbers.
            "archMap" => {
                out.insert("architectures".into(), json!([ARCH.1]));
            }
            "syscalls" => {
                let list = value.as_array().ok_or("its syscalls are not a list")?;
                let mut kept = Vec::new();
                for entry in list {
                    kept.extend(rule(entry, caps, kernel)?);
                }
                out.insert(key.clone(), Value::Array(kept));
            }
            other => return Err(format!("it has a member '{other}', which is not supported")),
        }
    }
    if !out.contains_key("defaultAction") {
        return Err("it has no defaultAction".into());
    }
    Ok(Value::Object(out))
}

/// The rule, if its conditions hold.
fn rule(entry: &Value, caps: Set, kernel: (u32, u32)) -> Result<Option<Value>, String> {
    let entry = entry
        .as_object()
        .ok_or("a member of its syscalls is not an object")?;
    if let Some(conditions) = entry.get("includes")
        && !holds(conditions, caps, kernel, true)?
    {
        return Ok(None);
    }
    if let Some(conditions) = entry.get("excludes")
        && holds(conditions, caps, kernel, false)?
    {
        return Ok(None);
    }
    let mut out = Map::new();
    for (key, value) in entry {
        match key.as_str() {
            "includes" | "excludes" | "comment" => {}
            "name" => {
                out.insert("names".into(), json!([value]));
            }
            // Docker writes an empty list where the spec has no member.
            "args" if value.is_null() => {}
            "names" | "action" | "errnoRet" | "args" => {
                out.insert(key.clone(), value.clone());
            }
            other => {
                return Err(format!(
                    "a rule has a member '{other}', which is not supported"
                ));
            }
        }
    }
    Ok(Some(Value::Object(out)))
}

/// Whether all (for includes) or any (for excludes) of the conditions hold.
fn holds(conditions: &Value, caps: Set, kernel: (u32, u32), all: bool) -> Result<bool, String> {
    let Some(conditions) = conditions.as_object() else {
        return Err("the conditions of a rule are not an object".into());
    };
    let mut answers = Vec::new();
    for (key, value) in conditions {
        let words = || {
            value
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
        };
        match key.as_str() {
            "caps" => {
                for name in words() {
                    let set = Set::named(name).map_err(|e| e.to_string())?;
                    answers.push(caps.covers(set));
                }
            }
            "arches" => answers.push(words().contains(&ARCH.0)),
            "minKernel" => {
                let text = value.as_str().unwrap_or_default();
                let mut parts = text.split('.').map(str::parse::<u32>);
                let (Some(Ok(major)), Some(Ok(minor))) = (parts.next(), parts.next()) else {
                    return Err(format!("'{text}' is no kernel version"));
                };
                answers.push(kernel >= (major, minor));
            }
            other => return Err(format!("a condition '{other}' is not supported")),
        }
    }
    Ok(if all {
        answers.iter().all(|a| *a)
    } else {
        answers.iter().any(|a| *a)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn names(conditions: &str, caps: &str) -> usize {
        let text = format!(
            r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{{"names":["x"],"action":"SCMP_ACT_ALLOW",{conditions}}}]}}"#
        );
        let set = if caps.is_empty() {
            Set::EMPTY
        } else {
            Set::named(caps).unwrap()
        };
        let out = from_docker(&text, set, (6, 1)).unwrap();
        out["syscalls"].as_array().unwrap().len()
    }

    #[test]
    fn conditions_are_decided() {
        assert_eq!(names(r#""includes":{}"#, ""), 1);
        assert_eq!(names(r#""includes":{"caps":["CAP_SYS_ADMIN"]}"#, ""), 0);
        assert_eq!(
            names(r#""includes":{"caps":["CAP_SYS_ADMIN"]}"#, "SYS_ADMIN"),
            1
        );
        assert_eq!(
            names(r#""excludes":{"caps":["CAP_SYS_ADMIN"]}"#, "SYS_ADMIN"),
            0
        );
        assert_eq!(names(r#""excludes":{"caps":["CAP_SYS_ADMIN"]}"#, ""), 1);
        assert_eq!(names(r#""includes":{"minKernel":"4.8"}"#, ""), 1);
        assert_eq!(names(r#""includes":{"minKernel":"6.2"}"#, ""), 0);
        assert_eq!(names(r#""includes":{"arches":["s390"]}"#, ""), 0);
    }

    #[test]
    fn what_is_no_profile_is_told() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"defaultAction":"x","more":1}"#,
            r#"{"defaultAction":"x","syscalls":{}}"#,
            r#"{"defaultAction":"x","syscalls":[{"names":[],"includes":{"moon":[]}}]}"#,
            r#"{"defaultAction":"x","syscalls":[{"names":[],"includes":{"minKernel":"new"}}]}"#,
            r#"{"defaultAction":"x","syscalls":[{"names":[],"priority":1}]}"#,
        ] {
            assert!(from_docker(text, Set::EMPTY, (6, 1)).is_err(), "{text}");
        }
    }
}

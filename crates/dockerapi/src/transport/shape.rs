//! What is wrong with a JSON body, in the API's words: the member's path, what is expected there and
//! what was found. Never in Rust's.

use serde_json::error::Category;

/// The sentence for `error`, met at `path` (`.` is the body itself).
pub fn describe(path: &str, error: &serde_json::Error) -> String {
    let text = error.to_string();
    if error.classify() != Category::Data {
        return format!("the body is not JSON: {text}");
    }
    let place = if path == "." { "the body" } else { path };
    // Where in the text it is says less than the path does.
    let plain = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(plain, _)| plain);
    let mismatch = plain
        .strip_prefix("invalid type: ")
        .or_else(|| plain.strip_prefix("invalid value: "))
        .and_then(|rest| rest.rsplit_once(", expected "));
    match mismatch {
        Some((found, wanted)) => {
            format!("{place}: expected {}, got {}", expected(wanted), got(found))
        }
        None => format!("{place}: {plain}"),
    }
}

fn expected(wanted: &str) -> String {
    let whole = |least: &str, most: &str| format!("a whole number from {least} to {most}");
    match wanted {
        "a map" => "an object".into(),
        "a sequence" => "an array".into(),
        "a boolean" => "true or false".into(),
        "i64" | "i128" => "a whole number".into(),
        "u64" | "usize" | "u128" => "a whole number from 0 on".into(),
        "u8" => whole("0", "255"),
        "u16" => whole("0", "65535"),
        "u32" => whole("0", "4294967295"),
        "i32" => whole("-2147483648", "2147483647"),
        "f32" | "f64" => "a number".into(),
        wanted if wanted.starts_with("struct ") => "an object".into(),
        wanted if wanted.starts_with("tuple ") || wanted.starts_with("an array") => {
            "an array".into()
        }
        other => other.into(),
    }
}

/// Longest value shown.
const SHOWN_MAX: usize = 80;

fn got(found: &str) -> String {
    let quoted = found
        .split_once('`')
        .and_then(|(kind, rest)| Some((kind.trim(), rest.strip_suffix('`')?)));
    let text = match (found, quoted) {
        ("map", _) => "an object".to_owned(),
        ("sequence", _) => "an array".to_owned(),
        (_, Some(("integer" | "floating point", number))) => format!("the number {number}"),
        (_, Some(("boolean", word))) => word.to_owned(),
        (found, _) if found.starts_with("string ") => format!("the {found}"),
        (found, _) => found.to_owned(),
    };
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weft_api::docker::ContainerCreateRequest;

    use crate::transport::body::decode;

    fn said(body: &str) -> String {
        decode::<ContainerCreateRequest>(body.as_bytes())
            .unwrap_err()
            .message
    }

    #[test]
    fn a_wrong_member_is_told_by_its_path() {
        let host = |host: serde_json::Value| said(&json!({ "HostConfig": host }).to_string());
        for (got, expect) in [
            (said("[]"), "the body: expected an object, got an array"),
            (
                said("\"x\""),
                "the body: expected an object, got the string \"x\"",
            ),
            (
                said("{\"Image\":5}"),
                "Image: expected a string, got the number 5",
            ),
            (
                said("{\"Tty\":\"yes\"}"),
                "Tty: expected true or false, got the string \"yes\"",
            ),
            (
                said("{\"Labels\":[1]}"),
                "Labels: expected an object, got an array",
            ),
            (said("{\"Env\":true}"), "Env: expected an array, got true"),
            (
                host(json!(5)),
                "HostConfig: expected an object, got the number 5",
            ),
            (
                host(json!({ "Memory": "1g" })),
                "HostConfig.Memory: expected a whole number, got the string \"1g\"",
            ),
            (
                host(json!({ "BlkioWeight": 70000 })),
                "HostConfig.BlkioWeight: expected a whole number from 0 to 65535, got the number 70000",
            ),
            (
                host(json!({ "Mounts": [{}, 7] })),
                "HostConfig.Mounts[1]: expected an object, got the number 7",
            ),
            (
                host(json!({ "PortBindings": { "80/tcp": [{ "HostPort": 80 }] } })),
                "HostConfig.PortBindings.80/tcp[0].HostPort: expected a string, got the number 80",
            ),
        ] {
            assert_eq!(got, expect);
        }
        assert!(said(&format!("{{\"Tty\":\"{}\"}}", "x".repeat(9999))).len() < 400);
    }

    #[test]
    fn what_is_no_json_is_called_that() {
        assert_eq!(
            said("{\"Image\":"),
            "the body is not JSON: EOF while parsing a value at line 1 column 9"
        );
        assert_eq!(said(" "), "the body is empty: JSON is expected");
    }
}

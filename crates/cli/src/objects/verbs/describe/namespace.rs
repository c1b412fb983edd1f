//! What holds in a namespace: quotas and limits.

use serde_json::Value;
use weft_client::Request;

use crate::error::CliError;
use crate::objects::connect::Api;
use crate::objects::form::items;

/// Columns of limits, with where a limit has them.
const LIMITS: [(&str, &str); 5] = [
    ("Min", "min"),
    ("Max", "max"),
    ("Default Request", "defaultRequest"),
    ("Default Limit", "default"),
    ("Max Limit/Request Ratio", "maxLimitRequestRatio"),
];

/// The lines that stand below a namespace.
pub(super) async fn text(api: &Api, name: &str) -> Result<String, CliError> {
    let mut out = String::new();
    let quotas = list(api, name, "resourcequotas").await?;
    out.push_str(match quotas.is_empty() {
        true => "\nNo resource quota.\n",
        false => "\nResource Quotas\n",
    });
    for quota in &quotas {
        out.push_str(&quota_text(quota));
    }
    let limits = list(api, name, "limitranges").await?;
    if limits.is_empty() {
        out.push_str("\nNo LimitRange resource.\n");
    } else {
        out.push_str("\nResource Limits\n");
        out.push_str(&limits_text(&limits));
    }
    Ok(out)
}

/// Who may not see them still sees the namespace.
async fn list(api: &Api, namespace: &str, plural: &str) -> Result<Vec<Value>, CliError> {
    let path = ["api", "v1", "namespaces", namespace, plural];
    match api.ask(&Request::get("list what holds in it", &path)).await {
        Ok(answer) => Ok(items(&answer.json()?).into_iter().cloned().collect()),
        Err(error) if error.refusal().is_some_and(|refusal| refusal.code == 403) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

fn quota_text(quota: &Value) -> String {
    let name = quota["metadata"]["name"].as_str().unwrap_or_default();
    let mut rows = vec![
        vec!["Name:".to_owned(), name.to_owned()],
        ["Resource", "Used", "Hard"].map(str::to_owned).to_vec(),
        ["--------", "---", "---"].map(str::to_owned).to_vec(),
    ];
    let hard = quota["status"]["hard"]
        .as_object()
        .or(quota["spec"]["hard"].as_object());
    for (resource, hard) in hard.into_iter().flatten() {
        let used = quota["status"]["used"][resource].as_str().unwrap_or("0");
        let hard = hard.as_str().unwrap_or_default();
        rows.push([resource, used, hard].map(str::to_owned).to_vec());
    }
    aligned("  ", &rows)
}

fn limits_text(ranges: &[Value]) -> String {
    let heading = |rule: fn(&str) -> String| {
        let fixed = ["Type", "Resource"].map(rule);
        let more = LIMITS.map(|(title, _)| rule(title));
        fixed.into_iter().chain(more).collect::<Vec<String>>()
    };
    let mut rows = vec![
        heading(str::to_owned),
        heading(|title| "-".repeat(title.len())),
    ];
    let limits = ranges
        .iter()
        .filter_map(|range| range["spec"]["limits"].as_array());
    for limit in limits.flatten() {
        let mut resources: Vec<&String> = LIMITS
            .iter()
            .filter_map(|(_, field)| limit[field].as_object())
            .flat_map(serde_json::Map::keys)
            .collect();
        resources.sort();
        resources.dedup();
        for resource in resources {
            let kind = limit["type"].as_str().unwrap_or_default();
            let mut row = vec![kind.to_owned(), resource.clone()];
            let values = LIMITS.map(|(_, field)| limit[field][resource].as_str().unwrap_or("-"));
            row.extend(values.map(str::to_owned));
            rows.push(row);
        }
    }
    aligned(" ", &rows)
}

/// Columns two blanks apart, the last one as it is.
fn aligned(indent: &str, rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter(|row| row.len() > column + 1);
        cells.map(|row| row[column].len() + 2).max().unwrap_or(0)
    };
    let mut out = String::new();
    for row in rows {
        out.push_str(indent);
        for (column, cell) in row.iter().enumerate() {
            let pad = if column + 1 < row.len() {
                width(column)
            } else {
                0
            };
            out.push_str(&format!("{cell:<pad$}"));
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quotas_and_limits_are_tables() {
        let quota = json!({
            "metadata": { "name": "small" },
            "spec": { "hard": { "pods": "10" } },
        });
        assert_eq!(
            quota_text(&quota),
            "  Name:     small\n  Resource  Used  Hard\n  --------  ---   ---\n  pods      0     10\n"
        );
        let range = json!({ "spec": { "limits": [
            { "type": "Container", "max": { "cpu": "2" }, "default": { "cpu": "1" } },
        ] } });
        let text = limits_text(&[range]);
        let last = text.lines().last().unwrap_or_default();
        assert_eq!(
            last.split_whitespace().collect::<Vec<_>>(),
            ["Container", "cpu", "-", "2", "-", "1", "-"]
        );
    }
}

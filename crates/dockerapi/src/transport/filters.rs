//! The `filters` parameter: JSON, in today's form and in the one from before 1.22.
//!
//! It holds names and values; what they select is decided by the lists themselves.

use std::collections::BTreeMap;

use super::query::Query;
use crate::error::ApiError;

/// Filter name to its values. Bounded by the size of the request head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    /// Reads the parameter, accepting only the names in `known`.
    pub fn parse(query: &Query, known: &[&str]) -> Result<Self, ApiError> {
        let Some(text) = query.text("filters") else {
            return Ok(Self::default());
        };
        let wrong = |why: &dyn std::fmt::Display| {
            ApiError::invalid(format!("query parameter 'filters': {why}"))
        };
        let value: serde_json::Value = serde_json::from_str(text).map_err(|e| wrong(&e))?;
        let serde_json::Value::Object(members) = value else {
            return Err(wrong(&"must be an object"));
        };
        let mut filters = BTreeMap::new();
        for (name, values) in members {
            if !known.contains(&name.as_str()) {
                return Err(ApiError::invalid(format!("invalid filter '{name}'")));
            }
            let values = values_of(values)
                .ok_or_else(|| wrong(&format!("'{name}' must hold an array of strings")))?;
            if !values.is_empty() {
                filters.insert(name, values);
            }
        }
        Ok(Self(filters))
    }

    /// Also these values under that name.
    pub fn with(mut self, name: &str, values: &[String]) -> Self {
        if !values.is_empty() {
            self.0.insert(name.to_owned(), values.to_vec());
        }
        self
    }

    /// The values under a name.
    pub fn values(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether no value is asked for, or one of them satisfies `test`.
    pub fn any(&self, name: &str, test: impl Fn(&str) -> bool) -> bool {
        let values = self.values(name);
        values.is_empty() || values.iter().any(|value| test(value))
    }

    /// A filter that is a boolean.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.values(name) {
            [] => Ok(None),
            [one] if matches!(one.as_str(), "1" | "true") => Ok(Some(true)),
            [one] if matches!(one.as_str(), "0" | "false") => Ok(Some(false)),
            other => Err(ApiError::invalid(format!(
                "invalid filter '{name}={}'",
                other.join(",")
            ))),
        }
    }

    /// Whether `labels` has every `label` (`name` or `name=value`) and no `label!`.
    pub fn labels(&self, labels: &BTreeMap<String, String>) -> bool {
        let has = |wanted: &String| match wanted.split_once('=') {
            Some((name, value)) => labels.get(name).is_some_and(|found| found == value),
            None => labels.contains_key(wanted),
        };
        self.values("label").iter().all(has) && !self.values("label!").iter().any(has)
    }
}

fn values_of(value: serde_json::Value) -> Option<Vec<String>> {
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => Some(text),
        _ => None,
    };
    match value {
        serde_json::Value::Array(values) => values.into_iter().map(text).collect(),
        serde_json::Value::Object(set) => Some(
            set.into_iter()
                .filter(|(_, on)| *on != serde_json::Value::Bool(false))
                .map(|(name, _)| name)
                .collect(),
        ),
        serde_json::Value::Null => Some(Vec::new()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Filters, Query};

    fn parse(text: &str) -> Result<Filters, String> {
        let query = Query::parse(&format!("filters={text}")).unwrap();
        Filters::parse(&query, &["status", "label", "label!", "dangling"])
            .map_err(|e| e.to_string())
    }

    #[test]
    fn both_forms_mean_the_same() {
        let new = parse(r#"{"status":["exited","running"]}"#).unwrap();
        let old = parse(r#"{"status":{"exited":true,"running":true,"dead":false}}"#).unwrap();
        assert_eq!(new, old);
        assert!(new.any("status", |s| s == "running"));
        assert!(!new.any("status", |s| s == "created"));
        assert!(new.any("label", |_| false));
    }

    #[test]
    fn labels_by_name_and_by_value() {
        let labels = [
            ("a".to_owned(), "1".to_owned()),
            ("b".to_owned(), String::new()),
        ]
        .into();
        let matches = |text| parse(text).unwrap().labels(&labels);
        assert!(matches(r#"{"label":["a"]}"#));
        assert!(matches(r#"{"label":["a%3D1","b"]}"#));
        assert!(!matches(r#"{"label":["a%3D2"]}"#));
        assert!(!matches(r#"{"label!":["b"]}"#));
    }

    #[test]
    fn wrong_filters_are_named() {
        assert_eq!(
            parse(r#"{"colour":["red"]}"#).unwrap_err(),
            "invalid filter 'colour'"
        );
        assert!(parse("[]").unwrap_err().contains("must be an object"));
        assert!(parse(r#"{"status":"x"}"#).unwrap_err().contains("'status'"));
        assert!(parse("{").is_err());
        assert!(
            parse(r#"{"dangling":["maybe"]}"#)
                .unwrap()
                .flag("dangling")
                .is_err()
        );
    }
}

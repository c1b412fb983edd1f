//! `Healthcheck` of a create request.
//!
//! What is left out is merged with the image's by the engine.

use weft_api::docker::HealthConfig;
use weft_engine::spec::HealthSpec;

use super::Refusals;

/// Docker takes nothing shorter: a millisecond.
const DURATION_MIN_NS: i64 = 1_000_000;

/// Lowers the check, in Docker's words where it refuses.
pub fn health(no: &mut Refusals, config: Option<&HealthConfig>) -> Option<HealthSpec> {
    let config = config?;
    no.rest("Healthcheck.", &config.rest);
    check_test(no, &config.test);
    let mut duration = |name: &str, ns: i64| {
        if ns != 0 && ns < DURATION_MIN_NS {
            no.invalid(format!("{name} in Healthcheck cannot be less than 1ms"));
        }
        u64::try_from(ns).unwrap_or(0)
    };
    let spec = HealthSpec {
        test: config.test.clone(),
        interval_ns: duration("Interval", config.interval),
        timeout_ns: duration("Timeout", config.timeout),
        start_period_ns: duration("StartPeriod", config.start_period),
        start_interval_ns: duration("StartInterval", config.start_interval),
        retries: u32::try_from(config.retries).unwrap_or(0),
    };
    if config.retries < 0 {
        no.invalid("Retries in Healthcheck cannot be negative");
    } else if u32::try_from(config.retries).is_err() {
        no.invalid("Retries in Healthcheck is out of range");
    }
    (spec != HealthSpec::default()).then_some(spec)
}

fn check_test(no: &mut Refusals, test: &[String]) {
    match test {
        [] => {}
        [kind] if kind == "NONE" => {}
        [kind, _, ..] if kind == "CMD" => {}
        [kind, _] if kind == "CMD-SHELL" => {}
        [kind, ..] if ["NONE", "CMD", "CMD-SHELL"].contains(&kind.as_str()) => {
            no.invalid(format!(
                "Test in Healthcheck: '{kind}' has too few or too many words after it"
            ));
        }
        [kind, ..] => no.invalid(format!(
            "Test in Healthcheck: '{}' is not one of NONE, CMD, CMD-SHELL",
            kind.escape_debug()
        )),
    }
    if test.iter().any(|word| word.contains('\0')) {
        no.invalid("Test in Healthcheck contains a NUL byte");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lower(json: serde_json::Value) -> Result<Option<HealthSpec>, String> {
        let config: HealthConfig = serde_json::from_value(json).unwrap();
        let mut no = Refusals::default();
        let health = health(&mut no, Some(&config));
        no.check().map_err(|error| error.message)?;
        Ok(health)
    }

    #[test]
    fn values_are_taken() {
        let json = serde_json::json!({ "Test": ["CMD", "a", "b"], "Interval": 1_000_000,
            "Timeout": 2_000_000, "StartPeriod": 3_000_000, "StartInterval": 4_000_000,
            "Retries": 5 });
        let spec = HealthSpec {
            test: ["CMD", "a", "b"].map(String::from).to_vec(),
            interval_ns: 1_000_000,
            timeout_ns: 2_000_000,
            start_period_ns: 3_000_000,
            start_interval_ns: 4_000_000,
            retries: 5,
        };
        assert_eq!(lower(json), Ok(Some(spec)));
        assert_eq!(lower(serde_json::json!({ "Test": null })), Ok(None));
        let none = lower(serde_json::json!({ "Test": ["NONE"] })).unwrap();
        assert_eq!(none.unwrap().test, ["NONE"]);
    }

    #[test]
    fn bad_values_are_named() {
        for (json, words) in [
            (
                r#"{"Interval":999999}"#,
                "Interval in Healthcheck cannot be less than 1ms",
            ),
            (
                r#"{"Timeout":-1}"#,
                "Timeout in Healthcheck cannot be less than 1ms",
            ),
            (
                r#"{"StartPeriod":5}"#,
                "StartPeriod in Healthcheck cannot be less than 1ms",
            ),
            (
                r#"{"StartInterval":1}"#,
                "StartInterval in Healthcheck cannot be less than 1ms",
            ),
            (
                r#"{"Retries":-1}"#,
                "Retries in Healthcheck cannot be negative",
            ),
            (
                r#"{"Retries":5000000000}"#,
                "Retries in Healthcheck is out of range",
            ),
            (r#"{"Test":["HTTP","x"]}"#, "'HTTP' is not one of"),
            (r#"{"Test":[""]}"#, "'' is not one of"),
            (r#"{"Test":["CMD"]}"#, "'CMD' has too few"),
            (
                r#"{"Test":["CMD-SHELL","a","b"]}"#,
                "'CMD-SHELL' has too few or too many",
            ),
            (r#"{"Test":["NONE","a"]}"#, "'NONE' has too few or too many"),
            (r#"{"Test":["CMD","a\u0000"]}"#, "NUL"),
            (r#"{"Gadget":1}"#, "not supported: Healthcheck.Gadget"),
        ] {
            let error = lower(serde_json::from_str(json).unwrap()).unwrap_err();
            assert!(error.contains(words), "{json}: {error}");
        }
    }
}

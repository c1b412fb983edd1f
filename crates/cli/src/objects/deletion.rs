//! How something is deleted: what `delete` and `apply` say of it.

use serde_json::{Value, json};

use super::write::DryRun;
use crate::error::CliError;
use crate::printer::Printer;

/// Flags of what deletes.
#[derive(Debug, Clone, clap::Args)]
pub struct Deletion {
    /// What depends on it: background and foreground delete it, orphan leaves it
    #[arg(long, value_name = "HOW", default_value = "background", value_parser = ["background", "foreground", "orphan"])]
    cascade: String,
    /// Seconds it is given to end; 0 only with --force [default: its own]
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = -1,
        allow_negative_numbers = true
    )]
    grace_period: i64,
}

impl Deletion {
    /// Refuses what contradicts itself, and says what giving no time means.
    pub fn checked(&self, is_forced: bool, printer: Printer) -> Result<(), CliError> {
        if is_forced && self.grace_period > 0 {
            return Err(CliError::usage(
                "--force and --grace-period greater than 0 cannot be specified together",
            ));
        }
        if is_forced {
            printer.talk(
                "Warning: nobody waits until what is deleted by force has ended: it may run on",
            );
        }
        Ok(())
    }

    /// What is sent along; with `uid`, no other object of that name is meant.
    pub fn options(&self, is_forced: bool, dry_run: DryRun, uid: Option<&str>) -> Value {
        let policy = match self.cascade.as_str() {
            "orphan" => "Orphan",
            "foreground" => "Foreground",
            _ => "Background",
        };
        let mut body =
            json!({ "kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": policy });
        let grace = match (is_forced, self.grace_period) {
            (true, grace) => grace.max(0),
            // Nobody is killed by a zero alone.
            (false, 0) => 1,
            (false, grace) => grace,
        };
        if grace >= 0 {
            body["gracePeriodSeconds"] = grace.into();
        }
        if let Some(uid) = uid {
            body["preconditions"] = json!({ "uid": uid });
        }
        if dry_run == DryRun::Server {
            body["dryRun"] = json!(["All"]);
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_force_gives_no_time() {
        let given = |grace_period| Deletion {
            cascade: "orphan".to_owned(),
            grace_period,
        };
        for (grace, is_forced, sent) in [
            (-1, false, Value::Null),
            (-1, true, 0.into()),
            (0, false, 1.into()),
            (0, true, 0.into()),
            (7, false, 7.into()),
        ] {
            let body = given(grace).options(is_forced, DryRun::None, None);
            assert_eq!(body["gracePeriodSeconds"], sent, "{grace} {is_forced}");
        }
        assert!(given(7).checked(true, Printer).is_err());
        let body = given(-1).options(false, DryRun::Server, Some("u"));
        assert_eq!(body["preconditions"]["uid"], "u");
        assert_eq!(body["dryRun"], json!(["All"]));
        assert_eq!(body["propagationPolicy"], "Orphan");
    }
}

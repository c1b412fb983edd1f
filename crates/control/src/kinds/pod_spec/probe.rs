//! Rules for what asks a container or tells it something: probes and lifecycle hooks.

use super::super::rules::{Mistakes, Spot};

const EXEC: &str = "exec";
const SLEEP: &str = "sleep";
const GRPC: &str = "grpc";
/// What a probe can do.
const PROBES: [&str; 4] = [EXEC, "httpGet", "tcpSocket", GRPC];
/// What a hook can do.
const HOOKS: [&str; 4] = [EXEC, "httpGet", "tcpSocket", SLEEP];

/// Hooks and probes of a container; `grace_s` is how long its pod is given to end.
pub(super) fn probes(mistakes: &mut Mistakes, container: &Spot<'_, '_>, grace_s: i64) {
    let lifecycle = container.at("lifecycle");
    for name in ["postStart", "preStop"] {
        let hook = lifecycle.at(name);
        if hook.is_some() {
            handler(mistakes, &hook, &HOOKS);
            let sleep = hook.at(SLEEP);
            let why = format!(
                "must be non-negative and less than terminationGracePeriodSeconds ({grace_s})"
            );
            mistakes.within(&sleep.at("seconds"), 0..=grace_s, &why);
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let probe = container.at(name);
        if probe.is_some() {
            self::probe(mistakes, &probe, name);
        }
    }
}

fn probe(mistakes: &mut Mistakes, probe: &Spot<'_, '_>, name: &str) {
    handler(mistakes, probe, &PROBES);
    for number in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        mistakes.not_negative(&probe.at(number));
    }
    let grace = probe.at("terminationGracePeriodSeconds");
    if name == "readinessProbe" {
        if grace.is_some() {
            mistakes.invalid(&grace, "must not be set for readinessProbes");
        }
    } else {
        mistakes.within(&grace, 1..=i64::MAX, "must be greater than 0");
        mistakes.within(&probe.at("successThreshold"), 1..=1, "must be 1");
    }
}

/// Exactly one of `known`.
fn handler(mistakes: &mut Mistakes, at: &Spot<'_, '_>, known: &[&str]) {
    let mut is_there = false;
    for name in known {
        let action = at.at(name);
        if !action.is_some() {
            continue;
        }
        if is_there {
            mistakes.forbidden(&action, "may not specify more than 1 handler type");
            continue;
        }
        is_there = true;
        self::action(mistakes, &action, name);
    }
    if !is_there {
        mistakes.required(at, "must specify a handler type");
    }
}

fn action(mistakes: &mut Mistakes, action: &Spot<'_, '_>, name: &str) {
    match name {
        EXEC => mistakes.must_be(&action.at("command"), ""),
        "tcpSocket" => mistakes.must_be_port_or_name(&action.at("port")),
        GRPC => mistakes.port(&action.at("port")),
        "httpGet" => {
            mistakes.must_be(&action.at("path"), "");
            mistakes.must_be_port_or_name(&action.at("port"));
            mistakes.must_be_one_of(&action.at("scheme"), &["HTTP", "HTTPS"]);
            for header in action.at("httpHeaders").items() {
                mistakes.must_be_name(&header.at("name"), header_name);
            }
        }
        _ => {}
    }
}

fn header_name(name: &str) -> Result<(), &'static str> {
    let is_right = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
    if name.bytes().all(is_right) {
        Ok(())
    } else {
        Err(
            "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. \
             'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')",
        )
    }
}

//! Merges a [`Spec`] with its image's config, as Docker does. Pure.

use std::collections::BTreeMap;

use super::{HealthSpec, Protocol, Resolved, Spec};
use crate::error::{EngineError, ErrorCode, Result};

/// The parts of an image's config a container inherits.
#[derive(Debug, Clone, Default)]
pub(crate) struct ImageDefaults {
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
    pub env: Vec<String>,
    pub cwd: String,
    pub user: String,
    pub labels: BTreeMap<String, String>,
    pub stop_signal: Option<String>,
    pub exposed: Vec<String>,
    pub health: Option<HealthSpec>,
    pub shell: Vec<String>,
}

/// What `spec` comes to on an image with `defaults`, for the container `id`.
///
/// # Errors
/// No command anywhere, a relative working directory, an unknown stop signal, a malformed port.
pub(crate) fn resolve(spec: &Spec, defaults: &ImageDefaults, id: &str) -> Result<Resolved> {
    let (entrypoint, cmd) = command(spec, defaults)?;
    let cwd = spec.cwd.clone().unwrap_or_else(|| defaults.cwd.clone());
    let cwd = if cwd.is_empty() { "/".to_owned() } else { cwd };
    if !cwd.starts_with('/') {
        return Err(EngineError::invalid(format!(
            "the working directory '{cwd}' is invalid, it needs to be an absolute path"
        )));
    }
    let hostname = spec.hostname.clone().unwrap_or_else(|| id[..12].to_owned());
    let signal = spec
        .stop_signal
        .as_deref()
        .or(defaults.stop_signal.as_deref())
        .unwrap_or("SIGTERM");
    let mut labels = defaults.labels.clone();
    labels.extend(spec.labels.clone());
    let mut exposed = Vec::new();
    for port in defaults.exposed.iter().chain(&spec.exposed) {
        exposed.extend(parse_exposed(port)?);
    }
    exposed.extend(spec.ports.iter().map(|p| (p.container_port, p.protocol)));
    exposed.sort_unstable();
    exposed.dedup();
    Ok(Resolved {
        env: environment(spec, defaults),
        user: spec.user.clone().unwrap_or_else(|| defaults.user.clone()),
        stop_signal: parse_signal(signal)?,
        health: health(spec.health.as_ref(), defaults.health.as_ref()),
        shell: defaults.shell.clone(),
        entrypoint,
        cmd,
        cwd,
        hostname,
        labels,
        exposed,
    })
}

/// What the user left out comes from the image.
fn health(user: Option<&HealthSpec>, image: Option<&HealthSpec>) -> Option<HealthSpec> {
    let (Some(user), Some(image)) = (user, image) else {
        return user.or(image).cloned();
    };
    let or = |user, image| if user == 0 { image } else { user };
    Some(HealthSpec {
        test: if user.test.is_empty() {
            image.test.clone()
        } else {
            user.test.clone()
        },
        interval_ns: or(user.interval_ns, image.interval_ns),
        timeout_ns: or(user.timeout_ns, image.timeout_ns),
        start_period_ns: or(user.start_period_ns, image.start_period_ns),
        start_interval_ns: or(user.start_interval_ns, image.start_interval_ns),
        retries: if user.retries == 0 {
            image.retries
        } else {
            user.retries
        },
    })
}

/// A given entrypoint drops the image's arguments; a missing one keeps both.
fn command(spec: &Spec, defaults: &ImageDefaults) -> Result<(Vec<String>, Vec<String>)> {
    let cleared = |e: &[String]| e.is_empty() || e == [String::new()];
    let (entrypoint, inherited) = match &spec.entrypoint {
        Some(e) if cleared(e) => (Vec::new(), Vec::new()),
        Some(e) => (e.clone(), Vec::new()),
        None => (defaults.entrypoint.clone(), defaults.cmd.clone()),
    };
    let cmd = match &spec.cmd {
        Some(c) if !c.is_empty() => c.clone(),
        _ => inherited,
    };
    if entrypoint.is_empty() && cmd.is_empty() {
        return Err(EngineError::invalid(
            "no command specified: the image names none; give one after the image",
        ));
    }
    if entrypoint
        .iter()
        .chain(&cmd)
        .next()
        .is_some_and(String::is_empty)
    {
        return Err(EngineError::invalid(
            "the command's first word is empty: it has to name a program",
        ));
    }
    for arg in entrypoint.iter().chain(&cmd) {
        if arg.contains('\0') {
            return Err(EngineError::invalid("the command contains a NUL byte"));
        }
    }
    Ok((entrypoint, cmd))
}

/// The image's, then the user's; a later one wins, a bare name stays to remove one.
fn environment(spec: &Spec, defaults: &ImageDefaults) -> Vec<String> {
    let mut env = Vec::new();
    for entry in defaults.env.iter().chain(&spec.env) {
        crate::oci::environment::put(&mut env, entry);
    }
    env
}

/// `80`, `80/udp`, `8000-8010/tcp`.
fn parse_exposed(text: &str) -> Result<Vec<(u16, Protocol)>> {
    let wrong = || {
        EngineError::invalid(format!(
            "invalid port '{text}': expected PORT[-PORT][/tcp|udp]"
        ))
    };
    let (range, protocol) = match text.split_once('/') {
        Some((r, "tcp")) => (r, Protocol::Tcp),
        Some((r, "udp")) => (r, Protocol::Udp),
        Some(_) => return Err(wrong()),
        None => (text, Protocol::Tcp),
    };
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let first: u16 = first.parse().map_err(|_| wrong())?;
    let last: u16 = last.parse().map_err(|_| wrong())?;
    if first == 0 || last < first {
        return Err(wrong());
    }
    Ok((first..=last).map(|p| (p, protocol)).collect())
}

const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// The number of `SIGTERM`, `term`, `15`, `SIGRTMIN+3`.
///
/// # Errors
/// A name or number Linux does not have.
pub fn parse_signal(text: &str) -> Result<i32> {
    let wrong = || EngineError::new(ErrorCode::Invalid, format!("invalid signal: {text}"));
    if let Ok(number) = text.parse::<i32>() {
        return if (1..=64).contains(&number) {
            Ok(number)
        } else {
            Err(wrong())
        };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(i) = SIGNALS.iter().position(|s| *s == name) {
        return i32::try_from(i + 1).map_err(|_| wrong());
    }
    // glibc keeps 32 and 33 for itself: SIGRTMIN is 34, SIGRTMAX 64.
    let offset = |rest: &str, sign: char| -> Option<i32> {
        if rest.is_empty() {
            Some(0)
        } else {
            rest.strip_prefix(sign)?.parse().ok()
        }
    };
    let number = if let Some(rest) = name.strip_prefix("RTMIN") {
        offset(rest, '+').map(|n| 34 + n)
    } else if let Some(rest) = name.strip_prefix("RTMAX") {
        offset(rest, '-').map(|n| 64 - n)
    } else {
        None
    };
    number.filter(|n| (34..=64).contains(n)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> ImageDefaults {
        ImageDefaults {
            entrypoint: vec!["/entry".into()],
            cmd: vec!["a".into()],
            env: vec!["PATH=/bin".into(), "X=1".into(), "HOME".into()],
            exposed: vec!["80/tcp".into(), "53/udp".into()],
            ..ImageDefaults::default()
        }
    }

    const ID: &str = "0123456789abcdef";

    #[test]
    fn command_is_merged_as_docker_does() {
        let check = |entrypoint: Option<&[&str]>, cmd: &[&str], expect: &[&str]| {
            let own = |v: &[&str]| v.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
            let spec = Spec {
                entrypoint: entrypoint.map(own),
                cmd: (!cmd.is_empty()).then(|| own(cmd)),
                ..Spec::default()
            };
            assert_eq!(resolve(&spec, &image(), ID).unwrap().args(), own(expect));
        };
        check(None, &[], &["/entry", "a"]);
        check(None, &["b"], &["/entry", "b"]);
        check(Some(&["/x"]), &[], &["/x"]);
        check(Some(&["/x"]), &["c"], &["/x", "c"]);
        check(Some(&[""]), &["c"], &["c"]);
        let none = Spec {
            entrypoint: Some(vec![]),
            ..Spec::default()
        };
        assert!(resolve(&none, &image(), ID).is_err());
    }

    #[test]
    fn environment_is_overlaid() {
        let spec = Spec {
            env: vec!["X=2".into(), "Y=3".into(), "PATH".into()],
            ..Spec::default()
        };
        let env = resolve(&spec, &image(), ID).unwrap().env;
        assert_eq!(env, ["PATH", "X=2", "HOME", "Y=3"]);
    }

    #[test]
    fn health_is_overlaid_on_the_images() {
        let image = HealthSpec {
            test: vec!["CMD".into(), "x".into()],
            interval_ns: 5,
            retries: 7,
            ..HealthSpec::default()
        };
        let user = HealthSpec {
            interval_ns: 9,
            timeout_ns: 3,
            ..HealthSpec::default()
        };
        let both = HealthSpec {
            interval_ns: 9,
            timeout_ns: 3,
            ..image.clone()
        };
        assert_eq!(health(Some(&user), Some(&image)), Some(both));
        let none = HealthSpec {
            test: vec!["NONE".into()],
            ..HealthSpec::default()
        };
        let merged = health(Some(&none), Some(&image)).unwrap();
        assert_eq!(merged.test, ["NONE"]);
        assert_eq!(health(None, Some(&image)), Some(image));
        assert_eq!(health(Some(&user), None), Some(user));
        assert_eq!(health(None, None), None);
    }

    #[test]
    fn signals_by_name_and_number() {
        for (text, number) in [
            ("15", 15),
            ("SIGTERM", 15),
            ("kill", 9),
            ("SIGRTMIN", 34),
            ("RTMIN+3", 37),
            ("SIGRTMAX-1", 63),
        ] {
            assert_eq!(parse_signal(text).unwrap(), number, "{text}");
        }
        for text in ["", "0", "65", "SIGFOO", "RTMIN+40", "-9", "RTMIN-1"] {
            assert!(parse_signal(text).is_err(), "{text}");
        }
    }

    #[test]
    fn exposed_ports_come_from_image_and_spec() {
        let spec = Spec {
            exposed: vec!["90-91".into()],
            ..Spec::default()
        };
        let ports = resolve(&spec, &image(), ID).unwrap().exposed;
        assert_eq!(
            ports,
            [
                (53, Protocol::Udp),
                (80, Protocol::Tcp),
                (90, Protocol::Tcp),
                (91, Protocol::Tcp)
            ]
        );
        for bad in ["", "0", "x", "80/sctp", "9-8", "70000"] {
            let spec = Spec {
                exposed: vec![bad.into()],
                ..Spec::default()
            };
            assert!(resolve(&spec, &image(), ID).is_err(), "{bad}");
        }
    }
}

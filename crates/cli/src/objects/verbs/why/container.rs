//! Why a container does not run, or is not ready: its status in words. Pure.

use jiff::Timestamp;
use serde_json::Value;

use super::cause::{Finding, Seen, State, ago, int, name, text};

/// A run that is younger than this may end as the one before it, in seconds.
const NEW_S: i64 = 600;

/// A container, and what is known of it.
pub(super) struct Container<'a> {
    pub(super) seen: &'a Seen,
    pub(super) spec: &'a Value,
    pub(super) status: &'a Value,
    pub(super) is_init: bool,
    pub(super) now: Timestamp,
}

impl Container<'_> {
    /// What is with it; nothing where it is as it should be.
    pub(super) fn finding(&self) -> Option<Finding> {
        let state = &self.status["state"];
        let found = if let Some(waiting) = state.get("waiting") {
            self.waiting(waiting)
        } else if let Some(ended) = state.get("terminated") {
            self.ended(ended)?
        } else if state.get("running").is_some() {
            self.running()?
        } else {
            return None;
        };
        let what = match self.is_init {
            true => "init container",
            false => "container",
        };
        let object = format!("{what} {}", self.own());
        Some(found.under(object, self.state_in_words()))
    }

    fn own(&self) -> &str {
        text(self.spec, "/name")
    }

    fn image(&self) -> &str {
        text(self.spec, "/image")
    }

    /// `container app of pod web`
    fn called(&self) -> String {
        let what = match self.is_init {
            true => "init container",
            false => "container",
        };
        format!("{what} {} of pod {}", self.own(), name(&self.seen.object))
    }

    fn logs(&self, previous: bool) -> String {
        let flag = if previous { " --previous" } else { "" };
        let pod = name(&self.seen.object);
        format!(
            "`weft logs pod/{pod} -c {}{flag}` shows what it said last",
            self.own()
        )
    }

    fn state_in_words(&self) -> String {
        let state = &self.status["state"];
        let restarts = match int(self.status, "/restartCount") {
            0 => String::new(),
            1 => ", restarted once".to_owned(),
            count => format!(", restarted {count} times"),
        };
        let (place, reason) = match () {
            () if state.get("waiting").is_some() => ("waits", text(state, "/waiting/reason")),
            () if state.get("running").is_some() => ("runs", ""),
            () => ("has ended", text(state, "/terminated/reason")),
        };
        let reason = match reason {
            "" => String::new(),
            reason => format!(" ({reason})"),
        };
        format!("{place}{reason}{restarts}")
    }

    fn waiting(&self, waiting: &Value) -> Finding {
        let (reason, message) = (text(waiting, "/reason"), text(waiting, "/message"));
        let called = self.called();
        let (image, own) = (self.image(), self.own());
        match reason {
            "ErrImagePull" | "ImagePullBackOff" => self.pull(message),
            "ErrImageNeverPull" => Finding::wrong(
                format!(
                    "{called} cannot start: image {image} is not on the node, and imagePullPolicy: Never forbids to pull it"
                ),
                format!("`weft pull {image}` on the node, or say imagePullPolicy: IfNotPresent"),
            ),
            "InvalidImageName" => Finding::wrong(
                format!("{called} cannot start: {image:?} is no name of an image"),
                "correct the image in the pod's template",
            ),
            "CreateContainerConfigError" => Finding::wrong(
                format!(
                    "{called} cannot start: {}",
                    plain(message, "what it refers to is not there")
                ),
                if message.contains("non-root") || message.contains("runAsNonRoot") {
                    "set securityContext.runAsUser to a user that is not 0, or take an image with one"
                } else if message.contains("has no port called") {
                    "name the port in the container's ports, or correct the probe or hook"
                } else if message.contains("(subPath)") {
                    "correct volumeMounts.subPath, or add that file to what the volume shows"
                } else {
                    "create what is missing, or mark the reference as optional: it starts by itself then"
                },
            ),
            "CrashLoopBackOff" => self.crashes(message),
            "PostStartHookError" => self.hook(message),
            "RunContainerError" | "CreateContainerError" | "StartError" => self.start(message),
            "PodInitializing" | "ContainerCreating" | "" => self.being_made(),
            _ => Finding::wrong(
                format!("{called} cannot start: {}", plain(message, reason)),
                format!("correct container {own} in the pod's template"),
            ),
        }
    }

    fn being_made(&self) -> Finding {
        let called = self.called();
        let has_hook = self.spec.pointer("/lifecycle/postStart").is_some();
        if has_hook && self.event("Started").is_some() {
            return Finding::waiting(
                format!("{called} has started, and its postStart hook has not returned yet"),
                "wait a little; a hook that never returns is to be corrected in lifecycle.postStart",
            );
        }
        Finding::waiting(format!("{called} is being made"), "wait a little")
    }

    fn pull(&self, message: &str) -> Finding {
        let image = self.image();
        // The status says that it is tried again; the event says what was wrong.
        let told = self.seen.events.iter().rev().find(|one| {
            let message = text(one, "/message");
            text(one, "/reason") == "Failed" && message.contains("pull") && message.contains(image)
        });
        let message = match told.map(|one| text(one, "/message")) {
            Some(told) if message.starts_with("Back-off") || message.is_empty() => told,
            _ => message,
        };
        // Its name may hold any word and number.
        let lower = message.replace(image, "").to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        let (says, next) = if has(&[
            "unauthorized",
            "denied",
            "authentication",
            "401",
            "403",
            "forbidden",
        ]) {
            (
                format!("the registry does not give image {image} to us"),
                "is the name right? If it is private: create a docker-registry secret and name it in imagePullSecrets".to_owned(),
            )
        } else if has(&["not found", "manifest unknown", "name unknown", "404"]) {
            (
                format!("image {image} does not exist"),
                "correct its name or tag in the pod's template".to_owned(),
            )
        } else if has(&[
            "dial",
            "no such host",
            "lookup",
            "resolve",
            "timed out",
            "timeout",
            "connect",
            "unreachable",
            "dns",
        ]) {
            (
                format!("the registry of image {image} cannot be reached"),
                "look at the node's network and name server, or load the image there with `weft load`".to_owned(),
            )
        } else {
            (
                format!("image {image} cannot be pulled"),
                "it is tried again by itself; `weft describe pod` has the events".to_owned(),
            )
        };
        let found = Finding::wrong(format!("{} cannot start: {says}", self.called()), next);
        match message.is_empty() {
            true => found,
            false => found.then("image", short(message)),
        }
    }

    fn start(&self, message: &str) -> Finding {
        let called = self.called();
        let lower = message.to_lowercase();
        let command = self.command();
        if lower.contains("argument list too long") {
            let found = Finding::wrong(
                format!(
                    "{called} cannot start: its command, args and env are longer than the kernel takes (128 KiB each)"
                ),
                "hand over what is large as a file: a volume of a configMap or secret",
            );
            return found.then("start", short(message));
        }
        // Else it is a mount or a directory that is missing.
        let is_of_program = ["execut", "find the program", "exec:"];
        let is_of_program = is_of_program.iter().any(|word| lower.contains(word));
        let is_missing = lower.contains("not found") || lower.contains("no such file");
        if is_of_program && is_missing {
            let found = Finding::wrong(
                format!(
                    "{called} cannot start: its command {command} is not in image {}",
                    self.image()
                ),
                "correct command or args in the pod's template, or the image",
            );
            return found.then("start", short(message));
        }
        if lower.contains("exec format error") {
            let found = Finding::wrong(
                format!(
                    "{called} cannot start: its command {command} is no program, or one of another architecture"
                ),
                format!(
                    "take an image for the node's architecture in place of {}",
                    self.image()
                ),
            );
            return found.then("start", short(message));
        }
        let is_forbidden = lower.contains("permission denied") || lower.contains("not executable");
        if is_of_program && is_forbidden {
            let found = Finding::wrong(
                format!("{called} cannot start: its command {command} may not be executed"),
                "make it executable in the image, or run it through a shell",
            );
            return found.then("start", short(message));
        }
        Finding::wrong(
            format!(
                "{called} cannot start: {}",
                plain(message, "the node says no more")
            ),
            "correct it in the pod's template",
        )
    }

    fn command(&self) -> String {
        let first = |key: &str| self.spec[key][0].as_str().map(|word| format!("{word:?}"));
        first("command")
            .or_else(|| first("args"))
            .unwrap_or_else(|| "(the image's own)".to_owned())
    }

    fn hook(&self, message: &str) -> Finding {
        Finding::wrong(
            format!(
                "{} is stopped again after each start: its postStart hook fails: {}",
                self.called(),
                plain(message, "it says no more")
            ),
            "correct lifecycle.postStart in the pod's template",
        )
    }

    fn crashes(&self, message: &str) -> Finding {
        let last = &self.status["lastState"]["terminated"];
        if text(last, "/reason") == "StartError" {
            return self.start(text(last, "/message"));
        }
        if let Some(failed) = self.event("FailedPostStartHook") {
            return self.hook(failed);
        }
        for probe in ["Liveness", "Startup"] {
            if let Some(said) = self.probe_failure(probe) {
                return self.killed_by_probe(probe, said);
            }
        }
        let found = self.end("exits each time", last);
        match message.is_empty() {
            true => found,
            false => found.then("restart", short(message)),
        }
    }

    /// Why a run ended.
    fn end(&self, how: &str, ended: &Value) -> Finding {
        let (code, called) = (int(ended, "/exitCode"), self.called());
        let previous = self.status["state"].get("terminated").is_none();
        if text(ended, "/reason") == "OOMKilled" {
            let limit = text(self.spec, "/resources/limits/memory");
            let limit = match limit {
                "" => "the node had no memory left".to_owned(),
                limit => format!("it needs more than its limit of {limit}"),
            };
            return Finding::wrong(
                format!("{called} is killed for its memory (OOMKilled): {limit}"),
                "raise resources.limits.memory, or let it need less",
            );
        }
        let said = text(ended, "/message").trim();
        let signal = match code {
            129..=159 => format!(", killed by signal {}", code - 128),
            126 => ", which says that a command may not be executed".to_owned(),
            127 => ", which says that a command was not found".to_owned(),
            0 => ", though it is to go on".to_owned(),
            _ => String::new(),
        };
        let said = match said {
            "" => String::new(),
            said => format!(": {}", short(said)),
        };
        Finding::wrong(
            format!("{called} {how} with code {code}{signal}{said}"),
            self.logs(previous),
        )
    }

    fn ended(&self, ended: &Value) -> Option<Finding> {
        let is_done = int(ended, "/exitCode") == 0;
        let goes_on = text(&self.seen.object, "/spec/restartPolicy") == "Always" && !self.is_init;
        match (is_done, goes_on) {
            (true, false) => None,
            (true, true) => Some(Finding::waiting(
                format!("{} has ended and is started again", self.called()),
                "wait a little",
            )),
            (false, _) => Some(self.end("ended", ended)),
        }
    }

    fn running(&self) -> Option<Finding> {
        let called = self.called();
        if self.is_init && self.spec["restartPolicy"] != "Always" {
            let since = ago(text(self.status, "/state/running/startedAt"), self.now);
            return Some(Finding::waiting(
                format!("{called} still runs (for {since}), and the others wait for its end"),
                self.logs(false),
            ));
        }
        if let Some(probe) = self.probe_failure("Liveness")
            && int(self.status, "/restartCount") > 0
            && self.status["ready"] != true
        {
            return Some(self.killed_by_probe("Liveness", probe));
        }
        if self.status["started"] == false && self.spec.get("startupProbe").is_some() {
            let said = self.probe_failure("Startup");
            return Some(self.not_yet("startup", said));
        }
        if self.status["ready"] == true {
            return self.again();
        }
        if self.spec.get("readinessProbe").is_some() {
            let said = self.probe_failure("Readiness");
            let found = self.not_yet("readiness", said);
            return Some(found.then("traffic", "services leave the pod out until it is ready"));
        }
        Some(Finding::waiting(
            format!("{called} runs and is not ready yet"),
            "wait a little",
        ))
    }

    /// It runs, but only since its last failure.
    fn again(&self) -> Option<Finding> {
        let last = self.status["lastState"].get("terminated")?;
        let since = text(self.status, "/state/running/startedAt");
        let since_s = since.parse::<Timestamp>().ok()?;
        let is_new = self.now.duration_since(since_s).as_secs() < NEW_S;
        if !is_new || int(last, "/exitCode") == 0 {
            return None;
        }
        let mut found = self.end("ended last", last);
        found.state = State::Waiting;
        let called = self.called();
        let why = found.says.strip_prefix(&called).unwrap_or_default();
        let since = ago(since, self.now);
        found.says = format!("{called} runs again, for {since}, but{why}");
        found.cause.clone_from(&found.says);
        found.next = self.logs(true);
        Some(found)
    }

    fn not_yet(&self, probe: &str, said: Option<&str>) -> Finding {
        let called = self.called();
        match said {
            Some(said) => Finding::wrong(
                format!(
                    "{called} runs, but its {probe} probe fails: {}",
                    short(said)
                ),
                format!("{}; or correct {probe}Probe", self.logs(false)),
            ),
            None => Finding::new(
                State::Waiting,
                format!("{called} runs, and its {probe} probe has not succeeded yet"),
                "wait a little: `weft why` tells when the probe fails",
            ),
        }
    }

    fn killed_by_probe(&self, probe: &str, said: &str) -> Finding {
        let probe = probe.to_lowercase();
        Finding::wrong(
            format!(
                "{} is restarted again and again: its {probe} probe fails: {}",
                self.called(),
                short(said)
            ),
            format!(
                "{}; or correct {probe}Probe (initialDelaySeconds, timeoutSeconds, failureThreshold)",
                self.logs(true)
            ),
        )
    }

    /// What the last failure of a probe said, if it is about its last run.
    fn probe_failure(&self, probe: &str) -> Option<&str> {
        let found = self.event_with("Unhealthy", probe)?;
        let message = text(found, "/message");
        let said = message.split_once(": ").map_or(message, |(_, said)| said);
        Some(said.trim())
    }

    fn event(&self, reason: &str) -> Option<&str> {
        let found = self.event_with(reason, "")?;
        Some(text(found, "/message"))
    }

    /// The last event about the container that begins so. One from before its last run is about
    /// another failure.
    fn event_with(&self, reason: &str, begins: &str) -> Option<&Value> {
        let own = format!("spec.containers{{{}}}", self.own());
        let time = |value: &Value, path: &str| text(value, path).parse::<Timestamp>().ok();
        let since = time(self.status, "/lastState/terminated/startedAt");
        let mut all = self.seen.events.iter().rev();
        all.find(|one| {
            let path = text(one, "/involvedObject/fieldPath");
            let at = time(one, "/lastTimestamp");
            let is_old = matches!((at, since), (Some(at), Some(since)) if at < since);
            text(one, "/reason") == reason
                && (path.is_empty() || path == own || self.is_init)
                && text(one, "/message").starts_with(begins)
                && !is_old
        })
    }
}

/// The message, or what is said where there is none.
fn plain(message: &str, otherwise: &str) -> String {
    match message.trim().trim_end_matches('.') {
        "" => otherwise.to_owned(),
        message => short(message),
    }
}

/// One line of a text, not too long to be read.
pub(super) fn short(text: &str) -> String {
    const MOST: usize = 240;
    let line = text.trim().split(['\n', '\r']).map(str::trim);
    let line = line
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("; ");
    match line.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

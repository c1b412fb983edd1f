//! What of services cannot be served: what is told of it, and when it is tried again.
//!
//! Whoever hears the last of a service knows how it is: each telling has all that is in its way, and
//! is made again before it is forgotten. Never: serves anything.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use weft_api::assignment::Services;
use weft_api::observed::{Event, Subject};
use weft_driver::{Failure, Unserved};

/// What is in the way may go without a word: it is looked at again, the less often the longer it stays.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// It is told again after so long. Events are forgotten after an hour.
const REMIND: Duration = Duration::from_secs(300);
/// So many obstacles of a service are named.
const NAMED_MAX: usize = 3;

/// What is wrong now, as far as it is known.
#[derive(Debug)]
pub(crate) struct Complaints {
    /// Of this node.
    node: String,
    /// What was told of each service, and when. Bounded by the services there are.
    told: BTreeMap<String, (String, Instant)>,
    /// Why nothing at all could be done.
    failure: Option<String>,
    /// When it is tried again, and how long after the time before.
    again: Option<(Instant, Duration)>,
}

impl Complaints {
    /// None yet.
    pub(crate) fn of(node: &str) -> Complaints {
        Complaints {
            node: node.to_owned(),
            told: BTreeMap::new(),
            failure: None,
            again: None,
        }
    }

    /// When it is to be tried again, if something is wrong.
    pub(crate) fn again(&self) -> Option<Instant> {
        self.again.map(|(at, _)| at)
    }

    /// Takes what came of serving `services`; answers what is to be told.
    pub(crate) fn hear(
        &mut self,
        services: &Services,
        outcome: Result<Vec<Unserved>, Failure>,
        now: Instant,
    ) -> Vec<Event> {
        let (is_new, events) = match outcome {
            // How it is with each service nobody knows: they are as they were.
            Err(failure) => (self.fail(failure), Vec::new()),
            Ok(unserved) => {
                self.failure = None;
                self.compare(services, gathered(unserved), now)
            }
        };
        let is_well = self.failure.is_none() && self.told.is_empty();
        let before = self.again.filter(|_| !is_new);
        let pause = before.map_or(PAUSE, |(_, pause)| (pause * 2).min(PAUSE_MAX));
        self.again = (!is_well).then(|| (now + pause, pause));
        events
    }

    /// Nothing could be done; whether that is new.
    fn fail(&mut self, failure: Failure) -> bool {
        let why = failure.message;
        if self.failure.as_ref() == Some(&why) {
            return false;
        }
        tracing::warn!(why, "services are not served as they should be");
        self.failure = Some(why);
        true
    }

    /// What is to be told now that this is wrong, and whether any of it is new.
    fn compare(
        &mut self,
        services: &Services,
        wrong: BTreeMap<String, String>,
        now: Instant,
    ) -> (bool, Vec<Event>) {
        let (mut is_new, mut events) = (false, Vec::new());
        self.told.retain(|service, _| {
            let is_wrong = wrong.contains_key(service);
            if !is_wrong && services.table.contains_key(service) {
                tracing::info!(service, "all of a service is served again");
                let message = format!("node {} serves all of it again", self.node);
                events.push(event(service, false, "ServedAgain", message));
            }
            is_wrong
        });
        for (service, why) in wrong {
            let before = self.told.get(&service);
            let before = before.filter(|(told, _)| *told == why);
            if before.is_some_and(|(_, at)| now < *at + REMIND) {
                continue;
            }
            if before.is_none() {
                is_new = true;
                tracing::warn!(service, why, "not all of a service is served");
            }
            let message = format!("node {} does not serve all of it: {why}", self.node);
            events.push(event(&service, true, "FailedToServe", message));
            self.told.insert(service, (why, now));
        }
        (is_new, events)
    }
}

/// All that is wrong with each service, in a sentence.
fn gathered(unserved: Vec<Unserved>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::<String, Vec<String>>::new();
    for one in unserved {
        let whys = all.entry(one.service).or_default();
        if !whys.contains(&one.why) {
            whys.push(one.why);
        }
    }
    let sentence = |whys: Vec<String>| {
        let more = whys.len().saturating_sub(NAMED_MAX);
        let named = whys[..whys.len() - more].join("; ");
        match more {
            0 => named,
            more => format!("{named}; and {more} more"),
        }
    };
    let all = all.into_iter();
    all.map(|(service, whys)| (service, sentence(whys)))
        .collect()
}

fn event(service: &str, warning: bool, reason: &str, message: String) -> Event {
    Event {
        about: Subject::Service(service.to_owned()),
        field: String::new(),
        warning,
        reason: reason.to_owned(),
        message,
    }
}

#[cfg(test)]
mod tests {
    use weft_api::assignment::Service;

    use super::*;

    fn services(names: &[&str]) -> Services {
        let names = names.iter().map(|name| (*name).to_owned());
        Services {
            table: names.map(|name| (name, Service::default())).collect(),
            ..Services::default()
        }
    }

    /// What is told after so many seconds, `service: reason message` each.
    fn hear(complaints: &mut Complaints, at: Instant, whys: &[(&str, &str)]) -> Vec<String> {
        let unserved = whys.iter().map(|(service, why)| Unserved {
            service: (*service).to_owned(),
            why: (*why).to_owned(),
        });
        let services = services(&["a", "b"]);
        let events = complaints.hear(&services, Ok(unserved.collect()), at);
        let told = events.into_iter().map(|event| {
            let Subject::Service(service) = event.about else {
                panic!("it is about a service");
            };
            assert_eq!(event.warning, event.reason == "FailedToServe");
            format!("{service}: {} {}", event.reason, event.message)
        });
        told.collect()
    }

    #[test]
    fn each_change_is_told_once_and_reminded_of() {
        let mut all = Complaints::of("one");
        let began = Instant::now();
        let after = |seconds| began + Duration::from_secs(seconds);
        assert!(hear(&mut all, began, &[]).is_empty());
        let said = "a: FailedToServe node one does not serve all of it: ";
        assert_eq!(hear(&mut all, began, &[("a", "x")]), [format!("{said}x")]);
        assert!(hear(&mut all, after(1), &[("a", "x")]).is_empty());
        // The last that is said of a service has all that is wrong with it.
        let two = hear(&mut all, after(2), &[("a", "x"), ("a", "y"), ("a", "x")]);
        assert_eq!(two, [format!("{said}x; y")]);
        let told = hear(&mut all, after(3), &[("a", "y"), ("b", "z")]);
        let other = "b: FailedToServe node one does not serve all of it: z".to_owned();
        assert_eq!(told, [format!("{said}y"), other]);
        let told = hear(&mut all, after(4), &[("a", "y")]);
        assert_eq!(told, ["b: ServedAgain node one serves all of it again"]);
        assert!(hear(&mut all, after(302), &[("a", "y")]).is_empty());
        assert_eq!(
            hear(&mut all, after(303), &[("a", "y")]),
            [format!("{said}y")]
        );
        assert!(hear(&mut all, after(304), &[("a", "y")]).is_empty());
        let told = hear(&mut all, after(305), &[]);
        assert_eq!(told, ["a: ServedAgain node one serves all of it again"]);
        let many = ["1", "2", "3", "4", "5"].map(|why| ("a", why));
        let told = hear(&mut all, after(306), &many);
        assert_eq!(told, [format!("{said}1; 2; 3; and 2 more")]);
        // Of a service that is gone nothing is told.
        let told = all.hear(&services(&["b"]), Ok(Vec::new()), after(307));
        assert!(told.is_empty() && all.again().is_none());
    }

    #[test]
    fn it_is_tried_again_the_less_often_the_longer_it_stays() {
        let mut all = Complaints::of("one");
        let mut now = Instant::now();
        let mut pauses = Vec::new();
        for why in ["x", "x", "x", "x", "x", "x", "x", "y"] {
            hear(&mut all, now, &[("a", why)]);
            let again = all.again().unwrap();
            pauses.push((again - now).as_secs());
            now = again;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 1]);
        hear(&mut all, now, &[]);
        assert_eq!(all.again(), None);
        // Who does not know how it is says nothing, and tries again.
        let failed = || {
            Err(Failure {
                message: "no".to_owned(),
                is_config: false,
            })
        };
        hear(&mut all, now, &[("a", "x")]);
        for pause in [1, 2] {
            assert!(all.hear(&services(&["a", "b"]), failed(), now).is_empty());
            assert_eq!(all.again(), Some(now + Duration::from_secs(pause)));
        }
        let told = hear(&mut all, now, &[]);
        assert_eq!(told, ["a: ServedAgain node one serves all of it again"]);
    }
}

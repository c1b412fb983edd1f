//! What jobs come to.

use super::super::{End, Phase, Replica};
use super::*;

const NOW: i64 = 10_000;

fn job() -> Job {
    Job {
        parallelism: 2,
        completions: Some(3),
        backoff_limit: 6,
        started_s: Some(NOW - 100),
        ..Job::default()
    }
}

fn indexed() -> Job {
    Job {
        is_indexed: true,
        ..job()
    }
}

fn worker(uid: &str) -> Worker {
    Worker {
        pod: Replica {
            uid: uid.to_owned(),
            phase: Phase::Running,
            ..Replica::default()
        },
        end: End::Not,
        is_going: false,
        is_tracked: true,
        index: None,
        before: (0, 0),
        restarts: 0,
        ended_s: NOW - 50,
        verdict: None,
    }
}

fn ended(uid: &str, end: End) -> Worker {
    Worker { end, ..worker(uid) }
}

fn numbered(uid: &str, index: u32, end: End) -> Worker {
    Worker {
        index: Some(index),
        ..ended(uid, end)
    }
}

fn ids(of: &[&str]) -> BTreeSet<String> {
    of.iter().map(|one| (*one).to_owned()).collect()
}

fn reason(plan: &Plan) -> Option<&str> {
    plan.target.as_ref().map(|target| target.reason.as_str())
}

fn indexes(plan: &Plan) -> Vec<u32> {
    plan.make.iter().filter_map(|new| new.index).collect()
}

#[test]
fn a_pod_goes_from_its_end_to_the_count() {
    let mut job = job();
    let first = plan(&job, &[], NOW);
    assert_eq!((first.make.len(), first.again_s), (2, None));
    let mut all = [ended("a", End::Succeeded), worker("b")];
    let written = plan(&job, &all, NOW);
    assert_eq!(written.uncounted.succeeded, ids(&["a"]));
    assert_eq!((written.succeeded, written.active), (0, 1));
    assert_eq!((written.release, written.make.len()), (vec![0], 1));
    // Nothing came of letting it go: it is not written twice.
    job.uncounted.succeeded = ids(&["a"]);
    let again = plan(&job, &all, NOW);
    assert_eq!((again.succeeded, again.uncounted), (0, written.uncounted));
    all[0].is_tracked = false;
    let counted = plan(&job, &all, NOW);
    assert_eq!(
        (counted.succeeded, counted.uncounted),
        (1, Uncounted::default())
    );
    // It is gone before that is written.
    let gone = plan(&job, &all[1..], NOW);
    assert_eq!((gone.succeeded, gone.make.len()), (1, 1));
}

#[test]
fn it_is_done_when_so_many_ended_well() {
    let last = Job {
        succeeded: 2,
        ..job()
    };
    let done = plan(&last, &[ended("a", End::Succeeded)], NOW);
    assert_eq!(reason(&done), Some("CompletionsReached"));
    assert!(!done.is_over, "one is not counted");
    let counted = Job {
        succeeded: 2,
        uncounted: done.uncounted,
        target: done.target,
        ..job()
    };
    let over = plan(&counted, &[], NOW);
    assert_eq!((over.is_over, over.succeeded), (true, 3));
    // A queue of work: as soon as one knows, none comes; it is done with the last.
    let queue = Job {
        completions: None,
        ..job()
    };
    let one = plan(&queue, &[ended("a", End::Succeeded), worker("b")], NOW);
    assert_eq!(
        (reason(&one), one.make.len(), one.surplus.len()),
        (None, 0, 0)
    );
    let all = plan(&queue, &[ended("a", End::Succeeded)], NOW);
    assert_eq!(reason(&all), Some("CompletionsReached"));
    let none = Job {
        completions: Some(0),
        ..job()
    };
    assert!(plan(&none, &[], NOW).is_over);
}

#[test]
fn too_many_failures_end_it() {
    let last = Job { failed: 6, ..job() };
    let all = [
        ended("a", End::Failed),
        worker("b"),
        ended("c", End::Succeeded),
    ];
    let found = plan(&last, &all, NOW);
    assert_eq!(reason(&found), Some("BackoffLimitExceeded"));
    assert_eq!(found.uncounted.failed, ids(&["a", "b"]), "b fails with it");
    assert_eq!(found.uncounted.succeeded, ids(&["c"]));
    assert_eq!((found.release, found.end), (vec![0, 1, 2], vec![1]));
    assert!(found.make.is_empty() && !found.is_over);
    let terminating = Worker {
        is_going: true,
        is_tracked: false,
        ..worker("b")
    };
    let next = Job {
        target: found.target,
        uncounted: found.uncounted,
        ..last
    };
    let waits = plan(&next, &[terminating], NOW);
    assert_eq!((waits.failed, waits.is_over), (8, false), "b still runs");
    assert!(plan(&next, &[], NOW).is_over);
    let in_place = Job {
        is_in_place: true,
        backoff_limit: 3,
        ..job()
    };
    let restarted = |restarts| Worker {
        restarts,
        ..worker("a")
    };
    let two = [restarted(2), restarted(1)];
    assert_eq!(
        reason(&plan(&in_place, &two, NOW)),
        Some("BackoffLimitExceeded")
    );
    assert_eq!(reason(&plan(&in_place, &two[..1], NOW)), None);
}

#[test]
fn failures_are_waited_for() {
    for (failures, since, expected) in [
        (1, 3, Some(7)),
        (1, 10, None),
        (2, 3, Some(17)),
        (4, 3, Some(77)),
        (6, 3, Some(317)),
        (9, 3, Some(357)),
        // The clock was set back.
        (1, -5000, Some(10)),
    ] {
        let patient = Job {
            backoff_limit: 99,
            ..job()
        };
        let failed = |at: usize| Worker {
            ended_s: NOW - since,
            is_tracked: at.is_multiple_of(2),
            ..ended(&at.to_string(), End::Failed)
        };
        let mut all: Vec<Worker> = (0..failures).map(failed).collect();
        let found = plan(&patient, &all, NOW);
        assert_eq!(
            (found.again_s, found.make.is_empty()),
            (expected, expected.is_some())
        );
        // One that ended well begins the count anew.
        all.push(Worker {
            ended_s: i64::MAX,
            ..ended("good", End::Succeeded)
        });
        assert_eq!(plan(&patient, &all, NOW).make.len(), 2);
    }
}

#[test]
fn it_ends_in_time() {
    let timed = |deadline_s, is_suspended| Job {
        deadline_s: Some(deadline_s),
        is_suspended,
        ..job()
    };
    assert_eq!(
        reason(&plan(&timed(100, false), &[], NOW)),
        Some("DeadlineExceeded")
    );
    let found = plan(&timed(130, false), &[], NOW);
    assert_eq!((reason(&found), found.again_s), (None, Some(30)));
    let waits = plan(&timed(100, true), &[worker("a")], NOW);
    assert_eq!((reason(&waits), waits.again_s), (None, None));
    assert_eq!((waits.surplus, waits.release.len()), (vec![0], 0));
}

#[test]
fn pods_that_are_to_go_are_replaced_as_asked() {
    let going = Worker {
        is_going: true,
        ..worker("a")
    };
    let soon = plan(
        &job(),
        &[Worker {
            ended_s: 0,
            ..going.clone()
        }],
        NOW,
    );
    assert_eq!(soon.uncounted.failed, ids(&["a"]));
    assert_eq!((soon.terminating, soon.make.len()), (1, 2));
    let late = Job {
        only_failed: true,
        ..job()
    };
    let found = plan(&late, &[going], NOW);
    assert_eq!(found.uncounted, Uncounted::default());
    assert_eq!((found.terminating, found.make.len()), (1, 1));
}

#[test]
fn each_number_ends_well_once() {
    let first = plan(&indexed(), &[], NOW);
    assert_eq!(indexes(&first), [0, 1]);
    let all = [
        numbered("a", 0, End::Succeeded),
        numbered("b", 1, End::Not),
        numbered("c", 1, End::Not),
        numbered("d", 7, End::Not),
        numbered("e", 0, End::Succeeded),
    ];
    let found = plan(&indexed(), &all, NOW);
    assert_eq!(
        (found.completed.to_string().as_str(), found.succeeded),
        ("0", 1)
    );
    let mut surplus = found.surplus.clone();
    surplus.sort_unstable();
    assert_eq!(surplus, [1, 3], "there is one too many of 1, and 7 is none");
    assert_eq!(found.release, [0, 4]);
    let next = plan(&indexed(), &all[..2], NOW);
    assert_eq!(indexes(&next), [2]);
    let enough = Job {
        enough: vec![Enough {
            of: Some(Indexes::parse("0", 3)),
            count: None,
        }],
        ..indexed()
    };
    let met = plan(&enough, &all[..2], NOW);
    assert_eq!(reason(&met), Some("SuccessPolicy"));
    assert_eq!((met.end, met.release), (vec![1], vec![0, 1]));
    assert_eq!(met.uncounted, Uncounted::default(), "b did not fail");
}

#[test]
fn each_number_fails_by_itself() {
    let own = Job {
        per_index: Some(1),
        backoff_limit: u32::MAX,
        parallelism: 3,
        ..indexed()
    };
    let failed = |uid, index, before| Worker {
        before: (before, 0),
        ..numbered(uid, index, End::Failed)
    };
    let found = plan(&own, &[failed("a", 0, 0), numbered("b", 1, End::Not)], NOW);
    assert!(found.release.is_empty(), "a says how often 0 failed");
    let new = |index, failed| New {
        index: Some(index),
        before: Some((failed, 0)),
    };
    assert_eq!(found.make, [new(0, 1), new(2, 0)]);
    let all = [
        failed("a", 0, 0),
        failed("c", 0, 1),
        numbered("b", 1, End::Not),
    ];
    let found = plan(&own, &all, NOW);
    assert_eq!(found.failed_indexes.to_string(), "0");
    assert_eq!(
        (found.release.clone(), indexes(&found)),
        (vec![0, 1], vec![2])
    );
    let strict = Job {
        failed_max: Some(0),
        ..own.clone()
    };
    assert_eq!(
        reason(&plan(&strict, &all, NOW)),
        Some("MaxFailedIndexesExceeded")
    );
    let rest = Job {
        completed: Indexes::parse("1-2", 3),
        ..own.clone()
    };
    assert_eq!(reason(&plan(&rest, &all[..2], NOW)), Some("FailedIndexes"));
    // A number waits for itself only.
    let fresh = Worker {
        ended_s: NOW - 4,
        ..failed("a", 0, 0)
    };
    let waits = plan(&own, &[fresh], NOW);
    assert_eq!((indexes(&waits), waits.again_s), (vec![1, 2], Some(6)));
}

#[test]
fn rules_say_which_failures_count() {
    let ruled = |action| Worker {
        verdict: Some(Verdict {
            action,
            why: "so".to_owned(),
        }),
        ..ended("a", End::Failed)
    };
    let strict = Job {
        backoff_limit: 0,
        only_failed: true,
        ..job()
    };
    let found = plan(&strict, &[ruled(Action::Ignore)], NOW);
    assert_eq!((reason(&found), found.make.len()), (None, 2));
    assert_eq!(
        (found.release, found.uncounted),
        (vec![0], Uncounted::default())
    );
    let found = plan(&strict, &[ruled(Action::Count)], NOW);
    assert_eq!(reason(&found), Some("BackoffLimitExceeded"));
    let found = plan(&strict, &[ruled(Action::FailJob)], NOW);
    assert_eq!(reason(&found), Some("PodFailurePolicy"));
    assert_eq!(found.target.unwrap().message, "so");
}

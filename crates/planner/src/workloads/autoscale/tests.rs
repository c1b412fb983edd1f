//! Unit tests of the parent module.

use super::*;

const READY: Sample = Sample {
    state: State::Ready,
    used: None,
    request: 1000,
};

fn used(amounts: &[i64]) -> Vec<Sample> {
    let of = |used: &i64| Sample {
        used: Some(*used),
        ..READY
    };
    amounts.iter().map(of).collect()
}

fn count(now: u32, goal: Goal, samples: &[Sample]) -> Option<u32> {
    wish(now, goal, samples, (None, None)).map(|wish| wish.count)
}

/// As kube-controller-manager's own tests have them (replica_calculator_test.go), by their meaning.
#[test]
fn so_many_as_bring_the_use_to_the_goal() {
    let share = Goal::Share(30);
    assert_eq!(count(3, share, &used(&[300, 500, 700])), Some(5));
    assert_eq!(
        count(5, Goal::Share(50), &used(&[100, 300, 500, 250, 250])),
        Some(3)
    );
    assert_eq!(count(3, Goal::Each(300), &used(&[300, 300, 300])), Some(3));
    assert_eq!(
        count(3, Goal::Each(300), &used(&[310, 320, 329])),
        Some(3),
        "near enough"
    );
    assert_eq!(count(3, Goal::Each(100), &used(&[300, 300, 300])), Some(9));
    assert_eq!(count(2, share, &[READY, READY]), None, "nobody knows");
    let wish = wish(3, share, &used(&[300, 500, 700]), (None, None)).unwrap();
    assert_eq!((wish.share, wish.each), (Some(50), 500));
}

#[test]
fn who_is_not_ready_holds_growth_and_who_is_not_known_any_change() {
    let unready = |used: i64| Sample {
        state: State::Unready,
        used: Some(used),
        ..READY
    };
    let share = Goal::Share(30);
    // One is ready and busy, two begin: they count as idle.
    let samples = [used(&[900])[0], unready(900), unready(900)];
    assert_eq!(count(3, share, &samples), Some(3));
    // Nobody waits for them when there are to be fewer.
    let samples = [used(&[100])[0], used(&[100])[0], unready(900)];
    assert_eq!(count(3, Goal::Share(50), &samples), Some(1));
    // One is not known: it counts as fully busy when there are to be fewer.
    let samples = [used(&[200])[0], used(&[200])[0], READY];
    assert_eq!(count(3, Goal::Share(50), &samples), Some(3));
    // And as idle when there are to be more: it is more, but less more.
    let samples = [used(&[900])[0], used(&[900])[0], READY];
    assert_eq!(count(3, Goal::Share(50), &samples), Some(4));
}

#[test]
fn what_is_near_is_said_by_the_rules() {
    let samples = used(&[550, 550]);
    let of = |tolerance| wish(2, Goal::Each(500), &samples, tolerance).unwrap().count;
    assert_eq!(of((None, None)), 2);
    assert_eq!(of((Some(0), None)), 3);
    assert_eq!(of((None, Some(0))), 2);
}

fn speed(window_s: u32, policies: &[Policy]) -> Speed {
    Speed {
        window_s,
        choice: Choice::Max,
        policies: policies.to_vec(),
        tolerance_m: None,
    }
}

const FOUR: Policy = Policy {
    is_share: false,
    value: 4,
    period_s: 15,
};
const DOUBLE: Policy = Policy {
    is_share: true,
    value: 100,
    period_s: 15,
};

fn usual() -> Rules {
    Rules {
        least: 1,
        most: 100,
        up: speed(0, &[FOUR, DOUBLE]),
        down: speed(300, &[DOUBLE]),
    }
}

#[test]
fn it_grows_at_once_within_its_policies_and_shrinks_when_it_has_been_calm() {
    let (rules, mut memory) = (usual(), Memory::default());
    let grown = decide(&rules, &mut memory, 0, 2, 50);
    assert_eq!(
        grown,
        Decision {
            count: 6,
            is_held: false,
            bound: Some(Bound::Speed)
        }
    );
    memory.changed(0, 4);
    // In the same period there is no more of it.
    assert_eq!(decide(&rules, &mut memory, 5_000, 6, 50).count, 6);
    assert_eq!(decide(&rules, &mut memory, 15_000, 6, 50).count, 12);
    memory.changed(15_000, 6);
    let held = decide(&rules, &mut memory, 30_000, 12, 1);
    assert_eq!((held.count, held.is_held), (12, true));
    assert_eq!(decide(&rules, &mut memory, 314_000, 12, 1).count, 12);
    assert_eq!(decide(&rules, &mut memory, 316_000, 12, 1).count, 1);
}

#[test]
fn it_stays_within_its_bounds_and_says_so() {
    let (mut rules, mut memory) = (usual(), Memory::default());
    rules.most = 5;
    rules.down.window_s = 0;
    let most = decide(&rules, &mut memory, 0, 4, 50);
    assert_eq!((most.count, most.bound), (5, Some(Bound::Most)));
    rules.least = 3;
    let least = decide(&rules, &mut memory, 1, 4, 1);
    assert_eq!((least.count, least.bound), (3, Some(Bound::Least)));
    rules.down.choice = Choice::Disabled;
    let off = decide(&rules, &mut memory, 2, 4, 1);
    assert_eq!((off.count, off.bound), (4, Some(Bound::Speed)));
    // Of two policies the stricter.
    rules.most = 100;
    rules.up.choice = Choice::Min;
    assert_eq!(decide(&rules, &mut memory, 3, 2, 50).count, 4);
}

#[test]
fn what_it_remembers_is_bounded() {
    let (rules, mut memory) = (usual(), Memory::default());
    for at in 0..20_000 {
        decide(&rules, &mut memory, at * 1000, 2, 2);
        memory.changed(at * 1000, 1);
    }
    assert!(memory.wanted.len() <= 301, "{}", memory.wanted.len());
    assert!(memory.changes.len() <= KEPT_MAX);
}

//! Steps of rollouts, one by one. Never whole histories: `tests/it/rollouts.rs` has those.

use super::*;

fn set(wanted: u32, available: u32, created_s: i64) -> Set {
    Set {
        wanted,
        available,
        created_s,
        ..Set::default()
    }
}

fn rolling(replicas: u32, surge: Share, missing: Share) -> Asked {
    Asked {
        replicas,
        way: Way::Rolling { surge, missing },
        is_paused: false,
    }
}

fn next(asked: &Asked, all: &[Set], new: Option<usize>) -> Step {
    let sets = Sets {
        all,
        new,
        has_old_pods: false,
        counted: 0,
    };
    step(asked, &sets)
}

#[test]
fn shares_are_rounded_so_that_it_goes_on() {
    use Share::{Number, Percent};
    for (replicas, surge, missing, most, fewest) in [
        (10, Percent(25), Percent(25), 13, 8),
        (1, Percent(25), Percent(25), 2, 1),
        (4, Number(0), Percent(10), 4, 3),
        (4, Number(0), Number(0), 4, 3),
        (4, Number(2), Number(9), 6, 0),
        (0, Percent(25), Percent(25), 0, 0),
        (3, Percent(u32::MAX), Percent(100), 3 + 128_849_019, 0),
        (u32::MAX, Percent(100), Number(0), u32::MAX, u32::MAX),
    ] {
        let bounds = rolling(replicas, surge, missing).bounds();
        assert_eq!(
            (bounds.most, bounds.fewest),
            (most, fewest),
            "{replicas} {surge:?} {missing:?}"
        );
    }
}

#[test]
fn a_rollout_goes_by_its_steps() {
    let asked = rolling(10, Share::Percent(25), Share::Percent(25));
    for (all, new, expected) in [
        (vec![], None, Step::Make(10)),
        (vec![set(10, 10, 1)], None, Step::Make(3)),
        (vec![set(10, 10, 1)], Some(0), Step::None),
        (vec![set(7, 7, 1)], Some(0), Step::Resize(vec![(0, 10)])),
        (vec![set(12, 12, 1)], Some(0), Step::Resize(vec![(0, 10)])),
        // Two may be missing: they go at once.
        (
            vec![set(10, 10, 1), set(3, 0, 2)],
            Some(1),
            Step::Resize(vec![(0, 8)]),
        ),
        (
            vec![set(8, 8, 1), set(3, 0, 2)],
            Some(1),
            Step::Resize(vec![(1, 5)]),
        ),
        (vec![set(8, 8, 1), set(5, 0, 2)], Some(1), Step::None),
        (
            vec![set(8, 8, 1), set(5, 2, 2)],
            Some(1),
            Step::Resize(vec![(0, 6)]),
        ),
        (vec![set(0, 0, 1), set(10, 4, 2)], Some(1), Step::None),
        // What does not work goes first, of whatever age.
        (
            vec![set(4, 4, 1), set(6, 0, 2), set(3, 0, 3)],
            Some(2),
            Step::Resize(vec![(1, 4)]),
        ),
        (
            vec![set(10, 0, 1), set(3, 0, 2)],
            Some(1),
            Step::Resize(vec![(0, 8)]),
        ),
    ] {
        assert_eq!(next(&asked, &all, new), expected, "{all:?}");
    }
}

#[test]
fn recreation_waits_for_the_last_old_pod() {
    let asked = Asked {
        replicas: 3,
        way: Way::Recreate,
        is_paused: false,
    };
    let bounds = Bounds { most: 3, fewest: 3 };
    assert_eq!(asked.bounds(), bounds);
    assert_eq!(
        next(&asked, &[set(3, 3, 1)], None),
        Step::Resize(vec![(0, 0)])
    );
    let all = [set(0, 0, 1)];
    let sets = Sets {
        all: &all,
        new: None,
        has_old_pods: true,
        counted: 0,
    };
    assert_eq!(step(&asked, &sets), Step::None);
    assert_eq!(next(&asked, &all, None), Step::Make(3));
    assert_eq!(
        next(&asked, &[set(0, 0, 1), set(0, 0, 2)], Some(1)),
        Step::Resize(vec![(1, 3)])
    );
}

/// Sets as they were resized last, when `asked` were asked for and there might be `most`.
fn known(sizes: &[u32], asked: u32, most: u32) -> Vec<Set> {
    let one = |(at, size): (usize, &u32)| Set {
        asked: Some(asked),
        most: Some(most),
        ..set(*size, *size, i64::try_from(at).unwrap())
    };
    sizes.iter().enumerate().map(one).collect()
}

#[test]
fn what_is_asked_for_in_between_is_shared() {
    let (surge, missing) = (Share::Number(3), Share::Number(2));
    for (sizes, before, after, expected) in [
        // Kubernetes' own example: 10 with 8 and 5, scaled to 15.
        (&[8, 5][..], 10, 15, &[11, 7][..]),
        (&[8, 5], 10, 5, &[5, 3]),
        (&[8, 5], 10, 0, &[0, 0]),
        (&[5, 5, 3], 10, 20, &[9, 9, 5]),
    ] {
        let all = known(sizes, before, before + 3);
        let asked = rolling(after, surge, missing);
        let Step::Resize(mut found) = next(&asked, &all, Some(sizes.len() - 1)) else {
            panic!("it is not resized");
        };
        found.sort_unstable();
        let found: Vec<u32> = found.into_iter().map(|(_, size)| size).collect();
        let sum: u32 = found.iter().sum();
        assert_eq!(sum, if after == 0 { 0 } else { after + 3 }, "{found:?}");
        assert_eq!(found, expected, "{sizes:?} {before} to {after}");
    }
    // Nobody asked for another number: the rollout goes on.
    let asked = rolling(10, surge, missing);
    assert_eq!(
        next(&asked, &known(&[8, 5], 10, 13), Some(1)),
        Step::Resize(vec![(0, 3)])
    );
    // One that is alone has all of it, and one that stands still takes part.
    let paused = Asked {
        is_paused: true,
        ..rolling(7, surge, missing)
    };
    assert_eq!(
        next(&paused, &known(&[3], 3, 6), None),
        Step::Resize(vec![(0, 7)])
    );
    assert_eq!(next(&paused, &[], None), Step::None);
    assert_eq!(
        next(&paused, &known(&[0, 0], 0, 0), None),
        Step::Resize(vec![(1, 7)])
    );
    // A new one that has all there is to have needs no old ones.
    assert_eq!(
        next(&paused, &known(&[2, 7], 7, 10), Some(1)),
        Step::Resize(vec![(0, 0)])
    );
}

#[test]
fn the_newest_revisions_are_kept() {
    let old = [(3, true), (1, true), (2, false), (4, true)];
    assert_eq!(forgotten(&old, 2), [1], "what has pods stays");
    assert_eq!(forgotten(&old, 0), [3, 0, 1]);
    assert!(forgotten(&old, 4).is_empty() && forgotten(&old, u32::MAX).is_empty());
}

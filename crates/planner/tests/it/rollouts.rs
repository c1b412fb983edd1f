//! Rollouts with pods that become ready and fail as they like: what was promised holds in each step.

use proptest::prelude::*;
use weft_planner::workloads::{Asked, Phase, Replica, Set, Sets, Share, Step, Way, step, victims};

/// Pods of one template; each is available or not.
#[derive(Clone, Debug, Default)]
struct Made {
    wanted: u32,
    pods: Vec<bool>,
    asked: Option<u32>,
    most: Option<u32>,
}

#[derive(Clone, Debug)]
enum Act {
    /// A deployment's step.
    Step,
    /// A set makes or removes pods.
    Follow(usize),
    /// A pod becomes available, or stops being.
    Turn(usize, usize, bool),
    /// The template becomes another.
    Template,
    /// Another number is asked for.
    Scale(u32),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let one = prop_oneof![
        6 => Just(Act::Step),
        6 => any::<usize>().prop_map(Act::Follow),
        6 => (any::<usize>(), any::<usize>(), prop::bool::weighted(0.8)).prop_map(|(set, pod, is)| Act::Turn(set, pod, is)),
        1 => Just(Act::Template),
        1 => (0u32..12).prop_map(Act::Scale),
    ];
    prop::collection::vec(one, 1..120)
}

fn share() -> impl Strategy<Value = Share> {
    prop_oneof![
        (0u32..6).prop_map(Share::Number),
        (0u32..=100).prop_map(Share::Percent)
    ]
}

fn as_sets(all: &[Made]) -> Vec<Set> {
    let one = |(at, made): (usize, &Made)| Set {
        wanted: made.wanted,
        available: u32::try_from(made.pods.iter().filter(|is| **is).count()).unwrap(),
        created_s: i64::try_from(at).unwrap(),
        asked: made.asked,
        most: made.most,
    };
    all.iter().enumerate().map(one).collect()
}

/// How many stay available whatever the sets still have to remove.
fn sure(all: &[Made]) -> u32 {
    as_sets(all)
        .iter()
        .map(|set| set.available.min(set.wanted))
        .sum()
}

fn follow(made: &mut Made) {
    let wanted = made.wanted as usize;
    made.pods.resize(made.pods.len().max(wanted), false);
    let replica = |(at, is): (usize, &bool)| Replica {
        uid: at.to_string(),
        is_assigned: true,
        phase: Phase::Running,
        ready_since_s: is.then_some(0),
        ..Replica::default()
    };
    let replicas: Vec<Replica> = made.pods.iter().enumerate().map(replica).collect();
    let mut go = victims(&replicas, made.pods.len() - wanted, 0);
    go.sort_unstable();
    for at in go.into_iter().rev() {
        made.pods.remove(at);
    }
}

/// One step, and what it may not do.
fn take(asked: &Asked, all: &mut Vec<Made>, new: &mut Option<usize>) -> bool {
    let sets = as_sets(all);
    let pods = |made: &Made| u32::try_from(made.pods.len()).unwrap();
    let found = step(
        asked,
        &Sets {
            all: &sets,
            new: *new,
            has_old_pods: all
                .iter()
                .enumerate()
                .any(|(at, made)| Some(at) != *new && !made.pods.is_empty()),
            counted: all.iter().map(pods).sum(),
        },
    );
    let (bounds, before) = (asked.bounds(), sure(all));
    let wanted_before: u32 = all.iter().map(|made| made.wanted).sum();
    let is_scaling = all
        .iter()
        .any(|made| made.wanted > 0 && made.asked.is_some_and(|then| then != asked.replicas));
    let known =
        |made: &mut Made| (made.asked, made.most) = (Some(asked.replicas), Some(bounds.most));
    let is_some = match found {
        Step::None => false,
        Step::Make(size) => {
            assert!(new.is_none());
            *new = Some(all.len());
            let mut made = Made {
                wanted: size,
                ..Made::default()
            };
            known(&mut made);
            all.push(made);
            true
        }
        Step::Resize(sizes) => {
            let mut is_some = false;
            for (at, size) in sizes {
                is_some |= all[at].wanted != size || all[at].asked != Some(asked.replicas);
                all[at].wanted = size;
                known(&mut all[at]);
            }
            is_some
        }
    };
    let wanted: u32 = all.iter().map(|made| made.wanted).sum();
    assert!(
        wanted <= bounds.most.max(wanted_before),
        "more than there may be: {all:?}"
    );
    // Whoever asks for fewer gets fewer.
    if !is_scaling && asked.way != Way::Recreate {
        assert!(
            sure(all) >= bounds.fewest.min(before),
            "fewer than promised: {all:?}"
        );
    }
    is_some
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_step_breaks_a_promise_and_all_of_them_lead_to_the_end(
        replicas in 0u32..12, surge in share(), missing in share(), is_recreated in prop::bool::weighted(0.1), acts in acts(),
    ) {
        let way = if is_recreated { Way::Recreate } else { Way::Rolling { surge, missing } };
        let mut asked = Asked { replicas, way, is_paused: false };
        let (mut all, mut new) = (Vec::new(), None);
        for act in acts {
            match act {
                Act::Step => drop(take(&asked, &mut all, &mut new)),
                Act::Follow(at) => if !all.is_empty() {
                    let at = at % all.len();
                    follow(&mut all[at]);
                },
                Act::Turn(at, pod, is) => if !all.is_empty() {
                    let at = at % all.len();
                    let count = all[at].pods.len();
                    if count > 0 {
                        all[at].pods[pod % count] = is;
                    }
                },
                Act::Template => new = None,
                Act::Scale(to) => asked.replicas = to,
            }
        }
        // Once all that is made becomes ready, it comes to an end.
        let mut steps = 0;
        loop {
            all.iter_mut().for_each(follow);
            let last = new.map_or(0, |at: usize| at);
            if let Some(made) = all.get_mut(last).filter(|_| new.is_some()) {
                made.pods.fill(true);
            }
            if !take(&asked, &mut all, &mut new) {
                break;
            }
            steps += 1;
            prop_assert!(steps < 200, "it never ends: {:?} {:?}", asked, all);
        }
        let new = new.expect("it is made");
        for (at, made) in all.iter().enumerate() {
            prop_assert_eq!(made.wanted, if at == new { asked.replicas } else { 0 }, "{:?}", all);
        }
    }
}

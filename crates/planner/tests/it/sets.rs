//! Pods of nodes and pods with numbers, which become ready and fail as they like: what was promised
//! holds in each step, and there are never two of one number.

use std::collections::BTreeMap;

use proptest::prelude::*;
use weft_planner::workloads::{Act, Daemon, Do, End, Fit, Line, Member, Spot, act, daemons};

fn daemon(uid: usize, is_new: bool) -> Daemon {
    Daemon {
        uid: uid.to_string(),
        created_s: i64::try_from(uid).unwrap(),
        end: End::Not,
        is_going: false,
        is_new,
        is_available: false,
    }
}

/// How many nodes that are to have a pod have one that works.
fn served(spots: &[Spot]) -> usize {
    let works = |spot: &&Spot| {
        spot.pods
            .iter()
            .any(|pod| pod.is_available && !pod.is_going)
    };
    spots
        .iter()
        .filter(|spot| spot.fit == Fit::Runs)
        .filter(works)
        .count()
}

/// Does what is to be done; whether that was anything.
fn carry_out(spots: &mut [Spot], rolling: (u32, u32), uid: &mut usize) -> bool {
    let acts = daemons(spots, Some(rolling));
    let mut gone: Vec<(usize, usize)> = Vec::new();
    for act in &acts {
        match act {
            Do::Make(at) => {
                *uid += 1;
                spots[*at].pods.push(daemon(*uid, true));
            }
            Do::Delete(at, number) => gone.push((*at, *number)),
        }
    }
    gone.sort_unstable();
    for (at, number) in gone.into_iter().rev() {
        spots[at].pods.remove(number);
    }
    !acts.is_empty()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn nodes_are_served_while_a_template_comes(
        count in 1usize..8, is_surge: bool, bound in 1u32..4,
        acts in prop::collection::vec((any::<usize>(), any::<usize>(), prop::bool::weighted(0.8), prop::bool::weighted(0.4)), 1..80),
    ) {
        let rolling = if is_surge { (bound, 0) } else { (0, bound) };
        let mut spots = vec![Spot { fit: Fit::Runs, pods: Vec::new() }; count];
        let mut uid = 0;
        for (at, pod, is_available, is_step) in acts {
            if is_step {
                let before = served(&spots);
                carry_out(&mut spots, rolling, &mut uid);
                let fewest = count.saturating_sub(if is_surge { 0 } else { bound as usize });
                prop_assert!(served(&spots) >= before.min(fewest), "{before} {:?}", spots);
                let double = spots.iter().filter(|spot| spot.pods.len() > 1).count();
                prop_assert!(is_surge || double == 0, "{:?}", spots);
            } else if pod % 19 == 0 {
                // Another template.
                for pod in spots.iter_mut().flat_map(|spot| &mut spot.pods) {
                    pod.is_new = false;
                }
            } else {
                let pods = &mut spots[at % count].pods;
                if !pods.is_empty() {
                    let length = pods.len();
                    pods[pod % length].is_available = is_available;
                }
            }
        }
        let mut steps = 0;
        loop {
            for pod in spots.iter_mut().flat_map(|spot| &mut spot.pods) {
                pod.is_available = true;
            }
            if !carry_out(&mut spots, rolling, &mut uid) {
                break;
            }
            steps += 1;
            prop_assert!(steps < 100, "it never ends: {:?}", spots);
        }
        for spot in &spots {
            prop_assert!(spot.pods.len() == 1 && spot.pods[0].is_new, "{:?}", spots);
        }
    }

    #[test]
    fn numbers_come_in_order_and_none_is_there_twice(
        is_ordered: bool, missing in 1u32..3, partition in 0u32..4,
        acts in prop::collection::vec((0u32..8, any::<u8>()), 1..80),
    ) {
        let mut line = Line { replicas: 3, is_ordered, missing, partition: Some(partition), ..Line::default() };
        let mut pods: BTreeMap<u32, Member> = BTreeMap::new();
        let take = |line: &mut Line, pods: &mut BTreeMap<u32, Member>| {
            line.members = pods.values().copied().collect();
            let acts = act(line);
            let wanted = line.wanted();
            let well = |pods: &BTreeMap<u32, Member>| {
                pods.values().filter(|pod| pod.is_well && wanted.contains(&pod.ordinal)).count()
            };
            let before = well(pods);
            for act in &acts {
                match *act {
                    Act::Make(ordinal) => {
                        assert!(line.wanted().contains(&ordinal));
                        if is_ordered {
                            let all = line.wanted().take_while(|one| *one < ordinal);
                            assert!(all.map(|one| pods.get(&one)).all(|pod| pod.is_some_and(|pod| pod.is_well)));
                        }
                        let made = Member { ordinal, is_new: true, ..Member::default() };
                        assert!(pods.insert(ordinal, made).is_none(), "two of {ordinal}");
                    }
                    Act::Remove(ordinal) => assert!(!line.wanted().contains(&ordinal) && pods.remove(&ordinal).is_some()),
                    Act::Replace(ordinal) => assert!(pods.remove(&ordinal).unwrap().is_over),
                    Act::Renew(ordinal) => {
                        assert!(ordinal >= partition && !pods.remove(&ordinal).unwrap().is_new);
                    }
                }
            }
            assert!(!is_ordered || acts.len() <= missing as usize);
            let renewed = acts.iter().filter(|act| matches!(act, Act::Renew(_))).count();
            assert!(renewed == 0 || before - well(pods) <= missing as usize);
            !acts.is_empty()
        };
        for (number, what) in acts {
            match what % 8 {
                0..=2 => drop(take(&mut line, &mut pods)),
                3 => line.replicas = number,
                4 => pods.values_mut().for_each(|pod| pod.is_new = false),
                5 => pods.entry(number).and_modify(|pod| pod.is_well = false).or_default().ordinal = number,
                _ => {
                    if let Some(pod) = pods.get_mut(&number) {
                        pod.is_well = true;
                    }
                }
            }
        }
        for steps in 0.. {
            assert!(steps < 100, "it never ends: {pods:?}");
            pods.values_mut().for_each(|pod| pod.is_well = true);
            if !take(&mut line, &mut pods) {
                break;
            }
        }
        let numbers: Vec<u32> = pods.keys().copied().collect();
        prop_assert_eq!(numbers, line.wanted().collect::<Vec<_>>());
        prop_assert!(pods.values().all(|pod| pod.is_new || pod.ordinal < partition));
    }
}

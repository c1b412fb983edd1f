//! Budgets: how many of some pods may be taken away now (policy/v1, `PodDisruptionBudget`).

use super::Share;

/// What a budget says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// So many stay.
    Available(Share),
    /// So many may be missing.
    Unavailable(Share),
    /// Nothing.
    Nothing,
}

/// How it stands with a budget's pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// So many there are to be.
    pub expected: u32,
    /// So many have to be healthy.
    pub desired: u32,
    /// So many are.
    pub healthy: u32,
    /// So many may go now.
    pub allowed: u32,
}

/// How it stands where there are to be `expected` pods, of which `healthy` are so.
pub fn standing(keep: Keep, expected: u32, healthy: u32) -> Standing {
    let desired = match keep {
        Keep::Available(share) => share.up(expected),
        Keep::Unavailable(share) => expected.saturating_sub(share.up(expected)),
        Keep::Nothing => 0,
    };
    let left = healthy.saturating_sub(desired);
    Standing {
        expected,
        desired,
        healthy,
        // Of none none goes: the first may come before it is counted.
        allowed: if expected == 0 { 0 } else { left },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_pod_is_one() {
        use Share::{Number, Percent};
        for (keep, expected, healthy, desired, allowed) in [
            (Keep::Available(Number(2)), 3, 3, 2, 1),
            (Keep::Available(Number(2)), 3, 1, 2, 0),
            (Keep::Available(Number(2)), 0, 3, 2, 0),
            (Keep::Available(Percent(50)), 3, 3, 2, 1),
            (Keep::Available(Percent(100)), 3, 4, 3, 1),
            (Keep::Unavailable(Number(1)), 3, 3, 2, 1),
            (Keep::Unavailable(Number(5)), 3, 2, 0, 2),
            (Keep::Unavailable(Percent(30)), 10, 9, 7, 2),
            (Keep::Unavailable(Percent(25)), 3, 3, 2, 1),
            (Keep::Unavailable(Number(0)), 3, 3, 3, 0),
            (Keep::Nothing, 3, 3, 0, 3),
        ] {
            let found = standing(keep, expected, healthy);
            assert_eq!(
                (found.desired, found.allowed),
                (desired, allowed),
                "{keep:?}"
            );
        }
    }
}

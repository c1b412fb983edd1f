//! Values of the specification, which has cgroup v1 in mind, as v2's. Pure.
//!
//! Owns: the conversions, the same as runc's and crun's. Never: files.

/// `cpu.shares` (2..=262144, default 1024) as `cpu.weight` (1..=10000, default 100).
///
/// The curve of runc 1.4 and crun 1.23: minimum, default and maximum map to each other
/// (github.com/opencontainers/cgroups, `ConvertCPUSharesToCgroupV2Value`).
pub(super) fn cpu_weight(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        1024 => 100,
        262_144.. => 10_000,
        _ => {
            let log = (shares as f64).log2();
            let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
            10f64.powf(exponent).ceil() as u64
        }
    }
}

/// `blkio.weight` (10..=1000) as `io.weight` (1..=10000).
pub(super) fn io_weight(weight: u16) -> u64 {
    1 + (u64::from(weight) - 10) * 9_999 / 990
}

/// A limit on memory and swap together as one on swap alone.
///
/// `swap` -1 is "no limit", 0 is "not given" (`None`). Both negative and absent `memory` make
/// any other `swap` meaningless.
pub(super) fn swap(memory: Option<i64>, swap: i64) -> Result<Option<Limit>, String> {
    let memory = memory.filter(|&it| it != 0);
    match (swap, memory) {
        (0, Some(-1)) => Ok(Some(Limit::Max)),
        (0, _) => Ok(None),
        (-1, _) => Ok(Some(Limit::Max)),
        (..=-2, _) => Err("it is negative".to_owned()),
        (_, None) => Err("it is memory and swap together, so it needs memory.limit".to_owned()),
        (_, Some(-1)) => Err("memory.limit is unlimited".to_owned()),
        (_, Some(memory)) if swap < memory => Err(format!(
            "it is memory and swap together, so not below memory.limit {memory}"
        )),
        (_, Some(memory)) => Ok(Some(Limit::At(swap.abs_diff(memory)))),
    }
}

/// What a v2 limit file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// `max`.
    Max,
    /// This much.
    At(u64),
}

impl Limit {
    /// -1 is "no limit".
    pub fn of(value: i64) -> Result<Limit, String> {
        match value {
            -1 => Ok(Limit::Max),
            _ => u64::try_from(value)
                .map(Limit::At)
                .map_err(|_| "it is negative".to_owned()),
        }
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Limit::Max => f.write_str("max"),
            Limit::At(value) => value.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_keep_their_minimum_default_and_maximum() {
        for (shares, weight) in [
            (2, 1),
            (3, 2),
            (512, 59),
            (1024, 100),
            (2048, 174),
            (262_144, 10_000),
            (u64::MAX, 10_000),
        ] {
            assert_eq!(cpu_weight(shares), weight, "{shares}");
        }
    }

    #[test]
    fn shares_never_turn_their_order_around() {
        let weights: Vec<u64> = (2..262_144).step_by(7).map(cpu_weight).collect();
        assert!(weights.is_sorted());
        assert!(weights.iter().all(|weight| (1..=10_000).contains(weight)));
    }

    #[test]
    fn block_weights_span_the_range() {
        assert_eq!([10, 500, 1000].map(io_weight), [1, 4_950, 10_000]);
    }

    #[test]
    fn swap_is_told_apart_from_memory() {
        for (memory, total, expected) in [
            (Some(100), 300, Ok(Some(Limit::At(200)))),
            (Some(100), 100, Ok(Some(Limit::At(0)))),
            (Some(100), 0, Ok(None)),
            (Some(100), -1, Ok(Some(Limit::Max))),
            (None, -1, Ok(Some(Limit::Max))),
            (None, 0, Ok(None)),
            (Some(-1), 0, Ok(Some(Limit::Max))),
            (Some(-1), -1, Ok(Some(Limit::Max))),
        ] {
            assert_eq!(swap(memory, total), expected, "{memory:?} {total}");
        }
        for (memory, total) in [
            (None, 5),
            (Some(0), 5),
            (Some(-1), 5),
            (Some(6), 5),
            (Some(6), -2),
        ] {
            assert!(swap(memory, total).is_err(), "{memory:?} {total}");
        }
    }
}

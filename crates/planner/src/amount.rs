//! Amounts of what a node has and a pod asks for. Never reads quantities: who asks has done that.

use std::collections::BTreeMap;

use crate::names::{Name, Names};

/// What is asked for or there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Amounts {
    /// `cpu`, in thousandths.
    pub cpu_millis: u64,
    /// `memory`.
    pub memory_bytes: u64,
    /// `ephemeral-storage`.
    pub ephemeral_bytes: u64,
    /// Whatever else has a name: `example.com/gpu`, `hugepages-2Mi`.
    pub extended: BTreeMap<String, u64>,
}

/// Amounts as they are added up: wide, so that no sum of wild requests wraps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) cpu: u128,
    pub(crate) memory: u128,
    pub(crate) ephemeral: u128,
    /// Few, so found by looking at each.
    pub(crate) extended: Vec<(Name, u128)>,
}

impl Sum {
    pub(crate) fn lower(amounts: &Amounts, names: &mut Names) -> Sum {
        let extended = amounts.extended.iter().filter(|(_, amount)| **amount > 0);
        Sum {
            cpu: amounts.cpu_millis.into(),
            memory: amounts.memory_bytes.into(),
            ephemeral: amounts.ephemeral_bytes.into(),
            extended: extended
                .map(|(name, amount)| (names.of(name), u128::from(*amount)))
                .collect(),
        }
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.cpu == 0 && self.memory == 0 && self.ephemeral == 0 && self.extended.is_empty()
    }

    pub(crate) fn extended(&self, name: &Name) -> u128 {
        let found = self.extended.iter().find(|(is, _)| is == name);
        found.map_or(0, |(_, amount)| *amount)
    }

    pub(crate) fn add(&mut self, more: &Sum) {
        self.cpu += more.cpu;
        self.memory += more.memory;
        self.ephemeral += more.ephemeral;
        for (name, amount) in &more.extended {
            match self.extended.iter_mut().find(|(is, _)| is == name) {
                Some((_, sum)) => *sum += amount,
                None => self.extended.push((name.clone(), *amount)),
            }
        }
    }

    /// Takes away what was added before.
    pub(crate) fn subtract(&mut self, less: &Sum) {
        self.cpu -= less.cpu;
        self.memory -= less.memory;
        self.ephemeral -= less.ephemeral;
        for (name, amount) in &less.extended {
            if let Some((_, sum)) = self.extended.iter_mut().find(|(is, _)| is == name) {
                *sum -= amount;
            }
        }
        self.extended.retain(|(_, sum)| *sum > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_can_be_taken_away() {
        let mut names = Names::default();
        let amounts = |cpu_millis, gpus: u64| Amounts {
            cpu_millis,
            extended: [("gpu".to_owned(), gpus), ("none".to_owned(), 0)].into(),
            ..Amounts::default()
        };
        let one = Sum::lower(&amounts(u64::MAX, 1), &mut names);
        let two = Sum::lower(&amounts(u64::MAX, 2), &mut names);
        let mut sum = Sum::default();
        sum.add(&one);
        sum.add(&two);
        assert_eq!(sum.cpu, u128::from(u64::MAX) * 2);
        assert_eq!(sum.extended(&names.of("gpu")), 3);
        assert_eq!(sum.extended(&names.of("none")), 0);
        sum.subtract(&one);
        assert_eq!(sum, two);
        sum.subtract(&two);
        assert!(sum.is_nothing());
    }
}

//! Topics of flags, of which only those are defined that a command line asks for.
//!
//! To define all flags of `run` takes longer than to make its namespaces, and a command line has a
//! few of them. Never: decides what is right: a line that is not understood with some of the flags
//! is read again with all.

use std::ffi::OsString;
use std::ops::Deref;

use clap::{ArgMatches, Args, Command, FromArgMatches, Id};

/// Flags that belong together; without any of them, the default.
pub trait Topic: Args + Default {
    /// Their names and letters, without hyphens.
    const NAMES: &'static [&'static str];

    /// Adds the flags if one of them may be among `words`.
    fn define(command: Command, words: &[OsString]) -> Command {
        if words.iter().any(|word| names(word, Self::NAMES)) {
            Self::augment_args(command)
        } else {
            command
        }
    }
}

/// Whether `word` is one of the flags `known`; a letter may stand among others, or before a value.
fn names(word: &OsString, known: &[&str]) -> bool {
    let Some(word) = word.to_str() else {
        return false;
    };
    if let Some(long) = word.strip_prefix("--") {
        let name = long.split_once('=').map_or(long, |(name, _)| name);
        return known.contains(&name);
    }
    let Some(letters) = word.strip_prefix('-') else {
        return false;
    };
    known
        .iter()
        .any(|name| name.len() == 1 && letters.contains(name))
}

/// A topic's flags, defined or not.
#[derive(Debug, Default)]
pub struct Flags<T>(T);

impl<T> Deref for Flags<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Topic> FromArgMatches for Flags<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let group = T::group_id();
        let given = group.map(|group| matches.try_contains_id(group.as_str()));
        match given {
            Some(Ok(true)) => T::from_arg_matches(matches).map(Flags),
            _ => Ok(Flags::default()),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Flags::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<T: Topic> Args for Flags<T> {
    fn group_id() -> Option<Id> {
        T::group_id()
    }

    fn augment_args(command: Command) -> Command {
        T::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        T::augment_args_for_update(command)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Debug;

    use super::*;
    use crate::flags::{health, isolation, lifecycle, mounts, network, process, resources};

    fn check<T: Topic + Debug>() {
        let command = T::augment_args(Command::new("weft").disable_help_flag(true));
        let mut defined = BTreeSet::new();
        for arg in command.get_arguments() {
            let letters = arg.get_short_and_visible_aliases().unwrap_or_default();
            defined.extend(letters.iter().map(char::to_string));
            let names = arg.get_long_and_visible_aliases().unwrap_or_default();
            defined.extend(names.into_iter().map(str::to_owned));
        }
        let named: BTreeSet<String> = T::NAMES.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(named, defined);
        let matches = command.try_get_matches_from(["weft"]).unwrap();
        let nothing = T::from_arg_matches(&matches).unwrap();
        assert_eq!(format!("{:?}", T::default()), format!("{nothing:?}"));
    }

    #[test]
    fn a_topic_knows_its_flags_and_what_they_are_when_absent() {
        check::<process::ProcessFlags>();
        check::<health::HealthFlags>();
        check::<mounts::MountFlags>();
        check::<network::NetworkFlags>();
        check::<resources::ResourceFlags>();
        check::<resources::DeviceFlags>();
        check::<isolation::IsolationFlags>();
        check::<lifecycle::LifecycleFlags>();
    }

    #[test]
    fn a_flag_is_known_in_every_spelling() {
        let known = ["memory", "m"];
        for word in ["--memory", "--memory=1", "-m", "-m1", "-itm"] {
            assert!(names(&word.into(), &known), "{word}");
        }
        for word in ["memory", "--memory-swap", "-it", "-", "--", ""] {
            assert!(!names(&word.into(), &known), "{word}");
        }
    }
}

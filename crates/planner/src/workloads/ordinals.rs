//! Pods with numbers of their own: one after the other where that is asked for, and never two of
//! one number.

/// The pod of a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub ordinal: u32,
    /// Whether it has run to its end.
    pub is_over: bool,
    /// Whether it is being deleted.
    pub is_going: bool,
    /// Whether it runs, and has been ready for long enough.
    pub is_well: bool,
    /// Whether it is of the newest template.
    pub is_new: bool,
}

/// What is asked for, and what there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The first number.
    pub first: u32,
    /// How many there are to be.
    pub replicas: u32,
    /// Whether each waits for those before it.
    pub is_ordered: bool,
    /// So many, from the first on, keep the old template; nothing: old pods stay until somebody
    /// deletes them.
    pub partition: Option<u32>,
    /// How many may be missing while templates change.
    pub missing: u32,
    /// Those that there are.
    pub members: Vec<Member>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The pod of this number is missing.
    Make(u32),
    /// It has ended, and another takes its place.
    Replace(u32),
    /// It is one too many.
    Remove(u32),
    /// It is of an old template.
    Renew(u32),
}

impl Line {
    fn find(&self, ordinal: u32) -> Option<&Member> {
        self.members.iter().find(|one| one.ordinal == ordinal)
    }

    /// The numbers there are to be.
    pub fn wanted(&self) -> std::ops::Range<u32> {
        self.first..self.first.saturating_add(self.replicas)
    }
}

/// What is to be done now. Everything else waits until something has changed.
pub fn act(line: &Line) -> Vec<Act> {
    let mut acts = Vec::new();
    let is_done = fill(line, &mut acts) && shrink(line, &mut acts);
    if is_done && let Some(partition) = line.partition {
        renew(line, partition, &mut acts);
    }
    acts
}

/// Most that are made at once.
const BURST: usize = 500;

/// Whether what comes next need not wait.
fn fill(line: &Line, acts: &mut Vec<Act>) -> bool {
    for ordinal in line.wanted() {
        let act = match line.find(ordinal) {
            None => Act::Make(ordinal),
            Some(member) if member.is_over && !member.is_going => Act::Replace(ordinal),
            Some(member) if line.is_ordered && !member.is_well => return false,
            Some(_) => continue,
        };
        acts.push(act);
        if line.is_ordered || acts.len() == BURST {
            return false;
        }
    }
    // Nothing is renewed while pods are missing.
    acts.is_empty()
}

fn shrink(line: &Line, acts: &mut Vec<Act>) -> bool {
    let wanted = line.wanted();
    let mut over: Vec<&Member> = line
        .members
        .iter()
        .filter(|one| !wanted.contains(&one.ordinal))
        .collect();
    over.sort_by_key(|one| std::cmp::Reverse(one.ordinal));
    // What does not work is not waited for: it would never go.
    for member in &over {
        if member.is_going {
            if line.is_ordered {
                return false;
            }
            continue;
        }
        acts.push(Act::Remove(member.ordinal));
        if line.is_ordered {
            return false;
        }
    }
    true
}

/// From the last on, as many at once as may be missing.
fn renew(line: &Line, partition: u32, acts: &mut Vec<Act>) {
    let renewed = line.first.saturating_add(partition)..line.wanted().end;
    let mut room = line.missing.max(1);
    let members = line.members.iter();
    let mut members: Vec<&Member> = members
        .filter(|one| renewed.contains(&one.ordinal))
        .collect();
    members.sort_by_key(|one| std::cmp::Reverse(one.ordinal));
    for member in members {
        if !member.is_new && !member.is_going {
            acts.push(Act::Renew(member.ordinal));
            room -= 1;
        } else if !member.is_well {
            room -= 1;
        }
        if room == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well(ordinal: u32) -> Member {
        Member {
            ordinal,
            is_well: true,
            is_new: true,
            ..Member::default()
        }
    }

    fn line(members: &[Member]) -> Line {
        Line {
            replicas: 3,
            is_ordered: true,
            partition: Some(0),
            missing: 1,
            members: members.to_vec(),
            ..Line::default()
        }
    }

    #[test]
    fn they_come_one_after_the_other_and_go_in_reverse() {
        let ill = |ordinal| Member {
            is_well: false,
            ..well(ordinal)
        };
        let going = |ordinal| Member {
            is_going: true,
            ..ill(ordinal)
        };
        let over = |ordinal| Member {
            is_over: true,
            ..ill(ordinal)
        };
        for (members, expected) in [
            (vec![], vec![Act::Make(0)]),
            (vec![ill(0)], vec![]),
            (vec![well(0)], vec![Act::Make(1)]),
            (vec![well(0), well(2)], vec![Act::Make(1)]),
            (vec![well(0), going(1), well(2)], vec![]),
            (vec![over(0)], vec![Act::Replace(0)]),
            (
                vec![well(0), well(1), well(2), well(3), well(4)],
                vec![Act::Remove(4)],
            ),
            (vec![well(0), well(1), well(2), well(3), going(4)], vec![]),
            (
                vec![well(0), well(1), well(2), ill(3)],
                vec![Act::Remove(3)],
            ),
            (vec![ill(0), well(1), well(2), well(3)], vec![]),
        ] {
            assert_eq!(act(&line(&members)), expected, "{members:?}");
        }
        let parallel = Line {
            is_ordered: false,
            ..line(&[ill(1), well(4), going(5)])
        };
        assert_eq!(act(&parallel), [Act::Make(0), Act::Make(2)]);
        let parallel = Line {
            is_ordered: false,
            ..line(&[well(0), ill(1), well(2), well(4), well(3)])
        };
        assert_eq!(act(&parallel), [Act::Remove(4), Act::Remove(3)]);
        let all = Line {
            is_ordered: false,
            replicas: u32::MAX,
            ..line(&[])
        };
        assert_eq!(act(&all).len(), BURST);
        let later = Line {
            first: 5,
            ..line(&[well(0), well(5)])
        };
        assert_eq!(act(&later), [Act::Make(6)]);
    }

    #[test]
    fn the_last_is_renewed_first() {
        let old = |ordinal| Member {
            is_new: false,
            ..well(ordinal)
        };
        let ill = |ordinal| Member {
            is_well: false,
            ..well(ordinal)
        };
        let at = |partition: Option<u32>, missing: u32, members: &[Member]| Line {
            partition,
            missing,
            is_ordered: false,
            ..line(members)
        };
        let all = [old(0), old(1), old(2)];
        assert_eq!(act(&at(Some(0), 1, &all)), [Act::Renew(2)]);
        assert_eq!(act(&at(Some(0), 2, &all)), [Act::Renew(2), Act::Renew(1)]);
        assert_eq!(act(&at(Some(2), 3, &all)), [Act::Renew(2)]);
        assert!(act(&at(Some(3), 1, &all)).is_empty() && act(&at(None, 1, &all)).is_empty());
        assert!(act(&at(Some(0), 1, &[old(0), old(1), ill(2)])).is_empty());
        assert_eq!(
            act(&at(Some(0), 1, &[old(0), old(1), well(2)])),
            [Act::Renew(1)]
        );
        assert_eq!(
            act(&at(Some(0), 2, &[old(0), old(1), ill(2)])),
            [Act::Renew(1)]
        );
    }
}

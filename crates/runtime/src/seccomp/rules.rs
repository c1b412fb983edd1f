//! A profile of the specification as one verdict per system call number.
//!
//! Owns: the meaning of `linux.seccomp` where several rules speak of one call. It is libseccomp's
//! as runc and crun use it:
//! - a rule that repeats the default action adds nothing;
//! - a rule without arguments outweighs those with arguments, and the first one of them counts;
//! - of rules with arguments the first that matches counts, else the default action;
//! - conditions on different arguments must all hold; two on the same argument are alternatives;
//! - names the calling convention does not have are skipped;
//! - numbers above the highest one the profile names were not known to its author: where the
//!   default is ERRNO they get ENOSYS, so that programs fall back to what they used before.
//!
//! Never: BPF.

use oci_spec::runtime::{
    LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompOperator, LinuxSyscall,
};

use super::CompileError;
use super::table::Abi;

/// `SECCOMP_RET_*` (linux/seccomp.h).
const KILL_PROCESS: u32 = 0x8000_0000;
const KILL_THREAD: u32 = 0;
const TRAP: u32 = 0x0003_0000;
const ERRNO: u32 = 0x0005_0000;
const TRACE: u32 = 0x7ff0_0000;
const LOG: u32 = 0x7ffc_0000;
const ALLOW: u32 = 0x7fff_0000;

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;
/// The kernel caps what ERRNO may give (`MAX_ERRNO`, linux/err.h).
const MAX_ERRNO: u32 = 4095;
/// A system call takes six arguments.
const ARGUMENTS: usize = 6;

/// The answer to a call by a convention the profile does not speak of, as libseccomp's default.
pub(super) const FOREIGN: u32 = KILL_PROCESS;
/// The answer to x32 calls: what a kernel without x32 says.
pub(super) const NOT_IMPLEMENTED: u32 = ERRNO | ENOSYS;

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Always this answer (`SECCOMP_RET_*` with its data).
    Answer(u32),
    /// It depends on the arguments: the first clause that holds, else `otherwise`.
    Checked {
        clauses: Vec<Clause>,
        otherwise: u32,
    },
}

/// `answer`, when every condition holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clause {
    pub conditions: Vec<Condition>,
    pub answer: u32,
}

/// A test of one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub argument: u8,
    pub test: Test,
}

/// All 64 bits take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    Equal(u64),
    NotEqual(u64),
    Less(u64),
    LessOrEqual(u64),
    Greater(u64),
    GreaterOrEqual(u64),
    Masked { mask: u64, value: u64 },
}

/// Numbers from `start` to the next segment's start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub start: u32,
    pub verdict: Verdict,
}

/// A checked profile, not yet bound to a calling convention.
#[derive(Debug)]
pub(super) struct Rules<'a> {
    default: u32,
    beyond: u32,
    rules: Vec<Rule<'a>>,
}

#[derive(Debug)]
struct Rule<'a> {
    names: &'a [String],
    answer: u32,
    /// Alternatives; empty when the arguments do not matter.
    alternatives: Vec<Vec<Condition>>,
}

impl<'a> Rules<'a> {
    /// Checks and lowers the profile.
    pub fn of(profile: &'a LinuxSeccomp) -> Result<Rules<'a>, CompileError> {
        let action = profile.default_action();
        let default = answer(action, profile.default_errno_ret(), "the default action")?;
        let is_errno = action == LinuxSeccompAction::ScmpActErrno;
        let rules = profile.syscalls().as_deref().unwrap_or_default();
        Ok(Rules {
            default,
            beyond: if is_errno { NOT_IMPLEMENTED } else { default },
            rules: rules.iter().map(Rule::of).collect::<Result<_, _>>()?,
        })
    }

    /// Every number's verdict under one convention, as ranges without gaps; neighbours differ.
    pub fn segments(&self, abi: &Abi) -> Vec<Segment> {
        let verdicts = self.verdicts(abi);
        let beyond = if verdicts.is_empty() {
            self.default
        } else {
            self.beyond
        };
        let unknown = verdicts.len() as u32;
        let mut segments = Vec::new();
        for (number, verdict) in (0..).zip(verdicts) {
            push(&mut segments, number, verdict);
        }
        push(&mut segments, unknown, Verdict::Answer(beyond));
        if let Some(end) = abi.end {
            push(&mut segments, end, Verdict::Answer(NOT_IMPLEMENTED));
        }
        segments
    }

    /// By number, up to the highest one that is named.
    fn verdicts(&self, abi: &Abi) -> Vec<Verdict> {
        let open = Verdict::Checked {
            clauses: Vec::new(),
            otherwise: self.default,
        };
        let mut verdicts = Vec::new();
        for rule in &self.rules {
            for number in rule.names.iter().filter_map(|name| abi.number(name)) {
                let index = number as usize;
                if index >= verdicts.len() {
                    verdicts.resize(index + 1, open.clone());
                }
                if rule.answer != self.default {
                    rule.add_to(&mut verdicts[index]);
                }
            }
        }
        for verdict in &mut verdicts {
            if *verdict == open {
                *verdict = Verdict::Answer(self.default);
            }
        }
        verdicts
    }
}

impl<'a> Rule<'a> {
    fn of(rule: &'a LinuxSyscall) -> Result<Rule<'a>, CompileError> {
        let names = rule.names();
        let subject = names.first().map_or("a rule without names", String::as_str);
        let answer = answer(rule.action(), rule.errno_ret(), subject)?;
        let arguments = rule.args().as_deref().unwrap_or_default();
        let conditions: Vec<Condition> = arguments
            .iter()
            .map(|it| condition(it, subject))
            .collect::<Result<_, _>>()?;
        let repeats = conditions.iter().enumerate().any(|(index, condition)| {
            conditions[..index]
                .iter()
                .any(|other| other.argument == condition.argument)
        });
        let alternatives = match conditions {
            conditions if conditions.is_empty() => Vec::new(),
            conditions if repeats => conditions.into_iter().map(|it| vec![it]).collect(),
            conditions => vec![conditions],
        };
        Ok(Rule {
            names,
            answer,
            alternatives,
        })
    }

    fn add_to(&self, verdict: &mut Verdict) {
        let Verdict::Checked { clauses, .. } = verdict else {
            return;
        };
        if self.alternatives.is_empty() {
            *verdict = Verdict::Answer(self.answer);
            return;
        }
        clauses.extend(self.alternatives.iter().map(|conditions| Clause {
            conditions: conditions.clone(),
            answer: self.answer,
        }));
    }
}

fn push(segments: &mut Vec<Segment>, start: u32, verdict: Verdict) {
    match segments.last_mut() {
        Some(last) if last.verdict == verdict => {}
        Some(last) if last.start == start => last.verdict = verdict,
        _ => segments.push(Segment { start, verdict }),
    }
}

fn answer(
    action: LinuxSeccompAction,
    errno: Option<u32>,
    subject: &str,
) -> Result<u32, CompileError> {
    use LinuxSeccompAction as Action;
    let plain = match action {
        Action::ScmpActErrno => return coded(ERRNO, errno, MAX_ERRNO, subject),
        Action::ScmpActTrace => return coded(TRACE, errno, u32::from(u16::MAX), subject),
        Action::ScmpActNotify => {
            return Err(CompileError::Notify {
                subject: subject.to_owned(),
            });
        }
        Action::ScmpActKill | Action::ScmpActKillThread => KILL_THREAD,
        Action::ScmpActKillProcess => KILL_PROCESS,
        Action::ScmpActTrap => TRAP,
        Action::ScmpActLog => LOG,
        Action::ScmpActAllow => ALLOW,
    };
    match errno {
        Some(errno) => Err(CompileError::UnusedErrno {
            subject: subject.to_owned(),
            action,
            errno,
        }),
        None => Ok(plain),
    }
}

fn coded(kind: u32, errno: Option<u32>, max: u32, subject: &str) -> Result<u32, CompileError> {
    let code = errno.unwrap_or(EPERM);
    if code > max {
        return Err(CompileError::Errno {
            subject: subject.to_owned(),
            errno: code,
            max,
        });
    }
    Ok(kind | code)
}

fn condition(argument: &LinuxSeccompArg, subject: &str) -> Result<Condition, CompileError> {
    use LinuxSeccompOperator as Operator;
    if argument.index() >= ARGUMENTS {
        let index = argument.index();
        return Err(CompileError::Argument {
            subject: subject.to_owned(),
            index,
        });
    }
    let value = argument.value();
    let test = match argument.op() {
        Operator::ScmpCmpNe => Test::NotEqual(value),
        Operator::ScmpCmpLt => Test::Less(value),
        Operator::ScmpCmpLe => Test::LessOrEqual(value),
        Operator::ScmpCmpEq => Test::Equal(value),
        Operator::ScmpCmpGe => Test::GreaterOrEqual(value),
        Operator::ScmpCmpGt => Test::Greater(value),
        Operator::ScmpCmpMaskedEq => Test::Masked {
            mask: value,
            value: argument.value_two().unwrap_or(0),
        },
    };
    Ok(Condition {
        argument: argument.index() as u8,
        test,
    })
}

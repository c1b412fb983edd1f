//! Verdicts as classic BPF.
//!
//! Owns: the shape of the program. The kernel runs a new filter once per system call number to
//! learn which are always allowed, so loading costs (numbers × path length); a balanced tree over
//! ranges makes paths short:
//!
//! ```text
//! ld arch ── jeq native ── ld nr ── jge 200 ┬─ jge 300 ┬─ …
//!               │                           │          └─ ret ALLOW
//!            ret KILL                       └─ jge 56 ─┬─ jeq 56 ─ ld args[0] … (argument rules)
//!                                                      └─ ret ALLOW
//! ```
//! Jumps only go forward, and conditional ones at most 255 instructions; the program is therefore
//! written from its end, where every target is already known, with a `ja` in between when one is
//! too far away.
//! Never: what a rule means (`rules`).

use std::collections::HashMap;

use weft_sys::seccomp::{Instruction, MAX_INSTRUCTIONS};

use super::CompileError;
use super::rules::{Clause, Condition, FOREIGN, Segment, Test, Verdict};

/// Classic BPF opcodes (linux/bpf_common.h).
pub(super) mod code {
    pub const LOAD: u16 = 0x20;
    pub const AND: u16 = 0x54;
    pub const JUMP: u16 = 0x05;
    pub const IF_EQUAL: u16 = 0x15;
    pub const IF_GREATER: u16 = 0x25;
    pub const IF_GREATER_OR_EQUAL: u16 = 0x35;
    pub const RETURN: u16 = 0x06;
}

/// Offsets in `struct seccomp_data` (linux/seccomp.h). Both architectures are little-endian, so
/// an argument's low half comes first.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

/// A conditional jump reaches 255 instructions; one less for each of its two targets that may
/// still have to be written between.
const REACH: usize = 253;

/// Numbers the kernel tries when it loads a filter (`NR_syscalls`, rounded up): what lies above
/// need not have a short path.
const TRIED: u32 = 480;

/// Where a jump goes.
#[derive(Clone, Copy, Debug)]
enum Target {
    /// To a `ret` with this answer.
    Answer(u32),
    /// To the instruction with this index, counted from the program's end.
    At(usize),
}

/// The whole program: one tree per calling convention, given with its `AUDIT_ARCH_*`.
pub(super) fn assemble(trees: &[(u32, Vec<Segment>)]) -> Result<Vec<Instruction>, CompileError> {
    let mut writer = Writer::default();
    let mut next = Target::Answer(FOREIGN);
    for (audit, segments) in trees.iter().rev() {
        let tree = writer.tree(segments);
        writer.fall_through(tree);
        let tree = writer.write(code::LOAD, NUMBER);
        next = writer.jump(code::IF_EQUAL, *audit, tree, next);
    }
    writer.fall_through(next);
    writer.write(code::LOAD, ARCH);
    writer.finish()
}

#[derive(Default)]
struct Writer {
    /// The program from its end.
    reversed: Vec<Instruction>,
    /// The last `ret` written for each answer.
    returns: HashMap<u32, usize>,
}

impl Writer {
    fn finish(mut self) -> Result<Vec<Instruction>, CompileError> {
        if self.reversed.len() > MAX_INSTRUCTIONS {
            return Err(CompileError::TooLong {
                instructions: self.reversed.len(),
            });
        }
        self.reversed.reverse();
        Ok(self.reversed)
    }

    fn tree(&mut self, segments: &[Segment]) -> Target {
        let ends = segments
            .iter()
            .skip(1)
            .map(|segment| segment.start)
            .chain([u32::MAX]);
        let weights: Vec<u64> = segments
            .iter()
            .zip(ends)
            .map(|(segment, end)| u64::from(end.min(TRIED).saturating_sub(segment.start)).max(1))
            .collect();
        self.subtree(segments, &weights)
    }

    fn subtree(&mut self, segments: &[Segment], weights: &[u64]) -> Target {
        match segments {
            [only] => self.verdict(&only.verdict),
            [before, single, after]
                if before.verdict == after.verdict && after.start == single.start + 1 =>
            {
                let around = self.verdict(&before.verdict);
                let inside = self.verdict(&single.verdict);
                self.jump(code::IF_EQUAL, single.start, inside, around)
            }
            _ => {
                let middle = balance(weights);
                let low = self.subtree(&segments[..middle], &weights[..middle]);
                let high = self.subtree(&segments[middle..], &weights[middle..]);
                self.jump(code::IF_GREATER_OR_EQUAL, segments[middle].start, high, low)
            }
        }
    }

    fn verdict(&mut self, verdict: &Verdict) -> Target {
        match verdict {
            Verdict::Answer(answer) => Target::Answer(*answer),
            Verdict::Checked { clauses, otherwise } => clauses
                .iter()
                .rev()
                .fold(Target::Answer(*otherwise), |next, clause| {
                    self.clause(clause, next)
                }),
        }
    }

    fn clause(&mut self, clause: &Clause, fails: Target) -> Target {
        clause
            .conditions
            .iter()
            .rev()
            .fold(Target::Answer(clause.answer), |holds, condition| {
                self.condition(condition, holds, fails)
            })
    }

    /// Compares 64 bits as two halves.
    fn condition(&mut self, condition: &Condition, holds: Target, fails: Target) -> Target {
        let argument = condition.argument;
        match condition.test {
            Test::Equal(value) => self.equal(argument, value, holds, fails),
            Test::NotEqual(value) => self.equal(argument, value, fails, holds),
            Test::Masked { mask, value } => self.masked(argument, mask, value, holds, fails),
            Test::Greater(value) => self.order(argument, code::IF_GREATER, value, holds, fails),
            Test::LessOrEqual(value) => self.order(argument, code::IF_GREATER, value, fails, holds),
            Test::GreaterOrEqual(value) => {
                self.order(argument, code::IF_GREATER_OR_EQUAL, value, holds, fails)
            }
            Test::Less(value) => {
                self.order(argument, code::IF_GREATER_OR_EQUAL, value, fails, holds)
            }
        }
    }

    fn equal(&mut self, argument: u8, value: u64, holds: Target, fails: Target) -> Target {
        self.jump(code::IF_EQUAL, low(value), holds, fails);
        let low_half = self.write(code::LOAD, low_offset(argument));
        self.jump(code::IF_EQUAL, high(value), low_half, fails);
        self.write(code::LOAD, high_offset(argument))
    }

    fn masked(
        &mut self,
        argument: u8,
        mask: u64,
        value: u64,
        holds: Target,
        fails: Target,
    ) -> Target {
        self.jump(code::IF_EQUAL, low(value), holds, fails);
        self.write(code::AND, low(mask));
        let low_half = self.write(code::LOAD, low_offset(argument));
        if high(mask) == 0 && high(value) == 0 {
            return low_half;
        }
        self.jump(code::IF_EQUAL, high(value), low_half, fails);
        self.write(code::AND, high(mask));
        self.write(code::LOAD, high_offset(argument))
    }

    /// The low half decides by `operator` when the high halves are equal.
    fn order(
        &mut self,
        argument: u8,
        operator: u16,
        value: u64,
        holds: Target,
        fails: Target,
    ) -> Target {
        self.jump(operator, low(value), holds, fails);
        let low_half = self.write(code::LOAD, low_offset(argument));
        let same = self.jump(code::IF_EQUAL, high(value), low_half, fails);
        self.jump(code::IF_GREATER, high(value), holds, same);
        self.write(code::LOAD, high_offset(argument))
    }

    fn write(&mut self, code: u16, k: u32) -> Target {
        self.place(Instruction {
            code,
            jt: 0,
            jf: 0,
            k,
        })
    }

    fn jump(&mut self, code: u16, k: u32, yes: Target, no: Target) -> Target {
        let yes = self.reach(yes);
        let no = self.reach(no);
        let here = self.reversed.len();
        let distance = |target| u8::try_from(here - target - 1).expect("within REACH");
        self.place(Instruction {
            code,
            jt: distance(yes),
            jf: distance(no),
            k,
        })
    }

    /// The index of an instruction that leads to `target` and is near enough for a conditional
    /// jump.
    fn reach(&mut self, target: Target) -> usize {
        let here = self.reversed.len();
        let near = |index: usize| here - index <= REACH;
        match target {
            Target::At(index) if near(index) => index,
            Target::At(index) => self.skip_to(index),
            Target::Answer(answer) => match self.returns.get(&answer) {
                Some(&index) if near(index) => index,
                _ => {
                    self.write(code::RETURN, answer);
                    self.returns.insert(answer, here);
                    here
                }
            },
        }
    }

    /// Makes sure that what is written next runs into `target`.
    fn fall_through(&mut self, target: Target) {
        match target {
            Target::At(index) if index + 1 == self.reversed.len() => {}
            Target::At(index) => {
                self.skip_to(index);
            }
            Target::Answer(answer) => {
                self.write(code::RETURN, answer);
            }
        }
    }

    fn skip_to(&mut self, index: usize) -> usize {
        let here = self.reversed.len();
        let distance = u32::try_from(here - index - 1).expect("a program has few instructions");
        self.write(code::JUMP, distance);
        here
    }

    fn place(&mut self, instruction: Instruction) -> Target {
        self.reversed.push(instruction);
        Target::At(self.reversed.len() - 1)
    }
}

/// Where to cut so that both sides weigh most nearly the same; neither is empty.
fn balance(weights: &[u64]) -> usize {
    let total: u64 = weights.iter().sum();
    let mut left = 0;
    let mut best = (u64::MAX, 1);
    for (index, weight) in weights[..weights.len() - 1].iter().enumerate() {
        left += weight;
        best = best.min(((total - left).abs_diff(left), index + 1));
    }
    best.1
}

const fn low(value: u64) -> u32 {
    value as u32
}

const fn high(value: u64) -> u32 {
    (value >> 32) as u32
}

const fn low_offset(argument: u8) -> u32 {
    ARGUMENTS + 8 * argument as u32
}

const fn high_offset(argument: u8) -> u32 {
    low_offset(argument) + 4
}

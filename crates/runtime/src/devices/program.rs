//! Rules as an eBPF program for `BPF_CGROUP_DEVICE`.
//!
//! Owns: the encoding. The program walks the rules from the last to the first and keeps the
//! accesses nobody has decided yet: an allowing rule takes its own away, a denying one that meets
//! any of them ends it. Rules that differ in the minor number alone are one test of a bit, and what
//! is asked for is read anew for each test: the verifier follows every way through the program and
//! remembers what was compared on it, and its time is most of what a filter costs.
//! Never: what a rule means.

use weft_sys::bpf::Instruction;

use super::Rule;

/// Opcodes (linux/bpf.h, Documentation/bpf/standardization).
pub(super) mod code {
    pub const LOAD_WORD: u8 = 0x61;
    pub const MOVE: u8 = 0xbf;
    pub const MOVE_IMMEDIATE: u8 = 0xb7;
    pub const AND_IMMEDIATE: u8 = 0x57;
    pub const SHIFT_RIGHT_IMMEDIATE: u8 = 0x77;
    pub const SHIFT_RIGHT: u8 = 0x7f;
    pub const IF_GREATER: u8 = 0x26;
    pub const IF_NOT_EQUAL: u8 = 0x56;
    pub const IF_EQUAL: u8 = 0x16;
    pub const EXIT: u8 = 0x95;
}

/// Registers: the kernel passes the context in 1 and takes the answer from 0.
const ANSWER: u8 = 0;
const CONTEXT: u8 = 1;
const PENDING: u8 = 2;
const SCRATCH: u8 = 3;
const BITS: u8 = 4;

/// Minor numbers below this are tested together.
const MINORS: u32 = 32;

/// Offsets in `struct bpf_cgroup_dev_ctx`: the access above, the type below in the first word.
const ACCESS_AND_KIND: i16 = 0;
const MAJOR_OFFSET: i16 = 4;
const MINOR_OFFSET: i16 = 8;

/// `rules`: the last first.
pub(super) fn generate(rules: &[Rule]) -> Vec<Instruction> {
    let mut program = vec![
        load(PENDING, ACCESS_AND_KIND),
        immediate(code::SHIFT_RIGHT_IMMEDIATE, PENDING, 16),
    ];
    for alike in rules.chunk_by(differ_in_minor) {
        program.extend(test(alike));
        if alike[0].is_total() {
            // The verifier refuses instructions that nothing leads to.
            return program;
        }
    }
    program.extend(answer(false));
    program
}

/// Whether two rules decide the same about devices of which only a small minor number differs: in
/// which order they are asked does not matter then.
fn differ_in_minor(one: &Rule, other: &Rule) -> bool {
    let small = |rule: &Rule| rule.minor.is_some_and(|minor| minor < MINORS);
    small(one)
        && small(other)
        && *one
            == Rule {
                minor: one.minor,
                ..*other
            }
}

/// A test that does not hold jumps over the rest of the rules.
fn test(alike: &[Rule]) -> Vec<Instruction> {
    let rule = &alike[0];
    let mut reversed: Vec<Instruction> = decision(rule).into_iter().rev().collect();
    if alike.len() > 1 {
        let minors = alike.iter().filter_map(|rule| rule.minor);
        let bits = minors.fold(0, |bits, minor| bits | 1 << minor);
        reversed.push(jump(code::IF_EQUAL, BITS, 0, reversed.len()));
        reversed.push(immediate(code::AND_IMMEDIATE, BITS, 1));
        reversed.push(with_registers(code::SHIFT_RIGHT, BITS, SCRATCH));
        reversed.push(immediate(code::MOVE_IMMEDIATE, BITS, bits));
        let above = jump(code::IF_GREATER, SCRATCH, MINORS - 1, reversed.len());
        reversed.push(above);
        reversed.push(load(SCRATCH, MINOR_OFFSET));
    } else if let Some(minor) = rule.minor {
        reversed.push(jump(code::IF_NOT_EQUAL, SCRATCH, minor, reversed.len()));
        reversed.push(load(SCRATCH, MINOR_OFFSET));
    }
    if let Some(major) = rule.major {
        reversed.push(jump(code::IF_NOT_EQUAL, SCRATCH, major, reversed.len()));
        reversed.push(load(SCRATCH, MAJOR_OFFSET));
    }
    if let Some(kind) = rule.kind {
        let other = jump(code::IF_NOT_EQUAL, SCRATCH, kind as u32, reversed.len());
        reversed.push(other);
        reversed.push(immediate(code::AND_IMMEDIATE, SCRATCH, 0xffff));
        reversed.push(load(SCRATCH, ACCESS_AND_KIND));
    }
    reversed.reverse();
    reversed
}

fn decision(rule: &Rule) -> Vec<Instruction> {
    let [set, exit] = answer(rule.allow);
    // Something is always pending.
    if rule.access == super::EVERYTHING {
        return vec![set, exit];
    }
    if rule.allow {
        let rest = !rule.access & super::EVERYTHING;
        return vec![
            immediate(code::AND_IMMEDIATE, PENDING, rest),
            jump(code::IF_NOT_EQUAL, PENDING, 0, 2),
            set,
            exit,
        ];
    }
    vec![
        with_registers(code::MOVE, SCRATCH, PENDING),
        immediate(code::AND_IMMEDIATE, SCRATCH, rule.access),
        jump(code::IF_EQUAL, SCRATCH, 0, 2),
        set,
        exit,
    ]
}

fn answer(allow: bool) -> [Instruction; 2] {
    let set = immediate(code::MOVE_IMMEDIATE, ANSWER, u32::from(allow));
    [
        set,
        Instruction {
            code: code::EXIT,
            registers: 0,
            offset: 0,
            immediate: 0,
        },
    ]
}

fn load(register: u8, offset: i16) -> Instruction {
    let registers = CONTEXT << 4 | register;
    Instruction {
        code: code::LOAD_WORD,
        registers,
        offset,
        immediate: 0,
    }
}

fn with_registers(code: u8, target: u8, source: u8) -> Instruction {
    Instruction {
        code,
        registers: source << 4 | target,
        offset: 0,
        immediate: 0,
    }
}

/// 32-bit comparisons and small constants: the sign of the immediate does not matter.
fn immediate(code: u8, register: u8, value: u32) -> Instruction {
    Instruction {
        code,
        registers: register,
        offset: 0,
        immediate: value.cast_signed(),
    }
}

fn jump(code: u8, register: u8, value: u32, over: usize) -> Instruction {
    let offset = i16::try_from(over).expect("a rule has few instructions");
    Instruction {
        code,
        registers: register,
        offset,
        immediate: value.cast_signed(),
    }
}

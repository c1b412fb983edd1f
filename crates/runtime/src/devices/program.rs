//! Rules as an eBPF program for `BPF_CGROUP_DEVICE`.
//!
//! Owns: the encoding. The program walks the rules from the last to the first and keeps the
//! accesses nobody has decided yet: an allowing rule takes its own away, a denying one that meets
//! any of them ends it. The device's number is read anew for each rule: otherwise the verifier
//! follows each number it was once compared with through all the rules that come after.
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
    pub const IF_NOT_EQUAL: u8 = 0x56;
    pub const IF_EQUAL: u8 = 0x16;
    pub const EXIT: u8 = 0x95;
}

/// Registers: the kernel passes the context in 1 and takes the answer from 0.
const ANSWER: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const PENDING: u8 = 3;
const SCRATCH: u8 = 4;

/// Offsets in `struct bpf_cgroup_dev_ctx`: the access above, the type below in the first word.
const ACCESS_AND_KIND: i16 = 0;
const MAJOR_OFFSET: i16 = 4;
const MINOR_OFFSET: i16 = 8;

/// `rules`: the last first.
pub(super) fn generate(rules: &[Rule]) -> Vec<Instruction> {
    let mut program = vec![
        load(KIND, ACCESS_AND_KIND),
        with_registers(code::MOVE, PENDING, KIND),
        immediate(code::AND_IMMEDIATE, KIND, 0xffff),
        immediate(code::SHIFT_RIGHT_IMMEDIATE, PENDING, 16),
    ];
    for rule in rules {
        program.extend(one(rule));
        if rule.is_total() {
            // The verifier refuses instructions that nothing leads to.
            return program;
        }
    }
    program.extend(answer(false));
    program
}

/// A test that does not hold jumps over the rest of the rule.
fn one(rule: &Rule) -> Vec<Instruction> {
    let mut reversed: Vec<Instruction> = decision(rule).into_iter().rev().collect();
    for (value, offset) in [(rule.minor, MINOR_OFFSET), (rule.major, MAJOR_OFFSET)] {
        if let Some(value) = value {
            reversed.push(jump(code::IF_NOT_EQUAL, SCRATCH, value, reversed.len()));
            reversed.push(load(SCRATCH, offset));
        }
    }
    if let Some(kind) = rule.kind {
        reversed.push(jump(code::IF_NOT_EQUAL, KIND, kind as u32, reversed.len()));
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

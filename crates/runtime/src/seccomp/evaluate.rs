//! A classic BPF machine, as much of it as filters use: the reference the kernel is in production.
//!
//! Never: used outside tests.

use weft_sys::seccomp::Instruction;

use super::program::code;

/// What a filter sees of a call (`struct seccomp_data`).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Call {
    pub number: u32,
    pub arch: u32,
    pub arguments: [u64; 6],
}

impl Call {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.number,
            4 => self.arch,
            16..64 if offset.is_multiple_of(4) => {
                let argument = self.arguments[((offset - 16) / 8) as usize];
                if offset.is_multiple_of(8) {
                    argument as u32
                } else {
                    (argument >> 32) as u32
                }
            }
            _ => panic!("load from offset {offset}"),
        }
    }
}

/// The answer, and how many instructions it took.
pub(super) fn run(program: &[Instruction], call: &Call) -> (u32, usize) {
    let mut accumulator = 0;
    let mut at = 0;
    for steps in 1..=program.len() {
        let Instruction { code, jt, jf, k } = program[at];
        let branch = |condition: bool| usize::from(if condition { jt } else { jf });
        at += 1 + match code {
            code::LOAD => {
                accumulator = call.word(k);
                0
            }
            code::AND => {
                accumulator &= k;
                0
            }
            code::JUMP => k as usize,
            code::IF_EQUAL => branch(accumulator == k),
            code::IF_GREATER => branch(accumulator > k),
            code::IF_GREATER_OR_EQUAL => branch(accumulator >= k),
            code::RETURN => return (k, steps),
            other => panic!("instruction {other:#x} at {at}"),
        };
    }
    panic!("a program without backward jumps runs each instruction at most once")
}

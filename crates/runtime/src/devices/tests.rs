//! Rules against generated programs, run by a small eBPF machine. Never: the kernel
//! (`tests/it/policy.rs`).

use proptest::prelude::*;

use super::program::code;
use super::*;

/// Runs the subset of eBPF that `program` writes.
fn run(program: &[Instruction], access: u32, kind: Kind, major: u32, minor: u32) -> bool {
    let context = [access << 16 | kind as u32, major, minor];
    let mut registers = [0u64; 7];
    let mut at = 0usize;
    for _ in 0..=program.len() {
        let Instruction {
            code,
            registers: pair,
            offset,
            immediate,
        } = program[at];
        let (target, source) = (usize::from(pair & 15), usize::from(pair >> 4));
        let narrow = registers[target] as u32;
        let value = immediate as u32;
        at += 1;
        match code {
            code::LOAD_WORD => registers[target] = u64::from(context[offset as usize / 4]),
            code::MOVE => registers[target] = registers[source],
            code::MOVE_IMMEDIATE => registers[target] = u64::from(value),
            code::AND_IMMEDIATE => registers[target] &= u64::from(value),
            code::SHIFT_RIGHT_IMMEDIATE => registers[target] >>= value,
            code::SHIFT_RIGHT => registers[target] >>= registers[source],
            code::IF_GREATER if narrow > value => at += offset as usize,
            code::IF_NOT_EQUAL if narrow != value => at += offset as usize,
            code::IF_EQUAL if narrow == value => at += offset as usize,
            code::IF_GREATER | code::IF_NOT_EQUAL | code::IF_EQUAL => {}
            code::EXIT => return registers[0] == 1,
            other => panic!("instruction {other:#x}"),
        }
    }
    panic!("the program does not end");
}

fn allowed(rules: &[LinuxDeviceCgroup], access: &str, kind: Kind, major: u32, minor: u32) -> bool {
    let filter = Filter::of(rules).unwrap();
    run(
        &filter.program(),
        super::access(access).unwrap(),
        kind,
        major,
        minor,
    )
}

fn deny_all() -> LinuxDeviceCgroup {
    rule(false, LinuxDeviceType::A, None, None, "rwm")
}

#[test]
fn the_default_list_is_what_a_container_needs() {
    let rules = default_rules();
    for (major, minor) in [
        (1, 3),
        (1, 5),
        (1, 7),
        (1, 8),
        (1, 9),
        (5, 0),
        (5, 1),
        (5, 2),
        (136, 9),
    ] {
        assert!(
            allowed(&rules, "rwm", Kind::Char, major, minor),
            "{major}:{minor}"
        );
    }
    for (kind, major, minor) in [
        (Kind::Char, 1, 1),    // mem
        (Kind::Char, 1, 2),    // kmem
        (Kind::Char, 1, 11),   // kmsg
        (Kind::Char, 4, 0),    // the console's terminal
        (Kind::Char, 10, 200), // tun
        (Kind::Char, 10, 229), // fuse
        (Kind::Char, 10, 232), // kvm
        (Kind::Block, 1, 3),
        (Kind::Block, 8, 0),
    ] {
        for access in ["r", "w", "rw", "rwm"] {
            assert!(
                !allowed(&rules, access, kind, major, minor),
                "{major}:{minor} {access}"
            );
        }
        assert!(allowed(&rules, "m", kind, major, minor), "{major}:{minor}");
    }
}

#[test]
fn no_rule_is_a_denial() {
    assert!(!allowed(&[], "r", Kind::Char, 1, 3));
}

#[test]
fn the_last_rule_decides_each_access_by_itself() {
    let all = rule(true, LinuxDeviceType::A, None, None, "rwm");
    let no_writes = rule(false, LinuxDeviceType::C, Some(1), None, "w");
    let rules = [deny_all(), all.clone(), no_writes.clone()];
    assert!(allowed(&rules, "rm", Kind::Char, 1, 3));
    assert!(!allowed(&rules, "rw", Kind::Char, 1, 3));
    assert!(allowed(&rules, "rw", Kind::Char, 2, 3));
    assert!(allowed(&rules, "rw", Kind::Block, 1, 3));
    assert!(allowed(&[no_writes, all.clone()], "rw", Kind::Char, 1, 3));
    assert!(!allowed(&[all, deny_all()], "r", Kind::Char, 1, 3));
}

#[test]
fn accesses_may_come_from_different_rules() {
    let read = rule(true, LinuxDeviceType::C, Some(9), Some(9), "r");
    let write = rule(true, LinuxDeviceType::C, Some(9), None, "w");
    assert!(allowed(
        &[read.clone(), write.clone()],
        "rw",
        Kind::Char,
        9,
        9
    ));
    assert!(!allowed(
        &[read.clone(), write.clone()],
        "rwm",
        Kind::Char,
        9,
        9
    ));
    assert!(!allowed(&[read, write], "rw", Kind::Char, 9, 8));
}

#[test]
fn rules_that_cannot_be_reached_are_left_out() {
    let many: Vec<_> = (0..500)
        .map(|it| rule(true, LinuxDeviceType::C, Some(it), None, "rwm"))
        .collect();
    let mut rules = many.clone();
    rules.push(deny_all());
    rules.push(rule(true, LinuxDeviceType::C, Some(1), None, "rwm"));
    assert_eq!(Filter::of(&rules).unwrap().rules.len(), 2);
    assert_eq!(Filter::of(&many).unwrap().rules.len(), 500);
    let everything = Filter::of(&[
        deny_all(),
        rule(true, LinuxDeviceType::A, None, None, "rwm"),
    ]);
    assert!(everything.unwrap().allows_everything());
    assert!(!Filter::of(&default_rules()).unwrap().allows_everything());
}

#[test]
fn minus_one_is_any_and_the_type_defaults_to_all() {
    let json = r#"{"allow": true, "major": -1, "minor": -1, "access": "r"}"#;
    let rules = [serde_json::from_str(json).unwrap()];
    assert!(allowed(&rules, "r", Kind::Block, 8, 0));
    assert!(allowed(&rules, "r", Kind::Char, 1, 3));
    assert!(!allowed(&rules, "w", Kind::Char, 1, 3));
}

#[test]
fn rules_that_make_no_sense_are_refused_by_what_is_wrong() {
    for (rule, reason) in [
        (
            rule(true, LinuxDeviceType::P, None, None, "r"),
            "a FIFO is no device",
        ),
        (
            rule(true, LinuxDeviceType::C, Some(-2), None, "r"),
            "-2 is no major number",
        ),
        (
            rule(true, LinuxDeviceType::C, None, Some(1 << 32), "r"),
            "4294967296 is no minor number",
        ),
        (
            rule(true, LinuxDeviceType::C, None, None, "rx"),
            "'x' is no access: r, w and m are",
        ),
        (
            rule(true, LinuxDeviceType::C, None, None, ""),
            "it names no access",
        ),
    ] {
        let error = Filter::of(&[rule]).unwrap_err().to_string();
        assert!(error.ends_with(reason), "{error}");
    }
    let many = vec![deny_all(); MAX_RULES + 1];
    assert_eq!(
        Filter::of(&many).unwrap_err().to_string(),
        "1025 device rules: at most 1024 are taken"
    );
}

/// Some that are tested together, and their neighbours that are not.
const MINORS_TRIED: [i64; 6] = [0, 1, 2, 31, 32, 33];

fn any_rule() -> impl Strategy<Value = LinuxDeviceCgroup> {
    let kind = prop::sample::select(vec![
        LinuxDeviceType::A,
        LinuxDeviceType::B,
        LinuxDeviceType::C,
    ]);
    let access = prop::sample::select(vec!["r", "w", "m", "rw", "rm", "wm", "rwm"]);
    let major = prop::option::of(0..3i64);
    let minor = prop::option::of(prop::sample::select(MINORS_TRIED.to_vec()));
    (any::<bool>(), kind, major, minor, access)
        .prop_map(|(allow, kind, major, minor, access)| rule(allow, kind, major, minor, access))
}

/// Each access is decided by the last rule that speaks of it.
fn naive(rules: &[LinuxDeviceCgroup], access: u32, kind: Kind, major: u32, minor: u32) -> bool {
    [READ, WRITE, MAKE]
        .into_iter()
        .filter(|bit| access & bit != 0)
        .all(|bit| {
            let rules = rules.iter().rev().map(|rule| Rule::of(rule).unwrap());
            rules
                .filter(|rule| rule.access & bit != 0)
                .filter(|rule| rule.kind.is_none_or(|it| it == kind))
                .filter(|rule| rule.major.is_none_or(|it| it == major))
                .find(|rule| rule.minor.is_none_or(|it| it == minor))
                .is_some_and(|rule| rule.allow)
        })
}

proptest! {
    #[test]
    fn the_program_says_what_the_rules_say(rules in prop::collection::vec(any_rule(), 0..12)) {
        let program = Filter::of(&rules).unwrap().program();
        for kind in [Kind::Block, Kind::Char] {
            for (major, minor) in [(0, 0), (0, 1), (1, 0), (2, 2), (0, 31), (1, 32), (0, 33), (3, 3), (u32::MAX, 0)] {
                for access in 1..=EVERYTHING {
                    prop_assert_eq!(
                        run(&program, access, kind, major, minor),
                        naive(&rules, access, kind, major, minor)
                    );
                }
            }
        }
    }
}

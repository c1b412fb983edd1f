//! Profiles against compiled programs. Owns: the comparisons. Never: the kernel
//! (`tests/it/policy.rs`).

mod default;

use std::collections::HashSet;

use oci_spec::runtime::{Arch, LinuxSeccomp, LinuxSeccompArg, LinuxSeccompOperator, LinuxSyscall};
use proptest::prelude::*;
use serde_json::{Value, json};
use weft_sys::seccomp::audit;

use super::evaluate::{Call, run};
use super::table::NATIVE;
use super::*;
use crate::capabilities::Set;

const ALLOW: u32 = 0x7fff_0000;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;
const KILL_PROCESS: u32 = 0x8000_0000;

fn profile(value: Value) -> LinuxSeccomp {
    serde_json::from_value(value).unwrap()
}

fn answer(program: &Program, name: &str, arguments: &[u64]) -> u32 {
    let number = NATIVE
        .number(name)
        .unwrap_or_else(|| panic!("no call is named {name}"));
    at(program, number, arguments)
}

fn at(program: &Program, number: u32, arguments: &[u64]) -> u32 {
    let mut call = Call {
        number,
        arch: NATIVE.audit,
        ..Call::default()
    };
    call.arguments[..arguments.len()].copy_from_slice(arguments);
    run(&program.instructions, &call).0
}

fn default_program() -> Arc<Program> {
    compile(&default_profile(Set::DEFAULT)).unwrap()
}

/// What a profile says, by reading its rules one after the other for each call.
struct Reading<'a> {
    profile: &'a LinuxSeccomp,
    rules: Vec<(Vec<u32>, &'a LinuxSyscall)>,
}

impl<'a> Reading<'a> {
    fn of(profile: &'a LinuxSeccomp) -> Reading<'a> {
        let rules = profile.syscalls().as_deref().unwrap_or_default().iter();
        let numbers = |rule: &LinuxSyscall| {
            rule.names()
                .iter()
                .filter_map(|name| NATIVE.number(name))
                .collect()
        };
        Reading {
            profile,
            rules: rules.map(|rule| (numbers(rule), rule)).collect(),
        }
    }

    fn answer(&self, number: u32, arguments: &[u64; 6]) -> u32 {
        let action = self.profile.default_action();
        let default = action.as_u32(self.profile.default_errno_ret());
        let highest = self.rules.iter().flat_map(|(numbers, _)| numbers).max();
        if NATIVE.end.is_some_and(|end| number >= end) {
            return ENOSYS;
        }
        if action == LinuxSeccompAction::ScmpActErrno && highest.is_some_and(|&it| number > it) {
            return ENOSYS;
        }
        let answer = |rule: &LinuxSyscall| rule.action().as_u32(rule.errno_ret());
        let mine = self
            .rules
            .iter()
            .filter(|(numbers, _)| numbers.contains(&number));
        let mine: Vec<&LinuxSyscall> = mine
            .map(|&(_, rule)| rule)
            .filter(|rule| answer(rule) != default)
            .collect();
        let arguments_of = |rule: &LinuxSyscall| rule.args().clone().unwrap_or_default();
        let plain = mine.iter().find(|rule| arguments_of(rule).is_empty());
        let checked = || {
            mine.iter()
                .find(|rule| matches(&arguments_of(rule), arguments))
        };
        plain.or_else(checked).map_or(default, |rule| answer(rule))
    }
}

fn matches(tests: &[LinuxSeccompArg], arguments: &[u64; 6]) -> bool {
    use LinuxSeccompOperator as Operator;
    let holds = |test: &LinuxSeccompArg| {
        let (actual, value) = (arguments[test.index()], test.value());
        match test.op() {
            Operator::ScmpCmpNe => actual != value,
            Operator::ScmpCmpLt => actual < value,
            Operator::ScmpCmpLe => actual <= value,
            Operator::ScmpCmpEq => actual == value,
            Operator::ScmpCmpGe => actual >= value,
            Operator::ScmpCmpGt => actual > value,
            Operator::ScmpCmpMaskedEq => actual & value == test.value_two().unwrap_or(0),
        }
    };
    let indexes: HashSet<usize> = tests.iter().map(LinuxSeccompArg::index).collect();
    if indexes.len() < tests.len() {
        tests.iter().any(holds)
    } else {
        tests.iter().all(holds)
    }
}

#[test]
fn foreign_conventions_are_refused() {
    let program = default_program();
    for arch in [audit::X86, audit::ARM, 0, u32::MAX] {
        let call = Call {
            number: 1,
            arch,
            ..Call::default()
        };
        assert_eq!(
            run(&program.instructions, &call).0,
            KILL_PROCESS,
            "{arch:#x}"
        );
    }
    let open = compile(&profile(json!({"defaultAction": "SCMP_ACT_ALLOW"}))).unwrap();
    if cfg!(target_arch = "x86_64") {
        for program in [&program, &open] {
            assert_eq!(at(program, 0x4000_0000, &[]), ENOSYS);
            assert_eq!(at(program, 0x4000_0000 | 59, &[]), ENOSYS);
            assert_eq!(at(program, u32::MAX, &[]), ENOSYS);
        }
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_profile_may_open_32_bit_x86() {
    let mut both = default_profile(Set::DEFAULT);
    both.set_architectures(Some(vec![
        Arch::ScmpArchX86_64,
        Arch::ScmpArchX86,
        Arch::ScmpArchX32,
    ]));
    let program = compile(&both).unwrap();
    let old = |number| {
        let call = Call {
            number,
            arch: audit::X86,
            ..Call::default()
        };
        run(&program.instructions, &call).0
    };
    assert_eq!(old(102), ALLOW, "socketcall");
    assert_eq!(old(21), EPERM, "mount");
    assert_eq!(old(0x4000_0003), ENOSYS);
    assert_eq!(answer(&program, "mount", &[]), EPERM);
    assert_eq!(answer(&program, "read", &[]), ALLOW);
    assert_eq!(at(&program, 0x4000_0000, &[]), ENOSYS);
}

#[test]
fn the_meaning_of_several_rules_for_one_call_is_libseccomps() {
    let rule = |action: &str, args: Value| json!({"names": ["ioctl", "no_such_call"], "action": action, "args": args});
    let is = |index: u64, value: u64| json!({"index": index, "value": value, "op": "SCMP_CMP_EQ"});
    let outcome = |rules: Vec<Value>, arguments: &[u64]| {
        let all = json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules});
        answer(&compile(&profile(all)).unwrap(), "ioctl", arguments)
    };
    let allow = |args| rule("SCMP_ACT_ALLOW", args);
    let log = |args| rule("SCMP_ACT_LOG", args);
    const LOG: u32 = 0x7ffc_0000;
    // a rule without arguments outweighs, the first one counts
    assert_eq!(
        outcome(vec![log(json!([is(0, 1)])), allow(json!([]))], &[1]),
        ALLOW
    );
    assert_eq!(
        outcome(vec![allow(json!([])), log(json!([is(0, 1)]))], &[1]),
        ALLOW
    );
    assert_eq!(outcome(vec![allow(json!([])), log(json!([]))], &[]), ALLOW);
    // what repeats the default adds nothing
    assert_eq!(
        outcome(
            vec![rule("SCMP_ACT_ERRNO", json!([])), allow(json!([]))],
            &[]
        ),
        ALLOW
    );
    // the first match counts
    let both = vec![log(json!([is(0, 1)])), allow(json!([is(1, 2)]))];
    assert_eq!(outcome(both.clone(), &[1, 2]), LOG);
    assert_eq!(outcome(both.clone(), &[0, 2]), ALLOW);
    assert_eq!(outcome(both, &[0, 0]), EPERM);
    // all conditions, unless two are on one argument
    let every = vec![allow(json!([is(0, 1), is(1, 2)]))];
    assert_eq!(outcome(every.clone(), &[1, 2]), ALLOW);
    assert_eq!(outcome(every, &[1, 3]), EPERM);
    let either = vec![allow(json!([is(0, 1), is(0, 2)]))];
    assert_eq!(outcome(either.clone(), &[1]), ALLOW);
    assert_eq!(outcome(either.clone(), &[2]), ALLOW);
    assert_eq!(outcome(either, &[3]), EPERM);
}

#[test]
fn actions_carry_their_codes() {
    for (action, errno, expected) in [
        ("SCMP_ACT_ERRNO", Some(13), 0x0005_000d),
        ("SCMP_ACT_TRACE", Some(7), 0x7ff0_0007),
        ("SCMP_ACT_TRACE", None, 0x7ff0_0001),
        ("SCMP_ACT_KILL", None, 0),
        ("SCMP_ACT_KILL_THREAD", None, 0),
        ("SCMP_ACT_KILL_PROCESS", None, KILL_PROCESS),
        ("SCMP_ACT_TRAP", None, 0x0003_0000),
        ("SCMP_ACT_LOG", None, 0x7ffc_0000),
    ] {
        let mut rule = json!({"names": ["read"], "action": action});
        if let Some(errno) = errno {
            rule["errnoRet"] = json!(errno);
        }
        let all = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]});
        let program = compile(&profile(all)).unwrap();
        assert_eq!(answer(&program, "read", &[]), expected, "{action}");
        assert_eq!(answer(&program, "write", &[]), ALLOW, "{action}");
    }
}

#[test]
fn what_is_not_supported_or_makes_no_sense_is_refused_by_name() {
    let with = |rule: Value| json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]});
    let read = |action: &str, extra: (&str, Value)| {
        let mut rule = json!({"names": ["read"], "action": action});
        rule[extra.0] = extra.1;
        with(rule)
    };
    let argument = json!([{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]);
    for (value, message) in [
        (
            read("SCMP_ACT_NOTIFY", ("comment", json!(""))),
            "read: SCMP_ACT_NOTIFY",
        ),
        (
            json!({"defaultAction": "SCMP_ACT_NOTIFY"}),
            "the default action: SCMP_ACT_NOTIFY",
        ),
        (
            json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/x"}),
            "listenerPath: SCMP",
        ),
        (
            json!({"defaultAction": "SCMP_ACT_ALLOW",
                   "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]}),
            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: SCMP",
        ),
        (
            read("SCMP_ACT_ERRNO", ("errnoRet", json!(4096))),
            "read: errnoRet 4096 is above 4095",
        ),
        (
            read("SCMP_ACT_KILL", ("errnoRet", json!(1))),
            "read: errnoRet 1 has no meaning for",
        ),
        (
            json!({"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1}),
            "the default action",
        ),
        (
            read("SCMP_ACT_ERRNO", ("args", argument)),
            "read: there is no argument 6",
        ),
    ] {
        let error = compile(&profile(value)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("seccomp: {message}")), "{error}");
    }
}

#[test]
fn a_profile_longer_than_the_kernel_takes_is_refused() {
    let args: Vec<Value> = (0..2000)
        .map(|value| json!({"index": 0, "value": value, "op": "SCMP_CMP_EQ"}))
        .collect();
    let rule = json!({"names": ["ioctl"], "action": "SCMP_ACT_ALLOW", "args": args});
    let all = json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule]});
    assert!(matches!(
        compile(&profile(all)),
        Err(CompileError::TooLong { .. })
    ));
}

#[test]
fn an_equal_profile_is_compiled_once_and_the_cache_is_bounded() {
    let number = |value: u64| {
        let args = json!([{"index": 5, "value": value, "op": "SCMP_CMP_EQ"}]);
        let rule = json!({"names": ["read"], "action": "SCMP_ACT_LOG", "args": args});
        profile(json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    };
    let first = compile(&number(7_000)).unwrap();
    assert_eq!(first, compile(&number(7_000)).unwrap());
    for value in 0..3 * CACHED as u64 {
        compile(&number(value)).unwrap();
    }
    assert!(CACHE.lock().unwrap().len() <= CACHED);
}

#[test]
fn a_profile_that_names_nothing_known_answers_with_its_default() {
    let rule = json!({"names": ["no_such_call"], "action": "SCMP_ACT_ALLOW"});
    let all = json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule]});
    let program = compile(&profile(all)).unwrap();
    assert_eq!(at(&program, 0, &[]), EPERM);
    assert_eq!(at(&program, 470, &[]), EPERM);
}

fn any_profile() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec![
        "read",
        "write",
        "open",
        "openat",
        "close",
        "mmap",
        "ioctl",
        "socket",
        "clone",
        "execve",
        "exit",
        "futex",
        "mount",
        "ptrace",
        "statx",
        "clone3",
        "mseal",
        "nonsense",
        "socketcall",
    ]);
    let operator = prop::sample::select(vec![
        "SCMP_CMP_NE",
        "SCMP_CMP_LT",
        "SCMP_CMP_LE",
        "SCMP_CMP_EQ",
        "SCMP_CMP_GE",
        "SCMP_CMP_GT",
        "SCMP_CMP_MASKED_EQ",
    ]);
    let action = prop::sample::select(vec![
        "SCMP_ACT_ALLOW",
        "SCMP_ACT_ERRNO",
        "SCMP_ACT_KILL",
        "SCMP_ACT_KILL_PROCESS",
        "SCMP_ACT_TRAP",
        "SCMP_ACT_LOG",
        "SCMP_ACT_TRACE",
    ]);
    let argument = (0..6usize, interesting(), prop::option::of(interesting()), operator).prop_map(
        |(index, value, two, op)| json!({"index": index, "value": value, "valueTwo": two, "op": op}),
    );
    let rule = (
        prop::collection::vec(name, 1..6),
        action.clone(),
        prop::collection::vec(argument, 0..4),
    )
        .prop_map(|(names, action, args)| json!({"names": names, "action": action, "args": args}));
    (action, prop::collection::vec(rule, 0..40))
        .prop_map(|(action, rules)| json!({"defaultAction": action, "syscalls": rules}))
}

/// Numbers that sit on the edges of comparisons by halves.
fn interesting() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..4u64,
        Just(u64::MAX),
        (0..4u64).prop_map(|it| it << 32),
        (0..4u64).prop_map(|it| (it << 32) + u64::from(u32::MAX)),
        any::<u64>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_program_says_what_the_profile_says(
        value in any_profile(),
        calls in prop::collection::vec(prop::array::uniform6(interesting()), 4),
    ) {
        let profile = profile(value);
        let program = build(&profile).unwrap();
        let reading = Reading::of(&profile);
        for number in (0..600).chain([0x3fff_ffff, 0x4000_0000, u32::MAX]) {
            for arguments in &calls {
                let expected = reading.answer(number, arguments);
                prop_assert_eq!(at(&program, number, arguments), expected, "call {}", number);
            }
        }
    }

    #[test]
    fn no_json_makes_the_compiler_panic(text in "[\\[\\]{}\":,a-zA-Z0-9_ ]{0,200}") {
        if let Ok(profile) = serde_json::from_str::<LinuxSeccomp>(&text) {
            let _ = build(&profile);
        }
    }
}

//! The default profile, call by call. Owns: the golden file.

use std::fmt::Write as _;

use oci_spec::runtime::Capability;

use super::*;

#[test]
fn the_default_profile_denies_what_escapes_are_made_of() {
    let program = default_program();
    for name in "io_uring_setup io_uring_enter io_uring_register userfaultfd keyctl add_key \
        request_key bpf mount umount2 fsopen fsmount fsconfig fspick move_mount open_tree \
        mount_setattr unshare setns pivot_root perf_event_open open_by_handle_at kexec_load \
        init_module finit_module delete_module swapon reboot acct quotactl sethostname \
        setdomainname settimeofday clock_settime kcmp process_madvise pidfd_getfd syslog \
        vhangup nfsservctl fanotify_init lookup_dcookie mbind move_pages"
        .split_ascii_whitespace()
    {
        if let Some(number) = NATIVE.number(name) {
            assert_eq!(at(&program, number, &[]), EPERM, "{name}");
        }
    }
}

#[test]
fn the_default_profile_allows_what_programs_are_made_of() {
    let program = default_program();
    for name in "read write openat execve mmap futex epoll_wait accept4 statx clock_gettime ptrace \
        process_vm_readv chroot mseal rseq seccomp"
        .split_ascii_whitespace()
    {
        if let Some(number) = NATIVE.number(name) {
            assert_eq!(at(&program, number, &[]), ALLOW, "{name}");
        }
    }
}

#[test]
fn namespaces_cannot_be_made_by_clone_and_clone3_is_unknown() {
    let program = default_program();
    for flag in [
        0x2_0000,
        0x200_0000,
        0x400_0000,
        0x800_0000,
        0x1000_0000,
        0x2000_0000,
        0x4000_0000_u64,
    ] {
        assert_eq!(
            answer(&program, "clone", &[flag | 0x11]),
            EPERM,
            "{flag:#x}"
        );
        assert_eq!(
            answer(&program, "clone", &[flag | 1 << 40]),
            EPERM,
            "{flag:#x}"
        );
    }
    assert_eq!(answer(&program, "clone", &[0x003d_0f00]), ALLOW);
    assert_eq!(answer(&program, "clone3", &[]), ENOSYS);
    let admin = compile(&default_profile(Set::single(Capability::SysAdmin))).unwrap();
    assert_eq!(answer(&admin, "clone", &[0x1000_0000]), ALLOW);
    assert_eq!(answer(&admin, "clone3", &[]), ALLOW);
    assert_eq!(answer(&admin, "mount", &[]), ALLOW);
}

#[test]
fn af_alg_and_af_vsock_are_denied_however_they_are_written() {
    let program = default_program();
    for family in 0..=45u64 {
        let expected = if matches!(family, 38 | 40) {
            EPERM
        } else {
            ALLOW
        };
        assert_eq!(answer(&program, "socket", &[family]), expected, "{family}");
        // The kernel reads 32 bits of the family.
        for disguise in [1 << 32, 1 << 63, u64::MAX << 32] {
            assert_eq!(
                answer(&program, "socket", &[family | disguise]),
                EPERM,
                "{family}"
            );
        }
    }
}

#[test]
fn only_harmless_personalities_are_allowed() {
    let program = default_program();
    for (value, expected) in [
        (0, ALLOW),
        (8, ALLOW),
        (0x2_0000, ALLOW),
        (0x2_0008, ALLOW),
        (0xffff_ffff, ALLOW),
        (0x4_0000, EPERM),
        (1, EPERM),
        (u64::MAX, EPERM),
    ] {
        assert_eq!(
            answer(&program, "personality", &[value]),
            expected,
            "{value:#x}"
        );
    }
}

#[test]
fn each_capability_opens_its_calls() {
    for (capability, name) in [
        (Capability::DacReadSearch, "open_by_handle_at"),
        (Capability::SysBoot, "reboot"),
        (Capability::SysModule, "finit_module"),
        (Capability::SysPacct, "acct"),
        (Capability::SysPtrace, "pidfd_getfd"),
        (Capability::SysTime, "clock_settime"),
        (Capability::SysTtyConfig, "vhangup"),
        (Capability::SysNice, "mbind"),
        (Capability::Syslog, "syslog"),
        (Capability::Bpf, "bpf"),
        (Capability::Perfmon, "perf_event_open"),
        (Capability::SysChroot, "chroot"),
    ] {
        let with = compile(&default_profile(Set::single(capability))).unwrap();
        let without = compile(&default_profile(Set::EMPTY)).unwrap();
        assert_eq!(answer(&with, name, &[]), ALLOW, "{name}");
        assert_eq!(answer(&without, name, &[]), EPERM, "{name}");
    }
}

/// The whole of the default container's filter, by number, for review: any widening is a diff.
/// `WEFT_BLESS=1` rewrites the file.
#[test]
#[cfg(target_arch = "x86_64")]
fn the_default_container_matches_its_golden_file() {
    let program = default_program();
    let mut table = String::new();
    for number in 0..=470 {
        let zero = at(&program, number, &[]);
        let depends = [38, 0x1000_0000]
            .iter()
            .any(|&it| at(&program, number, &[it]) != zero);
        let verdict = match zero {
            ALLOW if depends => "by argument",
            ALLOW => "allow",
            EPERM => "deny EPERM",
            ENOSYS => "deny ENOSYS",
            other => panic!("{other:#x}"),
        };
        writeln!(table, "{number} {verdict}").unwrap();
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/seccomp-default.txt");
    if std::env::var_os("WEFT_BLESS").is_some() {
        std::fs::write(path, &table).unwrap();
    }
    assert!(
        std::fs::read_to_string(path).unwrap() == table,
        "{path} differs: see WEFT_BLESS"
    );
}

#[test]
fn paths_through_the_default_program_are_short() {
    let program = default_program();
    assert!(
        program.instructions.len() < 150,
        "{}",
        program.instructions.len()
    );
    let steps = (0..470).map(|number| {
        let call = Call {
            number,
            arch: NATIVE.audit,
            ..Call::default()
        };
        run(&program.instructions, &call).1
    });
    let total: usize = steps.sum();
    println!(
        "{} instructions, {} steps",
        program.instructions.len(),
        total
    );
    assert!(total < 470 * 10, "{total}");
}

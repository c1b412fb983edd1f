//! The default profile: what a container may ask the kernel for unless told otherwise.
//!
//! Owns: the table. It has the meaning of Docker's default profile, with two differences. Only the
//! native calling convention is in it (32-bit `socketcall` hides its arguments from a filter).
//! And address families of `socket` are listed, not excluded: the kernel reads 32 bits of that
//! argument and a filter 64, so "greater than AF_VSOCK" would let a disguised AF_ALG through
//! (CVE-2026-31431).
//! Never: how it is compiled.

use oci_spec::runtime::{
    Arch, Capability, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder,
    LinuxSeccompBuilder, LinuxSeccompOperator, LinuxSyscall, LinuxSyscallBuilder,
};

use crate::capabilities::Set;

/// Allowed to everyone, whatever the arguments. Names this machine's kernel does not have for
/// the calling convention in question are skipped.
const ALLOWED: &[&str] = &[
    // files by path
    "access chdir chmod chown chown32 creat faccessat faccessat2 fchmodat fchmodat2 fchownat \
     fstatat64 futimesat getcwd lchown lchown32 link linkat lstat lstat64 mkdir mkdirat mknod \
     mknodat name_to_handle_at newfstatat open openat openat2 readlink readlinkat rename renameat \
     renameat2 rmdir stat stat64 statx symlink symlinkat truncate truncate64 unlink unlinkat \
     utime utimensat utimensat_time64 utimes",
    // files by descriptor
    "close close_range copy_file_range dup dup2 dup3 fadvise64 fadvise64_64 fallocate fchdir \
     fchmod fchown fchown32 fcntl fcntl64 fdatasync flock fstat fstat64 fsync ftruncate \
     ftruncate64 getdents getdents64 ioctl lseek _llseek pread64 preadv preadv2 pwrite64 pwritev \
     pwritev2 read readahead readv sendfile sendfile64 splice sync_file_range tee umask vmsplice \
     write writev",
    // extended attributes
    "fgetxattr flistxattr fremovexattr fsetxattr getxattr getxattrat lgetxattr listxattr \
     listxattrat llistxattr lremovexattr lsetxattr removexattr removexattrat setxattr setxattrat",
    // file systems as a whole
    "fstatfs fstatfs64 listmount statfs statfs64 statmount sync syncfs",
    // watching files; fanotify_init needs CAP_SYS_ADMIN
    "fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch",
    // waiting for descriptors
    "epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait \
     epoll_wait_old eventfd eventfd2 _newselect pipe pipe2 poll ppoll ppoll_time64 pselect6 \
     pselect6_time64 select signalfd signalfd4",
    // asynchronous I/O of the old kind; io_uring is left out on purpose
    "io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit \
     ioprio_get ioprio_set",
    // memory; userfaultfd is left out on purpose
    "brk cachestat madvise map_shadow_stack memfd_create memfd_secret mincore mlock mlock2 \
     mlockall mmap mmap2 mprotect mremap mseal msync munlock munlockall munmap pkey_alloc \
     pkey_free pkey_mprotect process_mrelease remap_file_pages",
    // processes and threads; clone and clone3 have rules of their own
    "execve execveat exit exit_group fork get_robust_list get_thread_area getcpu getpgid getpgrp \
     getpid getpriority getppid getrlimit getrusage getsid gettid membarrier pause pidfd_open \
     pidfd_send_signal prctl prlimit64 process_vm_readv process_vm_writev ptrace restart_syscall \
     rseq set_robust_list set_thread_area set_tid_address setpgid setpriority setrlimit setsid \
     times ugetrlimit uretprobe vfork wait4 waitid waitpid",
    // futexes
    "futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake",
    // signals
    "alarm kill rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn \
     rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack \
     sigprocmask sigreturn tgkill tkill",
    // scheduling
    "sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam \
     sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity \
     sched_setattr sched_setparam sched_setscheduler sched_yield",
    // users, groups, capabilities, and giving up rights
    "capget capset getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 \
     getresgid getresgid32 getresuid getresuid32 getuid getuid32 landlock_add_rule \
     landlock_create_ruleset landlock_restrict_self seccomp setfsgid setfsgid32 setfsuid \
     setfsuid32 setgid setgid32 setgroups setgroups32 setregid setregid32 setresgid setresgid32 \
     setresuid setresuid32 setreuid setreuid32 setuid setuid32",
    // clocks and timers; setting the clock itself needs CAP_SYS_TIME, which the kernel checks
    "adjtimex clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime \
     clock_gettime64 clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep \
     setitimer time timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 \
     timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 \
     timerfd_settime timerfd_settime64",
    // sockets; making one has rules of its own
    "accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg \
     recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketcall \
     socketpair",
    // System V and POSIX IPC
    "ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend \
     mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop \
     semtimedop_time64 shmat shmctl shmdt shmget",
    // the machine
    "getrandom sysinfo uname",
];

/// Only where the processor has them.
#[cfg(target_arch = "x86_64")]
const NATIVE: &str = "arch_prctl modify_ldt";
/// Only where the processor has them.
#[cfg(target_arch = "aarch64")]
const NATIVE: &str = "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls \
                      sync_file_range2";

/// Allowed, whatever the arguments, to who has the capability.
const BY_CAPABILITY: &[(Capability, &str)] = &[
    (Capability::DacReadSearch, "open_by_handle_at"),
    (
        Capability::SysAdmin,
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie \
         lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount \
         open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog \
         umount umount2 unshare",
    ),
    (Capability::SysBoot, "reboot"),
    (Capability::SysChroot, "chroot"),
    (
        Capability::SysModule,
        "delete_module finit_module init_module",
    ),
    (Capability::SysPacct, "acct"),
    (Capability::SysPtrace, "kcmp pidfd_getfd process_madvise"),
    (Capability::SysRawio, "ioperm iopl"),
    (
        Capability::SysTime,
        "clock_settime clock_settime64 settimeofday stime",
    ),
    (Capability::SysTtyConfig, "vhangup"),
    (
        Capability::SysNice,
        "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    ),
    (Capability::Syslog, "syslog"),
    (Capability::Bpf, "bpf"),
    (Capability::Perfmon, "perf_event_open"),
];

/// `CLONE_NEWNS|NEWCGROUP|NEWUTS|NEWIPC|NEWUSER|NEWPID|NEWNET` (linux/sched.h).
const CLONE_NAMESPACES: u64 = 0x7e02_0000;

/// personality(2): Linux, `UNAME26`, 32-bit, both, and asking.
const PERSONALITIES: [u64; 5] = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

const AF_ALG: u64 = 38;
/// Address families (linux/socket.h) from AF_ALG up that have no entry in a list of trouble:
/// NFC, KCM, QIPCRTR, SMC, XDP, MCTP. AF_ALG (38) and AF_VSOCK (40) are what is missing.
const LATE_FAMILIES: [u64; 6] = [39, 41, 42, 43, 44, 45];

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// The default profile for a container whose processes have at most `capabilities`.
pub fn default_profile(capabilities: Set) -> LinuxSeccomp {
    let mut always = names(&ALLOWED.join(" "));
    always.extend(names(NATIVE));
    let mut rules = vec![allow(always, Vec::new())];
    for (capability, list) in BY_CAPABILITY {
        if capabilities.contains(*capability) {
            rules.push(allow(names(list), Vec::new()));
        }
    }
    if !capabilities.contains(Capability::SysAdmin) {
        rules.push(allow(
            names("clone"),
            vec![argument(
                LinuxSeccompOperator::ScmpCmpMaskedEq,
                CLONE_NAMESPACES,
                Some(0),
            )],
        ));
        // Its flags are behind a pointer. ENOSYS makes a C library fall back to clone.
        rules.push(rule(
            names("clone3"),
            LinuxSeccompAction::ScmpActErrno,
            Some(ENOSYS),
            Vec::new(),
        ));
    }
    let equal = |value| vec![argument(LinuxSeccompOperator::ScmpCmpEq, value, None)];
    rules.extend(PERSONALITIES.map(|value| allow(names("personality"), equal(value))));
    let early = vec![argument(LinuxSeccompOperator::ScmpCmpLt, AF_ALG, None)];
    rules.push(allow(names("socket"), early));
    rules.extend(LATE_FAMILIES.map(|family| allow(names("socket"), equal(family))));
    LinuxSeccompBuilder::default()
        .default_action(LinuxSeccompAction::ScmpActErrno)
        .default_errno_ret(EPERM)
        .architectures(vec![Arch::ScmpArchNative])
        .syscalls(rules)
        .build()
        .expect("every field has a default")
}

fn names(list: &str) -> Vec<String> {
    list.split_ascii_whitespace().map(str::to_owned).collect()
}

fn allow(names: Vec<String>, arguments: Vec<LinuxSeccompArg>) -> LinuxSyscall {
    rule(names, LinuxSeccompAction::ScmpActAllow, None, arguments)
}

fn rule(
    names: Vec<String>,
    action: LinuxSeccompAction,
    errno: Option<u32>,
    arguments: Vec<LinuxSeccompArg>,
) -> LinuxSyscall {
    let mut builder = LinuxSyscallBuilder::default().names(names).action(action);
    if let Some(errno) = errno {
        builder = builder.errno_ret(errno);
    }
    if !arguments.is_empty() {
        builder = builder.args(arguments);
    }
    builder.build().expect("every field has a default")
}

/// On the first argument.
fn argument(op: LinuxSeccompOperator, value: u64, value_two: Option<u64>) -> LinuxSeccompArg {
    let builder = LinuxSeccompArgBuilder::default()
        .index(0usize)
        .op(op)
        .value(value);
    let builder = match value_two {
        Some(two) => builder.value_two(two),
        None => builder,
    };
    builder.build().expect("every field has a default")
}

//! The first process of the virtual machine: makes a usable system, runs a phase's checks, says
//! how they went on the console, and turns the machine off.
//!
//! Owns everything that happens inside. Never runs on the test machine.

use std::ffi::CStr;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::{Timespec, poll};
use rustix::mount::{MountFlags, mount, mount_move};
use rustix::process::{chdir, chroot};
use rustix::system::{RebootCommand, finit_module, reboot};

use super::END;

/// How long anything may take under emulation.
const SOON: Duration = Duration::from_secs(120);

/// Runs as `/init`; does not return.
pub fn main() -> ! {
    if let Err(error) = boot().and_then(|()| phase()) {
        println!("VM FAILED boot: {error:#}");
    }
    println!("{END}");
    let _ = reboot(RebootCommand::PowerOff);
    loop {
        pause();
    }
}

/// From the initramfs to the disk: pivot_root, which containers need, refuses an initramfs.
fn boot() -> Result<()> {
    mount_at("devtmpfs", "/dev", c"")?;
    mount_at("proc", "/proc", c"")?;
    let mut modules: Vec<_> = fs::read_dir("/modules")
        .context("list /modules")?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    modules.sort();
    for module in modules {
        let file = fs::File::open(&module).with_context(|| format!("open {}", module.display()))?;
        if let Err(error) = finit_module(file, c"", 0) {
            println!("load {}: {error}", module.display());
        }
    }
    wait("the disk", || Path::new("/dev/vda").exists())?;
    mount("/dev/vda", "/disk", "ext4", MountFlags::empty(), c"").context("mount the disk")?;
    mount_move("/dev", "/disk/dev").context("move /dev")?;
    mount_move("/proc", "/disk/proc").context("move /proc")?;
    chdir("/disk").context("enter the disk")?;
    mount_move("/disk", "/").context("make the disk the root")?;
    chroot(".").context("make the disk the root")?;
    chdir("/").context("enter the root")?;
    mount_at("sysfs", "/sys", c"")?;
    mount_at("cgroup2", "/sys/fs/cgroup", c"")?;
    mount_at("tmpfs", "/run", c"mode=755")?;
    mount_at("tmpfs", "/tmp", c"")?;
    busybox(&["ip", "link", "set", "lo", "up"])?;
    Ok(())
}

fn mount_at(kind: &str, at: &str, data: &CStr) -> Result<()> {
    mount(kind, at, kind, MountFlags::empty(), data)
        .with_context(|| format!("mount {kind} on {at}"))
}

fn phase() -> Result<()> {
    let words = fs::read_to_string("/proc/cmdline").context("read /proc/cmdline")?;
    let phase = words
        .split_whitespace()
        .find_map(|word| word.strip_prefix("weft.phase="))
        .unwrap_or_default();
    match phase {
        "limits" => limits(),
        "reboot" => after_reboot(),
        "cut" => after_cut(),
        other => bail!("no phase {other:?}"),
    }
    Ok(())
}

fn limits() {
    check("an image of a tree", || {
        busybox(&[
            "sh",
            "-c",
            "busybox tar -c -C /image . | weft import - busybox",
        ])?;
        expect(&["run", "--rm", "busybox", "echo", "hello"], 0, "hello")
    });
    check("memory is limited", || {
        expect(
            &[
                "run",
                "--rm",
                "--memory",
                "32m",
                "busybox",
                "cat",
                "/sys/fs/cgroup/memory.max",
            ],
            0,
            "33554432",
        )
    });
    check("what needs more memory is killed and told so", || {
        let eat = "head -c 200000000 /dev/zero | tail -c 200000000 > /dev/null";
        let args = [
            "run",
            "--name",
            "oom",
            "--memory",
            "32m",
            "--memory-swap",
            "32m",
            "busybox",
            "sh",
            "-c",
            &format!("exec tail -c 200000000 /dev/zero; {eat}"),
        ];
        weft(&args, 137)?;
        expect(
            &["inspect", "--format", "{{.State.OOMKilled}}", "oom"],
            0,
            "true",
        )?;
        weft(&["rm", "oom"], 0).map(drop)
    });
    check("processes are limited", || {
        let script = "cat /sys/fs/cgroup/pids.max; for i in $(seq 20); do sleep 5 & done 2>&1 | grep -c fork; true";
        let said = weft(
            &[
                "run",
                "--rm",
                "--pids-limit",
                "10",
                "busybox",
                "sh",
                "-c",
                script,
            ],
            0,
        )?;
        ensure!(said.starts_with("10\n") && !said.contains("\n0"), "{said}");
        Ok(())
    });
    check("processor time is limited", || {
        expect(
            &[
                "run",
                "--rm",
                "--cpus",
                "0.5",
                "busybox",
                "cat",
                "/sys/fs/cgroup/cpu.max",
            ],
            0,
            "50000 100000",
        )?;
        expect(
            &[
                "run",
                "--rm",
                "--cpuset-cpus",
                "1",
                "busybox",
                "cat",
                "/sys/fs/cgroup/cpuset.cpus.effective",
            ],
            0,
            "1",
        )?;
        let weight = weft(
            &[
                "run",
                "--rm",
                "--cpu-shares",
                "2048",
                "busybox",
                "cat",
                "/sys/fs/cgroup/cpu.weight",
            ],
            0,
        )?;
        ensure!(
            weight.parse::<u32>().is_ok_and(|weight| weight > 1),
            "{weight}"
        );
        Ok(())
    });
    check("disk throughput is limited", || {
        let said = weft(
            &[
                "run",
                "--rm",
                "--device-read-bps",
                "/dev/vda:1mb",
                "busybox",
                "cat",
                "/sys/fs/cgroup/io.max",
            ],
            0,
        )?;
        ensure!(said.contains("rbps=1048576"), "{said}");
        Ok(())
    });
    check("limits can be changed while it runs", || {
        weft(
            &[
                "run", "--detach", "--name", "one", "--memory", "64m", "busybox", "sleep", "3600",
            ],
            0,
        )?;
        weft(
            &["update", "--memory", "48m", "--memory-swap", "48m", "one"],
            0,
        )?;
        expect(
            &["exec", "one", "cat", "/sys/fs/cgroup/memory.max"],
            0,
            "50331648",
        )?;
        let stats = weft(&["stats", "--no-stream", "one"], 0)?;
        ensure!(stats.contains("48MiB"), "{stats}");
        weft(&["rm", "--force", "one"], 0).map(drop)
    });
    check("disks cannot be opened unless given", || {
        let flags = ["run", "--rm", "--userns", "host", "--cap-add", "MKNOD"];
        let read = [
            "busybox",
            "sh",
            "-c",
            "mknod /tmp/disk b 254 0 && head -c 4 /tmp/disk | wc -c",
        ];
        let kept = weft(&[&flags[..], &read].concat(), 0)?;
        ensure!(kept == "0", "the disk was read: {kept}");
        let given = [
            &flags[..],
            &["--device", "/dev/vda"],
            &["busybox", "sh", "-c", "head -c 4 /dev/vda | wc -c"],
        ]
        .concat();
        expect(&given, 0, "4")
    });
    check("a published port is reached", || {
        weft(
            &[
                "run",
                "--detach",
                "--name",
                "web",
                "--publish",
                "8080:8080",
                "busybox",
                "httpd",
                "-f",
                "-p",
                "8080",
                "-h",
                "/etc",
            ],
            0,
        )?;
        wait("the page", || {
            busybox(&["wget", "-qO-", "http://127.0.0.1:8080/passwd"])
                .is_ok_and(|page| page.contains("root"))
        })?;
        weft(&["rm", "--force", "web"], 0).map(drop)
    });
    check("what is removed leaves no cgroup", || {
        wait("empty", || {
            !fs::read_dir("/sys/fs/cgroup/weft")
                .into_iter()
                .flatten()
                .flatten()
                .any(|entry| entry.path().is_dir())
        })
    });
    check("containers for the next boot", leave_containers);
}

/// What the next boot looks for: one that comes back, one that does not.
fn leave_containers() -> Result<()> {
    weft(
        &[
            "run",
            "--detach",
            "--name",
            "back",
            "--restart",
            "always",
            "--volume",
            "kept:/data",
            "busybox",
            "sh",
            "-c",
            "echo x >> /data/starts; exec sleep 3600",
        ],
        0,
    )?;
    weft(
        &[
            "run", "--detach", "--name", "gone", "busybox", "sleep", "3600",
        ],
        0,
    )?;
    busybox(&["sync"]).map(drop)
}

/// After a boot nothing is believed to run, policies are followed, and data is there.
fn after_boot(starts: &str) {
    check("the one with a policy is back", || {
        weft(&["ps"], 0)?;
        wait("it runs", || {
            weft(&["inspect", "--format", "{{.State.Status}}", "back"], 0)
                .is_ok_and(|status| status == "running")
        })?;
        wait("its volume knows", || {
            weft(&["exec", "back", "cat", "/data/starts"], 0).is_ok_and(|said| said == starts)
        })
    });
    check("the one without is known to have ended", || {
        expect(
            &["inspect", "--format", "{{.State.Status}}", "gone"],
            0,
            "exited",
        )?;
        weft(&["start", "gone"], 0)?;
        weft(&["rm", "--force", "gone"], 0).map(drop)
    });
    check("images are whole", || {
        expect(&["run", "--rm", "busybox", "echo", "hello"], 0, "hello")
    });
}

fn after_reboot() {
    after_boot("x\nx");
    check("containers for the power cut", || {
        weft(
            &[
                "run", "--detach", "--name", "gone", "busybox", "sleep", "3600",
            ],
            0,
        )
        .map(drop)
    });
    // In the middle of work, the power goes: the harness kills the machine at this line.
    let mut busy = Command::new("/bin/busybox").args(["sh", "-c", "busybox tar -c -C /image . | weft import - half:1; while :; do weft run --rm busybox true; done"]).env("PATH", "/bin").spawn();
    pause();
    println!("VM CUT");
    if let Ok(child) = &mut busy {
        let _ = child.wait();
    }
}

fn after_cut() {
    after_boot("x\nx\nx");
    check("everything can be removed", || {
        let ids = weft(&["ps", "--all", "--quiet"], 0)?;
        let args: Vec<&str> = ["rm", "--force"].into_iter().chain(ids.lines()).collect();
        weft(&args, 0)?;
        expect(&["ps", "--all", "--quiet"], 0, "")?;
        weft(&["system", "prune", "--all", "--force"], 0)?;
        expect(&["images", "--quiet"], 0, "")
    });
}

fn check(name: &str, run: impl FnOnce() -> Result<()>) {
    match run() {
        Ok(()) => println!("VM ok {name}"),
        Err(error) => println!(
            "VM FAILED {name}: {}",
            format!("{error:#}").replace('\n', " | ")
        ),
    }
}

/// Runs weft, which must end with `code`, and returns what it printed.
fn weft(args: &[&str], code: i32) -> Result<String> {
    let output = Command::new("/bin/weft")
        .args(args)
        .env("PATH", "/bin")
        .output()
        .context("start weft")?;
    let said = String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned();
    if output.status.code() != Some(code) {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!(
            "weft {} ended with {}: {said} {why}",
            args.join(" "),
            output.status
        );
    }
    Ok(said)
}

fn expect(args: &[&str], code: i32, expected: &str) -> Result<()> {
    let said = weft(args, code)?;
    ensure!(
        said == expected,
        "weft {} said {said:?}, not {expected:?}",
        args.join(" ")
    );
    Ok(())
}

fn busybox(args: &[&str]) -> Result<String> {
    let output = Command::new("/bin/busybox")
        .args(args)
        .env("PATH", "/bin")
        .output()
        .context("start busybox")?;
    ensure!(
        output.status.success(),
        "busybox {}: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn wait(what: &str, condition: impl Fn() -> bool) -> Result<()> {
    let began = Instant::now();
    while !condition() {
        ensure!(
            began.elapsed() < SOON,
            "not within {} s: {what}",
            SOON.as_secs()
        );
        pause();
    }
    Ok(())
}

/// The machine has no event for what is waited for here, so it looks again.
fn pause() {
    let _ = poll(
        &mut [],
        Some(&Timespec {
            tv_sec: 0,
            tv_nsec: 100_000_000,
        }),
    );
}

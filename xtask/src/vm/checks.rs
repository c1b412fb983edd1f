//! The checks of each phase, run inside the virtual machine.
//! Owns what is tried and expected; how commands run and results are told is in `inside`.

use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};

use super::inside::{busybox, check, expect, pause, wait, weft};

/// The first boot: limits on a pure cgroup v2 machine, and containers for the next boot.
pub fn limits() {
    check("an image of a tree", image);
    check("memory is limited", memory);
    check(
        "what needs more memory is killed and told so",
        out_of_memory,
    );
    check("processes are limited", processes);
    check("processor time is limited", processor);
    check("disk throughput is limited", throughput);
    check("limits can be changed while it runs", update);
    check("disks cannot be opened unless given", devices);
    check("a published port is reached", port);
    check("what is removed leaves no cgroup", cgroups);
    check("containers for the next boot", leave_containers);
}

/// The second boot, after an orderly power-off; ends in a power cut.
pub fn after_reboot() {
    after_boot("x\nx");
    check("containers for the power cut", || {
        let args = [
            "run", "--detach", "--name", "gone", "busybox", "sleep", "3600",
        ];
        weft(&args, 0).map(drop)
    });
    // In the middle of work, the power goes: the harness kills the machine at this line.
    let work = "busybox tar -c -C /image . | weft import - half:1; while :; do weft run --rm busybox true; done";
    let busy = Command::new("/bin/busybox")
        .args(["sh", "-c", work])
        .env("PATH", "/bin")
        .spawn();
    for _ in 0..20 {
        pause();
    }
    println!("VM CUT");
    if let Ok(mut child) = busy {
        let _ = child.wait();
    }
}

/// The third boot, after the power cut.
pub fn after_cut() {
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

fn image() -> Result<()> {
    busybox(&[
        "sh",
        "-c",
        "busybox tar -c -C /image . | weft import - busybox",
    ])?;
    expect(&["run", "--rm", "busybox", "echo", "hello"], 0, "hello")
}

fn memory() -> Result<()> {
    let args = [
        "run",
        "--rm",
        "--memory",
        "32m",
        "busybox",
        "cat",
        "/sys/fs/cgroup/memory.max",
    ];
    expect(&args, 0, "33554432")
}

fn out_of_memory() -> Result<()> {
    // tail keeps what it might have to print: all of it.
    let limits = [
        "run",
        "--name",
        "oom",
        "--memory",
        "32m",
        "--memory-swap",
        "32m",
    ];
    weft(
        &[
            &limits[..],
            &["busybox", "tail", "-c", "200000000", "/dev/zero"],
        ]
        .concat(),
        137,
    )?;
    expect(
        &["inspect", "--format", "{{.State.OOMKilled}}", "oom"],
        0,
        "true",
    )?;
    weft(&["rm", "oom"], 0).map(drop)
}

fn processes() -> Result<()> {
    let script = "cat /sys/fs/cgroup/pids.max; for i in $(seq 20); do sleep 5 & done 2>&1 | grep -c fork; true";
    let args = [
        "run",
        "--rm",
        "--pids-limit",
        "10",
        "busybox",
        "sh",
        "-c",
        script,
    ];
    let said = weft(&args, 0)?;
    ensure!(said.starts_with("10\n") && !said.ends_with("\n0"), "{said}");
    Ok(())
}

fn processor() -> Result<()> {
    let shown = |flags: &[&str], file: &str| {
        let file = format!("/sys/fs/cgroup/{file}");
        weft(
            &[&["run", "--rm"][..], flags, &["busybox", "cat", &file]].concat(),
            0,
        )
    };
    let max = shown(&["--cpus", "0.5"], "cpu.max")?;
    ensure!(max == "50000 100000", "{max}");
    let set = shown(&["--cpuset-cpus", "1"], "cpuset.cpus.effective")?;
    ensure!(set == "1", "{set}");
    let weight = shown(&["--cpu-shares", "2048"], "cpu.weight")?;
    ensure!(
        weight.parse::<u32>().is_ok_and(|weight| weight > 1),
        "{weight}"
    );
    Ok(())
}

fn throughput() -> Result<()> {
    let limit = ["run", "--rm", "--device-read-bps", "/dev/vda:1mb"];
    let said = weft(
        &[&limit[..], &["busybox", "cat", "/sys/fs/cgroup/io.max"]].concat(),
        0,
    )?;
    ensure!(said.contains("rbps=1048576"), "{said}");
    Ok(())
}

fn update() -> Result<()> {
    let run = [
        "run", "--detach", "--name", "one", "--memory", "64m", "busybox", "sleep", "3600",
    ];
    weft(&run, 0)?;
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
}

fn devices() -> Result<()> {
    let flags = ["run", "--rm", "--userns", "host", "--cap-add", "MKNOD"];
    let number = fs::read_to_string("/sys/block/vda/dev")?;
    let (major, minor) = number.trim().split_once(':').unwrap_or_default();
    let script =
        format!("mknod /tmp/disk b {major} {minor} && head -c 4 /tmp/disk 2>/dev/null | wc -c");
    let read = weft(&[&flags[..], &["busybox", "sh", "-c", &script]].concat(), 0)?;
    ensure!(read == "0", "the disk was read: {read}");
    let given = [
        "--device",
        "/dev/vda",
        "busybox",
        "sh",
        "-c",
        "head -c 4 /dev/vda | wc -c",
    ];
    expect(&[&flags[..], &given].concat(), 0, "4")
}

fn port() -> Result<()> {
    let run = [
        "run",
        "--detach",
        "--name",
        "web",
        "--publish",
        "8080:8080",
        "busybox",
    ];
    weft(
        &[&run[..], &["httpd", "-f", "-p", "8080", "-h", "/etc"]].concat(),
        0,
    )?;
    let fetch = || busybox(&["wget", "-qO-", "http://127.0.0.1:8080/passwd"]);
    wait("the page", || {
        fetch().is_ok_and(|page| page.contains("root"))
    })?;
    weft(&["rm", "--force", "web"], 0).map(drop)
}

fn cgroups() -> Result<()> {
    let children = || {
        fs::read_dir("/sys/fs/cgroup/weft")
            .into_iter()
            .flatten()
            .flatten()
    };
    wait("no container's cgroup is left", || {
        !children().any(|entry| entry.path().is_dir() && entry.file_name().len() >= 32)
    })
}

/// What the next boot looks for: one that comes back, one that does not.
fn leave_containers() -> Result<()> {
    let back = [
        "run",
        "--detach",
        "--name",
        "back",
        "--restart",
        "always",
        "--volume",
        "kept:/data",
    ];
    let script = "echo x >> /data/starts; exec sleep 3600";
    weft(&[&back[..], &["busybox", "sh", "-c", script]].concat(), 0)?;
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
        let status = || weft(&["inspect", "--format", "{{.State.Status}}", "back"], 0);
        wait("it runs", || {
            status().is_ok_and(|status| status == "running")
        })?;
        let said = || weft(&["exec", "back", "cat", "/data/starts"], 0);
        wait("its volume knows", || {
            said().is_ok_and(|said| said == starts)
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

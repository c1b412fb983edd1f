//! `weft oci run` against crun and runc with the same container directory.
//! Owns the directory and a mount namespace in which /sys/fs/cgroup is a plain cgroup v2 tree:
//! crun refuses a hybrid machine.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use rustix::thread::CapabilitySet;

use super::image;
use super::stats::{Contender, race};

const ROUNDS: usize = 200;

/// Runs the phase.
pub fn run(weft: &Path, dir: &Path) -> Result<()> {
    plain_cgroup_tree()?;
    let rootfs = dir.join("bundle/rootfs");
    fs::create_dir_all(&rootfs).context("make the root filesystem")?;
    for part in ["proc", "dev", "sys"] {
        fs::create_dir_all(rootfs.join(part)).context("make the root filesystem")?;
    }
    let program = rootfs.join("true");
    fs::write(&program, image::exit_program()).context("write the program")?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
        .context("make it executable")?;

    let floor = program.clone();
    race(
        "the program itself, no container",
        ROUNDS,
        vec![Contender::new("spawn", move || Command::new(&floor))],
    )?;
    let bundle = dir.join("bundle").display().to_string();
    let preload = locked_memory_stub(dir)?;
    for (case, network) in [
        ("runtime, new network namespace", true),
        ("runtime, host's network", false),
    ] {
        fs::write(dir.join("bundle/config.json"), spec(network)).context("write config.json")?;
        race(
            case,
            ROUNDS,
            contenders(weft, dir, &bundle, preload.as_deref()),
        )?;
    }
    Ok(())
}

/// crun wants more locked memory for its device program, as kernels before 5.11 did, and gives up
/// on a machine that does not let it: there it is told that it got it.
fn locked_memory_stub(dir: &Path) -> Result<Option<PathBuf>> {
    let own = rustix::thread::capabilities(None).context("look at own capabilities")?;
    if own.effective.contains(CapabilitySet::SYS_RESOURCE) {
        return Ok(None);
    }
    let (source, library) = (dir.join("setrlimit.c"), dir.join("setrlimit.so"));
    let text = "int setrlimit(int r, const void *l) { (void)r; (void)l; return 0; }\n\
                int setrlimit64(int r, const void *l) { (void)r; (void)l; return 0; }\n";
    fs::write(&source, text).context("write a library")?;
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-nostdlib", "-o"])
        .arg(&library)
        .arg(&source);
    if !cc.status().context("start cc")?.success() {
        bail!("cc cannot make {}", library.display());
    }
    println!("crun's setrlimit always succeeds here: this machine forbids to raise limits\n");
    Ok(Some(library))
}

fn contenders(weft: &Path, dir: &Path, bundle: &str, preload: Option<&Path>) -> Vec<Contender> {
    let make = |name: &'static str, program: &Path, args: &[&str]| {
        let (program, bundle) = (program.to_path_buf(), bundle.to_owned());
        let state = dir.join(format!("run/{name}")).display().to_string();
        let preload = preload.filter(|_| name == "crun").map(Path::to_path_buf);
        let args: Vec<String> = args
            .iter()
            .map(|arg| arg.replace("STATE", &state))
            .collect();
        Contender::new(name, move || {
            let mut command = Command::new(&program);
            command
                .envs(preload.iter().map(|library| ("LD_PRELOAD", library)))
                .args(&args)
                .args(["run", "--bundle", &bundle, "bench"]);
            command
        })
    };
    vec![
        make("weft oci", weft, &["oci", "--root", "STATE"]),
        make("crun", Path::new("crun"), &["--root", "STATE"]),
        make(
            "crun, no cgroup",
            Path::new("crun"),
            &["--root", "STATE", "--cgroup-manager=disabled"],
        ),
        make("runc", Path::new("runc"), &["--root", "STATE"]),
    ]
}

/// Shows the v2 tree where a pure v2 machine has it; this mount namespace goes with the phase.
fn plain_cgroup_tree() -> Result<()> {
    let v2 = Path::new("/sys/fs/cgroup/unified");
    if !v2.is_dir() {
        return Ok(());
    }
    let bound = Command::new("mount")
        .arg("--bind")
        .arg(v2)
        .arg("/sys/fs/cgroup")
        .status()
        .context("start mount")?;
    if !bound.success() {
        bail!("/sys/fs/cgroup cannot be replaced in this mount namespace");
    }
    println!("/sys/fs/cgroup is this machine's v2 tree here\n");
    Ok(())
}

/// What `runc spec` writes, without resources and without a cgroup namespace.
fn spec(network: bool) -> String {
    let network = if network {
        ",{\"type\":\"network\"}"
    } else {
        ""
    };
    let capabilities = "[\"CAP_AUDIT_WRITE\",\"CAP_KILL\",\"CAP_NET_BIND_SERVICE\"]";
    let mount = |at: &str, kind: &str, options: &str| {
        format!(
            "{{\"destination\":\"{at}\",\"type\":\"{kind}\",\"source\":\"{kind}\",\"options\":[{options}]}}"
        )
    };
    let quiet = "\"nosuid\",\"noexec\",\"nodev\"";
    let mounts = [
        mount("/proc", "proc", ""),
        mount(
            "/dev",
            "tmpfs",
            "\"nosuid\",\"strictatime\",\"mode=755\",\"size=65536k\"",
        ),
        mount(
            "/dev/pts",
            "devpts",
            "\"nosuid\",\"noexec\",\"newinstance\",\"ptmxmode=0666\",\"mode=0620\",\"gid=5\"",
        ),
        mount(
            "/dev/shm",
            "tmpfs",
            "\"nosuid\",\"noexec\",\"nodev\",\"mode=1777\",\"size=65536k\"",
        ),
        mount("/dev/mqueue", "mqueue", quiet),
        mount("/sys", "sysfs", "\"nosuid\",\"noexec\",\"nodev\",\"ro\""),
    ];
    let masked = "\"/proc/acpi\",\"/proc/asound\",\"/proc/kcore\",\"/proc/keys\",\"/proc/latency_stats\",\"/proc/timer_list\",\"/proc/timer_stats\",\"/proc/sched_debug\",\"/sys/firmware\",\"/proc/scsi\"";
    let read_only =
        "\"/proc/bus\",\"/proc/fs\",\"/proc/irq\",\"/proc/sys\",\"/proc/sysrq-trigger\"";
    format!(
        "{{\"ociVersion\":\"1.0.2\",\"process\":{{\"terminal\":false,\"user\":{{\"uid\":0,\"gid\":0}},\"args\":[\"/true\"],\"env\":[\"PATH=/bin\"],\"cwd\":\"/\",\"capabilities\":{{\"bounding\":{capabilities},\"effective\":{capabilities},\"permitted\":{capabilities}}},\"noNewPrivileges\":true}},\"root\":{{\"path\":\"rootfs\",\"readonly\":true}},\"hostname\":\"bench\",\"mounts\":[{}],\"linux\":{{\"namespaces\":[{{\"type\":\"pid\"}},{{\"type\":\"ipc\"}},{{\"type\":\"uts\"}},{{\"type\":\"mount\"}}{network}],\"maskedPaths\":[{masked}],\"readonlyPaths\":[{read_only}]}}}}",
        mounts.join(",")
    )
}

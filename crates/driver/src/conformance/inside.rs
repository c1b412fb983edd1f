//! What processes in containers see: variables, mounts, each other.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use weft_api::assignment::Volume;

use super::containers::mounted;
use super::{Bed, STAYS};
use crate::{Driver, Source};

pub(super) async fn variables<D: Driver>(bed: &Bed<'_, D>) {
    let pod = bed.pod("variables");
    bed.driver.sandbox(&pod).await.expect("a sandbox");
    let mut asked = bed.asked(&pod, "one", "echo \"$GREETING|$EMPTY|$PATH\"; pwd");
    asked.container.cwd = Some("/tmp".to_owned());
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    asked.env = vec![pair("GREETING", "hello $X\nworld"), pair("EMPTY", "")];
    let id = bed.start(&asked).await;
    let said = bed.said(&pod, &id).await;
    assert!(said.starts_with("hello $X\nworld||/"), "{said}");
    assert!(said.ends_with("\n/tmp\n"), "{said}");
    bed.clear(&pod).await;
}

pub(super) async fn paths<D: Driver>(bed: &Bed<'_, D>) {
    let directory = bed.directory.join("paths");
    let below = directory.join("below");
    fs::create_dir_all(&below).expect("a directory");
    for path in [&directory, &below] {
        let everybody = fs::Permissions::from_mode(0o777);
        fs::set_permissions(path, everybody).expect("its mode");
    }
    fs::write(directory.join("given"), "given\n").expect("a file");
    let pod = bed.pod("paths");
    bed.driver.sandbox(&pod).await.expect("a sandbox");
    let script = "cat /all/given; echo a > /all/written; { echo b > /read/no; } 2>/dev/null || echo no; \
                  echo c > /part/below";
    let mut asked = bed.asked(&pod, "one", script);
    let path = || Source::Path(directory.clone());
    let mut read = mounted(path(), "/read");
    read.read_only = true;
    let mut part = mounted(path(), "/part");
    part.subpath = "below".to_owned();
    asked.mounts = vec![mounted(path(), "/all"), read, part];
    let id = bed.start(&asked).await;
    assert_eq!(bed.said(&pod, &id).await, "given\nno\n");
    let text = |path: &str| fs::read_to_string(directory.join(path)).unwrap_or_default();
    assert_eq!(text("written"), "a\n");
    assert_eq!(text("below/below"), "c\n");
    assert!(!directory.join("no").exists());
    bed.clear(&pod).await;
}

pub(super) async fn memory<D: Driver>(bed: &Bed<'_, D>) {
    let mut pod = bed.pod("memory");
    let volume = Volume::Empty {
        memory: true,
        size_limit: Some(1 << 20),
    };
    pod.volumes.insert("shared".to_owned(), volume);
    bed.driver.sandbox(&pod).await.expect("a sandbox");
    let source = || Source::Memory("shared".to_owned());
    let run = async |name: &str, attempt, script: &str| {
        let mut asked = bed.asked(&pod, name, script);
        asked.attempt = attempt;
        asked.mounts = vec![mounted(source(), "/shared")];
        let id = bed.start(&asked).await;
        bed.said(&pod, &id).await
    };
    run("one", 0, "echo here > /shared/file").await;
    let said = run(
        "other",
        0,
        "cat /shared/file; head -c 2000000 /dev/zero > /shared/much 2>/dev/null || echo full",
    );
    assert_eq!(said.await, "here\nfull\n");
    let stopped = bed.driver.stop_sandbox(&pod.id.uid).await;
    stopped.expect("nothing runs");
    bed.driver.sandbox(&pod).await.expect("a new one");
    assert_eq!(run("one", 1, "ls /shared").await, "");
    bed.clear(&pod).await;
}

pub(super) async fn volume<D: Driver>(bed: &Bed<'_, D>) {
    let run = async |name: &str, script: &str| {
        let pod = bed.pod(name);
        bed.driver.sandbox(&pod).await.expect("a sandbox");
        let mut asked = bed.asked(&pod, "one", script);
        asked.mounts = vec![mounted(Source::Volume("conformance-data".to_owned()), "/d")];
        let id = bed.start(&asked).await;
        let said = bed.said(&pod, &id).await;
        bed.clear(&pod).await;
        said
    };
    assert_eq!(run("first", "ls /d; echo kept > /d/file").await, "");
    assert_eq!(run("second", "cat /d/file").await, "kept\n");
    let discarded = bed.driver.discard("conformance-data").await;
    discarded.expect("nobody has it");
    assert_eq!(run("third", "ls /d").await, "", "it is a new one");
    let discarded = bed.driver.discard("conformance-data").await;
    discarded.expect("nobody has it");
}

pub(super) async fn shared<D: Driver>(bed: &Bed<'_, D>) {
    let mut pod = bed.pod("shared");
    pod.sandbox.hostname = "together".to_owned();
    let sandbox = bed.driver.sandbox(&pod).await.expect("a sandbox");
    let listens = "hostname; echo found | nc -l -p 7000; echo over";
    let one = bed.start(&bed.asked(&pod, "one", listens)).await;
    let asks = "until nc 127.0.0.1 7000 < /dev/null; do usleep 50000; done; hostname; hostname -i";
    let other = bed.start(&bed.asked(&pod, "other", asks)).await;
    let ip = sandbox.ip.expect("it has an address");
    assert_eq!(
        bed.said(&pod, &other).await,
        format!("found\ntogether\n{ip}\n")
    );
    assert_eq!(bed.said(&pod, &one).await, "together\nover\n");
    // Nobody else's.
    let (alone, id) = bed.one("alone", STAYS).await;
    let command = ["sh", "-c", "hostname"].map(str::to_owned);
    let answered = bed.driver.run(&id, &command, 30).await;
    assert_eq!(answered.expect("it is run"), (0, "alone\n".to_owned()));
    bed.clear(&alone).await;
    bed.clear(&pod).await;
}

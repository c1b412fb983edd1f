//! What is fed with damaged input, and the seeds it starts from.
//!
//! Owns one entry per reader of foreign bytes. An entry may return errors as it likes; it must not
//! panic, hang, or keep memory.

use std::io::BufReader;
use std::path::Path;

use weft_image::manifest::Document;
use weft_image::unpack::{Limits, unpack};
use weft_image::{Digest, ImageConfig, Platform, Reference};

/// One reader of foreign bytes.
pub struct Target {
    /// What it is called on the command line.
    pub name: &'static str,
    /// Feeds it.
    pub run: fn(&[u8]),
    /// Well-formed inputs to damage.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

const HERE: [Target; 21] = [
    Target {
        name: "reference",
        run: reference,
        seeds: reference_seeds,
    },
    Target {
        name: "manifest",
        run: manifest,
        seeds: manifest_seeds,
    },
    Target {
        name: "image-config",
        run: image_config,
        seeds: image_config_seeds,
    },
    Target {
        name: "unpack",
        run: unpack_layer,
        seeds: tar_seeds,
    },
    Target {
        name: "attach-frames",
        run: attach_frames,
        seeds: attach_seeds,
    },
    Target {
        name: "seccomp",
        run: seccomp,
        seeds: seccomp_seeds,
    },
    Target {
        name: "oci-spec",
        run: oci_spec,
        seeds: oci_seeds,
    },
    Target {
        name: "docker-requests",
        run: docker_requests,
        seeds: docker_seeds,
    },
    Target {
        name: "docker-addresses",
        run: docker_addresses,
        seeds: address_seeds,
    },
    Target {
        name: "log-line",
        run: log_line,
        seeds: log_seeds,
    },
    Target {
        name: "go-templates",
        run: weft_template::fuzz::objects,
        seeds: weft_template::fuzz::object_seeds,
    },
    Target {
        name: "file-templates",
        run: weft_template::fuzz::files,
        seeds: weft_template::fuzz::file_seeds,
    },
    Target {
        name: "jsonpath",
        run: weft_cli::fuzz::jsonpath,
        seeds: weft_cli::fuzz::jsonpath_seeds,
    },
    Target {
        name: "credentials",
        run: weft_cli::fuzz::credentials,
        seeds: weft_cli::fuzz::credential_seeds,
    },
    Target {
        name: "yaml-texts",
        run: weft_cli::fuzz::yaml_text,
        seeds: weft_cli::fuzz::yaml_seeds,
    },
    Target {
        name: "kustomizations",
        run: weft_cli::fuzz::kustomization,
        seeds: weft_cli::fuzz::kustomization_seeds,
    },
    Target {
        name: "compose-files",
        run: weft_cli::fuzz::compose_file,
        seeds: weft_cli::fuzz::compose_seeds,
    },
    Target {
        name: "keyspace-records",
        run: weft_keyspace::fuzz::records,
        seeds: weft_keyspace::fuzz::record_seeds,
    },
    Target {
        name: "keyspace-snapshot",
        run: weft_keyspace::fuzz::snapshot,
        seeds: weft_keyspace::fuzz::snapshot_seeds,
    },
    Target {
        name: "ledger",
        run: weft_agent::ledger::fuzz,
        seeds: weft_agent::ledger::fuzz_seeds,
    },
    Target {
        name: "parts",
        run: weft_stdx::parts::fuzz,
        seeds: weft_stdx::parts::fuzz_seeds,
    },
];

/// Every target; `cargo xtask test` runs them all.
pub fn all() -> impl Iterator<Item = &'static Target> {
    let others = crate::identity::TARGETS.iter();
    HERE.iter().chain(others).chain(&crate::kubernetes::TARGETS)
}

fn text(input: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(input)
}

fn owned(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn reference(input: &[u8]) {
    let text = text(input);
    if let Ok(reference) = Reference::parse(&text) {
        // What is read and written again is the same thing.
        let canonical = reference.canonical();
        assert_eq!(
            Reference::parse(&canonical)
                .map(|again| again.canonical())
                .ok(),
            Some(canonical)
        );
    }
    let _ = Digest::parse(&text);
    let _ = Platform::parse(&text);
}

fn reference_seeds() -> Vec<Vec<u8>> {
    owned(&[
        "busybox",
        "docker.io/library/busybox:latest",
        "[::1]:5000/a/b_c-d.e:T_1-2",
        "localhost:5000/x@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "linux/arm64/v8",
    ])
}

fn manifest(input: &[u8]) {
    for media_type in [
        "",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    ] {
        let _ = Document::parse(input, media_type);
    }
}

fn manifest_seeds() -> Vec<Vec<u8>> {
    owned(&[
        r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":7},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":32}],"annotations":{"a":"b"}}"#,
        r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":7,"platform":{"architecture":"arm64","os":"linux","variant":"v8"}}]}"#,
    ])
}

fn image_config(input: &[u8]) {
    if let Ok(config) = ImageConfig::parse(input) {
        let _ = config.platform();
        let _ = config.created_unix();
        assert!(
            ImageConfig::parse(&config.to_json()).is_ok(),
            "what was written can be read"
        );
    }
}

fn image_config_seeds() -> Vec<Vec<u8>> {
    owned(&[
        r#"{"architecture":"amd64","os":"linux","created":"2020-09-13T12:26:40.123456789Z","config":{"User":"1000:daemon","Env":["A=b"],"Cmd":["sh","-c","x"],"Entrypoint":["/e"],"WorkingDir":"/w","ExposedPorts":{"80/tcp":{},"53/udp":{}},"Volumes":{"/v":{}},"Labels":{"l":"m"},"StopSignal":"SIGQUIT","Healthcheck":{"Test":["CMD","x"],"Interval":1000000}},"rootfs":{"type":"layers","diff_ids":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]},"history":[{"created_by":"x","empty_layer":true}]}"#,
    ])
}

fn unpack_layer(input: &[u8]) {
    // In memory where there is such a place: thousands of trees are made and removed.
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() {
        memory.to_path_buf()
    } else {
        std::env::temp_dir()
    };
    let Ok(dir) = tempfile::Builder::new()
        .prefix("weft-fuzz-")
        .tempdir_in(base)
    else {
        return;
    };
    let root = dir.path().join("root");
    if std::fs::create_dir(&root).is_err() {
        return;
    }
    let limits = Limits {
        entries: 1000,
        bytes: 1 << 22,
        directories: 1000,
        ..Limits::default()
    };
    let _ = unpack(BufReader::new(input), &root, limits);
    let beside = std::fs::read_dir(dir.path())
        .map(Iterator::count)
        .unwrap_or_default();
    assert_eq!(beside, 1, "something was written beside the root");
}

/// A ustar archive with one of each kind of entry.
fn tar_seeds() -> Vec<Vec<u8>> {
    let entries: [(&str, u8, &str, &[u8]); 10] = [
        ("d/", b'5', "", b""),
        ("d/f", b'0', "", b"content of a file"),
        ("d/s", b'2', "f", b""),
        ("d/h", b'1', "d/f", b""),
        ("d/c", b'3', "", b""),
        ("d/p", b'6', "", b""),
        ("d/.wh.gone", b'0', "", b""),
        ("o/.wh..wh..opq", b'0', "", b""),
        (
            "pax",
            b'x',
            "",
            b"30 mtime=1600000000.123456789\n18 path=d/longer\n",
        ),
        ("../out", b'0', "", b"x"),
    ];
    let mut archive = Vec::new();
    for (name, kind, link, content) in entries {
        archive.extend_from_slice(&header(name, kind, link, content.len()));
        archive.extend_from_slice(content);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    vec![archive]
}

fn header(name: &str, kind: u8, link: &str, size: usize) -> [u8; 512] {
    let mut block = [0; 512];
    let mut put = |at: usize, value: &[u8]| block[at..at + value.len()].copy_from_slice(value);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, b"13727405400\0");
    put(148, b"        ");
    put(156, &[kind]);
    put(157, link.as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn attach_frames(input: &[u8]) {
    let read_size = usize::from(input.first().copied().unwrap_or(1)) * 64 + 1;
    weft_runtime::monitor::wire::fuzz(input, read_size);
}

fn attach_seeds() -> Vec<Vec<u8>> {
    let frame = |kind: u8, payload: &[u8]| {
        let length = u32::try_from(payload.len())
            .expect("seeds are short")
            .to_be_bytes();
        [&[kind][..], &length, payload].concat()
    };
    (0..8)
        .map(|kind| {
            [
                frame(kind, b"\0\x18\0\x50"),
                frame(kind, b""),
                frame(kind, &[b'x'; 300]),
            ]
            .concat()
        })
        .collect()
}

fn seccomp(input: &[u8]) {
    if let Ok(profile) = serde_json::from_slice::<oci_spec::runtime::LinuxSeccomp>(input) {
        let _ = weft_runtime::seccomp::compile(&profile);
    }
}

fn seccomp_seeds() -> Vec<Vec<u8>> {
    owned(&[
        r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":1,"architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86","SCMP_ARCH_X32"],"syscalls":[{"names":["read","write","exit_group"],"action":"SCMP_ACT_ALLOW"},{"names":["clone"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":2114060288,"valueTwo":0,"op":"SCMP_CMP_MASKED_EQ"}]},{"names":["clone3"],"action":"SCMP_ACT_ERRNO","errnoRet":38},{"names":["socket"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":40,"op":"SCMP_CMP_NE"}]}]}"#,
    ])
}

fn oci_spec(input: &[u8]) {
    let _ = serde_json::from_slice::<oci_spec::runtime::Spec>(input);
}

fn oci_seeds() -> Vec<Vec<u8>> {
    let spec = oci_spec::runtime::Spec::default();
    vec![serde_json::to_vec(&spec).expect("the default spec is JSON")]
}

fn docker_requests(input: &[u8]) {
    weft_dockerapi::fuzz::requests(input);
}

fn docker_addresses(input: &[u8]) {
    weft_dockerapi::fuzz::addresses(input);
}

fn address_seeds() -> Vec<Vec<u8>> {
    owned(&[
        "/v1.43/containers/json?all=1&limit=-1&filters=%7B%22label%22%3A%5B%22a%3Db%22%5D%7D",
        "/images/host:5000/a/b/json",
        "since=2020-01-01T00:00:00.5Z&until=1600000000.123&tail=all",
        "ctrl-p,ctrl-q,a,ctrl-[",
    ])
}

fn log_line(input: &[u8]) {
    weft_runtime::monitor::log::fuzz(input);
}

fn log_seeds() -> Vec<Vec<u8>> {
    owned(&[
        "2015-10-06T00:17:09.669794202Z stdout F a whole line",
        "2024-02-29T23:59:59.000000001Z stderr P part of one",
    ])
}

fn docker_seeds() -> Vec<Vec<u8>> {
    owned(&[
        r#"{"Image":"busybox","Cmd":["sh"],"Env":["A=b"],"Labels":{"a":"b"},"ExposedPorts":{"80/tcp":{}},"HostConfig":{"Binds":["/a:/b:ro"],"PortBindings":{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"8080"}]},"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":3},"Memory":67108864,"NanoCpus":500000000,"Ulimits":[{"Name":"nofile","Soft":1,"Hard":2}],"Mounts":[{"Type":"volume","Source":"v","Target":"/v"}],"Tmpfs":{"/t":"size=1m"}},"NetworkingConfig":{"EndpointsConfig":{"n":{"Aliases":["x"],"IPAMConfig":{"IPv4Address":"10.0.0.2"}}}}}"#,
        r#"{"AttachStdout":true,"Tty":true,"Cmd":["ls"],"Env":["A=b"],"User":"1000:1000","WorkingDir":"/x"}"#,
        r#"{"Name":"n","Driver":"bridge","Internal":true,"IPAM":{"Config":[{"Subnet":"10.0.0.0/24","Gateway":"10.0.0.1"}]},"Labels":{}}"#,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_takes_its_own_seeds() {
        for target in all() {
            for seed in (target.seeds)() {
                (target.run)(&seed);
            }
        }
    }
}

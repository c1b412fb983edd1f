//! Files that are replaced in one go, paths that stay below, and templates.
#![allow(clippy::unwrap_used)]

use super::*;

fn wanted(files: &[(&str, &str)]) -> Contents {
    let one = |(path, text): &(&str, &str)| {
        let content = Content {
            bytes: text.as_bytes().to_vec(),
            mode: 0o644,
            owner: None,
        };
        ((*path).to_owned(), content)
    };
    files.iter().map(one).collect()
}

fn seen(volume: &Path) -> Vec<(String, String)> {
    let mut names: Vec<_> = fs::read_dir(volume).unwrap().flatten().collect();
    names.retain(|entry| !entry.file_name().to_string_lossy().starts_with(".."));
    names.sort_by_key(fs::DirEntry::file_name);
    let read = |entry: &fs::DirEntry| {
        let text = fs::read_to_string(entry.path()).unwrap_or_else(|_| "directory".to_owned());
        (entry.file_name().into_string().unwrap(), text)
    };
    names.iter().map(read).collect()
}

#[test]
fn files_are_replaced_in_one_go_and_old_ones_go() {
    let directory = tempfile::tempdir().unwrap();
    let volume = directory.path().join("v");
    write_files(&volume, &wanted(&[("a", "1"), ("d/b", "2")]), None).unwrap();
    let first = fs::read_link(volume.join(NOW)).unwrap();
    assert_eq!(seen(&volume)[0], ("a".into(), "1".into()));
    assert_eq!(fs::read_to_string(volume.join("d/b")).unwrap(), "2");
    // The same again changes nothing.
    write_files(&volume, &wanted(&[("a", "1"), ("d/b", "2")]), None).unwrap();
    assert_eq!(fs::read_link(volume.join(NOW)).unwrap(), first);
    write_files(&volume, &wanted(&[("a", "3")]), None).unwrap();
    assert_eq!(seen(&volume), [("a".into(), "3".into())]);
    assert!(!volume.join(first).exists());
}

#[test]
fn paths_stay_below() {
    for path in ["", "/etc", "..", "a/../b", "../x", "a\0b"] {
        assert!(relative(path).is_err(), "{path:?}");
    }
    for path in ["a", "a/b", "..a"] {
        assert!(relative(path).is_ok(), "{path:?}");
    }
    let directory = tempfile::tempdir().unwrap();
    symlink("/etc", directory.path().join("link")).unwrap();
    assert!(make_part(directory.path(), "link/weft").is_err());
    assert!(!Path::new("/etc/weft").exists());
    make_part(directory.path(), "a/b").unwrap();
    assert!(directory.path().join("a/b").is_dir());
}

#[test]
fn a_file_that_becomes_another_is_told_before_it_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let of = Files::new(directory.path(), "u");
    let facts = Facts {
        pod_ip: None,
        host_ip: "10.0.0.1".parse().unwrap(),
        node: "n",
    };
    let pod = |text: &str| {
        let template = weft_api::assignment::Template {
            map: "m".to_owned(),
            key: "k".to_owned(),
            text: text.to_owned(),
            left: "{{".to_owned(),
            right: "}}".to_owned(),
            change: Change::Nothing,
            splay_ms: 0,
        };
        let file = File {
            value: FileValue::Template(Box::new(template)),
            mode: 0o644,
            owner: None,
        };
        let files = BTreeMap::from([("f".to_owned(), file)]);
        Pod {
            volumes: BTreeMap::from([("v".to_owned(), Volume::Files { files })]),
            ..Pod::default()
        }
    };
    let services = Services::default();
    let turn = |text: &str, expected: (usize, usize)| {
        let pod = pod(text);
        let prepared = of.prepare(&pod, &facts, Some(&services)).unwrap();
        let found = (prepared.changed.len(), prepared.broken.len());
        assert_eq!(found, expected, "{text}");
        of.write(&pod, &prepared.writes).unwrap();
        fs::read_to_string(of.volume("v").join("f")).unwrap_or_default()
    };
    // Nothing is known yet.
    assert!(
        of.prepare(&pod("a"), &facts, None)
            .unwrap()
            .writes
            .is_empty()
    );
    assert_eq!(turn("{{.no}}", (0, 1)), "");
    assert!(!of.has("v"));
    assert_eq!(turn("a", (0, 0)), "a");
    assert!(of.has("v"));
    assert_eq!(turn("a", (0, 0)), "a");
    assert_eq!(turn("{{.node.name}}", (1, 0)), "n");
    assert_eq!(turn("{{.no}}", (0, 1)), "n");

    of.keep_change("c", Some("1 2 waits restart")).unwrap();
    assert_eq!(of.changes()["c"], "1 2 waits restart");
    of.keep_change("c", None).unwrap();
    of.keep_change("c", None).unwrap();
    assert!(of.changes().is_empty());
}

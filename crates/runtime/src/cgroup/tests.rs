//! What `create` makes and undoes, on the machine's own tree. More, with processes in it, is in
//! `tests/it/policy.rs`.

use super::*;

struct Tree {
    hierarchy: Hierarchy,
    name: String,
}

impl Tree {
    fn new(test: &str) -> Tree {
        let hierarchy = Hierarchy::find().unwrap();
        Tree {
            hierarchy,
            name: format!("weft-unit-{}-{test}", std::process::id()),
        }
    }

    fn path(&self, rest: &str) -> String {
        format!("/{}{rest}", self.name)
    }

    fn is_there(&self, rest: &str) -> bool {
        self.hierarchy.open(&self.path(rest)).is_ok()
    }

    fn lacks(&self, controller: &str) -> bool {
        !self
            .hierarchy
            .controllers()
            .unwrap()
            .iter()
            .any(|it| it == controller)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        self.hierarchy.remove(&self.name).unwrap();
    }
}

fn resources(json: &str) -> LinuxResources {
    serde_json::from_str(json).unwrap()
}

#[test]
fn parents_are_made_and_removed_with_it() {
    let tree = Tree::new("parents");
    let cgroup = tree
        .hierarchy
        .create(&tree.path("/a/b"), &resources("{}"))
        .unwrap();
    assert_eq!(cgroup.path(), tree.path("/a/b"));
    assert!(!cgroup.events_populated().unwrap());
    assert!(!tree.hierarchy.remove_if_empty(&tree.path("/a")).unwrap());
    tree.hierarchy.remove(&tree.path("")).unwrap();
    assert!(!tree.is_there(""));
    tree.hierarchy.remove(&tree.path("")).unwrap();
    assert!(
        tree.hierarchy
            .remove_if_empty(&tree.path("/a/b/c"))
            .unwrap()
    );
}

#[test]
fn a_limit_without_its_controller_is_refused_and_leaves_nothing() {
    let tree = Tree::new("refused");
    if !tree.lacks("memory") {
        return;
    }
    let wanted = resources(r#"{"memory":{"limit":536870912}}"#);
    let error = tree
        .hierarchy
        .create(&tree.path("/a"), &wanted)
        .unwrap_err()
        .to_string();
    for part in [
        "memory.limit",
        "536870912",
        "memory controller",
        "cgroup.controllers lists: ",
    ] {
        assert!(error.contains(part), "{error}");
    }
    assert!(!tree.is_there(""));
}

#[test]
fn a_limit_that_is_the_default_needs_no_controller() {
    let tree = Tree::new("default");
    let wanted = resources(r#"{"memory":{"limit":-1},"pids":{"limit":0},"cpu":{"shares":1024}}"#);
    let cgroup = tree.hierarchy.create(&tree.path("/a"), &wanted).unwrap();
    cgroup.update(&wanted).unwrap();
}

#[test]
fn a_limit_is_written_and_changed() {
    let tree = Tree::new("written");
    if tree.lacks("hugetlb") {
        return;
    }
    let two = resources(r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4194304}]}"#);
    let cgroup = tree.hierarchy.create(&tree.path("/a"), &two).unwrap();
    assert_eq!(
        cgroup.directory.read("hugetlb.2MB.max").unwrap(),
        "4194304\n"
    );
    let lifted = resources(r#"{"hugepageLimits":[{"pageSize":"2MB","limit":-1}]}"#);
    cgroup.update(&lifted).unwrap();
    assert_eq!(cgroup.directory.read("hugetlb.2MB.max").unwrap(), "max\n");
    cgroup
        .update(&resources(r#"{"unified":{"hugetlb.2MB.max":"2097152"}}"#))
        .unwrap();
    assert_eq!(
        cgroup.directory.read("hugetlb.2MB.max").unwrap(),
        "2097152\n"
    );
}

#[test]
fn a_controller_is_enabled_when_a_later_update_needs_it() {
    let tree = Tree::new("later");
    if tree.lacks("hugetlb") {
        return;
    }
    let cgroup = tree
        .hierarchy
        .create(&tree.path("/a/b"), &resources("{}"))
        .unwrap();
    assert!(
        cgroup
            .directory
            .read_optional("hugetlb.2MB.max")
            .unwrap()
            .is_none()
    );
    cgroup
        .update(&resources(
            r#"{"hugepageLimits":[{"pageSize":"2MB","limit":0}]}"#,
        ))
        .unwrap();
    assert_eq!(cgroup.directory.read("hugetlb.2MB.max").unwrap(), "0\n");
}

#[test]
fn a_parent_with_processes_cannot_hand_controllers_down() {
    let tree = Tree::new("occupied");
    if tree.lacks("hugetlb") {
        return;
    }
    let parent = tree
        .hierarchy
        .create(&tree.path("/a"), &resources("{}"))
        .unwrap();
    let mut child = std::process::Command::new("/bin/cat")
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    parent.enter(child.id() as i32).unwrap();
    let pages = resources(r#"{"hugepageLimits":[{"pageSize":"2MB","limit":0}]}"#);
    let refused = tree.hierarchy.create(&tree.path("/a/b"), &pages);
    let nested = tree.hierarchy.create(&tree.path("/a/b"), &resources("{}"));
    parent.kill().unwrap();
    child.wait().unwrap();
    let error = refused.unwrap_err().to_string();
    assert!(
        error.contains("have hugetlb: it has processes of its own"),
        "{error}"
    );
    assert!(nested.is_ok(), "without controllers it may have both");
}

#[test]
fn a_file_the_kernel_lacks_is_named_and_nothing_is_left() {
    let tree = Tree::new("nofile");
    if tree.lacks("hugetlb") {
        return;
    }
    let odd = resources(r#"{"hugepageLimits":[{"pageSize":"3MB","limit":1}]}"#);
    let error = tree.hierarchy.create(&tree.path("/a"), &odd).unwrap_err();
    assert!(
        matches!(&error, CgroupError::NoFile { file, .. } if file.ends_with("a/hugetlb.3MB.max"))
    );
    let bad = resources(r#"{"unified":{"hugetlb.2MB.max":"many"}}"#);
    let error = tree.hierarchy.create(&tree.path("/a"), &bad).unwrap_err();
    assert!(matches!(error, CgroupError::Refused { .. }), "{error}");
    assert!(!tree.is_there(""));
}

#[test]
fn limits_of_an_earlier_life_are_not_inherited() {
    let tree = Tree::new("again");
    let first = resources(r#"{"unified":{"cgroup.max.depth":"3"}}"#);
    tree.hierarchy.create(&tree.path("/a"), &first).unwrap();
    let second = tree
        .hierarchy
        .create(&tree.path("/a"), &resources("{}"))
        .unwrap();
    assert_eq!(second.directory.read("cgroup.max.depth").unwrap(), "max\n");
}

#[test]
fn a_deep_and_wide_tree_is_removed() {
    let tree = Tree::new("deep");
    let cgroup = tree
        .hierarchy
        .create(&tree.path("/a"), &resources("{}"))
        .unwrap();
    let mut path = String::new();
    for depth in 0..100 {
        path = format!("{path}{}d{depth}", if path.is_empty() { "" } else { "/" });
        cgroup.directory.make(&path).unwrap();
        cgroup.directory.make(&format!("side{depth}")).unwrap();
    }
    assert!(cgroup.pids().unwrap().is_empty());
    cgroup.remove().unwrap();
    assert!(!tree.is_there("/a"));
}

#[test]
fn what_has_gone_says_so() {
    let tree = Tree::new("gone");
    let cgroup = tree
        .hierarchy
        .create(&tree.path("/a"), &resources("{}"))
        .unwrap();
    tree.hierarchy.remove(&tree.path("/a")).unwrap();
    cgroup.remove().unwrap();
    cgroup.wait_empty(Duration::from_secs(1)).unwrap();
    assert!(cgroup.pids().unwrap().is_empty());
    assert_eq!(cgroup.oom_kills().unwrap(), None);
    assert!(cgroup.stats().is_err());
    assert!(cgroup.kill().is_err());
}

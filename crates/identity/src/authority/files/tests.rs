//! An authority's directory, whole and damaged.

use super::*;

const NOW: i64 = 1_800_000_000;

fn made() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state/authority");
    Authority::create(&path, NOW).unwrap();
    (dir, path)
}

#[test]
fn it_is_private_whole_and_the_same_again() {
    let (dir, path) = made();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&path), 0o700);
    let mut names = Vec::new();
    for entry in fs::read_dir(&path).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(&entry.path()), 0o600);
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    let expected = ["accounts", "node", "root", "server", "user", "workload"];
    assert_eq!(names, expected.map(|name| format!("{name}.pem")));
    assert_eq!(fs::read_dir(dir.path().join("state")).unwrap().count(), 1);
    let first = Authority::open(&path).unwrap();
    let again = Authority::open_or_create(&path, NOW + 5).unwrap();
    assert_eq!(first.root_pem(), again.root_pem());
    let (_, root) = X509Certificate::from_der(first.root_der()).unwrap();
    let life = root.validity().not_after.timestamp() - NOW;
    assert_eq!(life, AUTHORITY_LIFE_S);
}

#[test]
fn an_empty_directory_is_a_first_start_and_another_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(
        Authority::open(dir.path()),
        Err(AuthorityError::Absent { .. })
    ));
    Authority::open_or_create(dir.path(), NOW).unwrap();
    assert!(matches!(
        Authority::create(dir.path(), NOW),
        Err(AuthorityError::Occupied(_))
    ));
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("mine"), "x").unwrap();
    fs::set_permissions(other.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let refused = Authority::open_or_create(other.path(), NOW).unwrap_err();
    assert!(matches!(refused, AuthorityError::Missing(_)), "{refused}");
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), 1);
}

#[test]
fn a_missing_file_is_named_and_nothing_is_made_anew() {
    for name in ["root", "server", "user", "node", "workload", "accounts"] {
        let (_dir, path) = made();
        let file = path.join(format!("{name}.pem"));
        fs::remove_file(&file).unwrap();
        let refused = Authority::open_or_create(&path, NOW).unwrap_err();
        assert!(refused.to_string().contains(&format!("{name}.pem")));
        assert!(matches!(refused, AuthorityError::Missing(_)), "{refused}");
        assert!(!file.exists());
    }
}

#[test]
fn damage_is_refused() {
    let damages: [fn(&str) -> String; 5] = [
        |_| String::new(),
        |text| text[..text.len() / 2].to_owned(),
        |text| text.replace("PRIVATE KEY", "PUBLIC KEY"),
        |text| text.replace("MI", "IM"),
        |text| text.replace("CERTIFICATE", "X509 CRL"),
    ];
    for damage in damages {
        let (_dir, path) = made();
        let file = path.join("user.pem");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, damage(&text)).unwrap();
        let refused = Authority::open_or_create(&path, NOW).unwrap_err();
        let damaged = matches!(refused, AuthorityError::Damaged { .. });
        assert!(damaged, "{refused}");
        assert_eq!(fs::read_to_string(&file).unwrap(), damage(&text));
    }
}

#[test]
fn files_of_two_authorities_do_not_mix() {
    let ((_a, first), (_b, second)) = (made(), made());
    fs::copy(second.join("node.pem"), first.join("node.pem")).unwrap();
    let refused = Authority::open(&first).unwrap_err().to_string();
    assert!(refused.contains("not signed by the root"), "{refused}");

    let (_c, third) = made();
    let user = fs::read_to_string(third.join("user.pem")).unwrap();
    let node = fs::read_to_string(third.join("node.pem")).unwrap();
    let at = |text: &str| text.find("-----BEGIN PRIVATE").unwrap();
    let mixed = format!("{}{}", &user[..at(&user)], &node[at(&node)..]);
    fs::write(third.join("user.pem"), mixed).unwrap();
    let refused = Authority::open(&third).unwrap_err().to_string();
    assert!(refused.contains("do not belong together"), "{refused}");
}

#[test]
fn keys_others_may_read_are_refused() {
    let (_dir, path) = made();
    let file = path.join("root.pem");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let refused = Authority::open(&path).unwrap_err();
    assert!(matches!(
        refused,
        AuthorityError::Exposed { mode: 0o640, .. }
    ));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let refused = Authority::open(&path).unwrap_err();
    assert!(matches!(
        refused,
        AuthorityError::Exposed { mode: 0o755, .. }
    ));
}

#[test]
fn what_a_crash_left_unfinished_is_no_authority() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("authority");
    let half = dir.path().join("authority.tmp-00112233");
    fs::create_dir(&half).unwrap();
    fs::write(half.join("root.pem"), "-----BEGIN CERT").unwrap();
    fs::write(dir.path().join("authority.mine"), "x").unwrap();
    let made = Authority::open_or_create(&path, NOW).unwrap();
    assert!(!half.exists());
    assert!(dir.path().join("authority.mine").exists());
    let again = Authority::open(&path).unwrap();
    assert_eq!(made.root_hash(), again.root_hash());
}

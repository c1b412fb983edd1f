//! Which user and groups a `user[:group]` means in a container: its own passwd and group files,
//! read by us, never by the C library (CVE-2019-14271). Pure.

use crate::error::{EngineError, ErrorCode, Result};

/// Numeric identity of a process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    pub uid: u32,
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Home directory, `/` when unknown.
    pub home: String,
}

/// The container's files, empty when it has none.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    pub passwd: Vec<u8>,
    pub group: Vec<u8>,
}

struct Passwd<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

/// Ids above this are no ids in Docker's grammar (CVE-2024-40635: 2^32 wrapped to root).
const ID_MAX: u32 = i32::MAX as u32;

/// Resolves `user` (`""` is root) and the extra `groups`.
///
/// # Errors
/// A name its files don't have, a number that is none.
pub(crate) fn resolve(user: &str, groups: &[String], accounts: &Accounts) -> Result<Identity> {
    let (user_part, group_part) = match user.split_once(':') {
        Some((u, g)) => (u, Some(g)),
        None => (user, None),
    };
    let mut identity = find_user(user_part, accounts)?;
    match group_part {
        // An explicit group takes the place of what the group file says, as Docker does.
        Some(group) if !group.is_empty() => {
            identity.gid = find_group(group, accounts)?;
            identity.groups.clear();
        }
        Some(_) => return Err(wrong(user, "the group after ':' is empty")),
        None => {}
    }
    // CVE-2022-36109: the primary group is among the supplementary ones, so that a program that
    // drops it does not gain what is denied to it.
    identity.groups.retain(|g| *g != identity.gid);
    identity.groups.insert(0, identity.gid);
    for group in groups {
        let gid = find_group(group, accounts)?;
        if !identity.groups.contains(&gid) {
            identity.groups.push(gid);
        }
    }
    Ok(identity)
}

fn wrong(user: &str, why: &str) -> EngineError {
    EngineError::new(
        ErrorCode::Invalid,
        format!("unable to use user '{user}': {why}"),
    )
}

fn find_user(text: &str, accounts: &Accounts) -> Result<Identity> {
    let wanted = if text.is_empty() { "0" } else { text };
    let number = parse_id(wanted, text)?;
    let entry = passwd(&accounts.passwd).find(|p| {
        if let Some(n) = number {
            p.uid == n
        } else {
            p.name == wanted
        }
    });
    match (entry, number) {
        (Some(p), _) => Ok(Identity {
            uid: p.uid,
            gid: p.gid,
            groups: group(&accounts.group)
                .filter(|g| g.members.split(',').any(|m| m == p.name))
                .map(|g| g.gid)
                .collect(),
            home: if p.home.is_empty() {
                "/".into()
            } else {
                p.home.into()
            },
        }),
        (None, Some(uid)) => Ok(Identity {
            uid,
            gid: 0,
            groups: Vec::new(),
            home: if uid == 0 { "/root" } else { "/" }.into(),
        }),
        (None, None) => Err(wrong(
            text,
            "no matching entry in the container's passwd file",
        )),
    }
}

fn find_group(text: &str, accounts: &Accounts) -> Result<u32> {
    if let Some(gid) = parse_id(text, text)? {
        return Ok(gid);
    }
    group(&accounts.group)
        .find(|g| g.name == text)
        .map(|g| g.gid)
        .ok_or_else(|| wrong(text, "no matching entry in the container's group file"))
}

/// `Some` when `text` is written as a number; a number out of range is an error, never a name.
fn parse_id(text: &str, shown: &str) -> Result<Option<u32>> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<u32>() {
        Ok(id) if id <= ID_MAX => Ok(Some(id)),
        _ => Err(wrong(shown, "ids go from 0 to 2147483647")),
    }
}

fn lines(file: &[u8]) -> impl Iterator<Item = &str> {
    file.split(|b| *b == b'\n')
        .filter_map(|l| std::str::from_utf8(l).ok())
}

fn passwd(file: &[u8]) -> impl Iterator<Item = Passwd<'_>> {
    lines(file).filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|n| !n.is_empty())?;
        let _password = fields.next()?;
        let uid = fields.next()?.parse().ok().filter(|u| *u <= ID_MAX)?;
        let gid = fields.next()?.parse().ok().filter(|g| *g <= ID_MAX)?;
        let _comment = fields.next();
        Some(Passwd {
            name,
            uid,
            gid,
            home: fields.next().unwrap_or_default(),
        })
    })
}

fn group(file: &[u8]) -> impl Iterator<Item = Group<'_>> {
    lines(file).filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|n| !n.is_empty())?;
        let _password = fields.next()?;
        let gid = fields.next()?.parse().ok().filter(|g| *g <= ID_MAX)?;
        Some(Group {
            name,
            gid,
            members: fields.next().unwrap_or_default().trim_end(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        Accounts {
            passwd: b"root:x:0:0:root:/root:/bin/sh\nwww:x:33:34::/var/www:\n1000:x:7:7::/seven:\nbad:x:-1:0::/:\nbig:x:4294967296:0::/:\n".to_vec(),
            group: b"root:x:0:\nweb:x:34:\naudio:x:29:www,root\n\nvideo:x:44:www\n".to_vec(),
        }
    }

    #[track_caller]
    fn check(user: &str, groups: &[&str], expect: Option<(u32, u32, &[u32])>) {
        let groups: Vec<String> = groups.iter().map(|g| (*g).to_owned()).collect();
        let got = resolve(user, &groups, &accounts())
            .ok()
            .map(|i| (i.uid, i.gid, i.groups));
        assert_eq!(got, expect.map(|(u, g, gs)| (u, g, gs.to_vec())), "{user}");
    }

    #[test]
    fn names_and_numbers() {
        check("", &[], Some((0, 0, &[0, 29])));
        check("www", &[], Some((33, 34, &[34, 29, 44])));
        check("33", &[], Some((33, 34, &[34, 29, 44])));
        check("www:0", &[], Some((33, 0, &[0])));
        check("5:web", &["audio", "9"], Some((5, 34, &[34, 29, 9])));
        check("4242", &[], Some((4242, 0, &[0])));
        // A number is never taken for a name (CVE-2016-3697).
        check("1000", &[], Some((1000, 0, &[0])));
    }

    #[test]
    fn what_is_no_user_is_an_error_never_root() {
        for user in [
            "nobody",
            "4294967296",
            "2147483648",
            "-1",
            "0x0",
            "www:",
            "www:nogroup",
            "bad",
            "big",
            "www:-1",
            " root",
        ] {
            check(user, &[], None);
        }
    }
}

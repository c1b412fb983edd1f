//! The socket of the Docker API: who may use it is root on this machine.
//!
//! With a group `weft` its members may too: the directory lets them through, the socket is 0660.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::Path;

use anyhow::{Context, Result};
use tokio::net::UnixListener;

const GROUP: &str = "weft";

/// Makes the run directory: 0700, or 0710 for the group's members to reach the socket.
pub(crate) fn make_run_dir(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("make {}", path.display()))?;
    let group = group_id(&fs::read_to_string("/etc/group").unwrap_or_default());
    if group.is_some() {
        chown(path, None, group)
            .with_context(|| format!("give {} to group {GROUP}", path.display()))?;
    }
    let mode = if group.is_some() { 0o710 } else { 0o700 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("set the mode of {}", path.display()))
}

/// Binds the socket. One that is there belongs to a daemon that is gone: the directory is locked.
pub(crate) fn bind(path: &Path) -> Result<UnixListener> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(e).with_context(|| format!("remove the old socket {}", path.display()));
        }
        _ => {}
    }
    let tried = || format!("listen on {}", path.display());
    let listener = UnixListener::bind(path).with_context(tried)?;
    let group = group_id(&fs::read_to_string("/etc/group").unwrap_or_default());
    chown(path, Some(0), group.or(Some(0))).with_context(tried)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660)).with_context(tried)?;
    Ok(listener)
}

fn group_id(file: &str) -> Option<u32> {
    file.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(GROUP))
            .then(|| fields.nth(1)?.parse().ok())
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_found_where_it_exists() {
        assert_eq!(group_id("root:x:0:\nweft:x:998:me\n"), Some(998));
        assert_eq!(group_id("root:x:0:\nwefts:x:998:\n"), None);
        assert_eq!(group_id("weft:x:\n"), None);
    }
}

//! The name an engine has in kernel objects: bridges, nftables, control groups.

use std::path::Path;

const DEFAULT_DATA_DIR: &str = "/var/lib/weft";

/// `weft` for the engine at the usual place, else `weft-` and six hex digits of its data directory,
/// so that engines on one machine never meet.
pub fn name(data_dir: &Path) -> String {
    if data_dir == Path::new(DEFAULT_DATA_DIR) {
        return "weft".to_owned();
    }
    // FNV-1a: stable across versions, which std's hasher does not promise.
    let hash = data_dir
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
            (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("weft-{:06x}", hash & 0xff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_stable_and_differ() {
        assert_eq!(name(Path::new("/var/lib/weft")), "weft");
        let other = name(Path::new("/tmp/a"));
        assert_eq!(other, name(Path::new("/tmp/a")));
        assert_eq!(other.len(), 11);
        assert_ne!(other, name(Path::new("/tmp/b")));
    }
}

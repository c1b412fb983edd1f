//! The time of day and of this boot. The only place that reads them.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970 (0 before it).
pub fn unix_ns() -> i64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX)
}

/// Seconds since 1970.
pub fn unix_s() -> i64 {
    unix_ns().div_euclid(1_000_000_000)
}

/// Identifies this boot of the machine: what was recorded under another one no longer runs.
pub fn boot_id() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .map(|s| s.trim().to_owned())
            .unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_boot_has_one_id() {
        assert_eq!(super::boot_id().len(), 36);
        assert!(super::unix_ns() > 1_700_000_000_000_000_000);
        assert!(super::unix_s() > 1_700_000_000);
    }
}

//! How often strangers may try, by where they come from.
//!
//! Owns: a bound on tries and a bound on what is remembered of those who try.
//! Never: looks at who somebody is: whoever has proven that is not counted.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Tries that may come at once.
const BURST: u32 = 10;
/// Time for one more.
const STEP: Duration = Duration::from_secs(1);
/// Sources that are remembered; who comes when there are more shares one count.
const SOURCES: usize = 4096;
const ALL_OTHERS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Counts tries.
#[derive(Debug, Default)]
pub struct Limiter {
    /// When each source has nothing counted against it any more.
    clear: Mutex<HashMap<IpAddr, Instant>>,
}

impl Limiter {
    /// Whether somebody from there may try now; it counts as a try if so.
    pub(crate) fn allows(&self, source: IpAddr, now: Instant) -> bool {
        let mut clear = self.clear.lock().unwrap_or_else(PoisonError::into_inner);
        let mut source = network(source);
        if !clear.contains_key(&source) && clear.len() >= SOURCES {
            clear.retain(|_, at| *at > now);
            if clear.len() >= SOURCES {
                source = ALL_OTHERS;
            }
        }
        let at = clear.entry(source).or_insert(now);
        let next = (*at).max(now) + STEP;
        let may = next <= now + STEP * BURST;
        if may {
            *at = next;
        }
        may
    }
}

/// Whoever has an address of IPv6 has the 2^64 beside it.
fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_source_has_its_tries_and_gets_new_ones() {
        let (limiter, now) = (Limiter::default(), Instant::now());
        let tries = |from: &str, at| {
            let from = source(from);
            (0..100).filter(|_| limiter.allows(from, at)).count()
        };
        assert_eq!(tries("10.0.0.1", now), 10);
        assert_eq!(tries("10.0.0.2", now), 10);
        assert_eq!(tries("::ffff:10.0.0.2", now), 0);
        assert_eq!(tries("10.0.0.1", now + STEP * 3), 3);
        assert_eq!(tries("10.0.0.1", now + STEP * 1000), 10);
        assert_eq!(tries("fd00::1", now), 10);
        assert_eq!(tries("fd00::ffff:0:0:2", now), 0);
        assert_eq!(tries("fd00:0:0:1::1", now), 10);
    }

    #[test]
    fn many_sources_are_as_one() {
        let (limiter, now) = (Limiter::default(), Instant::now());
        let from = |number: u32| IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number));
        let count = SOURCES as u32 + 100;
        let let_in = (0..count).filter(|n| limiter.allows(from(*n), now)).count();
        assert_eq!(let_in, SOURCES + BURST as usize);
        assert!(limiter.clear.lock().unwrap().len() <= SOURCES + 1);
        // Who has nothing counted against it is forgotten.
        let later = now + STEP * 100;
        assert!((0..BURST).all(|_| limiter.allows(from(count), later)));
        assert!(limiter.clear.lock().unwrap().len() <= 2);
    }
}

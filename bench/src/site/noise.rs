//! How quiet this host is: a thread that does nothing but look at the clock, and how often it was away.

use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An absence counts from here on.
const GAP: Duration = Duration::from_micros(10);

/// What one look found.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Noise {
    /// How long it looked, in nanoseconds.
    pub spun_ns: u64,
    /// Absences of more than 10 µs.
    pub gaps: u64,
    /// The longest, in nanoseconds.
    pub longest_ns: u64,
    /// All of them together, in nanoseconds.
    pub lost_ns: u64,
}

impl Noise {
    /// Looks for so long.
    #[must_use]
    pub fn listen(duration: Duration) -> Self {
        let mut noise = Self::default();
        let began = Instant::now();
        let mut last = began;
        loop {
            let now = Instant::now();
            noise.count(now - last);
            last = now;
            let spun = now - began;
            if spun >= duration {
                noise.spun_ns = nanoseconds(spun);
                return noise;
            }
        }
    }

    fn count(&mut self, absence: Duration) {
        if absence > GAP {
            self.gaps += 1;
            self.longest_ns = self.longest_ns.max(nanoseconds(absence));
            self.lost_ns += nanoseconds(absence);
        }
    }

    /// The share of the time it was away.
    #[must_use]
    pub fn lost(&self) -> f64 {
        crate::figure::unit::ratio(
            crate::figure::unit::float(self.lost_ns),
            crate::figure::unit::float(self.spun_ns),
        )
    }
}

pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_absences_count() {
        let mut noise = Noise::default();
        for micros in [1, 9, 50, 20] {
            noise.count(Duration::from_micros(micros));
        }
        assert_eq!((noise.gaps, noise.longest_ns, noise.lost_ns), (2, 50_000, 70_000));
    }

    #[test]
    fn it_looks_as_long_as_it_is_told() {
        let noise = Noise::listen(Duration::from_millis(5));
        assert!(noise.spun_ns >= 5_000_000 && noise.lost() <= 1.0);
    }
}

//! What numbers are in. Inside, everything is ticks of the time stamp counter; a [`Clock`] turns them into a
//! [`Unit`] on the way out, and no other file prints a unit.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a figure in a result file or a table counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub enum Unit {
    /// Nanoseconds.
    #[default]
    #[serde(rename = "ns")]
    Nanoseconds,
}

impl Unit {
    /// The unit as it stands in result files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nanoseconds => "ns",
        }
    }

    /// A figure for people: three significant digits and a unit of the right size.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        let (size, unit) = self.size(value);
        format!("{} {unit}", digits(value / size))
    }

    /// A difference with its interval, all in one size: `-19.9 [-22.8, -17.2] µs`.
    #[must_use]
    pub fn show_interval(self, mean: f64, low: f64, high: f64) -> String {
        let largest = mean.abs().max(low.abs()).max(high.abs());
        let (size, unit) = self.size(largest);
        let decimals = match largest / size {
            v if v >= 99.95 => 0,
            v if v >= 9.995 => 1,
            _ => 2,
        };
        let [mean, low, high] = [mean, low, high].map(|value| format!("{:+.decimals$}", value / size));
        format!("{mean} [{low}, {high}] {unit}")
    }

    /// What to divide by, and what to call the result.
    fn size(self, value: f64) -> (f64, &'static str) {
        match self {
            Self::Nanoseconds => match value.abs() {
                ns if ns < 999.5 => (1.0, "ns"),
                ns if ns < 999.5e3 => (1e3, "µs"),
                ns if ns < 999.5e6 => (1e6, "ms"),
                _ => (1e9, "s"),
            },
        }
    }

    /// [`Unit::show`] with its sign, for differences.
    #[must_use]
    pub fn show_change(self, value: f64) -> String {
        if value > 0.0 { format!("+{}", self.show(value)) } else { self.show(value) }
    }
}

/// Three significant digits, at most two behind the point.
fn digits(value: f64) -> String {
    match value.abs() {
        v if v >= 99.95 => format!("{value:.0}"),
        v if v >= 9.995 => format!("{value:.1}"),
        v if v > 0.0 => format!("{value:.2}"),
        _ => "0".to_owned(),
    }
}

/// What a tick is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Clock {
    /// Frequency of the time stamp counter in kHz.
    pub tsc_khz: u32,
}

impl Clock {
    /// So many ticks in nanoseconds.
    #[must_use]
    pub fn ns(self, ticks: f64) -> f64 {
        ticks * 1e6 / f64::from(self.tsc_khz.max(1))
    }
}

/// A share as people read it.
#[must_use]
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent.abs() >= 99.95 || percent == 0.0 {
        format!("{percent:.0} %")
    } else {
        format!("{percent:.1} %")
    }
}

/// A change as people read it: to a hundredth of a per cent, because instructions are counted exactly.
#[must_use]
pub fn signed_percent(share: f64) -> String {
    format!("{:+.2} %", share * 100.0)
}

/// A count as a number to calculate with. Counts of a run stay far below 2^52.
#[must_use]
pub fn float(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts and ticks of a run stay far below 2^52")]
    {
        count as f64
    }
}

/// `part` of `whole`; 0 of nothing.
#[must_use]
pub fn ratio(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        let show = |ns| Unit::Nanoseconds.show(ns);
        assert_eq!(show(0.0), "0 ns");
        assert_eq!(show(850.4), "850 ns");
        assert_eq!(show(999.9), "1.00 µs");
        assert_eq!(show(23_140.0), "23.1 µs");
        assert_eq!(show(-1_500_000.0), "-1.50 ms");
        assert_eq!(Unit::Nanoseconds.show_change(2_000.0), "+2.00 µs");
        let interval = |mean, low, high| Unit::Nanoseconds.show_interval(mean, low, high);
        assert_eq!(interval(-19_900.0, -22_800.0, -17_200.0), "-19.9 [-22.8, -17.2] µs");
        assert_eq!(interval(0.0, -0.4, 900.0), "+0 [-0, +900] ns");
    }

    #[test]
    fn a_tick_of_two_gigahertz_is_half_a_nanosecond() {
        let clock = Clock { tsc_khz: 2_000_000 };
        assert!((clock.ns(1000.0) - 500.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_of_nothing_is_nothing() {
        assert!(ratio(0.0, 0.0).abs() < 1e-12);
        assert_eq!([percent(0.0), percent(0.034), percent(1.0)], ["0 %", "3.4 %", "100 %"]);
    }
}

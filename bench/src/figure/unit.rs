//! What numbers are in. Inside, everything is ticks of the time stamp counter; a [`Clock`] turns them into a
//! [`Unit`] on the way out, and no other file prints a unit.

use std::fmt;

use host::kvm::Counter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a figure in a result file or a table counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub enum Unit {
    /// Nanoseconds.
    #[serde(rename = "ns")]
    Nanoseconds,
    /// Executed instructions: those of guest, KVM, kernel and user space together.
    #[serde(rename = "instructions")]
    Instructions,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Unit {
    /// The unit as it stands in result files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nanoseconds => "ns",
            Self::Instructions => "instructions",
        }
    }

    /// What a thousand million of it are called: what rates are over.
    #[must_use]
    pub const fn billion(self) -> &'static str {
        match self {
            Self::Nanoseconds => "second",
            Self::Instructions => "10^9 instructions",
        }
    }

    /// A figure for people, in a unit of the right size. A time has three significant digits. Instructions
    /// repeat one by one: below 100 000 they are whole, above they have four digits.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        let (size, unit) = self.size(value);
        let decimals = match self {
            Self::Instructions if value.fract() == 0.0 && size == 1.0 => 0,
            Self::Nanoseconds if value == 0.0 => 0,
            _ => self.decimals(value / size, size),
        };
        format!("{:.decimals$} {unit}", value / size)
    }

    /// A difference with its interval, all in one size: `-19.9 [-22.8, -17.2] µs`.
    #[must_use]
    pub fn show_interval(self, mean: f64, low: f64, high: f64) -> String {
        let largest = mean.abs().max(low.abs()).max(high.abs());
        let (size, unit) = self.size(largest);
        let decimals = self.decimals(largest / size, size);
        let [mean, low, high] = [mean, low, high].map(|value| format!("{:+.decimals$}", value / size));
        format!("{mean} [{low}, {high}] {unit}")
    }

    /// A round number beside an axis, without digits that say nothing, in the size of `largest`.
    #[must_use]
    pub fn mark(self, value: f64, largest: f64) -> String {
        let (size, unit) = self.size(largest);
        let text = format!("{:.4}", value / size);
        format!("{} {unit}", text.trim_end_matches('0').trim_end_matches('.'))
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
            Self::Instructions => match value.abs() {
                count if count < 99_999.5 => (1.0, "instr"),
                count if count < 999.95e3 => (1e3, "k instr"),
                count if count < 999.95e6 => (1e6, "M instr"),
                _ => (1e9, "G instr"),
            },
        }
    }

    /// Decimals of a figure in this size: those of three significant digits, and of four where thousands of
    /// instructions and more are counted.
    fn decimals(self, value: f64, size: f64) -> usize {
        let decimals = match value.abs() {
            v if v >= 99.95 => 0,
            v if v >= 9.995 => 1,
            _ => 2,
        };
        decimals + usize::from(self == Self::Instructions && size > 1.0)
    }

    /// [`Unit::show`] with its sign, for differences.
    #[must_use]
    pub fn show_change(self, value: f64) -> String {
        if value > 0.0 { format!("+{}", self.show(value)) } else { self.show(value) }
    }
}

/// What a tick of the time stamp counter is worth. In files it is two fields: `unit` and, for time, `tsc_khz`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "unit")]
pub enum Clock {
    /// Figures are nanoseconds.
    #[serde(rename = "ns")]
    Time {
        /// Frequency of the time stamp counter in kHz, as KVM states it.
        tsc_khz: u32,
    },
    /// Figures are executed instructions, one a tick; no clock tells the time there.
    #[serde(rename = "instructions")]
    Instructions,
}

impl Clock {
    /// Of a counter, and the frequency KVM states for it.
    #[must_use]
    pub const fn of(counter: Counter, tsc_khz: u32) -> Self {
        match counter {
            Counter::Time => Self::Time { tsc_khz },
            Counter::Instructions => Self::Instructions,
        }
    }

    /// What its figures are in.
    #[must_use]
    pub const fn unit(self) -> Unit {
        match self {
            Self::Time { .. } => Unit::Nanoseconds,
            Self::Instructions => Unit::Instructions,
        }
    }

    /// Whether it tells the time.
    #[must_use]
    pub const fn tells_time(self) -> bool {
        matches!(self, Self::Time { .. })
    }

    /// So many ticks in its unit.
    #[must_use]
    pub fn figure(self, ticks: f64) -> f64 {
        match self {
            Self::Time { tsc_khz } => ticks * 1e6 / f64::from(tsc_khz.max(1)),
            Self::Instructions => ticks,
        }
    }

    /// So much of its unit in ticks.
    #[must_use]
    pub fn ticks(self, figure: f64) -> f64 {
        figure / self.figure(1.0)
    }

    /// So many ticks for people.
    #[must_use]
    pub fn show(self, ticks: f64) -> String {
        self.unit().show(self.figure(ticks))
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

/// Counts together. They may be a guest's, which can claim anything: the sum stays at the largest number.
#[must_use]
pub fn total(counts: impl IntoIterator<Item = u64>) -> u64 {
    counts.into_iter().fold(0, u64::saturating_add)
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
    fn times_are_short() {
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
    fn instructions_keep_their_digits() {
        let show = |count| Unit::Instructions.show(count);
        assert_eq!([show(0.0), show(1.0), show(4873.0)], ["0 instr", "1 instr", "4873 instr"]);
        assert_eq!([show(99_999.4), show(99_999.6)], ["99999 instr", "100.0 k instr"]);
        assert_eq!([show(159_420.0), show(21_304_000.0)], ["159.4 k instr", "21.30 M instr"]);
        assert_eq!([show(-1_234_567.0), show(2.5e9)], ["-1.235 M instr", "2.500 G instr"]);
        assert_eq!([show(152.28), show(98.28), show(-0.3)], ["152 instr", "98.3 instr", "-0.30 instr"]);
        assert_eq!(Unit::Instructions.show_change(12.0), "+12 instr");
        let interval = |mean, low, high| Unit::Instructions.show_interval(mean, low, high);
        assert_eq!(interval(-4873.0, -4900.0, -4850.4), "-4873 [-4900, -4850] instr");
        assert_eq!(interval(12.34, 12.0, 12.5), "+12.3 [+12.0, +12.5] instr");
        assert_eq!(interval(159_420.0, 4_000.0, 160_000.0), "+159.4 [+4.0, +160.0] k instr");
    }

    #[test]
    fn no_count_is_shown_as_a_time() {
        for exponent in 0..12 {
            let shown = Clock::Instructions.show(1.37 * 10_f64.powi(exponent));
            assert!(shown.ends_with(" instr"), "{shown}");
        }
    }

    #[test]
    fn a_tick_of_two_gigahertz_is_half_a_nanosecond_and_one_of_an_emulator_is_one_instruction() {
        let clock = Clock::of(Counter::Time, 2_000_000);
        assert!((clock.figure(1000.0) - 500.0).abs() < 1e-9);
        assert!((clock.ticks(500.0) - 1000.0).abs() < 1e-9);
        assert_eq!((clock.unit(), clock.show(1000.0)), (Unit::Nanoseconds, "500 ns".to_owned()));
        let clock = Clock::of(Counter::Instructions, 2_000_000);
        assert!((clock.figure(1000.0) - 1000.0).abs() < 1e-9);
        assert_eq!((clock.unit(), clock.show(1000.0)), (Unit::Instructions, "1000 instr".to_owned()));
    }

    #[test]
    fn a_clock_is_its_unit_in_files() {
        for clock in [Clock::Time { tsc_khz: 2_000_000 }, Clock::Instructions] {
            let text = serde_json::to_string(&clock).unwrap();
            assert!(text.contains(&format!("\"unit\":\"{}\"", clock.unit())), "{text}");
            assert_eq!(text.contains("khz"), clock.tells_time(), "{text}");
            assert_eq!(serde_json::from_str::<Clock>(&text).unwrap(), clock);
        }
    }

    #[test]
    fn nothing_of_nothing_is_nothing() {
        assert!(ratio(0.0, 0.0).abs() < 1e-12);
        assert_eq!([percent(0.0), percent(0.034), percent(1.0)], ["0 %", "3.4 %", "100 %"]);
    }
}

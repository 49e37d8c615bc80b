//! Figures as tables and sentences show them.

use crate::figure::interval::{Interval, Verdict};
use crate::figure::unit::{Unit, percent};

/// Bytes of a MiB.
pub const MIB: f64 = (1_u64 << 20) as f64;
/// Bytes of a GiB.
pub const GIB: f64 = (1_u64 << 30) as f64;

/// A share with its interval, if it has one: `-3.27 % [-3.90, -2.64]`; `~` before it if no difference is shown.
#[must_use]
pub fn share(interval: &Interval) -> String {
    let mark = doubt(interval);
    mark.to_owned() + &around(interval, " %", |share| format!("{:+.2}", share * 100.0))
}

/// A share with half its interval, in per cent: `-3.3 ±0.6`.
#[must_use]
pub fn short_share(interval: &Interval) -> String {
    let sign = if interval.middle.is_sign_negative() { "" } else { "+" };
    format!("{}{sign}{}", doubt(interval), give_or_take(interval, |share| format!("{:.1}", share * 100.0)))
}

/// A figure with half its interval, if it has one, written as `show` writes numbers.
#[must_use]
pub fn give_or_take(interval: &Interval, show: impl Fn(f64) -> String) -> String {
    let half = (interval.high - interval.low) / 2.0;
    let half = if has_ends(interval) { format!(" ±{}", show(half)) } else { String::new() };
    show(interval.middle) + &half
}

/// A difference with its interval, if it has one: `+1.2 [+1.0, +1.4] µs`.
#[must_use]
pub fn plain(unit: Unit, interval: &Interval) -> String {
    if has_ends(interval) {
        unit.show_interval(interval.middle, interval.low, interval.high)
    } else {
        unit.show_change(interval.middle)
    }
}

/// A difference with its interval; `~` before it if no difference is shown.
#[must_use]
pub fn difference(unit: Unit, interval: &Interval) -> String {
    format!("{}{}", doubt(interval), plain(unit, interval))
}

/// The same; `=` before it if it is shown to be less than the margin of `figure`.
#[must_use]
pub fn difference_within(unit: Unit, interval: &Interval, figure: f64) -> String {
    let mark = match interval.verdict(figure) {
        Verdict::Different => "",
        Verdict::Equal => "= ",
        Verdict::CannotSay => "~ ",
    };
    format!("{mark}{}", plain(unit, interval))
}

/// A figure that is no difference, with its interval.
#[must_use]
pub fn amount(unit: Unit, interval: &Interval) -> String {
    plain(unit, interval).replace('+', "")
}

/// A share with its interval, where there is nothing to differ from: `4.1 % [3.0 %, 5.2 %]`.
#[must_use]
pub fn part(interval: &Interval) -> String {
    around(interval, "", percent)
}

/// A figure with its interval, if it has one, written as `show` writes numbers and with `unit` once.
#[must_use]
pub fn around(interval: &Interval, unit: &str, show: impl Fn(f64) -> String) -> String {
    let [mean, low, high] = [interval.middle, interval.low, interval.high].map(show);
    let ends = if has_ends(interval) { format!(" [{low}, {high}]") } else { String::new() };
    format!("{mean}{unit}{ends}")
}

fn doubt(interval: &Interval) -> &'static str {
    if interval.shows_difference() { "" } else { "~ " }
}

/// Whether there is an interval to show: not of a count that is the same in every block, and not of so few blocks that
/// no interval of theirs is one of 95 %.
fn has_ends(interval: &Interval) -> bool {
    if interval.is_counted() {
        interval.high - interval.low > 1e-9 * interval.middle.abs()
    } else {
        interval.is_known()
    }
}

/// A number a second or a count, short.
#[must_use]
pub fn number(value: f64) -> String {
    match value.abs() {
        // Of a negative zero nobody sees what it was.
        v if v < 0.005 => "0.00".to_owned(),
        v if v >= 9.9995e5 => format!("{:.3} M", value / 1e6),
        v if v >= 9_999.5 => format!("{:.1} k", value / 1e3),
        v if v >= 99.95 => format!("{value:.0}"),
        v if v >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Bytes in MiB.
#[must_use]
pub fn mib(bytes: f64) -> String {
    let mib = bytes / MIB;
    if mib >= 99.95 { format!("{mib:.0} MiB") } else { format!("{mib:.1} MiB") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_shown_to_differ_is_marked() {
        let interval = Interval { middle: -0.0327, low: -0.039, high: -0.0264, blocks: 8, p: Some(0.01) };
        assert_eq!(share(&interval), "-3.27 % [-3.90, -2.64]");
        assert_eq!(short_share(&interval), "-3.3 ±0.6");
        assert_eq!(share(&Interval { high: 0.001, ..interval }), "~ -3.27 % [-3.90, +0.10]");
        assert_eq!(
            difference(
                Unit::Nanoseconds,
                &Interval { middle: 120.0, low: 100.0, high: 140.0, blocks: 6, p: Some(0.1) }
            ),
            "~ +120 [+100, +140] ns"
        );
    }

    #[test]
    fn of_five_blocks_no_interval_is_shown() {
        let five = Interval { middle: 0.12, low: 0.10, high: 0.14, blocks: 5, p: Some(0.06) };
        assert_eq!([share(&five), short_share(&five)], ["~ +12.00 %", "~ +12.0"]);
        let five = Interval { middle: 120.0, low: 100.0, high: 140.0, ..five };
        assert_eq!(difference_within(Unit::Nanoseconds, &five, 500.0), "~ +120 ns");
        assert_eq!(amount(Unit::Nanoseconds, &five), "120 ns");
    }

    #[test]
    fn a_count_that_repeats_has_no_interval() {
        let counted = Interval { middle: 131.0, low: 131.0, high: 131.0, blocks: 6, p: None };
        assert_eq!(difference(Unit::Instructions, &counted), "+131 instr");
        assert_eq!(share(&Interval { middle: 0.0137, low: 0.0137, high: 0.0137, ..counted }), "+1.37 %");
        let varied = Interval { low: 125.0, ..counted };
        assert_eq!(difference(Unit::Instructions, &varied), "+131 [+125, +131] instr");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([number(8_827_000.0), number(12_345.6), number(7.0)], ["8.827 M", "12.3 k", "7.00"]);
        assert_eq!(
            [amount(
                Unit::Nanoseconds,
                &Interval { middle: 120.0, low: 100.0, high: 140.0, blocks: 6, p: Some(0.1) }
            )],
            ["120 [100, 140] ns"]
        );
        assert_eq!([mib(268_435_456.0), mib(1_572_864.0)], ["256 MiB", "1.5 MiB"]);
    }
}

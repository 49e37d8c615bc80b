//! What the numbers of an axis are, and how they are written there: round, and short.

use crate::figure::number;
use crate::figure::unit::{Unit, percent, signed_percent};

/// What numbers are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quantity {
    /// Times or instructions.
    Cost(Unit),
    /// Bytes.
    Bytes,
    /// How many; the word for one of them is in the axis' label.
    Count,
    /// Parts of a whole, 1 being all of it.
    Share,
    /// Shares by which something is more or less.
    Change,
}

impl Quantity {
    /// A number of it.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Cost(unit) => unit.show(value),
            Self::Bytes => number::mib(value),
            Self::Count if value.fract() == 0.0 && value.abs() < 1e5 => short(value),
            Self::Count => number::number(value),
            Self::Share => percent(value),
            Self::Change => signed_percent(value),
        }
    }

    /// A round number of it, without digits that say nothing; all marks of an axis are in the size of the largest.
    #[must_use]
    pub fn mark(self, value: f64, largest: f64) -> String {
        match self {
            _ if value == 0.0 => "0".to_owned(),
            Self::Cost(unit) => unit.mark(value, largest),
            Self::Bytes if largest >= number::GIB => format!("{} GiB", short(value / number::GIB)),
            Self::Bytes => format!("{} MiB", short(value / number::MIB)),
            Self::Count if value.abs() >= 1e6 => format!("{} M", short(value / 1e6)),
            Self::Count if value.abs() >= 1e4 => format!("{} k", short(value / 1e3)),
            Self::Count => short(value),
            Self::Share => format!("{} %", short(value * 100.0)),
            Self::Change if value > 0.0 => format!("+{} %", short(value * 100.0)),
            Self::Change => format!("{} %", short(value * 100.0)),
        }
    }

    /// What its round numbers are powers of.
    #[must_use]
    pub const fn is_binary(self) -> bool {
        matches!(self, Self::Bytes)
    }
}

/// A round number: no zeros behind the point.
fn short(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_short_and_in_the_size_of_the_largest() {
        let times = Quantity::Cost(Unit::Nanoseconds);
        let marks = [0.0, 500_000.0, 1e6, 1.5e6].map(|value| times.mark(value, 1.5e6));
        assert_eq!(marks, ["0", "0.5 ms", "1 ms", "1.5 ms"]);
        let counted = Quantity::Cost(Unit::Instructions);
        assert_eq!(
            [5_000.0, 20_000.0].map(|value| counted.mark(value, 20_000.0)),
            ["5000 instr", "20000 instr"]
        );
        let [mib, gib] = [number::MIB, number::GIB];
        assert_eq!(Quantity::Bytes.mark(256.0 * mib, 512.0 * mib), "256 MiB");
        assert_eq!(Quantity::Bytes.mark(512.0 * mib, 2.0 * gib), "0.5 GiB");
        assert_eq!([1e6, 2e4, 500.0].map(|value| Quantity::Count.mark(value, 1e6)), ["1 M", "20 k", "500"]);
        assert_eq!(Quantity::Share.mark(0.25, 1.0), "25 %");
        assert_eq!([0.05, -0.1].map(|value| Quantity::Change.mark(value, 0.1)), ["+5 %", "-10 %"]);
    }
}

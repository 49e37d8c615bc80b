//! What the figures of a profile are in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::figure::unit::Unit;

/// What figures of a profile are in. Cycles stay cycles: they become time only by a frequency that the profile states.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Nanoseconds.
    Ns,
    /// Cycles of a processor.
    Cycles,
    /// Executed instructions.
    Instructions,
}

impl From<Unit> for Scale {
    fn from(unit: Unit) -> Self {
        match unit {
            Unit::Nanoseconds => Self::Ns,
            Unit::Instructions => Self::Instructions,
        }
    }
}

impl Scale {
    /// A figure for people.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Ns => Unit::Nanoseconds.show(value),
            Self::Instructions => Unit::Instructions.show(value),
            Self::Cycles => format!("{value:.0} cycles"),
        }
    }

    /// As it stands in a profile.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ns => "ns",
            Self::Cycles => "cycles",
            Self::Instructions => "instructions",
        }
    }
}

/// A cost on the command line, such as `1200ns`, `1.2us`, `1500cycles` or `4000instructions`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Quantity {
    /// How much.
    pub value: f64,
    /// Of what.
    pub scale: Scale,
}

/// What a cost may be in, and how much of its scale that is.
const UNITS: [(&str, f64, Scale); 8] = [
    ("ns", 1.0, Scale::Ns),
    ("us", 1e3, Scale::Ns),
    ("µs", 1e3, Scale::Ns),
    ("ms", 1e6, Scale::Ns),
    ("cycles", 1.0, Scale::Cycles),
    ("instructions", 1.0, Scale::Instructions),
    ("instr", 1.0, Scale::Instructions),
    ("s", 1e9, Scale::Ns),
];

/// Reads one.
///
/// # Errors
/// A sentence, if it is none.
pub fn quantity(text: &str) -> Result<Quantity, String> {
    let wrong =
        || format!("{text} is no cost: write a number with its unit, such as 1200ns, 1.2us or 1500cycles");
    let start = text.find(|c: char| c.is_alphabetic() || c == 'µ').ok_or_else(wrong)?;
    let (number, unit) = text.split_at(start);
    let value: f64 = number.trim().parse().map_err(|_| wrong())?;
    let (_, size, scale) = UNITS.into_iter().find(|(name, ..)| *name == unit).ok_or_else(wrong)?;
    if !(value.is_finite() && value >= 0.0) {
        return Err(wrong());
    }
    Ok(Quantity { value: value * size, scale })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_have_units() {
        let read = |text| quantity(text).map(|cost| (cost.value, cost.scale));
        assert_eq!(read("1200ns"), Ok((1200.0, Scale::Ns)));
        assert_eq!(read("1.5us"), Ok((1500.0, Scale::Ns)));
        assert_eq!(read("1529cycles"), Ok((1529.0, Scale::Cycles)));
        for wrong in ["12", "ns", "-3ns", "1e999ns", "NaNns", "12 parsecs", ""] {
            let error = read(wrong).unwrap_err();
            assert!(error.contains("1200ns"), "{error}");
        }
    }
}

//! From values to places: how far an axis reaches, and the round numbers beside it.

use super::model::{Measure, Scale};
use crate::figure::number::MIB;
use crate::figure::unit::ratio;

/// An axis laid out between two places.
pub(super) struct Ruler {
    axis: Measure,
    /// How far it reaches, as [`Scale::along`] has it.
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    values: Vec<f64>,
}

impl Scale {
    /// Where a value is along it; nowhere if it is no number, or none that has a logarithm where one is taken.
    fn along(self, value: f64) -> Option<f64> {
        let along = match self {
            Self::Linear => value,
            Self::Log | Self::Doublings => value.log10(),
            Self::Nines => -value.log10(),
        };
        along.is_finite().then_some(along)
    }
}

impl Measure {
    /// A value as a sentence has it.
    pub(super) fn show(&self, value: f64) -> String {
        match self.scale {
            Scale::Nines => percentile(value),
            _ => self.quantity.show(value),
        }
    }

    /// Of values with no place along it nothing is drawn.
    pub(super) fn has(&self, value: f64) -> bool {
        self.scale.along(value).is_some()
    }
}

/// A share of samples that are longer, as the percentile that it is.
fn percentile(share: f64) -> String {
    let nines = (-share.log10()).clamp(0.0, 12.0).ceil();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 12")]
    let decimals = (nines as usize).max(1);
    let text = format!("{:.decimals$}", 100.0 - share * 100.0);
    format!("p{}", text.trim_end_matches('0').trim_end_matches('.'))
}

impl Ruler {
    /// An axis that has all of `values` on it, with at most so many numbers beside it.
    pub(super) fn over(axis: &Measure, values: impl Iterator<Item = f64>, most: u32) -> Self {
        let placed = values.filter(|value| axis.has(*value));
        let ends = placed.fold(None, |ends: Option<(f64, f64)>, value| {
            Some(ends.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
        });
        let most = most.max(2);
        let values = match (axis.scale, ends) {
            (Scale::Linear, ends) => {
                let (low, high) = ends.unwrap_or((0.0, 1.0));
                linear(low.min(0.0), high.max(0.0), most, axis.quantity.is_binary())
            }
            (Scale::Nines, ends) => nines(ends.map_or(0.1, |(least, _)| least)),
            (scale, ends) => {
                let (low, high) = ends.unwrap_or((1.0, 10.0));
                powers(low, high, scale == Scale::Doublings)
            }
        };
        let along =
            |value: Option<&f64>| value.and_then(|value| axis.scale.along(*value)).unwrap_or_default();
        let (first, mut last) = (along(values.first()), along(values.last()));
        if let (Scale::Nines, Some((least, _))) = (axis.scale, ends) {
            last = last.max(-least.log10());
        }
        let values =
            if matches!(axis.scale, Scale::Linear | Scale::Nines) { values } else { thinned(values, most) };
        Self { axis: axis.clone(), low: first, high: last, from: 0.0, to: 1.0, values }
    }

    /// The same between two places.
    pub(super) fn between(self, from: f64, to: f64) -> Self {
        Self { from, to, ..self }
    }

    /// Where a value is drawn, if anywhere; what is beyond an end, at that end.
    pub(super) fn place(&self, value: f64) -> Option<f64> {
        let part = ratio(self.axis.scale.along(value)? - self.low, self.high - self.low);
        Some(self.from + part.clamp(0.0, 1.0) * (self.to - self.from))
    }

    /// The same; what has no place is at the beginning.
    pub(super) fn end(&self, value: f64) -> f64 {
        self.place(value).unwrap_or(self.from)
    }

    /// The numbers beside it and where they stand.
    pub(super) fn marks(&self) -> Vec<(f64, String)> {
        let largest = self.values.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
        let is_even = self.axis.scale == Scale::Linear;
        let text = |value: f64| match self.axis.scale {
            Scale::Nines => percentile(value),
            // By powers each is in its own size: 1 µs beside 1 s is no 0.000001.
            _ => self.axis.quantity.mark(value, if is_even { largest } else { value }),
        };
        self.values.iter().map(|value| (self.end(*value), text(*value))).collect()
    }
}

/// Round numbers from below `low` to above `high`, evenly.
fn linear(low: f64, high: f64, most: u32, is_binary: bool) -> Vec<f64> {
    let high = if high > low { high } else { low + 1.0 };
    let step = step((high - low) / f64::from(most - 1), is_binary);
    let (first, last) = ((low / step + 1e-9).floor(), (high / step - 1e-9).ceil());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "no more steps than asked for, and two"
    )]
    let steps = (last - first).clamp(1.0, 64.0) as u32;
    (0..=steps).map(|index| (first + f64::from(index)) * step).collect()
}

/// The least round number that is no less: 1, 2 or 5 times a power of ten, or a power of two of a MiB.
fn step(least: f64, is_binary: bool) -> f64 {
    if is_binary {
        return MIB * 2_f64.powf((least / MIB).log2().ceil());
    }
    let power = 10_f64.powf(least.log10().floor());
    let times = [1.0, 2.0, 5.0, 10.0].into_iter().find(|times| times * power >= least * (1.0 - 1e-9));
    times.unwrap_or(10.0) * power
}

/// Round numbers from below `low` to above `high`, by powers of ten with 2 and 5 times each, or of two.
fn powers(low: f64, high: f64, is_doubling: bool) -> Vec<f64> {
    let (base, times): (f64, &[f64]) = if is_doubling { (2.0, &[1.0]) } else { (10.0, &[1.0, 2.0, 5.0]) };
    let power = |value: f64| value.log10() / base.log10();
    #[expect(clippy::cast_possible_truncation, reason = "exponents of numbers")]
    let exponents = power(low).floor() as i32 - 1..=power(high).ceil() as i32 + 1;
    let all: Vec<f64> =
        exponents.flat_map(|exponent| times.iter().map(move |times| times * base.powi(exponent))).collect();
    let below = all.iter().rposition(|value| *value <= low * (1.0 + 1e-9)).unwrap_or_default();
    let above = all.iter().position(|value| *value >= high * (1.0 - 1e-9)).unwrap_or(all.len() - 1);
    all[below..=above.max(below + 1).min(all.len() - 1)].to_vec()
}

/// At most so many of them: the powers alone, and of these every second or later one.
fn thinned(values: Vec<f64>, most: u32) -> Vec<f64> {
    let most = most as usize;
    if values.len() <= most {
        return values;
    }
    let is_power = |value: &f64| (value.log10() - value.log10().round()).abs() < 1e-6;
    let powers: Vec<f64> = values.iter().copied().filter(is_power).collect();
    let kept = if powers.len() >= 2 && powers.len() < values.len() / 2 { powers } else { values };
    let every = kept.len().div_ceil(most);
    kept.into_iter().step_by(every).collect()
}

/// The middle, and then by nines as far as there are samples.
fn nines(least: f64) -> Vec<f64> {
    let reached = (1..=12_u8).map(|nines| 10_f64.powi(-i32::from(nines)));
    let reached = reached.take_while(|share| *share >= least * (1.0 - 1e-9));
    let values: Vec<f64> = std::iter::once(0.5).chain(reached).collect();
    if values.len() > 1 { values } else { vec![0.5, 0.1] }
}

/// Width of text in the pictures' fonts, rather too wide than too narrow.
pub(super) fn width(text: &str) -> f64 {
    text.chars().map(|c| if matches!(c, '%' | '@' | 'M' | 'W' | 'm' | 'w' | '…') { 11.5 } else { 6.7 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::quantity::Quantity;
    use crate::figure::unit::Unit;
    use proptest::prelude::*;

    fn marks(scale: Scale, quantity: Quantity, values: &[f64]) -> Vec<String> {
        let axis = Measure { label: String::new(), quantity, scale };
        let ruler = Ruler::over(&axis, values.iter().copied(), 6).between(0.0, 100.0);
        ruler.marks().into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn numbers_beside_an_axis_are_round() {
        let times = Quantity::Cost(Unit::Nanoseconds);
        // What once was 341 ms and 254 MiB.
        assert_eq!(marks(Scale::Linear, times, &[1.364e9]), ["0", "0.5 s", "1 s", "1.5 s"]);
        assert_eq!(
            marks(Scale::Linear, Quantity::Bytes, &[1016.0 * MIB]),
            ["0", "0.25 GiB", "0.5 GiB", "0.75 GiB", "1 GiB"]
        );
        assert_eq!(
            marks(Scale::Linear, Quantity::Change, &[-0.23, 0.04]),
            ["-30 %", "-20 %", "-10 %", "0", "+10 %"]
        );
        assert_eq!(marks(Scale::Log, times, &[530.0, 30_700.0]), ["1 µs", "10 µs"]);
        assert_eq!(marks(Scale::Log, times, &[3.0, 2e9]), ["10 ns", "1 µs", "100 µs", "10 ms", "1 s"]);
        assert_eq!(marks(Scale::Doublings, Quantity::Count, &[1.0, 32.0]), ["1", "2", "4", "8", "16", "32"]);
        assert_eq!(
            marks(Scale::Nines, Quantity::Share, &[0.5, 0.0001]),
            ["p50", "p90", "p99", "p99.9", "p99.99"]
        );
    }

    #[test]
    fn what_is_no_number_has_no_place() {
        let axis = |scale| Measure { label: String::new(), quantity: Quantity::Count, scale };
        let values = [f64::NAN, f64::INFINITY, -1.0, 0.0, 5.0];
        for scale in [Scale::Linear, Scale::Log, Scale::Doublings, Scale::Nines] {
            let ruler = Ruler::over(&axis(scale), values.into_iter(), 5).between(10.0, 20.0);
            assert_eq!((ruler.place(f64::NAN), ruler.place(f64::NEG_INFINITY)), (None, None));
            assert!(ruler.marks().iter().all(|(place, _)| (10.0..=20.0).contains(place)), "{scale:?}");
            assert!((10.0..=20.0).contains(&ruler.end(0.0)));
            let nothing = Ruler::over(&axis(scale), std::iter::empty(), 5);
            assert!(nothing.marks().len() >= 2, "{scale:?}");
        }
        assert!(axis(Scale::Linear).has(0.0) && !axis(Scale::Log).has(0.0));
    }

    proptest! {
        #[test]
        fn every_value_lies_between_the_first_mark_and_the_last(
            values in prop::collection::vec(-1e12_f64..1e12, 1..20), most in 2_u32..9
        ) {
            let linear = linear(values.iter().copied().fold(0.0, f64::min), values.iter().copied().fold(0.0, f64::max), most, false);
            prop_assert!(linear.len() <= most as usize + 2, "{linear:?}");
            let slack = 1e-6 * (linear[linear.len() - 1] - linear[0]);
            for value in &values {
                prop_assert!(linear[0] - slack <= *value && *value <= linear[linear.len() - 1] + slack);
            }
            let positive: Vec<f64> = values.iter().map(|value| value.abs() + 1e-3).collect();
            let (low, high) = (positive.iter().copied().fold(f64::MAX, f64::min), positive.iter().copied().fold(0.0, f64::max));
            for is_doubling in [false, true] {
                let powers = powers(low, high, is_doubling);
                prop_assert!(powers[0] <= low * 1.001 && high <= powers[powers.len() - 1] * 1.001 && powers.len() > 1);
            }
        }
    }
}

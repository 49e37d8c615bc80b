//! Distributions that are looked at from their far end: as a few figures, and as a curve over the share of samples that
//! are longer, by nines.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hdrhistogram::Histogram;

use crate::figure::chart::{Body, Chart, Join, Line, Measure, Plot, Point, Scale};
use crate::figure::quantiles::Quantiles;
use crate::figure::quantity::Quantity;
use crate::figure::unit::{Clock, Unit, float, ratio};

/// What the table of points is called.
pub const CSV: &str = "tail.csv";
/// What the picture is called.
pub const SVG: &str = "tail.svg";

/// How often each value was there, exact in both.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Distribution(BTreeMap<u64, u64>);

impl Distribution {
    /// Of values with their counts, and what else there is of them.
    pub fn add(&mut self, counts: impl IntoIterator<Item = (u64, u64)>) {
        for (value, count) in counts {
            let sum = self.0.entry(value).or_default();
            // A file may claim any numbers.
            *sum = sum.saturating_add(count);
        }
    }

    /// Of a histogram.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let counts = histogram.iter_recorded();
        Self(counts.map(|at| (at.value_iterated_to(), at.count_at_value())).collect())
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The least value that at most this share of all is longer than; 0 of none.
    #[must_use]
    pub fn beyond(&self, share: f64) -> u64 {
        let all = float(self.len());
        let mut seen = 0.0;
        let reached = self.0.iter().find(|(_, count)| {
            seen += float(**count);
            // A value more or less is no share: of a thousand, one is 0.1 %.
            all - seen <= share * all + 1e-9 * all
        });
        reached.map_or(0, |(value, _)| *value)
    }

    /// As figures.
    #[must_use]
    pub fn quantiles(&self, clock: Clock) -> Quantiles {
        let at = |share| clock.figure(float(self.beyond(share)));
        let sum: f64 = self.0.iter().map(|(value, count)| float(*value) * float(*count)).sum();
        let n = self.len();
        Quantiles {
            n,
            mean: clock.figure(ratio(sum, float(n))),
            p50: at(0.5),
            p90: at(0.1),
            p99: at(0.01),
            p999: at(0.001),
            max: at(0.0),
        }
    }
}

/// A distribution by nines.
#[derive(Clone, PartialEq, Debug)]
pub struct Tail {
    /// Whose it is.
    pub name: String,
    /// What the picture is about that it belongs into; all that have nothing here are in one.
    pub part: String,
    /// Its colour by number, and whether it is the second with it, and dashed; by its place if it has none.
    pub look: Option<(usize, bool)>,
    /// The share of samples that are longer, and the figure.
    pub points: Vec<(f64, f64)>,
}

impl Tail {
    /// From half of the samples to the longest one.
    #[must_use]
    pub fn of(name: &str, distribution: &Distribution, clock: Clock) -> Self {
        let n = float(distribution.len());
        // Four points to a nine, the nines themselves among them, as far as there are samples.
        let beyond = (2..=24).map(|step| 10_f64.powf(-f64::from(step) / 4.0));
        let shares = std::iter::once(0.5).chain(beyond);
        let shares = shares.take_while(|share| share * n > 1.0 + 1e-9).chain((n >= 1.0).then(|| 1.0 / n));
        let figure = |share| if share * n <= 1.0 { 0.0 } else { share };
        let points =
            shares.map(|share| (share, clock.figure(float(distribution.beyond(figure(share)))))).collect();
        Self { name: name.to_owned(), part: String::new(), look: None, points }
    }
}

/// A line a point. No field holds a comma or a quote, so none is quoted.
#[must_use]
pub fn csv(tails: &[Tail]) -> String {
    let mut text = "name,longer,figure\n".to_owned();
    for Tail { name, points, .. } in tails {
        for (share, figure) in points {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{},{share:.9},{figure:.1}", name.replace(',', ";"));
        }
    }
    text
}

/// The curves as a chart, both axes by powers of ten; `what` is how long.
#[must_use]
pub fn chart(title: &str, what: &str, unit: Unit, tails: &[Tail]) -> Chart {
    let line = |(place, tail): (usize, &Tail)| {
        let (look, is_second) = tail.look.unwrap_or((place, false));
        let points = tail.points.iter().map(|(share, figure)| Point::at(*share, *figure)).collect();
        Line { name: tail.name.clone(), look, is_second, join: Join::Straight, points }
    };
    Chart {
        id: "percentiles".to_owned(),
        title: title.to_owned(),
        reading: "The further to the right, the rarer: at p99.9 one sample in a thousand is longer. Each line ends at the longest that was seen."
            .to_owned(),
        caveats: Vec::new(),
        body: Body::Plot(Plot {
            x: Measure {
                label: "percentile: the share of samples that are not longer".to_owned(),
                quantity: Quantity::Share,
                scale: Scale::Nines,
            },
            y: Measure { label: format!("{what}, by powers of ten"), quantity: Quantity::Cost(unit), scale: Scale::Log },
            lines: tails.iter().enumerate().map(line).collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thousand() -> Distribution {
        let mut distribution = Distribution::default();
        distribution.add((1..=1000).map(|value| (value, 1)));
        distribution
    }

    const CLOCK: Clock = Clock::Time { tsc_khz: 1_000_000 };

    #[test]
    fn figures_are_the_least_that_a_share_is_longer_than() {
        let Quantiles { n, mean, p50, p90, p99, p999, max } = thousand().quantiles(CLOCK);
        assert_eq!((n, p50, p90, p99, p999, max), (1000, 500.0, 900.0, 990.0, 999.0, 1000.0));
        assert!((mean - 500.5).abs() < 1e-9);
        assert_eq!(Distribution::default().quantiles(CLOCK), Quantiles::default());
    }

    #[test]
    fn distributions_add_up_and_a_histogram_is_one() {
        let mut twice = thousand();
        twice.add(thousand().0);
        assert_eq!((twice.len(), twice.beyond(0.001)), (2000, 999));
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 1 << 20, 3).unwrap();
        (1..=1000).for_each(|value| histogram.record(value).unwrap());
        assert_eq!(Distribution::of(&histogram), thousand());
        twice.add([(7, u64::MAX)]);
        assert_eq!((twice.len(), twice.beyond(0.5)), (u64::MAX, 7), "the absurd neither panics nor wraps");
    }

    #[test]
    fn a_curve_rises_to_the_longest() {
        let tail = Tail::of("a < b", &thousand(), CLOCK);
        assert!(
            tail.points.windows(2).all(|pair| pair[0].0 > pair[1].0 && pair[0].1 <= pair[1].1),
            "{tail:?}"
        );
        assert_eq!(tail.points.last(), Some(&(0.001, 1000.0)));
        let tails = [tail.clone(), Tail { name: "none".into(), points: vec![], ..tail.clone() }];
        let text = chart("x & y", "a sample", Unit::Nanoseconds, &tails).file();
        assert!(text.contains("x &amp; y") && text.contains("a &lt; b"), "{text}");
        for mark in [">p50<", ">p99<", ">p99.9<", ">500 ns<", ">1 µs<"] {
            assert!(text.contains(mark), "{mark}: {text}");
        }
        assert_eq!(csv(&[tail]).lines().count(), 1 + Tail::of("", &thousand(), CLOCK).points.len());
        assert!(chart("", "", Unit::Nanoseconds, &[]).file().contains("</svg>"));
    }
}

//! What a report costs on a host, by its profile.

use std::collections::BTreeSet;

use abi::axes::Axis;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cost::{Counts, Report};
use super::profile::Profile;
use super::term::Term;
use crate::axes::named::Named;

/// By how much counts may differ and still be the same.
const SAME: f64 = 1e-6;

/// A predicted cost with its band.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// The cost, of what is known.
    pub value: f64,
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// Terms that are in it and that the profile does not know: the figure is a part of the cost then.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub unknown: Vec<Named<Term>>,
}

impl Estimate {
    /// Whether all of it is known.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.unknown.is_empty()
    }

    /// The same of one of so many.
    #[must_use]
    pub fn over(&self, ranges: f64) -> Self {
        let [value, low, high] = [self.value, self.low, self.high].map(|figure| figure / ranges);
        Self { value, low, high, unknown: self.unknown.clone() }
    }
}

impl Profile {
    /// What a report costs, without the refault that follows it; `None` if the model does not know its transport.
    #[must_use]
    pub fn predict(&self, report: &Report) -> Option<Estimate> {
        Some(self.cost(&report.counts()?))
    }

    /// What so many of each term cost together.
    #[must_use]
    pub fn cost(&self, counts: &Counts) -> Estimate {
        let mut sum = self.sum(counts);
        if let Some(error) = self.error {
            sum.low = sum.low.min(sum.value - error * sum.value.abs());
            sum.high = sum.high.max(sum.value + error * sum.value.abs());
        }
        sum
    }

    /// How much dearer one report is than another. What both have cancels, and with it what is not known of it; the
    /// error of the fit is taken of what is left.
    #[must_use]
    pub fn difference(&self, from: &Counts, to: &Counts) -> Estimate {
        let terms: BTreeSet<&Term> = from.keys().chain(to.keys()).collect();
        let count = |counts: &Counts, term| counts.get(term).copied().unwrap_or_default();
        let more: Counts =
            terms.into_iter().map(|term| (*term, count(to, term) - count(from, term))).collect();
        let mut sum = self.sum(&more);
        if let Some(error) = self.error {
            let side = |sign: f64| {
                let of =
                    |(term, more): (&Term, &f64)| Some(self.figure(*term)?.value * (sign * more).max(0.0));
                more.iter().filter_map(of).sum::<f64>().abs()
            };
            let reach = error * side(1.0).max(side(-1.0));
            sum.low = sum.low.min(sum.value - reach);
            sum.high = sum.high.max(sum.value + reach);
        }
        sum
    }

    fn sum(&self, counts: &Counts) -> Estimate {
        let mut sum = Estimate { value: 0.0, low: 0.0, high: 0.0, unknown: Vec::new() };
        for (term, count) in counts {
            if count.abs() < SAME {
                continue;
            }
            match self.figure(*term) {
                Some(figure) => {
                    sum.value += count * figure.value;
                    sum.low += (count * figure.low).min(count * figure.high);
                    sum.high += (count * figure.low).max(count * figure.high);
                }
                None if self.inside(*term).is_some() => {}
                None => sum.unknown.push(Named(*term)),
            }
        }
        for term in Term::ALL.iter().filter(|term| self.is_torn(**term, counts)) {
            match self.holder(*term) {
                Some(holder) => self.divide(&mut sum, holder, counts),
                None => sum.unknown.push(Named(*term)),
            }
        }
        sum
    }

    /// The one term that another is in, and of which it takes a part: as much as that has of it or less.
    fn holder(&self, term: Term) -> Option<Term> {
        let mut inside = self.inside(term)?.iter();
        let (holder, each) = inside.next()?;
        (inside.next().is_none() && *each > 0.0).then_some(holder.0)
    }

    /// Puts in the place of a term what it can come to here with all that are in it, if none of them costs less than
    /// nothing: between all of it being its own and all of it being one of theirs.
    fn divide(&self, sum: &mut Estimate, holder: Term, counts: &Counts) {
        let Some(figure) = self.figure(holder) else { return };
        let count = |term: Term| counts.get(&term).copied().unwrap_or_default();
        let own = count(holder);
        let members = Term::ALL.iter().copied().filter(|term| self.holder(*term) == Some(holder));
        let theirs = members.filter_map(|term| {
            let each = self.inside(term)?.get(&Named(holder))?;
            Some(count(term) / each)
        });
        let [least, most] =
            theirs.fold([own, own], |[least, most], times| [least.min(times), most.max(times)]);
        let corners = [least * figure.low, least * figure.high, most * figure.low, most * figure.high];
        let before = [own * figure.low, own * figure.high];
        sum.value += f64::midpoint(least, most) * figure.value - own * figure.value;
        sum.low += corners.into_iter().fold(f64::INFINITY, f64::min) - before[0].min(before[1]);
        sum.high += corners.into_iter().fold(f64::NEG_INFINITY, f64::max) - before[0].max(before[1]);
    }

    /// Whether a term that is in others occurs otherwise here than it did where they were fitted.
    fn is_torn(&self, term: Term, counts: &Counts) -> bool {
        let Some(inside) = self.inside(term) else { return false };
        let count = |term| counts.get(&term).copied().unwrap_or_default();
        let expected: f64 = inside.iter().map(|(holder, each)| each * count(holder.0)).sum();
        (count(term) - expected).abs() > SAME * expected.abs().max(1.0)
    }
}

/// Names of terms for a sentence.
#[must_use]
pub fn names(terms: &[Named<Term>]) -> String {
    terms.iter().map(|term| term.0.name()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(terms: &str) -> Profile {
        let text = format!("name = \"a\"\nhost = \"b\"\nsource = \"c\"\nunit = \"ns\"\n[terms]\n{terms}");
        Profile::parse(&text, "here").unwrap()
    }

    fn counts(of: &[(Term, f64)]) -> Counts {
        of.iter().copied().collect()
    }

    #[test]
    fn costs_add_up_and_what_is_not_known_is_named() {
        let profile =
            profile("exit = { low = 90.0, value = 100.0, high = 120.0 }\nmadvise = { value = 10.0 }");
        let cost =
            profile.cost(&counts(&[(Term::Exit, 2.0), (Term::Madvise, 3.0), (Term::DiscardPage, 3.0)]));
        assert_eq!((cost.value, cost.low, cost.high), (230.0, 210.0, 270.0));
        assert_eq!(cost.unknown, [Named(Term::DiscardPage)]);
    }

    #[test]
    fn what_was_not_told_apart_is_exact_where_it_occurs_as_it_did_and_a_band_elsewhere() {
        let one = profile("madvise = { value = 30.0 }\ndiscard-page = { in = { madvise = 1.0 } }");
        assert!(one.cost(&counts(&[(Term::Madvise, 8.0), (Term::DiscardPage, 8.0)])).is_whole());
        // Between all of it being the call's and all of it the page's.
        let larger = one.cost(&counts(&[(Term::Madvise, 8.0), (Term::DiscardPage, 64.0)]));
        assert_eq!((larger.low, larger.value, larger.high), (240.0, 1080.0, 1920.0));
        let none = one.cost(&counts(&[(Term::Madvise, 8.0)]));
        assert_eq!((none.low, none.high), (0.0, 240.0));
        let several = profile(
            "exit = { value = 30.0 }\nkick = { value = 1.0 }\nring = { in = { exit = 1.0, kick = -1.0 } }",
        );
        assert_eq!(several.cost(&counts(&[(Term::Ring, 1.0)])).unknown, [Named(Term::Ring)]);
    }

    #[test]
    fn what_both_have_cancels() {
        let profile =
            Profile { error: Some(0.1), ..profile("exit = { value = 100.0 }\nkick = { value = 40.0 }") };
        let common = (Term::DiscardHuge, 3.0);
        let less =
            profile.difference(&counts(&[(Term::Exit, 1.0), common]), &counts(&[(Term::Kick, 1.0), common]));
        assert!(less.is_whole());
        assert_eq!((less.value, less.low, less.high), (-60.0, -70.0, -50.0));
    }
}

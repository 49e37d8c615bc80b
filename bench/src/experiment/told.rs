//! How what was found is told: one sentence first, the figures that carry it, pictures, and what it decides.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::Archive;
use crate::figure::chart::Chart;
use crate::figure::interval::{Interval, Verdict, blocks_needed};
use crate::figure::unit::Unit;

/// What [`super::contract::Findings`] are told by. Everything has a default, so that a new experiment is told by its
/// sentences until it has more.
pub trait Told {
    /// The answer in one sentence; `None` leaves it to the first of the others.
    fn headline(&self) -> Option<Headline> {
        None
    }

    /// Its pictures, the most important first: that one stands below the answer, the others on demand. Their names
    /// ([`Chart::id`]) are all different.
    fn charts(&self, _: &Archive) -> Vec<Chart> {
        Vec::new()
    }

    /// What it decides; `None` of an experiment that decides nothing.
    fn decision(&self) -> Option<Decision> {
        None
    }
}

/// The answer in one sentence.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Headline {
    /// The sentence. It says no more than its intervals do.
    pub sentence: String,
    /// How sure it is, in words.
    pub confidence: String,
    /// The figures that carry it, three at the most.
    pub figures: Vec<KeyFigure>,
}

/// A figure that carries an answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct KeyFigure {
    /// What it is.
    pub what: String,
    /// It, with its interval and unit.
    pub value: String,
}

impl KeyFigure {
    /// One of them.
    #[must_use]
    pub fn new(what: impl Into<String>, value: impl Into<String>) -> Self {
        Self { what: what.into(), value: value.into() }
    }
}

/// How sure an answer is for which no difference is tested.
pub const OBSERVED: &str = "observed in this run; no difference is tested";

/// How sure a difference is: what may be said of it, and by what.
#[must_use]
pub fn confidence(difference: &Interval, figure: f64) -> String {
    let blocks = difference.blocks;
    if difference.is_counted() {
        return format!("counted over {blocks} blocks: the same run gives the same figures again");
    }
    let p = difference.p.unwrap_or(1.0);
    match difference.verdict(figure) {
        Verdict::Different => {
            format!("different: exact signed-rank test over {blocks} blocks, {}", shown(p))
        }
        Verdict::Equal => format!("equal within the margin, by the whole 95 % interval over {blocks} blocks"),
        Verdict::CannotSay if !difference.is_known() => {
            format!("cannot say: {blocks} blocks are too few for an interval")
        }
        Verdict::CannotSay => format!("cannot say: over {blocks} blocks the test gives {}", shown(p)),
    }
}

/// A probability; one that is smaller than can be shown is said to be.
pub(super) fn shown(p: f64) -> String {
    if p < 0.0005 { "p < 0.0005".to_owned() } else { format!("p = {p:.3}") }
}

/// What has to be known of every picture whose figures are of so many blocks, in this unit.
#[must_use]
pub fn caveats(unit: Unit, blocks: usize) -> Vec<String> {
    let needed = blocks_needed(1);
    let few = unit == Unit::Nanoseconds && blocks < needed;
    let few = few.then(|| format!("Of {blocks} blocks no interval can be given: {needed} are the fewest."));
    let counted =
        "Executed instructions are counted here, of guest, KVM and host together; they are no time.";
    few.into_iter().chain((unit == Unit::Instructions).then(|| counted.to_owned())).collect()
}

/// Which of several are shown to be less than what they are held against, which more, and of which neither is shown.
#[must_use]
pub fn sides(words: [&str; 2], all: &[(String, Interval)], show: impl Fn(&Interval) -> String) -> String {
    let of = |word: &str, is: &dyn Fn(&Interval) -> bool, said: &dyn Fn(&(String, Interval)) -> String| {
        let those: Vec<String> = all.iter().filter(|(_, change)| is(change)).map(said).collect();
        (!those.is_empty()).then(|| format!("{word}: {}", those.join(", ")))
    };
    let with_figure = |(name, change): &(String, Interval)| format!("{name} ({})", show(change));
    let parts = [
        of(words[0], &|change| change.shows_difference() && change.middle < 0.0, &with_figure),
        of(words[1], &|change| change.shows_difference() && change.middle >= 0.0, &with_figure),
        of("not told apart", &|change| !change.shows_difference(), &|(name, _)| name.clone()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// How sure an answer is that names several differences: what the most doubtful of those that are shown rests on.
#[must_use]
pub fn of_all(all: &[(String, Interval)]) -> String {
    let shown = all.iter().map(|(_, change)| change).filter(|change| change.shows_difference());
    let doubtful = shown.max_by(|a, b| a.p.unwrap_or_default().total_cmp(&b.p.unwrap_or_default()));
    let blocks = all.iter().map(|(_, change)| change.blocks).min().unwrap_or_default();
    doubtful.map_or_else(
        || {
            let needed = blocks_needed(all.len());
            let few = blocks < needed && all.iter().all(|(_, change)| !change.is_counted());
            let few =
                if few { format!(", and {} comparisons take {needed}", all.len()) } else { String::new() };
            format!("cannot say: over {blocks} blocks no difference is shown{few}")
        },
        |change| format!("{}; corrected for {} comparisons", confidence(change, f64::INFINITY), all.len()),
    )
}

/// What is to be decided by an experiment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decision {
    /// Between what, and what speaks for each.
    pub options: Vec<Choice>,
    /// What follows; `None` where nothing does.
    pub decided: Option<String>,
    /// What it follows from, or why nothing does.
    pub because: String,
    /// When to look again, beside what holds of every decision.
    pub revisit: Vec<String>,
}

/// One of the things between which is decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice {
    /// What it is.
    pub name: String,
    /// What was measured of it.
    pub evidence: String,
}

impl Choice {
    /// One of them.
    #[must_use]
    pub fn new(name: impl Into<String>, evidence: impl Into<String>) -> Self {
        Self { name: name.into(), evidence: evidence.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(mean: f64, half: f64) -> Interval {
        Interval { middle: mean, low: mean - half, high: mean + half, blocks: 8, p: Some(0.01) }
    }

    #[test]
    fn sides_hold_what_is_shown_and_what_is_not() {
        let all = [
            ("a".to_owned(), of(-5.0, 1.0)),
            ("b".to_owned(), of(5.0, 1.0)),
            ("c".to_owned(), Interval { p: Some(0.2), ..of(1.0, 2.0) }),
        ];
        let said = sides(["cheaper", "dearer"], &all, |change| format!("{:+}", change.middle));
        assert_eq!(said, "cheaper: a (-5); dearer: b (+5); not told apart: c");
        assert!(
            of_all(&all).starts_with("different") && of_all(&all).ends_with("3 comparisons"),
            "{}",
            of_all(&all)
        );
        assert!(of_all(&all[2..]).starts_with("cannot say"));
    }

    #[test]
    fn confidence_says_what_the_verdict_says() {
        let interval = |mean, half, p| Interval {
            middle: mean,
            low: mean - half,
            high: mean + half,
            blocks: 8,
            p: Some(p),
        };
        assert!(
            confidence(&interval(10.0, 1.0, 0.008), 100.0)
                .starts_with("different: exact signed-rank test over 8")
        );
        assert!(confidence(&interval(0.1, 0.5, 0.4), 100.0).starts_with("equal within"));
        assert!(confidence(&interval(4.0, 9.0, 0.4), 100.0).starts_with("cannot say: over 8"));
        assert!(confidence(&Interval { blocks: 2, ..interval(4.0, 9.0, 0.5) }, 100.0).contains("too few"));
        assert!(confidence(&Interval { p: None, ..interval(4.0, 0.0, 0.5) }, 100.0).starts_with("counted"));
        assert_eq!([shown(0.0001), shown(0.03)], ["p < 0.0005", "p = 0.030"]);
    }
}

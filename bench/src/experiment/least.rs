//! The least of several figures, and what a test says of every other one against it.
//!
//! The least was looked for, so that any two of them could have been the ones compared: the others are corrected for all
//! pairs. Only where each of the others is shown to be more, or equal within the margin, is anything decided.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::told::shown;
use crate::figure::check::plural;
use crate::figure::interval::{Interval, MARGIN, Sampling, Verdict, holm_against_least, pairs};
use crate::figure::number::plain;
use crate::figure::power::Said;
use crate::figure::unit::{Unit, percent};

/// A figure of every block.
pub type Blocks = BTreeMap<u32, f64>;

/// How much more a figure is than the least of its table.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AgainstLeast {
    /// How much more, block by block, corrected for all pairs of the table.
    pub more: Interval,
    /// What is said of it, and what could have been.
    #[serde(flatten)]
    pub said: Said,
}

impl AgainstLeast {
    /// As it stands in a table: `=` marks what is equal within the margin, `~` what cannot be told apart.
    #[must_use]
    pub fn show(&self, unit: Unit) -> String {
        let mark = match self.said.verdict {
            Verdict::Different => "",
            Verdict::Equal => "= ",
            Verdict::CannotSay => "~ ",
        };
        format!("{mark}{}", plain(unit, &self.more))
    }
}

/// Holds the figures of one table against the least of them; `None` of that one itself, and of one that ran in no block with
/// it.
#[must_use]
pub fn against_least(table: &[&Blocks], how: Sampling) -> Vec<Option<AgainstLeast>> {
    let values = |blocks: &Blocks| blocks.values().copied().collect::<Vec<f64>>();
    let figures: Vec<Option<f64>> =
        table.iter().map(|blocks| Some(Interval::of(&values(blocks), how)?.middle)).collect();
    let known = figures.iter().enumerate().filter_map(|(at, figure)| Some((at, (*figure)?)));
    let Some((least, figure)) = known.min_by(|a, b| a.1.total_cmp(&b.1)) else {
        return vec![None; table.len()];
    };
    let more = |(at, blocks): (usize, &&Blocks)| {
        let both = |(block, value): (&u32, &f64)| Some(value - table[least].get(block)?);
        let more: Vec<f64> = blocks.iter().filter_map(both).collect();
        let interval = Interval::of(&more, how).filter(|_| at != least)?;
        Some((more, interval))
    };
    let mut all: Vec<Option<(Vec<f64>, Interval)>> = table.iter().enumerate().map(more).collect();
    holm_against_least(table.len(), all.iter_mut().flatten().map(|(_, interval)| interval));
    let said = |(values, more): (Vec<f64>, Interval)| AgainstLeast {
        more,
        said: Said::of(&values, &more, how, pairs(table.len()), figure),
    };
    all.into_iter().map(|one| one.map(said)).collect()
}

/// The same of rows with their figures, each within its own table; a row without one is in none.
pub fn in_tables<T, K: Ord>(
    rows: &mut [(T, Blocks)],
    table: impl Fn(&T) -> Option<K>,
    set: impl Fn(&mut T, Option<AgainstLeast>),
    how: Sampling,
) {
    let mut tables: BTreeMap<K, Vec<usize>> = BTreeMap::new();
    for (at, (row, _)) in rows.iter().enumerate() {
        if let Some(table) = table(row) {
            tables.entry(table).or_default().push(at);
        }
    }
    for places in tables.into_values() {
        let figures: Vec<&Blocks> = places.iter().map(|at| &rows[*at].1).collect();
        let against = against_least(&figures, how);
        for (at, against) in places.into_iter().zip(against) {
            set(&mut rows[at].0, against);
        }
    }
}

/// The least of a table, and the others by what is said of them.
pub struct Contest<'a, T> {
    /// The least.
    pub best: &'a T,
    /// Shown to be more.
    more: Vec<&'a T>,
    /// Equal within the margin.
    equal: Vec<&'a T>,
    /// Of which neither is shown.
    unsaid: Vec<&'a T>,
    of: fn(&T) -> Option<AgainstLeast>,
}

impl<'a, T> Contest<'a, T> {
    /// Of the rows of one table; nothing without any. Of a run that is older than the comparison nothing is said.
    pub fn of(rows: &'a [T], figure: impl Fn(&T) -> f64, of: fn(&T) -> Option<AgainstLeast>) -> Option<Self> {
        // Of two that are alike to the last digit, the one that the others were held against.
        let is_held = |row: &T| of(row).is_some();
        let order = |a: &&T, b: &&T| figure(a).total_cmp(&figure(b)).then(is_held(a).cmp(&is_held(b)));
        let best = rows.iter().min_by(order)?;
        let others = |verdict: Verdict| {
            let is = |row: &&T| {
                !std::ptr::eq(*row, best)
                    && of(row).map_or(Verdict::CannotSay, |against| against.said.verdict) == verdict
            };
            rows.iter().filter(is).collect()
        };
        let [more, equal, unsaid] = [Verdict::Different, Verdict::Equal, Verdict::CannotSay].map(others);
        Some(Self { best, more, equal, unsaid, of })
    }

    /// Whether it is known which to take: the least, or one that is equal to it.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        self.unsaid.is_empty() && !(self.more.is_empty() && self.equal.is_empty())
    }

    /// After what names the least: which do as well, or cannot be told from it; nothing if every other is shown to be more.
    pub fn but(&self, name: impl Fn(&T) -> String) -> String {
        let names = |rows: &[&T]| rows.iter().map(|row| name(row)).collect::<Vec<_>>().join(", ");
        let equal = (!self.equal.is_empty())
            .then(|| format!("; equal within {}: {}", percent(MARGIN), names(&self.equal)));
        let unsaid =
            (!self.unsaid.is_empty()).then(|| format!("; cannot be told from it: {}", names(&self.unsaid)));
        equal.into_iter().chain(unsaid).collect()
    }

    /// How sure that is, by what.
    pub fn confidence(&self, name: impl Fn(&T) -> String) -> String {
        let against = |rows: &[&T]| rows.iter().filter_map(|row| (self.of)(row)).collect::<Vec<_>>();
        let all: Vec<AgainstLeast> =
            [&self.more, &self.equal, &self.unsaid].into_iter().flat_map(|rows| against(rows)).collect();
        let Some(blocks) = all.iter().map(|against| against.more.blocks).min() else {
            return "nothing stands beside it: no difference is tested".to_owned();
        };
        if all.iter().all(|against| against.more.is_counted()) {
            return format!("counted over {blocks} blocks: the same run gives the same figures again");
        }
        let p = against(&self.more).iter().filter_map(|against| against.more.p).fold(0.0, f64::max);
        let more = format!("{} shown to be more ({} at the most)", self.more.len(), shown(p));
        let equal = format!("{} equal within {}", self.equal.len(), percent(MARGIN));
        let unsaid = self.unsaid.iter().map(|row| {
            let blocks = (self.of)(row).and_then(|against| against.said.blocks_needed);
            name(row) + &blocks.map_or_else(String::new, |blocks| format!(" ({blocks} blocks would)"))
        });
        let unsaid: Vec<String> = unsaid.collect();
        let parts = [
            (!self.more.is_empty()).then_some(more),
            (!self.equal.is_empty()).then_some(equal),
            (!unsaid.is_empty()).then(|| format!("cannot say of {}", unsaid.join(", "))),
        ];
        format!(
            "of {} other{} {}; exact signed-rank test over {blocks} blocks, corrected for {} pair{}",
            all.len(),
            plural(all.len()),
            parts.into_iter().flatten().collect::<Vec<_>>().join(", "),
            pairs(all.len() + 1),
            plural(pairs(all.len() + 1))
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOW: Sampling = Sampling::Drawn { seed: 1 };

    fn blocks(count: u32, of: impl Fn(f64) -> f64) -> Blocks {
        // Blocks differ, and what is paired does not see it.
        (0..count).map(|block| (block, of(f64::from(block) * 7.0 % 5.0))).collect()
    }

    struct Row {
        name: &'static str,
        figure: f64,
        against: Option<AgainstLeast>,
    }

    fn rows(named: &[(&'static str, Blocks)]) -> Vec<Row> {
        let figures: Vec<&Blocks> = named.iter().map(|(_, blocks)| blocks).collect();
        let row = |((name, blocks), against): (&(&'static str, Blocks), Option<AgainstLeast>)| Row {
            name,
            figure: blocks.values().sum::<f64>() / f64::from(u32::try_from(blocks.len()).unwrap()),
            against,
        };
        named.iter().zip(against_least(&figures, HOW)).map(row).collect()
    }

    fn contest(rows: &[Row]) -> Contest<'_, Row> {
        Contest::of(rows, |row| row.figure, |row| row.against).unwrap()
    }

    #[test]
    fn intervals_that_overlap_are_decided_by_their_pairs() {
        // From block to block by far more than between the two.
        let rows =
            rows(&[("a", blocks(8, |at| 100.0 + 50.0 * at)), ("b", blocks(8, |at| 110.0 + 50.0 * at))]);
        let contest = contest(&rows);
        assert!(contest.is_decided() && contest.best.name == "a", "{:?}", rows[1].against);
        assert_eq!((rows[0].against, contest.but(|row| row.name.to_owned())), (None, String::new()));
        let said = contest.confidence(|row| row.name.to_owned());
        assert!(said.starts_with("of 1 other 1 shown to be more (p = 0.008 at the most)"), "{said}");
        assert!(said.ends_with("over 8 blocks, corrected for 1 pair"), "{said}");
    }

    #[test]
    fn what_is_equal_does_as_well_and_what_cannot_be_told_leaves_it_open() {
        let level = |value: f64| blocks(12, move |at| value + 0.1 * at);
        let noisy = blocks(12, |at| 80.0 + 20.0 * at);
        let decided = rows(&[("a", level(100.0)), ("b", level(101.0)), ("c", level(150.0))]);
        // Ten blocks that are all on one side: different, though by less than the margin.
        assert_eq!(decided[1].against.unwrap().said.verdict, Verdict::Different);
        let near = blocks(12, |at| 100.05 + 0.1 * (at * 3.0 % 5.0));
        let equal = rows(&[("a", level(100.0)), ("b", near), ("c", level(150.0))]);
        assert_eq!(equal[1].against.unwrap().said.verdict, Verdict::Equal);
        let equal = contest(&equal);
        assert!(equal.is_decided(), "{}", equal.but(|row| row.name.to_owned()));
        assert_eq!(equal.but(|row| row.name.to_owned()), "; equal within 5.0 %: b");
        let open = rows(&[("a", level(100.0)), ("b", noisy), ("c", level(150.0))]);
        let open = contest(&open);
        assert!(!open.is_decided() && open.but(|row| row.name.to_owned()).ends_with("from it: b"));
        assert!(open.confidence(|row| row.name.to_owned()).contains("cannot say of b ("));
    }

    #[test]
    fn few_blocks_decide_nothing_and_nor_does_one_alone() {
        let of_five = |count| {
            let named = ["a", "b", "c", "d", "e"];
            let of = |(at, name): (usize, &&'static str)| {
                let at = f64::from(u32::try_from(at).unwrap());
                (*name, blocks(count, move |block| 100.0 * (1.0 + at) + block))
            };
            rows(&named.iter().enumerate().map(of).collect::<Vec<_>>())
        };
        // Ten pairs take nine blocks, however far apart they are.
        assert!(!contest(&of_five(8)).is_decided());
        assert!(contest(&of_five(9)).is_decided());
        let alone = rows(&[("a", blocks(9, |at| at))]);
        assert!(!contest(&alone).is_decided());
        assert!(contest(&alone).confidence(|row| row.name.to_owned()).contains("nothing stands beside it"));
    }

    #[test]
    fn what_ran_in_other_blocks_is_not_compared() {
        let later = (20..29).map(|block| (block, 300.0)).collect();
        let rows = rows(&[("a", blocks(9, |at| at)), ("b", later)]);
        assert_eq!(rows[1].against, None);
        assert!(!contest(&rows).is_decided());
    }
}

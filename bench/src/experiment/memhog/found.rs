//! Whether the memory that a guest has freed comes back to the host, and how soon.

use host::engine::GuestCounter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::Archive;
use crate::archive::group::Group;
use crate::axes::named::Named;
use crate::axes::rung::{Rung, label};
use crate::experiment::contract::Findings;
use crate::figure::check::{Check, Standing, check, none_of};
use crate::figure::curve::Series;
use crate::figure::interval::{Interval, Sampling};
use crate::figure::number;
use crate::figure::table::Grid;
use crate::figure::unit::{Unit, float, percent, ratio, total};
use crate::trial::engine::measured::{EngineMeasured, Round};
use crate::trial::kind::Engine;

/// The most rounds that are told apart by their number.
const ROUNDS: u64 = 1000;
/// The least share of the free memory that must be back after a round.
const RETURNED: f64 = 0.95;

/// What the experiment found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// What times are in.
    pub unit: Unit,
    /// For each transport.
    pub cells: Vec<OfTransport>,
}

/// Over one transport.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OfTransport {
    /// The transport.
    pub rung: Option<Named<Rung>>,
    /// Every round of every trial: trial and what the kernel said.
    pub rounds: Vec<(u32, Round)>,
    /// For each number of a round, from 1, the share of the guest's free memory that is back when reporting has settled,
    /// over trials; nothing where the witness could not tell in some trial.
    pub returned: Vec<Option<Interval>>,
    /// Nanoseconds from the last round's memory freed to the end of the last pass that reported, over trials.
    pub settled_ns: Interval,
    /// Reports made and pages in them, in all trials.
    pub reports: u64,
    /// See `reports`.
    pub pages: u64,
    /// Rounds each trial was to have.
    pub rounds_planned: u64,
    /// Resident and free bytes over nanoseconds, of the first trial.
    pub curve: Vec<[u64; 3]>,
}

impl Findings for Found {
    fn of(archive: &Archive) -> Self {
        let (groups, how) = (archive.groups::<Engine>(), archive.sampling());
        let mut cells: Vec<OfTransport> = groups.iter().map(|group| of_transport(group, how)).collect();
        cells.sort_by_key(|cell| cell.rung);
        Self { unit: archive.unit(), cells }
    }

    fn tables(&self) -> Vec<Grid> {
        let settled = Grid::of(
            "from the last round's memory freed to the end of the last pass that reported",
            &self.cells,
            &[
                ("transport", &|cell| label(cell.rung)),
                ("took [95 %]", &|cell| number::amount(self.unit, &cell.settled_ns)),
                ("reported in all", &|cell| number::mib(float(cell.pages) * 4096.0)),
                ("reports", &|cell| cell.reports.to_string()),
                ("n", &|cell| cell.settled_ns.blocks.to_string()),
            ],
        );
        vec![self.rounds(), settled]
    }

    fn checks(&self) -> Vec<Check> {
        let (mut faults, mut worst, mut rounds, mut unknown) = (Vec::new(), 1.0_f64, 0, 0);
        for cell in &self.cells {
            for (trial, round) in &cell.rounds {
                rounds += 1;
                let Some(back) = round.back() else {
                    unknown += 1;
                    continue;
                };
                worst = worst.min(back);
                if back < RETURNED {
                    let returned = percent(back);
                    let label = label(cell.rung);
                    faults.push(format!("round {} of trial {trial} ({label}): {returned}", round.round));
                }
            }
            let trials = cell.settled_ns.blocks as u64;
            let expected = cell.rounds_planned.saturating_mul(trials);
            if (cell.rounds.len() as u64) < expected {
                faults.push(format!(
                    "{}: {} of {expected} rounds settled",
                    label(cell.rung),
                    cell.rounds.len()
                ));
            }
        }
        let what = format!("every round returns at least {} of the free memory", percent(RETURNED));
        if faults.is_empty() && rounds == 0 {
            return vec![check(&what, Standing::Unknown, "no round settled".to_owned())];
        }
        if faults.is_empty() && unknown > 0 {
            let detail = format!("of {unknown} of {rounds} rounds nobody can tell");
            return vec![check(&what, Standing::Unknown, detail)];
        }
        vec![none_of(
            &what,
            Standing::Fails,
            &faults,
            rounds,
            format!("{rounds} rounds, at least {}", percent(worst)),
        )]
    }

    fn sentences(&self) -> Vec<String> {
        let sentence = |cell: &OfTransport| {
            let last = cell.returned.last().copied().flatten()?;
            Some(format!(
                "Over {}, {} of the guest's free memory was back when reporting had settled after the last round; the last pass that reported ended {} after the memory was freed (n = {}).",
                label(cell.rung),
                percent(last.middle),
                self.unit.show(cell.settled_ns.middle),
                cell.settled_ns.blocks
            ))
        };
        self.cells.iter().filter_map(sentence).collect()
    }

    fn curves(&self) -> Vec<Series> {
        self.cells.iter().flat_map(|cell| Series::of_memory(&label(cell.rung), &cell.curve)).collect()
    }
}

fn of_transport(group: &Group<'_, Engine>, how: Sampling) -> OfTransport {
    let with_trial = group.trials.iter().filter_map(|trial| Some((trial.trial, trial.measured::<Engine>()?)));
    let rounds: Vec<(u32, Round)> =
        with_trial.flat_map(|(trial, m)| m.settled.iter().map(move |round| (trial, *round))).collect();
    // A round is what the guest calls it.
    let most = rounds.iter().map(|(_, round)| round.round).max().unwrap_or_default();
    let returned = (1..=most.min(ROUNDS)).map(|number| {
        let shares: Vec<f64> = rounds
            .iter()
            .filter(|(_, round)| round.round == number)
            .map(|(_, round)| round.back())
            .collect::<Option<_>>()?;
        Interval::of(&shares, how)
    });
    OfTransport {
        rung: group.choices.rung().map(Named),
        returned: returned.collect(),
        settled_ns: group.interval(how, settling),
        reports: group.sum(GuestCounter::Reports),
        pages: group.sum(GuestCounter::ReportedPages),
        rounds_planned: group.choices.rounds,
        curve: group.measured().next().map(|measured| measured.curve.clone()).unwrap_or_default(),
        rounds,
    }
}

/// Nanoseconds from the last round's memory freed to the end of the last pass that reported.
fn settling(measured: &EngineMeasured) -> f64 {
    let last = measured.passes().filter(|pass| pass.pages > 0).map(|pass| pass.ended).max();
    measured.counts.clock.figure(float(last.unwrap_or_default().saturating_sub(measured.freed)))
}

/// A row for each number up to the largest, with what is known of the share that was back.
fn numbered(cell: &OfTransport) -> impl Iterator<Item = (&OfTransport, u64, Option<Interval>)> {
    (1..).zip(&cell.returned).map(move |(number, back)| (cell, number, *back))
}

/// The rounds of a transport that have a number.
fn rounds_of(cell: &OfTransport, number: u64) -> impl Iterator<Item = &Round> {
    cell.rounds.iter().map(|(_, round)| round).filter(move |round| round.round == number)
}

/// Mean over the trials that had the round.
fn mean(cell: &OfTransport, number: u64, pages: fn(&Round) -> u64) -> String {
    let sum = total(rounds_of(cell, number).map(pages));
    number::mib(ratio(float(sum), float(rounds_of(cell, number).count() as u64)) * 4096.0)
}

impl Found {
    fn rounds(&self) -> Grid {
        Grid::of(
            "memory that is free in the guest, and is unmapped on the host and back when reporting has settled",
            self.cells.iter().flat_map(numbered),
            &[
                ("transport", &|&(cell, number, _)| {
                    if number == 1 { label(cell.rung) } else { String::new() }
                }),
                ("round", &|(_, number, _)| number.to_string()),
                ("free", &|&(cell, number, _)| mean(cell, number, |round| round.free)),
                ("unmapped", &|&(cell, number, _)| mean(cell, number, |round| round.unmapped)),
                ("back [95 %]", &|(_, _, back)| back.map_or_else(|| "unknown".to_owned(), in_hundredths)),
                ("least", &|&(cell, number, back)| {
                    let least = rounds_of(cell, number).filter_map(Round::back).fold(1.0, f64::min);
                    back.map_or_else(String::new, |_| percent(least))
                }),
                ("still resident", &|&(cell, number, _)| mean(cell, number, |round| round.resident)),
                ("reported", &|&(cell, number, _)| mean(cell, number, |round| round.reported)),
                ("n", &|&(cell, number, _)| rounds_of(cell, number).count().to_string()),
            ],
        )
    }
}

fn in_hundredths(back: Interval) -> String {
    number::around(&back, " %", |share| format!("{:.2}", share * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of two rounds the witness could not tell the first.
    fn cell() -> OfTransport {
        let round = |round, unknown| Round { round, free: 100, back: 98, unknown, ..Round::default() };
        let of = |mean| Interval { middle: mean, low: mean, high: mean, blocks: 1, p: Some(1.0) };
        OfTransport {
            rung: None,
            rounds: vec![(0, round(1, 5)), (0, round(2, 0))],
            returned: vec![None, Some(of(0.98))],
            settled_ns: of(2e6),
            reports: 3,
            pages: 98,
            rounds_planned: 2,
            curve: Vec::new(),
        }
    }

    #[test]
    fn a_round_that_is_not_known_is_not_another_one() {
        let found = Found { unit: Unit::Nanoseconds, cells: vec![cell()] };
        let rounds = found.rounds().to_text();
        let is_first = |what| rounds.lines().find(|line| line.contains(what)).unwrap().contains("custom");
        assert_eq!([is_first("unknown"), is_first("98.00 %")], [true, false], "{rounds}");
        let said = found.sentences().join("\n");
        assert!(
            said.contains("98.0 % of the guest's free memory was back when reporting had settled"),
            "{said}"
        );
        assert!(said.contains("ended 2.00 ms after the memory was freed (n = 1)"), "{said}");
        let unknown = OfTransport { returned: vec![Some(Interval::default()), None], ..cell() };
        let found = Found { unit: Unit::Nanoseconds, cells: vec![unknown] };
        assert!(found.sentences().is_empty(), "nothing is known of the last round");
    }

    #[test]
    fn of_no_rounds_nothing_holds() {
        let standing = |cells| Found { unit: Unit::Nanoseconds, cells }.checks()[0].standing;
        assert_eq!(standing(vec![]), Standing::Unknown);
        let none = OfTransport { rounds: Vec::new(), ..cell() };
        assert_eq!(standing(vec![none.clone()]), Standing::Fails, "two were planned");
        assert_eq!(standing(vec![OfTransport { rounds_planned: 0, ..none }]), Standing::Unknown);
    }
}

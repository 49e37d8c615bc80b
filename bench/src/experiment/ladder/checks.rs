//! What must hold for the rungs to be compared.

use host::axes::Discard;

use super::cell::{CellSummary, find, paired};
use crate::axes::rung::Rung;
use crate::figure::check::{Check, Standing, check, none_of};
use crate::figure::interval::{Interval, MARGIN, Sampling, Verdict};
use crate::figure::number;
use crate::figure::unit::{Unit, percent, ratio, total};
use crate::trial::timed::phases::Phase;

/// The least share of a report that should lie in its phases.
const EXPLAINED: f64 = 0.95;
/// The fewest reports in a tenth whose medians can be held against each other.
const TENTH: u64 = 200;
/// The most by which the last tenth of a trial may differ from the first.
const DRIFT: f64 = 0.10;

/// What is known of no cells.
pub(super) const NOTHING: &str = "nothing was measured";

/// All of them.
#[must_use]
pub fn all(cells: &[CellSummary], unit: Unit, how: Sampling) -> Vec<Check> {
    let mut checks = vec![explained(cells), drift(cells)];
    checks.extend(twice_the_same(cells, unit, how));
    checks
}

fn explained(cells: &[CellSummary]) -> Check {
    let reports = total(cells.iter().map(|cell| cell.reports));
    let faults: Vec<String> = cells
        .iter()
        .filter(|cell| cell.explained < EXPLAINED)
        .map(|cell| format!("{}: {}", cell.title(), percent(1.0 - cell.explained)))
        .collect();
    let least = cells.iter().map(|cell| cell.explained).fold(1.0, f64::min);
    // Gaps between neighbouring stamps are the phases by definition: that they add up says nothing about where the
    // stamps are. Delays planted beside each of them do: `host/tests/timed/phases.rs`.
    let what = format!("stamps telescope: at most {} of a report is in no phase", percent(1.0 - EXPLAINED));
    none_of(&what, Standing::Doubtful, &faults, reports, format!("at most {}", percent(1.0 - least)))
}

fn drift(cells: &[CellSummary]) -> Check {
    let (mut faults, mut most, mut least) = (Vec::new(), 0.0_f64, u64::MAX);
    for cell in cells {
        let p50 = |phase| cell.phase(phase).cost.p50;
        least = least.min(cell.phase(Phase::FirstTenth).cost.n);
        let drift = ratio(p50(Phase::LastTenth), p50(Phase::FirstTenth)) - 1.0;
        most = most.max(drift.abs());
        if drift.abs() > DRIFT {
            faults.push(format!("{}: {:+.0} %", cell.title(), drift * 100.0));
        }
    }
    let what = "the last tenth of the trials costs what the first does";
    if least < TENTH {
        let detail = format!("{least} reports in a tenth are too few to say: use more --reports");
        return check(what, Standing::Unknown, detail);
    }
    none_of(
        what,
        Standing::Doubtful,
        &faults,
        cells.len() as u64,
        format!("within {}, medians", percent(most)),
    )
}

/// The floor reports nothing, so its two cells are the same work run twice: an A/A test within the run.
fn twice_the_same(cells: &[CellSummary], unit: Unit, how: Sampling) -> Option<Check> {
    let [none, dontneed] =
        [Discard::None, Discard::DontNeed].map(|discard| find(cells, Rung::Floor, discard));
    let difference = Interval::of(&paired(none?, dontneed?), how)?;
    let detail = format!("floor run as two cells differs by {}", number::plain(unit, &difference));
    let once = none?.a_range().p50;
    let what = format!("the same work measured twice is equal within {}", percent(MARGIN));
    let standing = match difference.verdict(once) {
        Verdict::Equal => Standing::Holds,
        Verdict::Different if difference.middle.abs() < MARGIN * once => Standing::Holds,
        Verdict::Different => Standing::Doubtful,
        Verdict::CannotSay => Standing::Unknown,
    };
    Some(check(&what, standing, detail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::ladder::stopwatch;

    #[test]
    fn of_no_cells_nothing_holds() {
        let (unit, how) = (Unit::Nanoseconds, Sampling::Counted);
        let checks = all(&[], unit, how).into_iter().chain([stopwatch::check_of(&[], &[], unit)]);
        let standings: Vec<Standing> = checks.map(|check| check.standing).collect();
        assert_eq!(standings, [Standing::Unknown; 3]);
    }
}

//! What must hold of every trial, of whatever kind.

use std::collections::{BTreeMap, BTreeSet};

use abi::violation::Violation;

use super::counts::Counts;
use super::record::TrialRecord;
use crate::figure::check::{Check, Standing, check, none_of};
use crate::figure::unit::total;

/// All of them, for a run of so many planned trials.
#[must_use]
pub fn all(planned: usize, trials: &[TrialRecord]) -> Vec<Check> {
    let measured: Vec<(&TrialRecord, &Counts)> =
        trials.iter().filter_map(|trial| Some((trial, trial.counts()?))).collect();
    vec![
        complete(planned, trials),
        oracle(&measured),
        refused(&measured),
        one_mode(&measured),
        placed(&measured),
    ]
}

fn complete(planned: usize, trials: &[TrialRecord]) -> Check {
    let failed: Vec<String> = trials
        .iter()
        .filter_map(|trial| Some(format!("trial {} failed: {}", trial.trial, trial.error()?)))
        .collect();
    let standing = if failed.is_empty() { Standing::Doubtful } else { Standing::Fails };
    let missing = planned.saturating_sub(trials.len());
    let stopped =
        (missing > 0).then(|| format!("{missing} of {planned} trials are missing: the run was stopped"));
    let measured = trials.len() - failed.len();
    let faults: Vec<String> = failed.into_iter().chain(stopped).collect();
    none_of("every trial of the plan ran to its end", standing, &faults, format!("{measured} of {planned}"))
}

/// What the guest's oracle found.
fn oracle(measured: &[(&TrialRecord, &Counts)]) -> Check {
    let mut faults = Vec::new();
    for (trial, counts) in measured {
        for (name, count) in &counts.violations {
            let sentence =
                Violation::ALL.iter().find(|known| known.name() == name).map_or("", |known| known.sentence());
            faults.push(format!("{name} {count} times in trial {}: {sentence}", trial.trial));
        }
    }
    let pages = total(measured.iter().map(|(_, counts)| counts.checked_pages));
    let what = "no byte was lost and no page handed out wrongly";
    none_of(what, Standing::Fails, &faults, format!("{pages} pages looked at"))
}

fn refused(measured: &[(&TrialRecord, &Counts)]) -> Check {
    let mut faults = Vec::new();
    for (trial, counts) in measured {
        let trial = trial.trial;
        faults.extend(
            counts.refused.iter().map(|(reason, count)| format!("{reason}: {count} ranges in trial {trial}")),
        );
        if counts.madvise_failures > 0 {
            faults.push(format!("madvise failed {} times in trial {trial}", counts.madvise_failures));
        }
    }
    let calls: u64 = measured.iter().map(|(_, counts)| counts.madvise_calls).sum();
    none_of(
        "no range was refused and no madvise failed",
        Standing::Fails,
        &faults,
        format!("{calls} madvise calls"),
    )
}

/// Threads that run in each other's way cost each other time that is no transport's.
fn placed(measured: &[(&TrialRecord, &Counts)]) -> Check {
    let what = "every thread had a core of its own, on one memory node";
    // One processor is all there is where instructions are counted, and which thread has it changes no count.
    let timed = measured.iter().filter(|(_, counts)| counts.clock.tells_time());
    let placements: Vec<_> = timed.map(|(_, counts)| counts.placement.as_ref()).collect();
    if placements.is_empty() || placements.contains(&None) {
        return check(what, Standing::Unknown, "it was not recorded, or changes nothing".to_owned());
    }
    let remarks: BTreeSet<&String> = placements.iter().flatten().flat_map(|placed| &placed.remarks).collect();
    let faults: Vec<String> = remarks.into_iter().cloned().collect();
    none_of(what, Standing::Doubtful, &faults, format!("{} trials", placements.len()))
}

/// A difference between trials of different guest modes compares more than it says.
fn one_mode(measured: &[(&TrialRecord, &Counts)]) -> Check {
    let mut modes: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for (trial, counts) in measured {
        let label = trial.rung.map_or_else(|| "others".to_owned(), |rung| rung.to_string());
        modes.entry(counts.guest_ring).or_default().insert(label);
    }
    let what = "every trial ran in the same guest mode";
    let described: Vec<String> = modes
        .iter()
        .map(|(mode, labels)| {
            format!("ring {mode}: {}", labels.iter().cloned().collect::<Vec<_>>().join(", "))
        })
        .collect();
    match modes.len() {
        0 | 1 => check(what, Standing::Holds, modes.keys().map(|mode| format!("ring {mode}")).collect()),
        _ => check(what, Standing::Doubtful, described.join("; ")),
    }
}

//! What must hold of every trial, of whatever kind.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use abi::violation::Violation;
use host::axes::HaltPoll;
use host::engine::GuestCounter;

use super::counts::{Counts, PutOff};
use super::kind::{Engine, Linux, Timed};
use super::record::TrialRecord;
use super::{quiet, took_part};
use crate::figure::check::{Check, Standing, check, none_of};
use crate::figure::unit::total;

/// How much was to be run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Planned {
    /// So many trials.
    Trials(usize),
    /// As many as there was time for.
    For(Duration),
    /// As many as it took to know enough.
    Until {
        /// It was stopped before.
        interrupted: bool,
    },
}

/// What is asked of the run as a whole: what is missing is no fault of what is there.
pub const COMPLETE: &str = "every trial of the plan ran to its end";

/// What is written down after the last trial is part of a run's time, and of no trial's.
const AFTER_THE_LAST: Duration = Duration::from_secs(1);

/// All of them, for a run of which so much was planned.
#[must_use]
pub fn all(planned: Planned, trials: &[TrialRecord]) -> Vec<Check> {
    let measured: Vec<(&TrialRecord, &Counts)> =
        trials.iter().filter_map(|trial| Some((trial, trial.counts()?))).collect();
    let mut checks = vec![
        complete(planned, trials),
        oracle(&measured),
        refused(&measured),
        one_mode(&measured),
        placed(&measured),
    ];
    checks.extend(sleeps(&measured));
    let reporting: Vec<_> = measured.iter().copied().filter(|(trial, _)| ranges(trial) > 0).collect();
    checks.extend(took_part::where_chosen(&reporting));
    checks.extend(put_off(&measured));
    checks.extend(quiet::left_alone(trials));
    checks
}

impl Planned {
    /// What is not there, if the run was stopped.
    fn stopped(self, trials: &[TrialRecord]) -> Option<String> {
        match self {
            Self::Trials(planned) => {
                let missing = planned.checked_sub(trials.len()).filter(|missing| *missing > 0)?;
                Some(format!("{missing} of {planned} trials are missing: the run was stopped"))
            }
            Self::For(time) => {
                let ran = seconds(trials)?;
                let sentence =
                    || format!("the run was stopped after {ran:.0} of {:.0} s", time.as_secs_f64());
                (!has_lasted(time, trials)).then(sentence)
            }
            Self::Until { interrupted } => {
                interrupted.then(|| "the run was stopped before it knew enough".to_owned())
            }
        }
    }
}

/// Whether the trials of a run took so long.
#[must_use]
pub fn has_lasted(time: Duration, trials: &[TrialRecord]) -> bool {
    seconds(trials).is_none_or(|ran| ran + AFTER_THE_LAST.as_secs_f64() >= time.as_secs_f64())
}

/// From the beginning of the first trial to the end of the last.
fn seconds(trials: &[TrialRecord]) -> Option<f64> {
    let (first, last) = (trials.first()?, trials.last()?);
    Some(last.started_s? + last.took_s? - first.started_s?)
}

fn complete(planned: Planned, trials: &[TrialRecord]) -> Check {
    let failed: Vec<String> = trials
        .iter()
        .filter_map(|trial| Some(format!("trial {} failed: {}", trial.trial, trial.error()?)))
        .collect();
    let standing = if failed.is_empty() { Standing::Doubtful } else { Standing::Fails };
    let measured = trials.len() - failed.len();
    let faults: Vec<String> = failed.into_iter().chain(planned.stopped(trials)).collect();
    none_of(COMPLETE, standing, &faults, measured as u64, format!("{measured} trials"))
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
    none_of(what, Standing::Fails, &faults, pages, format!("{pages} pages looked at"))
}

fn refused(measured: &[(&TrialRecord, &Counts)]) -> Check {
    let mut faults = Vec::new();
    for (record, counts) in measured {
        let trial = record.trial;
        faults.extend(
            counts.refused.iter().map(|(reason, count)| format!("{reason}: {count} ranges in trial {trial}")),
        );
        if counts.madvise_failures > 0 {
            let said = counts.madvise_error.as_deref().unwrap_or("the reason was not recorded");
            let times = counts.madvise_failures;
            let call = record.choices().way().discard.0.call();
            faults.push(format!("{call} failed {times} times in trial {trial}: {said}"));
        }
    }
    let calls = total(measured.iter().map(|(_, counts)| counts.madvise_calls));
    let reported = total(measured.iter().map(|(trial, _)| ranges(trial)));
    none_of(
        "no range was refused and no madvise failed",
        Standing::Fails,
        &faults,
        reported,
        format!("{} trials, {calls} madvise calls", measured.len()),
    )
}

/// Ranges that the guest reported.
fn ranges(trial: &TrialRecord) -> u64 {
    let timed = trial.measured::<Timed>().map(|found| found.ranges);
    let engine = trial.measured::<Engine>().map(|found| found.sum(GuestCounter::Reported));
    let linux = trial.measured::<Linux>().map(|found| found.in_all.reports);
    timed.or(engine).or(linux).unwrap_or_default()
}

/// Where a vCPU is to sleep as soon as it halts, KVM must not have spun for it.
fn sleeps(measured: &[(&TrialRecord, &Counts)]) -> Option<Check> {
    let is_sleeper = |record: &TrialRecord| record.choices().way().halt_poll.0 == HaltPoll::Never;
    let sleepers: Vec<_> = measured.iter().filter(|(record, _)| is_sleeper(record)).collect();
    sleepers.first()?;
    let (mut faults, mut silent, mut wake_ups) = (Vec::new(), 0, 0_u64);
    for (record, counts) in &sleepers {
        let stat = |name| counts.kvm_stats.get(name).copied();
        let (Some(polls), Some(woken)) = (stat("halt_successful_poll"), stat("halt_wakeup")) else {
            silent += 1;
            continue;
        };
        if polls > 0 {
            faults.push(format!("{polls} times in trial {} ({})", record.trial, record.choices().tag()));
        }
        wake_ups = wake_ups.saturating_add(woken);
    }
    let what = "a vCPU with halt-poll 0 was never spun for";
    if faults.is_empty() && silent > 0 {
        let detail = format!("KVM keeps no statistics of halts in {silent} of {} trials", sleepers.len());
        return Some(check(what, Standing::Unknown, detail));
    }
    Some(none_of(what, Standing::Fails, &faults, wake_ups, format!("{wake_ups} wake-ups")))
}

/// What is put off is discarded in the end, unless it was taken back.
fn put_off(measured: &[(&TrialRecord, &Counts)]) -> Option<Check> {
    let counts = || measured.iter().filter_map(|(trial, counts)| Some((trial.trial, counts.put_off?)));
    counts().next()?;
    let mut faults = Vec::new();
    for (trial, PutOff { remembered, discarded, taken_back, failures, .. }) in counts() {
        if failures > 0 || discarded == 0 || discarded.saturating_add(taken_back) != remembered {
            faults.push(format!(
                "trial {trial}: of {remembered} pages {discarded} discarded, {taken_back} taken back, {failures} calls failed"
            ));
        }
    }
    let discarded = total(counts().map(|(_, counts)| counts.discarded));
    let what = "what was put off was discarded when memory was wanted, unless the guest had taken it back";
    Some(none_of(what, Standing::Fails, &faults, discarded, format!("{discarded} pages")))
}

/// Threads that run in each other's way cost each other time that is no transport's.
fn placed(measured: &[(&TrialRecord, &Counts)]) -> Check {
    let what = "every thread that is measured had a core of its own, on one memory node";
    // One processor is all there is where instructions are counted, and which thread has it changes no count.
    let timed = measured.iter().filter(|(_, counts)| counts.clock.tells_time());
    let placements: Vec<_> = timed.map(|(_, counts)| counts.placement.as_ref()).collect();
    let remarks: BTreeSet<&String> = placements.iter().flatten().flat_map(|placed| &placed.remarks).collect();
    let faults: Vec<String> = remarks.into_iter().cloned().collect();
    if placements.is_empty() || (faults.is_empty() && placements.contains(&None)) {
        return check(what, Standing::Unknown, "it was not recorded, or changes nothing".to_owned());
    }
    none_of(
        what,
        Standing::Doubtful,
        &faults,
        placements.len() as u64,
        format!("{} trials", placements.len()),
    )
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
        0 => none_of(what, Standing::Doubtful, &[], 0, String::new()),
        1 => check(what, Standing::Holds, modes.keys().map(|mode| format!("ring {mode}")).collect()),
        _ => check(what, Standing::Doubtful, described.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axes::named::Named;
    use crate::trial::record::{Body, Ending};

    #[test]
    fn of_nothing_nothing_holds() {
        let of_nothing = all(Planned::Trials(0), &[]);
        assert!(of_nothing.iter().all(|check| check.standing == Standing::Unknown), "{of_nothing:#?}");
        let (record, _) = crate::testing::timed::trial(0, 1000);
        let sound = all(Planned::Trials(1), &[record]);
        assert!(sound.iter().all(|check| check.standing == Standing::Holds), "{sound:#?}");
    }

    /// The check on trials of `virtio` of which KVM says so.
    fn slept(stats: &[&[(&str, u64)]]) -> Standing {
        let of = |stats: &&[(&str, u64)]| {
            let (mut record, _) = crate::testing::timed::trial(0, 1000);
            let Body::Timed { choices, ending: Ending::Measured(found) } = &mut record.body else {
                unreachable!()
            };
            choices.way.halt_poll = Named(HaltPoll::Never);
            found.counts.kvm_stats = stats.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
            record
        };
        let records: Vec<TrialRecord> = stats.iter().map(of).collect();
        let measured: Vec<_> = records.iter().map(|record| (record, record.counts().unwrap())).collect();
        sleeps(&measured).unwrap().standing
    }

    #[test]
    fn a_vcpu_that_kvm_spun_for_has_not_slept() {
        let sleeper: &[(&str, u64)] = &[("halt_successful_poll", 0), ("halt_wakeup", 400)];
        let spun: &[(&str, u64)] = &[("halt_successful_poll", 1), ("halt_wakeup", 399)];
        assert_eq!(slept(&[sleeper, sleeper]), Standing::Holds);
        assert_eq!(slept(&[spun]), Standing::Fails);
        assert_eq!(
            slept(&[&[("halt_successful_poll", 0), ("halt_wakeup", 0)]]),
            Standing::Unknown,
            "it never halted"
        );
        assert_eq!(slept(&[&[], sleeper]), Standing::Unknown);
        for both in [[&[][..], spun], [spun, &[]]] {
            assert_eq!(slept(&both), Standing::Fails, "a silent trial hides nothing");
        }
        let (record, _) = crate::testing::timed::trial(0, 1000);
        assert!(sleeps(&[(&record, record.counts().unwrap())]).is_none(), "who may be spun for is not asked");
    }

    #[test]
    fn a_run_that_was_stopped_is_not_complete_however_it_was_planned() {
        let trials = [0.0, 4.0].map(|started| {
            let (mut record, _) = crate::testing::timed::trial(0, 1000);
            (record.started_s, record.took_s) = (Some(1e9 + started), Some(2.0));
            record
        });
        let of = |planned| complete(planned, &trials);
        for planned in [Planned::Trials(2), Planned::For(Duration::from_secs(6))] {
            assert_eq!(of(planned).standing, Standing::Holds, "{planned:?}");
        }
        for (planned, said) in [
            (Planned::Trials(5), "3 of 5 trials are missing"),
            (Planned::For(Duration::from_secs(600)), "stopped after 6 of 600 s"),
        ] {
            let check = of(planned);
            assert!(check.standing == Standing::Doubtful && check.detail.contains(said), "{check:?}");
        }
    }
}

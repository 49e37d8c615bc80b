//! What must hold in every run of the engine, whatever it asks. A check that fails makes the exit code 1.

use std::collections::BTreeSet;

use abi::addr::Order;
use abi::axes::Axis;
use abi::violation::Violation;
use host::axes::{Backing, Carrier, Discard, Servicer};
use host::engine::{GuestCounter, Inhibited, Reporting};

use super::record::{EngineMeasured, EngineRecord};
use crate::checks::{Check, Standing, check, none_of};
use crate::unit::total;

/// How far a run came.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Trials that were to be run.
    pub planned: usize,
    /// Trials with an outcome.
    pub measured: usize,
}

/// All of them.
#[must_use]
pub fn all(extent: Extent, trials: &[EngineRecord]) -> Vec<Check> {
    let measured: Vec<(&EngineRecord, &EngineMeasured)> =
        trials.iter().filter_map(|trial| Some((trial, trial.measured()?))).collect();
    let mut checks = vec![
        complete(extent, trials),
        oracle(&measured),
        nothing_lost(&measured),
        refused(&measured),
        both_sides(&measured),
        discarded(&measured),
        reporting(&measured),
        one_mode(&measured),
    ];
    checks.extend(failed_allocations(&measured));
    checks
}

fn complete(Extent { planned, measured }: Extent, trials: &[EngineRecord]) -> Check {
    use crate::journal::Trial;
    let failed: Vec<String> = trials
        .iter()
        .filter_map(|trial| Some(format!("trial {} failed: {}", trial.trial, trial.error()?)))
        .collect();
    let standing = if failed.is_empty() { Standing::Doubtful } else { Standing::Fails };
    let missing = planned.saturating_sub(measured + failed.len());
    let stopped =
        (missing > 0).then(|| format!("{missing} of {planned} trials are missing: the run was stopped"));
    let faults: Vec<String> = failed.into_iter().chain(stopped).collect();
    none_of("every trial of the plan ran to its end", standing, &faults, format!("{measured} of {planned}"))
}

fn oracle(measured: &[(&EngineRecord, &EngineMeasured)]) -> Check {
    let mut faults = Vec::new();
    for (trial, m) in measured {
        for (name, count) in &m.violations {
            let sentence =
                Violation::ALL.iter().find(|known| known.name() == name).map_or("", |known| known.sentence());
            faults.push(format!("{name} {count} times in trial {}: {sentence}", trial.trial));
        }
    }
    let pages = total(measured.iter().map(|(_, m)| m.sum(GuestCounter::Checked)));
    none_of(
        "no byte was lost and no page handed out wrongly",
        Standing::Fails,
        &faults,
        format!("{pages} pages looked at"),
    )
}

fn nothing_lost(measured: &[(&EngineRecord, &EngineMeasured)]) -> Check {
    let (mut faults, mut worst, mut rounds) = (Vec::new(), Standing::Doubtful, 0);
    for (trial, m) in measured {
        let kept = trial.choices.discard.0 == Discard::None || poisoned(trial);
        for round in &m.settled {
            rounds += 1;
            if round.lost > 0 {
                worst = Standing::Fails;
                let lost = round.lost;
                faults.push(format!("{lost} pages after round {} of trial {}", round.round, trial.trial));
            }
            if round.reported_resident > 0 && !kept {
                let collapsed = may_collapse(trial);
                worst = if collapsed { worst } else { Standing::Fails };
                faults.push(format!(
                    "{} reported pages are resident after round {} of trial {}{}",
                    round.reported_resident,
                    round.round,
                    trial.trial,
                    if collapsed { ": khugepaged may have filled a huge page that had holes" } else { "" }
                ));
            }
        }
    }
    let what = "by the kernel's view, reported pages are gone and no other page is";
    if rounds == 0 {
        return check(what, Standing::Unknown, "no load of this run ends a round".to_owned());
    }
    none_of(what, worst, &faults, format!("{rounds} rounds"))
}

/// Whether a report can leave holes in a huge page, which the host's kernel is free to fill again.
fn may_collapse(trial: &EngineRecord) -> bool {
    trial.choices.backing.0 == Backing::AnonThp && trial.choices.min_order < Order::HUGE.get()
}

/// A host that is told of a poison leaves the pages as they are.
fn poisoned(trial: &EngineRecord) -> bool {
    trial.choices.poison.is_some_and(|poison| poison != 0)
}

fn refused(measured: &[(&EngineRecord, &EngineMeasured)]) -> Check {
    let mut faults = Vec::new();
    for (trial, m) in measured {
        let trial = trial.trial;
        faults.extend(
            m.refused.iter().map(|(reason, count)| format!("{reason}: {count} ranges in trial {trial}")),
        );
        if m.madvise_failures > 0 {
            faults.push(format!("madvise failed {} times in trial {trial}", m.madvise_failures));
        }
        let refused = m.sum(GuestCounter::Refused);
        if refused > 0 {
            faults.push(format!("{refused} calls by the guest's count in trial {trial}"));
        }
    }
    let calls: u64 = measured.iter().map(|(_, m)| m.madvise_calls).sum();
    none_of(
        "no range was refused and no madvise failed",
        Standing::Fails,
        &faults,
        format!("{calls} madvise calls"),
    )
}

/// Calls that a carrier needs for what was reported: in registers one a block, else one a report.
fn calls(trial: &EngineRecord, m: &EngineMeasured) -> u64 {
    match trial.choices.carrier.0 {
        Carrier::Registers => m.sum(GuestCounter::Reported),
        _ => m.sum(GuestCounter::Reports),
    }
}

/// Whether both sides counted the same. Where a load runs for rounds that is exact. A timed one goes on reporting while
/// its processors wait for each other at the ends of the measured part, so that the host may count more; and a report
/// of each processor may straddle them, of `each` at the most.
fn agree(trial: &EngineRecord, guest: u64, host: u64, each: u64) -> bool {
    if trial.choices.load.0.is_timed() {
        host.saturating_add(each * u64::from(trial.choices.vcpus)) >= guest
    } else {
        host == guest
    }
}

/// Where the vCPU's own thread serves, every call is an exit.
fn both_sides(measured: &[(&EngineRecord, &EngineMeasured)]) -> Check {
    let (mut faults, mut agreed) = (Vec::new(), 0);
    for (trial, m) in measured {
        if trial.choices.servicer.0 != Servicer::Vcpu {
            continue;
        }
        let (guest, host) = (calls(trial, m), m.exits.transport());
        let each = if trial.choices.carrier.0 == Carrier::Registers { trial.choices.capacity } else { 1 };
        if !agree(trial, guest, host, each.into()) {
            faults
                .push(format!("trial {}: {guest} calls by the guest, {host} exits by the host", trial.trial));
        }
        agreed += host;
    }
    none_of(
        "the host was called as often as the guest called",
        Standing::Fails,
        &faults,
        format!("{agreed} calls"),
    )
}

fn discarded(measured: &[(&EngineRecord, &EngineMeasured)]) -> Check {
    let (mut faults, mut pages) = (Vec::new(), 0);
    for (trial, m) in measured {
        let reported = m.sum(GuestCounter::ReportedPages);
        let keeps = trial.choices.discard.0 == Discard::None || poisoned(trial);
        let each = u64::from(trial.choices.capacity) * Order::MAX.pages();
        let agree =
            if keeps { m.discarded_pages == 0 } else { agree(trial, reported, m.discarded_pages, each) };
        if !agree {
            let taken = m.discarded_pages;
            faults.push(format!("trial {}: {reported} pages reported, {taken} discarded", trial.trial));
        }
        pages += m.discarded_pages;
    }
    none_of(
        "the host discarded the pages that the guest reported",
        Standing::Fails,
        &faults,
        format!("{pages} pages"),
    )
}

/// A row that is called "on" has reported; one that is not, has not.
fn reporting(measured: &[(&EngineRecord, &EngineMeasured)]) -> Check {
    let (mut faults, mut reports) = (Vec::new(), 0);
    let mut worst = Standing::Doubtful;
    for (trial, m) in measured {
        let made = m.sum(GuestCounter::Reports);
        reports = total([reports, made]);
        let number = trial.trial;
        match (trial.choices.reporting.0, m.inhibited.0) {
            (Reporting::On, Inhibited::No) if made == 0 => {
                faults.push(format!(
                    "trial {number} is on and made no report: use a longer window or a shorter delay"
                ));
            }
            (Reporting::On, Inhibited::No) => {}
            (Reporting::On, inhibited) => {
                faults.push(format!("trial {number} did not report: {}", inhibited.name()));
            }
            (Reporting::Absent | Reporting::Off, _) if made > 0 => {
                worst = Standing::Fails;
                faults.push(format!("trial {number} made {made} reports although it does not report"));
            }
            (Reporting::Absent | Reporting::Off, _) => {}
        }
    }
    none_of("what is on reports, and nothing else does", worst, &faults, format!("{reports} reports"))
}

fn one_mode(measured: &[(&EngineRecord, &EngineMeasured)]) -> Check {
    let modes: BTreeSet<String> = measured.iter().map(|(_, m)| m.guest_ring.to_string()).collect();
    let detail = modes.iter().map(|mode| format!("ring {mode}")).collect::<Vec<_>>().join(", ");
    let standing = if modes.len() < 2 { Standing::Holds } else { Standing::Doubtful };
    check("every trial ran in the same guest mode", standing, detail)
}

fn failed_allocations(measured: &[(&EngineRecord, &EngineMeasured)]) -> Option<Check> {
    let failed = |m: &EngineMeasured| m.sum(GuestCounter::Failed);
    let timed: Vec<_> = measured.iter().filter(|(trial, _)| trial.choices.load.0.is_timed()).collect();
    let faults: Vec<String> = timed
        .iter()
        .filter(|(_, m)| failed(m) > m.sum(GuestCounter::Operations) / 1000)
        .map(|(trial, m)| format!("{} in trial {}", failed(m), trial.trial))
        .collect();
    let what = "allocations hardly ever failed";
    (!timed.is_empty()).then(|| none_of(what, Standing::Doubtful, &faults, format!("{} trials", timed.len())))
}

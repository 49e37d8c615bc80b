//! What must hold of every trial of the engine, whatever is asked of it.

use abi::addr::Order;
use abi::axes::Axis;
use host::axes::{Carrier, Discard, Servicer};
use host::engine::{GuestCounter, Inhibited, Reporting};

use super::choices::Choices;
use super::measured::EngineMeasured;
use crate::figure::check::{Check, Standing, check, none_of};
use crate::figure::unit::total;
use crate::trial::back::{Look, all_of, by, in_part};
use crate::trial::kind::{Engine, Kind};
use crate::trial::record::TrialRecord;

/// A trial with its choices and what it measured.
struct Measured<'a> {
    trial: u32,
    choices: Choices,
    found: &'a EngineMeasured,
}

impl<'a> Measured<'a> {
    fn of(record: &'a TrialRecord) -> Option<Self> {
        let (choices, found) = (Engine::choices(&record.choices())?, record.measured::<Engine>()?);
        Some(Self { trial: record.trial, choices, found })
    }

    fn sum(&self, counter: GuestCounter) -> u64 {
        self.found.sum(counter)
    }

    /// A host that is told of a poison leaves the pages as they are.
    fn keeps(&self) -> bool {
        self.choices.way.discard.0 == Discard::None || self.choices.poison.is_some_and(|poison| poison != 0)
    }
}

/// All of them, of the trials that are of the engine; none where there is none.
#[must_use]
pub fn all(trials: &[TrialRecord]) -> Vec<Check> {
    let measured: Vec<Measured<'_>> = trials.iter().filter_map(Measured::of).collect();
    if measured.is_empty() {
        return Vec::new();
    }
    let mut checks = vec![
        nothing_lost(&measured),
        seen_by_the_host(&measured),
        refused(&measured),
        both_sides(&measured),
        discarded(&measured),
        reporting(&measured),
    ];
    checks.extend(back(&measured));
    checks.extend(failed_allocations(&measured));
    checks
}

fn nothing_lost(measured: &[Measured<'_>]) -> Check {
    let (mut faults, mut worst, mut rounds) = (Vec::new(), Standing::Doubtful, 0);
    for m in measured {
        let kept = m.keeps();
        for round in &m.found.settled {
            rounds += 1;
            if round.lost > 0 {
                worst = Standing::Fails;
                let lost = round.lost;
                faults.push(format!("{lost} pages after round {} of trial {}", round.round, m.trial));
            }
            if round.reported_resident > 0 && !kept {
                let collapsed = may_collapse(m);
                worst = if collapsed { worst } else { Standing::Fails };
                faults.push(format!(
                    "{} reported pages are resident after round {} of trial {}{}",
                    round.reported_resident,
                    round.round,
                    m.trial,
                    if collapsed { ": khugepaged may have filled a huge page that had holes" } else { "" }
                ));
            }
        }
    }
    let what = "by the kernel's view, no page is gone that was not reported, and what was discarded is";
    if rounds == 0 {
        return check(what, Standing::Unknown, "no load of this run ends a round".to_owned());
    }
    none_of(what, worst, &faults, rounds, format!("{rounds} rounds"))
}

/// Whether a report can leave holes in a huge page, which the host's kernel is free to fill again.
fn may_collapse(m: &Measured<'_>) -> bool {
    in_part(m.choices.way.backing.0, m.choices.min_order)
}

/// Whether what a round leaves unmapped is back.
fn back(measured: &[Measured<'_>]) -> Option<Check> {
    let looks = measured.iter().flat_map(|m| {
        m.found.settled.iter().map(|round| Look {
            of: format!("round {} of trial {}", round.round, m.trial),
            unmapped: round.unmapped,
            back: round.back,
            unknown: round.unknown,
            within: round.within,
            in_part: may_collapse(m),
        })
    });
    let mut check = all_of(&looks.collect::<Vec<_>>())?;
    let witness = by(measured.iter().map(|m| m.found.memory.witness.0));
    check.detail.push_str(&format!("; by {witness}"));
    Some(check)
}

/// What the host saw itself, with the guest at rest.
fn seen_by_the_host(measured: &[Measured<'_>]) -> Check {
    let looked = |m: &Measured<'_>| m.found.looked;
    let wrong = measured.iter().filter(|m| looked(m).wrong > 0);
    let mut faults: Vec<String> = wrong
        .map(|m| format!("{} of {} pages of trial {}", looked(m).wrong, looked(m).pages, m.trial))
        .collect();
    let unseen = measured.iter().filter(|m| looked(m).pages < m.found.managed);
    faults.extend(
        unseen.map(|m| format!("trial {}: {} of {} pages", m.trial, looked(m).pages, m.found.managed)),
    );
    let pages = total(measured.iter().map(|m| looked(m).pages));
    let read = total(measured.iter().map(|m| looked(m).read));
    none_of(
        "the host found every page of every guest as it must be",
        Standing::Fails,
        &faults,
        pages,
        format!("{pages} pages looked at, {read} of them there and read"),
    )
}

/// Calls that KVM or the host turned away, by the guest's count.
fn refused(measured: &[Measured<'_>]) -> Check {
    let faults: Vec<String> = measured
        .iter()
        .filter(|m| m.sum(GuestCounter::Refused) > 0)
        .map(|m| format!("{} calls by the guest's count in trial {}", m.sum(GuestCounter::Refused), m.trial))
        .collect();
    let reports = total(measured.iter().map(|m| m.sum(GuestCounter::Reports)));
    none_of("no call was refused", Standing::Fails, &faults, reports, format!("{reports} reports"))
}

/// Calls that a carrier needs for what was reported: in registers one a block, else one a report.
fn calls(m: &Measured<'_>) -> u64 {
    match m.choices.way.carrier.0 {
        Carrier::Registers | Carrier::Store => m.sum(GuestCounter::Reported),
        _ => m.sum(GuestCounter::Reports),
    }
}

/// Whether both sides counted the same. Where a load runs for rounds that is exact. A timed one goes on reporting while
/// its processors wait for each other at the ends of the measured part, so that the host may count more; and a report
/// of each processor may straddle them, of `each` at the most.
fn agree(m: &Measured<'_>, guest: u64, host: u64, each: u64) -> bool {
    if m.choices.load.0.is_timed() {
        host.saturating_add(each.saturating_mul(m.choices.vcpus.into())) >= guest
    } else {
        host == guest
    }
}

/// Where the vCPU's own thread serves, every call is an exit.
fn both_sides(measured: &[Measured<'_>]) -> Check {
    let served: Vec<_> = measured.iter().filter(|m| m.choices.way.servicer.0 == Servicer::Vcpu).collect();
    let mut faults = Vec::new();
    for m in &served {
        let (guest, host) = (calls(m), m.found.counts.exits.transport());
        let each = if m.choices.way.carrier.0.is_one_range() { m.choices.capacity } else { 1 };
        if !agree(m, guest, host, each.into()) {
            faults.push(format!("trial {}: {guest} calls by the guest, {host} exits by the host", m.trial));
        }
    }
    let called = total(served.iter().map(|m| m.found.counts.exits.transport()));
    none_of(
        "the host was called as often as the guest called",
        Standing::Fails,
        &faults,
        called,
        format!("{called} calls"),
    )
}

fn discarded(measured: &[Measured<'_>]) -> Check {
    let mut faults = Vec::new();
    for m in measured {
        let (reported, taken) = (m.sum(GuestCounter::ReportedPages), m.found.counts.discarded_pages);
        let each = u64::from(m.choices.capacity) * Order::MAX.pages();
        let agree = if m.keeps() { taken == 0 } else { agree(m, reported, taken, each) };
        if !agree {
            let kept = if m.keeps() { ", which is to keep them" } else { "" };
            faults.push(format!("trial {}{kept}: {reported} pages reported, {taken} discarded", m.trial));
        }
    }
    let pages = total(measured.iter().map(|m| m.found.counts.discarded_pages));
    none_of(
        "the host discarded what the guest reported, and nothing where it is to keep it",
        Standing::Fails,
        &faults,
        pages,
        format!("{pages} pages"),
    )
}

/// A row that is called "on" has reported; one that is not, has not.
fn reporting(measured: &[Measured<'_>]) -> Check {
    let (mut faults, mut reports) = (Vec::new(), 0);
    let mut worst = Standing::Doubtful;
    for m in measured {
        let made = m.sum(GuestCounter::Reports);
        reports = total([reports, made]);
        let number = m.trial;
        match (m.choices.reporting.0, m.found.inhibited.0) {
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
    let what = "what is on reports, and nothing else does";
    none_of(what, worst, &faults, measured.len() as u64, format!("{reports} reports"))
}

fn failed_allocations(measured: &[Measured<'_>]) -> Option<Check> {
    let failed = |m: &Measured<'_>| m.sum(GuestCounter::Failed);
    let timed: Vec<_> = measured.iter().filter(|m| m.choices.load.0.is_timed()).collect();
    let faults: Vec<String> = timed
        .iter()
        .filter(|m| failed(m) > m.sum(GuestCounter::Operations) / 1000)
        .map(|m| format!("{} in trial {}", failed(m), m.trial))
        .collect();
    let what = "allocations hardly ever failed";
    let tried = total(timed.iter().map(|m| m.sum(GuestCounter::Operations).saturating_add(failed(m))));
    (!timed.is_empty())
        .then(|| none_of(what, Standing::Doubtful, &faults, tried, format!("{} trials", timed.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::axes::named::Named;
    use crate::testing::engine::trial;
    use crate::trial::engine::measured::HostLook;
    use crate::trial::record::{Body, Ending};

    /// The checks of a trial that is sound but for what is changed.
    fn changed(change: impl FnOnce(&mut Choices, &mut EngineMeasured)) -> Vec<Check> {
        let mut record = trial();
        if let Body::Engine { choices, ending: Ending::Measured(found) } = &mut record.body {
            change(choices, found);
        }
        all(&[record])
    }

    fn standing(checks: &[Check], what: &str) -> Standing {
        checks.iter().find(|check| check.what.contains(what)).expect(what).standing
    }

    type Change = fn(&mut Choices, &mut EngineMeasured);

    #[test]
    fn of_nothing_nothing_holds() {
        let cases: [(&str, Change); 5] = [
            ("by the kernel's view", |_, found| found.settled.clear()),
            ("as it must be", |_, found| (found.managed, found.looked) = (0, HostLook::default())),
            ("no call was refused", |_, found| found.counters.clear()),
            ("called as often", |choices, _| choices.way.servicer = Named(Servicer::Device)),
            ("discarded what the guest reported", |choices, found| {
                choices.way.discard = Named(Discard::None);
                found.counts.discarded_pages = 0;
            }),
        ];
        for (what, change) in cases {
            assert_eq!(standing(&changed(|_, _| {}), what), Standing::Holds, "{what}");
            assert_eq!(standing(&changed(change), what), Standing::Unknown, "{what}");
        }
        assert_eq!(reporting(&[]).standing, Standing::Unknown);
        assert!(back(&[]).is_none() && failed_allocations(&[]).is_none() && all(&[]).is_empty());
    }
}

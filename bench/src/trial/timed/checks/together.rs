//! What must hold where reports go together.

use host::axes::{Carrier, Coalesce, Way};

use super::ended::Measured;
use crate::figure::check::{Check, Standing, none_of};
use crate::figure::unit::total;

/// What the guest took back before it rang is left alone, by what both sides counted.
pub(super) fn spared(measured: &[Measured<'_>]) -> Option<Check> {
    let takes_back = |m: &&Measured<'_>| m.choices.way.carrier.0 == Carrier::Log;
    let pages = total(measured.iter().filter(takes_back).map(|m| m.found.taken_back));
    let faults: Vec<String> = measured
        .iter()
        .filter(|m| m.found.taken_back != m.found.spared)
        .map(|m| {
            format!("trial {}: {} taken back, {} left alone", m.trial, m.found.taken_back, m.found.spared)
        })
        .collect();
    let what = "what the guest takes back before it rings is left alone";
    let looked_at = format!("{pages} pages, by both sides' counts");
    let any = !faults.is_empty() || measured.iter().any(|m| takes_back(&m));
    any.then(|| none_of(what, Standing::Fails, &faults, pages, looked_at))
}

/// Half of KVM's queue is more than what a guest writes between two calls and has not been taken already, so that it is
/// found full once at the most.
pub(super) fn overflows(measured: &[Measured<'_>]) -> Option<Check> {
    let queues = |m: &&Measured<'_>| m.choices.way.doorbell.0.is_coalesced();
    let (mut writes, mut full) = (0_u64, 0_u64);
    for m in measured.iter().filter(queues) {
        (writes, full) = (writes.saturating_add(m.found.ranges), full.saturating_add(m.found.overflows));
    }
    let faults: Vec<String> = measured
        .iter()
        .filter(|m| m.found.overflows > if queues(m) { m.found.calls } else { 0 })
        .map(|m| {
            format!(
                "trial {}: {} writes found it full, with {} calls",
                m.trial, m.found.overflows, m.found.calls
            )
        })
        .collect();
    let what = "KVM's queue is found full once a call at the most";
    let looked_at = match full {
        0 => format!("never, in {writes} writes"),
        _ => format!("by {full} of {writes} writes: KVM before Linux 6.12 takes half of it for all"),
    };
    let any = !faults.is_empty() || measured.iter().any(|m| queues(&m));
    any.then(|| none_of(what, Standing::Fails, &faults, writes, looked_at))
}

/// Several are in flight only if the guest has seen it.
pub(super) fn in_flight(measured: &[Measured<'_>]) -> Option<Check> {
    let several = |m: &&Measured<'_>| m.choices.in_flight > 1;
    let most = measured.iter().filter(several).map(|m| m.found.most_in_flight).max()?;
    let faults: Vec<String> = measured
        .iter()
        .filter(several)
        .filter(|m| m.found.most_in_flight < 2)
        .map(|m| {
            format!(
                "trial {}: never more than {} of {}",
                m.trial, m.found.most_in_flight, m.choices.in_flight
            )
        })
        .collect();
    let what = "several reports were in flight at once";
    Some(none_of(what, Standing::Doubtful, &faults, most, format!("up to {most}, as the guest saw it")))
}

/// What a module serves inside the kernel is what the guest asked for, by the module's own account.
pub(super) fn in_kernel(measured: &[Measured<'_>]) -> Option<Check> {
    let by_module = || measured.iter().filter(|m| Way::from(m.choices.way).module().is_some());
    by_module().next()?;
    let (mut ranges, mut faults) = (0_u64, Vec::new());
    for m in by_module() {
        let Some(said) = m.found.in_kernel else {
            faults.push(format!("trial {}: the module said nothing", m.trial));
            continue;
        };
        ranges = ranges.saturating_add(said.ranges);
        if (said.calls, said.ranges, said.refused) != (m.found.calls, m.found.ranges, 0) {
            faults.push(format!(
                "trial {}: {} calls and {} ranges by the guest's count, {} and {} by the module's, {} refused",
                m.trial, m.found.calls, m.found.ranges, said.calls, said.ranges, said.refused
            ));
        }
    }
    let what = "a module in the kernel served every call, by its own account";
    Some(none_of(
        what,
        Standing::Fails,
        &faults,
        ranges,
        format!("{ranges} ranges, and no exit to user space"),
    ))
}

/// What is merged across reports was held, all of it, and not each by itself.
pub(super) fn held(measured: &[Measured<'_>]) -> Option<Check> {
    let across = measured.iter().filter(|m| m.choices.way.coalesce.0 == Coalesce::Across);
    let (mut reports, mut rounds, mut longest, mut faults) = (0_u64, 0_u64, None, Vec::new());
    for m in across.clone() {
        let held = m.found.held;
        let [of_trial, in_rounds] = held.map_or([0; 2], |held| [held.reports, held.rounds]);
        if of_trial != m.found.reports || in_rounds >= of_trial {
            let made = m.found.reports;
            faults.push(format!(
                "trial {}: {of_trial} of {made} reports were held, in {in_rounds} rounds",
                m.trial
            ));
        }
        (reports, rounds) = (reports.saturating_add(of_trial), rounds.saturating_add(in_rounds));
        longest = longest.max(held.and_then(|held| held.longest_ns));
    }
    let longest = longest.map_or_else(String::new, |ns| format!(", the longest held for {} µs", ns / 1000));
    let looked_at = format!("{reports} reports in {rounds} rounds{longest}");
    let what = "reports were merged across one another";
    across.clone().next().map(|_| none_of(what, Standing::Doubtful, &faults, reports, looked_at))
}

#[cfg(test)]
mod tests {
    use host::axes::Doorbell;

    use super::*;
    use crate::axes::named::Named;
    use crate::testing::timed::trial;
    use crate::trial::record::{Body, Ending, TrialRecord};
    use crate::trial::timed::choices::Choices;
    use crate::trial::timed::measured::{Held, TimedMeasured};

    fn changed(change: impl FnOnce(&mut Choices, &mut TimedMeasured)) -> TrialRecord {
        let (mut record, _) = trial(0, 1000);
        if let Body::Timed { choices, ending: Ending::Measured(measured) } = &mut record.body {
            change(choices, measured);
        }
        record
    }

    fn of(record: &TrialRecord, check: fn(&[Measured<'_>]) -> Option<Check>) -> Option<Standing> {
        check(&[Measured::of(record).expect("a trial that ended")]).map(|check| check.standing)
    }

    #[test]
    fn what_was_taken_back_is_what_was_left_alone() {
        let log = |taken_back, spared| {
            let record = changed(|choices, found| {
                choices.way.carrier = Named(Carrier::Log);
                (found.taken_back, found.spared) = (taken_back, spared);
            });
            of(&record, super::spared)
        };
        assert_eq!(log(9, 9), Some(Standing::Holds));
        assert_eq!(log(9, 8), Some(Standing::Fails));
        assert_eq!(log(0, 0), Some(Standing::Unknown), "of nothing nothing holds");
        assert_eq!(of(&changed(|_, _| {}), spared), None, "nothing can be taken back");
        assert_eq!(of(&changed(|_, found| found.spared = 1), spared), Some(Standing::Fails));
    }

    #[test]
    fn kvms_queue_is_found_full_once_a_call_at_the_most() {
        let queued = |doorbell, calls, full| {
            let record = changed(|choices, found| {
                choices.way.doorbell = Named(doorbell);
                (found.calls, found.overflows) = (calls, full);
            });
            of(&record, overflows)
        };
        assert_eq!(queued(Doorbell::CoalescedPort, 2, 0), Some(Standing::Holds));
        assert_eq!(queued(Doorbell::CoalescedMmio, 2, 2), Some(Standing::Holds));
        assert_eq!(queued(Doorbell::CoalescedMmio, 2, 3), Some(Standing::Fails));
        assert_eq!(queued(Doorbell::Mmio, 2, 0), None, "nothing is queued");
        assert_eq!(queued(Doorbell::Mmio, 2, 1), Some(Standing::Fails));
    }

    #[test]
    fn what_is_merged_across_reports_is_held_and_not_each_by_itself() {
        let merged = |reports, rounds| {
            let record = changed(|choices, found| {
                choices.way.coalesce = Named(Coalesce::Across);
                let reports = if reports { found.reports } else { found.reports - 1 };
                found.held = Some(Held { reports, rounds, longest_ns: Some(90_000) });
            });
            of(&record, held)
        };
        assert_eq!(merged(true, 2), Some(Standing::Holds));
        assert_eq!(merged(true, u64::MAX), Some(Standing::Doubtful), "each by itself");
        assert_eq!(merged(false, 2), Some(Standing::Doubtful), "one was not held");
        assert_eq!(of(&changed(|_, _| {}), held), None);
    }

    #[test]
    fn one_report_after_the_other_is_not_several_at_once() {
        let several = |most| {
            let record = changed(|choices, found| (choices.in_flight, found.most_in_flight) = (8, most));
            of(&record, in_flight)
        };
        assert_eq!(several(8), Some(Standing::Holds));
        assert_eq!(several(1), Some(Standing::Doubtful));
        assert_eq!(of(&changed(|_, _| {}), in_flight), None);
    }
}

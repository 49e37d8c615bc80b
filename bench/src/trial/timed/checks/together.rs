//! What must hold where reports go together.

use host::axes::Carrier;

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

#[cfg(test)]
mod tests {
    use host::axes::Doorbell;

    use super::*;
    use crate::axes::named::Named;
    use crate::testing::timed::trial;
    use crate::trial::record::{Body, Ending, TrialRecord};
    use crate::trial::timed::choices::Choices;
    use crate::trial::timed::measured::TimedMeasured;

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

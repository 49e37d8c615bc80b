//! Whether the options of a ring took part where they were chosen.

use host::axes::RingFeatures;

use super::counts::Counts;
use super::record::TrialRecord;
use super::ring::RingOptions;
use crate::axes::named::Named;
use crate::figure::check::{Check, Standing, none_of};

/// Options that were chosen must have been seen by the device, and no others; of trials that reported something, those over
/// rings, if any has options.
pub(super) fn where_chosen(reporting: &[(&TrialRecord, &Counts)]) -> Option<Check> {
    let chosen = |record: &TrialRecord| record.choices().way().ring_features.0;
    let over_rings = reporting.iter().filter(|(record, _)| record.choices().way().carrier.0.is_ring());
    let (mut faults, mut sum, mut examined) = (Vec::new(), RingOptions::default(), 0);
    for (record, counts) in over_rings {
        let found = counts.ring.unwrap_or_default();
        let trial = format!("trial {} ({})", record.trial, record.choices().tag());
        if found.seen() != chosen(record) {
            let [chosen, seen] = [chosen(record), found.seen()].map(Named);
            faults.push(format!("{trial} had ring-features {chosen}, and the device saw {seen}"));
        }
        if found.out_of_order > 0 {
            faults.push(format!("{} reports of {trial} were out of order", found.out_of_order));
        }
        examined += u64::from(chosen(record) != RingFeatures::NONE);
        sum.tables = sum.tables.saturating_add(found.tables);
        sum.interrupts_suppressed = sum.interrupts_suppressed.saturating_add(found.interrupts_suppressed);
        sum.kicks_suppressed = sum.kicks_suppressed.saturating_add(found.kicks_suppressed);
        sum.in_order = sum.in_order.saturating_add(found.in_order);
    }
    if faults.is_empty() && examined == 0 {
        return None;
    }
    let seen = format!(
        "{} tables, {} interrupts and {} kicks suppressed, {} chains in order",
        sum.tables, sum.interrupts_suppressed, sum.kicks_suppressed, sum.in_order
    );
    let what = "the options of a ring took part where they were chosen, and nowhere else";
    Some(none_of(what, Standing::Fails, &faults, examined, seen))
}

#[cfg(test)]
mod tests {
    use abi::axes::Axis;
    use host::axes::Carrier;

    use super::*;
    use crate::trial::record::{Body, Ending};

    /// The check on a trial with these options, of which the device saw these.
    fn found(chosen: RingFeatures, seen: RingFeatures, change: fn(&mut RingOptions)) -> Option<Standing> {
        let (mut record, _) = crate::testing::timed::trial(0, 1000);
        let Body::Timed { choices, ending: Ending::Measured(found) } = &mut record.body else {
            unreachable!()
        };
        choices.way.carrier = Named(Carrier::Ring);
        choices.way.ring_features = Named(chosen);
        let mut ring = RingOptions {
            tables: u64::from(seen.indirect),
            interrupts_suppressed: u64::from(seen.event_idx),
            kicks_asked: u64::from(seen.event_idx),
            in_order: u64::from(seen.in_order),
            ..RingOptions::default()
        };
        change(&mut ring);
        found.counts.ring = Some(ring);
        where_chosen(&[(&record, record.counts().unwrap())]).map(|check| check.standing)
    }

    #[test]
    fn what_was_chosen_must_have_been_seen_and_nothing_else() {
        for chosen in RingFeatures::ALL.iter().copied() {
            for seen in RingFeatures::ALL.iter().copied() {
                let expected = match (chosen == seen, chosen == RingFeatures::NONE) {
                    (true, true) => None,
                    (true, false) => Some(Standing::Holds),
                    (false, _) => Some(Standing::Fails),
                };
                assert_eq!(found(chosen, seen, |_| {}), expected, "{chosen:?}, {seen:?}");
            }
        }
    }

    #[test]
    fn one_report_out_of_order_is_one_too_many() {
        let in_order = RingFeatures { in_order: true, ..RingFeatures::NONE };
        assert_eq!(found(in_order, in_order, |ring| ring.out_of_order = 1), Some(Standing::Fails));
    }

    #[test]
    fn laps_are_no_option() {
        assert_eq!(found(RingFeatures::NONE, RingFeatures::NONE, |ring| ring.wraps = 9), None);
    }
}

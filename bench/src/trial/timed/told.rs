//! What must hold where a guest says more than what it reports.

use host::axes::Carrier;

use super::choices::Choices;
use super::measured::TimedMeasured;
use crate::figure::check::{Check, Standing, none_of};

/// A trial by its number, with its choices and what it measured.
type Trial<'a> = (u32, Choices, &'a TimedMeasured);

/// The checks of the carriers among these trials over which a guest does.
pub(super) fn all(trials: &[Trial<'_>]) -> impl Iterator<Item = Check> {
    let announced =
        told(trials, Carrier::CallAndRing, "every range was announced by a call", |(_, _, found)| {
            (found.ranges, found.counts.announced)
        });
    let deflated =
        told(trials, Carrier::Inflate, "every page that was inflated was deflated", |(_, choices, found)| {
            (found.ranges.saturating_mul(choices.pages_a_range()), found.counts.deflated_pages)
        });
    announced.into_iter().chain(deflated)
}

/// Of one carrier: what the guest has to say, and what it said.
fn told(
    trials: &[Trial<'_>],
    carrier: Carrier,
    what: &'static str,
    of: impl Fn(&Trial<'_>) -> (u64, u64),
) -> Option<Check> {
    let (mut sum, mut any, mut faults) = (0_u64, false, Vec::new());
    for trial in trials.iter().filter(|(_, choices, _)| choices.way.carrier.0 == carrier) {
        let (expected, found) = of(trial);
        (sum, any) = (sum.saturating_add(found), true);
        if found != expected {
            faults.push(format!("trial {}: {found} of {expected}", trial.0));
        }
    }
    any.then(|| none_of(what, Standing::Fails, &faults, sum, format!("{sum} of them")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axes::named::Named;
    use crate::trial::kind::{Kind, Timed};

    #[test]
    fn what_was_not_said_is_a_failure_and_of_others_nothing_is_asked() {
        let (record, _) = crate::testing::timed::trial(0, 1000);
        let (Some(mut choices), Some(found)) =
            (Timed::choices(&record.choices()), record.measured::<Timed>())
        else {
            unreachable!("it is a timed trial")
        };
        let standings = |choices, found: &TimedMeasured| {
            all(&[(0, choices, found)]).map(|check| check.standing).collect::<Vec<_>>()
        };
        assert_eq!(standings(choices, found), []);
        let mut said = found.clone();
        (said.counts.announced, said.counts.deflated_pages) =
            (said.ranges, said.ranges * choices.pages_a_range());
        for carrier in [Carrier::CallAndRing, Carrier::Inflate] {
            choices.way.carrier = Named(carrier);
            assert_eq!(standings(choices, &said), [Standing::Holds]);
            assert_eq!(standings(choices, found), [Standing::Fails]);
        }
    }
}

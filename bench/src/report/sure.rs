//! Whether a run knows what it was asked to know, and how it stopped if it was to go on until then.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::experiment::contract::{Crux, widest};
use crate::figure::interval::Verdict;
use crate::figure::unit::percent;
use crate::plan::Plan;
use crate::plan::until::{MOST_BLOCKS, Share, Span, Until, is_look};
use crate::trial::checks::has_lasted;
use crate::trial::record::TrialRecord;

/// What a run was asked to know, and whether it does.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Sure {
    /// Until what it was to add blocks.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<Until>,
    /// The most time that it was to take, if it was to add blocks.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub within: Option<Span>,
    /// The difference that would have to be seen, as a share.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub require: Option<Share>,
    /// How it stopped, if it was to add blocks.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stopped: Option<Stopped>,
    /// Whole blocks.
    pub blocks: usize,
    /// How far the widest interval of what the run is about reaches to either side, as a share of what it is held against;
    /// absent if there is none, or one of too few blocks.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub widest: Option<f64>,
    /// Why the run cannot carry its question; empty if it can.
    pub wanting: Vec<String>,
}

/// How a run stopped that adds blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stopped {
    /// Its intervals were narrow enough at a look.
    Narrow,
    /// Its time was over.
    TimeIsOver,
    /// It had the most blocks that such a run may have.
    MostBlocks,
    /// By somebody else.
    Interrupted,
}

impl Sure {
    /// Of a run of so many trials a block; `None` if it was asked for nothing.
    #[must_use]
    pub fn of(plan: &Plan, a_block: usize, trials: &[TrialRecord], cruxes: &[Crux]) -> Option<Self> {
        let (until, require) = (plan.choices.until, plan.choices.require);
        if until.is_none() && require.is_none() {
            return None;
        }
        let (blocks, widest) = (trials.len() / a_block.max(1), widest(cruxes));
        let stopped = until.map(|until| {
            let looked = u32::try_from(blocks).is_ok_and(|blocks| is_look(blocks, plan.blocks()));
            let whole = trials.len().is_multiple_of(a_block.max(1));
            let over = has_lasted(plan.within().duration(), trials);
            match until {
                Until::Narrow(share) if whole && looked && is_narrow(widest, share) => Stopped::Narrow,
                _ if over => Stopped::TimeIsOver,
                _ if blocks >= MOST_BLOCKS as usize => Stopped::MostBlocks,
                _ => Stopped::Interrupted,
            }
        });
        let within = until.map(|_| plan.within());
        let wanting = wanting(until, stopped, require, cruxes);
        Some(Self { until, within, require, stopped, blocks, widest, wanting })
    }

    /// For the answer: how it stopped, and what it is wanting.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let reach = self.widest.map_or_else(
            || "no interval is known".to_owned(),
            |widest| {
                format!("intervals of what it is about reach at most {} to either side", percent(widest))
            },
        );
        let how = self.stopped.map(|stopped| {
            let why = match (stopped, self.until) {
                (Stopped::Narrow, _) => "they are as narrow as was asked",
                (Stopped::TimeIsOver, _) => "its time was over",
                (Stopped::MostBlocks, _) => "it has the most blocks that it may have",
                (Stopped::Interrupted, _) => "it was interrupted",
            };
            let looked = matches!(self.until, Some(Until::Narrow(_)));
            let stricter =
                if looked { "; its tests are stricter, at 3 % in place of 5, for having looked" } else { "" };
            format!("The run stopped after {} blocks because {why}: {reach}{stricter}.", self.blocks)
        });
        let wanting = (!self.wanting.is_empty())
            .then(|| format!("It cannot carry its question: {}.", self.wanting.join("; ")));
        how.into_iter().chain(wanting).collect()
    }
}

/// Whether the widest interval is as narrow as is asked.
#[must_use]
pub fn is_narrow(widest: Option<f64>, share: Share) -> bool {
    widest.is_some_and(|widest| widest <= share.value())
}

fn wanting(
    until: Option<Until>,
    stopped: Option<Stopped>,
    require: Option<Share>,
    cruxes: &[Crux],
) -> Vec<String> {
    if cruxes.is_empty() {
        return vec!["nothing is compared".to_owned()];
    }
    let narrow = until.and_then(|until| match until {
        Until::Narrow(share) if stopped != Some(Stopped::Narrow) => Some(share),
        Until::Narrow(_) | Until::Over(_) => None,
    });
    let wide = narrow.into_iter().flat_map(|share| {
        let wide = cruxes.iter().filter(move |crux| !is_narrow(crux.reach(), share));
        wide.map(move |Crux { what, .. }| format!("{what} is not known to within {share}"))
    });
    let unseen = require.into_iter().flat_map(|share| {
        cruxes.iter().filter_map(move |crux| {
            let Crux { what, said, .. } = crux;
            let least = said.least_share.filter(|least| *least > share.value());
            match (said.verdict, said.least_share, least) {
                (Verdict::Different | Verdict::Equal, ..) | (_, Some(_), None) => None,
                (_, _, Some(least)) => Some(format!(
                    "of {what} nothing can be said, and {} is the smallest difference that would have been seen (required: {share})",
                    percent(least)
                )),
                (_, None, _) => Some(format!("of {what} nothing can be said by so few blocks")),
            }
        })
    });
    wide.chain(unseen).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::interval::Interval;
    use crate::figure::power::Said;

    fn crux(verdict: Verdict, reach: f64, least_share: Option<f64>) -> Crux {
        let interval = Interval { middle: 0.0, low: -reach, high: reach, blocks: 16, p: Some(0.5) };
        let said = Said { verdict, margin: 5.0, least_effect: None, least_share, blocks_needed: None };
        Crux { what: "x".to_owned(), interval, said }
    }

    fn wants(verdict: Verdict, least_share: Option<f64>) -> bool {
        let share = Some("5%".parse().unwrap());
        !wanting(None, None, share, &[crux(verdict, 1.0, least_share)]).is_empty()
    }

    #[test]
    fn what_is_required_is_a_verdict_or_eyes_sharp_enough_for_one() {
        assert!(!wants(Verdict::Different, Some(0.2)) && !wants(Verdict::Equal, Some(0.2)));
        assert!(!wants(Verdict::CannotSay, Some(0.05)), "it would have been seen");
        assert!(wants(Verdict::CannotSay, Some(0.06)));
        assert!(wants(Verdict::CannotSay, None), "too few blocks");
        assert_eq!(wanting(None, None, Some("5%".parse().unwrap()), &[]), ["nothing is compared"]);
    }

    #[test]
    fn what_is_too_wide_is_named() {
        let until = Some("2%".parse().unwrap());
        let two = [crux(Verdict::Different, 1.9, None), crux(Verdict::Different, 2.1, None)];
        assert_eq!(wanting(until, Some(Stopped::TimeIsOver), None, &two), ["x is not known to within 2%"]);
        assert!(wanting(until, Some(Stopped::Narrow), None, &two).is_empty());
        assert!(
            !is_narrow(widest(&two), "2%".parse().unwrap())
                && is_narrow(widest(&two[..1]), "2%".parse().unwrap())
        );
        assert_eq!(widest(&[]), None);
    }
}

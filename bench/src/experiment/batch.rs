//! What a report costs by its ranges, their order and what is done with them: what a range, a page, a call and an exit add,
//! and from how many ranges on virtio is no dearer than a call.

pub mod found;
pub mod measured;
mod pictures;
pub mod told;

use abi::addr::Order;
use host::axes::{Backing, Discard};
use host::timed::TimedSpec;

use super::contract::Asks;
use super::ladder::stopwatch;
use crate::axes::named::Named;
use crate::axes::rung::{CallBy, Rung};
use crate::plan::keys::Keys;
use crate::plan::{PlanError, bad};
use crate::trial::spec::Spec;
use found::Found;

/// Pages of the largest report: 64 MiB. What is larger takes a time for which nobody would ask the transport.
const PAGES: u64 = 1 << 14;
/// The least order of a range that is at least a huge page.
const HUGE: u8 = 9;

/// The experiment.
pub struct Batches;

impl Asks for Batches {
    const NAME: &'static str = "batch";
    const QUESTION: &'static str = "What do a call, a range and a page add to a report, and from how many ranges on is virtio no dearer than a call?";
    const PLANS: &'static [(&'static str, &'static str)] = &[
        ("default", include_str!("../../plans/batch.toml")),
        ("quick", include_str!("../../plans/batch.quick.toml")),
        ("lab", include_str!("../../plans/batch.lab.toml")),
    ];
    const BESIDE: &'static [&'static str] = &["arena"];
    const NAMES_PAGES: bool = false;

    type Found = Found;

    fn cells(keys: &Keys, call: CallBy) -> Vec<Spec> {
        let mut cells = Vec::new();
        for rung in keys.rungs() {
            let transport = rung.transport(call);
            let named = points(keys).map(|keys| keys.timed(transport)).filter(is_small);
            // A report without pages is the same whatever its batch would be.
            let many = if rung.names_pages() { usize::MAX } else { 1 };
            cells.extend(named.take(many).map(Spec::Timed));
        }
        cells.into_iter().chain(stopwatch::cells(keys, call)).collect()
    }

    fn check(keys: &Keys) -> Result<(), PlanError> {
        let gathers = |rung: &Rung| matches!(rung, Rung::Log | Rung::CoalescedPort | Rung::CoalescedMmio);
        if let Some(rung) = keys.rungs().find(gathers) {
            return bad("rungs", Named(rung), "its report makes no call as a rule; see coalescing");
        }
        for (name, empty) in [
            ("batches", keys.batches.as_deref().is_none_or(<[u16]>::is_empty)),
            ("orders", keys.orders.as_deref().is_none_or(<[u8]>::is_empty)),
            ("discards", keys.discards.as_deref().is_none_or(<[_]>::is_empty)),
            ("backings", keys.backings.as_deref().is_none_or(<[_]>::is_empty)),
        ] {
            if empty {
                return bad(name, "empty", "there is nothing to report; name one at least");
            }
        }
        match keys.orders.iter().flatten().find(|order| **order > Order::MAX.get()) {
            Some(order) => bad("orders", order, "10 is the largest"),
            None => Ok(()),
        }
    }
}

/// Every point of the plan: batch, order, discard and backing. Without a discard neither order nor backing matters; blocks
/// below a huge page are on small pages, of which they are given back.
fn points(keys: &Keys) -> impl Iterator<Item = Keys> {
    let mut points = Vec::new();
    for discard in keys.discards.iter().flatten() {
        for order in keys.orders.iter().flatten() {
            for backing in keys.backings.iter().flatten() {
                let is_first = keys.orders.iter().flatten().next() == Some(order)
                    && keys.backings.iter().flatten().next() == Some(backing);
                let is_lost = backing.0 == Backing::AnonThp && *order < HUGE;
                if (discard.0 == Discard::None && !is_first) || is_lost {
                    continue;
                }
                for batch in keys.batches.iter().flatten() {
                    points.push(Keys {
                        batch: Some(*batch),
                        order: Some(*order),
                        discard: Some(*discard),
                        backing: Some(*backing),
                        ..keys.clone()
                    });
                }
            }
        }
    }
    points.into_iter()
}

fn is_small(spec: &TimedSpec) -> bool {
    u64::from(spec.batch) * spec.order.pages() <= PAGES
}

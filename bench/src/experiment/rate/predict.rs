//! How fast a reporting core reports memory, by its own rule.
//!
//! Linux's `page_reporting_cycle` leaves a list when it has made one report more than its budget, which is the length of
//! the list over capacity times the budget's divisor, rounded up. What is left waits for the next pass, a delay later.

use abi::addr::Order;
use abi::engine::books::PASSES;

/// Free blocks of one order, zone and type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct List {
    /// Their order.
    pub order: Order,
    /// How many are free.
    pub free: u64,
    /// How many of these are not reported yet.
    pub unreported: u64,
}

/// What limits a pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Blocks a report holds.
    pub capacity: u64,
    /// What the length of a list is divided by, beside the capacity; 0 for no limit.
    pub budget: u64,
}

/// What a pass does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pass {
    /// Reports it makes.
    pub reports: u64,
    /// Pages in them.
    pub pages: u64,
}

/// The most reports a pass makes of a list.
#[must_use]
pub fn reports_a_pass(list: &List, limits: Limits) -> u64 {
    match limits.capacity.saturating_mul(limits.budget) {
        0 => u64::MAX,
        divisor => list.free.div_ceil(divisor).saturating_add(1),
    }
}

/// Every pass until the lists of all zones are reported, if nothing is allocated or freed meanwhile, as many as a guest
/// keeps a record of ([`PASSES`]). A batch goes on from
/// list to list of a zone, and what is left of it at the end is a report of its own.
#[must_use]
pub fn passes(zones: &[Vec<List>], limits: Limits) -> Vec<Pass> {
    let mut zones = zones.to_vec();
    let mut passes = Vec::new();
    let is_left = |zones: &[Vec<List>]| zones.iter().flatten().any(|list| list.unreported > 0);
    while (passes.len() as u64) < PASSES && limits.capacity > 0 && is_left(&zones) {
        let mut pass = Pass::default();
        for lists in &mut zones {
            let mut in_batch = 0;
            for list in lists {
                // A batch that others began has room for less: it is one of the reports all the same.
                let most = reports_a_pass(list, limits).saturating_mul(limits.capacity) - in_batch;
                let blocks = list.unreported.min(most);
                list.unreported -= blocks;
                pass.reports += (in_batch + blocks) / limits.capacity;
                pass.pages += blocks * list.order.pages();
                in_batch = (in_batch + blocks) % limits.capacity;
            }
            pass.reports += u64::from(in_batch > 0);
        }
        passes.push(pass);
    }
    passes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(order: u64, blocks: u64) -> List {
        List { order: Order::new(order).unwrap(), free: blocks, unreported: blocks }
    }

    #[test]
    fn as_linux_at_its_defaults() {
        // Up to 512 free blocks a pass makes two reports of 32: 256 MiB of order 10.
        let limits = Limits { capacity: 32, budget: 16 };
        assert_eq!(reports_a_pass(&list(10, 1), limits), 2);
        assert_eq!(reports_a_pass(&list(10, 512), limits), 2);
        assert_eq!(reports_a_pass(&list(10, 513), limits), 3);
        let passes = passes(&[vec![list(10, 224)], vec![list(10, 32)]], limits);
        assert_eq!(passes.len(), 4);
        assert_eq!(passes[0], Pass { reports: 3, pages: 96 << 10 });
        assert_eq!(passes[3], Pass { reports: 1, pages: 32 << 10 });
    }

    #[test]
    fn without_a_budget_one_pass_does_it_all() {
        let all = passes(&[vec![list(0, 1000)]], Limits { capacity: 32, budget: 0 });
        assert_eq!(all, [Pass { reports: 32, pages: 1000 }]);
        assert_eq!(passes(&[vec![list(0, 0)]], Limits { capacity: 32, budget: 0 }), []);
    }

    #[test]
    fn a_batch_goes_on_from_list_to_list() {
        let limits = Limits { capacity: 4, budget: 16 };
        let rest = (5..=9).map(|order| list(order, 1));
        let zone: Vec<List> = std::iter::once(list(4, 1985)).chain(rest).collect();
        let passes = passes(&[zone], limits);
        // As the guest recorded it: 33 reports of the long list, one of four others, one of the last.
        assert_eq!(passes[0], Pass { reports: 35, pages: 3104 });
        assert_eq!(passes[1], Pass { reports: 33, pages: 2112 });
        assert_eq!((passes.len(), passes[15]), (16, Pass { reports: 2, pages: 80 }));
    }

    proptest! {
        #[test]
        fn every_page_is_reported_once_and_no_pass_exceeds_its_budget(
            lists in proptest::collection::vec((0_u64..=10, 0_u64..3000), 0..6),
            capacity in 1_u64..=511,
            budget in 0_u64..64,
        ) {
            let lists: Vec<List> = lists.into_iter().map(|(order, blocks)| list(order, blocks)).collect();
            let limits = Limits { capacity, budget };
            let zones: Vec<Vec<List>> = lists.iter().map(|list| vec![*list]).collect();
            let passes = passes(&zones, limits);
            let pages: u64 = lists.iter().map(|list| list.free * list.order.pages()).sum();
            prop_assert_eq!(passes.iter().map(|pass| pass.pages).sum::<u64>(), pages);
            let most: u64 = lists.iter().fold(0, |sum, list| sum.saturating_add(reports_a_pass(list, limits)));
            for pass in &passes {
                prop_assert!(pass.reports <= most && pass.pages > 0);
            }
            // The list that takes longest decides how many passes there are.
            let longest = lists
                .iter()
                .map(|list| list.free.div_ceil(reports_a_pass(list, limits).saturating_mul(capacity)))
                .max();
            prop_assert_eq!(passes.len() as u64, longest.unwrap_or_default());
        }

        #[test]
        fn a_larger_capacity_never_takes_more_passes(blocks in 1_u64..5000, capacity in 1_u64..255) {
            let passes = |capacity| passes(&[vec![list(9, blocks)]], Limits { capacity, budget: 16 }).len();
            prop_assert!(passes(2 * capacity) <= passes(capacity) + 1);
        }
    }

    #[test]
    fn no_more_passes_than_a_guest_keeps() {
        let hostile = [vec![List { order: Order::PAGE, free: 1 << 50, unreported: 1 << 50 }]];
        let limits = Limits { capacity: 1, budget: 1 << 62 };
        assert_eq!(passes(&hostile, limits).len() as u64, PASSES);
    }
}

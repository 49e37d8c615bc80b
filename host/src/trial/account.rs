//! What all processors of a machine did so far, by our count and by KVM's.

use std::sync::Arc;

use super::error::TrialError;
use crate::kvm::{Counts, Exits, Machine, Processor, Statistics};

/// The counts of every processor.
#[derive(Debug)]
pub(crate) struct Account {
    counts: Vec<Arc<Counts>>,
    statistics: Vec<Statistics>,
}

impl Account {
    /// Of all processors of a machine.
    pub(crate) fn of(machine: &Machine) -> Self {
        Self {
            counts: machine.processors().map(Processor::counts).collect(),
            statistics: machine.processors().filter_map(Processor::statistics).collect(),
        }
    }

    /// Exits, by our count.
    pub(crate) fn exits(&self) -> Exits {
        let mut exits = Exits::default();
        self.counts.iter().for_each(|counts| exits.add(&counts.exits()));
        exits
    }

    /// Exits by which processors were given away.
    pub(crate) fn idles(&self) -> u64 {
        self.counts.iter().map(|counts| counts.idles()).sum()
    }

    /// KVM's statistics of each.
    pub(crate) fn statistics(&self) -> Result<Vec<Vec<u64>>, TrialError> {
        let read = self.statistics.iter().map(Statistics::read).collect::<Result<_, _>>();
        read.map_err(TrialError::Statistics)
    }

    /// The change from one look at those to another, added up over the processors.
    pub(crate) fn between(&self, begin: &[Vec<u64>], end: &[Vec<u64>]) -> Vec<(String, u64)> {
        let of_each = self.statistics.iter().zip(begin).zip(end);
        let mut of_each = of_each.map(|((statistics, begin), end)| statistics.difference(begin, end));
        let mut sums = of_each.next().unwrap_or_default();
        for changes in of_each {
            // One KVM has the same statistics in the same order for every processor.
            for ((_, sum), (_, change)) in sums.iter_mut().zip(changes) {
                *sum = sum.wrapping_add(change);
            }
        }
        sums
    }
}

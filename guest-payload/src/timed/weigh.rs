//! Weighs the stopwatch: empty calls under it and without it, in turns. See [`abi::timed::burst`].

use abi::addr::{Order, PageRange};
use abi::axes::Axis;
use abi::boot::BootInfo;
use abi::control::Control;
use abi::layout::ARENA_START;
use abi::notes;
use abi::timed::burst::{Burst, CALLS};
use abi::timed::trace::ReportRecord;

use super::program::Reporter;
use crate::metal::{Metal, count};
use crate::transport::{Empty, Transport};

/// The same as the length of an array.
#[expect(clippy::cast_possible_truncation, reason = "a constant far below the smallest usize there is")]
const BATCH: usize = CALLS as usize;

/// Runs the whole trial: a round of every kind of burst to warm up, then `reports` / [`CALLS`] rounds.
pub fn run(metal: &mut impl Metal, info: &BootInfo) {
    let mut reporter = Reporter::new(info, Empty::new(info.bell));
    reporter.trace.hand_over(metal, Control::Ready);
    round(&mut reporter, metal, 0);
    reporter.trace.hand_over(metal, Control::Begin);
    for number in 0..info.reports.div_ceil(CALLS) {
        round(&mut reporter, metal, number);
    }
    reporter.trace.hand_over(metal, Control::End);
    reporter.trace.hand_over(metal, Control::Done);
}

/// Every kind of burst once, every other time backwards, so that a drift of the machine falls on all alike.
fn round(reporter: &mut Reporter<Empty>, metal: &mut impl Metal, number: u64) {
    for at in 0..Burst::ALL.len() {
        let at = if number.is_multiple_of(2) { at } else { Burst::ALL.len() - 1 - at };
        burst(reporter, metal, Burst::ALL[at]);
    }
}

fn burst(reporter: &mut Reporter<Empty>, metal: &mut impl Metal, kind: Burst) {
    metal.store(notes::BURST, kind.number());
    reporter.trace.hand_over(metal, Control::Burst);
    match kind {
        Burst::Once => (0..CALLS).for_each(|_| reporter.cycle(metal, &mut [])),
        Burst::Each => {
            // An empty call carries one range of none: so many of them make so many calls.
            let batch = [PageRange::block(ARENA_START, Order::PAGE); BATCH];
            let record = reporter.report(metal, &batch);
            reporter.trace.report(metal, ReportRecord { ranges: 0, ..record });
        }
        Burst::Bare | Burst::Registers => {
            let record = unstamped(&mut reporter.transport, metal);
            reporter.trace.report(metal, record);
        }
    }
}

/// So many calls between two stamps. Its record has no calls: none of them left a stamp.
fn unstamped<M: Metal>(transport: &mut Empty, metal: &mut M) -> ReportRecord {
    let begun = metal.clock();
    for _ in 0..CALLS {
        transport.prepare(metal, &[]);
        transport.notify(metal);
        let verdict = transport.wait(metal);
        if verdict.refused != 0 {
            count(metal, notes::REFUSED, verdict.refused);
        }
    }
    ReportRecord { begun, ended: metal.clock(), ..ReportRecord::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metal::fake::Fake;
    use crate::timed::program::tests::info;
    use abi::axes::{Afterwards, Carrier};

    #[test]
    fn every_kind_of_burst_makes_as_many_calls_and_only_stamped_ones_leave_a_trace() {
        let mut metal = Fake::new(|_, _| {});
        let info = BootInfo { reports: 2 * CALLS, ..info(Carrier::Empty, Afterwards::Kept) };
        run(&mut metal, &info);
        let rounds = 3;
        assert_eq!(metal.rings, rounds * 4 * CALLS);
        assert_eq!(metal.load(notes::CALLS), rounds * 2 * CALLS);
        assert_eq!(metal.load(notes::REPORTS), rounds * (CALLS + 3));
        assert_eq!(metal.said.iter().filter(|said| **said == Control::Burst).count(), 12);
        assert!(!metal.said.contains(&Control::Drain));
    }
}

//! Reports over a carrier that gathers them: each only adds to it, and the last one of a round rings for all.
//!
//! ```text
//!   begun ─ prepare ─ ended     begun ─ prepare ─ ended     begun ─ prepare ─ notify ─ wait ─ ended
//! ```
//!
//! The call is the last report's, as it is whoever finds the carrier full that rings: what a report takes is a little,
//! and once in hundreds of times much. Where the carrier lets the guest take back what the host was not told of yet, the
//! guest does so with one range in [`abi::wire::log::TAKEN_BACK_ONE_IN`], and the entry that says so is in the report's
//! *prepare* too.

use abi::addr::{PageRange, Pfn};
use abi::notes;
use abi::timed::trace::CallRecord;

use super::oracle;
use super::program::{Reporter, sleep};
use super::rounds::Round;
use crate::metal::{Metal, count};
use crate::transport::Gather;

impl<T> Reporter<T> {
    /// Makes reports until there may be no room for another, at most so many, and rings.
    pub(super) fn gather<M: Metal>(&mut self, metal: &mut M, round: &mut Round, most: u64)
    where
        T: Gather<M>,
    {
        let entries = round.batch() * if T::TAKES_BACK { 2 } else { 1 };
        while (round.made() as u64) < most && self.transport.room() >= entries {
            let (batch, made) = round.another();
            made.spared = self.free_some(metal, batch);
            sleep(metal, self.idle);
            made.record.ranges = batch.len() as u64;
            made.record.begun = metal.clock();
            self.transport.prepare(metal, batch);
            for range in &batch[..made.spared] {
                self.transport.take_back(metal, *range);
            }
            made.record.ended = metal.clock();
        }
        if round.made() > 0 {
            self.flush(metal, round);
        }
    }

    /// Rings for all of it. The end of the last report was a stamp for nothing, and is when it is acknowledged.
    fn flush<M: Metal>(&mut self, metal: &mut M, round: &mut Round)
    where
        T: Gather<M>,
    {
        let prepared = metal.clock();
        self.transport.notify(metal);
        let notified = metal.clock();
        let verdict = self.transport.wait(metal);
        let acknowledged = metal.clock();

        self.trace.call(metal, CallRecord { prepared, notified, acknowledged });
        let record = &mut round.last().record;
        (record.calls, record.ended) = (1, acknowledged);
        if verdict.refused != 0 {
            count(metal, notes::REFUSED, verdict.refused);
        }
        if let Some(violation) = verdict.violation {
            oracle::note(metal, violation, Pfn(0), self.trace.reports());
        }
    }

    /// Chooses the next pages, and puts first those that it will take back at once; how many ranges those are. Of them
    /// the host hears nothing but that they are in use.
    fn free_some<M: Metal>(&mut self, metal: &mut M, batch: &mut [PageRange]) -> usize
    where
        T: Gather<M>,
    {
        self.batches.fill(batch);
        let mut spared = 0;
        for at in 0..batch.len() {
            if T::TAKES_BACK && self.batches.is_taken_back(batch[at]) {
                batch.swap(at, spared);
                spared += 1;
            }
        }
        for range in &batch[..spared] {
            self.oracle.check(metal, *range, self.trace.reports());
            count(metal, notes::TAKEN_BACK, range.pages());
        }
        self.give(metal, &batch[spared..]);
        spared
    }
}

#[cfg(test)]
mod tests {
    use abi::addr::PageRange;
    use abi::axes::{Afterwards, Carrier};
    use abi::boot::BootInfo;
    use abi::calls::Operation;
    use abi::control::Control;
    use abi::layout::BATCH;
    use abi::notes;
    use abi::timed::trace::{CallRecord, ReportRecord, call_at, report_at};
    use abi::violation::Violation;
    use abi::wire::log::{self, State};

    use crate::metal::Metal;
    use crate::metal::fake::{Fake, Rung};
    use crate::timed::program::tests::{found, info};

    /// What a log says, entry by entry.
    fn entries(metal: &Fake, rung: Rung) -> Vec<(PageRange, State)> {
        let Some(Operation::Log { count }) = Operation::from_word(rung.word) else {
            panic!("no log: {rung:?}")
        };
        let entry = |i: u16| metal.load(BATCH.offset(8 + u64::from(i) * 8));
        let said = (0..count).map(entry).map(|entry| log::parse(entry).unwrap());
        said.map(|(range, state)| (range.inward().unwrap(), state)).collect()
    }

    /// What is to be discarded: a host that looks at `stable`, or does not.
    fn unused(entries: &[(PageRange, State)], looks: bool) -> Vec<PageRange> {
        let is_stable = |range| looks && entries.contains(&(range, State::Stable));
        let unused = entries.iter().filter(|(_, state)| *state == State::Unused);
        unused.map(|(range, _)| *range).filter(|range| !is_stable(*range)).collect()
    }

    fn run(batch: u64, host: impl FnMut(&mut Fake, Rung) + 'static) -> Fake {
        let mut metal = Fake::with_arena(1024, host);
        let info = BootInfo {
            batch,
            arena_pages: 1024,
            warmup: 1,
            reports: 700,
            gathers: 511,
            ..info(Carrier::Log, Afterwards::Zeroed)
        };
        crate::timed::run(&mut metal, &info).unwrap();
        metal
    }

    fn over_logs(batch: u64, looks: bool) -> Fake {
        run(batch, move |metal, rung| {
            for range in unused(&entries(metal, rung), looks) {
                metal.zero(range.gpa(), range.bytes());
            }
            metal.answer_with(0);
        })
    }

    #[test]
    fn a_call_is_made_when_there_may_be_no_room_for_another_report_and_at_the_end_of_a_part() {
        let metal = over_logs(1, true);
        assert_eq!(found(&metal), []);
        // The warm-up, two proofs, and two for 700 reports.
        assert_eq!((metal.rings, metal.load(notes::CALLS)), (5, 5));
        assert_eq!(metal.said.iter().filter(|said| **said == Control::Filled).count(), 2);
        // Of some 1600 ranges one in eight.
        let (spared, reported) = (metal.load(notes::TAKEN_BACK), metal.load(notes::DIGEST_PAGES));
        assert_eq!(spared + reported, metal.load(notes::REPORTS), "a page a report");
        assert!(reported / spared >= 6 && reported / spared <= 8, "{spared} of {reported}");
    }

    #[test]
    fn logs_of_larger_reports_are_never_too_full() {
        for batch in [2, 7, 100, 255] {
            assert_eq!(found(&over_logs(batch, true)), [], "{batch}");
        }
    }

    #[test]
    fn a_host_that_discards_what_was_taken_back_is_found() {
        let found = found(&over_logs(4, false));
        assert!(found.contains(&Violation::UnreportedLost), "{found:?}");
    }

    #[test]
    fn a_host_that_forgets_an_entry_is_found() {
        let metal = run(4, |metal, rung| {
            for range in unused(&entries(metal, rung), true).into_iter().skip(1) {
                metal.zero(range.gpa(), range.bytes());
            }
            metal.answer_with(0);
        });
        assert_eq!(found(&metal), [Violation::StillThere]);
    }

    #[test]
    fn the_call_is_the_last_reports_and_the_stamps_are_in_order() {
        let metal = over_logs(1, true);
        let words = |at: abi::addr::Gpa, i: u64| metal.load(at.offset(i * 8));
        // Those of the last round are still there.
        let reports = metal.load(notes::REPORTS);
        let record =
            |number| ReportRecord::from_words(core::array::from_fn(|i| words(report_at(number), i as u64)));
        let (before, last) = (record(reports - 2), record(reports - 1));
        let call = metal.load(notes::CALLS) - 1;
        let call = CallRecord::from_words(core::array::from_fn(|i| words(call_at(call), i as u64)));
        assert_eq!((before.calls, last.calls), (0, 1));
        assert!(before.begun < before.ended && before.ended < last.begun);
        assert!(last.begun < call.prepared && call.prepared < call.notified);
        assert_eq!(call.acknowledged, last.ended);
    }
}

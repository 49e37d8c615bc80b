//! The measured loop.
//!
//! ```text
//!   check ─ report ──────────────────────────── touch ─ retouch ─ check ─ stamp
//!           │ begun                       ended │
//!           └ prepare ─ notify ─ wait ┘ (again for every call the batch takes)
//! ```
//!
//! Only the stretch from `begun` to `ended`, and the two touches, are timed; the same lines time every
//! transport. Where the host has to be told before pages are used again, that is part of the first touch.

use abi::addr::{Order, PageRange, Pfn};
use abi::axes::Carrier;
use abi::boot::BootInfo;
use abi::control::{Control, IDLE_MOST};
use abi::digest::Digest;
use abi::layout::ARENA_START;
use abi::notes;
use abi::timed::company::Share;
use abi::timed::trace::{CallRecord, ReportRecord};
use abi::wire::page::BATCH_LENGTH;

use crate::metal::{Metal, count};
use crate::timed::ledger;
use crate::timed::oracle::{self, Oracle};
use crate::timed::trace::Trace;
use crate::timed::workload::Batches;
use crate::transport::choose::Over;
use crate::transport::{Transport, Verdict};

/// The measured program.
#[derive(Clone, Copy, Debug)]
pub struct Report;

impl<M: Metal> Over<M> for Report {
    fn over<T: Transport<M>>(self, metal: &mut M, info: &BootInfo, transport: T) {
        run(metal, info, transport);
    }
}

/// Runs the whole trial: stamp, warm up, prove, measure, prove, sweep.
pub(super) fn run<M: Metal, T: Transport<M>>(metal: &mut M, info: &BootInfo, transport: T) {
    let mut reporter = Reporter::new(info, transport);
    let mut space = [PageRange::block(ARENA_START, Order::PAGE); BATCH_LENGTH];
    let batch = &mut space[..batch_size(info)];

    reporter.stamp_share(metal);
    reporter.trace.hand_over(metal, Control::Ready);
    for _ in 0..info.warmup {
        reporter.cycle(metal, batch);
    }
    reporter.prove(metal, batch);
    reporter.trace.hand_over(metal, Control::Begin);
    for _ in 0..info.reports {
        reporter.cycle(metal, batch);
    }
    reporter.trace.hand_over(metal, Control::End);
    reporter.prove(metal, batch);
    reporter.sweep(metal);
    reporter.trace.hand_over(metal, Control::Done);
}

/// Ranges in a report: none with a carrier that carries nothing.
pub(super) fn batch_size(info: &BootInfo) -> usize {
    match info.carrier {
        Carrier::Empty => 0,
        // The host never asks for more than a batch page holds.
        _ => usize::try_from(info.batch).map_or(BATCH_LENGTH, |batch| batch.min(BATCH_LENGTH)),
    }
}

/// What reports, and what it keeps about that.
pub(super) struct Reporter<T> {
    pub(super) transport: T,
    pub(super) oracle: Oracle,
    pub(super) batches: Batches,
    pub(super) trace: Trace,
    digest: Digest,
    /// The pages it frees.
    share: Share,
    /// Microseconds before each report.
    pub(super) idle: u64,
}

impl<T> Reporter<T> {
    /// Of all of the arena.
    pub(super) fn new(info: &BootInfo, transport: T) -> Self {
        Self::of(Share::whole(info.arena_pages), info, transport)
    }

    /// Of a share of it.
    pub(super) fn of(share: Share, info: &BootInfo, transport: T) -> Self {
        Self {
            transport,
            oracle: Oracle::new(info.seed, info.afterwards),
            batches: Batches::new(info.workload, info.order, share, info.seed),
            trace: Trace::default(),
            digest: Digest::default(),
            share,
            idle: info.idle,
        }
    }

    /// Frees, reports and takes back one batch.
    pub(super) fn cycle<M: Metal>(&mut self, metal: &mut M, batch: &mut [PageRange])
    where
        T: Transport<M>,
    {
        self.free(metal, batch);
        // Outside the stopwatch: a guest that reports now and then is asleep before, and its caches are cold.
        sleep(metal, self.idle);
        let record = self.report(metal, batch);
        self.take_back(metal, batch, record);
    }

    /// Reports a batch between two looks of the host at what the kernel says is resident; if the host wants to know what the
    /// report does to other pages, between two looks of the guest at those too.
    fn prove<M: Metal>(&mut self, metal: &mut M, batch: &mut [PageRange])
    where
        T: Transport<M>,
    {
        self.trace.hand_over(metal, Control::Filled);
        self.look_around(metal);
        self.free(metal, batch);
        let record = self.report(metal, batch);
        metal.control(Control::Reported);
        self.look_around(metal);
        self.take_back(metal, batch, record);
    }

    /// Looks at every page that is not reported, if the host wants that.
    fn look_around(&self, metal: &mut impl Metal) {
        if metal.load(notes::LOOKS) == 0 {
            return;
        }
        for pfn in self.share.frames() {
            if !ledger::is_reported(metal, pfn) {
                self.oracle.check(metal, PageRange::block(pfn, Order::PAGE), self.trace.reports());
            }
        }
        metal.control(Control::Looked);
    }

    /// Chooses the next pages; from here on nobody may use them.
    pub(super) fn free<M: Metal>(&mut self, metal: &mut M, batch: &mut [PageRange])
    where
        T: Transport<M>,
    {
        self.batches.fill(batch);
        self.give(metal, batch);
        let calls = self.transport.calls(batch);
        self.trace.reserve(metal, calls as u64, 1);
    }

    /// Looks at pages once more, and notes that they are about to be the host's.
    pub(super) fn give<M: Metal>(&mut self, metal: &mut M, batch: &[PageRange]) {
        for range in batch {
            self.oracle.check(metal, *range, self.trace.reports());
            self.digest.add(*range);
        }
        ledger::report(metal, batch);
        metal.store(notes::DIGEST_SUM, self.digest.sum);
        metal.store(notes::DIGEST_PAGES, self.digest.pages);
    }

    /// Reports a batch, in as many calls as it takes. This is the stopwatch.
    pub(super) fn report<M: Metal>(&mut self, metal: &mut M, batch: &[PageRange]) -> ReportRecord
    where
        T: Transport<M>,
    {
        let mut record = ReportRecord { ranges: batch.len() as u64, ..ReportRecord::default() };
        let mut rest = batch;
        record.begun = metal.clock();
        loop {
            let (ranges, later) = rest.split_at(rest.len().min(self.transport.capacity()));
            self.transport.prepare(metal, ranges);
            let prepared = metal.clock();
            self.transport.notify(metal);
            let notified = metal.clock();
            let verdict = self.transport.wait(metal);
            let acknowledged = metal.clock();

            self.trace.call(metal, CallRecord { prepared, notified, acknowledged });
            record.calls += 1;
            record.ended = acknowledged;
            self.judge(metal, verdict, ranges);
            if !self.transport.is_last() {
                continue;
            }
            if later.is_empty() {
                return record;
            }
            rest = later;
        }
    }

    /// Counts what the host refused of these ranges and what was wrong with its acknowledgement.
    #[inline(always)]
    fn judge(&self, metal: &mut impl Metal, verdict: Verdict, ranges: &[PageRange]) {
        if verdict.refused != 0 {
            count(metal, notes::REFUSED, verdict.refused);
        }
        if let Some(violation) = verdict.violation {
            let first = ranges.first().map_or(Pfn(0), |range| range.start());
            oracle::note(metal, violation, first, self.trace.reports());
        }
    }

    /// Takes an acknowledged batch back: says so if the host has to know, touches it, checks it, stamps it.
    pub(super) fn take_back<M: Metal>(&mut self, metal: &mut M, batch: &[PageRange], mut record: ReportRecord)
    where
        T: Transport<M>,
    {
        let start = metal.clock();
        let verdict = self.transport.before_use(metal, batch);
        oracle::touch(metal, batch);
        let touched = metal.clock();
        oracle::touch(metal, batch);
        let retouched = metal.clock();
        record.touch = touched.wrapping_sub(start);
        record.retouch = retouched.wrapping_sub(touched);
        self.judge(metal, verdict, batch);

        for range in batch {
            self.oracle.check_touched(metal, *range, self.trace.reports());
            self.oracle.write(metal, *range);
        }
        ledger::take_back(metal, batch);
        self.trace.report(metal, record);
    }

    /// Writes the stamps of all its pages, which also makes them resident.
    pub(super) fn stamp_share(&self, metal: &mut impl Metal) {
        for pfn in self.share.frames() {
            self.oracle.write(metal, PageRange::block(pfn, Order::PAGE));
        }
    }

    /// Checks the stamps of all its pages: nothing is reported any more.
    pub(super) fn sweep(&self, metal: &mut impl Metal) {
        for pfn in self.share.frames() {
            self.oracle.check(metal, PageRange::block(pfn, Order::PAGE), self.trace.reports());
        }
    }
}

/// Gives the processor away for at least so many microseconds.
pub(super) fn sleep(metal: &mut impl Metal, microseconds: u64) {
    let mut left = microseconds;
    while left > 0 {
        let nap = left.min(IDLE_MOST);
        metal.idle(u32::try_from(nap).unwrap_or(u32::MAX));
        left -= nap;
    }
}

#[cfg(test)]
pub(crate) mod tests;

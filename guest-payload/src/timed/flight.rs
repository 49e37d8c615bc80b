//! Several reports in flight, as only a ring can have: all are told, one after the other, before the first is waited for.
//!
//! ```text
//!   1  begun ─ prepare ─ notify ────────────────────────── wait ─ ended
//!   2                           begun ─ prepare ─ notify ─────────────── wait ─ ended
//! ```
//!
//! Reports are waited for in the order in which they were made. The end of one may have been there for longer than the
//! guest has looked: it was still telling of others, or waiting for those before.

use abi::addr::Pfn;
use abi::notes;
use abi::timed::IN_FLIGHT_MOST;
use abi::timed::trace::CallRecord;

use super::oracle;
use super::program::{Reporter, sleep};
use super::rounds::Round;
use crate::metal::Metal;
use crate::transport::Several;

impl<T> Reporter<T> {
    /// Makes as many reports as may be in flight, at most so many, and waits for all.
    pub(super) fn fly<M: Metal>(&mut self, metal: &mut M, round: &mut Round, most: u64)
    where
        T: Several<M>,
    {
        while round.made() < round.most() && (round.made() as u64) < most {
            let (batch, made) = round.another();
            made.record.ranges = batch.len() as u64;
            self.batches.fill(batch);
            self.give(metal, batch);
            sleep(metal, self.idle);
        }

        let mut calls = [CallRecord::default(); IN_FLIGHT_MOST];
        for ((batch, made), call) in round.reports_mut().zip(&mut calls) {
            made.record.begun = metal.clock();
            self.transport.prepare(metal, batch);
            call.prepared = metal.clock();
            self.transport.notify(metal);
            call.notified = metal.clock();
        }
        let in_flight = self.transport.under_way(metal);
        if in_flight > metal.load(notes::IN_FLIGHT) {
            metal.store(notes::IN_FLIGHT, in_flight);
        }
        for ((batch, made), call) in round.reports_mut().zip(calls) {
            let verdict = self.transport.wait(metal);
            let acknowledged = metal.clock();
            self.trace.call(metal, CallRecord { acknowledged, ..call });
            (made.record.calls, made.record.ended) = (1, acknowledged);
            if let Some(violation) = verdict.violation {
                let first = batch.first().map_or(Pfn(0), |range| range.start());
                oracle::note(metal, violation, first, self.trace.reports());
            }
        }
    }
}

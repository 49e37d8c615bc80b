//! Flush: everything that is free and not reported is reported, now, as before a pause or a snapshot. Passes without delay,
//! budget and watermark, until one finds nothing. What is on no free list, below the least order, or what the min watermark of
//! a zone keeps, is no part of it.

use super::Core;
use super::pass::{Pass, Step};
use super::worker::WORKER;
use crate::metal::Metal;

/// What a flush came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flushed {
    /// Reports.
    pub reports: u64,
    /// Pages in them.
    pub pages: u64,
    /// When the last of them was acknowledged; the beginning, if there was none.
    pub acknowledged: u64,
}

impl<M: Metal, const REPORTS: bool> Core<'_, M, REPORTS> {
    /// Reports everything; nothing on a processor that makes no passes. A report that is refused ends it.
    pub fn report_all(&mut self, metal: &mut M) -> Flushed {
        let mut flushed = Flushed { acknowledged: metal.clock(), ..Flushed::default() };
        if !REPORTS || !self.on || !self.info.walk.walks_lists() || self.reporter.vcpu() != WORKER {
            return flushed;
        }
        // A pass under way has left lists that may have more.
        let mut was_under_way = self.pass.is_some();
        loop {
            let pass = self.pass.take().unwrap_or_else(|| {
                self.request.begin(metal, &self.reporter.books());
                Pass::begin(metal, &self.reporter)
            });
            let before = flushed.reports;
            let last = self.hurry(metal, pass, &mut flushed);
            let found_nothing = flushed.reports == before && !was_under_way;
            if last == Step::Refused || found_nothing {
                return flushed;
            }
            was_under_way = false;
        }
    }

    /// Ends a pass in a hurry; says what its last step came to.
    fn hurry(&mut self, metal: &mut M, pass: Pass, flushed: &mut Flushed) -> Step {
        let (mut pass, before) = (pass.hurried(), pass.record());
        let last = loop {
            match pass.step(metal, &mut self.reporter, self.request) {
                Step::Reported | Step::Waiting => {}
                last => break last,
            }
        };
        pass.end(metal);
        self.request.end(metal, &self.reporter.books());
        let made = pass.record();
        if made.reports > before.reports {
            flushed.reports += made.reports - before.reports;
            flushed.pages += made.pages - before.pages;
            flushed.acknowledged = self.reporter.acknowledged();
        }
        last
    }
}

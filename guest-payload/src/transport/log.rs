//! A page of states that many reports fill, and one call about all of them.

use abi::addr::{Gpa, PageRange};
use abi::calls::Operation;
use abi::layout;
use abi::wire::log::{self, State};
use abi::wire::page;

use super::{Gather, Transport, Verdict};
use crate::metal::Metal;

/// Gathers entries until the call.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    page: Gpa,
    count: u16,
}

impl Log {
    /// The log of a virtual processor: it lies where its batch page would.
    #[must_use]
    pub const fn of(vcpu: u32) -> Self {
        Self { page: layout::vcpu::batch(vcpu), count: 0 }
    }

    #[inline(always)]
    fn append<M: Metal>(&mut self, metal: &mut M, range: PageRange, state: State) {
        let at = self.page.offset(page::ENTRIES + u64::from(self.count) * page::ENTRY_SIZE);
        metal.store(at, log::entry(range, state));
        self.count += 1;
    }
}

impl<M: Metal> Transport<M> for Log {
    fn capacity(&self) -> usize {
        log::LENGTH
    }

    #[inline(always)]
    fn prepare(&mut self, metal: &mut M, ranges: &[PageRange]) {
        for range in ranges {
            self.append(metal, *range, State::Unused);
        }
    }

    #[inline(always)]
    fn notify(&mut self, metal: &mut M) {
        metal.ring(Operation::Log { count: self.count }.word(), self.page, 1);
    }

    #[inline(always)]
    fn wait(&mut self, metal: &mut M) -> Verdict {
        self.count = 0;
        Verdict::from_answer(metal.answer())
    }
}

impl<M: Metal> Gather<M> for Log {
    const TAKES_BACK: bool = true;

    fn room(&self) -> usize {
        log::LENGTH - usize::from(self.count)
    }

    #[inline(always)]
    fn take_back(&mut self, metal: &mut M, range: PageRange) {
        self.append(metal, range, State::Stable);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metal::fake::Fake;
    use abi::addr::{ByteRange, Order, Pfn};

    /// What a log says.
    fn entries(metal: &Fake, count: u64) -> Vec<(ByteRange, State)> {
        (0..count).map(|i| log::parse(metal.load(layout::BATCH.offset(8 + i * 8))).unwrap()).collect()
    }

    #[test]
    fn reports_follow_one_another_until_the_call() {
        let mut metal = Fake::new(|metal, rung| {
            assert_eq!(Operation::from_word(rung.word), Some(Operation::Log { count: 4 }));
            assert_eq!(rung.gpa, layout::BATCH);
            metal.answer_with(0);
        });
        let [a, b, c] = [0x400, 0x410, 0x420].map(|start| PageRange::block(Pfn(start), Order::PAGE));
        let mut log = Log::of(0);
        log.prepare(&mut metal, &[a, b]);
        log.take_back(&mut metal, a);
        log.prepare(&mut metal, &[c]);
        assert_eq!(Gather::<Fake>::room(&log), 507);
        let said = [(a, State::Unused), (b, State::Unused), (a, State::Stable), (c, State::Unused)];
        assert_eq!(entries(&metal, 4), said.map(|(range, state)| (range.as_bytes(), state)));
        log.notify(&mut metal);
        assert_eq!(log.wait(&mut metal), Verdict::default());
        assert_eq!((metal.rings, Gather::<Fake>::room(&log)), (1, 511));
    }
}

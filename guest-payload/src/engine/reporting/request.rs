//! Whether a pass is asked for, and when it is due.
//!
//! ```text
//!   idle ─ notify ─► requested ─ due ─► active ─ the end ─► idle
//!                        ▲                 │
//!                        └─ notify, or out of budget: due again a delay after the end
//! ```

use abi::addr::Gpa;
use abi::engine::books::Counter;

use crate::engine::books::Books;
use crate::engine::lock::Lock;
use crate::engine::shared::REQUEST;
use crate::metal::Metal;

/// The state: under the lock before it, and looked at without.
const STATE: Gpa = REQUEST.offset(4);
/// When the pass that is requested is due. Written before the state says so.
const DUE: Gpa = REQUEST.offset(8);

const IDLE: u32 = 0;
const REQUESTED: u32 = 1;
const ACTIVE: u32 = 2;

/// The state that all processors share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    delay: u64,
}

impl Request {
    /// Passes come `delay` ticks after they were requested.
    pub(super) const fn after(delay: u64) -> Self {
        Self { delay }
    }

    /// Something was freed (`__page_reporting_request`).
    pub(super) fn notify(self, metal: &mut impl Metal, books: &Books) {
        // Acquire is more than this look needs: what is decided on it is decided again under the lock.
        if metal.load32_acquire(STATE) == REQUESTED {
            return;
        }
        let lock = Lock::at(REQUEST);
        lock.acquire(metal, books);
        let state = metal.load32(STATE);
        if state == IDLE {
            let due = metal.clock().wrapping_add(self.delay);
            metal.store(DUE, due);
        }
        if state != REQUESTED {
            books.add(metal, Counter::Requests, 1);
            // Release: the due time is visible to the worker that acquires the state.
            metal.store32_release(STATE, REQUESTED);
        }
        lock.release(metal);
    }

    /// When the pass that is requested is due, if one is; of no meaning while one is active.
    pub(super) fn due(self, metal: &impl Metal) -> Option<u64> {
        // Acquire: pairs with the release of whoever requested it, so that the due time is its.
        (metal.load32_acquire(STATE) == REQUESTED).then(|| metal.load(DUE))
    }

    /// Whether a pass should begin.
    pub(super) fn is_due(self, metal: &impl Metal) -> bool {
        self.due(metal).is_some_and(|due| metal.clock() >= due)
    }

    /// Whether none is requested or active.
    pub(super) fn is_idle(self, metal: &impl Metal) -> bool {
        // Acquire, as everywhere; nothing else is read on the strength of it.
        metal.load32_acquire(STATE) == IDLE
    }

    /// The pass begins: what is freed from now on asks for another.
    pub(super) fn begin(self, metal: &mut impl Metal, books: &Books) {
        self.under_lock(metal, books, |_, _| ACTIVE);
    }

    /// The pass leaves a list for another.
    pub(super) fn again(self, metal: &mut impl Metal, books: &Books) {
        self.under_lock(metal, books, |_, _| REQUESTED);
    }

    /// The pass is over. Another is due after the delay if it was asked for meanwhile.
    pub(super) fn end(self, metal: &mut impl Metal, books: &Books) {
        self.under_lock(metal, books, |metal, state| {
            if state != REQUESTED {
                return IDLE;
            }
            let due = metal.clock().wrapping_add(self.delay);
            metal.store(DUE, due);
            REQUESTED
        });
    }

    fn under_lock<M: Metal>(self, metal: &mut M, books: &Books, next: impl FnOnce(&mut M, u32) -> u32) {
        let lock = Lock::at(REQUEST);
        lock.acquire(metal, books);
        let state = metal.load32(STATE);
        let state = next(metal, state);
        // Release: the due time is visible to whoever acquires the state.
        metal.store32_release(STATE, state);
        lock.release(metal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::machine;

    const DELAY: u64 = 100;

    #[test]
    fn a_request_is_due_a_delay_later() {
        let (mut metal, books) = machine();
        let request = Request::after(DELAY);
        assert!(request.is_idle(&metal) && !request.is_due(&metal));
        let before = metal.clock();
        request.notify(&mut metal, &books);
        let due = request.due(&metal).unwrap();
        assert!(due > before + DELAY && due < before + DELAY + 10);
        assert!(!request.is_due(&metal) && !request.is_idle(&metal));
        while metal.clock() < due {}
        assert!(request.is_due(&metal));
    }

    #[test]
    fn a_second_request_changes_nothing() {
        let (mut metal, books) = machine();
        let request = Request::after(DELAY);
        request.notify(&mut metal, &books);
        let due = request.due(&metal);
        request.notify(&mut metal, &books);
        assert_eq!(request.due(&metal), due);
        assert_eq!(books.read(&metal, Counter::Requests), 1);
    }

    #[test]
    fn a_pass_that_nobody_asked_again_leaves_it_idle() {
        let (mut metal, books) = machine();
        let request = Request::after(DELAY);
        request.notify(&mut metal, &books);
        request.begin(&mut metal, &books);
        assert_eq!((request.due(&metal), request.is_idle(&metal)), (None, false));
        request.end(&mut metal, &books);
        assert!(request.is_idle(&metal));
    }

    #[test]
    fn what_is_freed_during_a_pass_is_due_a_delay_after_it() {
        let (mut metal, books) = machine();
        let request = Request::after(DELAY);
        for again in [Request::notify, Request::again] {
            request.notify(&mut metal, &books);
            request.begin(&mut metal, &books);
            again(request, &mut metal, &books);
            let before = metal.clock();
            request.end(&mut metal, &books);
            assert!(request.due(&metal).unwrap() > before + DELAY);
            request.begin(&mut metal, &books);
            request.end(&mut metal, &books);
        }
    }
}

//! Synchronous: a block is reported by the processor that frees it, before it goes on its list. One block, one report;
//! what is smaller than the least order is never reported, nor what grows beyond it by merging. The hypercall RFC of
//! 2019-02.

use abi::engine::GuestFault;

use crate::engine::buddy::Block;
use crate::metal::Metal;

use super::reporter::Reporter;

/// Reports a block, and then frees it.
pub(super) fn free<M: Metal, const REPORTS: bool>(
    reporter: &mut Reporter<'_, M, REPORTS>,
    metal: &mut M,
    block: Block,
) {
    reporter.add(metal, block);
    if reporter.info().fault == GuestFault::ReportOnList {
        reporter.allocator().free(metal, &reporter.books(), block);
    }
    reporter.send(metal);
    reporter.finish(metal);
}

//! A store: one range in the 32 bits that a guest writes to a port or to an address where there is no memory
//! ([`crate::calls::STORE_PORT`], [`crate::layout::STORE_MMIO`]).
//!
//! KVM can be told to queue such writes itself and go on with the guest (`KVM_REGISTER_COALESCED_MMIO`; of ports since
//! Linux 4.20): then a range is reported when the host has looked at the queue, which it does in every call about it
//! ([`crate::calls::Operation::Kick`] on [`crate::calls::CALL_PORT`]), and before it acts on a write that found the queue
//! full. A guest that wants a page back has to make one of the two happen first.
//!
//! Before Linux 6.12 (commit 92f6d4130497) KVM takes the queue for full when it is half full, if its oldest entry is in the
//! first half of the ring: the free entries are a difference modulo 2^32 and then modulo 170, which does not divide it. A
//! guest cannot know that, and need not: such a write is one that found the queue full.

use crate::addr::{Order, OrderError, PageRange, Pfn};

/// Writes that KVM queues before one exits: the ring is a page with a header of 8 bytes and entries of 24, one of which
/// stays free (Linux `include/uapi/linux/kvm.h`, `KVM_COALESCED_MMIO_MAX`; `virt/kvm/coalesced_mmio.c`).
pub const QUEUE: u64 = QUEUE_LENGTH as u64;
/// The same, as the length of an array.
pub const QUEUE_LENGTH: usize = (4096 - 8) / 24 - 1;

/// Bytes of a write.
pub const BYTES: u32 = 4;
/// Bits of a write that hold the order. The frame number has the other 28: addresses below 1 TiB.
const ORDER_BITS: u32 = 4;
const ORDER_MASK: u32 = (1 << ORDER_BITS) - 1;

/// What is written to report a block below 1 TiB.
#[must_use]
pub const fn word(block: PageRange) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "a frame below 2^28, as asked for")]
    let frame = block.start().0 as u32;
    frame << ORDER_BITS | block.pages().trailing_zeros()
}

/// The block that was reported.
///
/// # Errors
/// [`OrderError`] if it would be larger than any.
pub fn block(word: u32) -> Result<PageRange, OrderError> {
    let order = Order::new(u64::from(word & ORDER_MASK))?;
    Ok(PageRange::block(Pfn(u64::from(word >> ORDER_BITS)), order))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_round_trip() {
        for start in [0, 0x400, (1 << 28) - 1] {
            for order in 0..=10 {
                let reported = PageRange::block(Pfn(start), Order::new(order).unwrap());
                assert_eq!(block(word(reported)), Ok(reported));
            }
        }
    }

    #[test]
    fn an_order_above_the_largest_is_none() {
        for order in 11..16 {
            assert_eq!(block(0x4000 | order), Err(OrderError { order: order.into() }));
        }
    }
}

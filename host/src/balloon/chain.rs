//! Walks one descriptor chain of the reporting queue.
//!
//! The walk is ours, not the library's, because every way a chain can be wrong is counted by its own name
//! here, and because an indirect descriptor, which was not negotiated, must be refused and not followed. It
//! reads each descriptor once, takes at most as many as the queue has entries, and follows no index beyond
//! the table.

use abi::addr::{ByteRange, Gpa};
use abi::wire::split_ring::{DESC_INDIRECT, DESC_NEXT, DESC_SIZE, DESC_WRITE};

use crate::memory::GuestRam;
use crate::reclaim::Batch;

/// A descriptor as it lies in memory (2.7.5), little-endian.
#[derive(Clone, Copy, Debug)]
struct Descriptor {
    addr: Gpa,
    len: u32,
    flags: u16,
    next: u16,
}

impl Descriptor {
    const fn has(self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

/// Takes the ranges of the chain that starts at `head` into `batch`. The ranges before a break are taken: each
/// of them was named by the guest.
pub(super) fn walk(ram: &GuestRam, table: Gpa, queue_size: u16, head: u16, batch: &mut Batch) {
    let mut index = head;
    for _ in 0..queue_size {
        if index >= queue_size {
            break;
        }
        let Some(descriptor) = read(ram, table.offset(u64::from(index) * DESC_SIZE)) else { break };
        take(ram, descriptor, batch);
        if !descriptor.has(DESC_NEXT) {
            return;
        }
        index = descriptor.next;
    }
    // Out of the table, or as many descriptors as there are and still another: a loop.
    batch.refused.broken_chain += 1;
}

fn take(ram: &GuestRam, descriptor: Descriptor, batch: &mut Batch) {
    if descriptor.has(DESC_INDIRECT) {
        batch.refused.indirect += 1;
    } else if !descriptor.has(DESC_WRITE) {
        batch.refused.read_only += 1;
    } else {
        batch.push(ByteRange { gpa: descriptor.addr, len: u64::from(descriptor.len) }, ram);
    }
}

fn read(ram: &GuestRam, at: Gpa) -> Option<Descriptor> {
    let mut bytes = [0; 16];
    ram.read_bytes(at, &mut bytes).ok()?;
    let (addr, rest) = bytes.split_first_chunk::<8>()?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let (flags, rest) = rest.split_first_chunk::<2>()?;
    let (next, _) = rest.split_first_chunk::<2>()?;
    Some(Descriptor {
        addr: Gpa(u64::from_le_bytes(*addr)),
        len: u32::from_le_bytes(*len),
        flags: u16::from_le_bytes(*flags),
        next: u16::from_le_bytes(*next),
    })
}

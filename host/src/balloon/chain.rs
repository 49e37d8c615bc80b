//! Walks one descriptor chain of the reporting queue, where that is a split one.
//!
//! The walk is ours, not the library's, because every way a chain can be wrong is counted by its own name
//! here, and because an indirect descriptor, which was not negotiated, must be refused and not followed. It
//! takes at most as many descriptors as the queue has entries, and follows no index beyond the table.
//!
//! Descriptors are copied in runs of neighbours, because a driver fills them in one after the other: one look-up
//! and one copy a run, as for a page of entries. What is acted on is the copy, and a chain that stays in a run
//! has each of its descriptors read once.

use abi::addr::{ByteRange, Gpa};
use abi::wire::split_ring::{
    DESC_FLAGS, DESC_INDIRECT, DESC_LEN, DESC_NEXT, DESC_NEXT_INDEX, DESC_SIZE, DESC_WRITE,
};

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
    #[expect(clippy::cast_possible_truncation, reason = "the fields are cut out of a word")]
    const fn from_bytes(bytes: &[u8; DESCRIPTOR_BYTES]) -> Self {
        let word = u128::from_le_bytes(*bytes);
        Self {
            addr: Gpa(word as u64),
            len: (word >> (8 * DESC_LEN)) as u32,
            flags: (word >> (8 * DESC_FLAGS)) as u16,
            next: (word >> (8 * DESC_NEXT_INDEX)) as u16,
        }
    }

    const fn buffer(self) -> Buffer {
        Buffer { addr: self.addr, len: self.len, flags: self.flags }
    }
}

/// What a descriptor names, and how: the same in both formats.
#[derive(Clone, Copy, Debug)]
pub(super) struct Buffer {
    pub(super) addr: Gpa,
    pub(super) len: u32,
    pub(super) flags: u16,
}

impl Buffer {
    const fn has(self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

/// The descriptors copied at once, if the table has so many more: a report of the default capacity. A chain that
/// leaves its run at every step costs a copy of this a step.
const RUN: u16 = 32;
const DESCRIPTOR_BYTES: usize = size_of::<[u64; 2]>();
const _: () = assert!(DESCRIPTOR_BYTES as u64 == DESC_SIZE);

/// Neighbouring descriptors as they were when they were copied.
pub(super) struct Run {
    /// Index of the first in the table.
    first: u16,
    /// How many there are.
    length: u16,
    bytes: [u8; RUN as usize * DESCRIPTOR_BYTES],
}

impl Run {
    pub(super) const fn empty() -> Self {
        Self { first: 0, length: 0, bytes: [0; RUN as usize * DESCRIPTOR_BYTES] }
    }

    /// The descriptor with this index, copied now if it was not before; `None` if it is not memory.
    pub(super) fn get(
        &mut self,
        ram: &GuestRam,
        table: Gpa,
        queue_size: u16,
        index: u16,
    ) -> Option<&[u8; DESCRIPTOR_BYTES]> {
        if index.wrapping_sub(self.first) >= self.length {
            self.copy(ram, table, queue_size, index)?;
        }
        let place = usize::from(index.wrapping_sub(self.first));
        self.bytes.as_chunks().0.get(place)
    }

    /// Copies the descriptors from `first` on. Where a run would leave memory, only the first of it: the driver
    /// may have named no other.
    fn copy(&mut self, ram: &GuestRam, table: Gpa, queue_size: u16, first: u16) -> Option<()> {
        let left = queue_size.saturating_sub(first).min(RUN);
        let at = table.offset(u64::from(first) * DESC_SIZE);
        self.length = [left, 1].into_iter().find(|length| {
            let bytes = &mut self.bytes[..usize::from(*length) * DESCRIPTOR_BYTES];
            ram.read_bytes(at, bytes).is_ok()
        })?;
        self.first = first;
        Some(())
    }
}

/// Takes the ranges of the chain that starts at `head` into `batch`. The ranges before a break are taken: each
/// of them was named by the guest.
pub(super) fn walk(ram: &GuestRam, table: Gpa, queue_size: u16, head: u16, batch: &mut Batch) {
    let mut run = Run::empty();
    let mut index = head;
    for _ in 0..queue_size {
        if index >= queue_size {
            break;
        }
        let Some(descriptor) = run.get(ram, table, queue_size, index) else { break };
        let descriptor = Descriptor::from_bytes(descriptor);
        take(ram, descriptor.buffer(), batch);
        if descriptor.flags & DESC_NEXT == 0 {
            return;
        }
        index = descriptor.next;
    }
    // Out of the table, or as many descriptors as there are and still another: a loop.
    batch.refused.broken_chain += 1;
}

/// Takes what a descriptor names into `batch`, or refuses it. Inlined, or a range of either format would be measured with a
/// call more because there is the other.
#[inline(always)]
pub(super) fn take(ram: &GuestRam, buffer: Buffer, batch: &mut Batch) {
    if buffer.has(DESC_INDIRECT) {
        batch.refused.indirect += 1;
    } else if !buffer.has(DESC_WRITE) {
        batch.refused.read_only += 1;
    } else {
        batch.push(ByteRange { gpa: buffer.addr, len: u64::from(buffer.len) }, ram);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reclaim::Refused;
    use abi::addr::PageRange;
    use proptest::prelude::*;

    const RAM_BYTES: u64 = 4 << 20;
    const SIZE: u16 = 128;
    const MIDDLE: u16 = DESC_WRITE | DESC_NEXT;

    fn write(ram: &GuestRam, table: Gpa, index: u16, page: u64, flags: u16, next: u16) {
        let at = table.offset(u64::from(index) * DESC_SIZE);
        let rest = 4096 | u64::from(flags) << 32 | u64::from(next) << 48;
        // What lies beyond memory cannot be written, and is not there to be read.
        let _ = ram.write_words(at, &[page << 12, rest]);
    }

    /// What a walk makes of a chain.
    fn walked(ram: &GuestRam, table: Gpa, head: u16) -> (Refused, Vec<PageRange>) {
        let mut batch = Batch::default();
        walk(ram, table, SIZE, head, &mut batch);
        (batch.refused, batch.ranges().to_vec())
    }

    /// The same, a descriptor at a time.
    fn one_by_one(ram: &GuestRam, table: Gpa, head: u16) -> (Refused, Vec<PageRange>) {
        let (mut batch, mut index) = (Batch::default(), head);
        for _ in 0..SIZE {
            let at = table.offset(u64::from(index) * DESC_SIZE);
            let words = if index < SIZE { ram.read_words(at).ok() } else { None };
            let Some([addr, rest]) = words else { break };
            let [len, flags, next] = [rest & 0xffff_ffff, rest >> 32 & 0xffff, rest >> 48];
            match u16::try_from(flags).unwrap() {
                flags if flags & DESC_INDIRECT != 0 => batch.refused.indirect += 1,
                flags if flags & DESC_WRITE == 0 => batch.refused.read_only += 1,
                _ => batch.push(ByteRange { gpa: Gpa(addr), len }, ram),
            }
            if flags & u64::from(DESC_NEXT) == 0 {
                return (batch.refused, batch.ranges().to_vec());
            }
            index = u16::try_from(next).unwrap();
        }
        batch.refused.broken_chain += 1;
        (batch.refused, batch.ranges().to_vec())
    }

    #[test]
    fn a_chain_longer_than_a_run_is_taken_whole() {
        let ram = GuestRam::new(RAM_BYTES).unwrap();
        let table = Gpa(0x1000);
        (0..SIZE).for_each(|index| write(&ram, table, index, u64::from(index), MIDDLE, (index + 1) % SIZE));
        write(&ram, table, 59, 59, DESC_WRITE, 0);
        let (refused, taken) = walked(&ram, table, 60);
        assert_eq!(refused, Refused::default(), "from 60 to the end of the table, and on from its beginning");
        assert_eq!(taken.len(), usize::from(SIZE));
        assert_eq!(taken[0].start().0, 60);
        assert_eq!(taken[SIZE as usize - 1].start().0, 59);
    }

    #[test]
    fn a_run_that_would_leave_memory_is_no_reason_to_refuse_what_is_in_it() {
        let ram = GuestRam::new(RAM_BYTES).unwrap();
        let table = Gpa(RAM_BYTES - 3 * DESC_SIZE);
        (0..3).for_each(|index| write(&ram, table, index, u64::from(index), MIDDLE, index + 1));
        let (refused, taken) = walked(&ram, table, 0);
        assert_eq!((refused.broken_chain, taken.len()), (1, 3), "the fourth is not memory");
    }

    proptest! {
        #[test]
        fn runs_read_what_one_by_one_would(
            steps in proptest::collection::vec((0_u16..8, 0_u16..SIZE + 3), SIZE as usize),
            straight in 0_u16..100,
            missing in 0_u64..80,
            head in 0_u16..SIZE,
        ) {
            let ram = GuestRam::new(RAM_BYTES).unwrap();
            let table = Gpa(RAM_BYTES - (u64::from(SIZE) - missing) * DESC_SIZE);
            for (index, (flags, jump)) in (0_u16..).zip(steps) {
                let is_straight = jump % 100 < straight;
                let next = if is_straight { index + 1 } else { jump };
                let flags = if is_straight { MIDDLE } else { flags };
                write(&ram, table, index, u64::from(index), flags, next);
            }
            prop_assert_eq!(walked(&ram, table, head), one_by_one(&ram, table, head));
        }
    }
}

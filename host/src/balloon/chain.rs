//! Walks one descriptor chain of the reporting queue, where that is a split one.
//!
//! The walk is ours, not the library's, because every way a chain can be wrong is counted by its own name
//! here, and because an indirect descriptor that was not negotiated must be refused and not followed. It
//! takes at most as many descriptors as the queue has entries, and follows no index beyond the table.
//!
//! Where tables were negotiated, the last descriptor of a chain may point to one (2.7.5.3): another chain, which is walked by
//! the same code, and in which none may point any further.
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
    pub(super) const fn has(self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

/// Descriptors in a row: those of a queue, or of an indirect table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    pub(super) at: Gpa,
    pub(super) size: u16,
}

impl Table {
    /// The table that an indirect descriptor points to. If that may not be, or is no table, it is refused. `negotiated`:
    /// whether tables were; `left`: how many more descriptors the chain may have (2.7.5.3.1). Whether the descriptor is
    /// writable must be ignored (2.7.5.3.2).
    #[cold]
    pub(super) fn of(
        ram: &GuestRam,
        pointer: Buffer,
        negotiated: bool,
        left: u16,
        batch: &mut Batch,
    ) -> Option<Self> {
        if !negotiated || pointer.has(DESC_NEXT) {
            batch.refused.indirect += 1;
            return None;
        }
        let bytes = usize::try_from(pointer.len).ok()?;
        let size = bytes / DESCRIPTOR_BYTES;
        let Some(size) = u16::try_from(size)
            .ok()
            .filter(|size| bytes.is_multiple_of(DESCRIPTOR_BYTES) && (1..=left).contains(size))
        else {
            batch.refused.table += 1;
            return None;
        };
        if !ram.holds(pointer.addr, bytes) {
            batch.refused.outside += 1;
            return None;
        }
        Some(Self { at: pointer.addr, size })
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

    /// The descriptor with this index, copied now if it was not before; `None` if it is not memory. Inlined: as a call it would
    /// be 28 instructions a range.
    #[inline(always)]
    pub(super) fn get(
        &mut self,
        ram: &GuestRam,
        table: Table,
        index: u16,
    ) -> Option<&[u8; DESCRIPTOR_BYTES]> {
        if index.wrapping_sub(self.first) >= self.length {
            self.copy(ram, table, index)?;
        }
        let place = usize::from(index.wrapping_sub(self.first));
        self.bytes.as_chunks().0.get(place)
    }

    /// Copies the descriptors from `first` on, once a run. Where a run would leave memory, only the first of it: the driver
    /// may have named no other.
    #[inline(never)]
    fn copy(&mut self, ram: &GuestRam, table: Table, first: u16) -> Option<()> {
        let left = table.size.saturating_sub(first).min(RUN);
        let at = table.at.offset(u64::from(first) * DESC_SIZE);
        self.length = [left, 1].into_iter().find(|length| {
            let bytes = &mut self.bytes[..usize::from(*length) * DESCRIPTOR_BYTES];
            ram.read_bytes(at, bytes).is_ok()
        })?;
        self.first = first;
        Some(())
    }
}

/// How a chain or list comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Walk {
    /// The most descriptors it may have: as many as the queue has.
    most: u16,
    /// Whether tables were negotiated.
    indirect: bool,
    /// Whether it went on in a table.
    pub(super) in_table: bool,
    /// Descriptors of the queue that it has, once it has been walked.
    pub(super) descriptors: u16,
}

impl Walk {
    pub(super) const fn new(most: u16, indirect: bool) -> Self {
        Self { most, indirect, in_table: false, descriptors: 0 }
    }

    /// Takes what a descriptor names into `batch`, before which there were so many others. If it points to a table, `go_on`
    /// takes what that names, and says whether it ends. Inlined, or a range of either format would be measured with a call
    /// more because there is the other.
    #[inline(always)]
    pub(super) fn take(
        &mut self,
        ram: &GuestRam,
        buffer: Buffer,
        before: u16,
        batch: &mut Batch,
        go_on: impl FnOnce(Table, &mut Batch) -> bool,
    ) {
        if buffer.has(DESC_INDIRECT) {
            self.point(ram, buffer, before, batch, go_on);
        } else {
            take(ram, buffer, batch);
        }
    }

    /// Goes on in the table that a descriptor points to, if it may and there is one.
    #[cold]
    #[inline(never)]
    fn point(
        &mut self,
        ram: &GuestRam,
        pointer: Buffer,
        before: u16,
        batch: &mut Batch,
        go_on: impl FnOnce(Table, &mut Batch) -> bool,
    ) {
        let left = self.most - before;
        let Some(table) = Table::of(ram, pointer, self.indirect, left, batch) else { return };
        self.in_table = true;
        let is_whole = go_on(table, batch);
        batch.refused.broken_chain += u64::from(!is_whole);
    }
}

/// Takes the ranges of the chain that starts at `head` into `batch`. The ranges before a break are taken: each
/// of them was named by the guest. `indirect`: whether tables were negotiated.
pub(super) fn walk(ram: &GuestRam, queue: Table, head: u16, indirect: bool, batch: &mut Batch) -> Walk {
    let mut walk = Walk::new(queue.size, indirect);
    // Two loops, so that a chain in a queue without tables is walked by one that knows of none.
    let followed = if indirect {
        follow(ram, queue, head, |before, buffer| {
            walk.take(ram, buffer, before, batch, |table, batch| {
                follow(ram, table, 0, |_, buffer| take(ram, buffer, batch)).is_ok()
            });
        })
    } else {
        follow(ram, queue, head, |_, buffer| take(ram, buffer, batch))
    };
    batch.refused.broken_chain += u64::from(followed.is_err());
    let (Ok(descriptors) | Err(descriptors)) = followed;
    Walk { descriptors, ..walk }
}

/// Shows the descriptors of a chain one after the other, each with how many there were before; how many they are. It is an
/// error if the chain does not end: if it leaves the table, or has as many descriptors as there are and still another, a
/// loop.
#[inline(always)]
fn follow(ram: &GuestRam, table: Table, head: u16, mut show: impl FnMut(u16, Buffer)) -> Result<u16, u16> {
    let mut run = Run::empty();
    let mut index = head;
    for before in 0..table.size {
        if index >= table.size {
            return Err(before);
        }
        let Some(descriptor) = run.get(ram, table, index) else { return Err(before) };
        let descriptor = Descriptor::from_bytes(descriptor);
        show(before, descriptor.buffer());
        if descriptor.flags & DESC_NEXT == 0 {
            return Ok(before + 1);
        }
        index = descriptor.next;
    }
    Err(table.size)
}

/// Takes what a descriptor names into `batch`, or refuses it. One that points to a table is refused: where it may, it is
/// looked at before. Inlined as [`Walk::take`] is.
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
        walk(ram, Table { at: table, size: SIZE }, head, false, &mut batch);
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

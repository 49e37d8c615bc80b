//! The device's end of a packed queue (2.8). It is ours: no library has one for devices.
//!
//! Lists of descriptors are taken in the order in which they come, one at a time, and used in the same. So the used
//! descriptor of a list takes the place of its first, and where the device marks is where it last took (2.8.6).

use std::sync::atomic::{Ordering, fence};

use abi::addr::Gpa;
use abi::wire::packed_ring::{
    DESC_FLAGS, DESC_ID, DESC_LEN, DESC_NEXT, DESC_SIZE, EVENT_DISABLE, EVENT_FLAGS, EVENT_FLAGS_MASK,
    Position, event, is_due,
};
use abi::wire::virtio::Areas;
use vm_memory::{Bytes, GuestAddress, GuestMemoryError};

use super::chain::{Buffer, Run, Table};
use super::standing::RingCounts;
use crate::memory::GuestRam;

/// A packed queue that is ready.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PackedQueue {
    at: Areas,
    /// Where the list last taken or taken up lies.
    taken: Span,
    /// Where the next one will.
    next: Position,
    /// The descriptor of which the device wants to be told, once it has named one: until then of any.
    named: Option<Position>,
}

/// Where a list lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Span {
    /// Its first descriptor.
    begun: Position,
    /// The first after it.
    end: Position,
}

/// A list of descriptors that was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct List {
    /// What its driver calls it. Nothing is looked up by it: it is only said again.
    pub(super) id: u16,
    /// Whether it ends where it says. One that goes on in a descriptor that is not available, or for more than the
    /// ring has, does not.
    pub(super) is_whole: bool,
}

impl PackedQueue {
    pub(super) const fn new(at: Areas) -> Self {
        let start = Span { begun: Position::START, end: Position::START };
        Self { at, taken: start, next: Position::START, named: None }
    }

    /// Where it lies.
    #[cfg(any(test, feature = "test-support"))]
    pub(crate) const fn areas(&self) -> Areas {
        self.at
    }

    /// How many descriptors it has.
    pub(super) const fn size(&self) -> u16 {
        self.at.size
    }

    /// Whether the wrap counter turned with the list last taken.
    pub(super) const fn has_turned(&self) -> bool {
        !self.next.is_on_lap_of(self.taken.begun)
    }

    /// Whether the list last taken begins at a descriptor of which the device did not want to be told.
    pub(super) fn was_unasked(&self) -> bool {
        self.named.is_some_and(|named| named != self.taken.begun)
    }

    /// Names the descriptor at which the next list will begin as the one of which the device wants to be told; whether that
    /// is there already.
    #[cold]
    pub(super) fn ask_for_kick(
        &mut self,
        ram: &GuestRam,
        counts: &mut RingCounts,
    ) -> Result<bool, GuestMemoryError> {
        if self.named == Some(self.next) {
            // It was asked for, and looked once more, before: whoever adds a list rings.
            return Ok(false);
        }
        self.named = Some(self.next);
        counts.kicks_asked += 1;
        // Relaxed: the fence below orders it. One store: the flags say what the rest means.
        let at = GuestAddress(self.at.device.0);
        ram.memory().store(event(self.next).to_le(), at, Ordering::Relaxed)?;
        // SeqCst: either the list that a driver has published is seen below, or the driver, which does it the other way
        // round, sees the event.
        fence(Ordering::SeqCst);
        // Relaxed: this only says whether to look properly.
        let flags = load(ram, self.descriptor(self.next).offset(DESC_FLAGS), Ordering::Relaxed)?;
        Ok(self.next.is_available(flags))
    }

    /// Whether the driver wants an interrupt for what was just used, where it may name a descriptor (2.8.10).
    #[cold]
    pub(super) fn is_event_due(&self, ram: &GuestRam) -> Result<bool, GuestMemoryError> {
        // SeqCst, as in `wants_interrupt`.
        fence(Ordering::SeqCst);
        // Relaxed: the fence above orders it. One load: the flags say what the rest means.
        let at = GuestAddress(self.at.driver.0);
        let structure = ram.memory().load(at, Ordering::Relaxed).map(u32::from_le)?;
        Ok(is_due(structure, self.taken.begun, self.taken.end, self.at.size))
    }

    /// Takes the next list, if there is one, and shows each of its descriptors, with how many there were before it. Those
    /// before a break are shown too: each was made available by the driver.
    pub(super) fn take(
        &mut self,
        ram: &GuestRam,
        mut show: impl FnMut(u16, Buffer),
    ) -> Result<Option<List>, GuestMemoryError> {
        // Acquire: whatever the driver wrote before the flags of a list's first descriptor is seen by the reads below,
        // the rest of the list among it.
        let flags = load(ram, self.descriptor(self.next).offset(DESC_FLAGS), Ordering::Acquire)?;
        if !self.next.is_available(flags) {
            return Ok(None);
        }
        self.taken.begun = self.next;
        let mut run = Run::empty();
        let mut list = List { id: 0, is_whole: false };
        for length in 0..self.at.size {
            let Some(element) = run.get(ram, self.table(), self.next.index()) else { break };
            let element = Element::from_bytes(element);
            // The flags of the first were looked at; read again, they are the driver's to have changed.
            if length > 0 && !self.next.is_available(element.flags) {
                break;
            }
            show(length, element.buffer());
            self.next = self.next.after(1, self.at.size);
            list.id = element.id;
            if element.flags & DESC_NEXT == 0 {
                list.is_whole = true;
                break;
            }
        }
        self.taken.end = self.next;
        Ok(Some(list))
    }

    /// Where the list last taken lies.
    pub(super) const fn taken(&self) -> Span {
        self.taken
    }

    /// Has a list that was taken before be the one to be marked.
    pub(super) const fn take_up(&mut self, list: Span) {
        self.taken = list;
    }

    /// Marks the list last taken as used, with nothing written into its buffers.
    pub(super) fn put(&self, ram: &GuestRam, id: u16) -> Result<(), GuestMemoryError> {
        self.mark(ram, self.taken.begun, id)
    }

    /// Marks the descriptor after the one that [`Self::put`] marks: a planted bug.
    pub(super) fn put_beyond(&self, ram: &GuestRam, id: u16) -> Result<(), GuestMemoryError> {
        self.mark(ram, self.taken.begun.after(1, self.at.size), id)
    }

    fn mark(&self, ram: &GuestRam, at: Position, id: u16) -> Result<(), GuestMemoryError> {
        let field = |offset| GuestAddress(self.descriptor(at).offset(offset).0);
        ram.memory().write_obj(0_u32, field(DESC_LEN))?;
        ram.memory().write_obj(id.to_le(), field(DESC_ID))?;
        // Release: whoever sees the flags sees the id, and the pages as they are after the discard. `WRITE` is not among
        // them: nothing was written into the buffers (2.8.4).
        ram.memory().store(at.used().to_le(), field(DESC_FLAGS), Ordering::Release)
    }

    /// Whether the driver wants an interrupt for what was just used (2.8.10), where it can only want all or none.
    pub(super) fn wants_interrupt(&self, ram: &GuestRam) -> Result<bool, GuestMemoryError> {
        // SeqCst: the used flags must be visible before the event flags are read, or a driver that asks for events and
        // then looks at the descriptor could wait for ever.
        fence(Ordering::SeqCst);
        // Relaxed: the fence above orders it.
        let flags = load(ram, self.at.driver.offset(EVENT_FLAGS), Ordering::Relaxed)?;
        Ok(flags & EVENT_FLAGS_MASK != EVENT_DISABLE)
    }

    /// Tells the driver not to say when it has made something available (2.8.10).
    pub(super) fn want_no_kicks(&self, ram: &GuestRam) -> Result<(), GuestMemoryError> {
        let flags = GuestAddress(self.at.device.offset(EVENT_FLAGS).0);
        // Relaxed: the driver is told that the queue is ready by a register that it reads afterwards.
        ram.memory().store(EVENT_DISABLE.to_le(), flags, Ordering::Relaxed)
    }

    const fn table(&self) -> Table {
        Table { at: self.at.desc, size: self.at.size }
    }

    fn descriptor(&self, position: Position) -> Gpa {
        self.at.desc.offset(u64::from(position.index()) * DESC_SIZE)
    }
}

/// Shows each descriptor of an indirect table, one after the other (2.8.7). The table was found to be memory.
pub(super) fn row(ram: &GuestRam, table: Table, mut show: impl FnMut(Buffer)) -> bool {
    let mut run = Run::empty();
    (0..table.size).all(|index| {
        let element = run.get(ram, table, index);
        element.is_some_and(|element| {
            show(Element::from_bytes(element).buffer());
            true
        })
    })
}

fn load(ram: &GuestRam, at: Gpa, order: Ordering) -> Result<u16, GuestMemoryError> {
    ram.memory().load(GuestAddress(at.0), order).map(u16::from_le)
}

/// A descriptor as it lies in memory (2.8.13), little-endian.
#[derive(Clone, Copy, Debug)]
struct Element {
    addr: Gpa,
    len: u32,
    id: u16,
    flags: u16,
}

impl Element {
    #[expect(clippy::cast_possible_truncation, reason = "the fields are cut out of a word")]
    const fn from_bytes(bytes: &[u8; DESC_SIZE as usize]) -> Self {
        let word = u128::from_le_bytes(*bytes);
        Self {
            addr: Gpa(word as u64),
            len: (word >> (8 * DESC_LEN)) as u32,
            id: (word >> (8 * DESC_ID)) as u16,
            flags: (word >> (8 * DESC_FLAGS)) as u16,
        }
    }

    const fn buffer(self) -> Buffer {
        Buffer { addr: self.addr, len: self.len, flags: self.flags }
    }
}

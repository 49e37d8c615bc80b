//! How each carrier is filled: guest memory is written as the guest's driver would write it, and the doorbell
//! is one [`Step::Call`].

use abi::addr::{ByteRange, Gpa, PAGE_SIZE};
use abi::axes::Carrier;
use abi::calls::{Answer, IDLE_GPA, IDLE_PAGES, Operation};
use abi::layout::BATCH;
use abi::step::Step;
use abi::wire::split_ring::{
    AVAIL_ENTRY_SIZE, DESC_NEXT, DESC_SIZE, DESC_WRITE, ENTRIES, IDX, Placement, USED_ENTRY_SIZE,
};
use abi::wire::virtio::Areas;
use abi::wire::{log, packed_ring, page};
use host::axes::Doorbell;
use host::memory::GuestRam;
use host::testing::specs::TIMED;
use libtest_mimic::Failed;
use vm_memory::{Bytes, GuestAddress};

use crate::common::{Checked, Transport};
use crate::gathering::{self, Log, Store, StoreQueue};

/// The kick of a ring.
pub(crate) const KICK: Step = Step::Call { word: Operation::Kick.word(), gpa: IDLE_GPA, pages: IDLE_PAGES };

/// The guest's end of a carrier, with nothing checked.
pub(crate) trait Encoder {
    /// Writes the ranges of a report; the calls to make.
    fn encode(&mut self, ram: &GuestRam, ranges: &[ByteRange]) -> Result<Vec<Step>, Failed>;

    /// How many of these steps are calls to the host.
    fn calls(&self, steps: &[Step]) -> u64 {
        steps.len() as u64
    }

    /// Checks the acknowledgement of what was encoded last, of which so many ranges must be refused.
    fn acknowledged(&self, ram: &GuestRam, answers: &[u64], refused: u64) -> Checked;
}

/// The encoder of a transport, whose guest has just come up.
pub(crate) fn encoder(transport: &Transport) -> Box<dyn Encoder> {
    match transport.way.carrier {
        Carrier::Empty => unreachable!("it carries nothing"),
        Carrier::Registers => Box::new(Registers),
        Carrier::Batch => Box::new(BatchPage),
        Carrier::Ring => Box::new(SplitDriver::new()),
        Carrier::PackedRing => Box::new(PackedDriver::new()),
        Carrier::Log => Box::new(Log),
        Carrier::Store if transport.way.doorbell.is_coalesced() => Box::new(StoreQueue),
        Carrier::Store => Box::new(Store),
    }
}

/// The driver of a transport that is a ring, whose guest has just come up.
pub(crate) fn driver(transport: &Transport) -> Box<dyn Driver> {
    match transport.way.carrier {
        Carrier::PackedRing => Box::new(PackedDriver::new()),
        _ => Box::new(SplitDriver::new()),
    }
}

/// Why a range cannot be named over a transport, if it cannot.
pub(crate) fn cannot_name(transport: &Transport, range: ByteRange) -> Option<&'static str> {
    let whole_pages = range.len.is_multiple_of(PAGE_SIZE);
    match transport.way.carrier {
        Carrier::Registers if !whole_pages => Some("a call names its length in pages"),
        Carrier::Batch | Carrier::Log if !(whole_pages && range.gpa.is_page_aligned()) => {
            Some("an entry names whole pages")
        }
        Carrier::Log if range.len / PAGE_SIZE > log::ENTRY_MAX_PAGES => {
            Some("an entry has 11 bits for the number of pages")
        }
        Carrier::Store if !gathering::is_block(range) => Some("a word names a block below 1 TiB"),
        Carrier::Batch if range.len / PAGE_SIZE > page::ENTRY_MAX_PAGES => {
            Some("an entry has 12 bits for the number of pages")
        }
        Carrier::Ring | Carrier::PackedRing if u32::try_from(range.len).is_err() => {
            Some("a descriptor's length has 32 bits")
        }
        _ => None,
    }
}

/// What KVM answers to a hypercall it does not hand to us (`-KVM_EINVAL`).
pub(crate) const REFUSED_BY_KVM: u64 = 22_u64.wrapping_neg();

/// Whether KVM refuses such a call itself, before its host hears of it (Linux `arch/x86/kvm/x86.c`,
/// `KVM_HC_MAP_GPA_RANGE`).
pub(crate) fn refused_by_kvm(transport: &Transport, gpa: Gpa, pages: u64) -> bool {
    let wraps = (gpa.0 / PAGE_SIZE).checked_add(pages).is_none();
    transport.way.doorbell == Doorbell::Hypercall && (!gpa.is_page_aligned() || pages == 0 || wraps)
}

/// One range a call.
struct Registers;

impl Encoder for Registers {
    fn encode(&mut self, _: &GuestRam, ranges: &[ByteRange]) -> Result<Vec<Step>, Failed> {
        let call = |range: &ByteRange| Step::Call {
            word: Operation::Range.word(),
            gpa: range.gpa.0,
            pages: range.len / PAGE_SIZE,
        };
        Ok(ranges.iter().map(call).collect())
    }

    fn acknowledged(&self, _: &GuestRam, answers: &[u64], refused: u64) -> Checked {
        equal("the answers' sum", answers.iter().sum(), refused)
    }
}

/// An entry a range.
struct BatchPage;

impl Encoder for BatchPage {
    fn encode(&mut self, ram: &GuestRam, ranges: &[ByteRange]) -> Result<Vec<Step>, Failed> {
        let entry = |range: &ByteRange| range.gpa.0 | (range.len / PAGE_SIZE);
        let entries: Vec<_> = ranges.iter().map(entry).collect();
        ram.write_words(BATCH.offset(page::ENTRIES), &entries)?;
        let count = u16::try_from(ranges.len())?;
        Ok(vec![Step::Call { word: Operation::Batch { count }.word(), gpa: BATCH.0, pages: 1 }])
    }

    fn acknowledged(&self, _: &GuestRam, answers: &[u64], refused: u64) -> Checked {
        equal("the answer", answers[0], Answer::Done { refused: u16::try_from(refused)? }.value())
    }
}

/// A descriptor, with anything in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Descriptor {
    pub(crate) range: ByteRange,
    pub(crate) flags: u16,
    pub(crate) next: u16,
}

/// The driver of a ring, in whichever format.
pub(crate) trait Driver: Encoder {
    /// The ring as the device is told.
    fn areas(&self) -> Areas;

    /// Makes a chain of one descriptor available.
    fn offer_one(&mut self, ram: &GuestRam, range: ByteRange) -> Checked;

    /// How many of the chains made available since the last restart are used.
    fn used_so_far(&self, ram: &GuestRam) -> Result<u16, Failed>;

    /// The ring's memory as after a reset: nothing available, nothing used.
    fn restart(&mut self, ram: &GuestRam) -> Checked;

    /// Writes what breaks the ring for good.
    fn break_it(&mut self, _: &GuestRam) -> Checked {
        Err("nothing that is in it breaks it".into())
    }
}

/// The driver of a split ring.
pub(crate) struct SplitDriver {
    at: Placement,
    /// The index of the available ring, and of the used ring once all is acknowledged.
    available: u16,
}

impl SplitDriver {
    /// The driver of a ring that was just set up.
    pub(crate) fn new() -> Self {
        Self { at: Placement::of(TIMED.queue_size()), available: 0 }
    }

    /// Entries of the ring.
    pub(crate) const fn size(&self) -> u16 {
        self.at.size
    }

    /// Writes the descriptor table from its beginning.
    pub(crate) fn table(&self, ram: &GuestRam, descriptors: &[Descriptor]) -> Checked {
        for (index, Descriptor { range, flags, next }) in (0..).zip(descriptors) {
            let at = self.at.desc.offset(index * DESC_SIZE);
            let [flags, next] = [flags, next].map(|half| u64::from(*half));
            let len = u64::from(u32::try_from(range.len)?);
            ram.write_words(at, &[range.gpa.0, len | flags << 32 | next << 48])?;
        }
        Ok(())
    }

    /// Makes the chain at `head` available.
    pub(crate) fn offer(&mut self, ram: &GuestRam, head: u16) -> Checked {
        let slot = u64::from(self.available % self.at.size);
        store16(ram, self.at.avail.offset(ENTRIES + slot * AVAIL_ENTRY_SIZE), head)?;
        self.move_on(ram, 1)
    }

    /// Moves the available index, with nothing behind it.
    pub(crate) fn move_on(&mut self, ram: &GuestRam, by: u16) -> Checked {
        self.available = self.available.wrapping_add(by);
        store16(ram, self.at.avail.offset(IDX), self.available)
    }

    /// Checks that everything made available is acknowledged, in order, `heads` last, with length 0.
    pub(crate) fn used(&self, ram: &GuestRam, heads: &[u16]) -> Checked {
        equal("the used index", self.used_index(ram)?, self.available)?;
        let first = self.available.wrapping_sub(u16::try_from(heads.len())?);
        for (index, head) in (0..).zip(heads) {
            let slot = u64::from(first.wrapping_add(index) % self.at.size);
            let entry = ram.read(self.at.used.offset(ENTRIES + slot * USED_ENTRY_SIZE))?;
            equal("the used entry (length above, head below)", entry, u64::from(*head))?;
        }
        Ok(())
    }

    /// The index of the used ring.
    pub(crate) fn used_index(&self, ram: &GuestRam) -> Result<u16, Failed> {
        let mut bytes = [0; 2];
        ram.read_bytes(self.at.used.offset(IDX), &mut bytes)?;
        Ok(u16::from_le_bytes(bytes))
    }
}

impl Driver for SplitDriver {
    fn areas(&self) -> Areas {
        self.at.areas()
    }

    fn offer_one(&mut self, ram: &GuestRam, range: ByteRange) -> Checked {
        self.table(ram, &chain(&[range]))?;
        self.offer(ram, 0)
    }

    fn used_so_far(&self, ram: &GuestRam) -> Result<u16, Failed> {
        self.used_index(ram)
    }

    fn restart(&mut self, ram: &GuestRam) -> Checked {
        self.available = 0;
        store16(ram, self.at.avail.offset(IDX), 0)?;
        store16(ram, self.at.used.offset(IDX), 0)
    }

    fn break_it(&mut self, ram: &GuestRam) -> Checked {
        self.move_on(ram, self.at.size + 1)
    }
}

impl Encoder for SplitDriver {
    fn encode(&mut self, ram: &GuestRam, ranges: &[ByteRange]) -> Result<Vec<Step>, Failed> {
        self.table(ram, &chain(ranges))?;
        self.offer(ram, 0)?;
        Ok(vec![KICK])
    }

    fn acknowledged(&self, ram: &GuestRam, _: &[u64], _: u64) -> Checked {
        self.used(ram, &[0])
    }
}

/// Device-writable descriptors, each with the next one after it.
pub(crate) fn chain(ranges: &[ByteRange]) -> Vec<Descriptor> {
    let descriptor = |(next, range): (u16, &ByteRange)| Descriptor {
        range: *range,
        flags: if usize::from(next) < ranges.len() { DESC_WRITE | DESC_NEXT } else { DESC_WRITE },
        next,
    };
    (1..).zip(ranges).map(descriptor).collect()
}

/// A descriptor of a packed ring, with anything in it but whose turn it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Element {
    pub(crate) range: ByteRange,
    pub(crate) id: u16,
    pub(crate) flags: u16,
}

/// The driver of a packed ring. It counts descriptors, not laps, and has the wrap counter from that.
pub(crate) struct PackedDriver {
    at: packed_ring::Placement,
    /// Descriptors made available since the ring was set up.
    offered: u64,
    /// The first descriptor of each list made available since then, by that count, and the id to expect there.
    lists: Vec<(u64, u16)>,
}

const AVAIL: u16 = 1 << 7;
const USED: u16 = 1 << 15;

impl PackedDriver {
    /// The driver of a ring that was just set up.
    pub(crate) fn new() -> Self {
        Self { at: packed_ring::Placement::of(TIMED.queue_size()), offered: 0, lists: Vec::new() }
    }

    /// Entries of the ring.
    pub(crate) const fn size(&self) -> u16 {
        self.at.size
    }

    /// Descriptors made available so far.
    pub(crate) const fn offered(&self) -> u64 {
        self.offered
    }

    /// Whether a descriptor is on a lap with a wrap counter of 1.
    const fn is_odd_lap(&self, number: u64) -> bool {
        (number / self.at.size as u64).is_multiple_of(2)
    }

    /// The two bits of a descriptor that is available.
    pub(crate) const fn available(&self, number: u64) -> u16 {
        if self.is_odd_lap(number) { AVAIL } else { USED }
    }

    /// The two bits of a descriptor that is used.
    const fn used_bits(&self, number: u64) -> u16 {
        if self.is_odd_lap(number) { AVAIL | USED } else { 0 }
    }

    /// Writes the descriptor made available so manieth, flags and all.
    pub(crate) fn write(&self, ram: &GuestRam, number: u64, element: Element) -> Checked {
        let at = self.descriptor(number);
        let Element { range, id, flags } = element;
        let len = u64::from(u32::try_from(range.len)?);
        ram.write(at, range.gpa.0)?;
        // Flags last, and with what they make available.
        ram.write(at.offset(8), len | u64::from(id) << 32 | u64::from(flags) << 48)?;
        Ok(())
    }

    /// Makes a list available that must be used with this id.
    pub(crate) fn offer(&mut self, ram: &GuestRam, list: &[Element], id: u16) -> Checked {
        let first = self.offered;
        // The first descriptor last, or the device might see half a list.
        for (number, element) in (first..).zip(list).collect::<Vec<_>>().into_iter().rev() {
            let flags = element.flags | self.available(number);
            self.write(ram, number, Element { flags, ..*element })?;
        }
        self.offered += list.len() as u64;
        self.lists.push((first, id));
        Ok(())
    }

    /// Checks that the last so many lists are used, each in the place of its first descriptor, by its id, with nothing
    /// written.
    pub(crate) fn used(&self, ram: &GuestRam, lists: usize) -> Checked {
        for (first, id) in self.lists.iter().rev().take(lists) {
            let rest = ram.read(self.descriptor(*first).offset(8))?;
            let expected = u64::from(*id) << 32 | u64::from(self.used_bits(*first)) << 48;
            equal("the used descriptor (flags, id, length)", rest, expected)?;
        }
        Ok(())
    }

    fn descriptor(&self, number: u64) -> Gpa {
        self.at.desc.offset(number % u64::from(self.at.size) * 16)
    }
}

impl Driver for PackedDriver {
    fn areas(&self) -> Areas {
        self.at.areas()
    }

    fn offer_one(&mut self, ram: &GuestRam, range: ByteRange) -> Checked {
        self.offer(ram, &list(&[range], 1), 1)
    }

    fn used_so_far(&self, ram: &GuestRam) -> Result<u16, Failed> {
        let mut used = 0;
        for (first, _) in &self.lists {
            let flags = ram.read(self.descriptor(*first).offset(8))? >> 48;
            used += u16::from(flags & u64::from(AVAIL | USED) == u64::from(self.used_bits(*first)));
        }
        Ok(used)
    }

    fn restart(&mut self, ram: &GuestRam) -> Checked {
        (self.offered, self.lists) = (0, Vec::new());
        let words = vec![0; usize::from(self.at.size) * 2];
        Ok(ram.write_words(self.at.desc, &words)?)
    }
}

impl Encoder for PackedDriver {
    fn encode(&mut self, ram: &GuestRam, ranges: &[ByteRange]) -> Result<Vec<Step>, Failed> {
        let id = u16::try_from(self.offered % 0x1_0000)?;
        self.offer(ram, &list(ranges, id), id)?;
        Ok(vec![KICK])
    }

    fn acknowledged(&self, ram: &GuestRam, _: &[u64], _: u64) -> Checked {
        self.used(ram, 1)
    }
}

/// Device-writable descriptors, the last of which has the id.
pub(crate) fn list(ranges: &[ByteRange], id: u16) -> Vec<Element> {
    let element = |(number, range): (usize, &ByteRange)| {
        let is_last = number + 1 == ranges.len();
        let (id, flags) = if is_last { (id, DESC_WRITE) } else { (!id, DESC_WRITE | DESC_NEXT) };
        Element { range: *range, id, flags }
    };
    ranges.iter().enumerate().map(element).collect()
}

fn store16(ram: &GuestRam, at: Gpa, value: u16) -> Checked {
    Ok(ram.memory().write_obj(value.to_le(), GuestAddress(at.0))?)
}

/// Says what is not what it must be.
pub(crate) fn equal<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Checked {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what}: found {found:?}, expected {expected:?}").into())
    }
}

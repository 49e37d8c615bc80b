//! How each carrier is filled: guest memory is written as the guest's driver would write it, and the doorbell
//! is one [`Step::Call`].

mod heat_hint;

use abi::addr::{ByteRange, Gpa, PAGE_SIZE};
use abi::axes::{Carrier, RingFeatures};
use abi::calls::{Answer, IDLE_GPA, IDLE_PAGES, Operation};
use abi::layout::BATCH;
use abi::step::Step;
use abi::wire::split_ring::{
    AVAIL_ENTRY_SIZE, DESC_INDIRECT, DESC_NEXT, DESC_SIZE, DESC_WRITE, ENTRIES, IDX, Placement,
    USED_ENTRY_SIZE,
};
use abi::wire::virtio::Areas;
use abi::wire::{indirect, log, page};
use host::axes::Doorbell;
use host::memory::GuestRam;
use host::testing::specs::TIMED;
use libtest_mimic::Failed;
use vm_memory::{Bytes, GuestAddress};

use crate::announcements::Announcing;
use crate::blocks::{self, StatusPage};
use crate::common::{Checked, Transport};
use crate::frames::{self, Lists};
use crate::gathering::{self, Log, Store, StoreQueue};
use crate::requests::Requests;

mod packed;

pub(crate) use packed::{Element, PackedDriver, list};

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
        Carrier::Ring => Box::new(SplitDriver::new(transport.way.ring_features)),
        Carrier::PackedRing => Box::new(PackedDriver::new(transport.way.ring_features)),
        Carrier::Log => Box::new(Log),
        Carrier::Store if transport.way.doorbell.is_coalesced() => Box::new(StoreQueue),
        Carrier::Store => Box::new(Store),
        Carrier::Request => Box::new(Requests::default()),
        Carrier::Status => Box::new(StatusPage::default()),
        Carrier::Inflate => Box::new(Lists::default()),
        Carrier::CallAndRing => Box::new(Announcing::new()),
        Carrier::HeatHint => Box::new(heat_hint::HeatHints::default()),
    }
}

/// The driver of a transport that is a ring, whose guest has just come up.
pub(crate) fn driver(transport: &Transport) -> Box<dyn Driver> {
    match transport.way.carrier {
        Carrier::PackedRing => Box::new(PackedDriver::new(transport.way.ring_features)),
        _ => Box::new(SplitDriver::new(transport.way.ring_features)),
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
        Carrier::Status => blocks::cannot_name(range),
        Carrier::Inflate => frames::cannot_name(range),
        Carrier::HeatHint => heat_hint::cannot_name(range),
        Carrier::Ring | Carrier::PackedRing | Carrier::CallAndRing if u32::try_from(range.len).is_err() => {
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

impl Descriptor {
    fn write(self, ram: &GuestRam, table: Gpa, index: u64) -> Checked {
        let [flags, next] = [self.flags, self.next].map(u64::from);
        let len = u64::from(u32::try_from(self.range.len)?);
        Ok(ram.write_words(
            table.offset(index * DESC_SIZE),
            &[self.range.gpa.0, len | flags << 32 | next << 48],
        )?)
    }
}

/// A driver that puts reports into indirect tables.
pub(crate) trait Tables: Encoder {
    /// Makes a chain or list available whose one descriptor points to a table of such ranges and flags; or, whatever the
    /// table is, to `pointed`.
    fn offer_marked(
        &mut self,
        ram: &GuestRam,
        table: &[(ByteRange, u16)],
        pointed: Option<ByteRange>,
    ) -> Checked;
}

impl Tables for SplitDriver {
    fn offer_marked(
        &mut self,
        ram: &GuestRam,
        table: &[(ByteRange, u16)],
        pointed: Option<ByteRange>,
    ) -> Checked {
        let mark = |(next, (range, flags)): (u16, &(ByteRange, u16))| {
            let more = if usize::from(next) < table.len() { DESC_NEXT } else { 0 };
            Descriptor { range: *range, flags: flags | more, next }
        };
        let table: Vec<_> = (1..).zip(table).map(mark).collect();
        self.offer_table(ram, &table, pointed)
    }
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
    options: RingFeatures,
    /// The first descriptor of the last chain encoded, and where the next begins if descriptors are taken in order.
    head: u16,
    next: u16,
    /// The index of the available ring, and of the used ring once all is acknowledged.
    available: u16,
}

impl SplitDriver {
    /// The driver of a ring that was just set up.
    pub(crate) fn new(options: RingFeatures) -> Self {
        Self { at: Placement::of(TIMED.queue_size()), options, head: 0, next: 0, available: 0 }
    }

    /// Entries of the ring.
    pub(crate) const fn size(&self) -> u16 {
        self.at.size
    }

    /// Writes the descriptor table from its beginning.
    pub(crate) fn table(&self, ram: &GuestRam, descriptors: &[Descriptor]) -> Checked {
        (0..).zip(descriptors).try_for_each(|(index, descriptor)| descriptor.write(ram, self.at.desc, index))
    }

    /// Writes a chain that goes on where the last encoded ended, if descriptors are taken in order.
    fn write(&mut self, ram: &GuestRam, chain: &[Descriptor]) -> Checked {
        self.head = if self.options.in_order { self.next } else { 0 };
        for descriptor in chain {
            let next = (self.head + descriptor.next) % self.at.size;
            let index = (self.head + descriptor.next + self.at.size - 1) % self.at.size;
            Descriptor { next, ..*descriptor }.write(ram, self.at.desc, index.into())?;
            self.next = next;
        }
        Ok(())
    }

    /// The entry of the available ring at which the device wants to be told.
    pub(crate) fn named(&self, ram: &GuestRam) -> Result<u16, Failed> {
        load16(ram, self.at.avail_event())
    }

    /// Has the driver want to be told at an entry of the used ring.
    pub(crate) fn name(&self, ram: &GuestRam, event: u16) -> Checked {
        store16(ram, self.at.used_event(), event)
    }

    /// Chains made available so far.
    pub(crate) const fn available(&self) -> u16 {
        self.available
    }

    /// Makes a chain of one descriptor available that points to this table; or, whatever that is, to `pointed`.
    fn offer_table(&mut self, ram: &GuestRam, table: &[Descriptor], pointed: Option<ByteRange>) -> Checked {
        for (index, descriptor) in (0..).zip(table) {
            descriptor.write(ram, indirect::AT, index)?;
        }
        let range = pointed.unwrap_or(whole(table.len()));
        self.write(ram, &[Descriptor { range, flags: DESC_INDIRECT, next: 1 }])?;
        self.offer(ram, self.head)
    }

    /// Makes the chain at `head` available.
    pub(crate) fn offer(&mut self, ram: &GuestRam, head: u16) -> Checked {
        let slot = u64::from(self.available % self.at.size);
        store16(ram, self.at.avail.offset(ENTRIES + slot * AVAIL_ENTRY_SIZE), head)?;
        self.move_on(ram, 1)
    }

    /// Moves the available index, with nothing behind it.
    pub(crate) fn move_on(&mut self, ram: &GuestRam, by: u16) -> Checked {
        if self.options.event_idx {
            self.name(ram, self.available.wrapping_add(by).wrapping_sub(1))?;
        }
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
        load16(ram, self.at.used.offset(IDX))
    }
}

impl Driver for SplitDriver {
    fn areas(&self) -> Areas {
        self.at.areas().with(self.options)
    }

    fn offer_one(&mut self, ram: &GuestRam, range: ByteRange) -> Checked {
        self.table(ram, &chain(&[range]))?;
        self.offer(ram, 0)
    }

    fn used_so_far(&self, ram: &GuestRam) -> Result<u16, Failed> {
        self.used_index(ram)
    }

    fn restart(&mut self, ram: &GuestRam) -> Checked {
        (self.available, self.next) = (0, 0);
        store16(ram, self.at.avail_event(), 0)?;
        store16(ram, self.at.avail.offset(IDX), 0)?;
        store16(ram, self.at.used.offset(IDX), 0)
    }

    fn break_it(&mut self, ram: &GuestRam) -> Checked {
        self.move_on(ram, self.at.size + 1)
    }
}

impl Encoder for SplitDriver {
    fn encode(&mut self, ram: &GuestRam, ranges: &[ByteRange]) -> Result<Vec<Step>, Failed> {
        let chain = chain(ranges);
        if self.options.indirect {
            self.offer_table(ram, &chain, None)?;
        } else {
            self.write(ram, &chain)?;
            self.offer(ram, self.head)?;
        }
        Ok(vec![KICK])
    }

    fn acknowledged(&self, ram: &GuestRam, _: &[u64], _: u64) -> Checked {
        self.used(ram, &[self.head])
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

/// The table of so many descriptors.
fn whole(descriptors: usize) -> ByteRange {
    ByteRange { gpa: indirect::AT, len: indirect::bytes(descriptors).into() }
}

fn load16(ram: &GuestRam, at: Gpa) -> Result<u16, Failed> {
    let mut bytes = [0; 2];
    ram.read_bytes(at, &mut bytes)?;
    Ok(u16::from_le_bytes(bytes))
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

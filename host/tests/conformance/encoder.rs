//! How each carrier is filled: guest memory is written as the guest's driver would write it, and the doorbell
//! is one [`Step::Call`].

use abi::addr::{ByteRange, Gpa, PAGE_SIZE};
use abi::axes::Carrier;
use abi::calls::{Answer, IDLE_GPA, IDLE_PAGES, Operation};
use abi::layout::BATCH;
use abi::step::Step;
use abi::wire::page;
use abi::wire::split_ring::{
    AVAIL_ENTRY_SIZE, DESC_NEXT, DESC_SIZE, DESC_WRITE, ENTRIES, IDX, Placement, USED_ENTRY_SIZE,
};
use host::axes::Doorbell;
use host::memory::GuestRam;
use host::testing::specs::TIMED;
use libtest_mimic::Failed;
use vm_memory::{Bytes, GuestAddress};

use crate::common::{Checked, Transport};

/// The kick of a ring.
pub(crate) const KICK: Step = Step::Call { word: Operation::Kick.word(), gpa: IDLE_GPA, pages: IDLE_PAGES };

/// The guest's end of a carrier, with nothing checked.
pub(crate) trait Encoder {
    /// Writes the ranges of a report; the calls to make.
    fn encode(&mut self, ram: &GuestRam, ranges: &[ByteRange]) -> Result<Vec<Step>, Failed>;

    /// Checks the acknowledgement of what was encoded last, of which so many ranges must be refused.
    fn acknowledged(&self, ram: &GuestRam, answers: &[u64], refused: u64) -> Checked;
}

/// The encoder of a transport, whose guest has just come up.
pub(crate) fn encoder(transport: &Transport) -> Box<dyn Encoder> {
    match transport.way.carrier {
        Carrier::Empty => unreachable!("it carries nothing"),
        Carrier::Registers => Box::new(Registers),
        Carrier::Batch => Box::new(BatchPage),
        Carrier::Ring => Box::new(Driver::new()),
    }
}

/// Why a range cannot be named over a transport, if it cannot.
pub(crate) fn cannot_name(transport: &Transport, range: ByteRange) -> Option<&'static str> {
    let whole_pages = range.len.is_multiple_of(PAGE_SIZE);
    match transport.way.carrier {
        Carrier::Registers if !whole_pages => Some("a call names its length in pages"),
        Carrier::Batch if !(whole_pages && range.gpa.is_page_aligned()) => Some("an entry names whole pages"),
        Carrier::Batch if range.len / PAGE_SIZE > page::ENTRY_MAX_PAGES => {
            Some("an entry has 12 bits for the number of pages")
        }
        Carrier::Ring if u32::try_from(range.len).is_err() => Some("a descriptor's length has 32 bits"),
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

/// The driver of a ring.
pub(crate) struct Driver {
    at: Placement,
    /// The index of the available ring, and of the used ring once all is acknowledged.
    available: u16,
}

impl Driver {
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

    /// The ring's memory as after a reset: nothing available, nothing used.
    pub(crate) fn restart(&mut self, ram: &GuestRam) -> Checked {
        self.available = 0;
        store16(ram, self.at.avail.offset(IDX), 0)?;
        store16(ram, self.at.used.offset(IDX), 0)
    }

    /// Where the ring lies.
    pub(crate) const fn placement(&self) -> Placement {
        self.at
    }
}

impl Encoder for Driver {
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

//! The driver of a packed ring.

use abi::addr::{ByteRange, Gpa};
use abi::axes::RingFeatures;
use abi::step::Step;
use abi::wire::split_ring::{DESC_INDIRECT, DESC_NEXT, DESC_WRITE};
use abi::wire::virtio::Areas;
use abi::wire::{indirect, packed_ring};
use host::memory::GuestRam;
use host::testing::specs::TIMED;
use libtest_mimic::Failed;
use vm_memory::{Bytes, GuestAddress};

use super::{Driver, Encoder, KICK, Tables, equal, whole};
use crate::common::Checked;

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
    options: RingFeatures,
    /// Descriptors made available since the ring was set up.
    offered: u64,
    /// The first descriptor of each list made available since then, by that count, and the id to expect there.
    lists: Vec<(u64, u16)>,
}

const AVAIL: u16 = 1 << 7;
const USED: u16 = 1 << 15;

impl PackedDriver {
    /// The driver of a ring that was just set up.
    pub(crate) fn new(options: RingFeatures) -> Self {
        Self { at: packed_ring::Placement::of(TIMED.queue_size()), options, offered: 0, lists: Vec::new() }
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

    /// The event suppression structure of the device.
    pub(crate) fn named(&self, ram: &GuestRam) -> Result<u32, Failed> {
        Ok(ram.memory().read_obj(GuestAddress(self.at.device.0))?)
    }

    /// The driver's.
    pub(crate) fn name(&self, ram: &GuestRam, structure: u32) -> Checked {
        Ok(ram.memory().write_obj(structure.to_le(), GuestAddress(self.at.driver.0))?)
    }

    /// A position in the ring, as the structures have it.
    pub(crate) fn word(&self, number: u64) -> u16 {
        let index = u16::try_from(number % u64::from(self.at.size)).unwrap_or_default();
        index | if self.is_odd_lap(number) { 1 << 15 } else { 0 }
    }

    fn descriptor(&self, number: u64) -> Gpa {
        self.at.desc.offset(number % u64::from(self.at.size) * 16)
    }
}

impl Driver for PackedDriver {
    fn areas(&self) -> Areas {
        self.at.areas().with(self.options)
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
        ram.memory().write_obj(0_u32, GuestAddress(self.at.device.0))?;
        let words = vec![0; usize::from(self.at.size) * 2];
        Ok(ram.write_words(self.at.desc, &words)?)
    }
}

impl Encoder for PackedDriver {
    fn encode(&mut self, ram: &GuestRam, ranges: &[ByteRange]) -> Result<Vec<Step>, Failed> {
        let id = u16::try_from(self.offered % 0x1_0000)?;
        if self.options.indirect {
            let table: Vec<_> = ranges.iter().map(|range| (*range, DESC_WRITE)).collect();
            self.offer_marked(ram, &table, None)?;
        } else {
            self.offer(ram, &list(ranges, id), id)?;
        }
        Ok(vec![KICK])
    }

    fn acknowledged(&self, ram: &GuestRam, _: &[u64], _: u64) -> Checked {
        self.used(ram, 1)
    }
}

impl Tables for PackedDriver {
    fn offer_marked(
        &mut self,
        ram: &GuestRam,
        table: &[(ByteRange, u16)],
        pointed: Option<ByteRange>,
    ) -> Checked {
        for (index, (range, flags)) in (0..).zip(table) {
            let len = u64::from(u32::try_from(range.len)?);
            let words = [range.gpa.0, len | u64::from(*flags) << 48];
            ram.write_words(indirect::AT.offset(index * packed_ring::DESC_SIZE), &words)?;
        }
        let id = u16::try_from(self.offered % 0x1_0000)?;
        let range = pointed.unwrap_or(whole(table.len()));
        self.offer(ram, &[Element { range, id, flags: DESC_INDIRECT }], id)
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

//! The reporting queue in the packed format (2.8), written by hand.

use abi::axes::RingFeatures;
use abi::wire::packed_ring::{EVENT_DISABLE, EVENT_ENABLE};

use super::*;

const DESC: u64 = 0x1000;
pub(super) const DRIVER: u64 = 0x2000;
pub(super) const DEVICE: u64 = 0x3000;
/// Not a power of two: a packed ring may have any size.
pub(super) const ENTRIES: u16 = 24;
pub(super) const AVAIL: u16 = 1 << 7;
const USED: u16 = 1 << 15;
const ACCEPTED: u64 = OFFERED | feature::RING_PACKED;

/// A descriptor but for the two bits: page, id, flags.
pub(super) type Entry = (u64, u16, u16);

/// A driver, and the device it drives.
pub(super) struct Driver {
    pub(super) ram: Arc<GuestRam>,
    pub(super) device: Device,
    /// Descriptors made available so far.
    pub(super) offered: u64,
}

impl Driver {
    fn up() -> Self {
        let mut driver = Self::down();
        driver.start();
        driver
    }

    /// With the features negotiated.
    fn down() -> Self {
        Self::with(RingFeatures::NONE)
    }

    /// The same with options.
    pub(super) fn with(options: RingFeatures) -> Self {
        let ram = ram();
        let mut device = Device::with(&ram, |balloon| balloon.offering_packed().offering(options));
        device.negotiate(ACCEPTED | feature::of(options));
        Self { ram, device, offered: 0 }
    }

    pub(super) fn start(&mut self) {
        self.place(REPORTING_QUEUE, ENTRIES.into());
        self.device.write(mmio::QUEUE_READY, 1);
        assert_eq!(self.device.read(mmio::QUEUE_READY), 1);
        self.device.write(mmio::STATUS, UP);
        assert_eq!(self.device.status(), UP);
    }

    pub(super) fn place(&mut self, queue: u16, size: u32) {
        self.device.write(mmio::QUEUE_SEL, queue.into());
        self.device.write(mmio::QUEUE_NUM, size);
        for (low, part) in
            [(mmio::QUEUE_DESC_LOW, DESC), (mmio::QUEUE_DRIVER_LOW, DRIVER), (mmio::QUEUE_DEVICE_LOW, DEVICE)]
        {
            self.device.place_part(low, part);
        }
    }

    /// The two bits that mean available on the lap of the descriptor made available so manieth, in other words.
    fn available(number: u64) -> u16 {
        if (number / u64::from(ENTRIES)).is_multiple_of(2) { AVAIL } else { USED }
    }

    fn used(number: u64) -> u16 {
        if (number / u64::from(ENTRIES)).is_multiple_of(2) { AVAIL | USED } else { 0 }
    }

    fn at(number: u64) -> Gpa {
        Gpa(DESC + number % u64::from(ENTRIES) * 16)
    }

    pub(super) fn put(&self, number: u64, (page, id, flags): Entry) {
        self.put_raw(number, page << 12, 4096, id, flags);
    }

    pub(super) fn put_raw(&self, number: u64, addr: u64, len: u32, id: u16, flags: u16) {
        let rest = u64::from(len) | u64::from(id) << 32 | u64::from(flags) << 48;
        self.ram.write_words(Self::at(number), &[addr, rest]).unwrap();
    }

    /// Makes a list available; the number of its first descriptor.
    fn offer(&mut self, list: &[Entry]) -> u64 {
        let first = self.offered;
        for (number, (page, id, flags)) in (first..).zip(list) {
            self.put(number, (*page, *id, flags | Self::available(number)));
        }
        self.offered += list.len() as u64;
        first
    }

    /// A list of pages that ends as it should; the id only in its last descriptor.
    pub(super) fn report(&mut self, pfns: &[u64], id: u16) -> u64 {
        let last = pfns.len() - 1;
        let entry = |(index, pfn): (usize, &u64)| {
            if index == last { (*pfn, id, DESC_WRITE) } else { (*pfn, !id, MIDDLE) }
        };
        let list: Vec<_> = pfns.iter().enumerate().map(entry).collect();
        self.offer(&list)
    }

    /// Length, id and flags of a descriptor.
    fn found(&self, number: u64) -> (u32, u16, u16) {
        let [_, rest] = self.ram.read_words(Self::at(number)).unwrap();
        let [low, high] = [rest >> 32 & 0xffff, rest >> 48].map(|half| u16::try_from(half).unwrap());
        (u32::try_from(rest & 0xffff_ffff).unwrap(), low, high)
    }

    fn want_interrupts(&self, event: u16) {
        self.ram.memory().write_obj(event, GuestAddress(DRIVER + 2)).unwrap();
    }

    pub(super) fn fetch(&mut self) -> Result<Option<u16>, RingError> {
        self.device.batch.clear();
        self.device.balloon.fetch_packed(&mut self.device.batch)
    }

    /// Serves lists until there are no more; their ids.
    pub(super) fn serve(&mut self) -> Vec<u16> {
        let mut ids = Vec::new();
        while let Some(id) = self.fetch().unwrap() {
            self.device.balloon.complete_packed(id).unwrap();
            ids.push(id);
        }
        ids
    }

    /// What becomes of the one list that is there: it is served, and marked as used at `first` with this id.
    pub(super) fn outcome(&mut self, first: u64, id: u16) -> (Refused, Vec<PageRange>) {
        assert_eq!(self.fetch().unwrap(), Some(id));
        let found = (self.device.batch.refused, self.device.batch.ranges().to_vec());
        self.device.balloon.complete_packed(id).unwrap();
        assert_eq!(self.found(first), (0, id, Self::used(first)));
        assert_eq!(self.device.status(), UP, "one bad list does not stop the device");
        assert_eq!(self.fetch().unwrap(), None);
        found
    }
}

#[test]
fn a_report_is_fetched_and_acknowledged() {
    let mut driver = Driver::up();
    let pfns = [0x200, 0x210, 0x300, 0x2ff];
    driver.report(&pfns, 7);
    assert_eq!(driver.fetch().unwrap(), Some(7), "the id of the last descriptor");
    assert_eq!(driver.device.batch.ranges(), pages(&pfns));
    assert_eq!(driver.device.batch.refused, Refused::default());
    assert_eq!(driver.found(0), (4096, !7, AVAIL | MIDDLE), "not before it is completed");
    assert_eq!(driver.device.interrupts(), 0);

    driver.device.balloon.complete_packed(7).unwrap();
    assert_eq!(driver.found(0), (0, 7, AVAIL | USED), "nothing was written into the pages");
    for number in 1..4 {
        assert_eq!(driver.found(number).2 & USED, 0, "one used descriptor a list");
    }
    assert_eq!(driver.device.interrupts(), 1);
    assert!(driver.serve().is_empty());
    assert_eq!(driver.device.interrupts(), 0);
}

#[test]
fn a_driver_that_wants_no_interrupt_gets_none() {
    // 2 needs a feature that is not offered, and 3 is reserved: one interrupt too many is better than none.
    for (event, interrupts) in [(EVENT_ENABLE, 1), (EVENT_DISABLE, 0), (2, 1), (3, 1), (0xfffd, 0)] {
        let mut driver = Driver::up();
        driver.want_interrupts(event);
        driver.report(&[0x200], 0);
        assert_eq!(driver.serve(), [0]);
        assert_eq!(driver.device.interrupts(), interrupts, "event flags {event:#x}");
    }
}

#[test]
fn lists_are_served_in_the_order_they_were_given() {
    let mut driver = Driver::up();
    let firsts = [
        driver.report(&[0x200, 0x201], 9),
        driver.report(&[0x300], 2),
        driver.report(&[0x3ff, 0x3fe, 0x3fd], 5),
    ];
    assert_eq!(driver.serve(), [9, 2, 5]);
    for (first, id) in firsts.into_iter().zip([9, 2, 5]) {
        assert_eq!(driver.found(first), (0, id, AVAIL | USED));
    }
}

#[test]
fn laps_go_on_and_on() {
    for each in [1, 5, ENTRIES - 1, ENTRIES] {
        let mut driver = Driver::up();
        driver.want_interrupts(EVENT_DISABLE);
        let pfns: Vec<_> = (0..u64::from(each)).map(|number| 0x200 + number).collect();
        for report in 0..500_u16 {
            let first = driver.report(&pfns, report);
            assert_eq!(
                driver.outcome(first, report),
                (Refused::default(), pages(&pfns)),
                "{report} of {each}"
            );
        }
    }
}

#[test]
fn a_full_ring_is_served() {
    let mut driver = Driver::up();
    for id in 0..ENTRIES {
        driver.report(&[0x200 + u64::from(id)], id);
    }
    assert_eq!(driver.serve(), (0..ENTRIES).collect::<Vec<_>>());
}

#[test]
fn a_wrap_counter_that_is_wrong_makes_nothing_available() {
    let mut driver = Driver::up();
    for flags in [0, USED, AVAIL | USED] {
        driver.put(0, (0x200, 0, flags | DESC_WRITE));
        assert_eq!(driver.fetch().unwrap(), None, "flags {flags:#x}");
    }
    driver.report(&[0x200], 3);
    assert_eq!(driver.serve(), [3]);
    // On the first lap still.
    for flags in [0, USED, AVAIL | USED] {
        driver.put(1, (0x200, 0, flags | DESC_WRITE));
        assert_eq!(driver.fetch().unwrap(), None, "flags {flags:#x}");
    }
    for id in 1..ENTRIES {
        driver.report(&[0x200], id);
    }
    assert_eq!(driver.serve().len(), usize::from(ENTRIES) - 1);
    // On the second.
    for flags in [0, AVAIL, AVAIL | USED] {
        driver.put(0, (0x200, 0, flags | DESC_WRITE));
        assert_eq!(driver.fetch().unwrap(), None, "flags {flags:#x}");
    }
    driver.report(&[0x200], 4);
    assert_eq!(driver.serve(), [4]);
}

#[test]
fn a_list_that_goes_on_in_what_is_not_available_ends_there() {
    for wrong in [0, USED, AVAIL | USED] {
        let mut driver = Driver::up();
        driver.offer(&[(0x200, 1, MIDDLE), (0x201, 2, MIDDLE)]);
        driver.put(2, (0x202, 3, wrong | DESC_WRITE));
        let (refused, taken) = driver.outcome(0, 2);
        assert_eq!(refused, Refused { broken_chain: 1, ..Refused::default() });
        assert_eq!(taken, pages(&[0x200, 0x201]), "flags {wrong:#x}");
        driver.report(&[0x204], 4);
        assert_eq!(driver.outcome(2, 4), (Refused::default(), pages(&[0x204])), "and the next begins there");
    }
}

#[test]
fn a_list_longer_than_the_ring_is_cut() {
    let mut driver = Driver::up();
    let list: Vec<_> = (0..ENTRIES).map(|number| (0x200 + u64::from(number), number, MIDDLE)).collect();
    driver.offer(&list);
    let (refused, taken) = driver.outcome(0, ENTRIES - 1);
    assert_eq!(refused, Refused { broken_chain: 1, ..Refused::default() });
    assert_eq!(taken.len(), usize::from(ENTRIES));
    let first = driver.report(&[0x300], 1);
    assert_eq!(driver.outcome(first, 1), (Refused::default(), pages(&[0x300])), "both are on the next lap");
}

#[test]
fn an_id_is_only_said_again() {
    for id in [0, ENTRIES - 1, ENTRIES, 0x8000, u16::MAX] {
        let mut driver = Driver::up();
        driver.report(&[0x200, 0x201], id);
        assert_eq!(driver.outcome(0, id), (Refused::default(), pages(&[0x200, 0x201])));
    }
}

#[test]
fn what_a_descriptor_may_not_be_is_refused_alone() {
    let mut driver = Driver::up();
    driver.offer(&[
        (0x200, 0, DESC_NEXT),
        (0x201, 0, MIDDLE | DESC_INDIRECT),
        (0x202, 0, DESC_NEXT | DESC_INDIRECT),
        (RAM_BYTES >> 12, 0, MIDDLE),
        (0x203, 6, DESC_WRITE),
    ]);
    let (refused, taken) = driver.outcome(0, 6);
    assert_eq!(refused, Refused { read_only: 1, indirect: 2, outside: 1, ..Refused::default() });
    assert_eq!(taken, pages(&[0x203]));
}

#[test]
fn flags_without_meaning_mean_nothing() {
    let mut driver = Driver::up();
    driver.offer(&[(0x200, 0, 0x7f78 | DESC_WRITE)]);
    assert_eq!(driver.outcome(0, 0), (Refused::default(), pages(&[0x200])));
}

/// A driver that puts one part of the reporting queue at `at`; what a report there comes to.
fn misplaced(part: u64, at: u64) -> Result<Option<u16>, RingError> {
    let mut driver = Driver::down();
    driver.place(REPORTING_QUEUE, ENTRIES.into());
    driver.device.place_part(part, at);
    driver.device.write(mmio::QUEUE_READY, 1);
    driver.device.write(mmio::STATUS, UP);
    driver.report(&[0x200], 0);
    let ended = driver.fetch();
    let ended =
        ended.and_then(|id| id.map_or(Ok(()), |id| driver.device.balloon.complete_packed(id)).map(|()| id));
    if ended.is_err() {
        let Driver { mut device, ram, .. } = driver;
        assert_eq!(device.status(), UP | NEEDS_RESET);
        assert_eq!(device.balloon.fetch_packed(&mut device.batch).unwrap(), None, "nothing is served");
        recovers(&mut device, &ram);
    }
    ended
}

#[test]
fn a_queue_outside_memory_breaks() {
    for (part, at) in [
        (mmio::QUEUE_DESC_LOW, RAM_BYTES),
        (mmio::QUEUE_DESC_LOW, 1 << 63),
        (mmio::QUEUE_DESC_LOW, u64::MAX - 15),
        (mmio::QUEUE_DRIVER_LOW, RAM_BYTES),
        (mmio::QUEUE_DRIVER_LOW, u64::MAX - 3),
    ] {
        let ended = misplaced(part, at);
        assert!(matches!(ended, Err(RingError::Access { queue: 2, .. })), "{part:#x} at {at:#x}: {ended:?}");
    }
    // The device says nothing there, so that it never looks.
    assert_eq!(misplaced(mmio::QUEUE_DEVICE_LOW, RAM_BYTES).unwrap(), Some(0));
}

#[test]
fn a_list_over_the_end_of_memory_is_cut() {
    let mut driver = Driver::down();
    let at = RAM_BYTES - 32;
    driver.place(REPORTING_QUEUE, ENTRIES.into());
    driver.device.place_part(mmio::QUEUE_DESC_LOW, at);
    driver.device.write(mmio::QUEUE_READY, 1);
    driver.device.write(mmio::STATUS, UP);
    for (number, page) in [(0, 0x200_u64), (1, 0x201)] {
        let rest = 4096 | number << 32 | u64::from(AVAIL | MIDDLE) << 48;
        driver.ram.write_words(Gpa(at + number * 16), &[page << 12, rest]).unwrap();
    }
    assert_eq!(driver.fetch().unwrap(), Some(1));
    assert_eq!(driver.device.batch.refused, Refused { broken_chain: 1, ..Refused::default() });
    assert_eq!(driver.device.batch.ranges(), pages(&[0x200, 0x201]));
    driver.device.balloon.complete_packed(1).unwrap();
    assert!(matches!(driver.fetch(), Err(RingError::Access { queue: 2, .. })), "the next is not memory");
}

/// Whether a queue becomes ready that is set up rightly but for one register.
fn becomes_ready(offset: u64, value: u32) -> bool {
    let mut driver = Driver::down();
    driver.place(REPORTING_QUEUE, ENTRIES.into());
    driver.device.write(offset, value);
    driver.device.write(mmio::QUEUE_READY, 1);
    driver.device.read(mmio::QUEUE_READY) == 1
}

#[test]
fn a_queue_has_any_size_and_parts_that_are_aligned() {
    for (size, ready) in [(0, false), (1, true), (33, true), (1024, true), (1025, false), (0x1_0020, false)] {
        assert_eq!(becomes_ready(mmio::QUEUE_NUM, size), ready, "{size}");
    }
    for (part, right, wrong) in [
        (mmio::QUEUE_DESC_LOW, 0x2010, 0x2008),
        (mmio::QUEUE_DRIVER_LOW, 0x2004, 0x2002),
        (mmio::QUEUE_DEVICE_LOW, 0x2004, 0x2002),
    ] {
        assert!(becomes_ready(part, right), "{part:#x}");
        assert!(!becomes_ready(part, wrong), "{part:#x}");
        assert!(!becomes_ready(part, 0), "{part:#x} is nowhere");
    }
}

#[test]
fn the_format_is_offered_only_where_it_is_meant() {
    let mut device = Device::new(&ram());
    device.write(mmio::DEVICE_FEATURES_SEL, 1);
    assert_eq!(device.read(mmio::DEVICE_FEATURES), 1);
    device.negotiate(ACCEPTED);
    assert_eq!(device.status() & status::FEATURES_OK, 0);
    let mut device = Device::with(&ram(), Balloon::offering_packed);
    device.write(mmio::DEVICE_FEATURES_SEL, 1);
    assert_eq!(device.read(mmio::DEVICE_FEATURES), 1 | 1 << 2, "bit 34");
}

#[test]
fn a_driver_that_does_not_accept_the_format_has_a_split_queue() {
    let ram = ram();
    let ring = mock(&ram, 0x1000);
    let mut device = Device::with(&ram, Balloon::offering_packed);
    device.start(&ring);
    ring.add_desc_chains(&chain(3, &[0x200, 0x201]), 3).unwrap();
    assert_eq!(device.balloon.fetch_packed(&mut device.batch).unwrap(), Some(3));
    assert_eq!(device.batch.ranges(), pages(&[0x200, 0x201]));
    device.balloon.complete_packed(3).unwrap();
    assert_eq!((ring.used().idx().load(), used(&ring, 0)), (1, (3, 0)));
}

#[test]
fn both_numbers_serve_and_two_queues_do_not() {
    let mut driver = Driver::down();
    driver.place(REPORTING_QUEUE_FIXED, ENTRIES.into());
    driver.device.write(mmio::QUEUE_READY, 1);
    driver.device.write(mmio::STATUS, UP);
    driver.report(&[0x200], 0);
    assert_eq!(driver.serve(), [0]);

    let mut driver = Driver::down();
    for number in [REPORTING_QUEUE_FIXED, REPORTING_QUEUE] {
        driver.place(number, ENTRIES.into());
        driver.device.write(mmio::QUEUE_READY, 1);
    }
    driver.device.write(mmio::STATUS, UP);
    assert!(matches!(driver.fetch(), Err(RingError::TwoReportingQueues)));
}

#[test]
fn inflating_is_acknowledged_and_ignored() {
    let mut driver = Driver::down();
    driver.place(INFLATE_QUEUE, ENTRIES.into());
    driver.device.write(mmio::QUEUE_READY, 1);
    driver.device.write(mmio::STATUS, UP);
    let firsts = [driver.offer(&[(0x200, 5, 0)]), driver.offer(&[(0x201, 0, DESC_NEXT), (0x202, 6, 0)])];
    driver.device.write(mmio::QUEUE_NOTIFY, INFLATE_QUEUE.into());
    assert_eq!(firsts.map(|first| driver.found(first)), [(0, 5, AVAIL | USED), (0, 6, AVAIL | USED)]);
    assert_eq!(driver.device.interrupts(), 2);
    assert_eq!(driver.fetch().unwrap(), None, "they are no reports");
}

#[test]
fn a_reset_ends_everything() {
    let mut driver = Driver::up();
    driver.report(&[0x200], 0);
    assert_eq!(driver.fetch().unwrap(), Some(0));
    assert!(driver.device.balloon.must_wait(mmio::STATUS, &[0; 4]));
    driver.device.write(mmio::STATUS, 0);
    driver.device.balloon.complete_packed(0).unwrap();
    assert_eq!(driver.found(0).2, AVAIL | DESC_WRITE, "there is nobody to tell");
    assert!(driver.fetch().unwrap().is_none());
    let Driver { mut device, ram, .. } = driver;
    recovers(&mut device, &ram);
}

#[test]
fn a_planted_bug_marks_one_descriptor_too_many() {
    let ram = ram();
    let interrupt = EventFd::new(EFD_NONBLOCK).unwrap();
    let balloon =
        Balloon::new(Arc::clone(&ram), interrupt.try_clone().unwrap(), Planted::new(Fault::UsedTwice));
    let mut device = Device { balloon: balloon.offering_packed(), interrupt, batch: Batch::default() };
    device.negotiate(ACCEPTED);
    let mut driver = Driver { ram, device, offered: 0 };
    driver.start();
    driver.report(&[0x200, 0x201, 0x202], 1);
    assert_eq!(driver.serve(), [1]);
    assert_eq!([0, 1].map(|number| driver.found(number)), [(0, 1, AVAIL | USED); 2]);
}

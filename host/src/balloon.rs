//! The traditional memory balloon (virtio 1.2, 5.5) with free page reporting, and its reporting queue.
//!
//! The inflate and deflate queues exist because the specification says so; the balloon never asks for pages
//! (`num_pages` stays 0), and what a driver puts into those queues is acknowledged and ignored, unless that is how pages
//! are given away (`frames`).
//!
//! A driver that fills free pages with something may say with what, if that is offered (5.5.6.7). A device that
//! leaves zeroes must then leave pages alone that are filled with anything else: their report is acknowledged, and
//! nothing is discarded, as QEMU does it.
//!
//! The reporting queue has the number that the driver gives it: that of the specification, or the next after the queues
//! that exist. Nothing else is offered that could have either.
//!
//! Queues are split, and walked with `virtio-queue`; or packed, where that is offered and the driver accepts it. Their options
//! are offered where they were chosen, and what the driver accepts of them is honoured.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering, fence};

use abi::addr::Gpa;
use abi::wire::split_ring::AVAIL_NO_INTERRUPT;
use abi::wire::virtio::balloon::{QUEUES, REPORTING_QUEUE};
use abi::wire::virtio::{feature, mmio, status};
use virtio_queue::{Error as QueueError, Queue, QueueOwnedT, QueueT};
use vm_memory::{Bytes, GuestAddress};
use vmm_sys_util::eventfd::EventFd;

use crate::fault::{Fault, Planted};
use crate::kvm::Listener;
use crate::memory::GuestRam;
use crate::reclaim::Batch;

mod aside;
mod chain;
mod error;
mod frames;
mod hand_over;
mod later;
mod options;
mod packed;
mod packed_queue;
mod registers;
mod setup;
mod shared;
mod standing;
mod vhost;

use aside::Aside;
use chain::Table;
use packed_queue::PackedQueue;
use setup::{Setup, fresh_queue};
use standing::Standing;

pub use error::RingError;
pub(crate) use shared::SharedBalloon;
pub use standing::RingCounts;
pub(crate) use vhost::Vhost;
pub use vhost::VhostError;

/// The device.
#[derive(Debug)]
pub(crate) struct Balloon {
    ram: Arc<GuestRam>,
    queues: [Queue; QUEUES as usize],
    /// Those that are ready in the packed format. None of `queues` is, then.
    packed: [Option<PackedQueue>; QUEUES as usize],
    setups: [Setup; QUEUES as usize],
    /// Number of the reporting queue. Relaxed wherever it is read or written: it changes under the lock, before the driver
    /// is told that the queue is ready, and nothing is ordered by it.
    reporting: Arc<AtomicU16>,
    /// Whether both numbers were set up and nobody has been told.
    two_reporting: bool,
    /// What hears kicks without an exit, if anything does.
    listener: Option<Listener>,
    /// Who serves the reporting queue in our place, if the host's kernel does.
    vhost: Option<Vhost>,
    /// Whether the driver is to kick the reporting queue.
    wants_kicks: bool,
    /// Whether pages are given away by the inflate queue. Then `reporting` is the number of that one.
    of_frames: bool,
    /// Head of the chain of the reporting queue, or id of the list, that is fetched and not completed.
    in_hand: Option<u16>,
    /// Those that are to be completed later, the oldest first.
    aside: VecDeque<Aside>,
    /// Where its options stand.
    standing: Standing,
    counts: RingCounts,
    interrupt: EventFd,
    planted: Planted,
    offered: u64,
    status: u32,
    accepted: u64,
    /// Whether a feature was accepted for which no bit of ours exists.
    accepted_beyond: bool,
    device_features_half: u32,
    driver_features_half: u32,
    selected_queue: u16,
    interrupt_status: u32,
    actual: u32,
    /// What the driver fills free pages with, once it has said so.
    poison: u32,
}

/// What a queue may have beside its format.
const OPTIONS: u64 = feature::INDIRECT_DESC | feature::EVENT_IDX | feature::IN_ORDER;
/// What is always offered.
const OFFERED: u64 = feature::VERSION_1 | feature::PAGE_REPORTING;

impl Balloon {
    /// A balloon after power-on, that raises its interrupt by writing to `interrupt`.
    pub(crate) fn new(ram: Arc<GuestRam>, interrupt: EventFd, planted: Planted) -> Self {
        Self {
            ram,
            queues: std::array::from_fn(|_| fresh_queue()),
            packed: [None; QUEUES as usize],
            setups: [Setup::default(); QUEUES as usize],
            reporting: Arc::new(AtomicU16::new(REPORTING_QUEUE)),
            two_reporting: false,
            listener: None,
            vhost: None,
            wants_kicks: true,
            of_frames: false,
            in_hand: None,
            aside: VecDeque::new(),
            standing: Standing::default(),
            counts: RingCounts::default(),
            interrupt,
            planted,
            offered: OFFERED,
            status: 0,
            accepted: 0,
            accepted_beyond: false,
            device_features_half: 0,
            driver_features_half: 0,
            selected_queue: 0,
            interrupt_status: 0,
            actual: 0,
            poison: 0,
        }
    }

    /// The same with `VIRTIO_BALLOON_F_PAGE_POISON` offered too.
    pub(crate) fn offering_poison(self) -> Self {
        Self { offered: self.offered | feature::PAGE_POISON, ..self }
    }

    /// The same with `VIRTIO_F_RING_PACKED` offered too.
    pub(crate) fn offering_packed(self) -> Self {
        Self { offered: self.offered | feature::RING_PACKED, ..self }
    }

    /// The same that looks into its reporting queue by itself, and tells the driver so.
    pub(crate) fn wanting_no_kicks(self) -> Self {
        Self { wants_kicks: false, ..self }
    }

    /// The same whose kicks are heard by a listener, which has to listen for the right queue.
    pub(crate) fn heard_by(self, listener: Listener) -> Self {
        Self { listener: Some(listener), ..self }
    }

    /// Number of the reporting queue, as the driver has it.
    pub(crate) fn reporting_queue(&self) -> u16 {
        self.reporting.load(Ordering::Relaxed)
    }

    /// Device status (2.1).
    #[cfg(any(test, feature = "test-support"))]
    pub(crate) const fn status(&self) -> u32 {
        self.status
    }

    /// The features that the driver has accepted so far.
    #[cfg(any(test, feature = "test-support"))]
    pub(crate) const fn accepted(&self) -> u64 {
        self.accepted
    }

    /// One of the queues, as it is set up.
    #[cfg(any(test, feature = "test-support"))]
    pub(crate) fn queue_numbered(&self, number: u16) -> &Queue {
        &self.queues[usize::from(number)]
    }

    /// One of the queues, if it is ready in the packed format.
    #[cfg(any(test, feature = "test-support"))]
    pub(crate) fn packed_queue_numbered(&self, number: u16) -> Option<PackedQueue> {
        self.packed[usize::from(number)]
    }

    /// Takes the next chain of the reporting queue; its head, or `None` if there is none.
    ///
    /// # Errors
    /// [`RingError`], after which the device needs a reset.
    #[inline]
    pub(crate) fn fetch(&mut self, batch: &mut Batch) -> Result<Option<u16>, RingError> {
        let reporting = self.reporting_queue();
        if !self.is_live(reporting) {
            let two = std::mem::take(&mut self.two_reporting);
            return if two { Err(self.broken(RingError::TwoReportingQueues)) } else { Ok(None) };
        }
        match self.next_or_ask(reporting) {
            Ok(Some(head)) => {
                let queue = &self.queues[usize::from(reporting)];
                let table = Table { at: Gpa(queue.desc_table()), size: queue.size() };
                let indirect = self.has(feature::INDIRECT_DESC);
                let walk = chain::walk(&self.ram, table, head, indirect, batch);
                if self.has(OPTIONS) {
                    self.note(head, walk);
                }
                batch.kept = self.poison != 0;
                self.in_hand = Some(head);
                Ok(Some(head))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(self.broken(error)),
        }
    }

    /// Puts the chain `head` of the reporting queue into the used ring, with length 0 (nothing was written
    /// into the pages: see 2.7.8.2), and interrupts the driver if it wants that. If the driver has taken the
    /// queue away meanwhile, there is nobody to tell (2.4.1).
    ///
    /// # Errors
    /// [`RingError`], after which the device needs a reset.
    pub(crate) fn complete(&mut self, head: u16) -> Result<(), RingError> {
        if self.in_hand.take() != Some(head) {
            return Ok(());
        }
        let reporting = self.reporting_queue();
        self.give_back(reporting, head)?;
        if self.planted.is(Fault::UsedTwice) {
            self.give_back(reporting, head)?;
        }
        Ok(())
    }

    /// Acknowledges whatever is in a queue that is not reporting.
    fn ignore(&mut self, queue: u16) {
        while self.is_live(queue) {
            let is_packed = self.packed[usize::from(queue)].is_some();
            let ignored = if is_packed { self.ignore_list(queue) } else { self.ignore_chain(queue) };
            if !ignored.unwrap_or(false) {
                return;
            }
        }
    }

    /// Acknowledges the next chain of a split queue without a look at it, if there is one.
    fn ignore_chain(&mut self, queue: u16) -> Result<bool, RingError> {
        match self.next_or_ask(queue) {
            Ok(Some(head)) => self.give_back(queue, head).map(|()| true),
            Ok(None) => Ok(false),
            Err(error) => Err(self.broken(error)),
        }
    }

    const fn is_live(&self, queue: u16) -> bool {
        const LIVE: u32 = status::DRIVER_OK | status::DEVICE_NEEDS_RESET;
        self.status & LIVE == status::DRIVER_OK && queue < QUEUES
    }

    /// The next head of a split queue. If there is none, and the driver goes by what the device asked for, it is asked to
    /// ring for the next.
    #[inline]
    fn next_or_ask(&mut self, number: u16) -> Result<Option<u16>, RingError> {
        match self.next_head(number)? {
            None if self.has(feature::EVENT_IDX) => self.ask_and_look(number),
            head => Ok(head),
        }
    }

    #[cold]
    #[inline(never)]
    fn ask_and_look(&mut self, number: u16) -> Result<Option<u16>, RingError> {
        if self.ask_for_kick(number)? { self.next_head(number) } else { Ok(None) }
    }

    #[inline(always)]
    fn next_head(&mut self, number: u16) -> Result<Option<u16>, RingError> {
        let queue = &mut self.queues[usize::from(number)];
        let mut available = match queue.iter(self.ram.memory()) {
            Ok(available) => available,
            // A queue that was not set up has nothing in it.
            Err(QueueError::QueueNotReady) => return Ok(None),
            Err(QueueError::InvalidAvailRingIndex) => {
                return Err(RingError::AvailableJump { queue: number });
            }
            Err(error) => return Err(RingError::Access { queue: number, what: error.to_string() }),
        };
        let head = available.next().map(|chain| chain.head_index());
        let Some(head) = head else { return self.nothing_left(number) };
        let size = queue.size();
        if head < size { Ok(Some(head)) } else { Err(RingError::Head { queue: number, head, size }) }
    }

    /// No head was found: none is there, or the entry it is in is not memory.
    #[inline(never)]
    fn nothing_left(&self, number: u16) -> Result<Option<u16>, RingError> {
        let (queue, memory) = (&self.queues[usize::from(number)], self.ram.memory());
        let access = |what: String| RingError::Access { queue: number, what };
        // Relaxed: no entry is read after this.
        let index = queue.avail_idx(memory, Ordering::Relaxed).map_err(|what| access(what.to_string()))?;
        if index.0 == queue.next_avail() || queue.is_valid(memory) {
            Ok(None)
        } else {
            Err(access("it does not lie wholly in memory".into()))
        }
    }

    #[inline]
    fn give_back(&mut self, number: u16, head: u16) -> Result<(), RingError> {
        let access = |what: QueueError| RingError::Access { queue: number, what: what.to_string() };
        // The library stores the index with release: whoever sees it sees the entry, and the pages as they
        // are after the discard.
        let used = self.queues[usize::from(number)].add_used(self.ram.memory(), head, 0);
        let wanted = used.map_err(access).and_then(|()| self.wants_interrupt(number));
        self.tell(wanted)
    }

    /// Interrupts the driver, if it wants that for what was just used. Inlined, or one format would be measured with a
    /// call more because there is another.
    #[inline(always)]
    fn tell(&mut self, wanted: Result<bool, RingError>) -> Result<(), RingError> {
        match wanted {
            Ok(true) => self.raise(mmio::INTERRUPT_USED),
            Ok(false) => Ok(()),
            Err(error) => Err(self.broken(error)),
        }
    }

    /// Whether the driver wants an interrupt for what was just used (2.7.7.2).
    #[inline]
    fn wants_interrupt(&mut self, number: u16) -> Result<bool, RingError> {
        if self.has(feature::EVENT_IDX) {
            return self.is_event_due(number);
        }
        // SeqCst: the used index must be visible before the flags are read, or a driver that clears the flag
        // and then looks at the index could wait for ever.
        fence(Ordering::SeqCst);
        let flags = GuestAddress(self.queues[usize::from(number)].avail_ring());
        let flags: u16 = self
            .ram
            .memory()
            // Relaxed: the fence above orders it.
            .load(flags, Ordering::Relaxed)
            .map_err(|error| RingError::Access { queue: number, what: error.to_string() })?;
        Ok(u16::from_le(flags) & AVAIL_NO_INTERRUPT == 0)
    }

    fn raise(&mut self, reason: u32) -> Result<(), RingError> {
        self.interrupt_status |= reason;
        self.interrupt.write(1).map_err(RingError::Interrupt)
    }

    /// Stops serving until the driver resets the device, and tells it so (2.1.2).
    fn broken(&mut self, error: RingError) -> RingError {
        self.status |= status::DEVICE_NEEDS_RESET;
        if self.status & status::DRIVER_OK != 0 {
            // Should the interrupt fail too, the first error is the one to report.
            let _ = self.raise(mmio::INTERRUPT_CONFIG);
        }
        error
    }

    fn reset(&mut self) {
        self.take_back();
        self.queues = std::array::from_fn(|_| fresh_queue());
        self.packed = [None; QUEUES as usize];
        self.setups = [Setup::default(); QUEUES as usize];
        // What was listened for will be again: it was before.
        let _ = self.listen(REPORTING_QUEUE);
        self.two_reporting = false;
        self.in_hand = None;
        self.aside.clear();
        self.standing = Standing::default();
        self.status = 0;
        self.accepted = 0;
        self.accepted_beyond = false;
        self.device_features_half = 0;
        self.driver_features_half = 0;
        self.selected_queue = 0;
        self.interrupt_status = 0;
        self.actual = 0;
        self.poison = 0;
    }
}

#[cfg(test)]
mod tests;

//! The host's parts one by one, for benches: an exit, a discard, coalescing, the fetch of a chain.
//!
//! Each is the very code a trial runs, with nothing around it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use abi::addr::{PageRange, bytes_of};
use abi::axes::Program;
use abi::wire::split_ring::{DESC_NEXT, DESC_SIZE, DESC_WRITE, Placement};
use abi::wire::virtio::balloon::REPORTING_QUEUE;
use abi::wire::virtio::{feature, mmio, status};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::axes::{Backing, Discard};
use crate::balloon::{Balloon, RingError};
use crate::fault::Planted;
use crate::kvm::{Flow, PAYLOAD, Pinned, Placement as Processors};
use crate::memory::{Discarder, GuestRam, RamError, try_discard};
use crate::probe::Facts;
pub use crate::reclaim::{Batch, coalesce};
use crate::serve::{Server, WorkerError};
use crate::timed::{TimedSpec, assemble};
use crate::trial::{Assembly, Seat, TrialError, watched};

/// Without any exit for this long, a guest that only rings its doorbell is stuck.
const PATIENCE: Duration = Duration::from_secs(5);

/// A guest that rings its doorbell in bursts and does nothing else.
pub struct Knocker {
    // Ends before what it serves from is gone.
    server: Server,
    assembly: Assembly,
    _pinned: Pinned,
}

impl Knocker {
    /// Boots it; a burst is as many rings as `spec` has reports, and its carrier must be empty.
    ///
    /// # Errors
    /// [`TrialError`] if the choices do not go together or the guest does not come up.
    pub fn new(spec: &TimedSpec, facts: &Facts) -> Result<Self, TrialError> {
        let placement = Processors::choose(1, spec.way.servicer);
        let pinned = Pinned::to(placement.vcpu(0));
        let assembly = assemble(spec, facts, Program::Knock, PAYLOAD, Planted::NONE, &placement)?;
        let server = assembly.server(Arc::default())?;
        let mut knocker = Self { server, assembly, _pinned: pinned };
        knocker.up_to_ready()?;
        Ok(knocker)
    }

    /// The time of a burst with the least a monitor can do: `KVM_RUN` again and again.
    ///
    /// # Errors
    /// [`TrialError`] if the guest does anything but ring.
    pub fn bare(&mut self) -> Result<Duration, TrialError> {
        self.burst(|knocker| Ok(knocker.assembly.machine.run_bare()?))
    }

    /// The time of a burst as trials run it: deadline, dispatch, service, stamps, counters.
    ///
    /// # Errors
    /// [`TrialError`] if the guest does anything but ring.
    pub fn harness(&mut self) -> Result<Duration, TrialError> {
        self.burst(|Self { server, assembly, .. }| {
            let mut seat = Seat::new(&assembly.balloon, server, |_, _, _| Ok(Flow::Leave));
            assembly.machine.run(&mut seat)
        })
    }

    fn burst(
        &mut self,
        run: impl FnOnce(&mut Self) -> Result<(), TrialError>,
    ) -> Result<Duration, TrialError> {
        let took = self.watched(|knocker| {
            let start = Instant::now();
            run(knocker)?;
            Ok(start.elapsed())
        })?;
        // From done to ready, outside the time taken.
        self.up_to_ready()?;
        Ok(took)
    }

    fn up_to_ready(&mut self) -> Result<(), TrialError> {
        self.watched(|knocker| Ok(knocker.assembly.machine.run_bare()?))
    }

    fn watched<T>(&mut self, run: impl FnOnce(&mut Self) -> Result<T, TrialError>) -> Result<T, TrialError> {
        let (pulse, place) = (Arc::clone(&self.assembly.machine.pulse), self.assembly.placement.watchdog());
        pulse.beat();
        watched(&pulse, PATIENCE, &AtomicBool::default(), place, || run(self))
    }
}

/// Guest memory without a guest, to be discarded.
#[derive(Debug)]
pub struct Discards {
    ram: Arc<GuestRam>,
    discarder: Discarder,
}

impl Discards {
    /// Maps `pages` of memory.
    ///
    /// # Errors
    /// [`TrialError`] if it cannot be had with this backing, or cannot be discarded so.
    pub fn new(pages: u64, backing: Backing, discard: Discard) -> Result<Self, TrialError> {
        let ram = Arc::new(GuestRam::backed(bytes_of(pages), backing)?);
        try_discard(&ram, discard)?;
        let discarder = Discarder::new(Arc::clone(&ram), discard);
        Ok(Self { ram, discarder })
    }

    /// All of it.
    #[must_use]
    pub fn whole(&self) -> PageRange {
        self.ram.whole()
    }

    /// Writes to every page of a range.
    ///
    /// # Errors
    /// [`RamError`] if any of it is not memory.
    pub fn touch(&self, range: PageRange) -> Result<(), RamError> {
        range.frames().try_for_each(|pfn| self.ram.write(pfn.gpa(), 1))
    }

    /// Discards a range.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn discard(&mut self, range: PageRange) -> io::Result<()> {
        self.discarder.discard(range)
    }
}

/// A balloon whose driver is played by the bench: it offers the same chain again and again.
#[derive(Debug)]
pub struct Chains {
    ram: Arc<GuestRam>,
    balloon: Balloon,
    at: Placement,
    offered: u16,
}

impl Chains {
    /// Brings the balloon up and writes one chain of `ranges`, at most 1024, as descriptors.
    ///
    /// # Errors
    /// [`TrialError`] if there is no memory or no eventfd.
    pub fn new(ranges: &[PageRange]) -> Result<Self, TrialError> {
        let ram = Arc::new(GuestRam::new(64 << 20)?);
        let interrupt = EventFd::new(EFD_NONBLOCK).map_err(WorkerError::Start)?;
        let balloon = Balloon::new(Arc::clone(&ram), interrupt, Planted::NONE);
        let size = u16::try_from(ranges.len().next_power_of_two().max(32)).unwrap_or(u16::MAX);
        let mut chains = Self { ram, balloon, at: Placement::of(size), offered: 0 };
        chains.set_up();
        for (index, range) in (0_u16..).zip(ranges) {
            let last = usize::from(index) + 1 == ranges.len();
            let flags = DESC_WRITE | if last { 0 } else { DESC_NEXT };
            let descriptor = chains.at.desc.offset(u64::from(index) * DESC_SIZE);
            let rest = range.bytes() | u64::from(flags) << 32 | u64::from(index + 1) << 48;
            chains.ram.write_words(descriptor, &[range.gpa().0, rest])?;
        }
        Ok(chains)
    }

    fn set_up(&mut self) {
        let low = |value: u64| u32::try_from(value).unwrap_or(0);
        let driver = status::ACKNOWLEDGE | status::DRIVER;
        for (register, value) in [
            (mmio::STATUS, driver),
            (mmio::DRIVER_FEATURES_SEL, 0),
            (mmio::DRIVER_FEATURES, low(feature::PAGE_REPORTING)),
            (mmio::DRIVER_FEATURES_SEL, 1),
            (mmio::DRIVER_FEATURES, low(feature::VERSION_1 >> 32)),
            (mmio::STATUS, driver | status::FEATURES_OK),
            (mmio::QUEUE_SEL, u32::from(REPORTING_QUEUE)),
            (mmio::QUEUE_NUM, u32::from(self.at.size)),
            (mmio::QUEUE_DESC_LOW, low(self.at.desc.0)),
            (mmio::QUEUE_DRIVER_LOW, low(self.at.avail.0)),
            (mmio::QUEUE_DEVICE_LOW, low(self.at.used.0)),
            (mmio::QUEUE_READY, 1),
            (mmio::STATUS, driver | status::FEATURES_OK | status::DRIVER_OK),
        ] {
            self.balloon.write(register, &value.to_le_bytes());
        }
    }

    /// Makes the chain available once more, as the driver does.
    ///
    /// # Errors
    /// [`RamError`], never in fact: the ring is in memory.
    pub fn offer(&mut self) -> Result<(), RamError> {
        self.offered = self.offered.wrapping_add(1);
        // Flags 1 (no interrupt), the index, and 0 in every slot: the chain always starts at descriptor 0.
        self.ram.write(self.at.avail, 1 | u64::from(self.offered) << 16)?;
        Ok(())
    }

    /// The device's side of a report without the discard: fetches the chain into `batch`. Its head, if there
    /// is one.
    ///
    /// # Errors
    /// [`RingError`] if the ring is broken.
    pub fn fetch(&mut self, batch: &mut Batch) -> Result<Option<u16>, RingError> {
        batch.clear();
        self.balloon.fetch(batch)
    }

    /// Acknowledges a fetched chain.
    ///
    /// # Errors
    /// [`RingError`] if the ring is broken.
    pub fn complete(&mut self, head: u16) -> Result<(), RingError> {
        self.balloon.complete(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::addr::{Order, Pfn};

    #[test]
    fn an_offered_chain_is_fetched_whole_again_and_again() {
        let ranges: Vec<_> = (0..32).map(|n| PageRange::block(Pfn(0x400 + n), Order::PAGE)).collect();
        let mut chains = Chains::new(&ranges).unwrap();
        let mut batch = Batch::default();
        for _ in 0..100 {
            assert_eq!(chains.fetch(&mut batch).unwrap(), None, "nothing is offered");
            chains.offer().unwrap();
            let head = chains.fetch(&mut batch).unwrap().expect("a chain was offered");
            assert_eq!(batch.ranges(), ranges);
            chains.complete(head).unwrap();
        }
    }
}

//! What all services of a machine did.

use super::held::HeldCounts;
use super::service::{Service, Spent};
use super::worker::Worker;
use crate::balloon::RingCounts;
use crate::kvm::ThreadTime;
use crate::kvm::module::ModuleCounts;
use crate::reclaim::{Refused, Taken};
use crate::transport::Told;

/// What all services did so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Served {
    pub(crate) taken: Taken,
    pub(crate) refused: Refused,
    pub(crate) spent: Spent,
    pub(crate) stale: u64,
    /// Pages that guests took back before they were discarded.
    pub(crate) spared: u64,
    /// There is one ring, and one service of it.
    pub(crate) ring: RingCounts,
    /// The same of what was held for others.
    pub(crate) held: HeldCounts,
    /// What guests told by other words than reports.
    pub(crate) told: Told,
    /// What a module did inside the kernel, by its own account.
    pub(crate) in_kernel: Option<ModuleCounts>,
    /// Looks into the ring that found nothing, of a thread that was not called.
    pub(crate) looks: u64,
    /// Processor time of the device thread, if there is one.
    pub(crate) device: Option<ThreadTime>,
}

impl Served {
    /// By one service.
    pub(super) fn of(service: &Service) -> Self {
        let mut served = Self::default();
        served.add(service);
        served
    }

    /// By the service of a device thread.
    pub(super) fn by(worker: &Worker) -> Self {
        Self { looks: worker.looks(), device: Some(worker.time()), ..worker.with(Self::of) }
    }

    pub(super) fn add(&mut self, service: &Service) {
        self.taken.add(&service.taken());
        self.refused.add(&service.refused());
        self.spent.add(&service.spent());
        self.stale += service.stale();
        self.spared += service.spared();
        self.ring = service.ring();
        self.held = service.held();
        self.told.add(service.told());
    }
}

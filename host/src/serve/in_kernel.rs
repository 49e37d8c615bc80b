//! What is served inside the kernel, by its own account: user space never hears of it.

use super::served::Served;
use super::service::Service;
use super::worker::WorkerError;
use crate::axes::Way;
use crate::balloon::SharedBalloon;
use crate::kvm::module::ModuleCounts;

/// A service that is never asked, and the account of the module that is asked in its place, if one is.
pub(crate) struct InKernel {
    service: Service,
    /// Knows why its ring is served no more.
    balloon: SharedBalloon,
    /// The module, and what it had done before.
    before: Option<(&'static str, ModuleCounts)>,
}

impl InKernel {
    /// From now on.
    pub(crate) fn new(service: Service, balloon: SharedBalloon, way: &Way) -> Self {
        // Of a module that says nothing nothing is counted, which no check takes for an account.
        let before = way.module().and_then(|module| Some((module, ModuleCounts::read(module).ok()?)));
        Self { service, balloon, before }
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&Service) -> T) -> T {
        look(&self.service)
    }

    /// What the module did so far. It calls no `madvise`, and there are no stamps of when it did what.
    pub(super) fn served(&self) -> Served {
        let mut served = Served::of(&self.service);
        let so_far = |(module, before)| Some(ModuleCounts::read(module).ok()?.since(before));
        if let Some(counts) = self.before.and_then(so_far) {
            served.taken.discarded_pages = counts.pages;
            served.taken.digest.sum = counts.digest;
            served.taken.digest.pages = counts.pages;
            served.in_kernel = Some(counts);
        }
        served
    }

    /// Why the ring that it is to serve is served no more, if that is so.
    pub(super) fn error(&self) -> Option<WorkerError> {
        self.balloon.lock().failure().map(WorkerError::Ring)
    }
}

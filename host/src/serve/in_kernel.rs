//! What is served inside the kernel, by its own account: user space never hears of it.

use super::served::Served;
use super::service::Service;
use crate::axes::Doorbell;
use crate::kvm::module::ModuleCounts;

/// A service that is never asked, and the account of the module that is asked in its place, if one is.
pub(crate) struct InKernel {
    service: Service,
    /// What the module had done before.
    before: Option<ModuleCounts>,
}

impl InKernel {
    /// From now on.
    pub(crate) fn new(service: Service, doorbell: Doorbell) -> Self {
        // Of a module that says nothing nothing is counted, which no check takes for an account.
        let before = doorbell.needs_module().then(|| ModuleCounts::read().ok()).flatten();
        Self { service, before }
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&Service) -> T) -> T {
        look(&self.service)
    }

    /// What the module did so far. It calls no `madvise`, and there are no stamps of when it did what.
    pub(super) fn served(&self) -> Served {
        let mut served = Served::of(&self.service);
        let now = self.before.and_then(|before| Some(ModuleCounts::read().ok()?.since(before)));
        if let Some(counts) = now {
            served.taken.discarded_pages = counts.pages;
            served.taken.digest.sum = counts.digest;
            served.taken.digest.pages = counts.pages;
            served.in_kernel = Some(counts);
        }
        served
    }
}

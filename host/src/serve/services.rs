//! Who serves the doorbells of a machine with several processors, and what all of them did.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use abi::calls::Answer;

use super::served::Served;
use super::server::Serve;
use super::service::Service;
use super::worker::{Worker, WorkerError};
use crate::balloon::RingError;
use crate::kvm::{HostTsc, Request, Watch};

/// Who serves the doorbells.
pub(crate) enum Services {
    /// The thread of each processor. Where each has its own service, nobody but the account at both ends of the
    /// measured part ever waits for its lock.
    Vcpu(Vec<Arc<Mutex<Service>>>),
    /// The device thread.
    Device(Worker),
}

impl Services {
    /// A service for each processor, or one for all.
    pub(crate) fn of_processors(services: impl IntoIterator<Item = Service>) -> Self {
        Self::Vcpu(services.into_iter().map(|service| Arc::new(Mutex::new(service))).collect())
    }

    /// What the doorbell of processor `vcpu` reaches.
    pub(crate) fn of(&self, vcpu: u32) -> Share {
        match self {
            Self::Vcpu(services) => Share(services.get(vcpu as usize).or(services.first()).map(Arc::clone)),
            Self::Device(_) => Share(None),
        }
    }

    /// What they did so far, each looked at between two of its calls.
    pub(crate) fn served(&self) -> Served {
        let mut served = Served::default();
        match self {
            Self::Vcpu(services) => services.iter().for_each(|service| served.add(&lock(service))),
            Self::Device(worker) => return Served::by(worker),
        }
        served
    }

    /// Why the device thread is not on its processor, if it is not.
    pub(crate) fn astray(&self) -> Option<String> {
        match self {
            Self::Device(worker) => worker.astray(),
            Self::Vcpu(_) => None,
        }
    }

    /// What the device thread gave up for, if it did.
    pub(crate) fn error(&self) -> Option<WorkerError> {
        match self {
            Self::Device(worker) => worker.error(),
            Self::Vcpu(_) => None,
        }
    }
}

/// One processor's share of the services: its own, the one of all, or none.
pub(crate) struct Share(Option<Arc<Mutex<Service>>>);

impl Serve for Share {
    #[inline]
    fn call<W: Watch>(&mut self, request: &Request, at: HostTsc) -> Result<Answer, RingError> {
        match &self.0 {
            Some(service) => lock(service).serve::<W>(request, at, 1),
            // The doorbell does not come here then; a guest that calls all the same is told so.
            None => Ok(Answer::NoSuchCall),
        }
    }
}

/// A service whose lock was poisoned by a panic elsewhere still has its counts.
fn lock(service: &Mutex<Service>) -> MutexGuard<'_, Service> {
    service.lock().unwrap_or_else(PoisonError::into_inner)
}

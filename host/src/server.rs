//! Who serves the doorbell.

use abi::calls::Answer;

use crate::clock::HostTsc;
use crate::error::TrialError;
use crate::service::Service;
use crate::transport::Request;
use crate::worker::Worker;

/// Who serves the doorbell.
pub(crate) enum Server {
    /// The vCPU thread, here and now.
    Vcpu(Box<Service>),
    /// The device thread.
    Device(Worker),
    /// KVM itself: the service is never asked, and its accounts stay empty.
    Kernel(Box<Service>),
}

impl Server {
    /// The doorbell rang and KVM left it to us; `at` is when `KVM_RUN` returned.
    pub(crate) fn call(&mut self, request: &Request, at: HostTsc) -> Result<Answer, TrialError> {
        match self {
            Self::Vcpu(service) => Ok(service.serve(request, at)?),
            // The doorbell does not come here then; a guest that calls all the same is told so.
            Self::Device(_) | Self::Kernel(_) => Ok(Answer::NoSuchCall),
        }
    }

    /// Looks at the service, between two of its calls.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&Service) -> T) -> T {
        match self {
            Self::Vcpu(service) | Self::Kernel(service) => look(service),
            Self::Device(worker) => worker.with(look),
        }
    }

    /// How a run ended: if the device thread gave up, that is why.
    pub(crate) fn error_or(&self, ran: Result<(), TrialError>) -> Result<(), TrialError> {
        match self {
            Self::Device(worker) => worker.error().map_or(ran, |error| Err(error.into())),
            Self::Vcpu(_) | Self::Kernel(_) => ran,
        }
    }
}

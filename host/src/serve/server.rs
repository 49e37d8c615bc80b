//! Who serves the doorbell of a machine with one processor: nobody else ever asks, and there is nothing to lock.

use abi::calls::Answer;

use super::in_kernel::InKernel;
use super::served::Served;
use super::service::Service;
use super::worker::{Worker, WorkerError};
use crate::balloon::RingError;
use crate::kvm::{HostTsc, Request, Watch};

/// Whoever is called when a doorbell exits.
pub(crate) trait Serve {
    /// The doorbell rang and KVM left it to us; `at` is when `KVM_RUN` returned.
    fn call<W: Watch>(&mut self, request: &Request, at: HostTsc) -> Result<Answer, RingError>;
}

/// Who serves the doorbell.
pub(crate) enum Server {
    /// The vCPU thread, here and now.
    Vcpu(Box<Service>),
    /// The device thread.
    Device(Worker),
    /// KVM itself, or a worker of the host's kernel: the service is never asked.
    Kernel(Box<InKernel>),
}

impl Serve for Server {
    #[inline]
    fn call<W: Watch>(&mut self, request: &Request, at: HostTsc) -> Result<Answer, RingError> {
        match self {
            Self::Vcpu(service) => service.serve::<W>(request, at, 1),
            // The doorbell does not come here then; a guest that calls all the same is told so.
            Self::Device(_) | Self::Kernel(_) => Ok(Answer::NoSuchCall),
        }
    }
}

impl<S: Serve> Serve for &mut S {
    #[inline]
    fn call<W: Watch>(&mut self, request: &Request, at: HostTsc) -> Result<Answer, RingError> {
        S::call::<W>(self, request, at)
    }
}

impl Server {
    /// Looks at the service, between two of its calls.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&Service) -> T) -> T {
        match self {
            Self::Vcpu(service) => look(service),
            Self::Kernel(in_kernel) => in_kernel.with(look),
            Self::Device(worker) => worker.with(look),
        }
    }

    /// What was done so far.
    pub(crate) fn served(&self) -> Served {
        match self {
            Self::Kernel(in_kernel) => in_kernel.served(),
            Self::Vcpu(_) | Self::Device(_) => {
                self.worker().map_or_else(|| self.with(Served::of), Served::by)
            }
        }
    }

    /// The device thread, if it is who serves.
    pub(crate) const fn worker(&self) -> Option<&Worker> {
        match self {
            Self::Device(worker) => Some(worker),
            Self::Vcpu(_) | Self::Kernel(_) => None,
        }
    }

    /// Why the device thread is not on its processor, if it is not.
    pub(crate) fn astray(&self) -> Option<String> {
        match self {
            Self::Device(worker) => worker.astray(),
            Self::Vcpu(_) | Self::Kernel(_) => None,
        }
    }

    /// What the device thread gave up for, or the kernel in its place, if it did.
    pub(crate) fn error(&self) -> Option<WorkerError> {
        match self {
            Self::Device(worker) => worker.error(),
            Self::Kernel(in_kernel) => in_kernel.error(),
            Self::Vcpu(_) => None,
        }
    }
}

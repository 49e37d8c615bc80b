//! Everything an exit of a processor can reach, and what it brings.

use abi::calls::{Answer, Operation};
use abi::control::Control;
use abi::wire::virtio::balloon::REPORTING_QUEUE;

use super::clock::HostTsc;
use super::error::ExitError;
use super::exits::Exits;
use super::watch::Watch;

/// Whether the machine goes on after the guest has said something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flow {
    Resume,
    Leave,
}

/// Everything an exit can reach.
pub(crate) trait Board {
    /// Why the board could not do what the guest wanted.
    type Error: From<ExitError>;

    /// The doorbell rang; `at` is when `KVM_RUN` returned.
    fn call<W: Watch>(&mut self, request: &Request, at: HostTsc) -> Result<Answer, Self::Error>;
    /// Whether a kick of this queue is one about reports.
    #[inline]
    fn is_kick(&self, queue: u32) -> bool {
        queue == u32::from(REPORTING_QUEUE)
    }
    /// The guest says where it stands.
    fn control(&mut self, control: Control, exits: &Exits) -> Result<Flow, Self::Error>;
    /// The guest reads the virtio registers.
    fn read(&mut self, offset: u64, data: &mut [u8]);
    /// The guest writes the virtio registers.
    fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), Self::Error>;
}

/// What the guest sent with its doorbell: see [`abi::calls`]. Nothing of it is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Request {
    /// Operation and count.
    pub word: u32,
    /// The gpa register.
    pub gpa: u64,
    /// The pages register.
    pub pages: u64,
}

impl Request {
    /// The request to look at the reporting queue, as a kick without registers makes it.
    pub(crate) const KICK: Self = Self { word: Operation::Kick.word(), gpa: 0, pages: 0 };

    /// The request that a write of a range is, where it exits.
    pub(crate) fn store(value: u32) -> Self {
        Self { word: Operation::Store.word(), gpa: value.into(), pages: 0 }
    }
}

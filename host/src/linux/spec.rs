//! What is run: a kernel, its first process, and how it reports.

use std::path::PathBuf;
use std::time::Duration;

use abi::axes::{Axis, Carrier, Completion};

use crate::axes::{Discard, Doorbell, Way};

/// How the guest reports.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Report {
    /// Not at all: no driver is loaded.
    Off,
    /// By the kernel's own virtio_balloon.
    Virtio,
    /// By a module of ours, a hypercall a range.
    HypercallEach,
    /// By the same module, a hypercall a report.
    HypercallBatch,
}

impl Axis for Report {
    const AXIS: &'static str = "report";
    const ALL: &'static [Self] = &[Self::Off, Self::Virtio, Self::HypercallEach, Self::HypercallBatch];

    fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Virtio => "virtio",
            Self::HypercallEach => "hypercall-each",
            Self::HypercallBatch => "hypercall-batch",
        }
    }
}

impl Report {
    /// Whether it needs hypercalls that are delivered.
    #[must_use]
    pub const fn calls(self) -> bool {
        matches!(self, Self::HypercallEach | Self::HypercallBatch)
    }

    /// The way such reports go, the host discarding so. Where nothing is reported the way is never gone.
    #[must_use]
    pub fn way(self, discard: Discard) -> Way {
        let plain = match self {
            Self::Off | Self::Virtio => {
                Way::plain(Carrier::Ring, Doorbell::IoeventfdMmio, Completion::Interrupt)
            }
            Self::HypercallEach => Way::plain(Carrier::Registers, Doorbell::Hypercall, Completion::Return),
            Self::HypercallBatch => Way::plain(Carrier::Batch, Doorbell::Hypercall, Completion::Return),
        };
        Way { discard, ..plain }
    }
}

/// A trial of a Linux guest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinuxSpec {
    /// The kernel: a bzImage.
    pub kernel: PathBuf,
    /// The archive with the agent as `/init` and the modules it loads.
    pub initramfs: PathBuf,
    /// How it reports.
    pub report: Report,
    /// What the host does with what is reported.
    pub discard: Discard,
    /// Guest memory in MiB.
    pub memory_mib: u64,
    /// Whether memory is looked at whenever a report is answered: not where reports are timed.
    pub looks: bool,
    /// What the agent is to do: its words, behind `--` on the kernel's command line.
    pub task: Vec<String>,
    /// How long the guest may take, from its first instruction to its last.
    pub deadline: Duration,
}

//! The exits of a processor to user space, by our own count.

use std::sync::atomic::{AtomicU64, Ordering};

/// Exits to user space in the measured part, by our own count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Exits {
    /// Hypercalls.
    pub hypercall: u64,
    /// Port writes that are calls or kicks.
    pub port: u64,
    /// MMIO accesses.
    pub mmio: u64,
    /// Port writes on the control port: the harness's own, in no timed report.
    pub control: u64,
    /// `KVM_RUN` interrupted by a signal.
    pub interrupted: u64,
}

impl Exits {
    /// Exits the transport caused.
    #[must_use]
    pub const fn transport(&self) -> u64 {
        self.hypercall + self.port + self.mmio
    }

    /// What was added since `before`. The control exit that ended the measured part is counted in `self` only.
    #[must_use]
    pub const fn since(&self, before: &Self) -> Self {
        Self {
            hypercall: self.hypercall - before.hypercall,
            port: self.port - before.port,
            mmio: self.mmio - before.mmio,
            control: self.control - before.control,
            interrupted: self.interrupted - before.interrupted,
        }
    }

    /// Adds another count, kind by kind.
    pub const fn add(&mut self, other: &Self) {
        self.hypercall += other.hypercall;
        self.port += other.port;
        self.mmio += other.mmio;
        self.control += other.control;
        self.interrupted += other.interrupted;
    }
}

/// A number that the thread of one processor counts and others may read.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn up(&self) {
        // Relaxed: one thread stores, and nothing comes with the number. Not one locked instruction, because it
        // stands in the exit loop.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        // Relaxed: see above.
        self.0.load(Ordering::Relaxed)
    }
}

/// The exits of a processor so far.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(super) hypercall: Count,
    pub(super) port: Count,
    pub(super) mmio: Count,
    pub(super) control: Count,
    pub(super) interrupted: Count,
    pub(super) idle: Count,
}

impl Counts {
    pub(crate) fn exits(&self) -> Exits {
        Exits {
            hypercall: self.hypercall.get(),
            port: self.port.get(),
            mmio: self.mmio.get(),
            control: self.control.get(),
            interrupted: self.interrupted.get(),
        }
    }

    /// Exits by which the processor gave itself away.
    pub(crate) fn idles(&self) -> u64 {
        self.idle.get()
    }
}

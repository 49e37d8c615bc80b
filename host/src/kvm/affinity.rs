//! Where the two threads that are timed run: each on a processor of its own, if there are two.

#![expect(unsafe_code, reason = "sched_getaffinity and sched_setaffinity")]

use std::mem;

/// The processors of a trial's threads, chosen before either is pinned: a new thread inherits the processors
/// of the one that starts it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Placement {
    /// For the thread that runs the guest: the last processor allowed, away from the first, which takes most
    /// interrupts.
    pub(crate) vcpu: Cpu,
    /// For the thread that serves the ring: the one before.
    pub(crate) device: Cpu,
}

/// One processor, by the kernel's number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cpu(usize);

impl Placement {
    /// Two of the processors the calling thread may use; `None` if it has only one, where the scheduler is
    /// left to decide.
    pub(crate) fn choose() -> Option<Self> {
        let allowed = allowed()?;
        let processors: Vec<_> = (0..libc::CPU_SETSIZE as usize)
            // SAFETY: the index is below the size of the set.
            .filter(|processor| unsafe { libc::CPU_ISSET(*processor, &allowed) })
            .collect();
        match processors.as_slice() {
            [.., device, vcpu] => Some(Self { vcpu: Cpu(*vcpu), device: Cpu(*device) }),
            _ => None,
        }
    }
}

/// Keeps the calling thread on a processor until dropped.
#[derive(Debug)]
pub(crate) struct Pinned {
    before: Option<libc::cpu_set_t>,
}

impl Pinned {
    /// Pins the calling thread. Where the kernel refuses, the scheduler decides, as it does for everybody.
    pub(crate) fn to(processor: Option<Cpu>) -> Self {
        let before = allowed();
        if let Some(Cpu(number)) = processor {
            // SAFETY: all zeroes is the empty set.
            let mut one: libc::cpu_set_t = unsafe { mem::zeroed() };
            // SAFETY: the number was found in a set of this size.
            unsafe { libc::CPU_SET(number, &mut one) };
            set(&one);
        }
        Self { before }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            set(before);
        }
    }
}

fn allowed() -> Option<libc::cpu_set_t> {
    // SAFETY: all zeroes is the empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: the pointer is to a set of the size given; 0 is the calling thread.
    let result = unsafe { libc::sched_getaffinity(0, size_of_val(&set), &mut set) };
    (result == 0).then_some(set)
}

fn set(processors: &libc::cpu_set_t) {
    // SAFETY: the pointer is to a set of the size given; 0 is the calling thread. A refusal changes nothing.
    unsafe { libc::sched_setaffinity(0, size_of_val(processors), processors) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_ends_with_its_guard() {
        let Some(placement) = Placement::choose() else { return };
        assert_ne!(placement.vcpu, placement.device);
        let pinned = Pinned::to(Some(placement.vcpu));
        assert_eq!(Placement::choose(), None, "only one left");
        drop(pinned);
        assert_eq!(Placement::choose(), Some(placement));
    }
}

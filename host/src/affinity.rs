//! Where the two threads that are timed run: each on a processor of its own, if there are two.

#![expect(unsafe_code, reason = "sched_getaffinity and sched_setaffinity")]

use std::mem;

/// A thread that is timed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// Runs the guest: the last processor allowed, away from the first, which takes most interrupts.
    Vcpu,
    /// Serves the ring: the one before.
    Device,
}

/// The processors a thread may run on; restored on drop.
#[derive(Debug)]
pub(crate) struct Restore(Option<libc::cpu_set_t>);

/// Pins the calling thread. With one processor, or where the kernel refuses, nothing is done: the scheduler
/// decides, as it does for everybody else.
pub(crate) fn pin(role: Role) -> Option<usize> {
    let allowed = allowed()?;
    let processors: Vec<_> = (0..libc::CPU_SETSIZE as usize)
        // SAFETY: the index is below the size of the set.
        .filter(|processor| unsafe { libc::CPU_ISSET(*processor, &allowed) })
        .collect();
    let processor = match (role, processors.as_slice()) {
        (Role::Vcpu, [.., _, last]) => *last,
        (Role::Device, [.., before, _]) => *before,
        _ => return None,
    };
    // SAFETY: all zeroes is the empty set.
    let mut one: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: the index is below the size of the set.
    unsafe { libc::CPU_SET(processor, &mut one) };
    set(&one).then_some(processor)
}

/// Pins the calling thread until the result is dropped.
pub(crate) fn pin_for_now(role: Role) -> Restore {
    let before = allowed();
    pin(role);
    Restore(before)
}

impl Drop for Restore {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
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

fn set(processors: &libc::cpu_set_t) -> bool {
    // SAFETY: the pointer is to a set of the size given; 0 is the calling thread.
    unsafe { libc::sched_setaffinity(0, size_of_val(processors), processors) == 0 }
}

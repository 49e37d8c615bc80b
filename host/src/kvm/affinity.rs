//! Sets of processors, and which of them a thread may run on.

#![expect(unsafe_code, reason = "sched_getaffinity and sched_setaffinity")]

use std::io;
use std::marker::PhantomData;

/// One processor, by the kernel's number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Cpu(pub(crate) usize);

const BITS: usize = u64::BITS as usize;
/// Words of a set of 1024 processors: what the kernel is asked with first.
const WORDS: usize = 1024 / BITS;
/// Words of the largest set that the kernel is asked with: far more processors than Linux can be built for.
const MOST_WORDS: usize = WORDS << 10;

/// Some processors, however many there may be: the C library's own set ends at 1024.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct CpuSet(Vec<u64>);

impl CpuSet {
    /// Those that the calling thread may run on; empty if the kernel does not say.
    pub(crate) fn allowed() -> Self {
        Self::of(0)
    }

    /// Those that a thread of this process may run on; 0 is the calling one.
    fn of(thread: libc::pid_t) -> Self {
        let mut words = vec![0; WORDS];
        while let Err(error) = get(thread, &mut words) {
            // The kernel refuses a set that is smaller than its own.
            if error.raw_os_error() != Some(libc::EINVAL) || words.len() >= MOST_WORDS {
                return Self::default();
            }
            words = vec![0; words.len() * 2];
        }
        Self(words)
    }

    /// The processors, in the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Cpu> {
        (0..self.0.len() * BITS).map(Cpu).filter(|cpu| self.contains(*cpu))
    }

    /// Whether it has this one.
    pub(crate) fn contains(&self, Cpu(number): Cpu) -> bool {
        self.0.get(number / BITS).is_some_and(|word| word >> (number % BITS) & 1 == 1)
    }
}

impl FromIterator<Cpu> for CpuSet {
    fn from_iter<I: IntoIterator<Item = Cpu>>(cpus: I) -> Self {
        let mut words = Vec::new();
        for Cpu(number) in cpus {
            let word = number / BITS;
            words.resize(words.len().max(word + 1), 0);
            words[word] |= 1 << (number % BITS);
        }
        Self(words)
    }
}

/// Keeps the calling thread on a processor until dropped. It stays with that thread.
#[derive(Debug)]
pub(crate) struct Pinned {
    before: CpuSet,
    pin: Pin,
    /// Neither sent nor shared: dropped by another thread it would move that one.
    of_this_thread: PhantomData<*const ()>,
}

/// A thread, and the processor it was to run on: can be asked about from anywhere, while the thread lives.
#[derive(Clone, Debug)]
pub(crate) struct Pin {
    thread: libc::pid_t,
    /// The processor, and what the kernel said to it; `None` where the scheduler was to decide.
    to: Option<(Cpu, Result<(), String>)>,
}

impl Pinned {
    /// Pins the calling thread. Where the kernel refuses, the scheduler decides, as it does for everybody.
    pub(crate) fn to(processor: Option<Cpu>) -> Self {
        let before = CpuSet::allowed();
        let to =
            processor.map(|cpu| (cpu, set(&[cpu].into_iter().collect()).map_err(|error| error.to_string())));
        // SAFETY: has no preconditions.
        let thread = unsafe { libc::gettid() };
        Self { before, pin: Pin { thread, to }, of_this_thread: PhantomData }
    }

    /// What was asked of the kernel.
    pub(crate) const fn pin(&self) -> &Pin {
        &self.pin
    }
}

impl Pin {
    /// Why the thread is not where it was to be, if it is not: by now somebody may have changed its processors.
    pub(crate) fn astray(&self) -> Option<String> {
        let (cpu, pinned) = self.to.as_ref()?;
        if let Err(error) = pinned {
            return Some(format!(
                "the kernel does not pin threads (sched_setaffinity: {error}): the scheduler decides who runs where"
            ));
        }
        let now = CpuSet::of(self.thread);
        // Nothing is known where the kernel does not say.
        (!now.0.is_empty() && !now.iter().eq([*cpu])).then(|| {
            "processors were changed under a thread that is measured (taskset, or its cpuset): it did not stay on one"
                .to_owned()
        })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // Whoever has changed its processors meanwhile has the last word.
        if !self.before.0.is_empty() && self.pin.astray().is_none() {
            // It was allowed before. Should that have changed meanwhile, there is nothing to be done.
            let _ = set(&self.before);
        }
    }
}

fn get(thread: libc::pid_t, words: &mut [u64]) -> io::Result<()> {
    // SAFETY: the pointer is to as many writable bytes as are given. A thread that is gone is an error.
    let result = unsafe { libc::sched_getaffinity(thread, size_of_val(words), words.as_mut_ptr().cast()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn set(processors: &CpuSet) -> io::Result<()> {
    let words = processors.0.as_slice();
    // SAFETY: the pointer is to as many readable bytes as are given; 0 is the calling thread. A refusal changes
    // nothing.
    let result = unsafe { libc::sched_setaffinity(0, size_of_val(words), words.as_ptr().cast()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::refuse::refused;

    #[test]
    fn a_set_has_no_largest_processor() {
        let cpus = [Cpu(0), Cpu(63), Cpu(64), Cpu(1023), Cpu(1024), Cpu(4095)];
        let set = CpuSet::from_iter(cpus);
        assert_eq!(set.iter().collect::<Vec<_>>(), cpus);
        assert!(!set.contains(Cpu(1)) && !set.contains(Cpu(1 << 20)));
        assert_eq!(CpuSet::default().iter().count(), 0);
    }

    #[test]
    fn a_pin_ends_with_its_guard() {
        let before = CpuSet::allowed();
        let last = before.iter().last().unwrap();
        let pinned = Pinned::to(Some(last));
        assert_eq!(pinned.pin().astray(), None);
        assert_eq!(CpuSet::allowed().iter().collect::<Vec<_>>(), [last]);
        drop(pinned);
        assert_eq!(CpuSet::allowed(), before);
    }

    #[test]
    fn a_pin_that_the_kernel_refuses_says_so() {
        let before = CpuSet::allowed();
        let astray = Pinned::to(Some(Cpu(100_000))).pin().astray().unwrap();
        assert!(astray.contains("sched_setaffinity: Invalid argument"), "{astray}");
        assert_eq!(CpuSet::allowed(), before);
        let confined = refused(libc::SYS_sched_setaffinity, libc::EPERM, || {
            Pinned::to(before.iter().next()).pin().astray()
        });
        assert!(confined.unwrap().contains("Operation not permitted"));
    }

    #[test]
    fn processors_that_are_changed_meanwhile_are_noticed_and_left_as_they_are() {
        let allowed = CpuSet::allowed();
        let [first, .., last] = allowed.iter().collect::<Vec<_>>()[..] else { return };
        let pinned = Pinned::to(Some(last));
        let pin = pinned.pin().clone();
        assert_eq!(std::thread::scope(|scope| scope.spawn(|| pin.astray()).join().unwrap()), None);
        let elsewhere = CpuSet::from_iter([first]);
        set(&elsewhere).unwrap();
        let astray = std::thread::scope(|scope| scope.spawn(|| pin.astray()).join().unwrap());
        assert!(astray.is_some_and(|astray| astray.contains("taskset")));
        drop(pinned);
        assert!(CpuSet::allowed().iter().eq([first]));
        set(&allowed).unwrap();
    }
}

//! Processor time that one thread has had, and what of it a vCPU's thread spent in its guest.
//!
//! The first is exact, and can be read of any thread at any time (`CLOCK_THREAD_CPUTIME_ID` of one's own, the like of
//! others). The second is the kernel's `guest_time` (`proc_pid_stat`), which most kernels count in whole ticks of a timer:
//! the tick falls to whoever runs when it comes. KVM keeps no such statistic.

#![expect(unsafe_code, reason = "clock_gettime of another thread's clock, and gettid")]

use std::fs;
use std::time::Duration;

/// Ticks of the timer in a second, as `/proc` has them (`USER_HZ`, the same on every x86).
const USER_HZ: u64 = 100;
/// Place of `guest_time` among the fields after the name, which may hold anything and ends with the last bracket.
const GUEST_TIME: usize = 43 - 3;
/// A thread's own clock of processor time (Linux `include/linux/posix-timers.h`: `CPUCLOCK_PERTHREAD_MASK`,
/// `CPUCLOCK_SCHED`).
const PER_THREAD: i32 = 4 | 2;

/// A thread, by the kernel's number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Thread(i32);

/// What a thread has had of its processor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct ThreadTime {
    pub(crate) all: Duration,
    /// Of that, in its guest; 0 where the kernel keeps no account.
    pub(crate) guest: Duration,
}

impl Thread {
    /// The calling one.
    pub(crate) fn this() -> Self {
        // SAFETY: gettid has no preconditions.
        Self(unsafe { libc::gettid() })
    }

    /// What it has had so far; nothing of a thread that is no more.
    pub(crate) fn time(self) -> ThreadTime {
        ThreadTime { all: self.processor_time(), guest: self.guest_time().unwrap_or_default() }
    }

    fn processor_time(self) -> Duration {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the clock is a number, which the kernel checks, and `now` is a timespec of ours to write to.
        let said = unsafe { libc::clock_gettime(!self.0 << 3 | PER_THREAD, &raw mut now) };
        match (said, now.tv_sec.try_into(), now.tv_nsec.try_into()) {
            (0, Ok(seconds), Ok(nanoseconds)) => Duration::new(seconds, nanoseconds),
            _ => Duration::ZERO,
        }
    }

    fn guest_time(self) -> Option<Duration> {
        let text = fs::read_to_string(format!("/proc/self/task/{}/stat", self.0)).ok()?;
        guest_ticks(&text).map(|ticks| Duration::from_millis(ticks * 1000 / USER_HZ))
    }
}

impl ThreadTime {
    /// What was added since there was `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self { all: self.all.saturating_sub(before.all), guest: self.guest.saturating_sub(before.guest) }
    }

    /// Both together.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { all: self.all + other.all, guest: self.guest + other.guest }
    }
}

fn guest_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(GUEST_TIME)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_thread_that_spins_has_time_and_one_that_sleeps_has_none() {
        let (tell, told) = channel();
        let (end, ended) = channel::<()>();
        let sleeper = std::thread::spawn(move || {
            tell.send(Thread::this()).unwrap();
            ended.recv().unwrap_err();
        });
        let thread = told.recv().unwrap();
        let before = [thread.time(), Thread::this().time()];
        let began = Instant::now();
        while Thread::this().time().since(before[1]).all < Duration::from_millis(20) {
            assert!(began.elapsed() < Duration::from_secs(20), "its clock stands");
        }
        assert!(thread.time().since(before[0]).all < Duration::from_millis(5));
        drop(end);
        sleeper.join().unwrap();
        assert_eq!(thread.time(), ThreadTime::default(), "a thread that is no more");
    }

    #[test]
    fn guest_time_is_the_field_that_the_manual_says() {
        let fields: Vec<String> = (3..=52).map(|field| field.to_string()).collect();
        assert_eq!(guest_ticks(&format!("7 (a) b) {}", fields.join(" "))), Some(43));
        assert_eq!(guest_ticks("7 (a) 3 4"), None);
        let own = fs::read_to_string("/proc/self/stat").unwrap();
        assert_eq!(guest_ticks(&own), Some(0));
    }
}

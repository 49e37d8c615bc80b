//! How long the kernel was idle, by its own account: `/proc/timer_list`, which root can read.
//!
//! Where the counter counts instructions an idle machine is not waited for: the emulator moves its clock on to
//! the next timer, and the counter with it, by ticks that nobody has executed. Of what the file says about
//! idling the length is looked at, which every idling adds to. Its `idle_calls` count only attempts to stop the
//! periodic tick, and stay the same over idling in which none is made.

use std::fs;

/// Where the kernel says it.
const PATH: &str = "/proc/timer_list";
/// What the fields are called that add up to how long a processor was idle, in nanoseconds of the kernel's
/// clock (Linux `kernel/time/timer_list.c`).
const SLEPT: [&str; 2] = [".idle_sleeptime", ".iowait_sleeptime"];
/// Nothing is added to them while this field is 0: its name in Linux 6.1, and in Linux 6.12.
const MODE: [&str; 2] = [".nohz_mode", ".nohz"];

/// How long all processors together have been idle since the kernel keeps account, in nanoseconds of its clock;
/// `None` if it does not say.
pub(crate) fn slept() -> Option<u64> {
    parse(&fs::read_to_string(PATH).ok()?)
}

fn parse(text: &str) -> Option<u64> {
    let mut slept = None;
    for line in text.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.split_whitespace().next().and_then(|value| value.parse().ok());
        if MODE.contains(&name.trim()) && value == Some(0) {
            return None;
        }
        if SLEPT.contains(&name.trim()) {
            slept = Some(slept.unwrap_or(0) + value?);
        }
    }
    slept
}

/// Nanoseconds of the kernel's clock as ticks of a counter of this frequency. The least idling is a tick.
pub(crate) fn ticks(nanoseconds: u64, tsc_khz: u32) -> u64 {
    let ticks = (u128::from(nanoseconds) * u128::from(tsc_khz)).div_ceil(1_000_000);
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Linux 6.1 shows it, shortened.
    fn timer_list(mode: u32) -> String {
        let cpu = format!(
            "  .nohz_mode      : {mode}\n  .idle_calls     : 0\n  .idle_entrytime : 1808000180 nsecs\n  \
             .idle_sleeptime : 206769360 nsecs\n  .iowait_sleeptime: 5 nsecs\n"
        );
        format!("Timer List Version: v0.9\nnow at 1343110854 nsecs\n\ncpu: 0\n{cpu}cpu: 1\n{cpu}")
    }

    #[test]
    fn all_processors_are_added_up() {
        assert_eq!(parse(&timer_list(2)), Some(2 * (206_769_360 + 5)));
    }

    #[test]
    fn a_kernel_that_keeps_its_tick_does_not_say_under_either_name() {
        assert_eq!(parse(".nohz           : 0\n.idle_sleeptime : 0 nsecs\n"), None);
        assert_eq!(parse(".nohz           : 1\n.idle_sleeptime : 7 nsecs\n"), Some(7));
    }

    #[test]
    fn what_the_kernel_does_not_account_for_is_not_known() {
        assert_eq!(parse(&timer_list(0)), None);
        assert_eq!(parse("Timer List Version: v0.9\n"), None);
        assert_eq!(parse(".idle_sleeptime : many nsecs\n"), None);
    }

    #[test]
    fn idling_is_never_rounded_away() {
        assert_eq!([ticks(0, 1_000_000), ticks(1, 1), ticks(7, 1_000_000)], [0, 1, 7]);
    }
}

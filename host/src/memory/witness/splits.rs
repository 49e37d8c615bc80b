//! How often the kernel has put off splitting a huge page, and how often it has split one. Of the whole machine.

use std::fs;

/// Where it counts.
const PATH: &str = "/proc/vmstat";

/// Huge pages, since the machine started or from one moment to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Splits {
    /// Mapped in part and put on the list of those to be split when memory is short (`thp_deferred_split_page`).
    pub deferred: u64,
    /// Split (`thp_split_page`).
    pub done: u64,
}

impl Splits {
    /// So far; `None` where the kernel does not count.
    #[must_use]
    pub fn now() -> Option<Self> {
        Self::in_text(&fs::read_to_string(PATH).ok()?)
    }

    fn in_text(vmstat: &str) -> Option<Self> {
        let of = |name: &str| {
            let mut fields = vmstat.lines().filter_map(|line| line.split_once(' '));
            fields.find(|(field, _)| *field == name)?.1.trim().parse().ok()
        };
        Some(Self { deferred: of("thp_deferred_split_page")?, done: of("thp_split_page")? })
    }

    /// From `then` to now; `None` where the kernel does not count, or did not.
    #[must_use]
    pub fn change_since(then: Option<Self>) -> Option<Self> {
        Some(Self::now()?.since(then?))
    }

    /// Adds another change.
    pub const fn add(&mut self, other: Self) {
        self.deferred += other.deferred;
        self.done += other.done;
    }

    /// From then to this moment.
    pub(crate) const fn since(self, then: Self) -> Self {
        Self {
            deferred: self.deferred.saturating_sub(then.deferred),
            done: self.done.saturating_sub(then.done),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_by_their_whole_name() {
        let text = "thp_split_page 3\nthp_split_page_failed 7\nthp_deferred_split_page 432\n";
        assert_eq!(Splits::in_text(text), Some(Splits { deferred: 432, done: 3 }));
        assert_eq!(Splits::in_text("nr_free_pages 1\n"), None);
    }

    #[test]
    fn a_change_is_never_negative() {
        let then = Splits { deferred: 5, done: 9 };
        assert_eq!(Splits { deferred: 8, done: 2 }.since(then), Splits { deferred: 3, done: 0 });
    }
}

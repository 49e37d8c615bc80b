//! How many pages the lists of a processor hold, and how many move at a time: numbers only. They follow Linux 6.12 step
//! by step, so that each function can be read beside its own.

use abi::addr::{Order, PAGE_SIZE};
use abi::engine::watermark;

/// Orders up to this have lists (`PAGE_ALLOC_COSTLY_ORDER`), and [`Order::HUGE`].
pub(super) const COSTLY: u8 = 3;
/// `CONFIG_PCP_BATCH_SCALE_MAX`.
const SCALE: u64 = 5;
/// `MIN_PERCPU_PAGELIST_HIGH_FRACTION`.
const FRACTION: u64 = 8;

/// What the lists of a zone are limited to, in pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Limits {
    batch: u64,
    high_min: u64,
    high_max: u64,
    /// The high watermark of the zone.
    mark: u64,
}

impl Limits {
    /// Those of each processor of `vcpus` in a zone of `zone` pages, if `managed` are managed in all
    /// (`zone_batchsize`, `zone_highsize`).
    pub(super) fn of(managed: u64, zone: u64, vcpus: u64) -> Self {
        let marks = watermark::of(managed, zone);
        let batch = match (zone >> 12).min((256 << 10) / PAGE_SIZE) {
            0 | 1 => 1,
            batch => (1 << (batch + batch / 2).ilog2()) - 1,
        };
        let high = |pages: u64| (pages / vcpus.max(1)).max(batch << 2);
        let high_min = high(marks.low);
        // A zone of which an eighth is less than its low watermark has lists of a fixed size.
        let high_max = high(zone / FRACTION).max(high_min);
        Self { batch, high_min, high_max, mark: 2 * marks.low - marks.min }
    }

    /// Whether so few pages of the zone are free that its lists shrink (`ZONE_BELOW_HIGH`).
    pub(super) const fn is_below_high(self, free_pages: u64) -> bool {
        free_pages <= self.mark
    }

    const fn is_fixed(self) -> bool {
        self.high_min == self.high_max
    }
}

/// What a processor knows of its lists of a zone (`struct per_cpu_pages`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Size {
    /// Pages on them.
    pub(super) count: u64,
    /// How many they may be, as it is at the moment.
    pub(super) high: u64,
    /// By which power of two more than a batch is allocated at a time.
    pub(super) alloc_factor: u64,
    /// Pages freed lately: as many are given back at a time.
    pub(super) free_count: u64,
    /// Whether the last block freed was of orders 1 to 3 (`PCPF_PREV_FREE_HIGH_ORDER`).
    pub(super) freed_high_order: bool,
}

impl Size {
    /// A list is empty: how many blocks of `order` it is filled with (`nr_pcp_alloc`).
    pub(super) fn wanted(&mut self, limits: Limits, order: Order, is_below_high: bool) -> u64 {
        let Limits { batch: base, high_min, high_max, .. } = limits;
        self.high = self.high.clamp(high_min, high_max);
        let is_page = order == Order::default();
        let mut batch = if is_page { base << self.alloc_factor } else { base };
        if !limits.is_fixed() && !is_below_high {
            self.high = (self.high + batch).min(high_max);
        }
        if is_page {
            let most = self.high.saturating_sub(self.count).saturating_sub(base).max(base);
            if batch <= most && self.alloc_factor < SCALE {
                self.alloc_factor += 1;
            }
            batch = batch.min(most);
        }
        if batch > 1 { (batch >> order.get()).max(2) } else { batch }
    }

    /// A block of `order` was put on a list: how many pages are to be given back for it (`free_unref_page_commit`).
    pub(super) fn freed(&mut self, limits: Limits, order: Order, is_below_high: bool) -> u64 {
        let batch = limits.batch;
        self.alloc_factor >>= 1;
        self.count += order.pages();
        let is_high_order = (1..=COSTLY).contains(&order.get());
        let is_run = is_high_order && self.freed_high_order && self.free_count >= batch;
        self.freed_high_order = is_high_order;
        if self.free_count < batch << SCALE {
            self.free_count += order.pages();
        }
        if is_run {
            // Many blocks of orders 1 to 3 in a row would only fragment: they all go.
            self.high = self.high.saturating_sub(batch << SCALE).clamp(limits.high_min, limits.high_max);
            return self.count.min(batch << SCALE);
        }
        let high = self.limit(limits, is_below_high);
        // `nr_pcp_free`: as many as were freed lately, and at least a batch goes and a batch stays.
        if self.count >= high { self.free_count.clamp(batch, high - batch) } else { 0 }
    }

    /// How many pages are too many now (`nr_pcp_high`).
    fn limit(&mut self, limits: Limits, is_below_high: bool) -> u64 {
        let Limits { batch, high_min, high_max, .. } = limits;
        let high = self.high.clamp(high_min, high_max);
        self.high = high;
        if limits.is_fixed() {
            return high;
        }
        if is_below_high {
            self.high = high.saturating_sub(self.free_count.max(batch)).max(high_min);
            return self.count.max(high_min);
        }
        if self.count >= high {
            self.high = high.max((self.free_count + batch).clamp(high_min, high_max));
        }
        high
    }

    /// A block was asked for (`rmqueue_pcplist`).
    pub(super) const fn asked(&mut self) {
        self.free_count >>= 1;
    }

    /// Some time has passed: how many pages are to be given back (`decay_pcp_high`).
    pub(super) fn decayed(&mut self, limits: Limits) -> u64 {
        let Limits { batch, high_min, .. } = limits;
        if self.high > high_min {
            let least = self.count.saturating_sub(batch << SCALE).max(high_min);
            self.high = (self.high - (self.high >> 3)).max(least);
        }
        self.count.saturating_sub(self.high.max(high_min))
    }

    /// Whether no time that passes takes anything off the lists.
    pub(super) const fn is_at_rest(self, limits: Limits) -> bool {
        self.count <= limits.high_min
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn order(order: u64) -> Order {
        Order::new(order).unwrap()
    }

    /// 512 MiB of two processors: 131072 >> 12 = 32, 32 + 16 rounded down to 32, less 1; low is 905.
    const LIMITS: Limits = Limits { batch: 31, high_min: 452, high_max: 8192, mark: 1086 };

    #[test]
    fn the_limits_are_linuxs() {
        assert_eq!(Limits::of(1 << 17, 1 << 17, 2), LIMITS);
        assert_eq!(Limits::of(1 << 20, 1 << 20, 4).batch, 63, "at most 256 KiB");
        assert_eq!(Limits::of(4096, 4096, 8), Limits { batch: 1, high_min: 20, high_max: 64, mark: 192 });
        let smallest = Limits::of(1024, 1024, 1);
        assert!(smallest.high_min <= smallest.high_max && smallest.batch == 1, "{smallest:?}");
        assert_eq!(Limits::of(0, 0, 1).batch, 1);
    }

    #[test]
    fn what_is_allocated_at_a_time_doubles_until_something_is_freed() {
        let mut size = Size::default();
        let wanted: Vec<u64> = (0..7).map(|_| size.wanted(LIMITS, order(0), false)).collect();
        assert_eq!(wanted, [31, 62, 124, 248, 496, 992, 992]);
        size.freed(LIMITS, order(0), false);
        assert_eq!(size.wanted(LIMITS, order(0), false), 124, "the factor is halved, not the number");
        assert_eq!(size.wanted(LIMITS, order(9), false), 2, "of huge pages two");
        assert_eq!(size.wanted(LIMITS, order(2), false), 7);
    }

    #[test]
    fn of_huge_pages_freed_in_a_row_one_stays() {
        let mut size = Size::default();
        // The limit is below a huge page at first, and grows with what is freed.
        assert_eq!((size.freed(LIMITS, Order::HUGE, false), size.high), (421, 543));
        size.count -= 512;
        assert_eq!(size.freed(LIMITS, Order::HUGE, false), 0);
        assert_eq!((size.freed(LIMITS, Order::HUGE, false), size.high), (512, 1055));
    }

    #[test]
    fn a_zone_that_runs_short_shrinks_its_lists() {
        let mut size = Size { count: 2000, high: 4000, ..Size::default() };
        assert_eq!(size.freed(LIMITS, order(0), true), 31, "although they may be longer");
        assert_eq!(size.high, 3969, "a batch at the least");
        assert_eq!(size.wanted(LIMITS, order(9), true), 2);
        assert_eq!(size.high, 3969, "and do not grow");
    }

    #[test]
    fn a_run_of_middling_blocks_goes() {
        let mut size = Size::default();
        let gone: Vec<u64> = (0..6).map(|_| size.freed(LIMITS, order(3), false)).collect();
        // Four of eight pages make a batch of 31.
        assert_eq!(gone, [0, 0, 0, 0, 40, 48]);
        assert_eq!(size.freed(LIMITS, order(0), false), 0);
        assert_eq!(size.freed(LIMITS, order(3), false), 0, "the run was broken");
    }

    #[test]
    fn what_lies_there_long_goes_down_to_the_least() {
        let mut size = Size { count: 8000, high: 8192, ..Size::default() };
        let mut steps = 0;
        while !size.is_at_rest(LIMITS) {
            size.count -= size.decayed(LIMITS);
            steps += 1;
        }
        assert_eq!((size.count, size.high), (452, 452));
        // An eighth at a time, as seconds in Linux.
        assert_eq!(steps, 22);
        assert_eq!(size.decayed(LIMITS), 0);
    }

    proptest! {
        #[test]
        fn no_list_outgrows_its_limits_and_nobody_asks_for_more_than_there_is(
            zone in 0_u64..1 << 19,
            vcpus in 1_u64..9,
            steps in prop::collection::vec((0_u8..4, 0_u64..5, any::<bool>()), 1..400),
        ) {
            let limits = Limits::of(zone, zone, vcpus);
            let mut size = Size::default();
            for (what, list, is_below_high) in steps {
                let order = order([0, 1, 2, 3, 9][usize::try_from(list).unwrap()]);
                let within = |size: Size| (limits.high_min..=limits.high_max).contains(&size.high);
                match what {
                    0 => {
                        let blocks = size.wanted(limits, order, is_below_high);
                        prop_assert!((1..=limits.batch << SCALE).contains(&blocks));
                        prop_assert!(within(size));
                        size.count += blocks * order.pages();
                    }
                    1 => {
                        size.asked();
                        size.count = size.count.saturating_sub(order.pages());
                    }
                    2 => {
                        let pages = size.freed(limits, order, is_below_high);
                        prop_assert!(pages <= size.count && within(size));
                        size.count -= pages;
                    }
                    _ => size.count -= size.decayed(limits),
                }
                prop_assert!(size.alloc_factor <= SCALE);
            }
        }
    }
}

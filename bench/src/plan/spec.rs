//! From the choices of a plan to the specifications of its trials.

use std::time::Duration;

use abi::addr::{Order, PAGE_SIZE};
use abi::engine::map::Map;
use abi::timed::company::Company;
use host::axes::{Backing, Coalesce, Completion, Discard, HaltPoll, RingChoice, Way, Workload};
use host::engine::{EngineSpec, Load, PerCpuLists, Reporting, Shuffle, Walk};
use host::timed::{Stopwatch, TimedSpec};

use super::keys::Keys;
use crate::axes::rung::{CallBy, Rung, Transport};

/// What a trial has if nothing else is said: as in Linux, but for the delay, which is 2 s there and longer than
/// the window.
const CAPACITY: u16 = 32;
const BUDGET: u64 = 16;
const DELAY: Duration = Duration::from_millis(100);
const WARMUP: Duration = Duration::from_millis(100);
const WINDOW: Duration = Duration::from_secs(1);
const SETTLE: Duration = Duration::from_secs(10);
/// Footprints are whole largest blocks.
const GRAIN: u64 = Order::MAX.pages() * PAGE_SIZE;

impl Keys {
    /// The rungs they name.
    pub fn rungs(&self) -> impl Iterator<Item = Rung> {
        self.rungs.iter().flatten().map(|rung| rung.0)
    }

    /// The first of them.
    #[must_use]
    pub fn first_rung(&self) -> Option<Rung> {
        self.rungs().next()
    }

    /// A way to report over this transport; a choice that is made beside it is never replaced.
    fn way(&self, transport: Transport, discard: Discard, backing: Backing) -> Way {
        let Transport { carrier, ring_features, doorbell, servicer, completion, halt_poll } = transport;
        let completion = self.completion.map_or(completion, |given| given.0);
        // Who does not halt is not to sleep either: no choice of the user's.
        let halt_poll = if completion == Completion::Interrupt { halt_poll } else { HaltPoll::Host };
        Way {
            carrier: self.carrier.map_or(carrier, |given| given.0),
            ring_features: self.ring_features.map_or(ring_features, |given| given.0),
            doorbell: self.doorbell.map_or(doorbell, |given| given.0),
            servicer: self.servicer.map_or(servicer, |given| given.0),
            completion,
            halt_poll: self.halt_poll.map_or(halt_poll, |given| given.0),
            discard: self.discard.map_or(discard, |given| given.0),
            coalesce: self.coalesce.map_or(Coalesce::Each, |given| given.0),
            backing: self.backing.map_or(backing, |given| given.0),
            guest_ring: self.guest_ring.map_or(RingChoice::Auto, |given| given.0),
        }
    }

    /// A timed trial with these choices over this transport. The seed is the schedule's.
    #[must_use]
    pub fn timed(&self, transport: Transport) -> TimedSpec {
        TimedSpec {
            way: self.way(transport, Discard::DontNeed, Backing::Anon),
            workload: self.workload.map_or(Workload::Random, |given| given.0),
            order: order(self.order.unwrap_or_default()),
            batch: self.batch.unwrap_or(32),
            in_flight: self.in_flight.unwrap_or(1),
            arena: self.arena,
            warmup: self.warmup.unwrap_or(40),
            reports: self.reports.unwrap_or(400),
            idle: self.idle_us.unwrap_or_default(),
            looks_around: false,
            seed: 0,
            stopwatch: Stopwatch::Used,
            company: self.company(),
        }
    }

    /// The processors of a timed trial.
    fn company(&self) -> Company {
        let vcpus = self.vcpus.unwrap_or(1);
        Company { vcpus, reporters: self.reporters.unwrap_or(vcpus) }
    }

    /// A trial of the engine with these choices over this rung. What they leave open is as in an ordinary guest, or means
    /// nothing where nothing looks at it. The seed is the schedule's.
    #[must_use]
    pub fn engine(&self, rung: Rung, call: CallBy) -> EngineSpec {
        let ms = |ms: Option<u64>| ms.map(Duration::from_millis);
        let order = |number: Option<u8>| order(number.unwrap_or_default());
        let vcpus = self.vcpus.unwrap_or(1);
        let memory = self.memory.unwrap_or_default();
        let ordinary = EngineSpec {
            way: self.way(rung.transport(call), Discard::DontNeed, Backing::AnonThp),
            vcpus,
            memory,
            reporting: self.reporting.map_or(Reporting::On, |given| given.0),
            walk: self.walk.map_or(Walk::Rotation, |given| given.0),
            shuffle: Shuffle::None,
            min_order: order(self.min_order),
            capacity: CAPACITY,
            queue_size: None,
            delay: DELAY,
            high_water: self.walk.map_or(1, |walk| high_water(walk.0)),
            budget: BUDGET,
            watermark: true,
            load: self.load.map_or(Load::PageFault1, |given| given.0),
            unit: order(self.unit),
            footprint: share_of(memory, vcpus, 4),
            rounds: 1,
            warmup: WARMUP,
            window: WINDOW,
            settle: SETTLE,
            poison: self.poison,
            offer_poison: false,
            watch: ms(self.watch_ms),
            pcp: PerCpuLists::Off,
            seed: 0,
        }
        .neutral();
        EngineSpec {
            // As asked also where the load takes one: the trial is refused then, not run with fewer.
            vcpus,
            shuffle: self.shuffle.map_or(ordinary.shuffle, |given| given.0),
            capacity: self.capacity.unwrap_or(ordinary.capacity),
            queue_size: self.queue_size,
            delay: ms(self.delay_ms).unwrap_or(ordinary.delay),
            high_water: self.high_water.unwrap_or(ordinary.high_water),
            budget: self.budget.unwrap_or(ordinary.budget),
            watermark: self.watermark.unwrap_or(ordinary.watermark),
            footprint: self.footprint.unwrap_or(ordinary.footprint),
            rounds: self.rounds.unwrap_or(ordinary.rounds),
            warmup: ms(self.warmup_ms).unwrap_or(ordinary.warmup),
            window: ms(self.window_ms).unwrap_or(ordinary.window),
            settle: ms(self.settle_ms).unwrap_or(ordinary.settle),
            pcp: self.pcp.map_or(ordinary.pcp, |given| given.0),
            offer_poison: self.offer_poison.unwrap_or(ordinary.offer_poison),
            ..ordinary
        }
    }

    /// Bytes for each virtual processor when all of them together have one `part`th of what the engine manages.
    #[must_use]
    pub fn share(&self, part: u64) -> u64 {
        let vcpus = self.vcpus.unwrap_or(1);
        self.footprint.unwrap_or(share_of(self.memory.unwrap_or_default(), vcpus, part))
    }
}

/// The number of unreported blocks that requests a pass, for a strategy: what its authors had.
#[must_use]
pub const fn high_water(walk: Walk) -> u64 {
    match walk {
        Walk::Boundary => 32,
        Walk::Rewalk | Walk::Rotation | Walk::PerCpuArray | Walk::Synchronous | Walk::Hold => 1,
    }
}

/// An order that has been checked.
#[must_use]
pub fn order(order: u8) -> Order {
    Order::new(u64::from(order)).unwrap_or_default()
}

/// A list of exactly `length` free blocks. One that is longer than any memory is still so, and refused as such.
#[must_use]
pub fn comb(spec: EngineSpec, order: Order, length: u64) -> EngineSpec {
    let tooth = 2 * order.pages() * PAGE_SIZE;
    let footprint = length.checked_mul(tooth).unwrap_or(u64::MAX / tooth * tooth);
    EngineSpec { load: Load::Comb, unit: order, min_order: order, footprint, ..spec }
}

/// Whole largest blocks, at least one.
fn share_of(memory: u64, vcpus: u32, part: u64) -> u64 {
    let managed = Map::new(memory / PAGE_SIZE).managed() * PAGE_SIZE;
    let each = managed / part / u64::from(vcpus.max(1));
    (each / GRAIN * GRAIN).max(GRAIN)
}

#[cfg(test)]
mod tests {
    use host::engine::EngineSpecError;

    use super::*;

    #[test]
    fn shares_are_whole_blocks_and_never_nothing() {
        assert_eq!(share_of(0, 1, 4), GRAIN);
        let half = share_of(512 << 20, 2, 2);
        assert!(half.is_multiple_of(GRAIN) && half > 100 << 20 && half <= 128 << 20, "{half}");
    }

    fn spec(text: &str) -> EngineSpec {
        toml::from_str::<Keys>(text).unwrap().engine(Rung::Virtio, CallBy::Port)
    }

    #[test]
    fn a_list_longer_than_any_memory_is_not_taken_for_a_short_one() {
        let refused = |order: u8, length| {
            let comb = comb(spec("memory = 536870912\nload = \"comb\""), super::order(order), length);
            assert!(matches!(comb.validate(), Err(EngineSpecError::FootprintTooLarge { .. })), "{length}");
        };
        // The first is 1000 blocks of two pages more than 64 bits hold.
        refused(0, 2_251_799_813_686_248);
        for order in 0..=10 {
            refused(order, u64::MAX);
        }
    }

    #[test]
    fn what_a_load_does_not_look_at_is_refused_and_not_passed_over() {
        for (text, refused) in [
            ("load = \"comb\"\nvcpus = 4", "--vcpus"),
            ("load = \"churn\"\nsettle-ms = 5", "--settle-ms"),
            ("settle-ms = 5", "--settle-ms"),
            ("load = \"memhog\"\nwindow-ms = 5", "--window-ms"),
        ] {
            let error = spec(&format!("memory = 536870912\nmin-order = 9\nunit = 9\n{text}")).validate();
            let Err(EngineSpecError::Unused { parameter, .. }) = error else { panic!("{text}: {error:?}") };
            assert_eq!(parameter, refused, "{text}");
        }
        assert_eq!(spec("load = \"comb\"").settle, SETTLE);
        assert_eq!(spec("load = \"comb\"\nsettle-ms = 5").settle, Duration::from_millis(5));
    }
}

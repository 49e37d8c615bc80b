//! What the tests of the engine share: a guest's words, a machine, a host that discards, and what the oracle found.

use abi::addr::{Order, PageRange};
use abi::axes::{Afterwards, Bell, Carrier, Completion, GuestRing, Program, RingFeatures, Workload};
use abi::boot::BootInfo;
use abi::calls::Operation;
use abi::engine::books::violation;
use abi::engine::info::EngineInfo;
use abi::engine::map::Map;
use abi::engine::{GuestFault, Load, PerCpuLists, Reporting, Shuffle, Walk};
use abi::violation::Violation;
use abi::wire::page;

use crate::engine::books::Books;
use crate::metal::Metal;
use crate::metal::fake::{Fake, Rung};

pub(crate) const ARENA_PAGES: u64 = 1 << 14;
pub(crate) const MAP: Map = Map::new(ARENA_PAGES);

/// Reports in a page of ranges, to a host that discards before it answers.
pub(crate) const BOOT: BootInfo = BootInfo {
    program: Program::Engine,
    guest_ring: GuestRing::Three,
    carrier: Carrier::Batch,
    bell: Bell::CallPort,
    completion: Completion::Return,
    afterwards: Afterwards::Zeroed,
    workload: Workload::Sequential,
    order: Order::PAGE,
    batch: 0,
    queue_size: 32,
    arena_pages: ARENA_PAGES,
    warmup: 0,
    reports: 0,
    seed: 7,
    idle: 0,
    gathers: 0,
    in_flight: 1,
    fenced: false,
    ring_features: RingFeatures::NONE,
};

/// A processor that takes and gives back eight huge pages, twice.
pub(crate) const INFO: EngineInfo = EngineInfo {
    vcpus: 1,
    reporting: Reporting::On,
    walk: Walk::Rotation,
    shuffle: Shuffle::None,
    min_order: Order::HUGE,
    capacity: 4,
    delay: 200,
    high_water: 1,
    budget: 16,
    watermark: true,
    load: Load::Memhog,
    unit: Order::HUGE,
    footprint: 8 * 512,
    rounds: 2,
    window: 3000,
    warmup: 300,
    settle: 1 << 30,
    poisoned: false,
    poison: 0,
    fault: GuestFault::None,
    ticks_per_us: 1,
    pcp: PerCpuLists::Off,
};

/// A machine that nobody answers, and the books of its first processor.
pub(crate) fn machine() -> (Fake, Books) {
    (Fake::with_arena(ARENA_PAGES, |_, _| {}), Books::of(MAP, 0))
}

/// The blocks a call of the batch page names.
pub(crate) fn named(metal: &Fake, rung: Rung) -> Vec<PageRange> {
    let Some(Operation::Batch { count }) = Operation::from_word(rung.word) else { panic!("{rung:?}") };
    let entry = |index| metal.load(rung.gpa.offset(page::ENTRIES + index * page::ENTRY_SIZE));
    (0..u64::from(count)).map(|index| page::range(entry(index)).unwrap().inward().unwrap()).collect()
}

/// Does what a host should.
pub(crate) fn discard(metal: &mut Fake, rung: Rung) {
    for block in named(metal, rung) {
        metal.zero(block.gpa(), block.bytes());
    }
}

/// What a processor has found wrong.
pub(crate) fn found(metal: &Fake, vcpu: u32) -> Vec<Violation> {
    let books = MAP.vcpu(vcpu);
    Violation::ALL.into_iter().filter(|kind| metal.load(violation(books, *kind)) > 0).collect()
}

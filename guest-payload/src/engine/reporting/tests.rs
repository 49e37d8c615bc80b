//! The reporting core on the fake machine, without a load: what it reports, in which steps, and what it finds when
//! somebody plants a fault. A closure that runs while the doorbell rings plays the second processor. This file
//! has what the tests share: the rig.

use abi::addr::{Order, PageRange};
use abi::axes::{Afterwards, Bell, Carrier, Completion, GuestRing, Program, Workload};
use abi::boot::BootInfo;
use abi::calls::Operation;
use abi::engine::books::{shared, violation};
use abi::engine::map::{Map, ZONES};
use abi::engine::{GuestFault, Load, Reporting, Shuffle};
use abi::violation::Violation;
use abi::wire::page;

use super::*;
use crate::engine::books::Books;
use crate::engine::buddy::{Config, MigrateType};
use crate::engine::witness::{Witness, touch};
use crate::metal::fake::{Fake, Rung};
use crate::transport::{self, Transport};

mod arrays;
mod faults;
mod passes;
mod walks;

const ARENA_PAGES: u64 = 1 << 14;
const MAP: Map = Map::new(ARENA_PAGES);
/// The zone with most of the pages.
const DMA32: u64 = ZONES - 1;
const LISTS: [Walk; 3] = [Walk::Rewalk, Walk::Boundary, Walk::Rotation];

fn boot(completion: Completion) -> BootInfo {
    BootInfo {
        program: Program::Engine,
        guest_ring: GuestRing::Three,
        carrier: Carrier::Batch,
        bell: Bell::CallPort,
        completion,
        afterwards: Afterwards::Zeroed,
        workload: Workload::Sequential,
        order: Order::default(),
        batch: 0,
        queue_size: 32,
        arena_pages: ARENA_PAGES,
        warmup: 0,
        reports: 0,
        seed: 5,
        idle: 0,
        fenced: false,
    }
}

const INFO: EngineInfo = EngineInfo {
    vcpus: 1,
    reporting: Reporting::On,
    walk: Walk::Rotation,
    shuffle: Shuffle::None,
    min_order: PAGE,
    capacity: 4,
    delay: 200,
    high_water: 1,
    budget: 0,
    watermark: false,
    load: Load::Churn,
    unit: PAGE,
    footprint: 0,
    rounds: 1,
    window: 0,
    warmup: 0,
    settle: 0,
    poisoned: false,
    poison: 0,
    fault: GuestFault::None,
    ticks_per_us: 1,
};

const PAGE: Order = match Order::new(0) {
    Ok(order) => order,
    Err(_) => panic!(),
};

/// The blocks a call of the batch page names.
fn named(metal: &Fake, rung: Rung) -> Vec<PageRange> {
    let Some(Operation::Batch { count }) = Operation::from_word(rung.word) else { panic!("{rung:?}") };
    let entry = |index| metal.load(rung.gpa.offset(page::ENTRIES + index * page::ENTRY_SIZE));
    (0..u64::from(count)).map(|index| page::range(entry(index)).unwrap().inward().unwrap()).collect()
}

fn discard(metal: &mut Fake, rung: Rung) {
    for block in named(metal, rung) {
        metal.zero(block.gpa(), block.bytes());
    }
}

/// A machine, a core that is switched on, and what belongs to both.
struct Rig {
    metal: Fake,
    core: Core<'static, Fake, true>,
    allocator: Allocator<true>,
    witness: Witness,
    books: Books,
}

impl Rig {
    fn new(info: EngineInfo) -> Self {
        Self::with_host(info, discard)
    }

    fn with_host(info: EngineInfo, host: impl FnMut(&mut Fake, Rung) + 'static) -> Self {
        let carrier = Box::leak(Box::new(transport::Batch::of(0)));
        Self::with(info, Completion::Return, Fake::with_arena(ARENA_PAGES, host), carrier)
    }

    fn with(
        info: EngineInfo,
        completion: Completion,
        mut metal: Fake,
        transport: &'static mut dyn Transport<Fake>,
    ) -> Self {
        let info: &'static EngineInfo = Box::leak(Box::new(info));
        let boot: &'static BootInfo = Box::leak(Box::new(boot(completion)));
        let batch: &'static mut Batch = Box::leak(Box::new(Batch::new(info.capacity)));
        let allocator = allocator(info);
        let books = Books::of(MAP, 0);
        let witness = Witness::new(boot, info, MAP, books);
        allocator.initialise(&mut metal);
        let reporter =
            Reporter::new(Parts { boot, info, allocator, books, witness, transport, batch, vcpu: 0 });
        let mut core = Core::new(info, reporter, true);
        core.switch_on();
        Self { metal, core, allocator, witness, books }
    }

    fn take(&mut self, order: Order) -> Option<Block> {
        take(&mut self.metal, self.allocator, self.witness, &self.books, order)
    }

    fn give(&mut self, block: Block) {
        self.witness.freed(&mut self.metal, self.allocator.frames(block));
        self.core.free(&mut self.metal, block, false);
    }

    /// Every page there is, singly.
    fn take_all(&mut self) -> Vec<Block> {
        core::iter::from_fn(|| self.take(PAGE)).collect()
    }

    /// Takes everything and gives back `teeth` pages of one zone whose neighbours stay taken; says what else does.
    fn comb(&mut self, teeth: usize) -> Vec<Block> {
        let mut taken = self.take_all();
        taken.sort();
        let highest = taken.split_off(taken.len() - 256);
        self.slack(highest);
        let (allocator, mut left) = (self.allocator, teeth);
        for pair in taken.windows(2) {
            let [tooth, next] = [pair[0].page, pair[1].page];
            let is_pair = tooth.get() % 2 == 0 && next == tooth.buddy(PAGE);
            if is_pair && allocator.zone_of(tooth) == DMA32 && left > 0 {
                left -= 1;
                self.give(pair[0]);
            }
        }
        assert_eq!(left, 0);
        taken.retain(|block| self.witness.is_used(&self.metal, allocator.frames(*block)));
        taken
    }

    /// Gives some memory back that the core is not told about, so that the min watermark is far.
    fn slack(&mut self, taken: Vec<Block>) {
        for block in taken {
            self.witness.freed(&mut self.metal, self.allocator.frames(block));
            self.allocator.free(&mut self.metal, &self.books, block);
        }
    }

    fn settle(&mut self) {
        self.core.flush(&mut self.metal);
        for _ in 0..1_000_000 {
            if self.core.is_settled(&self.metal) {
                return;
            }
            self.core.rest(&mut self.metal, u64::MAX);
        }
        panic!("reporting never settled");
    }

    /// Goes on to the end of the next pass.
    fn one_pass(&mut self) {
        let passes = self.metal.load(shared::PASSES);
        while self.metal.load(shared::PASSES) == passes {
            self.core.rest(&mut self.metal, u64::MAX);
        }
    }

    fn marked(&mut self, zone: u64, order: Order) -> [u64; 2] {
        let zone = self.allocator.zone(zone).lock(&mut self.metal, &self.books);
        [zone.nr_reported(order), zone.nr_free(order)]
    }

    fn counted(&self, what: Counter) -> u64 {
        self.books.read(&self.metal, what)
    }

    fn found(&self) -> Vec<Violation> {
        found(&self.metal, 0)
    }
}

fn allocator(info: &EngineInfo) -> Allocator<true> {
    let boundaries = info.walk == Walk::Boundary;
    let keep_mark = info.fault == GuestFault::KeepMark;
    Allocator::new(MAP, Config { marks: true, boundaries, keep_mark })
}

fn take(
    metal: &mut Fake,
    allocator: Allocator<true>,
    witness: Witness,
    books: &Books,
    order: Order,
) -> Option<Block> {
    let taken = allocator.alloc(metal, books, order, MigrateType::Movable)?;
    touch(metal, allocator.frames(taken.block));
    witness.allocated(metal, allocator.frames(taken.block), taken.was_reported);
    Some(taken.block)
}

fn found(metal: &Fake, vcpu: u32) -> Vec<Violation> {
    let books = MAP.vcpu(vcpu);
    Violation::ALL.into_iter().filter(|kind| metal.load(violation(books, *kind)) > 0).collect()
}

//! The reporting core on the fake machine, without a load: what it reports, in which steps, and what it finds when
//! somebody plants a fault. A closure that runs while the doorbell rings plays the second processor. This file
//! has what the tests share: the rig.

use abi::addr::Order;
use abi::axes::Completion;
use abi::boot::BootInfo;
use abi::engine::books::shared;
use abi::engine::map::ZONES;
use abi::engine::{GuestFault, Load, Shuffle};
use abi::violation::Violation;

use super::*;
use crate::engine::books::Books;
use crate::engine::buddy::{Config, MigrateType};
use crate::engine::testing::{self, ARENA_PAGES, BOOT, MAP, discard, found, named};
use crate::engine::witness::{Witness, touch};
use crate::metal::fake::{Fake, Rung};
use crate::transport::{BatchPage, Transport};

mod arrays;
mod faults;
mod hold;
mod passes;
mod walks;

/// The zone with most of the pages.
const DMA32: u64 = ZONES - 1;
const LISTS: [Walk; 3] = [Walk::Rewalk, Walk::Boundary, Walk::Rotation];

const PAGE: Order = Order::PAGE;

/// Any page is reported as soon as it can be.
const INFO: EngineInfo = EngineInfo {
    min_order: PAGE,
    budget: 0,
    watermark: false,
    load: Load::Churn,
    unit: PAGE,
    ..testing::INFO
};

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
        let carrier = Box::leak(Box::new(BatchPage::of(0)));
        Self::with(info, Completion::Return, Fake::with_arena(ARENA_PAGES, host), carrier)
    }

    fn with(
        info: EngineInfo,
        completion: Completion,
        mut metal: Fake,
        transport: &'static mut dyn Transport<Fake>,
    ) -> Self {
        let info: &'static EngineInfo = Box::leak(Box::new(info));
        let boot: &'static BootInfo = Box::leak(Box::new(BootInfo { completion, ..BOOT }));
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

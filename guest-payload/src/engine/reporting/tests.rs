//! The reporting core on the fake machine, without a load: what it reports, in which steps, and what it finds when
//! somebody plants a fault. A closure that runs while the doorbell rings plays the second processor.

use std::cell::RefCell;
use std::rc::Rc;

use abi::addr::{Gpa, Order, PageRange};
use abi::axes::{Afterwards, Axis, Bell, Carrier, Completion, GuestRing, Program, Workload};
use abi::boot::BootInfo;
use abi::calls::{Answer, Operation};
use abi::engine::books::{shared, violation};
use abi::engine::map::{Map, ZONES};
use abi::engine::{GuestFault, Load, Reporting, Shuffle};
use abi::violation::Violation;
use abi::wire::page;
use abi::wire::split_ring::Placement;
use proptest::prelude::*;

use super::*;
use crate::engine::books::Books;
use crate::engine::buddy::{Config, Locked, MigrateType, Page};
use crate::engine::witness::{Witness, touch};
use crate::metal::fake::{Fake, Rung};
use crate::transport::{self, Ring, Transport};

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

#[test]
fn every_walk_reports_everything_that_is_free() {
    for walk in LISTS {
        let mut rig = Rig::new(EngineInfo { walk, budget: 2, ..INFO });
        rig.comb(300);
        rig.settle();
        let [marked, free] = rig.marked(DMA32, PAGE);
        assert_eq!(marked, free, "{walk:?}");
        assert!(free >= 300);
        assert_eq!(rig.found(), []);
    }
}

#[test]
fn a_reported_block_that_merges_is_not_marked_and_is_reported_again() {
    for walk in LISTS {
        let mut rig = Rig::new(EngineInfo { walk, ..INFO });
        let mut blocks = rig.take_all();
        blocks.sort();
        let highest = blocks.split_off(blocks.len() - 256);
        rig.slack(highest);
        let pair: Vec<_> = blocks.iter().copied().filter(|block| block.page.get() / 2 == 3000).collect();
        rig.give(pair[0]);
        rig.settle();
        rig.give(pair[1]);
        let is_marked = |rig: &mut Rig| {
            rig.allocator.zone(DMA32).lock(&mut rig.metal, &rig.books).is_reported(pair[0].page)
        };
        assert!(!is_marked(&mut rig), "{walk:?}");
        rig.settle();
        assert!(is_marked(&mut rig), "{walk:?}");
        assert_eq!(rig.found(), []);
    }
}

#[test]
fn rewalk_looks_at_what_was_reported_again_and_the_others_do_not() {
    let examined = |walk| {
        let mut rig = Rig::new(EngineInfo { walk, ..INFO });
        rig.comb(400);
        rig.settle();
        rig.counted(Counter::Examined)
    };
    // Four a batch, and one to see that there is more. Rotation looks through what was reported once, at the end.
    assert!((500..600).contains(&examined(Walk::Boundary)), "{}", examined(Walk::Boundary));
    assert!((900..1000).contains(&examined(Walk::Rotation)), "{}", examined(Walk::Rotation));
    // On average half of what was reported, too: 100 batches by 200 blocks.
    assert!((19_000..23_000).contains(&examined(Walk::Rewalk)), "{}", examined(Walk::Rewalk));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// `ceil(free / (capacity × budget)) + 1` reports of a list.
    #[test]
    fn a_pass_keeps_to_its_budget(teeth in 60_usize..400, capacity in 1_u64..=16, budget in 1_u64..=4, walk in 0_usize..3) {
        let mut rig = Rig::new(EngineInfo { walk: LISTS[walk], capacity, budget, ..INFO });
        rig.comb(teeth);
        let [_, free] = rig.marked(DMA32, PAGE);
        rig.one_pass();
        let reports = free.div_ceil(capacity * budget) + 1;
        let [marked, _] = rig.marked(DMA32, PAGE);
        prop_assert_eq!(marked, (reports * capacity).min(free));
        prop_assert_eq!(rig.counted(Counter::OutOfBudget) > 0, reports * capacity < free);
        prop_assert_eq!(rig.core.is_settled(&rig.metal), reports * capacity >= free);
    }
}

/// Blocks looked at to report twelve that lie at the other end of a list than the search begins at, behind a hundred that
/// are reported; `upset` does something to the list before. And how many those hundred are.
fn behind_reported(walk: Walk, upset: impl FnOnce(&mut Locked<'_, Fake, true>)) -> (u64, u64) {
    let mut rig = Rig::new(EngineInfo { walk, ..INFO });
    let mut later = rig.comb(100);
    rig.settle();
    let [reported, free] = rig.marked(DMA32, PAGE);
    assert_eq!(reported, free);
    later.retain(|block| rig.allocator.zone_of(block.page) == DMA32 && block.page.get() % 64 == 32);
    later[..12].iter().for_each(|block| rig.give(*block));
    upset(&mut rig.allocator.zone(DMA32).lock(&mut rig.metal, &rig.books));

    let before = rig.counted(Counter::Examined);
    rig.settle();
    assert_eq!(rig.marked(DMA32, PAGE)[0], free + 12);
    (rig.counted(Counter::Examined) - before, reported)
}

#[test]
fn rotation_passes_over_what_is_reported_once_for_all_batches() {
    let (examined, reported) = behind_reported(Walk::Rotation, |zone| {
        zone.cut(PAGE, MigrateType::Movable, 12);
    });
    // Once to find the first, and once more behind the last of them.
    assert!((2 * reported..2 * reported + 60).contains(&examined), "{examined}");
}

#[test]
fn a_boundary_that_was_reset_is_found_again_once_for_all_batches() {
    let (examined, reported) = behind_reported(Walk::Boundary, |zone| {
        let head = zone.head(PAGE, MigrateType::Movable);
        zone.set_boundary(PAGE, MigrateType::Movable, head);
    });
    assert!((reported..reported + 60).contains(&examined), "{examined}");
}

#[test]
fn without_a_budget_one_pass_is_enough() {
    let mut rig = Rig::new(EngineInfo { budget: 0, ..INFO });
    rig.comb(200);
    rig.one_pass();
    let [marked, free] = rig.marked(DMA32, PAGE);
    assert_eq!(marked, free);
    assert_eq!(rig.counted(Counter::OutOfBudget), 0);
}

#[test]
fn a_zone_below_its_watermark_is_skipped() {
    // The zone is some 300 pages above its min watermark; low is a quarter above that, and a full report 400 pages.
    let info = EngineInfo { watermark: true, capacity: 400, ..INFO };
    let mut rig = Rig::new(info);
    rig.comb(64);
    rig.settle();
    assert_eq!(rig.marked(DMA32, PAGE)[0], 0);
    assert_eq!(rig.counted(Counter::BelowWatermark), ZONES);

    let mut rig = Rig::new(info);
    rig.comb(400);
    rig.settle();
    assert!(rig.marked(DMA32, PAGE)[0] > 0);
    assert_eq!(rig.counted(Counter::BelowWatermark), ZONES - 1);
}

#[test]
fn a_pass_is_requested_at_the_high_water() {
    let mut rig = Rig::new(EngineInfo { high_water: 3, ..INFO });
    let blocks = rig.take_all();
    let [_, before] = rig.marked(DMA32, PAGE);
    assert_eq!(before, 0, "what is left after all was taken is no single page");
    let lone: Vec<_> = blocks.into_iter().filter(|block| block.page.get() % 64 == 32).collect();
    let lone: Vec<_> = lone.into_iter().filter(|block| rig.allocator.zone_of(block.page) == DMA32).collect();
    for (block, settled) in lone.into_iter().zip([true, true, false]) {
        rig.give(block);
        assert_eq!(rig.core.is_settled(&rig.metal), settled);
    }
}

#[test]
fn blocks_below_the_least_order_are_left_alone() {
    for walk in Walk::ALL {
        let mut rig = Rig::new(EngineInfo { walk: *walk, min_order: Order::HUGE, ..INFO });
        let blocks = rig.take_all();
        rig.give(blocks[9]);
        rig.settle();
        for what in [Counter::Reports, Counter::Requests, Counter::Missed] {
            assert_eq!(rig.counted(what), 0, "{walk:?} {what:?}");
        }
    }
}

#[test]
fn a_core_that_is_off_does_nothing() {
    let mut rig = Rig::new(INFO);
    rig.core.switch_off(&mut rig.metal);
    rig.comb(50);
    rig.core.ask(&mut rig.metal);
    for _ in 0..100 {
        rig.core.between(&mut rig.metal);
    }
    assert!(rig.core.is_settled(&rig.metal));
    assert_eq!((rig.metal.rings, rig.counted(Counter::Requests)), (0, 0));
}

#[test]
fn a_step_makes_at_most_one_report() {
    let mut rig = Rig::new(INFO);
    rig.comb(40);
    let mut rings = 0;
    while !rig.core.is_settled(&rig.metal) {
        rig.core.between(&mut rig.metal);
        assert!(rig.metal.rings <= rings + 1);
        rings = rig.metal.rings;
    }
    assert!(rings >= 10);
}

#[test]
fn a_processor_that_is_told_by_an_interrupt_goes_on_until_then() {
    const AT: Placement = Placement::of(32);
    for walk in [Walk::Rotation, Walk::PerCpuArray] {
        let metal = Fake::with_arena(ARENA_PAGES, |_, _| {});
        let ring = Box::leak(Box::new(Ring::beside(AT, Completion::Interrupt)));
        let mut rig = Rig::with(EngineInfo { walk, ..INFO }, Completion::Interrupt, metal, ring);
        rig.comb(4);
        let free = rig.allocator.zone(DMA32).free_pages(&rig.metal);
        while rig.metal.rings == 0 {
            rig.core.between(&mut rig.metal);
        }
        // The device has not answered: nothing more happens, and the batch is nobody's.
        for _ in 0..10 {
            rig.core.between(&mut rig.metal);
        }
        assert_eq!(rig.metal.rings, 1);
        assert!(rig.allocator.zone(DMA32).free_pages(&rig.metal) < free, "{walk:?}");
        assert!(!rig.core.is_settled(&rig.metal));

        // Now it discards and answers.
        let chain = (0..4).map(|index| rig.metal.load(AT.desc.offset(index * 16))).collect::<Vec<_>>();
        chain.into_iter().for_each(|page| rig.metal.zero(Gpa(page), 4096));
        rig.metal.store16(AT.used.offset(2), 1);
        rig.core.between(&mut rig.metal);
        assert_eq!(rig.counted(Counter::Reported), 4, "{walk:?}");
        assert_eq!(rig.found(), []);
    }
}

#[test]
fn switching_off_waits_for_what_is_in_flight() {
    const AT: Placement = Placement::of(32);
    let metal = Fake::with_arena(ARENA_PAGES, |metal, _| {
        let chain = (0..4).map(|index| metal.load(AT.desc.offset(index * 16))).collect::<Vec<_>>();
        chain.into_iter().for_each(|page| metal.zero(Gpa(page), 4096));
        let used = metal.load16(AT.used.offset(2));
        metal.store16(AT.used.offset(2), used + 1);
    });
    let ring = Box::leak(Box::new(Ring::beside(AT, Completion::Interrupt)));
    let mut rig = Rig::with(INFO, Completion::Interrupt, metal, ring);
    rig.comb(40);
    while rig.metal.rings == 0 {
        rig.core.between(&mut rig.metal);
    }
    rig.core.switch_off(&mut rig.metal);
    let audit = rig.allocator.audit(&mut rig.metal);
    assert_eq!((audit.wrong, audit.isolated), (0, 0));
    assert_eq!(rig.found(), []);
}

#[test]
fn a_refused_report_marks_nothing_and_ends_the_pass() {
    for walk in Walk::ALL {
        let mut rig = Rig::with_host(EngineInfo { walk: *walk, ..INFO }, |_, _| {});
        rig.metal.answer_with(Answer::BadPage.value());
        rig.comb(12);
        let rings = rig.metal.rings;
        if walk.walks_lists() {
            rig.one_pass();
            assert_eq!(rig.metal.rings, rings + 1);
        } else {
            rig.settle();
        }
        assert_eq!(rig.marked(DMA32, PAGE)[0], 0, "{walk:?}");
        assert!(rig.counted(Counter::Refused) > 0);
        assert_eq!(rig.counted(Counter::Reported), 0);
        assert_eq!(rig.found(), [], "{walk:?}");
        if walk.walks_lists() {
            // A host that thinks better of it is told about all of them.
            rig.metal.answer_with(Answer::Done { refused: 0 }.value());
            rig.core.ask(&mut rig.metal);
            rig.settle();
            let [marked, free] = rig.marked(DMA32, PAGE);
            assert_eq!(marked, free, "{walk:?}");
        }
    }
}

#[test]
fn an_array_that_is_full_forgets_what_comes_next() {
    let mut rig = Rig::new(EngineInfo { walk: Walk::PerCpuArray, ..INFO });
    rig.comb(6);
    assert_eq!(rig.counted(Counter::Missed), 2);
    rig.settle();
    assert_eq!((rig.counted(Counter::Reports), rig.counted(Counter::Reported)), (1, 4));
    assert_eq!(rig.found(), []);
}

#[test]
fn what_was_noted_and_is_taken_again_is_missed() {
    let mut rig = Rig::new(EngineInfo { walk: Walk::PerCpuArray, ..INFO });
    rig.comb(4);
    rig.take(PAGE).unwrap();
    rig.settle();
    assert_eq!((rig.counted(Counter::Missed), rig.counted(Counter::Reported)), (1, 3));
    assert_eq!(rig.found(), []);
}

#[test]
fn a_round_makes_a_report_of_each_zone() {
    let mut rig = Rig::new(EngineInfo { walk: Walk::PerCpuArray, ..INFO });
    let mut taken = rig.take_all();
    taken.sort();
    let highest = taken.split_off(taken.len() - 256);
    rig.slack(highest);
    rig.slack(taken.drain(..256).collect());
    let lone: Vec<_> = taken.into_iter().filter(|block| block.page.get() % 64 == 32).collect();
    let (first, last) = (&lone[..2], &lone[lone.len() - 2..]);
    for block in first.iter().chain(last) {
        rig.give(*block);
    }
    rig.settle();
    assert_eq!((rig.counted(Counter::Reports), rig.counted(Counter::Reported)), (2, 4));
    assert_eq!([0, DMA32].map(|zone| rig.marked(zone, PAGE)[0]), [2, 2]);
    assert_eq!(rig.allocator.audit(&mut rig.metal).wrong, 0);
    assert_eq!(rig.found(), []);
}

#[test]
fn an_array_that_is_not_full_waits_until_it_is_flushed() {
    let mut rig = Rig::new(EngineInfo { walk: Walk::PerCpuArray, ..INFO });
    rig.comb(3);
    for _ in 0..1000 {
        rig.core.between(&mut rig.metal);
    }
    assert_eq!(rig.metal.rings, 0);
    rig.settle();
    assert_eq!(rig.counted(Counter::Reported), 3);
}

#[test]
fn a_synchronous_free_is_reported_before_it_returns() {
    let mut rig = Rig::new(EngineInfo { walk: Walk::Synchronous, ..INFO });
    rig.comb(5);
    assert_eq!((rig.metal.rings, rig.counted(Counter::Reported)), (5, 5));
    assert_eq!(rig.marked(DMA32, PAGE), [5, 5]);
    assert_eq!(rig.found(), []);
}

#[test]
fn compaction_moves_lists_and_resets_boundaries_and_everything_is_reported_all_the_same() {
    for walk in LISTS {
        let mut rig = Rig::new(EngineInfo { walk, shuffle: Shuffle::Compaction, ..INFO });
        rig.comb(300);
        rig.settle();
        let [marked, free] = rig.marked(DMA32, PAGE);
        assert_eq!(marked, free, "{walk:?}");
        assert!(rig.counted(Counter::Shuffled) > 0);
        assert_eq!(rig.counted(Counter::Resets) > 0, walk == Walk::Boundary);
        assert_eq!(rig.allocator.audit(&mut rig.metal).wrong, 0);
    }
}

/// What two processors find, of which the second takes all there is while the first reports.
fn second_processor(info: EngineInfo) -> (Vec<Violation>, Vec<Violation>) {
    let second = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&second);
    let allocator = allocator(&info);
    let witness = Witness::new(&boot(Completion::Return), &info, MAP, Books::of(MAP, 1));
    let mut rig = Rig::with_host(info, move |metal, rung| {
        let books = Books::of(MAP, 1);
        let first = allocator.block(named(metal, rung)[0]).unwrap();
        if !seen.borrow().is_empty() || allocator.zone_of(first.page) != DMA32 {
            return discard(metal, rung);
        }
        while let Some(block) = take(metal, allocator, witness, &books, PAGE) {
            seen.borrow_mut().push(block);
        }
        discard(metal, rung);
    });
    rig.comb(20);
    rig.settle();
    let theirs = second.take();
    assert!(!theirs.is_empty(), "the second processor took nothing");
    for block in theirs {
        let frames = rig.allocator.frames(block);
        rig.witness.freed(&mut rig.metal, frames);
    }
    (rig.found(), found(&rig.metal, 1))
}

#[test]
fn a_second_processor_is_given_nothing_that_is_in_flight() {
    for walk in LISTS {
        assert_eq!(second_processor(EngineInfo { walk, ..INFO }), (vec![], vec![]), "{walk:?}");
    }
}

#[test]
fn blocks_left_on_their_lists_are_found() {
    for walk in LISTS {
        let (first, second) = second_processor(EngineInfo { walk, fault: GuestFault::ReportOnList, ..INFO });
        assert!(first.contains(&Violation::NotIsolated), "{walk:?} {first:?}");
        assert!(second.contains(&Violation::HandedOutInFlight), "{walk:?} {second:?}");
        // The discard takes what the second processor has written.
        assert!(first.contains(&Violation::ReusedLost), "{walk:?} {first:?}");
    }
}

#[test]
fn blocks_put_back_too_early_are_found() {
    for walk in Walk::ALL {
        let (first, second) =
            second_processor(EngineInfo { walk: *walk, fault: GuestFault::PutBackEarly, ..INFO });
        assert!(!first.contains(&Violation::NotIsolated), "{walk:?} {first:?}");
        assert!(second.contains(&Violation::HandedOutInFlight), "{walk:?} {second:?}");
        assert!(first.contains(&Violation::ReusedLost), "{walk:?} {first:?}");
    }
}

#[test]
fn a_mark_that_is_kept_is_found() {
    for walk in [Walk::Rewalk, Walk::Boundary, Walk::Rotation, Walk::PerCpuArray] {
        let mut rig = Rig::new(EngineInfo { walk, fault: GuestFault::KeepMark, ..INFO });
        rig.comb(20);
        rig.settle();
        let taken: Vec<_> = core::iter::from_fn(|| rig.take(PAGE)).collect();
        assert_eq!(rig.found(), [], "{walk:?}: a kept mark is right once");
        taken.into_iter().for_each(|block| rig.give(block));
        let _: Vec<_> = core::iter::from_fn(|| rig.take(PAGE)).collect();
        assert_eq!(rig.found(), [Violation::StaleMark], "{walk:?}");
    }
}

#[test]
fn every_batch_is_off_its_list_when_it_is_reported() {
    for walk in Walk::ALL {
        let allocator = allocator(&EngineInfo { walk: *walk, ..INFO });
        let mut rig = Rig::with_host(EngineInfo { walk: *walk, ..INFO }, move |metal, rung| {
            let blocks = named(metal, rung);
            let first = allocator.block(blocks[0]).unwrap();
            let zone = allocator.zone(allocator.zone_of(first.page)).lock(metal, &Books::of(MAP, 1));
            for block in &blocks {
                let page: Page = allocator.block(*block).unwrap().page;
                assert_eq!(zone.buddy_order(page), None);
            }
            drop(zone);
            discard(metal, rung);
        });
        rig.comb(16);
        rig.settle();
        assert!(rig.metal.rings > 0);
    }
}

//! The whole engine on the fake machine, against hosts that behave and hosts and engines that do not.

use abi::addr::{Order, PAGE_SIZE, PageRange};
use abi::axes::{Afterwards, Axis, Bell, Carrier, Completion, GuestRing, Program, Workload};
use abi::boot::BootInfo;
use abi::calls::Operation;
use abi::control::Control;
use abi::engine::books::shared::{BEGAN, ENDED, FREED, INHIBITED, PASSES, ROUND};
use abi::engine::books::{Counter, PassRecord, counter, violation};
use abi::engine::info::EngineInfo;
use abi::engine::map::pass_at;
use abi::engine::map::{Map, PAGE_TRUTH};
use abi::engine::{GuestFault, Inhibited, Load, Reporting, Shuffle, Truth, Walk};
use abi::layout::ENGINE;
use abi::violation::Violation;
use abi::wire::page;

use proptest::prelude::*;

use crate::metal::Metal;
use crate::metal::fake::{Fake, Rung};

const ARENA_PAGES: u64 = 1 << 14;

fn boot() -> BootInfo {
    BootInfo {
        program: Program::Engine,
        guest_ring: GuestRing::Three,
        carrier: Carrier::Batch,
        bell: Bell::CallPort,
        completion: Completion::Return,
        afterwards: Afterwards::Zeroed,
        workload: Workload::Sequential,
        order: Order::default(),
        batch: 0,
        queue_size: 32,
        arena_pages: ARENA_PAGES,
        warmup: 0,
        reports: 0,
        seed: 7,
        idle: 0,
        fenced: false,
    }
}

fn info() -> EngineInfo {
    EngineInfo {
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
    }
}

fn blocks(metal: &Fake, rung: Rung) -> Vec<PageRange> {
    let Some(Operation::Batch { count }) = Operation::from_word(rung.word) else { panic!("{rung:?}") };
    let entry = |index| metal.load(rung.gpa.offset(page::ENTRIES + index * page::ENTRY_SIZE));
    (0..u64::from(count)).map(|index| page::range(entry(index)).unwrap().inward().unwrap()).collect()
}

fn discard(metal: &mut Fake, rung: Rung) {
    for block in blocks(metal, rung) {
        metal.zero(block.gpa(), block.bytes());
    }
}

fn run(info: &EngineInfo) -> Fake {
    run_with(&boot(), info, discard)
}

fn run_with(boot: &BootInfo, info: &EngineInfo, host: impl FnMut(&mut Fake, Rung) + 'static) -> Fake {
    let mut metal = Fake::with_arena(ARENA_PAGES, host);
    for (index, word) in (0..).zip(info.to_words()) {
        metal.store(ENGINE.offset(index * 8), word);
    }
    super::run(&mut metal, boot).unwrap();
    metal
}

fn found(metal: &Fake) -> Vec<Violation> {
    let books = Map::new(ARENA_PAGES).vcpu(0);
    Violation::ALL.into_iter().filter(|kind| metal.load(violation(books, *kind)) > 0).collect()
}

fn counted(metal: &Fake, what: Counter) -> u64 {
    metal.load(counter(Map::new(ARENA_PAGES).vcpu(0), what))
}

#[test]
fn memhog_says_what_it_does() {
    let metal = run(&info());
    assert_eq!(found(&metal), []);
    let rounds = [Control::Settled; 2];
    let said =
        [&[Control::Ready, Control::Begin][..], &rounds, &[Control::End, Control::Resting, Control::Done]]
            .concat();
    assert_eq!(metal.said, said);
}

#[test]
fn every_load_is_right_with_every_walk() {
    for walk in Walk::ALL {
        for load in Load::ALL {
            for unit in [Order::HUGE, Order::default()] {
                // Little of what churn frees grows large.
                let min_order = if *load == Load::Churn { Order::default() } else { unit };
                let info = EngineInfo { walk: *walk, load: *load, unit, min_order, delay: 20, ..info() };
                let metal = run(&info);
                assert_eq!(found(&metal), [], "{walk:?} {load:?}");
                // Nothing is freed after the comb stands: whoever walks no list has nothing to report.
                let has_to_report = walk.walks_lists() || *load != Load::Comb;
                assert_eq!(counted(&metal, Counter::Reported) > 0, has_to_report, "{walk:?} {load:?} {unit}");
            }
        }
    }
}

const PHASES: [Counter; 6] = [
    Counter::AllocTicks,
    Counter::TouchTicks,
    Counter::FreeTicks,
    Counter::OracleTicks,
    Counter::ReportTicks,
    Counter::IdleTicks,
];

#[test]
fn no_tick_is_charged_twice() {
    for walk in Walk::ALL {
        for load in Load::ALL {
            let metal = run(&EngineInfo { walk: *walk, load: *load, ..info() });
            let charged: u64 = PHASES.iter().map(|phase| counted(&metal, *phase)).sum();
            let window = counted(&metal, Counter::WindowTicks);
            assert!(charged <= window, "{walk:?} {load:?}: {charged} of {window}");
            let parts = [Counter::WalkTicks, Counter::TransportTicks, Counter::PutBackTicks];
            let parts: u64 = parts.iter().map(|part| counted(&metal, *part)).sum();
            assert_eq!(parts, counted(&metal, Counter::ReportTicks), "{walk:?} {load:?}");
        }
    }
}

#[test]
fn without_reporting_nothing_is_reported_and_everything_else_is_the_same() {
    for load in Load::ALL {
        let said = run(&EngineInfo { load: *load, ..info() }).said;
        for reporting in [Reporting::Absent, Reporting::Off] {
            let metal = run(&EngineInfo { reporting, load: *load, ..info() });
            assert_eq!((metal.rings, found(&metal)), (0, vec![]), "{reporting:?} {load:?}");
            assert_eq!(metal.said, said, "{reporting:?} {load:?}");
            for what in [Counter::Requests, Counter::Examined, Counter::ReportTicks, Counter::Passes] {
                assert_eq!(counted(&metal, what), 0, "{reporting:?} {load:?} {what:?}");
            }
        }
    }
}

#[test]
fn rounds_are_counted_and_times_are_in_order() {
    let metal = run(&info());
    assert_eq!(metal.load(ROUND), 2);
    // Two rounds of eight units.
    assert_eq!(counted(&metal, Counter::Operations), 16);
    assert_eq!(counted(&metal, Counter::Pages), 16 * 512);
    let times = [BEGAN, FREED, ENDED].map(|at| metal.load(at));
    assert!(times.is_sorted() && times[0] > 0, "{times:?}");
}

#[test]
fn passes_leave_records() {
    let metal = run(&info());
    let passes = metal.load(PASSES);
    assert!(passes > 0 && counted(&metal, Counter::Passes) == passes);
    let record = |pass| {
        PassRecord::from_words(core::array::from_fn(|word| metal.load(pass_at(pass).offset(word as u64 * 8))))
    };
    let records: Vec<_> = (0..passes).map(record).collect();
    assert!(records.iter().all(|pass| pass.began < pass.ended));
    assert!(records.windows(2).all(|pair| pair[0].ended + info().delay <= pair[1].began), "{records:?}");
    let reports: u64 = records.iter().map(|pass| pass.reports).sum();
    let pages: u64 = records.iter().map(|pass| pass.pages).sum();
    assert_eq!(
        (reports, pages),
        (counted(&metal, Counter::Reports), counted(&metal, Counter::ReportedPages))
    );
}

#[test]
fn a_comb_has_a_list_of_the_length_asked_for() {
    for walk in [Walk::Rewalk, Walk::Boundary, Walk::Rotation] {
        let (unit, footprint) = (Order::default(), 2 * 500);
        let metal = run(&EngineInfo { walk, load: Load::Comb, unit, footprint, min_order: unit, ..info() });
        assert_eq!(found(&metal), []);
        // What is free beside the teeth is what the min watermark keeps: a block of some orders, in either zone.
        let reported = counted(&metal, Counter::Reported);
        assert!((500..520).contains(&reported), "{walk:?}: {reported}");
    }
}

#[test]
fn allocations_that_fail_are_counted() {
    for load in Load::ALL.iter().filter(|load| **load != Load::Comb) {
        let footprint = 2 * ARENA_PAGES;
        let metal = run(&EngineInfo { load: *load, footprint, rounds: 1, unit: Order::MAX, ..info() });
        assert_eq!(found(&metal), [], "{load:?}");
        assert!(counted(&metal, Counter::Failed) > 0 || *load == Load::Churn, "{load:?}");
    }
}

#[test]
fn at_the_end_every_page_is_free_again() {
    let metal = run(&EngineInfo { load: Load::Churn, ..info() });
    let map = Map::new(ARENA_PAGES);
    let truths: Vec<_> = (0..map.managed())
        .map(|page| Truth::from_number(metal.load32(map.page(page).offset(PAGE_TRUTH)).into()).unwrap())
        .collect();
    assert!(truths.contains(&Truth::Freed) || truths.contains(&Truth::Reported));
    assert!(!truths.contains(&Truth::Used) && !truths.contains(&Truth::InFlight));
}

#[test]
fn planted_faults_are_found_in_a_whole_run() {
    for (fault, violation) in
        [(GuestFault::ReportOnList, Violation::NotIsolated), (GuestFault::KeepMark, Violation::StaleMark)]
    {
        // A largest block merges with nothing, so that a mark that was kept stays.
        let metal = run(&EngineInfo { fault, rounds: 3, unit: Order::MAX, ..info() });
        assert!(found(&metal).contains(&violation), "{fault:?}: {:?}", found(&metal));
    }
}

#[test]
fn hosts_that_misbehave_are_found() {
    let lazy = run_with(&boot(), &EngineInfo { rounds: 3, ..info() }, |_, _| {});
    assert_eq!(found(&lazy), [Violation::StillThere]);

    let mut done = false;
    let info = EngineInfo { load: Load::PageFault1, ..info() };
    let greedy = run_with(&boot(), &info, move |metal, rung| {
        discard(metal, rung);
        // A page too many, once: one that is in use, but not the first of its unit, which names the next.
        let map = Map::new(ARENA_PAGES);
        let truth = |page| metal.load32(map.page(page).offset(PAGE_TRUTH));
        let used =
            (5..map.managed()).step_by(512).find(|page| u64::from(truth(*page)) == Truth::Used.number());
        if let Some(used) = used.filter(|_| !done) {
            done = true;
            metal.zero(map.block(used, Order::default()).gpa(), PAGE_SIZE);
        }
    });
    assert_eq!(found(&greedy), [Violation::ReusedLost]);
}

#[test]
fn poison_that_the_carrier_cannot_tell_ends_reporting() {
    let poison = 0xaaaa_aaaa_aaaa_aaaa;
    let metal = run(&EngineInfo { poisoned: true, poison, ..info() });
    assert_eq!(Inhibited::from_number(metal.load(INHIBITED)), Some(Inhibited::PoisonUnsaid));
    assert_eq!((metal.rings, found(&metal)), (0, vec![]));
}

#[test]
fn a_report_too_large_for_its_carrier_takes_several_calls() {
    let boot = BootInfo { carrier: Carrier::Registers, ..boot() };
    let metal = run_with(&boot, &info(), |metal, rung| {
        metal.zero(rung.gpa, rung.pages * PAGE_SIZE);
    });
    assert_eq!(found(&metal), []);
    assert_eq!(metal.rings, counted(&metal, Counter::Reported));
    assert!(counted(&metal, Counter::Reports) < metal.rings);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn whatever_is_chosen_no_page_is_lost(
        walk in 0..Walk::ALL.len(),
        load in 0_usize..3,
        shuffle: bool,
        min_order in 0_u64..=10,
        unit in 0_u64..=10,
        capacity in 1_u64..=40,
        budget in 0_u64..=20,
        high_water in 1_u64..=40,
        delay in 1_u64..100,
        watermark: bool,
        footprint in 1_u64..10,
        seed: u64,
    ) {
        let info = EngineInfo {
            walk: Walk::ALL[walk],
            load: [Load::Churn, Load::PageFault1, Load::Memhog][load],
            shuffle: if shuffle { Shuffle::Compaction } else { Shuffle::None },
            min_order: Order::new(min_order).unwrap(),
            unit: Order::new(unit).unwrap(),
            capacity,
            budget,
            high_water,
            delay,
            watermark,
            footprint: footprint * 1024,
            rounds: 1,
            warmup: 100,
            window: 4000,
            ..info()
        };
        let metal = run_with(&BootInfo { seed, ..boot() }, &info, discard);
        prop_assert_eq!(found(&metal), []);
        prop_assert_eq!(metal.said.last(), Some(&Control::Done));
    }
}

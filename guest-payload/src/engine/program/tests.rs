//! The whole engine on the fake machine, against hosts that behave and hosts and engines that do not.

use abi::addr::{Order, PAGE_SIZE};
use abi::axes::{Axis, Carrier};
use abi::boot::BootInfo;
use abi::calls::Operation;
use abi::control::Control;
use abi::engine::books::shared::{BEGAN, ENDED, FREED, INHIBITED, PASSES, ROUND};
use abi::engine::books::{Counter, PassRecord, counter};
use abi::engine::info::EngineInfo;
use abi::engine::map::{Map, PAGE_TRUTH, pass_at};
use abi::engine::watermark;
use abi::engine::{GuestFault, Inhibited, Load, PerCpuLists, Reporting, Shuffle, Truth, Walk};
use abi::layout::ENGINE;
use abi::violation::Violation;

use proptest::prelude::*;

use crate::engine::testing::{self, ARENA_PAGES, BOOT, INFO, MAP, discard};
use crate::metal::Metal;
use crate::metal::fake::{Fake, Rung};

fn run(info: &EngineInfo) -> Fake {
    run_with(&BOOT, info, discard)
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
    testing::found(metal, 0)
}

fn counted(metal: &Fake, what: Counter) -> u64 {
    metal.load(counter(MAP.vcpu(0), what))
}

#[test]
fn memhog_says_what_it_does() {
    let metal = run(&INFO);
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
            for unit in [Order::HUGE, Order::PAGE] {
                // Little of what churn frees grows large.
                let min_order = if *load == Load::Churn { Order::PAGE } else { unit };
                // A comb leaves less free than the eighth that is left alone where reported blocks are held.
                let watermark = *walk != Walk::Hold;
                let info =
                    EngineInfo { walk: *walk, load: *load, unit, min_order, delay: 20, watermark, ..INFO };
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
            let metal = run(&EngineInfo { walk: *walk, load: *load, ..INFO });
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
        let said = run(&EngineInfo { load: *load, ..INFO }).said;
        for reporting in [Reporting::Absent, Reporting::Off] {
            let metal = run(&EngineInfo { reporting, load: *load, ..INFO });
            assert_eq!((metal.rings, found(&metal)), (0, vec![]), "{reporting:?} {load:?}");
            assert_eq!(metal.said, said, "{reporting:?} {load:?}");
            for what in [Counter::Requests, Counter::Examined, Counter::ReportTicks, Counter::Passes] {
                assert_eq!(counted(&metal, what), 0, "{reporting:?} {load:?} {what:?}");
            }
        }
    }
}

#[test]
fn a_hot_huge_page_recycles_in_the_processors_lists() {
    // One block, taken and freed again and again, is reported whenever a pass finds it on a free list.
    let [off, linux] = [PerCpuLists::Off, PerCpuLists::Linux].map(|pcp| {
        let load = Load::PageFault1;
        let metal = run(&EngineInfo { load, footprint: 512, delay: 500, window: 15_000, pcp, ..INFO });
        assert_eq!(found(&metal), [], "{pcp:?}");
        counted(&metal, Counter::TookReported)
    });
    // Time takes it off its list now and then.
    assert!(linux < off / 2, "{linux} and {off}");
}

#[test]
fn what_the_processors_lists_keep_is_what_they_may_keep() {
    let map = Map::new(ARENA_PAGES);
    // Pages that were freed and not reported, at the end of a load whose reporting may settle.
    let kept = |pcp| {
        let [unit, min_order] = [Order::default(); 2];
        let metal = run(&EngineInfo { unit, min_order, watermark: false, pcp, ..INFO });
        assert_eq!(found(&metal), [], "{pcp:?}");
        let truth = |page| u64::from(metal.load32(map.page(page).offset(PAGE_TRUTH)));
        (0..map.managed()).filter(|page| truth(*page) == Truth::Freed.number()).count() as u64
    };
    // One block of zone DMA must not be isolated.
    assert_eq!(kept(PerCpuLists::Off), Order::MAX.pages());
    let lists = kept(PerCpuLists::Linux) - Order::MAX.pages();
    // Time takes the rest: what they keep is as much as the low watermark.
    let low = watermark::of(map.managed(), map.managed()).low;
    assert!((1..=low).contains(&lists), "{lists} of {low}");
}

#[test]
fn every_load_is_right_with_lists_and_every_walk() {
    for walk in Walk::ALL.iter().filter(|walk| **walk != Walk::Synchronous) {
        for load in Load::ALL {
            for unit in [0, 2, 9].map(|unit| Order::new(unit).unwrap()) {
                let min_order = Order::default();
                let pcp = PerCpuLists::Linux;
                let info = EngineInfo { walk: *walk, load: *load, unit, min_order, pcp, ..INFO };
                let metal = run(&info);
                assert_eq!(found(&metal), [], "{walk:?} {load:?} {unit:?}");
                assert_eq!(counted(&metal, Counter::Failed), 0, "{load:?} {unit:?}");
            }
        }
    }
}

#[test]
fn rounds_are_counted_and_times_are_in_order() {
    let metal = run(&INFO);
    assert_eq!(metal.load(ROUND), 2);
    // Two rounds of eight units.
    assert_eq!(counted(&metal, Counter::Operations), 16);
    assert_eq!(counted(&metal, Counter::Pages), 16 * 512);
    let times = [BEGAN, FREED, ENDED].map(|at| metal.load(at));
    assert!(times.is_sorted() && times[0] > 0, "{times:?}");
}

#[test]
fn passes_leave_records() {
    let metal = run(&INFO);
    let passes = metal.load(PASSES);
    assert!(passes > 0 && counted(&metal, Counter::Passes) == passes);
    let record = |pass| {
        PassRecord::from_words(core::array::from_fn(|word| metal.load(pass_at(pass).offset(word as u64 * 8))))
    };
    let records: Vec<_> = (0..passes).map(record).collect();
    assert!(records.iter().all(|pass| pass.began < pass.ended));
    assert!(records.windows(2).all(|pair| pair[0].ended + INFO.delay <= pair[1].began), "{records:?}");
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
        let (unit, footprint) = (Order::PAGE, 2 * 500);
        let metal = run(&EngineInfo { walk, load: Load::Comb, unit, footprint, min_order: unit, ..INFO });
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
        let metal = run(&EngineInfo { load: *load, footprint, rounds: 1, unit: Order::MAX, ..INFO });
        assert_eq!(found(&metal), [], "{load:?}");
        assert!(counted(&metal, Counter::Failed) > 0 || *load == Load::Churn, "{load:?}");
    }
}

#[test]
fn at_the_end_every_page_is_free_again() {
    let metal = run(&EngineInfo { load: Load::Churn, ..INFO });
    let truths: Vec<_> = (0..MAP.managed())
        .map(|page| Truth::from_number(metal.load32(MAP.page(page).offset(PAGE_TRUTH)).into()).unwrap())
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
        let metal = run(&EngineInfo { fault, rounds: 3, unit: Order::MAX, ..INFO });
        assert!(found(&metal).contains(&violation), "{fault:?}: {:?}", found(&metal));
    }
}

#[test]
fn hosts_that_misbehave_are_found() {
    let lazy = run_with(&BOOT, &EngineInfo { rounds: 3, ..INFO }, |_, _| {});
    assert_eq!(found(&lazy), [Violation::StillThere]);

    let mut done = false;
    let info = EngineInfo { load: Load::PageFault1, ..INFO };
    let greedy = run_with(&BOOT, &info, move |metal, rung| {
        discard(metal, rung);
        // A page too many, once: one that is in use, but not the first of its unit, which names the next.
        let truth = |page| metal.load32(MAP.page(page).offset(PAGE_TRUTH));
        let used =
            (5..MAP.managed()).step_by(512).find(|page| u64::from(truth(*page)) == Truth::Used.number());
        if let Some(used) = used.filter(|_| !done) {
            done = true;
            metal.zero(MAP.block(used, Order::PAGE).gpa(), PAGE_SIZE);
        }
    });
    assert_eq!(found(&greedy), [Violation::ReusedLost]);
}

#[test]
fn poison_that_the_carrier_cannot_tell_ends_reporting() {
    let poison = 0xaaaa_aaaa_aaaa_aaaa;
    let metal = run(&EngineInfo { poisoned: true, poison, ..INFO });
    assert_eq!(Inhibited::from_number(metal.load(INHIBITED)), Some(Inhibited::PoisonUnsaid));
    assert_eq!((metal.rings, found(&metal)), (0, vec![]));
}

#[test]
fn a_carrier_of_nothing_reports_nothing() {
    let metal = run_with(&BootInfo { carrier: Carrier::Empty, ..BOOT }, &INFO, |_, rung| {
        assert_eq!(Operation::from_word(rung.word), Some(Operation::Nothing));
    });
    assert_eq!(found(&metal), [Violation::StillThere]);
}

#[test]
fn a_report_too_large_for_its_carrier_takes_several_calls() {
    let boot = BootInfo { carrier: Carrier::Registers, ..BOOT };
    let metal = run_with(&boot, &INFO, |metal, rung| {
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
            ..INFO
        };
        let metal = run_with(&BootInfo { seed, ..BOOT }, &info, discard);
        prop_assert_eq!(found(&metal), []);
        prop_assert_eq!(metal.said.last(), Some(&Control::Done));
    }
}

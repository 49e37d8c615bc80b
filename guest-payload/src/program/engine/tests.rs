//! The whole engine on the fake machine, against hosts that behave and hosts and engines that do not.

use abi::addr::{Order, PageRange};
use abi::axes::{Afterwards, Axis, Bell, Carrier, Completion, GuestRing, Program, Workload};
use abi::boot::BootInfo;
use abi::calls::{Control, Operation, batch};
use abi::engine::books::{Counter, counter, violation};
use abi::engine::info::EngineInfo;
use abi::engine::map::Map;
use abi::engine::{GuestFault, Load, Reporting, Shuffle, Walk};
use abi::layout::ENGINE;
use abi::trace::Violation;

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
        delay: 500,
        high_water: 1,
        budget: 16,
        watermark: true,
        load: Load::Memhog,
        unit: Order::HUGE,
        footprint: 8 * 512,
        rounds: 2,
        window: 20_000,
        warmup: 1000,
        settle: 1 << 30,
        poisoned: false,
        poison: 0,
        fault: GuestFault::None,
        ticks_per_us: 1,
    }
}

fn blocks(metal: &Fake, rung: Rung) -> Vec<PageRange> {
    let Some(Operation::Batch { count }) = Operation::from_word(rung.word) else { panic!("{rung:?}") };
    let entry = |index| metal.load(rung.gpa.offset(batch::ENTRIES + index * batch::ENTRY_SIZE));
    (0..u64::from(count)).map(|index| batch::range(entry(index)).unwrap().inward().unwrap()).collect()
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
    crate::program::run(&mut metal, boot).unwrap();
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
    let said = [&[Control::Ready, Control::Begin][..], &rounds, &[Control::End, Control::Done]].concat();
    assert_eq!(metal.said, said);
}

#[test]
fn every_load_is_right_with_every_walk() {
    for walk in Walk::ALL {
        for load in Load::ALL {
            for unit in [Order::HUGE, Order::default()] {
                // Little of what churn frees grows large.
                let min_order = if *load == Load::Churn { Order::default() } else { unit };
                let info = EngineInfo { walk: *walk, load: *load, unit, min_order, ..info() };
                let metal = run(&info);
                assert_eq!(found(&metal), [], "{walk:?} {load:?}");
                // Nothing is freed after the comb stands: whoever walks no list has nothing to report.
                let has_to_report = walk.walks_lists() || *load != Load::Comb;
                assert_eq!(counted(&metal, Counter::Reported) > 0, has_to_report, "{walk:?} {load:?} {unit}");
            }
        }
    }
}

//! What virtual processors share, in every order in which they can meet: [loom] runs the lock and the allocator on
//! its model of memory.
//!
//! The words of the locks are atomics with the orderings that the bare machine promises. All other memory is plain:
//! loom fails if two processors touch a word and nothing orders one before the other. That is what a missing acquire
//! or release looks like; to see it, weaken one of the three orderings below.
//!
//! [loom]: https://docs.rs/loom

#![expect(unsafe_code, reason = "loom's plain memory is an UnsafeCell that checks who touches it")]

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use abi::addr::{Gpa, Order};
use abi::control::Control;
use abi::engine::books::{shared, violation};
use abi::engine::map::Map;
use abi::violation::Violation;
use guest_payload::engine::books::Books;
use guest_payload::engine::buddy::{Allocator, At, Block, Config, MigrateType};
use guest_payload::engine::lock::Lock;
use guest_payload::metal::{Metal, count};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

/// Acquire, as [`Metal::swap32_acquire`] says.
const SWAP: Ordering = Ordering::Acquire;
/// Acquire, as [`Metal::load32_acquire`] says.
const LOAD: Ordering = Ordering::Acquire;
/// Release, as [`Metal::store32_release`] says.
const STORE: Ordering = Ordering::Release;

/// Switches away from a processor that could have run on, in one execution. Bugs that need more are rare, and each
/// one more takes ten times as long: with these all is done in seconds.
const PREEMPTIONS: usize = 2;

/// A word of plain memory.
struct Plain(UnsafeCell<u32>);

// SAFETY: loom runs one thread at a time, and stops with an error when two accesses are not ordered.
unsafe impl Send for Plain {}
// SAFETY: as above.
unsafe impl Sync for Plain {}

impl Plain {
    fn get(&self) -> u32 {
        // SAFETY: the pointer is to the word, alive as long as `self`; nobody writes it meanwhile, or loom stops.
        self.0.with(|word| unsafe { *word })
    }

    fn set(&self, value: u32) {
        // SAFETY: as above; nobody reads it either.
        self.0.with_mut(|word| unsafe { *word = value });
    }
}

/// Memory of one execution. Every word is zero until it is written to.
#[derive(Default)]
struct Ram {
    plain: Mutex<HashMap<Gpa, Arc<Plain>>>,
    shared: Mutex<HashMap<Gpa, Arc<AtomicU32>>>,
    waiting: AtomicBool,
}

impl Ram {
    /// Who waits lets the one run that has waited least, and loom tries no other order: two that wait could let each
    /// other run for ever.
    fn wait(&self) {
        // Relaxed, here and below: loom runs one thread at a time.
        if !self.waiting.swap(true, Ordering::Relaxed) {
            loom::stop_exploring();
        }
        thread::yield_now();
    }

    /// Whoever touches a lock does so in every order again.
    fn go_on(&self) {
        if self.waiting.swap(false, Ordering::Relaxed) {
            loom::explore();
        }
    }
}

/// A virtual processor.
struct Processor {
    ram: Arc<Ram>,
    vcpu: u32,
}

impl Processor {
    fn shared(&self, at: Gpa) -> Arc<AtomicU32> {
        self.ram.go_on();
        Arc::clone(self.ram.shared.lock().unwrap().entry(at).or_insert_with(|| Arc::new(AtomicU32::new(0))))
    }
}

impl Metal for Processor {
    fn vcpu(&self) -> u32 {
        self.vcpu
    }
    fn load(&self, at: Gpa) -> u64 {
        u64::from(self.load32(at)) | u64::from(self.load32(at.offset(4))) << 32
    }
    fn store(&mut self, at: Gpa, value: u64) {
        self.store32(at, u32::try_from(value & 0xffff_ffff).unwrap());
        self.store32(at.offset(4), u32::try_from(value >> 32).unwrap());
    }
    fn load32(&self, at: Gpa) -> u32 {
        let word = self.ram.plain.lock().unwrap().get(&at).cloned();
        word.map_or(0, |word| word.get())
    }
    fn store32(&mut self, at: Gpa, value: u32) {
        let word = Arc::clone(
            self.ram.plain.lock().unwrap().entry(at).or_insert_with(|| Arc::new(Plain(UnsafeCell::new(0)))),
        );
        word.set(value);
    }
    fn swap32_acquire(&mut self, at: Gpa, value: u32) -> u32 {
        // A swap that finds what it stores is made no store: loom does not see that the release of who found the
        // lock free comes after it, as it must, and would let a waiter read the old value for ever.
        match self.shared(at).compare_exchange(0, value, SWAP, Ordering::Relaxed) {
            Ok(old) => old,
            Err(old) => {
                assert_eq!(old, value, "a lock has two values");
                old
            }
        }
    }
    fn load32_acquire(&self, at: Gpa) -> u32 {
        self.shared(at).load(LOAD)
    }
    fn store32_release(&mut self, at: Gpa, value: u32) {
        self.shared(at).store(value, STORE);
    }
    fn relax(&mut self) {
        self.ram.wait();
    }
    fn idle(&mut self, _: u32) {
        self.ram.wait();
    }
    fn clock(&self) -> u64 {
        0
    }
    // The rest is nothing that a lock or an allocator may use.
    fn load16(&self, _: Gpa) -> u16 {
        unreachable!()
    }
    fn store16(&mut self, _: Gpa, _: u16) {
        unreachable!()
    }
    fn load16_acquire(&self, _: Gpa) -> u16 {
        unreachable!()
    }
    fn store16_publish(&mut self, _: Gpa, _: u16) {
        unreachable!()
    }
    fn fill(&mut self, _: Gpa, _: u64, _: u64) {
        unreachable!()
    }
    fn ring(&mut self, _: u32, _: Gpa, _: u64) {
        unreachable!()
    }
    fn answer(&self) -> u64 {
        unreachable!()
    }
    fn control(&mut self, _: Control) {
        unreachable!()
    }
    fn halt(&mut self) {
        unreachable!()
    }
    fn out(&mut self, _: u16, _: u32) {
        unreachable!()
    }
    fn out8(&mut self, _: u16, _: u8) {
        unreachable!()
    }
    fn count(&mut self, _: u64) {
        unreachable!()
    }
    fn triple_fault(&mut self) -> ! {
        unreachable!()
    }
}

/// Runs `what` in every order.
fn explore(what: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.max_branches = 10_000;
    builder.check(what);
}

/// Runs a program on each processor but the first, and gives that back when they are done.
fn run(first: Processor, programs: impl IntoIterator<Item = fn(Processor)>) -> Processor {
    let others: Vec<_> = (1..)
        .zip(programs)
        .map(|(vcpu, program)| {
            let processor = Processor { ram: Arc::clone(&first.ram), vcpu };
            thread::spawn(move || program(processor))
        })
        .collect();
    for other in others {
        other.join().unwrap();
    }
    first
}

#[test]
fn a_lock_is_held_by_one_and_shows_it_what_the_last_one_did() {
    const LOCK: Lock = Lock::at(shared::OWN);
    const GUARDED: Gpa = shared::OWN.offset(64);

    fn twice(mut metal: Processor) {
        let books = Books::of(Map::new(0), metal.vcpu());
        for _ in 0..2 {
            LOCK.acquire(&mut metal, &books);
            count(&mut metal, GUARDED, 1);
            LOCK.release(&mut metal);
        }
    }

    explore(|| {
        let mut first = Processor { ram: Arc::default(), vcpu: 0 };
        LOCK.release(&mut first);
        let metal = run(first, [twice as fn(Processor), twice, twice]);
        assert_eq!(metal.load(GUARDED), 6);
    });
}

/// One largest block of DMA, two of DMA32.
const BLOCKS: u64 = 3;
const DMA32: u64 = 1;

fn allocator() -> Allocator<true> {
    let pages = BLOCKS * Order::MAX.pages();
    let map = Map::new(Map::new(pages).reserved() + pages);
    Allocator::new(map, Config { marks: true, boundaries: true, keep_mark: false })
}

fn books(metal: &Processor) -> Books {
    Books::of(allocator().map(), metal.vcpu())
}

/// Allocates half a largest block, writes to it, frees it.
fn work(mut metal: Processor) {
    let books = books(&metal);
    let taken = allocator().alloc(&mut metal, &books, Order::HUGE, MigrateType::Movable);
    let block = taken.expect("there is enough for everybody").block;
    // Plain memory: if somebody else has the page too, loom says so.
    let page = allocator().frames(block).gpa();
    count(&mut metal, page, 1);
    thread::yield_now();
    count(&mut metal, page, 1);
    allocator().free(&mut metal, &books, block);
}

/// Reports a block: the other half of one that was split, else a whole one.
fn report(mut metal: Processor) {
    let books = books(&metal);
    let zone = allocator().zone(DMA32);
    let mut locked = zone.lock(&mut metal, &books);
    let found = [Order::HUGE, Order::MAX].into_iter().find_map(|order| {
        let page = locked.page(locked.next(locked.head(order, MigrateType::Movable)))?;
        locked.isolate(page, order).then_some(Block { page, order })
    });
    drop(locked);
    let Some(block) = found else { return };
    count(&mut metal, allocator().frames(block).gpa(), 1);
    let mut locked = zone.lock(&mut metal, &books);
    if locked.put_back(block, MigrateType::Movable, At::Boundary) {
        locked.mark_reported(block.page);
    }
}

#[test]
fn no_page_is_handed_out_twice_and_none_is_lost() {
    explore(|| {
        let mut first = Processor { ram: Arc::default(), vcpu: 0 };
        allocator().initialise(&mut first);
        let mut metal = run(first, [work as fn(Processor), work, report]);

        let map = allocator().map();
        let audit = allocator().audit(&mut metal);
        assert_eq!((audit.wrong, audit.free), (0, map.managed()), "{audit:?}");
        let books = books(&metal);
        let zone = allocator().zone(DMA32).lock(&mut metal, &books);
        assert_eq!(zone.nr_free(Order::MAX), 2, "all have merged");
        drop(zone);
        for vcpu in 0..4 {
            for what in Violation::ALL {
                assert_eq!(metal.load(violation(map.vcpu(vcpu), what)), 0, "{}", what.name());
            }
        }
    });
}

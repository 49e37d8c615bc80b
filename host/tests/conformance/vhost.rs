//! What the module vhost-pagehint (`host/kernel/vhost_pagehint.c`) serves, and what it refuses: drivers that write what they must
//! not, devices that are reset meanwhile, and an owner who wants the module back. They run where it is loaded:
//! `make modules-test`.

#![expect(unsafe_code, reason = "madvise, which splits a mapping, and sched_setscheduler")]

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use abi::addr::{ByteRange, Gpa, PAGE_SIZE};
use abi::axes::RingFeatures;
use abi::digest::mix;
use abi::layout::VIRTIO_MMIO;
use abi::step::Step;
use abi::wire::split_ring::{DESC_INDIRECT, DESC_NEXT, DESC_WRITE};
use abi::wire::virtio::{mmio, status};
use host::axes::{Axis, Backing, Carrier, Coalesce, Completion, Discard, Doorbell, Servicer, Way};
use host::balloon::RingError;
use host::probe::Facts;
use host::serve::WorkerError;
use host::testing::rig::Rig;
use host::testing::specs::timed_over;
use host::timed::ModuleCounts;
use host::trial::TrialError;
use libtest_mimic::{Failed, Trial};
use rustix::io::Errno;

use crate::common::{Checked, Transport, ignored};
use crate::encoder::{Descriptor, KICK, SplitDriver, Tables, chain, equal};
use crate::guest::{Guest, NONE};
use crate::memory::{self, ARENA_PAGES, Pages, RAM_END, bytes, page, pages};

/// A way that the module serves.
const VHOST: Way =
    Way { servicer: Servicer::Vhost, ..Way::plain(Carrier::Ring, Doorbell::IoeventfdMmio, Completion::Poll) };
/// How long the worker may take for what is there.
const PATIENCE: Duration = Duration::from_secs(10);

/// A chain, from descriptor 0 on, in a table of a given size; what is gone after it, and how much of it was refused. It must be
/// used in any case.
struct Case {
    name: &'static str,
    table: fn(u16) -> Vec<Descriptor>,
    gone: &'static [Pages],
    refused: u64,
}

const fn case(
    name: &'static str,
    table: fn(u16) -> Vec<Descriptor>,
    gone: &'static [Pages],
    refused: u64,
) -> Case {
    Case { name, table, gone, refused }
}

const fn descriptor(range: ByteRange, flags: u16, next: u16) -> Descriptor {
    Descriptor { range, flags, next }
}

/// A good range, such a one, and a good one.
fn around(range: ByteRange) -> Vec<Descriptor> {
    chain(&[pages(3, 1), range, pages(20, 2)])
}

/// As many as there are, a page each.
fn full(size: u16) -> Vec<Descriptor> {
    chain(&(0..u64::from(size)).map(|number| pages(number, 1)).collect::<Vec<_>>())
}

const MORE: u16 = DESC_WRITE | DESC_NEXT;
const BOTH: &[Pages] = &[3..4, 20..22];

/// A buffer that is not the guest's makes its chain one that vhost's core does not take: nothing of it is zapped.
const CASES: &[Case] = &[
    case("chain", |_| around(pages(5, 1)), &[3..4, 5..6, 20..22], 0),
    case("chain-that-repeats-itself", |_| around(pages(3, 2)), &[3..5, 20..22], 0),
    case("chain-as-long-as-the-ring", full, &[0..32], 0),
    case("range-of-nothing", |_| around(bytes(page(5), 0)), BOTH, 0),
    case("range-that-begins-in-a-page", |_| around(bytes(page(5).offset(8), PAGE_SIZE)), BOTH, 1),
    case("range-that-ends-in-a-page", |_| around(bytes(page(5), PAGE_SIZE + 8)), BOTH, 1),
    case("range-of-a-part", |_| around(bytes(page(5), PAGE_SIZE - 1)), BOTH, 1),
    case("range-outside", |_| around(bytes(RAM_END, PAGE_SIZE)), &[], 1),
    case("range-that-ends-outside", |_| around(pages(ARENA_PAGES - 1, 2)), &[], 1),
    case("range-of-all-ones", |_| around(bytes(page(5), 0xffff_ffff)), &[], 1),
    case("range-whose-bytes-wrap", |_| around(bytes(Gpa(u64::MAX - 4095), 2 * PAGE_SIZE)), &[], 1),
    case("range-at-the-end-of-all-addresses", |_| around(bytes(Gpa(u64::MAX << 12), PAGE_SIZE)), &[], 1),
    case("read-only", |_| vec![descriptor(pages(5, 1), 0, 0)], &[], 1),
    case(
        "read-only-before-what-is-writable",
        |_| vec![descriptor(pages(5, 1), DESC_NEXT, 1), descriptor(pages(6, 1), DESC_WRITE, 0)],
        &[6..7],
        1,
    ),
    case(
        "read-only-after-what-is-writable",
        |_| vec![descriptor(pages(6, 1), MORE, 1), descriptor(pages(5, 1), 0, 0)],
        &[],
        1,
    ),
    case("loop", |_| vec![descriptor(pages(3, 1), MORE, 1), descriptor(pages(5, 1), MORE, 0)], &[], 1),
    case(
        "chain-longer-than-the-ring",
        |size| {
            let mut table = full(size);
            table[usize::from(size) - 1].flags = MORE;
            table[usize::from(size) - 1].next = 0;
            table
        },
        &[],
        1,
    ),
    case("next-beyond-the-table", |size| vec![descriptor(pages(3, 1), MORE, size)], &[], 1),
    case("next-far-beyond-the-table", |_| vec![descriptor(pages(3, 1), MORE, u16::MAX)], &[], 1),
    case("table-that-is-none", |_| vec![descriptor(bytes(page(5), 17), DESC_INDIRECT, 0)], &[], 1),
];

/// What a driver writes into its ring.
type Break = fn(&mut SplitDriver, &Guest) -> Checked;

/// What no device goes on after: the ring makes no sense.
const BREAKS: &[(&str, Break)] = &[
    ("head-beyond-the-table", |driver, guest| driver.offer(guest.ram(), driver.size())),
    ("head-far-beyond-the-table", |driver, guest| driver.offer(guest.ram(), u16::MAX)),
    ("available-index-that-jumps", |driver, guest| driver.move_on(guest.ram(), driver.size() + 1)),
];

/// All of them; where it is not loaded they are listed with the reason.
pub(crate) fn tests(facts: &'static Facts) -> Vec<Trial> {
    let mut tests: Vec<Trial> =
        CASES.iter().map(|case| test(case.name, move || tried(case, facts))).collect();
    for (name, by) in BREAKS {
        tests.push(test(name, move || broken(*by, facts)));
    }
    tests.push(test("table-where-none-was-offered", move || table(false, facts)));
    tests.push(test("table-where-they-are-offered", move || table(true, facts)));
    tests.push(test("interrupt", move || interrupted(facts)));
    for backing in [Backing::Locked, Backing::Hugetlb, Backing::Userfault] {
        tests.push(test(&format!("memory-that-is-{}", backing.name()), move || refused_of(backing, facts)));
    }
    tests.push(test("range-in-two-mappings", move || in_two(facts)));
    tests.push(test("a-thousand-chains-of-a-hostile-guest", move || hostile(facts)));
    tests.push(test("reset-while-it-is-busy-again-and-again", move || reset(facts)));
    tests.push(test("the-module-is-asked-back-meanwhile", move || asked_back(facts)));
    if facts.has_vhost() {
        return tests;
    }
    tests
        .into_iter()
        .map(|test| ignored(test.name().into(), "the module vhost_pagehint is not loaded"))
        .collect()
}

fn test(name: &str, run: impl FnOnce() -> Checked + Send + 'static) -> Trial {
    Trial::test(format!("modules::vhost-{name}"), run)
}

fn boot(facts: &Facts) -> Result<(Guest, SplitDriver), Failed> {
    let transport = Transport { name: "vhost".into(), way: VHOST };
    Ok((Guest::boot(&transport, facts, Coalesce::Each)?, SplitDriver::new(RingFeatures::NONE)))
}

fn counts(rig: &Rig) -> Result<ModuleCounts, Failed> {
    Ok(rig.in_kernel().ok_or("the module says nothing")?)
}

/// Kicks, and waits until all that is available is used.
fn kick(rig: &mut Rig, driver: &SplitDriver) -> Checked {
    rig.step(KICK)?;
    await_used(rig, driver)
}

fn await_used(rig: &mut Rig, driver: &SplitDriver) -> Checked {
    let patience = Instant::now() + PATIENCE;
    while driver.used_index(rig.ram())? != driver.available() {
        if Instant::now() > patience {
            return Err("it is not served".into());
        }
        rig.step(Step::Count { iterations: 1 })?;
        thread::yield_now();
    }
    Ok(())
}

fn tried(case: &Case, facts: &Facts) -> Checked {
    let (mut guest, mut driver) = boot(facts)?;
    let (before, exits) = (counts(&guest.rig)?, guest.rig.exits().transport());
    driver.table(guest.ram(), &(case.table)(driver.size()))?;
    driver.offer(guest.ram(), 0)?;
    kick(&mut guest.rig, &driver)?;
    driver.used(guest.ram(), &[0])?;
    guest.expect(case.gone, &NONE)?;
    let since = counts(&guest.rig)?.since(before);
    equal("chains and refusals, by the module's count", (since.calls, since.refused), (1, case.refused))?;
    equal("exits to user space", guest.rig.exits().transport(), exits)?;
    still_served(&mut guest, &mut driver)
}

/// It is served as if nothing had been.
fn still_served(guest: &mut Guest, driver: &mut SplitDriver) -> Checked {
    driver.table(guest.ram(), &chain(&[pages(memory::LAST, 1)]))?;
    driver.offer(guest.ram(), 0)?;
    kick(&mut guest.rig, driver)?;
    driver.used(guest.ram(), &[0])?;
    guest.expect(&[memory::LAST..memory::LAST + 1], &NONE)
}

/// The trial ends with why, the driver reads that a reset is needed, and after that all is well.
fn broken(by: Break, facts: &Facts) -> Checked {
    let (mut guest, mut driver) = boot(facts)?;
    driver.table(guest.ram(), &chain(&[pages(3, 1)]))?;
    by(&mut driver, &guest)?;
    let patience = Instant::now() + PATIENCE;
    let mut ended = guest.rig.step(KICK).map(drop);
    while ended.is_ok() && Instant::now() < patience {
        thread::yield_now();
        ended = guest.rig.step(Step::Count { iterations: 1 }).map(drop);
    }
    match ended {
        Err(TrialError::Worker(WorkerError::Ring(RingError::Vhost(_)))) => {}
        ended => return Err(format!("it ended with {ended:?}").into()),
    }
    let asked = guest.rig.step(Step::Load { gpa: VIRTIO_MMIO.0 + mmio::STATUS });
    equal("the answer is an error for as long as it is broken", asked.is_err(), true)?;
    let said = guest.ram().read(abi::notes::ANSWER)?;
    equal("needs a reset", said & u64::from(status::DEVICE_NEEDS_RESET) != 0, true)?;
    guest.expect(&[], &NONE)?;
    guest.bring_up(&mut driver)?;
    still_served(&mut guest, &mut driver)
}

/// A chain whose one descriptor points to a table.
fn table(offered: bool, facts: &Facts) -> Checked {
    let ring_features = RingFeatures { indirect: offered, ..RingFeatures::NONE };
    let mut rig = Rig::against_the_rules(&timed_over(Way { ring_features, ..VHOST }), facts)?;
    let mut memory = memory::Memory::stamp(&rig)?;
    let mut driver = SplitDriver::new(ring_features);
    let before = counts(&rig)?;
    driver.offer_marked(rig.ram(), &[(pages(3, 1), DESC_WRITE), (pages(5, 2), DESC_WRITE)], None)?;
    kick(&mut rig, &driver)?;
    driver.used(rig.ram(), &[0])?;
    memory.lost_only(&rig, if offered { &[3..4, 5..7] } else { &[] })?;
    equal("refused", counts(&rig)?.since(before).refused, u64::from(!offered))
}

/// A guest that halts is woken by the worker.
fn interrupted(facts: &Facts) -> Checked {
    let way = Way { completion: Completion::Interrupt, ..VHOST };
    let mut rig = Rig::new(&timed_over(way), facts)?;
    let mut memory = memory::Memory::stamp(&rig)?;
    let mut driver = SplitDriver::new(RingFeatures::NONE);
    let before = rig.ram().read(abi::notes::INTERRUPTS)?;
    driver.table(rig.ram(), &chain(&[pages(3, 1)]))?;
    driver.offer(rig.ram(), 0)?;
    rig.step(KICK)?;
    rig.step(Step::Halt)?;
    equal("interrupts", rig.ram().read(abi::notes::INTERRUPTS)?, before + 1)?;
    driver.used(rig.ram(), &[0])?;
    memory.lost_only(&rig, &[3..4])
}

/// Memory that madvise would refuse, or whose keeper would have to be told.
fn refused_of(backing: Backing, facts: &Facts) -> Checked {
    if backing == Backing::Hugetlb {
        std::fs::write("/proc/sys/vm/nr_hugepages", "16")?;
    }
    let way = Way { backing, discard: Discard::None, ..VHOST };
    let mut rig = Rig::against_the_rules(&timed_over(way), facts)?;
    let mut driver = SplitDriver::new(RingFeatures::NONE);
    for number in 0..512 {
        rig.ram().write(page(number), 7)?;
    }
    // Of huge pages every whole one too, which madvise would take.
    for range in [pages(0, 2), pages(0, 512)] {
        let before = counts(&rig)?;
        driver.table(rig.ram(), &chain(&[range]))?;
        driver.offer(rig.ram(), 0)?;
        kick(&mut rig, &driver)?;
        let since = counts(&rig)?.since(before);
        equal("ranges zapped and refused", (since.ranges, since.refused), (0, 1))?;
    }
    for number in 0..512 {
        equal("what is there", rig.ram().read(page(number))?, 7)?;
    }
    Ok(())
}

/// A range of which the owner has advised the second half otherwise, so that it is another mapping.
fn in_two(facts: &Facts) -> Checked {
    let (mut guest, mut driver) = boot(facts)?;
    let second = pages(8, 2).inward().ok().and_then(|range| guest.ram().host_range(range));
    let second = second.ok_or("it is not memory")?;
    // SAFETY: what the mapping holds stays as it is; only a core dump would lack it.
    let advised = unsafe {
        libc::madvise(
            std::ptr::with_exposed_provenance_mut(second.address),
            second.bytes,
            libc::MADV_DONTDUMP,
        )
    };
    equal("madvise", advised, 0)?;
    let before = counts(&guest.rig)?;
    driver.table(guest.ram(), &chain(&[pages(6, 4), pages(6, 2), pages(8, 2)]))?;
    driver.offer(guest.ram(), 0)?;
    kick(&mut guest.rig, &driver)?;
    let since = counts(&guest.rig)?.since(before);
    equal("ranges zapped and refused", (since.ranges, since.refused), (2, 1))?;
    guest.expect(&[6..10], &NONE)
}

/// Chains of what may be named and what may not, by a seed: exactly what may is gone.
fn hostile(facts: &Facts) -> Checked {
    let mut rig = Rig::new(&timed_over(VHOST), facts)?;
    let mut driver = SplitDriver::new(RingFeatures::NONE);
    let mut memory = memory::Memory::stamp(&rig)?;
    let mut state = 0;
    let mut random = |below: u64| {
        state += 1;
        mix(state) % below
    };
    for round in 0..1000 {
        let (mut gone, mut refused, mut outside) = (BTreeSet::new(), 0, false);
        let mut ranges = Vec::new();
        for _ in 0..1 + random(u64::from(driver.size())) {
            let first = random(ARENA_PAGES - 4);
            let range = match random(40) {
                0 => bytes(Gpa(mix(first) | 1 << 40), PAGE_SIZE),
                1 => pages(ARENA_PAGES - 1, 2),
                2..8 => bytes(page(first).offset(random(PAGE_SIZE)), random(3 * PAGE_SIZE) | 1),
                _ => pages(first, 1 + random(4)),
            };
            outside |= range.gpa.0 + range.len > RAM_END.0;
            if range.gpa.0 % PAGE_SIZE == 0 && range.len % PAGE_SIZE == 0 {
                gone.extend(first..first + range.len / PAGE_SIZE);
            } else {
                refused += 1;
            }
            ranges.push(range);
        }
        if outside {
            (gone, refused) = (BTreeSet::new(), 1);
        }
        let before = counts(&rig)?;
        driver.table(rig.ram(), &chain(&ranges))?;
        driver.offer(rig.ram(), 0)?;
        kick(&mut rig, &driver)?;
        equal(&format!("refused in round {round}"), counts(&rig)?.since(before).refused, refused)?;
        // To look at all of memory takes longest.
        if round % 50 == 0 {
            let gone: Vec<Pages> = gone.iter().map(|number| *number..number + 1).collect();
            memory.lost_only(&rig, &gone)?;
            memory = memory::Memory::stamp(&rig)?;
        } else if round % 50 == 49 {
            memory = memory::Memory::stamp(&rig)?;
        }
    }
    Ok(())
}

/// The driver resets the device while the worker has chains of its: nothing is zapped once the reset is done.
fn reset(facts: &Facts) -> Checked {
    let (mut guest, mut driver) = boot(facts)?;
    // Where there is one processor, only what goes before the worker resets in its midst.
    scheduled(libc::SCHED_FIFO, 1)?;
    let mut midway = 0;
    for round in 0..100_u64 {
        for number in 0..512 {
            guest.ram().write(page(number), 7)?;
        }
        // As many chains of one range as there are entries.
        let ranges: Vec<_> = (0..u64::from(driver.size())).map(|entry| pages(16 * entry, 16)).collect();
        let alone: Vec<_> = ranges.iter().map(|range| descriptor(*range, DESC_WRITE, 0)).collect();
        driver.table(guest.ram(), &alone)?;
        for head in 0..driver.size() {
            driver.offer(guest.ram(), head)?;
        }
        guest.rig.step(KICK)?;
        thread::sleep(Duration::from_micros(50 * (round % 20)));
        guest.rig.step(Step::Store { gpa: VIRTIO_MMIO.0 + mmio::STATUS, value: 0 })?;
        let used = driver.used_index(guest.ram())?;
        midway += u64::from(used < driver.size());
        let before = counts(&guest.rig)?;
        for number in 0..512 {
            guest.ram().write(page(number), 9)?;
        }
        // It is kicked and must not hear.
        guest.rig.step(KICK)?;
        thread::sleep(Duration::from_millis(1));
        equal("chains used after the reset", driver.used_index(guest.ram())?, used)?;
        equal(
            "what the module did after the reset",
            counts(&guest.rig)?.since(before),
            ModuleCounts::default(),
        )?;
        for number in 0..512 {
            equal("what is there after the reset", guest.ram().read(page(number))?, 9)?;
        }
        guest.bring_up(&mut driver)?;
    }
    scheduled(libc::SCHED_OTHER, 0)?;
    println!("{midway} of 100 resets came before all was served");
    equal("whether any came meanwhile", midway > 0, true)?;
    driver.table(guest.ram(), &chain(&[pages(3, 1)]))?;
    driver.offer(guest.ram(), 0)?;
    kick(&mut guest.rig, &driver)?;
    driver.used(guest.ram(), &[0])
}

/// Has this thread scheduled so.
fn scheduled(policy: i32, priority: i32) -> Checked {
    let parameters = libc::sched_param { sched_priority: priority };
    // SAFETY: the kernel reads the parameters; 0 is this thread.
    equal("sched_setscheduler", unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) }, 0)
}

/// The owner unloads the module while a guest reports: that is refused for as long as a machine has it open. Once it is gone
/// no machine can have it.
fn asked_back(facts: &Facts) -> Checked {
    // As rmmod asks.
    let unload = || rustix::system::delete_module(c"vhost_pagehint", libc::O_NONBLOCK);
    let (mut guest, mut driver) = boot(facts)?;
    driver.table(guest.ram(), &chain(&[pages(3, 1)]))?;
    for _ in 0..100 {
        driver.offer(guest.ram(), 0)?;
        guest.rig.step(KICK)?;
        equal("unloading", unload(), Err(Errno::AGAIN))?;
        await_used(&mut guest.rig, &driver)?;
    }
    drop(guest);
    equal("unloading what nobody has open", unload(), Ok(()))?;
    match Rig::new(&timed_over(VHOST), facts) {
        Err(TrialError::Vhost(_)) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err("it was served by what is not there".into()),
    }
}

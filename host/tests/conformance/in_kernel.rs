//! What the module kvmhint (`host/kernel/kvmhint.c`) serves inside KVM, and what it refuses: guests that name what they must
//! not, and an owner who takes the module away meanwhile. They run where it is loaded: `make modules-test`.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use abi::addr::{Gpa, Pfn};
use abi::calls::{Answer, Operation};
use abi::digest::mix;
use abi::layout::{ARENA_START, BATCH};
use abi::step::Step;
use abi::wire::page;
use host::axes::{Axis, Backing, Carrier, Completion, Discard, Doorbell, Servicer, Way};
use host::kvm::Counter;
use host::probe::Facts;
use host::testing::rig::Rig;
use host::testing::specs::timed_over;
use host::timed::{ModuleCounts, TimedSpec};
use libtest_mimic::{Failed, Trial};

use crate::common::{Checked, ignored};
use crate::memory::{self, ARENA_PAGES, Memory, Pages, RAM_END};

/// A way that the module serves.
const MODULE: Way = Way::plain(Carrier::Batch, Doorbell::HypercallModule, Completion::Return);
/// What KVM answers to a number that it does not know: `-KVM_ENOSYS`.
const UNKNOWN_NUMBER: u64 = 1000_u64.wrapping_neg();

/// A call, with these entries in the batch page, and what must come of it.
struct Case {
    name: &'static str,
    entries: &'static [u64],
    call: Step,
    answer: Answer,
    gone: &'static [Pages],
}

const fn entry(frame: u64, pages: u64) -> u64 {
    frame << 12 | pages
}

/// An entry of so many pages of the arena.
const fn own(first: u64, pages: u64) -> u64 {
    entry(ARENA_START.0 + first, pages)
}

const fn batch(count: u16) -> Step {
    Step::Call { word: Operation::Batch { count }.word(), gpa: BATCH.0, pages: 1 }
}

const fn range(gpa: Gpa, pages: u64) -> Step {
    Step::Call { word: Operation::Range.word(), gpa: gpa.0, pages }
}

const ALL_SERVED: Answer = Answer::Done { refused: 0 };
const ONE_REFUSED: Answer = Answer::Done { refused: 1 };
const END: u64 = RAM_END.0 >> 12;

const fn case(name: &'static str, call: Step, answer: Answer) -> Case {
    Case { name, entries: &[], call, answer, gone: &[] }
}

const CASES: &[Case] = &[
    case("nothing", Step::Call { word: 0, gpa: 0, pages: 1 }, ALL_SERVED),
    case("call-that-is-none", Step::Call { word: 99, gpa: 0, pages: 1 }, Answer::NoSuchCall),
    case("call-of-all-ones", Step::Call { word: u32::MAX, gpa: 0, pages: 1 }, Answer::NoSuchCall),
    case("count-where-none-belongs", Step::Call { word: 1 | 1 << 16, gpa: 0, pages: 1 }, Answer::NoSuchCall),
    Case { gone: &[5..7], ..case("range", range(memory::page(5), 2), ALL_SERVED) },
    case("range-of-nothing", range(memory::page(5), 0), ONE_REFUSED),
    case("range-that-is-not-aligned", range(memory::page(5).offset(8), 1), Answer::BadPage),
    case("range-outside", range(RAM_END, 1), ONE_REFUSED),
    case("range-that-ends-outside", range(memory::page(ARENA_PAGES - 1), 2), ONE_REFUSED),
    case("range-whose-bytes-wrap", range(memory::page(5), 1 << 52), ONE_REFUSED),
    case("range-of-all-ones", range(memory::page(5), u64::MAX), ONE_REFUSED),
    case("range-at-the-end-of-all-addresses", range(Gpa(u64::MAX << 12), 1), ONE_REFUSED),
    case("batch-of-none", batch(0), ALL_SERVED),
    case("batch-over-the-page", batch(512), Answer::TooMany),
    case("batch-of-all-ones", batch(u16::MAX), Answer::TooMany),
    case(
        "batch-page-outside",
        Step::Call { word: Operation::Batch { count: 1 }.word(), gpa: RAM_END.0, pages: 1 },
        Answer::BadPage,
    ),
    case(
        "batch-page-that-is-not-aligned",
        Step::Call { word: Operation::Batch { count: 1 }.word(), gpa: BATCH.0 + 8, pages: 1 },
        Answer::BadPage,
    ),
    Case { entries: &[own(1, 1), own(9, 3)], gone: &[1..2, 9..12], ..case("batch", batch(2), ALL_SERVED) },
    Case {
        entries: &[own(1, 1), entry(END, 1), own(9, 3), entry(END - 1, 2), own(3, 0)],
        gone: &[1..2, 9..12],
        ..case("batch-of-good-and-bad", batch(5), Answer::Done { refused: 3 })
    },
    Case {
        entries: &[entry(u64::MAX >> 12, 2), entry(u64::MAX >> 12, 4095), entry(END, 4095)],
        ..case("batch-that-wraps", batch(3), Answer::Done { refused: 3 })
    },
    Case {
        entries: &[own(4, 2), own(4, 2), own(5, 2)],
        gone: &[4..7],
        ..case("batch-that-repeats-itself", batch(3), ALL_SERVED)
    },
];

/// All of them; where it is not loaded they are listed with the reason.
pub(crate) fn tests(facts: &'static Facts) -> Vec<Trial> {
    let mut tests: Vec<Trial> =
        CASES.iter().map(|case| test(case.name, move || tried(case, facts))).collect();
    tests.push(test("batch-of-511", move || batch_of_511(facts)));
    tests.push(test("a-thousand-calls-of-a-hostile-guest", move || hostile(facts)));
    for backing in [Backing::Locked, Backing::Hugetlb, Backing::Userfault] {
        let name = format!("memory-that-is-{}", backing.name());
        tests.push(test(&name, move || refused_of(backing, facts)));
    }
    tests.push(test("what-a-batch-costs", move || costs(facts)));
    tests.push(test("the-module-is-taken-away-meanwhile", move || taken_away(facts)));
    if !facts.answers(Doorbell::HypercallModule) {
        let why = "the module kvmhint is not loaded";
        tests = tests.into_iter().map(|test| ignored(test.name().into(), why)).collect();
    }
    // Of all modules: they are tried before.
    let name = "modules::the-kernel-complained-of-nothing";
    tests.push(if facts.answers(Doorbell::HypercallModule) || facts.has_vhost() {
        Trial::test(name, kernel_is_content)
    } else {
        ignored(name.into(), "no module of ours is loaded")
    });
    tests
}

fn test(name: &str, run: impl FnOnce() -> Checked + Send + 'static) -> Trial {
    Trial::test(format!("modules::kvmhint-{name}"), run)
}

/// Writes entries into the batch page and makes the call.
fn make(rig: &mut Rig, entries: &[u64], call: Step) -> Result<u64, Failed> {
    rig.ram().write_words(BATCH.offset(page::ENTRIES), entries)?;
    Ok(rig.step(call)?)
}

fn since(rig: &Rig, before: ModuleCounts) -> Result<ModuleCounts, Failed> {
    Ok(rig.in_kernel().ok_or("the module says nothing")?.since(before))
}

fn tried(case: &Case, facts: &Facts) -> Checked {
    let mut rig = Rig::new(&timed_over(MODULE), facts)?;
    let mut memory = Memory::stamp(&rig)?;
    let before = since(&rig, ModuleCounts::default())?;
    let exits = rig.exits().transport();
    let answer = make(&mut rig, case.entries, case.call)?;
    assert_eq!(answer, case.answer.value(), "answer");
    memory.lost_only(&rig, case.gone)?;
    let counts = since(&rig, before)?;
    let refused = match case.answer {
        Answer::Done { refused } => refused.into(),
        _ => 1,
    };
    assert_eq!((counts.calls, counts.refused), (1, refused), "by the module's count");
    assert_eq!(rig.exits().transport(), exits, "exits to user space");
    // It is served as if nothing had been.
    assert_eq!(make(&mut rig, &[own(memory::LAST, 1)], batch(1))?, 0, "the call after it");
    memory.lost_only(&rig, &[memory::LAST..memory::LAST + 1])
}

fn batch_of_511(facts: &Facts) -> Checked {
    let mut rig = Rig::new(&timed_over(MODULE), facts)?;
    let mut memory = Memory::stamp(&rig)?;
    let entries: Vec<u64> = (0..511).map(|number| own(number, 1)).collect();
    assert_eq!(make(&mut rig, &entries, batch(511))?, 0);
    memory.lost_only(&rig, &[0..511])
}

/// Batches of what may be named and what may not, by a seed: exactly what may is gone.
fn hostile(facts: &Facts) -> Checked {
    let mut rig = Rig::new(&timed_over(MODULE), facts)?;
    let mut memory = Memory::stamp(&rig)?;
    let mut state = 0;
    let mut random = |below: u64| {
        state += 1;
        mix(state) % below
    };
    for round in 0..1000 {
        let count = u16::try_from(random(40))?;
        let (mut gone, mut refused) = (BTreeSet::new(), 0);
        let mut entries = Vec::new();
        for _ in 0..count {
            let frame = match random(4) {
                0 => random(1 << 52),
                1 => END - random(3),
                _ => ARENA_START.0 + random(ARENA_PAGES),
            };
            let pages = if random(8) == 0 { random(4096) } else { random(4) };
            entries.push(entry(frame, pages));
            // What lies below the arena the guest needs, and no random frame is there.
            if pages > 0 && frame >= ARENA_START.0 && frame + pages <= END {
                gone.extend(frame..frame + pages);
            } else {
                refused += 1;
            }
        }
        let answer = make(&mut rig, &entries, batch(count))?;
        assert_eq!(answer, refused, "ranges refused in round {round}");
        // To look at all of memory takes longest.
        if round % 50 == 0 {
            let pages: Vec<Pages> =
                gone.iter().map(|frame| frame - ARENA_START.0).map(|at| at..at + 1).collect();
            memory.lost_only(&rig, &pages)?;
        } else {
            memory = Memory::stamp(&rig)?;
        }
    }
    Ok(())
}

/// Memory that madvise would refuse, or whose keeper would have to be told.
fn refused_of(backing: Backing, facts: &Facts) -> Checked {
    if backing == Backing::Hugetlb {
        std::fs::write("/proc/sys/vm/nr_hugepages", "16")?;
    }
    let way = Way { backing, discard: Discard::None, ..MODULE };
    let mut rig = Rig::against_the_rules(&timed_over(way), facts)?;
    for number in 0..4 {
        rig.ram().write(memory::page(number), 7)?;
    }
    let answer = make(&mut rig, &[own(0, 2)], batch(1))?;
    assert_eq!(answer, 1, "ranges refused");
    // Of huge pages every whole one too, which madvise would take.
    let answer = make(&mut rig, &[own(0, 512)], batch(1))?;
    assert_eq!(answer, 1, "ranges refused");
    assert_eq!(rig.ram().read(memory::page(0))?, 7, "what is there");
    Ok(())
}

/// How often each is timed: the middle one is told.
const ROUNDS: usize = 7;

fn median(mut ticks: Vec<u64>) -> u64 {
    ticks.sort_unstable();
    ticks[ticks.len() / 2]
}

/// A batch that is resident and one that is not, served by the module and in user space: as ticks of the guest's counter, less
/// what it takes to do nothing in between. It fails for no figure: `results/reference/lab-in-kernel-resident.txt` has its output.
fn costs(facts: &Facts) -> Checked {
    if facts.counter != Counter::Instructions {
        println!("only where instructions are counted");
        return Ok(());
    }
    let user = Way { doorbell: Doorbell::Hypercall, servicer: Servicer::Vcpu, ..MODULE };
    for (name, way) in [("user space", user), ("kvmhint", MODULE)] {
        if !facts.answers(way.doorbell) {
            continue;
        }
        let mut rig = Rig::new(&TimedSpec { batch: 511, ..timed_over(way) }, facts)?;
        for count in [1_u16, 32, 511] {
            let entries: Vec<u64> = (0..u64::from(count)).map(|number| own(2 * number, 1)).collect();
            let mut took = [Vec::new(), Vec::new()];
            for _ in 0..ROUNDS {
                for number in 0..u64::from(count) {
                    rig.ram().write(memory::page(2 * number), 7)?;
                }
                for took in &mut took {
                    took.push(timed(&mut rig, &entries, count)?);
                }
            }
            let took = took.map(median);
            for (what, ticks) in [("resident", took[0]), ("not resident", took[1])] {
                let each = ticks / u64::from(count);
                println!("{name}: {count} ranges of 4 KiB, {what}: {ticks} ticks, {each} a range");
            }
        }
    }
    Ok(())
}

fn timed(rig: &mut Rig, entries: &[u64], count: u16) -> Result<u64, Failed> {
    let mut between = |step: Step| -> Result<u64, Failed> {
        let before = rig.step(Step::Clock)?;
        make(rig, entries, step)?;
        Ok(rig.step(Step::Clock)? - before)
    };
    let called = between(batch(count))?;
    // A step that makes no call is an exit too.
    Ok(called.saturating_sub(between(Step::Count { iterations: 1 })?))
}

/// The owner unloads the module while a guest calls. It is refused while it is in a call; once it is gone KVM answers that it
/// knows no such number, and the guest goes on.
fn taken_away(facts: &Facts) -> Checked {
    let mut rig = Rig::new(&timed_over(MODULE), facts)?;
    let entries: Vec<u64> = (0..511).map(|number| own(number, 1)).collect();
    let (gone, refused) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut served = 0_u64;
    thread::scope(|scope| -> Checked {
        scope.spawn(|| {
            // Non-blocking, as rmmod asks.
            let flags = libc::O_NONBLOCK;
            while !gone.load(Ordering::Relaxed) && rustix::system::delete_module(c"kvmhint", flags).is_err() {
                refused.fetch_add(1, Ordering::Relaxed);
                thread::yield_now();
            }
        });
        let ended = loop {
            match make(&mut rig, &entries, batch(511)) {
                Ok(0) => served += 1,
                Ok(UNKNOWN_NUMBER) => break Ok(()),
                Ok(other) => break Err(format!("it was answered {other:#x}").into()),
                Err(error) => break Err(error),
            }
        };
        gone.store(true, Ordering::Relaxed);
        ended
    })?;
    let refused = refused.into_inner();
    println!(
        "{served} calls were served before the module was gone, and {refused} tries to unload it refused"
    );
    // The guest goes on.
    rig.step(Step::Count { iterations: 1 })?;
    Ok(())
}

/// Nothing in the kernel's log that it says of a fault of its own.
fn kernel_is_content() -> Checked {
    let mut log = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg")?;
    let (mut record, mut complaints) = (vec![0; 8192], Vec::new());
    loop {
        match log.read(&mut record) {
            Ok(bytes) => {
                let line = String::from_utf8_lossy(&record[..bytes]).into_owned();
                let bad = ["BUG:", "WARNING:", "Oops", "general protection", "soft lockup", "INFO: task"];
                if bad.iter().any(|word| line.contains(word)) {
                    complaints.push(line);
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
            // What has been overwritten meanwhile.
            Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
            Err(error) => return Err(error.into()),
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join(""));
    Ok(())
}

/// So that a frame is what it says.
const _: () = assert!(Pfn(END).0 == ARENA_START.0 + ARENA_PAGES);

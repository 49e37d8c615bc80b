//! Running one trial: build, run, tear down, account.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use abi::addr::PAGE_SIZE;
use abi::boot::BootInfo;
use abi::engine::books::{Counter as GuestCounter, shared};
use abi::engine::{GuestFault, Load};
use abi::layout::ENGINE;

use super::books::Books;
use super::contents::Contents;
use super::info::{Reported, boot_info, engine_info};
use super::outcome::{EngineOutcome, Point, Settled};
use super::session::{Round, Session, other};
use super::settled::Examiner;
use super::spec::EngineSpec;
use super::watch::{Look, Watch};
use crate::axes::Freed;
use crate::fault::Planted;
use crate::kvm::{Counter, GuestTsc, PAYLOAD, Pinned, Placed, Placement};
use crate::probe::Facts;
use crate::trial::team::{self, Deadline};
use crate::trial::{self, Account, Assembly, Common, Part, Seat, TrialError, Wanted};

/// What a guest may take without a sign of progress for each page of its memory, beside what it was told to take.
const PATIENCE_PER_PAGE: Duration = Duration::from_micros(200);

/// Runs one trial of the engine. `facts` are [`crate::probe::probe()`]'s. When `stop` becomes true the guest is kicked out
/// and [`TrialError::Stopped`] returned within some milliseconds.
///
/// Every virtual processor's thread and the device's are pinned, as in every trial; where there are more of them than
/// cores, or than processors, the outcome says so.
///
/// # Errors
/// [`TrialError`].
pub fn run(spec: &EngineSpec, facts: &Facts, stop: &Arc<AtomicBool>) -> Result<EngineOutcome, TrialError> {
    run_guest(spec, facts, stop, &Guest::of(spec))
}

/// The same with a bug planted in the host, in the guest, or both: for tests of the oracle.
///
/// # Errors
/// [`TrialError`].
pub fn run_planted(
    spec: &EngineSpec,
    facts: &Facts,
    stop: &Arc<AtomicBool>,
    planted: Planted,
    fault: GuestFault,
) -> Result<EngineOutcome, TrialError> {
    run_guest(spec, facts, stop, &Guest { planted, fault, ..Guest::of(spec) })
}

/// The same with a payload of somebody else, which is stopped after `patience` without progress: for guests that
/// break the rules.
///
/// # Errors
/// [`TrialError`].
#[cfg(feature = "test-support")]
pub fn run_image(
    spec: &EngineSpec,
    facts: &Facts,
    stop: &Arc<AtomicBool>,
    image: &[u8],
    patience: Duration,
) -> Result<EngineOutcome, TrialError> {
    run_guest(spec, facts, stop, &Guest { image, patience, ..Guest::of(spec) })
}

/// What is run, and how long it may take over nothing.
struct Guest<'a> {
    image: &'a [u8],
    planted: Planted,
    fault: GuestFault,
    patience: Duration,
}

impl Guest<'_> {
    fn of(spec: &EngineSpec) -> Self {
        Self { image: PAYLOAD, planted: Planted::NONE, fault: GuestFault::None, patience: patience(spec) }
    }
}

fn run_guest(
    spec: &EngineSpec,
    facts: &Facts,
    stop: &Arc<AtomicBool>,
    guest: &Guest<'_>,
) -> Result<EngineOutcome, TrialError> {
    let started = Instant::now();
    trial::unless_stopped(stop)?;
    spec.validate()?;
    spec.validate_processors(facts.max_vcpus)?;
    trial::steady(facts)?;
    let placement = Placement::choose(spec.vcpus, spec.way.servicer);
    let _pinned = Pinned::to(placement.vcpu(0));
    let mut assembly = assemble(spec, facts, guest, &placement)?;
    let services = assembly.services(|_| Arc::default())?;
    let (tsc_khz, offset) = assembly.clock()?;
    let Assembly { machine, ram, boot, balloon, .. } = &mut assembly;
    let (ram, boot) = (&Arc::clone(ram), *boot);
    ram.write_words(ENGINE, &engine_info(spec, guest.fault, tsc_khz).to_words())?;

    let map = spec.map();
    let watch = spec
        .watch
        .map(|interval| Watch::start(ram, map, offset, interval, placement.watchdog()))
        .transpose()?;
    let reported = Reported::of(spec);
    let mut session = Session {
        ram,
        services: &services,
        account: Account::of(machine),
        offset,
        watch,
        looks: Vec::new(),
        examiner: Examiner::new(ram, map, reported.freed == Freed::All)?,
        contents: Contents::new(ram, map, spec, reported),
        looked: None,
        rounds: spec.rounds,
        flushes: spec.load == Load::Flush,
        settled: Vec::new(),
        backing: spec.way.backing,
        huge_share: 0.0,
        splits: None,
        part: Part::default(),
    };

    let seat = |vcpu| Seat::new(balloon, services.of(vcpu), |control, _, _| other(control, ram));
    let others = (1..spec.vcpus).map(seat).collect();
    let mut first = Seat::new(balloon, services.of(0), |control, _, _| session.control(control));
    let deadline = Deadline { patience: guest.patience, stop, placement: &placement };
    let ran = team::run(machine, &mut first, others, &deadline);
    let astray = trial::ended(ran, services.error())?;
    let placed = assembly.placed(astray.into_iter().chain(services.astray()));
    assembly.clock_stands(offset)?;

    let books = Books { ram, map, vcpus: spec.vcpus };
    let known = Known { boot, tsc_khz, counter: facts.counter, elapsed: started.elapsed(), placed };
    outcome(&session, &books, known)
}

/// Builds what is asked for.
fn assemble(
    spec: &EngineSpec,
    facts: &Facts,
    guest: &Guest<'_>,
    placement: &Placement,
) -> Result<Assembly, TrialError> {
    let EngineSpec { way, vcpus, offer_poison, .. } = *spec;
    let Guest { image, planted, .. } = *guest;
    let boot = boot_info(spec, facts);
    let company = None;
    Assembly::new(&Wanted { way, boot, vcpus, company, offer_poison, image, planted, placement }, facts)
}

/// What is known without the guest.
struct Known {
    boot: BootInfo,
    tsc_khz: u32,
    counter: Counter,
    elapsed: Duration,
    placed: Placed,
}

fn outcome(session: &Session<'_>, books: &Books<'_>, known: Known) -> Result<EngineOutcome, TrialError> {
    let (begin, end) = session.part.marks()?;
    let served = session.services.served();
    trial::not_refused_by_kvm(books.counter(GuestCounter::Refused)?, &served.refused)?;
    let began = books.ram.read(shared::BEGAN)?;
    let clock = Clock { began: GuestTsc(began), khz: known.tsc_khz };
    let taken = end.served.taken.since(&begin.served.taken);
    let told = end.served.told.since(begin.served.told);
    Ok(EngineOutcome {
        common: Common {
            bell: known.boot.bell,
            guest_ring: known.boot.guest_ring,
            counter: known.counter,
            tsc_khz: known.tsc_khz,
            placed: known.placed,
            stale_kicks: end.served.stale - begin.served.stale,
            ring: end.served.ring.since(&begin.served.ring),
            witness: session.examiner.witness(),
            splits: session.splits,
            huge_share: session.huge_share,
            exits: end.exits.since(&begin.exits),
            kvm_stats: session.account.between(&begin.statistics, &end.statistics),
            cpu_ns: known.counter.nanoseconds(end.cpu.saturating_sub(begin.cpu)),
            madvise_calls: taken.madvise_calls,
            discarded_pages: taken.discarded_pages,
            madvise_failures: taken.madvise_failures,
            madvise_error: taken.madvise_error,
            put_off: None,
            userfault: session.ram.userfault(),
            announced: told.announced,
            deflated_pages: told.deflated,
            refused: served.refused,
            violations: books.violations()?,
            elapsed_ns: known.counter.nanoseconds(known.elapsed),
        },
        inhibited: books.inhibited()?,
        managed: books.map.managed(),
        counters: books.counters()?,
        tallies: books.tallies()?,
        passes: books.passes()?,
        began,
        ended: books.ram.read(shared::ENDED)?,
        freed: books.ram.read(shared::FREED)?,
        curve: session.looks.iter().map(|look| clock.point(look)).collect(),
        settled: session.settled.iter().map(|round| clock.settled(round)).collect(),
        idles: end.idles - begin.idles,
        spent: end.served.spent.since(&begin.served.spent),
        looked: session.looked.unwrap_or_default(),
        first_wrong: books.first_wrong()?,
    })
}

/// How long the guest may go without a call or a word: what it was told to take, and what its pages take to be
/// allocated, touched and checked. It may not take longer by giving its processors away.
fn patience(spec: &EngineSpec) -> Duration {
    let told = spec.warmup + spec.window + spec.settle + spec.delay;
    trial::patience(spec.memory / PAGE_SIZE, PATIENCE_PER_PAGE) + told
}

/// The guest's clock, from the beginning of its measured part.
#[derive(Clone, Copy, Debug)]
struct Clock {
    began: GuestTsc,
    khz: u32,
}

impl Clock {
    /// Nanoseconds from the beginning; 0 for what was before it.
    fn nanoseconds(self, at: GuestTsc) -> u64 {
        // The beginning is the guest's word: any number.
        let ticks = at.0.saturating_sub(self.began.0);
        u64::try_from(u128::from(ticks) * 1_000_000 / u128::from(self.khz.max(1))).unwrap_or(u64::MAX)
    }

    fn settled(self, round: &Round) -> Settled {
        Settled { at_ns: self.nanoseconds(round.at), ..round.settled }
    }

    fn point(self, look: &Look) -> Point {
        Point { at_ns: self.nanoseconds(look.at), resident: look.resident, free: look.free }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_from_the_beginning() {
        let clock = Clock { began: GuestTsc(1000), khz: 2_000_000 };
        assert_eq!(clock.nanoseconds(GuestTsc(3000)), 1000);
        assert_eq!(clock.nanoseconds(GuestTsc(999)), 0);
        let clock = Clock { began: GuestTsc(0), khz: 0 };
        assert_eq!(clock.nanoseconds(GuestTsc(u64::MAX)), u64::MAX);
    }
}

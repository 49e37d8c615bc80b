//! Running one trial: build, run, tear down, account.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use abi::addr::PAGE_SIZE;
use abi::axes::{Bell, GuestRing};
use abi::engine::GuestFault;
use abi::engine::books::{Counter as GuestCounter, shared};

use super::books::Books;
use super::parts::{Parts, is_returned};
use super::session::{Round, Seat, Session, other};
use super::settled::Examiner;
use super::spec::EngineSpec;
use super::watch::{Look, Watch};
use super::{EngineOutcome, Point, Settled, team};
use crate::affinity::{Pinned, Placement};
use crate::clock::GuestTsc;
use crate::error::TrialError;
use crate::facts::{Counter, Facts};
use crate::fault::Planted;
use crate::image::PAYLOAD;
use crate::processor::Processor;
use crate::run::nanoseconds;

/// What a guest may take without a sign of progress, for each page of its memory, and beside what it was told to take.
const PATIENCE: Duration = Duration::from_secs(10);
const PATIENCE_PER_PAGE: Duration = Duration::from_micros(200);

/// Runs one trial of the engine. `facts` are [`crate::probe()`]'s. When `stop` becomes true the guest is kicked out
/// and [`TrialError::Stopped`] returned within some milliseconds.
///
/// A guest of one virtual processor is pinned as in every trial, and its device thread beside it; where there are
/// more, all threads are the scheduler's business.
///
/// # Errors
/// [`TrialError`].
pub fn run_engine(
    spec: &EngineSpec,
    facts: &Facts,
    stop: &Arc<AtomicBool>,
) -> Result<EngineOutcome, TrialError> {
    run(spec, facts, stop, &Guest::of(spec))
}

/// The same with a bug planted in the host, in the guest, or both: for tests of the oracle.
///
/// # Errors
/// [`TrialError`].
pub fn run_engine_planted(
    spec: &EngineSpec,
    facts: &Facts,
    stop: &Arc<AtomicBool>,
    planted: Planted,
    fault: GuestFault,
) -> Result<EngineOutcome, TrialError> {
    run(spec, facts, stop, &Guest { planted, fault, ..Guest::of(spec) })
}

/// The same with a payload of somebody else, which is stopped after `patience` without progress: for guests that
/// break the rules.
///
/// # Errors
/// [`TrialError`].
#[cfg(feature = "test-support")]
pub fn run_engine_image(
    spec: &EngineSpec,
    facts: &Facts,
    stop: &Arc<AtomicBool>,
    image: &[u8],
    patience: Duration,
) -> Result<EngineOutcome, TrialError> {
    run(spec, facts, stop, &Guest { image, patience, ..Guest::of(spec) })
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

fn run(
    spec: &EngineSpec,
    facts: &Facts,
    stop: &Arc<AtomicBool>,
    guest: &Guest<'_>,
) -> Result<EngineOutcome, TrialError> {
    let started = Instant::now();
    // Relaxed: the flag carries nothing with it.
    if stop.load(Ordering::Relaxed) {
        return Err(TrialError::Stopped);
    }
    let placement = if spec.vcpus == 1 { Placement::choose() } else { None };
    let _pinned = Pinned::to(placement.map(|placement| placement.vcpu));
    let Parts { mut machine, ram, map, guest_ring, bell, balloon, services, tsc_khz } =
        Parts::new(spec, facts, guest.image, guest.planted, guest.fault, placement)?;
    let offset = machine.tsc_offset().ok_or(TrialError::NoClock)?;
    let watch = spec.watch.map(|interval| Watch::start(&ram, map, offset, interval)).transpose()?;
    let mut session = Session {
        ram: &ram,
        services: &services,
        counts: machine.processors().map(Processor::counts).collect(),
        statistics: machine.processors().filter_map(Processor::statistics).collect(),
        offset,
        watch,
        looks: Vec::new(),
        examiner: Examiner::new(&ram, map, is_returned(spec))?,
        rounds: spec.rounds,
        settled: Vec::new(),
        begin: None,
        end: None,
    };

    let others = (1..spec.vcpus as usize).map(|vcpu| Seat {
        balloon: &balloon,
        service: services.of(vcpu),
        control: |control| other(control, &ram),
    });
    let others = others.collect();
    let mut first =
        Seat { balloon: &balloon, service: services.of(0), control: |control| session.control(control) };
    let ran = team::run(&mut machine, &mut first, others, guest.patience, stop);
    services.error_or(ran)?;

    let books = Books { ram: &ram, map, vcpus: spec.vcpus };
    let known = Known { bell, guest_ring, tsc_khz, counter: facts.counter, elapsed: started.elapsed() };
    outcome(&session, &books, &known)
}

/// What is known without the guest.
struct Known {
    bell: Bell,
    guest_ring: GuestRing,
    tsc_khz: u32,
    counter: Counter,
    elapsed: Duration,
}

fn outcome(session: &Session<'_>, books: &Books<'_>, known: &Known) -> Result<EngineOutcome, TrialError> {
    let (Some(begin), Some(end)) = (&session.begin, &session.end) else {
        return Err(TrialError::Protocol { what: "it was done without a measured part" });
    };
    let served = session.services.served();
    // What the guest was refused and we did not refuse was KVM's doing: a call that KVM turns away is no call.
    let by_kvm = books.counter(GuestCounter::Refused)?.saturating_sub(served.refused.total());
    if by_kvm > 0 {
        return Err(TrialError::RefusedByKvm { calls: by_kvm });
    }
    let timed = |duration| (known.counter == Counter::Time).then(|| nanoseconds(duration));
    let began = books.ram.read(shared::BEGAN)?;
    let clock = Clock { began: GuestTsc(began), khz: known.tsc_khz };
    let (before, after) = (begin.served.taken, end.served.taken);
    Ok(EngineOutcome {
        bell: known.bell,
        guest_ring: known.guest_ring,
        counter: known.counter,
        tsc_khz: known.tsc_khz,
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
        exits: end.exits.since(&begin.exits),
        idles: end.idles - begin.idles,
        kvm_stats: session.statistics_between(begin, end),
        cpu_ns: timed(end.cpu.saturating_sub(begin.cpu)),
        spent: served.spent,
        madvise_calls: after.madvise_calls - before.madvise_calls,
        discarded_pages: after.discarded_pages - before.discarded_pages,
        madvise_failures: after.madvise_failures - before.madvise_failures,
        refused: served.refused,
        violations: books.violations()?,
        first_wrong: books.first_wrong()?,
        elapsed_ns: timed(known.elapsed),
    })
}

/// How long the guest may go without a call or a word: what it was told to take, and what its pages take to be
/// allocated, touched and checked. It may not take longer by giving its processors away.
fn patience(spec: &EngineSpec) -> Duration {
    let pages = u32::try_from(spec.memory / PAGE_SIZE).unwrap_or(u32::MAX);
    PATIENCE + PATIENCE_PER_PAGE * pages + spec.warmup + spec.window + spec.settle + spec.delay
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

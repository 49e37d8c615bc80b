//! Running one trial: build, run, tear down, account.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use abi::addr::Gpa;
use abi::axes::Program;
use abi::boot::BootInfo;
use abi::notes;
use abi::timed::burst::{Burst, CALLS};

use super::info::boot_info;
use super::outcome::Outcome;
use super::proof::Prover;
use super::sample::Observer;
use super::session::{Mark, Measured, Session};
use super::spec::TimedSpec;
use super::stopwatch::{Bursts, Stopwatch};
use crate::balloon::SharedBalloon;
use crate::fault::Planted;
use crate::kvm::{Machine, PAYLOAD, Pinned, Placed, Placement, idle};
use crate::memory;
use crate::probe::Facts;
use crate::serve::{Server, Service};
use crate::trial::{self, Assembly, Common, Part, Seat, TrialError, Wanted};

/// What a guest may take without a sign of progress for each page of its arena.
const PATIENCE_PER_PAGE: Duration = Duration::from_micros(100);

/// Runs one trial: boots a guest, measures, tears down. `facts` are [`crate::probe::probe()`]'s. When `stop` becomes
/// true the guest is kicked out and [`TrialError::Stopped`] returned within some milliseconds.
///
/// # Errors
/// [`TrialError`].
pub fn run(
    spec: &TimedSpec,
    facts: &Facts,
    stop: &Arc<AtomicBool>,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrialError> {
    run_planted(spec, facts, stop, observer, Planted::NONE)
}

/// The same with a bug planted: for tests of the oracle.
///
/// # Errors
/// [`TrialError`].
pub fn run_planted(
    spec: &TimedSpec,
    facts: &Facts,
    stop: &Arc<AtomicBool>,
    observer: &mut dyn Observer,
    planted: Planted,
) -> Result<Outcome, TrialError> {
    let started = Instant::now();
    trial::unless_stopped(stop)?;
    spec.validate()?;
    trial::steady(facts)?;
    let placement = Placement::choose(1, spec.way.servicer);
    let pinned = Pinned::to(placement.vcpu(0));
    let program = match spec.stopwatch {
        Stopwatch::Used => planted.program(),
        Stopwatch::Weighed => Program::Weigh,
    };
    let mut assembly = assemble(spec, facts, program, PAYLOAD, planted, &placement)?;
    let (server, stamps) = assembly.server()?;
    let (tsc_khz, offset) = assembly.clock()?;
    let Assembly { machine, ram, boot, balloon, .. } = &mut assembly;
    let boot = *boot;
    let mut session = Session {
        prover: Prover::new(ram, boot.arena_pages)?,
        statistics: machine.statistics(),
        counts: machine.first_counts(),
        counter: facts.counter,
        offset,
        ram: Arc::clone(ram),
        backing: spec.way.backing,
        observer,
        stamps,
        stamped: spec.way.is_stamped(),
        started,
        booted: Duration::ZERO,
        huge_share: 0.0,
        splits: None,
        part: Part::default(),
        measured: Measured::default(),
        over: false,
        bursts: (spec.stopwatch == Stopwatch::Weighed).then(|| Bursts::of(spec.reports.div_ceil(CALLS))),
        calls_drained: 0,
        reports_drained: 0,
    };
    let idle = Duration::from_micros(spec.idle.into());
    let patience = trial::patience(boot.arena_pages, PATIENCE_PER_PAGE) + idle;
    let pulse = Arc::clone(&machine.pulse);
    let server = trial::watched(&pulse, patience, stop, placement.watchdog(), || {
        run_to_its_end(machine, balloon, server, &mut session)
    })?;
    let placed = assembly.placed(pinned.pin().astray().into_iter().chain(server.astray()));
    let registers = assembly.machine.fetch_registers(true);
    assembly.clock_stands(offset)?;
    outcome(&session, &server, Known { boot, tsc_khz, registers, placed })
}

/// Runs the guest until it is done; between bursts it leaves, so that the host's half of the stopwatch can change.
fn run_to_its_end(
    machine: &mut Machine,
    balloon: &SharedBalloon,
    mut server: Server,
    session: &mut Session<'_>,
) -> Result<Server, TrialError> {
    while !session.over {
        let burst = session.bursts.as_ref().and_then(Bursts::running);
        let mut seat =
            Seat::new(balloon, server, |control, exits, server| session.control(control, exits, server));
        let ran = match burst {
            None => machine.run(&mut seat),
            Some(burst) => {
                machine.fetch_registers(burst == Burst::Registers);
                if burst.is_stamped() { machine.run(&mut seat) } else { machine.run_unstamped(&mut seat) }
            }
        };
        server = seat.leave();
        trial::ended(ran, server.error())?;
    }
    Ok(server)
}

/// Checks the choices and builds what they ask for; `image` will run `program`.
pub(crate) fn assemble(
    spec: &TimedSpec,
    facts: &Facts,
    program: Program,
    image: &[u8],
    planted: Planted,
    placement: &Placement,
) -> Result<Assembly, TrialError> {
    spec.validate()?;
    let boot = boot_info(spec, facts, program);
    let wanted = Wanted { way: spec.way, boot, vcpus: 1, offer_poison: false, image, planted, placement };
    Assembly::new(&wanted, facts)
}

/// What is known without the guest.
struct Known {
    boot: BootInfo,
    tsc_khz: u32,
    /// Whether registers had to be fetched for a call.
    registers: bool,
    placed: Placed,
}

fn outcome(session: &Session<'_>, server: &Server, known: Known) -> Result<Outcome, TrialError> {
    let Session { measured, counter, .. } = session;
    let (begin, end) = session.part.marks()?;
    let taken = end.taken.since(&begin.taken);
    let note = |at: Gpa| session.ram.read(at);
    let refused = server.with(Service::refused);
    trial::not_refused_by_kvm(note(notes::REFUSED)?, &refused)?;
    let statistics = session.statistics.as_ref();
    Ok(Outcome {
        common: Common {
            bell: known.boot.bell,
            guest_ring: known.boot.guest_ring,
            counter: *counter,
            tsc_khz: known.tsc_khz,
            placed: known.placed,
            stale_kicks: end.stale - begin.stale,
            ring: end.ring.since(&begin.ring),
            exits: end.exits.since(&begin.exits),
            kvm_stats: statistics
                .map(|s| s.difference(&begin.statistics, &end.statistics))
                .unwrap_or_default(),
            cpu_ns: counter.nanoseconds(end.cpu.saturating_sub(begin.cpu)),
            madvise_calls: taken.madvise_calls,
            discarded_pages: taken.discarded_pages,
            madvise_failures: taken.madvise_failures,
            madvise_error: taken.madvise_error,
            refused,
            witness: session.prover.witness(),
            splits: session.splits,
            huge_share: session.huge_share,
            violations: trial::violations(|violation| note(notes::violations(violation)))?,
            elapsed_ns: counter.nanoseconds(session.started.elapsed()),
        },
        tsc_offset: session.offset.0,
        stopwatch: session.bursts.as_ref().and_then(|bursts| bursts.weight(known.registers)),
        reports: measured.reports,
        ranges: measured.ranges,
        calls: measured.calls,
        disordered: measured.disordered,
        idles: end.idles - begin.idles,
        reported_digest: note(notes::DIGEST_SUM)?,
        taken_digest: server.with(Service::taken).digest.sum,
        proof: session.prover.proof(),
        in_flight: note(notes::IN_FLIGHT)?,
        taken_back: note(notes::TAKEN_BACK)?,
        spared: server.with(Service::spared),
        checked_pages: note(notes::CHECKED)?,
        interrupts: note(notes::INTERRUPTS)?,
        memory_beside_ram: memory::beside(&session.ram)?,
        idle_ticks: idled(begin, end, known.tsc_khz),
        boot_ns: counter.nanoseconds(session.booted),
    })
}

/// Ticks that the kernel idled away from one mark to the other, if it says.
fn idled(begin: &Mark, end: &Mark, tsc_khz: u32) -> Option<u64> {
    Some(idle::ticks(end.slept?.checked_sub(begin.slept?)?, tsc_khz))
}

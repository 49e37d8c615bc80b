//! Running one trial: build, run, tear down, account.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use abi::addr::Gpa;
use abi::axes::Program;
use abi::boot::BootInfo;
use abi::notes;
use abi::timed::burst::{Burst, CALLS};
use abi::timed::company::{Company, Own};

use super::collateral::Onlooker;
use super::company::{Audience, Other, Vacater, gaps};
use super::info::boot_info;
use super::outcome::{Outcome, Threads};
use super::proof::Prover;
use super::sample::Observer;
use super::session::{Mark, Session};
use super::spec::TimedSpec;
use super::stopwatch::{Bursts, Stopwatch};
use super::stream::{Measured, Stream};
use crate::balloon::SharedBalloon;
use crate::fault::Planted;
use crate::kvm::{Counter, Exits, Machine, PAYLOAD, Pinned, Placed, Placement, ThreadTime, idle};
use crate::memory::{self, RamError};
use crate::probe::Facts;
use crate::reclaim::SharedPutOff;
use crate::serve::{Served, Server, Services, Share, Stamps};
use crate::trial::team::{self, Deadline};
use crate::trial::{self, Account, Assembly, Common, Part, Seat, TrialError, Wanted};

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
    spec.validate_processors(facts.max_vcpus)?;
    trial::steady(facts)?;
    let company = spec.company;
    let placement = Placement::choose(company.vcpus, spec.way.servicer);
    let pinned = Pinned::to(placement.vcpu(0));
    let program = match spec.stopwatch {
        Stopwatch::Weighed => Program::Weigh,
        Stopwatch::Used if company.is_alone() => planted.program(),
        Stopwatch::Used => Program::Company,
    };
    let mut assembly = assemble(spec, facts, program, PAYLOAD, planted, &placement)?;
    let (tsc_khz, offset) = assembly.clock()?;
    let (ram, boot) = (&Arc::clone(&assembly.ram), assembly.boot);
    ram.write(notes::LOOKS, spec.looks_around.into())?;
    let audience: Audience<'_> = Mutex::new(&mut *observer);
    let stamps: Vec<Arc<Stamps>> = (0..company.vcpus).map(|_| Arc::default()).collect();
    let stream = |vcpu: u32| {
        let stamps = spec.stamps_each().then(|| Arc::clone(&stamps[vcpu as usize]));
        Stream::new(Arc::clone(ram), Own::of(vcpu, boot.arena_pages), stamps, offset)
    };
    let vacater = |vcpu| Vacater::of(company, vcpu, ram, boot.arena_pages);
    let mut session = Session {
        onlooker: spec.looks_around.then(|| Onlooker::new(ram, &assembly.machine, boot.arena_pages)),
        reported_pages: u64::from(spec.batch) * spec.order.pages(),
        put_off: assembly.put_off.clone(),
        prover: Prover::new(ram, boot.arena_pages)?,
        account: Account::of(&assembly.machine),
        counter: facts.counter,
        offset,
        ram: Arc::clone(ram),
        backing: spec.way.backing,
        audience: &audience,
        stream: stream(0),
        vacater: vacater(0),
        started,
        booted: Duration::ZERO,
        huge_share: 0.0,
        splits: None,
        part: Part::default(),
        measured: Measured::default(),
        others: ThreadTime::default(),
        over: false,
        bursts: (spec.stopwatch == Stopwatch::Weighed).then(|| Bursts::of(spec.reports.div_ceil(CALLS))),
    };
    // A guest that gives its processor away shows no progress by that.
    let idle = Duration::from_micros(spec.idle.into()).saturating_mul(spec.reports_together());
    let patience = trial::patience(boot.arena_pages, PATIENCE_PER_PAGE) + idle;
    let (served, astray) = if company.is_alone() {
        let server = assembly.server(Arc::clone(&stamps[0]))?;
        let Assembly { machine, balloon, .. } = &mut assembly;
        let pulse = Arc::clone(&machine.pulse);
        let server = trial::watched(&pulse, patience, stop, placement.watchdog(), || {
            run_to_its_end(machine, balloon, server, &mut session)
        })?;
        (server.served(), pinned.pin().astray().into_iter().chain(server.astray()).collect())
    } else {
        let others = (1..company.vcpus).map(|vcpu| Other {
            stream: stream(vcpu),
            vacater: vacater(vcpu),
            audience: &audience,
            part: Part::default(),
            measured: Measured::default(),
        });
        let services = assembly.services(|vcpu| Arc::clone(&stamps[vcpu as usize]))?;
        let deadline = Deadline { patience, stop, placement: &placement };
        together(&mut assembly, &services, &mut session, &mut others.collect(), &deadline)?
    };
    let placed = assembly.placed(astray);
    let registers = assembly.machine.fetch_registers(true);
    assembly.clock_stands(offset)?;
    outcome(&session, &served, Known { boot, company, tsc_khz, registers, placed })
}

/// Runs all processors of a company until each is done. What was done for them, and why threads were not on their
/// processors.
fn together(
    assembly: &mut Assembly,
    services: &Services,
    session: &mut Session<'_>,
    others: &mut Vec<Other<'_>>,
    deadline: &Deadline<'_>,
) -> Result<(Served, Vec<String>), TrialError> {
    let Assembly { machine, balloon, .. } = assembly;
    let mut first =
        Seat::new(balloon, services.of(0), |control, _, _| session.control(control, || services.served()));
    let seats = (1..).zip(others.iter_mut()).map(|(vcpu, other)| {
        Seat::new(balloon, services.of(vcpu), |control, _: &Exits, _: &Share| other.control(control))
    });
    let ran = team::run(machine, &mut first, seats.collect(), deadline);
    let mut astray = trial::ended(ran, services.error())?;
    astray.extend(services.astray());
    for other in others {
        session.measured = session.measured.sum(&other.measured);
        session.others = session.others.plus(other.time()?);
    }
    Ok((services.served(), astray))
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
            Seat::new(balloon, server, |control, _, server| session.control(control, || server.served()));
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
    build(spec, facts, program, image, planted, placement)
}

/// Builds what choices ask for that have been checked.
pub(crate) fn build(
    spec: &TimedSpec,
    facts: &Facts,
    program: Program,
    image: &[u8],
    planted: Planted,
    placement: &Placement,
) -> Result<Assembly, TrialError> {
    let boot = boot_info(spec, facts, program);
    let vcpus = spec.company.vcpus;
    let company = Some(spec.company).filter(|company| !company.is_alone());
    let wanted =
        Wanted { way: spec.way, boot, vcpus, company, offer_poison: false, image, planted, placement };
    Assembly::new(&wanted, facts)
}

/// What is known without the guest.
struct Known {
    boot: BootInfo,
    company: Company,
    tsc_khz: u32,
    /// Whether registers had to be fetched for a call.
    registers: bool,
    placed: Placed,
}

fn outcome(session: &Session<'_>, served: &Served, known: Known) -> Result<Outcome, TrialError> {
    let Session { measured, counter, .. } = session;
    let (begin, end) = session.part.marks()?;
    let taken = end.served.taken.since(&begin.served.taken);
    let told = end.served.told.since(begin.served.told);
    let (company, pages) = (known.company, known.boot.arena_pages);
    // Of all processors together; fingerprints add up too.
    let note = |at: Gpa| {
        let of = |vcpu| session.ram.read(Own::of(vcpu, pages).place(at));
        (0..company.vcpus).try_fold(0, |sum: u64, vcpu| Ok::<_, RamError>(sum.wrapping_add(of(vcpu)?)))
    };
    let refused = served.refused;
    trial::not_refused_by_kvm(note(notes::REFUSED)?, &refused)?;
    Ok(Outcome {
        common: Common {
            bell: known.boot.bell,
            guest_ring: known.boot.guest_ring,
            counter: *counter,
            tsc_khz: known.tsc_khz,
            placed: known.placed,
            stale_kicks: end.served.stale - begin.served.stale,
            ring: end.served.ring.since(&begin.served.ring),
            exits: end.exits.since(&begin.exits),
            kvm_stats: session.account.between(&begin.statistics, &end.statistics),
            cpu_ns: counter.nanoseconds(end.cpu.saturating_sub(begin.cpu)),
            madvise_calls: taken.madvise_calls,
            discarded_pages: taken.discarded_pages,
            madvise_failures: taken.madvise_failures,
            madvise_error: taken.madvise_error,
            put_off: session.put_off.as_ref().map(SharedPutOff::counts),
            userfault: session.ram.userfault(),
            announced: told.announced,
            deflated_pages: told.deflated,
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
        taken_digest: served.taken.digest.sum,
        looks: end.served.looks - begin.served.looks,
        threads: threads(begin, end, session.others, *counter),
        gaps: gaps(&session.ram, company, pages)?,
        proof: session.prover.proof(),
        in_flight: note(notes::IN_FLIGHT)?,
        taken_back: note(notes::TAKEN_BACK)?,
        spared: served.spared,
        overflows: told.overflows,
        held: end.served.held.since(&begin.served.held),
        in_kernel: end.served.in_kernel.zip(begin.served.in_kernel).map(|(end, begin)| end.since(begin)),
        collateral: session.onlooker.as_ref().map(Onlooker::sum),
        checked_pages: note(notes::CHECKED)?,
        interrupts: note(notes::INTERRUPTS)?,
        memory_beside_ram: memory::beside(&session.ram)?,
        idle_ticks: idled(begin, end, known.tsc_khz),
        boot_ns: counter.nanoseconds(session.booted),
    })
}

/// Processor time from one mark to the other, with that of the other processors.
fn threads(begin: &Mark, end: &Mark, others: ThreadTime, counter: Counter) -> Option<Threads> {
    let vcpus = end.time.since(begin.time).plus(others);
    let device = end.served.device.zip(begin.served.device).map(|(end, begin)| end.since(begin));
    Some(Threads {
        vcpus_ns: counter.nanoseconds(vcpus.all)?,
        guest_ns: counter.nanoseconds(vcpus.guest).filter(|guest| *guest > 0),
        device_ns: device.and_then(|device| counter.nanoseconds(device.all)),
    })
}

/// Ticks that the kernel idled away from one mark to the other, if it says.
fn idled(begin: &Mark, end: &Mark, tsc_khz: u32) -> Option<u64> {
    Some(idle::ticks(end.slept?.checked_sub(begin.slept?)?, tsc_khz))
}

//! Running one trial: build, run, tear down, account.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fs, io};

use abi::addr::{ByteRange, Gpa, PAGE_SIZE};
use abi::axes::Program;
use abi::boot::BootInfo;
use abi::notes;
use abi::violation::Violation;

use crate::affinity::{Pinned, Placement};
use crate::assembly::Assembly;
use crate::error::ExitError;
use crate::error::TrialError;
use crate::facts::{Counter, Facts};
use crate::fault::Planted;
use crate::idle;
use crate::image::PAYLOAD;
use crate::proof::{ProofError, Prover};
use crate::ram::GuestRam;
use crate::residency::Residency;
use crate::service::Service;
use crate::session::{Mark, Measured, Session};
use crate::trial::{Observer, Outcome, TrialSpec};
use crate::watchdog::Watchdog;

/// What a guest may take without a sign of progress, and for each page of its arena.
const PATIENCE: Duration = Duration::from_secs(10);
const PATIENCE_PER_PAGE: Duration = Duration::from_micros(100);

/// Runs one trial: boots a guest, measures, tears down. `facts` are [`crate::probe()`]'s. When `stop` becomes
/// true the guest is kicked out and [`TrialError::Stopped`] returned within some milliseconds.
///
/// # Errors
/// [`TrialError`].
pub fn run(
    spec: &TrialSpec,
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
    spec: &TrialSpec,
    facts: &Facts,
    stop: &Arc<AtomicBool>,
    observer: &mut dyn Observer,
    planted: Planted,
) -> Result<Outcome, TrialError> {
    let started = Instant::now();
    // Relaxed: the flag carries nothing with it.
    if stop.load(Ordering::Relaxed) {
        return Err(TrialError::Stopped);
    }
    spec.validate()?;
    let placement = Placement::choose();
    let _pinned = Pinned::to(placement.map(|placement| placement.vcpu));
    let parts = Assembly::new(spec, facts, Program::Report, PAYLOAD, planted, placement)?;
    let Assembly { mut machine, ram, boot, balloon, stamps, server } = parts;
    let tsc_khz = machine.tsc_khz().ok_or(TrialError::NoClock)?;
    let mut session = Session {
        prover: Prover::new(&ram, boot.arena_pages)?,
        statistics: machine.statistics(),
        counter: facts.counter,
        offset: machine.tsc_offset().ok_or(TrialError::NoClock)?,
        ram,
        backing: spec.backing,
        observer,
        server,
        balloon,
        stamps,
        stamped: spec.is_stamped(),
        started,
        booted: Duration::ZERO,
        begin: Mark::default(),
        end: Mark::default(),
        measured: Measured::default(),
        measuring: false,
        calls_drained: 0,
        reports_drained: 0,
    };

    let patience = PATIENCE + PATIENCE_PER_PAGE * u32::try_from(boot.arena_pages).unwrap_or(u32::MAX);
    let watchdog = Watchdog::new(Arc::clone(&machine.pulse), patience, Arc::clone(stop))
        .map_err(TrialError::Watchdog)?;
    let ran = machine.run(&mut session);
    drop(watchdog);
    session.server.error_or(ran)?;
    outcome(&session, &boot, tsc_khz)
}

fn outcome(session: &Session<'_>, boot: &BootInfo, tsc_khz: u32) -> Result<Outcome, TrialError> {
    let Session { begin, end, measured, .. } = session;
    let note = |at: Gpa| session.ram.read(at).map_err(ExitError::from);
    // What the guest was refused and the host did not refuse was KVM's doing: a call that KVM turns away is no
    // call, and nothing that was timed of it may stand.
    let refused = session.refused();
    let by_kvm = note(notes::REFUSED)?.saturating_sub(refused.total());
    if by_kvm > 0 {
        return Err(TrialError::RefusedByKvm { calls: by_kvm });
    }
    let mut violations = Vec::new();
    for violation in Violation::ALL {
        match note(notes::violations(violation))? {
            0 => {}
            count => violations.push((violation, count)),
        }
    }
    let statistics = session.statistics.as_ref();
    let timed = |duration| (session.counter == Counter::Time).then(|| nanoseconds(duration));
    Ok(Outcome {
        bell: boot.bell,
        guest_ring: boot.guest_ring,
        counter: session.counter,
        tsc_khz,
        tsc_offset: session.offset.0,
        reports: measured.reports,
        ranges: measured.ranges,
        calls: measured.calls,
        disordered: measured.disordered,
        exits: end.exits.since(&begin.exits),
        kvm_stats: statistics.map(|s| s.difference(&begin.statistics, &end.statistics)).unwrap_or_default(),
        madvise_calls: end.taken.madvise_calls - begin.taken.madvise_calls,
        discarded_pages: end.taken.discarded_pages - begin.taken.discarded_pages,
        madvise_failures: end.taken.madvise_failures - begin.taken.madvise_failures,
        refused,
        reported_digest: note(notes::DIGEST_SUM)?,
        taken_digest: session.server.with(Service::taken).digest.sum,
        proof: session.prover.proof(),
        checked_pages: note(notes::CHECKED)?,
        violations,
        interrupts: note(notes::INTERRUPTS)?,
        memory_beside_ram: memory_beside(&session.ram).map_err(ProofError::Pagemap)?,
        idle_ticks: idled(begin, end, tsc_khz),
        boot_ns: timed(session.booted),
        elapsed_ns: timed(session.started.elapsed()),
    })
}

/// Ticks that the kernel idled away from one mark to the other, if it says.
fn idled(begin: &Mark, end: &Mark, tsc_khz: u32) -> Option<u64> {
    Some(idle::ticks(end.slept?.checked_sub(begin.slept?)?, tsc_khz))
}

pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Resident memory of this process that is not guest memory.
fn memory_beside(ram: &GuestRam) -> io::Result<u64> {
    let mut held = vec![false; usize::try_from(ram.whole().pages()).map_err(io::Error::other)?];
    let whole = ByteRange { gpa: Gpa(0), len: ram.whole().bytes() };
    let whole = whole.inward().map_err(|_| io::ErrorKind::InvalidInput)?;
    Residency::of(ram, whole)?.read(&mut held)?;
    let guest = held.iter().filter(|held| **held).count() as u64;
    let statm = fs::read_to_string("/proc/self/statm")?;
    let resident: u64 = statm.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    Ok(resident.saturating_sub(guest) * PAGE_SIZE)
}

//! One trial of a Linux guest: build, run, look at what is left.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use abi::addr::Order;
use abi::axes::Axis;
use abi::control::Control;
use kvm_ioctls::Kvm;

use super::console::{Console, Line, Port};
use super::error::LinuxError;
use super::load;
use super::noting::{Noting, SharedBook};
use super::outcome::{LinuxOutcome, Mark};
use super::session::Session;
use super::spec::LinuxSpec;
use crate::axes::{Freed, Servicer, Way};
use crate::balloon::{Balloon, SharedBalloon};
use crate::fault::Planted;
use crate::kvm::{self, Flavour, Pinned, Placement, StockMachine};
use crate::memory::{GuestRam, Residency, try_discard};
use crate::probe::Facts;
use crate::reclaim::Reclaimer;
use crate::serve::{Server, Service, Stamps, Worker, WorkerError};
use crate::transport;
use crate::trial::{self, TrialError};

/// What every kernel is told: where its console is, that nothing is to be looked for where nothing is, to end at once when
/// it dies, and to lie where it always does.
const PARAMETERS: &str =
    "console=ttyS0 panic=-1 reboot=t nokaslr norandmaps pci=off nomodule_sig rdinit=/init";

/// Boots a guest, lets it do what it is to do, and takes it down. Every line of its console goes to `hear`. When `stop`
/// becomes true the guest is kicked out.
///
/// # Errors
/// [`LinuxError`].
pub fn run(
    spec: &LinuxSpec,
    facts: &Facts,
    stop: &Arc<AtomicBool>,
    hear: &mut dyn FnMut(&str),
) -> Result<LinuxOutcome, LinuxError> {
    run_planted(spec, facts, stop, hear, Planted::NONE)
}

/// Whether Linux guests can be run here at all.
///
/// # Errors
/// [`LinuxError`] that [`LinuxError::is_unavailable`].
pub fn check() -> Result<(), LinuxError> {
    usable().map(drop)
}

fn usable() -> Result<Kvm, LinuxError> {
    let kvm = kvm::open()?;
    if kvm::flavour() == Flavour::Pvm { Err(LinuxError::Emulated) } else { Ok(kvm) }
}

/// The same with a bug planted: for tests of the agent's oracle.
///
/// # Errors
/// [`LinuxError`].
pub(super) fn run_planted(
    spec: &LinuxSpec,
    facts: &Facts,
    stop: &Arc<AtomicBool>,
    hear: &mut dyn FnMut(&str),
    planted: Planted,
) -> Result<LinuxOutcome, LinuxError> {
    trial::unless_stopped(stop)?;
    let kvm = usable()?;
    let way = spec.report.way(spec.discard);
    let placement = Placement::choose(1, way.servicer);
    let _pinned = Pinned::to(placement.vcpu(0));
    let ram = Arc::new(GuestRam::backed(spec.memory_mib << 20, way.backing)?);
    try_discard(&ram, way.discard)?;
    // All of it: a page that goes away was there, whether or not its guest has used it.
    ram.whole().frames().try_for_each(|page| ram.write(page.gpa(), 0))?;
    let entry = load::load(&ram, &spec.kernel, &spec.initramfs, &command_line(spec))?;
    let began = Instant::now();
    let until = began + spec.deadline;
    let matches = way.doorbell.matches();
    let mut machine = StockMachine::new(&kvm, &ram, entry, matches, spec.report.calls(), until)?;
    let interrupt = machine.interrupt.try_clone().map_err(WorkerError::Start)?;
    let balloon = Balloon::new(Arc::clone(&ram), interrupt, planted);
    let balloon = SharedBalloon::new(balloon, &machine.pulse);
    let stamps = Arc::<Stamps>::default();
    let residency = || Residency::of(&ram, ram.whole());
    let pages = residency()?.pages();
    let book = SharedBook::new(pages, spec.looks.then(residency).transpose()?);
    let transport = transport::over(way.carrier, &ram, &balloon, None);
    let transport = Box::new(Noting { transport, book: book.clone() });
    let reclaimer = Reclaimer::new(Arc::clone(&ram), way.discard, way.coalesce, planted);
    let service = Service::new(transport, reclaimer, Arc::clone(&stamps), planted);
    let server = server(&way, service, &machine, &placement)?;
    let line = Line(machine.serial.try_clone().map_err(WorkerError::Start)?);
    let mut session = Session {
        balloon: &balloon,
        server,
        stamps,
        port: Port::new(line, Console::new(hear)),
        residency: residency()?,
        marks: Vec::new(),
        book,
        frees: way.frees(Order::PAGE) == Freed::All,
        held: vec![false; pages],
        account: None,
    };
    let pulse = Arc::clone(&machine.pulse);
    let before = Mark::before(session.residency.count()?);
    let ran = kvm::watched(&pulse, spec.deadline, stop, placement.watchdog(), || machine.run(&mut session))
        .map_err(TrialError::Watchdog)?;
    if let Some(error) = session.server.error() {
        return Err(TrialError::Worker(error).into());
    }
    let console = session.port.writer();
    ran.map_err(|error| died(error, console))?;
    let told = session.book.with(|book| book.told().to_vec())?;
    let served = session.server.served();
    let ready = session.marks.iter().find(|mark| mark.at == Control::Ready);
    Ok(LinuxOutcome {
        said: console.said().to_vec(),
        boot_ticks: ready.map_or(0, |mark| mark.ticks.saturating_sub(before.ticks)),
        refused: served.refused,
        madvise_error: served.taken.madvise_error,
        stale_kicks: served.stale,
        tsc_khz: machine.tsc_khz(),
        placed: placement.placed(),
        account: session.account,
        told,
        bell: way.doorbell.bell(way.carrier, facts.hypercall),
        counter: facts.counter,
        before,
        marks: session.marks,
    })
}

/// A guest that dies says why on its console, if it can.
fn died(error: LinuxError, console: &Console<'_>) -> LinuxError {
    match error {
        LinuxError::Trial(TrialError::Exit(exit)) => {
            LinuxError::Died { reason: exit.to_string(), tail: console.tail() }
        }
        other => other,
    }
}

fn command_line(spec: &LinuxSpec) -> String {
    let report = format!("report={}", spec.report.name());
    [PARAMETERS, "--", &report]
        .into_iter()
        .chain(spec.task.iter().map(String::as_str))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Who serves the reports.
fn server(
    way: &Way,
    service: Service,
    machine: &StockMachine,
    placement: &Placement,
) -> Result<Server, WorkerError> {
    Ok(match way.servicer {
        Servicer::Vcpu | Servicer::Kernel | Servicer::Vhost => Server::Vcpu(Box::new(service)),
        Servicer::Device | Servicer::Polling => Server::Device(Worker::start(
            service,
            Some(&machine.kick),
            Arc::clone(&machine.pulse),
            placement.device(),
        )?),
    })
}

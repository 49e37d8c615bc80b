//! What parts of a report cost by themselves: waiting for a thread of the host, and taking pages and bringing them back.
//!
//! A wait is what a guest's ring takes longer if it waits for the thread's answer, looking, halting, or sleeping: the
//! middle of some bursts each. Pages are a guest's that obeys: between two of its steps the host takes them, with one
//! `madvise`, and the guest's next store brings them back; what a store into a page that is there takes comes off.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use abi::addr::{Order, PageRange, Pfn, bytes_of};
use abi::axes::{Axis, Bell, Carrier, Completion, GuestRing, Program};
use abi::boot::BootInfo;
use abi::calls::Answer;
use abi::control::Control;
use abi::layout::{ARENA, ARENA_START, NOTES, STEP};
use abi::notes;
use abi::step::Step;
use kvm_ioctls::Kvm;
use vmm_sys_util::eventfd::EventFd;

use super::facts::{Answered, DoorbellFact};
use super::{Probe, ProbeError, Stopwatch, probe_boot};
use crate::axes::{Backing, Discard, Doorbell, HaltPoll, Servicer};
use crate::kvm::{
    Board, BuildError, Cpu, ExitError, Exits, Flow, HostTsc, Pinned, Placement, Request, Watch, panic_message,
};
use crate::memory::{Discarder, GuestRam, require_huge};

/// Bursts of a wait, of which the middle one counts, and rings of a burst.
const BURSTS: usize = 7;
const RINGS: u16 = 32;
/// How often pages are taken and brought back; the first time, when tables are made, does not count.
const ROUNDS: usize = 10;
/// Pages that are taken with one call, beside one that is taken alone: fewer than those for which Linux flushes everything.
const MANY: Order = match Order::new(4) {
    Ok(order) => order,
    Err(_) => Order::PAGE,
};

/// A part of a report that is measured by itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Floor {
    /// Until a thread that sleeps in `read` of the ioeventfd has answered in guest memory, and the guest sees it by looking.
    WakeUp,
    /// An interrupt by an irqfd to a guest that halts, beyond looking.
    Interrupt,
    /// What that takes longer where KVM puts the vCPU to sleep at once.
    Sleep,
    /// `madvise(MADV_DONTNEED)` of memory that a guest has used, without its pages.
    Madvise,
    /// Each page of 4 KiB of it.
    DiscardPage,
    /// Each huge page of it.
    DiscardHuge,
    /// The guest's store that brings a page of 4 KiB back.
    RefaultPage,
    /// The same of a huge page.
    RefaultHuge,
}

impl Axis for Floor {
    const AXIS: &'static str = "floor";
    const ALL: &'static [Self] = &[
        Self::WakeUp,
        Self::Interrupt,
        Self::Sleep,
        Self::Madvise,
        Self::DiscardPage,
        Self::DiscardHuge,
        Self::RefaultPage,
        Self::RefaultHuge,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::WakeUp => "wake-up",
            Self::Interrupt => "interrupt",
            Self::Sleep => "sleep",
            Self::Madvise => "madvise",
            Self::DiscardPage => "discard-page",
            Self::DiscardHuge => "discard-huge",
            Self::RefaultPage => "refault-page",
            Self::RefaultHuge => "refault-huge",
        }
    }
}

/// What one of them came to, with a guest in one mode.
#[derive(Clone, PartialEq, Debug)]
pub struct FloorFact {
    /// Which.
    pub floor: Floor,
    /// The mode of the guest.
    pub guest_ring: GuestRing,
    /// What it came to; or why it came to nothing, in a sentence.
    pub ticks: Result<Spread, String>,
}

/// Ticks of the time stamp counter, as they scattered.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Spread {
    /// A quarter of all were below.
    pub low: f64,
    /// The middle one.
    pub middle: f64,
    /// A quarter of all were above.
    pub high: f64,
}

impl Spread {
    /// One that is known as a mean alone.
    const fn exactly(ticks: f64) -> Self {
        Self { low: ticks, middle: ticks, high: ticks }
    }

    /// Of figures; nothing of none.
    fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let at = |quarter: usize| figures.get(quarter * figures.len().saturating_sub(1) / 4);
        let [low, middle, high] = [1, 2, 3].map(|quarter| at(quarter).copied().unwrap_or_default());
        Self { low, middle, high }
    }

    /// How much more that is. Of two that differ by less than they scatter the dearer may seem the cheaper: that is 0.
    fn less(self, other: Self) -> Self {
        let more = |of: f64, from: f64| (of - from).max(0.0);
        Self {
            low: more(self.low, other.high),
            middle: more(self.middle, other.middle),
            high: more(self.high, other.low),
        }
    }

    fn over(self, parts: f64) -> Self {
        Self { low: self.low / parts, middle: self.middle / parts, high: self.high / parts }
    }
}

/// All of them, with guests in both modes. Where the kick of a mode was found already, its waits are beyond that.
pub(super) fn floors(kvm: &Kvm, doorbells: &[DoorbellFact]) -> Vec<FloorFact> {
    let placement = Placement::choose(1, Servicer::Device);
    let _pinned = Pinned::to(placement.vcpu(0));
    let mut facts = Vec::new();
    for guest_ring in [GuestRing::Zero, GuestRing::Three] {
        let mut note = |floor, ticks| facts.push(FloorFact { floor, guest_ring, ticks });
        let waits = waits(kvm, guest_ring, kick(doorbells, guest_ring), placement.device());
        for (floor, ticks) in [Floor::WakeUp, Floor::Interrupt, Floor::Sleep].into_iter().zip(waits) {
            note(floor, ticks);
        }
        let small = pages(kvm, guest_ring, Backing::Anon);
        let call = small.as_ref().map(|taken| taken.call).map_err(Clone::clone);
        note(Floor::Madvise, call.clone());
        note(Floor::DiscardPage, small.as_ref().map(|taken| taken.page).map_err(Clone::clone));
        note(Floor::RefaultPage, small.map(|taken| taken.refault));
        let huge = pages(kvm, guest_ring, Backing::AnonThp);
        let beyond = |taken: &Taken| Ok(taken.one.less(call.clone()?));
        note(Floor::DiscardHuge, huge.as_ref().map_err(Clone::clone).and_then(beyond));
        note(Floor::RefaultHuge, huge.map(|taken| taken.refault));
    }
    facts
}

/// Ticks of the kick that a device's thread hears.
fn kick(doorbells: &[DoorbellFact], guest_ring: GuestRing) -> Result<Spread, String> {
    let is = |fact: &&DoorbellFact| fact.doorbell == Doorbell::IoeventfdMmio && fact.guest_ring == guest_ring;
    match doorbells.iter().find(is).map(|fact| &fact.answered) {
        Some(Answered::After { round_trip_ticks }) => Ok(Spread::exactly(ticks(*round_trip_ticks))),
        Some(Answered::Not { reason }) => Err(reason.clone()),
        None => Err("there is no doorbell that a thread hears".to_owned()),
    }
}

/// What waiting adds to a kick: by looking; by halting, to that; by sleeping, to that.
fn waits(
    kvm: &Kvm,
    guest_ring: GuestRing,
    kick: Result<Spread, String>,
    device: Option<Cpu>,
) -> [Result<Spread, String>; 3] {
    let wait = |completion, halt_poll| {
        ring_and_wait(kvm, guest_ring, completion, halt_poll, device).map_err(|error| error.to_string())
    };
    let looking = wait(Completion::Poll, HaltPoll::Host);
    let halting = wait(Completion::Interrupt, HaltPoll::Host);
    let sleeping = wait(Completion::Interrupt, HaltPoll::Never);
    let more = |to: &Result<Spread, String>, from: Result<Spread, String>| Ok(to.clone()?.less(from?));
    [more(&looking, kick), more(&halting, looking), more(&sleeping, halting)]
}

/// Ticks of a ring whose guest waits for the answer of a thread.
fn ring_and_wait(
    kvm: &Kvm,
    guest_ring: GuestRing,
    completion: Completion,
    halt_poll: HaltPoll,
    device: Option<Cpu>,
) -> Result<Spread, FloorError> {
    let doorbell = Doorbell::IoeventfdMmio;
    let bell = doorbell.bell(Carrier::Empty, Bell::NotifyRegister);
    let boot = BootInfo { completion, reports: RINGS.into(), ..probe_boot(Program::Knock, guest_ring, bell) };
    let ram = GuestRam::new(ARENA.0 + bytes_of(boot.arena_pages)).map_err(BuildError::from)?;
    let mut probe = Probe::over(kvm, boot, Some(doorbell), halt_poll, Arc::new(ram))?;
    let interrupt = (completion == Completion::Interrupt).then(|| probe.machine.interrupt.try_clone());
    let interrupt = interrupt.transpose()?;
    let _answering = Answering::start(&probe.machine.kick, Arc::clone(&probe.ram), interrupt, device)?;
    let mut bursts = Vec::with_capacity(BURSTS);
    for _ in 0..BURSTS {
        let mut stopwatch = Stopwatch::new(&probe.ram, Vec::new());
        probe.run(&mut stopwatch)?;
        bursts.push(ticks(stopwatch.took) / f64::from(RINGS));
    }
    Ok(Spread::of(bursts))
}

/// A thread that answers kicks as a device does: it sleeps in `read` of the eventfd, writes into guest memory how many it
/// has answered, and raises the interrupt. Ends when dropped.
struct Answering {
    quit: Arc<AtomicBool>,
    kick: EventFd,
    thread: Option<JoinHandle<()>>,
}

impl Answering {
    fn start(
        kick: &EventFd,
        ram: Arc<GuestRam>,
        interrupt: Option<EventFd>,
        processor: Option<Cpu>,
    ) -> io::Result<Self> {
        let quit = Arc::new(AtomicBool::new(false));
        let (own, heard, told) = (kick.try_clone()?, kick.try_clone()?, Arc::clone(&quit));
        let thread = std::thread::Builder::new().name("device".into()).spawn(move || {
            let _pinned = Pinned::to(processor);
            let mut answered = 0_u64;
            // A guest that gets no answer is ended by its deadline: there is nobody else to tell.
            while let Ok(kicks) = heard.read() {
                // Relaxed: the flag carries nothing with it.
                if told.load(Ordering::Relaxed) {
                    return;
                }
                answered += kicks;
                let is_told = ram.write(notes::ANSWERED, answered).is_ok();
                if !is_told || interrupt.as_ref().is_some_and(|interrupt| interrupt.write(1).is_err()) {
                    return;
                }
            }
        })?;
        Ok(Self { quit, kick: own, thread: Some(thread) })
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        // Relaxed: as above.
        self.quit.store(true, Ordering::Relaxed);
        if let (Some(thread), Ok(())) = (self.thread.take(), self.kick.write(1)) {
            // A panic of the thread has been printed; there is nothing to add.
            let _ = thread.join();
        }
    }
}

/// What taking and bringing back came to, in ticks.
struct Taken {
    /// A call that takes one page alone.
    one: Spread,
    /// The call without its page, and a page of it: where pages are small.
    call: Spread,
    page: Spread,
    /// Bringing one back.
    refault: Spread,
}

/// Takes a guest's pages and has it bring them back.
fn pages(kvm: &Kvm, guest_ring: GuestRing, backing: Backing) -> Result<Taken, String> {
    let is_huge = backing.is_thp();
    let boot = BootInfo {
        arena_pages: 2 * Order::HUGE.pages(),
        ..probe_boot(Program::Obey, guest_ring, Bell::CallPort)
    };
    let taken = || -> Result<Taking, FloorError> {
        let ram =
            GuestRam::backed(ARENA.0 + bytes_of(boot.arena_pages), backing).map_err(io::Error::other)?;
        let mut probe = Probe::over(kvm, boot, None, HaltPoll::Host, Arc::new(ram))?;
        let mut taking = Taking::new(&probe.ram, if is_huge { Order::HUGE } else { Order::default() });
        probe.run(&mut taking)?;
        require_huge(&probe.ram, backing).map_err(io::Error::other)?;
        Ok(taking)
    };
    let taking = taken().map_err(|error| error.to_string())?;
    let (one, many) = (Spread::of(taking.one), Spread::of(taking.many));
    let page = many.less(one).over(ticks(MANY.pages() - 1));
    let refault = Spread::of(taking.back).less(Spread::of(taking.there));
    Ok(Taken { one, call: one.less(page), page, refault })
}

/// A guest that stores into pages, which are taken in between.
struct Taking {
    ram: Arc<GuestRam>,
    discarder: Discarder,
    /// The last is taken alone, those before it with one call.
    blocks: Vec<PageRange>,
    /// Stores so far: every block once when it is gone, then once when it is there.
    stores: usize,
    began: HostTsc,
    /// Ticks of stores into what is gone, and into what is there.
    back: Vec<f64>,
    there: Vec<f64>,
    /// Ticks of calls that take one, and of those that take many.
    one: Vec<f64>,
    many: Vec<f64>,
}

impl Taking {
    fn new(ram: &Arc<GuestRam>, order: Order) -> Self {
        let count = if order == Order::HUGE { 1 } else { MANY.pages() + 1 };
        let block = |number: u64| PageRange::block(Pfn(ARENA_START.0 + number * order.pages()), order);
        Self {
            ram: Arc::clone(ram),
            discarder: Discarder::new(Arc::clone(ram), Discard::DontNeed),
            blocks: (0..count).map(block).collect(),
            stores: 0,
            began: HostTsc::now(),
            back: Vec::new(),
            there: Vec::new(),
            one: Vec::new(),
            many: Vec::new(),
        }
    }

    /// Notes what the last store took; takes the pages if all of them have been stored into twice. The next step, if any.
    fn next(&mut self, took: f64) -> Result<Option<Step>, ProbeError> {
        let count = self.blocks.len();
        let (round, within) = (self.stores / (2 * count), self.stores % (2 * count));
        // What was announced first was no store; and in the first round tables are made.
        if let Some(last) = self.stores.checked_sub(1).filter(|last| *last >= 2 * count) {
            let of = if last % (2 * count) < count { &mut self.back } else { &mut self.there };
            of.push(took);
        }
        if within == 0 && round > 0 {
            self.take(round > 1)?;
        }
        if round == ROUNDS {
            return Ok(None);
        }
        self.stores += 1;
        let gpa = self.blocks[within % count].gpa();
        Ok(Some(Step::Store { gpa: gpa.0, value: 1 }))
    }

    fn take(&mut self, counts: bool) -> Result<(), ProbeError> {
        let alone = self.blocks.last().copied();
        let many = (self.blocks.len() > 1).then(|| PageRange::block(ARENA_START, MANY));
        for (range, of) in [(alone, &mut self.one), (many, &mut self.many)] {
            let Some(range) = range else { continue };
            let began = HostTsc::now();
            self.discarder.discard(range).map_err(ProbeError::Discard)?;
            if counts {
                of.push(ticks(HostTsc::now().0.saturating_sub(began.0)));
            }
        }
        Ok(())
    }
}

impl Board for Taking {
    type Error = ProbeError;

    fn call<W: Watch>(&mut self, _: &Request, _: HostTsc) -> Result<Answer, ProbeError> {
        Ok(Answer::Done { refused: 0 })
    }

    fn control(&mut self, control: Control, _: &Exits) -> Result<Flow, ProbeError> {
        let took = ticks(HostTsc::now().0.saturating_sub(self.began.0));
        match control {
            Control::Next => {
                let Some(step) = self.next(took)? else { return Ok(Flow::Leave) };
                self.ram.write_words(STEP, &step.words()).map_err(ExitError::from)?;
                self.began = HostTsc::now();
            }
            Control::Panicked => return Err(ProbeError::Panicked(panic_message(&self.ram, NOTES))),
            _ => {}
        }
        Ok(Flow::Resume)
    }

    fn read(&mut self, _: u64, data: &mut [u8]) {
        data.fill(0);
    }

    fn write(&mut self, _: u64, _: &[u8]) -> Result<(), ProbeError> {
        Ok(())
    }
}

/// Why a floor could not be measured.
#[derive(Debug, thiserror::Error)]
enum FloorError {
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Run(#[from] ProbeError),
    #[error(transparent)]
    Other(#[from] io::Error),
}

#[expect(clippy::cast_precision_loss, reason = "ticks of a deadline stay far below 2^52")]
const fn ticks(ticks: u64) -> f64 {
    ticks as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_more_reaches_as_far_as_both_scatter() {
        let of = |figures: [f64; 5]| Spread::of(figures.to_vec());
        let (less, more) = (of([9.0, 10.0, 11.0, 12.0, 99.0]), of([30.0, 20.0, 25.0, 10.0, 40.0]));
        assert_eq!(more, Spread { low: 20.0, middle: 25.0, high: 30.0 });
        assert_eq!(more.less(less), Spread { low: 8.0, middle: 14.0, high: 20.0 });
        assert_eq!(less.less(more), Spread::default(), "a part costs no less than nothing");
        assert_eq!(Spread::of(Vec::new()), Spread::default());
    }
}

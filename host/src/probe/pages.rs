//! Taking a guest's pages and bringing them back. The guest obeys: between two of its steps the host takes pages, with one `madvise`,
//! and its next store brings them back.

use std::sync::Arc;

use abi::addr::{Order, PageRange, Pfn, bytes_of};
use abi::axes::{Bell, GuestRing, Program};
use abi::boot::BootInfo;
use abi::calls::Answer;
use abi::control::Control;
use abi::layout::{ARENA, ARENA_START, NOTES, STEP};
use abi::step::Step;
use kvm_ioctls::Kvm;

use super::floor::{Spread, ticks};
use super::guest::{Probe, ProbeError, probe_boot};
use crate::axes::{Backing, Discard, HaltPoll};
use crate::kvm::{Board, BuildError, ExitError, Exits, Flow, HostTsc, Request, Watch, panic_message};
use crate::memory::{BackingError, Discarder, GuestRam, require_huge};

/// How often pages are taken and brought back; the first time, when tables are made, does not count. So many that the middle one
/// is not one that others on the same processors held up.
const ROUNDS: usize = 65;
/// Pages that are taken with one call, beside one that is taken alone: fewer than those for which Linux flushes everything.
const MANY: Order = match Order::new(4) {
    Ok(order) => order,
    Err(_) => Order::PAGE,
};

/// What taking and bringing back came to, in ticks.
pub(super) struct Taken {
    /// A call that takes one page alone.
    pub(super) one: Spread,
    /// The call without its page, and a page of it: where pages are small.
    pub(super) call: Spread,
    pub(super) page: Spread,
    /// Bringing one back.
    pub(super) refault: Spread,
}

/// Takes a guest's pages and has it bring them back.
pub(super) fn pages(kvm: &Kvm, guest_ring: GuestRing, backing: Backing) -> Result<Taken, String> {
    let is_huge = backing.is_thp();
    let boot = BootInfo {
        arena_pages: 2 * Order::HUGE.pages(),
        ..probe_boot(Program::Obey, guest_ring, Bell::CallPort)
    };
    let taken = || -> Result<Taking, PagesError> {
        let ram = GuestRam::backed(ARENA.0 + bytes_of(boot.arena_pages), backing)?;
        let mut probe = Probe::over(kvm, boot, None, HaltPoll::Host, Arc::new(ram))?;
        let mut taking = Taking::new(&probe.ram, if is_huge { Order::HUGE } else { Order::default() });
        probe.run(&mut taking)?;
        require_huge(&probe.ram, backing)?;
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

/// Why pages could not be taken and brought back.
#[derive(Debug, thiserror::Error)]
enum PagesError {
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Memory(#[from] BackingError),
    #[error(transparent)]
    Run(#[from] ProbeError),
}

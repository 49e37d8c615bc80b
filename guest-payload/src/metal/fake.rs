//! A machine made of a byte array and a closure that plays the host.

use abi::addr::{Gpa, PAGE_SIZE};
use abi::control::Control;
use abi::layout::ARENA;

use super::Metal;

/// Pages of the arena, unless asked for otherwise.
const ARENA_PAGES: u64 = 1024;

/// One ring of the doorbell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rung {
    pub(crate) word: u32,
    pub(crate) gpa: Gpa,
    pub(crate) pages: u64,
}

type Host = Box<dyn FnMut(&mut Fake, Rung)>;
type Others = Box<dyn FnMut(&mut Fake)>;
type Told = Box<dyn FnMut(&mut Fake, Control)>;

/// The fake machine.
pub(crate) struct Fake {
    memory: Vec<u8>,
    host: Option<Host>,
    others: Option<Others>,
    told: Option<Told>,
    answer: u64,
    clock: std::cell::Cell<u64>,
    /// How often the doorbell was rung.
    pub(crate) rings: u64,
    /// How often the processor was given away.
    pub(crate) idled: u64,
    /// What was said on the control port.
    pub(crate) said: Vec<Control>,
}

impl Fake {
    /// A machine whose host does `host` whenever the doorbell rings.
    pub(crate) fn new(host: impl FnMut(&mut Fake, Rung) + 'static) -> Self {
        Self::with_arena(ARENA_PAGES, host)
    }

    /// The same with so many pages of arena; those that are never written to cost nothing.
    pub(crate) fn with_arena(pages: u64, host: impl FnMut(&mut Fake, Rung) + 'static) -> Self {
        let bytes = ARENA.0 + pages * PAGE_SIZE;
        Self {
            memory: vec![0; usize::try_from(bytes).unwrap()],
            host: Some(Box::new(host)),
            others: None,
            told: None,
            answer: 0,
            clock: 0.into(),
            rings: 0,
            idled: 0,
            said: Vec::new(),
        }
    }

    /// What the other processors do whenever this one is given away.
    pub(crate) fn when_idle(&mut self, others: impl FnMut(&mut Fake) + 'static) {
        self.others = Some(Box::new(others));
    }

    /// What the host does whenever it is told something on the control port.
    pub(crate) fn when_told(&mut self, told: impl FnMut(&mut Fake, Control) + 'static) {
        self.told = Some(Box::new(told));
    }

    /// What the host answers from now on.
    pub(crate) fn answer_with(&mut self, answer: u64) {
        self.answer = answer;
    }

    /// Zeroes bytes, as a discard would.
    pub(crate) fn zero(&mut self, at: Gpa, bytes: u64) {
        let at = usize::try_from(at.0).unwrap();
        self.memory[at..at + usize::try_from(bytes).unwrap()].fill(0);
    }

    fn bytes<const N: usize>(&self, at: Gpa) -> [u8; N] {
        let at = usize::try_from(at.0).unwrap();
        self.memory[at..at + N].try_into().unwrap()
    }

    fn set<const N: usize>(&mut self, at: Gpa, bytes: [u8; N]) {
        let at = usize::try_from(at.0).unwrap();
        self.memory[at..at + N].copy_from_slice(&bytes);
    }
}

impl Metal for Fake {
    fn vcpu(&self) -> u32 {
        0
    }
    fn swap32_acquire(&mut self, at: Gpa, value: u32) -> u32 {
        let old = self.load32(at);
        self.store32(at, value);
        old
    }
    fn load32_acquire(&self, at: Gpa) -> u32 {
        self.load32(at)
    }
    fn store32_release(&mut self, at: Gpa, value: u32) {
        self.store32(at, value);
    }
    fn fill(&mut self, at: Gpa, words: u64, word: u64) {
        let at = usize::try_from(at.0).unwrap();
        let bytes = usize::try_from(words * 8).unwrap();
        for place in self.memory[at..at + bytes].chunks_exact_mut(8) {
            place.copy_from_slice(&word.to_le_bytes());
        }
    }
    fn idle(&mut self, _: u32) {
        self.idled += 1;
        if let Some(mut others) = self.others.take() {
            others(self);
            self.others = Some(others);
        }
    }
    fn load(&self, at: Gpa) -> u64 {
        u64::from_le_bytes(self.bytes(at))
    }
    fn store(&mut self, at: Gpa, value: u64) {
        self.set(at, value.to_le_bytes());
    }
    fn load32(&self, at: Gpa) -> u32 {
        u32::from_le_bytes(self.bytes(at))
    }
    fn store32(&mut self, at: Gpa, value: u32) {
        self.set(at, value.to_le_bytes());
    }
    fn load16(&self, at: Gpa) -> u16 {
        u16::from_le_bytes(self.bytes(at))
    }
    fn store16(&mut self, at: Gpa, value: u16) {
        self.set(at, value.to_le_bytes());
    }
    fn load16_acquire(&self, at: Gpa) -> u16 {
        self.load16(at)
    }
    fn store16_publish(&mut self, at: Gpa, value: u16) {
        self.store16(at, value);
    }
    fn clock(&self) -> u64 {
        self.clock.set(self.clock.get() + 1);
        self.clock.get()
    }
    fn ring(&mut self, word: u32, gpa: Gpa, pages: u64) {
        self.rings += 1;
        if let Some(mut host) = self.host.take() {
            host(self, Rung { word, gpa, pages });
            self.host = Some(host);
        }
    }
    fn answer(&self) -> u64 {
        self.answer
    }
    fn control(&mut self, control: Control) {
        self.said.push(control);
        if let Some(mut told) = self.told.take() {
            told(self, control);
            self.told = Some(told);
        }
    }
    fn relax(&mut self) {}
    fn halt(&mut self) {}
    fn out(&mut self, _: u16, _: u32) {}
    fn out8(&mut self, _: u16, _: u8) {}
    fn count(&mut self, _: u64) {}
    fn triple_fault(&mut self) -> ! {
        panic!("triple fault")
    }
}

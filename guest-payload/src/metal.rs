//! The seam between the payload and the machine it runs on.

use abi::addr::Gpa;
use abi::control::Control;

#[cfg(test)]
pub mod fake;

/// What the payload needs of a machine: identity-mapped memory, a clock, a doorbell.
///
/// There is one for each virtual processor. Plain loads and stores are volatile and unordered; the two rings that a
/// host thread reads or writes at the same time go through [`Metal::load16_acquire`] and [`Metal::store16_publish`],
/// and what several virtual processors share is only touched under a lock made of [`Metal::swap32_acquire`] and
/// [`Metal::store32_release`].
pub trait Metal {
    /// The number of this virtual processor, from 0.
    fn vcpu(&self) -> u32;
    /// Loads 64 bits.
    fn load(&self, at: Gpa) -> u64;
    /// Stores 64 bits.
    fn store(&mut self, at: Gpa, value: u64);
    /// Loads 32 bits.
    fn load32(&self, at: Gpa) -> u32;
    /// Stores 32 bits.
    fn store32(&mut self, at: Gpa, value: u32);
    /// Loads 16 bits.
    fn load16(&self, at: Gpa) -> u16;
    /// Stores 16 bits.
    fn store16(&mut self, at: Gpa, value: u16);
    /// Loads 16 bits that another processor publishes; what it stored before is visible afterwards.
    fn load16_acquire(&self, at: Gpa) -> u16;
    /// Stores 16 bits for another processor: everything stored before is visible to whoever sees the value,
    /// and no later load is satisfied before the store is visible.
    fn store16_publish(&mut self, at: Gpa, value: u16);

    /// Exchanges 32 bits with other virtual processors; what whoever stored the old value with
    /// [`Metal::store32_release`] had stored before is visible afterwards.
    fn swap32_acquire(&mut self, at: Gpa, value: u32) -> u32;
    /// Loads 32 bits that another virtual processor releases; what it stored before is visible afterwards.
    fn load32_acquire(&self, at: Gpa) -> u32;
    /// Stores 32 bits for other virtual processors: everything stored before is visible to whoever acquires them.
    fn store32_release(&mut self, at: Gpa, value: u32);
    /// Stores `word` into so many words of 64 bits from `at` on, as fast as the processor can.
    fn fill(&mut self, at: Gpa, words: u64, word: u64);

    /// The time stamp counter, read after everything before it is done.
    fn clock(&self) -> u64;

    /// Rings the doorbell: see [`abi::calls`] for what the values mean.
    fn ring(&mut self, word: u32, gpa: Gpa, pages: u64);
    /// The host's answer to the call just rung.
    fn answer(&self) -> u64;

    /// Tells the host where the payload stands. Never part of a timed report.
    fn control(&mut self, control: Control);

    /// A moment's pause in a spin loop.
    fn relax(&mut self);
    /// Halts until an interrupt has come since the last call of this function. May return early.
    fn halt(&mut self);

    /// Gives the processor away for so many microseconds at the most; 0 lets another thread of the host run. Costs
    /// an exit that is no report's.
    fn idle(&mut self, microseconds: u32);

    /// Writes `value` to `port`, whatever the doorbell is.
    fn out(&mut self, port: u16, value: u32);
    /// The same of one byte.
    fn out8(&mut self, port: u16, value: u8);
    /// Runs `iterations` of a loop of two instructions.
    fn count(&mut self, iterations: u64);
    /// Executes an undefined instruction that nobody handles.
    fn triple_fault(&mut self) -> !;
}

/// Adds to a counter in the notes.
pub fn count(metal: &mut impl Metal, counter: Gpa, by: u64) {
    let value = metal.load(counter);
    metal.store(counter, value.wrapping_add(by));
}

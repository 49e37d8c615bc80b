//! A stopwatch: every tick goes to one counter.

use abi::engine::books::Counter;

use crate::engine::books::Books;
use crate::metal::Metal;

/// A stopwatch that runs.
#[derive(Clone, Copy, Debug)]
pub struct Laps {
    last: u64,
}

impl Laps {
    /// Starts it.
    pub fn start(metal: &impl Metal) -> Self {
        Self { last: metal.clock() }
    }

    /// Ticks since the last lap.
    pub fn lap(&mut self, metal: &impl Metal) -> u64 {
        let now = metal.clock();
        let ticks = now.wrapping_sub(self.last);
        self.last = now;
        ticks
    }

    /// Ticks since the last lap, and adds them to a counter.
    pub fn charge(&mut self, metal: &mut impl Metal, books: &Books, counter: Counter) -> u64 {
        let ticks = self.lap(metal);
        books.add(metal, counter, ticks);
        ticks
    }

    /// When the last lap ended.
    #[must_use]
    pub const fn last(self) -> u64 {
        self.last
    }
}

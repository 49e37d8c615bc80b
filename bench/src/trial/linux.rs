//! Trials of Linux guests: a stock kernel, its own reporting core, and one process of ours.

pub mod checks;
pub mod choices;
pub mod measured;
pub mod task;

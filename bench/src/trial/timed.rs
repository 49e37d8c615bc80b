//! Trials of kind `timed`: one report at a time, under the stopwatch.

pub mod checks;
pub mod choices;
pub mod measured;
pub mod phases;
mod told;
pub mod witness;

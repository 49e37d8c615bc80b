//! Trials of kind `engine`: the guest's reporting core under a workload.

pub mod checks;
pub mod choices;
pub mod measured;
pub mod tallies;

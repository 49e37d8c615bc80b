//! Running a plan, trial by trial, into a run directory.

pub mod executor;
pub mod journal;
pub mod listener;
pub mod progress;
pub mod sequential;
pub mod signals;
pub mod slowdown;

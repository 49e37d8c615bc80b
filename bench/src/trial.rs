//! A trial of any kind: what to run, what came of it, and its line in `trials.jsonl`.
//!
//! A kind of trial is a folder: its choices, what it measures, its series of samples, and what must hold of every
//! such trial. Everything that is not about the kind is written once, here and in the folders that a run goes through.

pub(crate) mod back;
pub mod checks;
pub mod counts;
pub mod engine;
pub mod kind;
pub mod linux;
pub mod quiet;
pub mod record;
pub mod ring;
pub mod spec;
pub mod timed;
mod took_part;

//! The experiments and the `pagehint` command.
//!
//! A run goes through these files from top to bottom:
//!
//! | file | from | to |
//! |---|---|---|
//! | [`plan`] | a TOML file | which trials, for this host ([`calls`]), checked |
//! | [`schedule`] | the plan | interleaved, seeded blocks |
//! | [`executor`] | a trial's choices | [`histogram`]s and an outcome |
//! | [`record`] | both | a line in the run directory, at once |
//! | [`summary`] | a run directory | the ladder: figures with intervals ([`statistics`]) |
//! | [`checks`] | a run directory | what must hold, and whether it does |
//! | [`verdict`] | the summary | sentences the intervals support |
//! | [`export`], [`table`] | all of it | files and a terminal |
//!
//! Runs of the guest's reporting engine go through [`engine`].

/// Version of every file this crate writes.
pub const SCHEMA_VERSION: u32 = 2;

pub mod archive;
pub mod axis;
pub mod calls;
pub mod cell;
pub mod checks;
pub mod cli;
pub mod doctor;
pub mod engine;
pub mod environment;
pub mod estimate;
pub mod executor;
pub mod export;
pub mod growth;
pub mod histogram;
pub mod journal;
pub mod lab;
pub mod ladder;
pub mod machine;
pub mod meaning;
pub mod noise;
#[cfg(test)]
mod pipeline_tests;
pub mod plan;
pub mod progress;
pub mod quantiles;
pub mod record;
pub mod report;
pub mod schedule;
pub mod schema;
pub mod signals;
pub mod size;
pub mod statistics;
pub mod summary;
pub mod table;
pub mod terminal;
#[cfg(test)]
mod testing;
pub mod time;
pub mod unit;
pub mod verdict;
pub mod waterfall;
pub mod witness;

//! The experiments and the `pagehint` command.
//!
//! A run goes through these files from top to bottom:
//!
//! | file | from | to |
//! |---|---|---|
//! | [`plan`] | a TOML file | which trials, checked |
//! | [`schedule`] | the plan | interleaved, seeded blocks |
//! | [`executor`] | a trial's choices | [`histogram`]s and an outcome |
//! | [`record`] | both | a line in the run directory, at once |
//! | [`summary`] | a run directory | the ladder: figures with intervals ([`statistics`]) |
//! | [`checks`] | a run directory | what must hold, and whether it does |
//! | [`verdict`] | the summary | sentences the intervals support |
//! | [`export`], [`table`] | all of it | files and a terminal |

/// Version of every file this crate writes.
pub const SCHEMA_VERSION: u32 = 1;

pub mod axis;
pub mod histogram;
pub mod ladder;
pub mod plan;
pub mod schedule;
pub mod unit;

//! The experiments and the `pagehint` command.
//!
//! A run goes through these folders from top to bottom, whatever it measures:
//!
//! | folder | from | to |
//! |---|---|---|
//! | [`plan`] | built-in plan, plan file, flags | which trials, checked, interleaved in seeded blocks |
//! | [`run`] | a trial's specification | its outcome, a line in the run directory at once ([`trial`]) |
//! | [`archive`] | a run directory | trials of the same choices together |
//! | [`model`] | these | what a report is made of: terms, for hosts that nobody has run |
//! | [`experiment`] | these | what was found: figures with intervals, tables, sentences, checks |
//! | [`report`] | all of it | files and a terminal |
//!
//! [`figure`] has numbers and how they are shown, [`axes`] the choices by their names, [`site`] the machine; [`lab`] is a
//! machine of our own, and [`cli`] the command. A folder imports only those that stand before it in the list below.

/// Version of every file this crate writes.
pub const SCHEMA_VERSION: u32 = 3;

pub mod figure;

pub mod axes;

pub mod site;

pub mod trial;

pub mod plan;

pub mod archive;

pub mod run;

pub mod model;

pub mod experiment;

pub mod report;

pub mod exchange;

pub mod schema;

pub mod lab;

pub mod cli;

#[cfg(test)]
mod testing;

//! `pagehint engine`: what the guest's reporting engine costs, and what it gives back.
//!
//! A run goes through these files from top to bottom; what they share with the ladder's runs (journal, schedule,
//! statistics, tables) stands outside:
//!
//! | file | from | to |
//! |---|---|---|
//! | [`experiment`] | a name | what is asked |
//! | [`keys`], [`plan`] | built-in plan, plan file, flags | the plan as this host runs it, checked |
//! | [`cells`] | the plan | the trials to compare, a specification each |
//! | [`executor`] | a specification | an outcome, in the run directory at once |
//! | [`choices`], [`record`] | both | a line of `trials.jsonl` |
//! | [`archive`], [`group`] | a run directory | trials of the same choices together |
//! | [`page_faults`], [`phases`], [`walk`], [`memhog`], [`rate`], [`sweep`], [`soak`], [`one`] | groups | what the experiment found: figures, tables, sentences, checks |
//! | [`checks`] | every trial | what must hold in any experiment |
//! | [`summary`], [`report`], [`plot`] | all of it | files and a terminal |

pub mod archive;
pub mod cells;
pub mod checks;
pub mod choices;
pub mod executor;
pub mod experiment;
pub mod figures;
pub mod group;
pub mod growth;
pub mod keys;
pub mod memhog;
pub mod one;
pub mod page_faults;
pub mod phases;
pub mod plan;
pub mod plot;
pub mod predict;
pub mod published;
pub mod rate;
pub mod record;
pub mod report;
pub mod soak;
pub mod summary;
pub mod sweep;
pub mod tallies;
pub mod walk;

#[cfg(test)]
mod pipeline_tests;
#[cfg(test)]
pub(crate) mod testing;

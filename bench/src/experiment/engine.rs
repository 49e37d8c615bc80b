//! What every experiment with the guest's reporting engine shares.

use abi::layout::VCPUS_MAX;
use host::axes::{Discard, Way};
use host::engine::EngineSpec;

use crate::figure::number::mib;
use crate::figure::unit::float;
use crate::plan::keys::Keys;
use crate::plan::{PlanError, bad};
use crate::trial::spec::Spec;

/// As many processors as the host has, if nothing else is said.
pub fn fill(keys: &mut Keys, processors: u32) {
    keys.vcpus.get_or_insert(processors.clamp(1, VCPUS_MAX));
}

/// Whether every rung can report what the guest frees.
///
/// # Errors
/// [`PlanError::Value`].
pub fn check(keys: &Keys) -> Result<(), PlanError> {
    match keys.rungs().find(|rung| !rung.names_pages()) {
        Some(rung) => bad(
            "rungs",
            crate::axes::named::Named(rung),
            "it names no pages; use hypercall-each or a later rung",
        ),
        None => Ok(()),
    }
}

/// A cell of an experiment that tries many walks and loads with the same parameters.
#[must_use]
pub fn cell(spec: EngineSpec) -> Spec {
    Spec::Engine(spec.neutral())
}

/// The same with another discard.
#[must_use]
pub fn with_discard(spec: EngineSpec, discard: Discard) -> EngineSpec {
    EngineSpec { way: Way { discard, ..spec.way }, ..spec }
}

/// Under which choices an answer holds.
#[must_use]
pub fn scope(keys: &Keys) -> String {
    let memory = mib(float(keys.memory.unwrap_or_default()));
    format!("{} vCPUs and {memory} of memory", keys.vcpus.unwrap_or(1))
}

/// How the tables are to be read.
pub const HOW_TO_READ: &str = "\
- *n* is the number of blocks, each of which ran every cell once in an order drawn by the seed; a change is the mean over blocks of the change in \
that block, with its 95 % interval over blocks. `~` marks a change that cannot be told from none by an exact sign-flip test, corrected for the comparisons of the table.
- *operations a second* are what every virtual processor did in its window, added up. *absent* is a guest without reporting compiled in; *off* has it \
and does not use it.
- Blocks are buddy blocks of the order said; quantiles are of all trials of a cell together.
";

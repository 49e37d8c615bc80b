//! What the experiments with the guest's reporting engine share.

use host::axes::{Discard, Way};
use host::engine::EngineSpec;

use crate::trial::spec::Spec;

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

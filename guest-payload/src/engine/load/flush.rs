//! `flush`: rounds of [`super::memhog`], of which the host asks for the memory at once when it is free.

use crate::metal::Metal;

use super::{Owner, memhog};

/// Runs the rounds.
#[expect(clippy::redundant_closure_for_method_calls, reason = "the method by itself is of one lifetime")]
pub(super) fn run<M: Metal, const REPORTS: bool>(owner: &mut Owner<'_, M, REPORTS>, metal: &mut M) {
    memhog::rounds(owner, metal, owner.info.rounds, |owner, metal| owner.flush(metal));
}

//! `idle-after-burst`: one round of [`super::memhog`], then nothing: at which rate does memory go back?

use crate::metal::Metal;

use super::{Owner, memhog};

/// Runs the burst, and waits.
pub(super) fn run<M: Metal, const REPORTS: bool>(owner: &mut Owner<'_, M, REPORTS>, metal: &mut M) {
    memhog::rounds(owner, metal, 1, |_, _| {});
}

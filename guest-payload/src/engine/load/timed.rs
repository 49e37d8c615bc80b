//! What loads that run for a window of time have in common.

use super::owner::Owner;
use crate::metal::Metal;

/// A load that runs for a window of time.
pub(super) trait Timed<M: Metal, const REPORTS: bool> {
    /// Takes or gives a run of blocks.
    fn step(&mut self, owner: &mut Owner<'_, M, REPORTS>, metal: &mut M);

    /// Gives back everything that is taken.
    fn finish(&mut self, owner: &mut Owner<'_, M, REPORTS>, metal: &mut M);
}
